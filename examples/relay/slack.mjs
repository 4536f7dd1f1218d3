#!/usr/bin/env node
// Stands in for Slack's incoming webhooks: takes JSON with a `text`, answers `ok`, and shows it.
//
//   node slack.mjs PORT

import { serve } from './http.mjs';

const [port = '9003'] = process.argv.slice(2);

serve('slack', Number(port), (request, bytes) => {
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
    return { status: 200, text: 'ok' };
});
