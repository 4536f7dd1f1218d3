#!/usr/bin/env node
// A service desk: inquiries come in as webhooks (Standard Webhooks, verified here without a library)
// and become tickets, once each; a new ticket goes out as a webhook of its own, in the wording that
// whoever set the desk up gave it.
//
// Its face, at http://localhost:PORT/, is the page where somebody answers. An answer is a webhook too; freshet
// puts it into the channel of its conversation, which the visitor's page follows.
//
//   DESK_INBOX_SECRET=whsec_… DESK_SECRET=whsec_… node desk.mjs PORT WEBHOOK_URL [TICKETS_FILE]

import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import fs from 'node:fs';
import { pageOf, send, serve } from './http.mjs';

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

/** Sends a webhook. Its channel of freshet is `desk/` and `to`; `text` is what Slack shows. */
function announce(type, id, to, text, data) {
    const body = JSON.stringify({ type, to, timestamp: new Date().toISOString(), data, text });
    return send(url, body, () => {
        const timestamp = Math.floor(Date.now() / 1000);
        const mac = signature(outbox, id, timestamp, body).toString('base64');
        return {
            'webhook-id': id,
            'webhook-timestamp': String(timestamp),
            'webhook-signature': `v1,${mac}`,
        };
    });
}

function open(inquiry) {
    const ticket = {
        number: tickets.length + 1,
        inquiry: inquiry.id,
        visitor: inquiry.visitor,
        text: inquiry.text,
        conversation: inquiry.conversation,
    };
    fs.appendFileSync(file, `${JSON.stringify(ticket)}\n`);
    tickets.push(ticket);
    console.log(`ticket ${ticket.number}: ${ticket.text}`);
    const { number, visitor, text } = ticket;
    announce('ticket.created', `ticket_${number}`, 'tickets', `Inquiry ${number} from ${visitor}: ${text}`, { number, visitor, text });
}

/** Takes an answer from the desk's page. Pages of other sites cannot send JSON here. */
function answer(request, bytes) {
    const { number, agent, text } = JSON.parse(bytes.toString());
    const ticket = tickets.find((one) => one.number === number);
    if (!/^application\/json\b/.test(request.headers['content-type'] ?? '') || !ticket || typeof text !== 'string') {
        return { status: 400 };
    }
    const to = `answers-${ticket.conversation ?? 'none'}`;
    const data = { number, agent: String(agent), text };
    announce('ticket.answered', `answer_${randomUUID()}`, to, `${agent} answered inquiry ${number}: ${text}`, data);
    return { status: 202 };
}

serve('desk', Number(port), (request, bytes) => {
    const page = pageOf(request, { '/': 'pages/desk.html', '/desk.js': 'pages/desk.js' }, { freshet: new URL(url).origin });
    if (page) {
        return page;
    }
    if (request.method === 'POST' && request.url === '/answers') {
        return answer(request, bytes);
    }
    if (request.method !== 'POST' || !verified(request, bytes)) {
        return { status: 401 };
    }
    const inquiry = JSON.parse(bytes.toString());
    if (inquiry.event === 'inquiry' && !tickets.some((ticket) => ticket.inquiry === inquiry.id)) {
        open(inquiry);
    }
    return { status: 200 }; // also to a ping
});
