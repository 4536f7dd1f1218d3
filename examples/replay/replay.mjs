#!/usr/bin/env node
// Publishes a data set to a freshet server, at the pace of its own timestamps scaled to some seconds.

import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { DATASETS, findData, load } from './datasets.mjs';

const USAGE = `usage: node replay.mjs [--url http://127.0.0.1:7070] [--dataset ${Object.keys(DATASETS).join('|')}]
                       [--seconds 60] [--data DIR] [--quiet]

  --url      where the server is
  --dataset  what to publish (stocks)
  --seconds  how long the whole data set takes; 0: as fast as the server takes it (60)
  --data     the folder with the files of vega-datasets, if it is not installed nearby
  --quiet    no progress line`;

const BATCH_EVENTS = 500; // the server takes 1,000
const BATCH_BYTES = 512 * 1024; // the server takes 1 MiB
const GIVE_UP_AFTER_MS = 60_000;

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function post(url, body) {
    return new Promise((resolve, reject) => {
        const headers = {
            'Content-Type': 'application/x-ndjson',
            'Content-Length': Buffer.byteLength(body),
        };
        const request = http.request(url, { method: 'POST', agent, headers }, (response) => {
            let text = '';
            response.setEncoding('utf8');
            response.on('data', (piece) => (text += piece));
            response.on('end', () => resolve({ status: response.statusCode, text }));
            response.on('error', reject);
        });
        request.on('error', reject);
        request.end(body);
    });
}

// Each event has a key, so that repeating a request whose answer was lost publishes nothing twice.
async function publish(url, body) {
    const deadline = Date.now() + GIVE_UP_AFTER_MS;
    for (let delay = 100; ; delay = Math.min(delay * 2, 5000)) {
        let problem;
        try {
            const answer = await post(url, body);
            if (answer.status === 201 || answer.status === 200) return JSON.parse(answer.text).events;
            problem = new Error(`${answer.status} ${answer.text}`);
            if (![429, 503, 507].includes(answer.status)) throw Object.assign(problem, { final: true });
        } catch (error) {
            if (error.final) throw error;
            problem = error;
        }
        if (Date.now() > deadline) throw problem;
        await sleep(delay);
    }
}

// As many of the events due as fit one request, which is all or nothing and keeps their order.
function takeBatch(lines, from, due) {
    let bytes = 0;
    let to = from;
    while (to < due && to - from < BATCH_EVENTS) {
        bytes += Buffer.byteLength(lines[to]) + 1;
        if (bytes > BATCH_BYTES && to > from) break;
        to++;
    }
    return to;
}

async function replay({ url, dataset, seconds, data, quiet }) {
    const events = load(dataset, data);
    const run = randomUUID();
    const lines = events.map(({ channel, type, data: value }, i) =>
        JSON.stringify({ channel, type, key: `${run}/${i}`, data: value }),
    );
    const first = events[0].at;
    const span = Math.max(1, events[events.length - 1].at - first);
    const dueAt = (i) => (seconds * 1000 * (events[i].at - first)) / span;
    const target = new URL('events', url.endsWith('/') ? url : `${url}/`);

    const start = Date.now();
    let sent = 0;
    while (sent < events.length) {
        const wait = dueAt(sent) - (Date.now() - start);
        if (wait > 0) await sleep(wait);
        const now = Date.now() - start;
        let due = sent + 1;
        while (due < events.length && dueAt(due) <= now) due++;
        const to = takeBatch(lines, sent, due);
        await publish(target, lines.slice(sent, to).join('\n') + '\n');
        sent = to;
        if (!quiet) process.stderr.write(`\r${dataset}: ${sent} of ${events.length}`);
    }
    if (!quiet) process.stderr.write('\n');
    agent.destroy();
    console.log(`${sent} events published`);
}

function options() {
    const { values } = parseArgs({
        options: {
            url: { type: 'string', default: 'http://127.0.0.1:7070' },
            dataset: { type: 'string', default: 'stocks' },
            seconds: { type: 'string', default: '60' },
            data: { type: 'string' },
            quiet: { type: 'boolean', default: false },
            help: { type: 'boolean', default: false },
        },
    });
    const seconds = Number(values.seconds);
    if (!Number.isFinite(seconds) || seconds < 0) throw new Error('--seconds: a number, 0 or more');
    if (!DATASETS[values.dataset]) {
        throw new Error(`--dataset: one of ${Object.keys(DATASETS).join(', ')}`);
    }
    if (new URL(values.url).protocol !== 'http:') throw new Error('--url: http://HOST:PORT');
    return { ...values, seconds };
}

let chosen;
try {
    chosen = options();
    if (!chosen.help) chosen.data ??= findData();
} catch (error) {
    console.error(`replay: ${error.message}\n${USAGE}`);
    process.exit(2);
}
if (chosen.help) {
    console.log(USAGE);
} else {
    try {
        await replay(chosen);
    } catch (error) {
        console.error(`\nreplay: ${error.message}`);
        process.exit(1);
    }
}
