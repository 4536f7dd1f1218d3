#!/usr/bin/env node
// Stands in for Slack's incoming webhooks: takes JSON with a `text`, answers `ok`, and shows it, here and on
// its page at http://localhost:PORT/.
//
//   node slack.mjs PORT

import { pageOf, serve } from './http.mjs';

const [port = '9003'] = process.argv.slice(2);
const messages = [];
const watchers = new Set();

const line = (message) => `data: ${JSON.stringify(message)}\n\n`;

function watch(response) {
    response.write(`retry: 1000\n\n${messages.map(line).join('')}`);
    watchers.add(response);
    response.on('close', () => watchers.delete(response));
}

serve('slack', Number(port), (request, bytes) => {
    const page = pageOf(request, { '/': 'pages/slack.html', '/slack.js': 'pages/slack.js' }, {});
    if (page) {
        return page;
    }
    if (request.method === 'GET' && request.url === '/messages') {
        return { status: 200, type: 'text/event-stream', stream: watch };
    }
    let message;
    try {
        message = JSON.parse(bytes.toString());
    } catch {
        return { status: 400, text: 'invalid_payload' };
    }
    if (typeof message.text !== 'string') {
        return { status: 400, text: 'no_text' };
    }
    console.log(`#sales  ${message.text}`);
    messages.push({ text: message.text, at: new Date().toISOString() });
    watchers.forEach((response) => response.write(line(messages.at(-1))));
    return { status: 200, text: 'ok' };
});
