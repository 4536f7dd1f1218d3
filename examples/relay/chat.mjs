#!/usr/bin/env node
// A chat on a website, as its provider runs it: what a visitor writes is sent on as a webhook, signed
// by a scheme of the provider's own.
//
//   CHAT_SECRET=… node chat.mjs PORT WEBHOOK_URL
//   curl localhost:PORT/messages --json '{"topic":"sales","visitor":"Ada","text":"Do you ship to Iceland?"}'
//
// Its face is a website with the chat in a corner, at http://localhost:PORT/. A visitor's page names its
// conversation by a long random text, and follows freshet's channel of that name for answers.
import { createHmac, randomUUID } from 'node:crypto';
import { pageOf, send, serve } from './http.mjs';

const [port = '9001', url = 'http://127.0.0.1:7070/inbound/chat'] = process.argv.slice(2);
const secret = process.env.CHAT_SECRET;

function signed(body) {
    const digest = createHmac('sha256', secret).update(body).digest('hex');
    return { 'X-Chat-Signature': `sha256=${digest}` };
}

serve('chat', Number(port), (request, bytes) => {
    const page = pageOf(request, { '/': 'pages/chat.html', '/chat.js': 'pages/chat.js' }, { freshet: new URL(url).origin });
    if (page) {
        return page;
    }
    if (request.method !== 'POST' || request.url !== '/messages') {
        return { status: 404 };
    }
    const { topic, visitor, text, conversation } = JSON.parse(bytes.toString());
    const body = JSON.stringify({ id: randomUUID(), event: 'inquiry', topic, visitor, text, conversation });
    send(url, body, () => signed(body));
    return { status: 202, text: 'Somebody will answer you soon.\n' };
});
