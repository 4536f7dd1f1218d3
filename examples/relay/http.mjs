// What the programs of this example share: a small server, and a webhook sender that does not give up.

import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The bytes of a request's body. */
async function bodyOf(request) {
    const pieces = [];
    for await (const piece of request) {
        pieces.push(piece);
    }
    return Buffer.concat(pieces);
}

const TYPES = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript' };

/* A page loads what its own server has, and reads events of freshet on this machine. */
const POLICY = "default-src 'self'; img-src data:; connect-src 'self' http://127.0.0.1:* http://localhost:*; frame-src http://127.0.0.1:* http://localhost:*";

/** A file of this example, as an answer. */
export function file(name) {
    const type = TYPES[path.extname(name)];
    return { status: 200, text: fs.readFileSync(new URL(name, import.meta.url), 'utf8'), type: `${type}; charset=utf-8` };
}

/**
 * What a page asks for: `pages` has its files by their paths, and `settings` is what it has to know. Undefined if the request is for something else.
 */
export function pageOf(request, pages, settings) {
    if (request.method !== 'GET') {
        return undefined;
    }
    if (request.url === '/settings.js') {
        return { status: 200, text: `export default ${JSON.stringify(settings)};\n`, type: 'text/javascript; charset=utf-8' };
    }
    const all = { '/style.css': '../../src/pages/style.css', '/relay.css': 'pages/relay.css', '/relay.js': 'pages/relay.js', ...pages };
    return Object.hasOwn(all, request.url) ? file(all[request.url]) : undefined;
}

/** Serves on loopback: `answer(request, body)` gives {status, text, type}. Says where it listens. */
export function serve(name, port, answer) {
    const server = http.createServer(async (request, response) => {
        try {
            const { status, text = '', type = 'text/plain; charset=utf-8', stream } = await answer(request, await bodyOf(request));
            response.writeHead(status, { 'Content-Type': type, 'Cache-Control': 'no-store', 'Content-Security-Policy': POLICY });
            stream ? stream(response) : response.end(text);
        } catch (error) {
            response.writeHead(400, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${error.message}\n`);
        }
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
