// What the three programs of this example share: a small server, and a webhook sender that does not
// give up.

import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** The bytes of a request's body. */
async function bodyOf(request) {
    const pieces = [];
    for await (const piece of request) {
        pieces.push(piece);
    }
    return Buffer.concat(pieces);
}

/** Serves on loopback: `answer(request, body)` gives {status, text}. Says where it listens. */
export function serve(name, port, answer) {
    const server = http.createServer(async (request, response) => {
        const { status, text = '' } = await answer(request, await bodyOf(request));
        response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(text);
    });
    server.listen(port, '127.0.0.1', () => {
        console.log(`${name} listens at http://127.0.0.1:${server.address().port}`);
    });
    process.once('SIGTERM', () => process.exit(0));
}

/** Posts a webhook until it is answered with 2xx; `headers()` are made anew for each attempt. */
export async function send(url, body, headers) {
    for (let pause = 100; ; pause = Math.min(2 * pause, 5000)) {
        try {
            const answer = await fetch(url, {
                method: 'POST',
                body,
                headers: { 'Content-Type': 'application/json', ...headers() },
            });
            if (answer.ok) {
                return;
            }
            console.error(`${url} answered ${answer.status}`);
        } catch (error) {
            console.error(`${url}: ${error.cause?.code ?? error.message}`);
        }
        await sleep(pause);
    }
}
