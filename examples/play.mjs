#!/usr/bin/env node
// Feeds the ticker or the odds board from a terminal, so that no tab has to.
//
//   node examples/play.mjs ticker|odds [http://localhost:7070/]

import { Feed } from './feed.mjs';

const [demo, url = 'http://localhost:7070/'] = process.argv.slice(2);
const server = url.replace(/\/?$/, '/');
if (!['ticker', 'odds'].includes(demo)) {
    console.error('usage: node play.mjs ticker|odds [URL]');
    process.exit(2);
}
await fetch(server).catch(() => {
    console.error(`nothing answers at ${server}: start it by freshet serve --memory --config examples/freshet.yaml`);
    process.exit(1);
});
const { FRAMES, INTERVAL_MS } = await import(`./${demo}/frames.mjs`);
const feed = new Feed(server, FRAMES, {
    intervalMs: INTERVAL_MS,
    onState: (isOn, why) => console.log(why ?? `feeding ${server}demos/${demo}/`),
});
feed.start();
