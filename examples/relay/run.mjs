#!/usr/bin/env node
// The whole example by one command: freshet, the chat, the desk and Slack, with secrets made for this run, the
// two webhooks, and a page that shows all of them side by side.
//
//   node run.mjs [PORT]
//
// PORT (9000) has the page, and the next four are the chat, the desk, Slack and freshet. freshet is FRESHET_BIN,
// or this tree's build, or the one of the PATH.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pageOf, serve } from './http.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const base = Number(process.argv[2] ?? 9000);
const urls = Object.fromEntries(['page', 'chat', 'desk', 'slack', 'freshet'].map((name, i) => [name, `http://127.0.0.1:${base + i}`]));
const built = path.join(HERE, '../../build/freshet');
const freshet = process.env.FRESHET_BIN ?? (fs.existsSync(built) ? built : 'freshet');

const secret = () => randomBytes(24).toString('base64');
const env = { ...process.env, CHAT_SECRET: secret(), DESK_SECRET: `whsec_${secret()}`, DESK_INBOX_SECRET: `whsec_${secret()}` };
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'freshet-relay-'));
const children = [];

function end(code) {
    children.forEach((child) => child.kill('SIGTERM'));
    fs.rmSync(folder, { recursive: true, force: true });
    process.exit(code);
}

function start(program, args) {
    const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
    child.on('error', (error) => (console.error(`${program}: ${error.message}`), end(1)));
    child.on('exit', (code) => (console.error(`${path.basename(args[0] ?? program)} has ended (${code})`), end(1)));
    children.push(child);
}

/* Registers a webhook, as soon as freshet answers. */
async function register(webhook) {
    for (let tries = 0; ; tries++) {
        try {
            const answer = await fetch(`${urls.freshet}/webhooks`, { method: 'POST', body: JSON.stringify({ format: 'data', ...webhook }), headers: { 'Content-Type': 'application/json' } });
            if (answer.ok) {
                return;
            }
            console.error(await answer.text());
        } catch (error) {
            if (tries === 100) {
                throw error;
            }
        }
        await sleep(100);
    }
}

process.once('SIGINT', () => end(0));
process.once('SIGTERM', () => end(0));
start(freshet, ['serve', '--memory', '--config', path.join(HERE, 'freshet.yaml'), '--listen', urls.freshet.slice('http://'.length)]);
start(process.execPath, [path.join(HERE, 'chat.mjs'), String(base + 1), `${urls.freshet}/inbound/chat`]);
start(process.execPath, [path.join(HERE, 'desk.mjs'), String(base + 2), `${urls.freshet}/inbound/desk`, path.join(folder, 'tickets.ndjson')]);
start(process.execPath, [path.join(HERE, 'slack.mjs'), String(base + 3)]);
await register({ url: `${urls.desk}/`, channels: ['chat/sales'], secret: env.DESK_INBOX_SECRET });
await register({ url: `${urls.slack}/`, channels: ['desk/*'], types: ['ticket.created', 'ticket.answered'] });
serve('The page', base, (request) => pageOf(request, { '/': 'pages/index.html', '/index.js': 'pages/index.js' }, urls) ?? { status: 404 });
