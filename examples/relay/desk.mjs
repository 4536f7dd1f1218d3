#!/usr/bin/env node
// A service desk: inquiries come in as webhooks (Standard Webhooks, verified here without a library)
// and become tickets, once each; a new ticket goes out as a webhook of its own, in the wording that
// whoever set the desk up gave it.
//
//   DESK_INBOX_SECRET=whsec_… DESK_SECRET=whsec_… node desk.mjs PORT WEBHOOK_URL [TICKETS_FILE]

import { createHmac, timingSafeEqual } from 'node:crypto';
import fs from 'node:fs';
import { send, serve } from './http.mjs';

const [port = '9002', url = 'http://127.0.0.1:7070/inbound/desk', file = 'tickets.ndjson'] =
    process.argv.slice(2);
const inbox = process.env.DESK_INBOX_SECRET;
const outbox = process.env.DESK_SECRET;

/* The tickets are a file, so that a desk that was killed knows which inquiries it has. */
const tickets = fs.existsSync(file)
    ? fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line))
    : [];

function signature(secret, id, timestamp, body) {
    const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
    return createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
}

/** Whether one of the signatures that a request bears is right, and made within five minutes. */
function verified({ headers }, body) {
    const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': given = '' } = headers;
    if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) < 300)) {
        return false;
    }
    const right = signature(inbox, id, timestamp, body);
    return given.split(' ').some((one) => {
        const bytes = Buffer.from(one.replace(/^v1,/, ''), 'base64');
        return bytes.length === right.length && timingSafeEqual(bytes, right);
    });
}

/** Tells of a ticket; `text` is what Slack shows. */
function announce(ticket) {
    const { number, visitor, text } = ticket;
    const body = JSON.stringify({
        type: 'ticket.created',
        timestamp: new Date().toISOString(),
        data: { number },
        text: `Inquiry ${number} from ${visitor}: ${text}`,
    });
    return send(url, body, () => {
        const timestamp = Math.floor(Date.now() / 1000);
        const mac = signature(outbox, `ticket_${number}`, timestamp, body).toString('base64');
        return {
            'webhook-id': `ticket_${number}`,
            'webhook-timestamp': String(timestamp),
            'webhook-signature': `v1,${mac}`,
        };
    });
}

serve('desk', Number(port), (request, bytes) => {
    if (request.method !== 'POST' || !verified(request, bytes)) {
        return { status: 401 };
    }
    const inquiry = JSON.parse(bytes.toString());
    if (inquiry.event !== 'inquiry') {
        return { status: 200 }; // a ping
    }
    if (!tickets.some((ticket) => ticket.inquiry === inquiry.id)) {
        const ticket = {
            number: tickets.length + 1,
            inquiry: inquiry.id,
            visitor: inquiry.visitor,
            text: inquiry.text,
        };
        fs.appendFileSync(file, `${JSON.stringify(ticket)}\n`);
        tickets.push(ticket);
        console.log(`ticket ${ticket.number}: ${ticket.text}`);
        announce(ticket);
    }
    return { status: 200 };
});
