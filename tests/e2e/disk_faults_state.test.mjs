// A disk whose calls fail now and then, and a server that is killed on it: of keys, revocations, webhooks, subscriptions
// of WebSub and read marks, what was acknowledged is there, what was refused has changed nothing, and no webhook misses
// an event. When the disk works again, so does the server.
//
// Each client is alone with what it changes, so it knows what the server may tell: the value that was acknowledged last,
// and behind it those of changes whose fate is unknown. A start of the server decides which of them it is.
//
// FAULT_ROUNDS and FAULT_SEED say how many rounds there are, and with which the first begins.

import assert from "node:assert/strict";
import { deadline, eventually, publish, request, startServer, test } from "./support/index.mjs";
import { readAll } from "./support/checks.mjs";
import { faultsOf, Gone, ON_A_FAILING_DISK, orGone, randomOf, ROUNDS, SEED, startFailing, untilGone } from "./support/faults.mjs";
import { assertSigned, Receiver } from "./support/receiver.mjs";
import { Subscriber } from "./support/subscriber.mjs";

const LIVES = 4; /* of a server in a round, before the one in which the disk recovers */
const CONFIG = `
access: {anybody: [read, publish, presence, webhooks, admin]}
namespaces: [{prefix: chat, presence: true}]
webhooks: {allow: ["127.0.0.1"]}
`;
const RECOVERING = { DISK_RATE: "250", DISK_AFTER: "150", DISK_UPTO: "1500" }; /* works again behind so many calls */
const GRANTS = [{ channels: ["hook/**"], may: ["read"] }];

/** What an answer says of a change. */
function fateOf({ status, text, json }) {
    if (status < 300) {
        return "acked";
    }
    assert.ok([503, 507].includes(status), `${status} ${text}`);
    return json().type.endsWith("fate-unknown") ? "unknown" : "refused";
}

/** Something that the server keeps, and what it may be: more than one value after a change of unknown fate. */
class Kept {
    constructor(what, value) {
        this.what = what;
        this.may = [value];
        this.past = [`begins as ${value}`];
    }

    change(fate, value) {
        this.past.push(`${value} is ${fate}`);
        if (fate === "acked") {
            this.may = [value];
        } else if (fate === "unknown") {
            this.may.push(value);
        }
    }

    /** A server that runs tells this value. */
    isTold(value, where = "told") {
        assert.ok(this.may.includes(value), `${this.what}: ${value} is ${where}; ${this.past.slice(-12).join(", ")}`);
    }

    /** A server that was started anew tells it, and so has it on the disk. */
    isFound(value) {
        this.isTold(value, "found");
        this.may = [value];
        this.past.push(`${value} is found`);
    }
}

/** One life of the server, which is asked for this and that until it ends. */
class Life {
    constructor(server, random, name) {
        Object.assign(this, { server, random, name, counts: { acked: 0, refused: 0, unknown: 0 }, isEnding: false, onAnswer() {} });
    }

    oneOf(list) {
        return list[this.random(list.length)];
    }

    /** Reads what must be there to be read, on whatever disk, until the server stops. */
    async get(path, options) {
        const answer = await orGone(request(this.server, "GET", path, options));
        if (answer.status === 503 && this.isEnding) {
            throw new Gone();
        }
        return answer;
    }

    /** Asks for a change and calls `note(fate, answer)`. A 404 means `missing`, if that is given. */
    async change(method, path, options, note, missing) {
        const answer = await orGone(request(this.server, method, path, options), () => this.#count("unknown", note));
        const fate = answer.status === 404 && missing ? missing : fateOf(answer);
        this.#count(fate, note, answer);
        return fate;
    }

    #count(fate, note, answer) {
        note(fate, answer);
        this.counts[fate]++;
        this.onAnswer(fate);
    }

    /** Settles when so many answers have come; with `refused`, at the first refusal from then on. */
    reaches(count, refused) {
        return new Promise((resolve) => {
            this.onAnswer = (fate) => --count <= 0 && (!refused || fate === "refused" || count < -100) && resolve();
        });
    }

    /** Settles when so many answers, one after the other, are acknowledgements. */
    acknowledges(count) {
        let left = count;
        return deadline(new Promise((resolve) => {
            this.onAnswer = (fate) => (left = fate === "acked" ? left - 1 : count) || resolve();
        }), `${count} acknowledgements on a disk that works again`);
    }

    /** Ends the server by kill -9, or now and then by SIGTERM. */
    async end() {
        this.isEnding = true;
        await (this.random(4) ? this.server.kill() : this.server.terminate());
    }
}

/** A client that makes API keys, uses, revokes and deletes them. */
class Keys {
    constructor() {
        this.all = new Map(); /* by name: {id, key, there, suspended}; no id if the answer was lost */
    }

    #make(life, name) {
        const made = { name, there: new Kept(`key ${name}`, "gone"), suspended: new Kept(`revocation of ${name}`, "gone") };
        this.all.set(name, made);
        return life.change("POST", "/keys", { body: { name, grants: GRANTS } }, (fate, answer) => {
            made.there.change(fate, "there");
            Object.assign(made, fate === "acked" ? answer.json() : {});
        });
    }

    async #use(life, { key, there, suspended }) {
        const { status, text } = await life.get("/channels/hook/a?limit=1", { headers: { Authorization: `Bearer ${key}` } });
        assert.ok([200, 401].includes(status), `${status} ${text}`);
        if (status === 200) {
            there.isTold("there", "used");
            suspended.isTold("gone", "used");
        } else {
            assert.ok(there.may.includes("gone") || suspended.may.includes("there"),
                `${there.what} is refused; ${there.past.join(", ")}; ${suspended.past.join(", ")}`);
        }
    }

    async play(life) {
        for (let n = 0; ; n++) {
            const known = [...this.all.values()].filter(({ id }) => id).slice(-6);
            const made = known.length ? life.oneOf(known) : {};
            const change = [
                () => this.#make(life, `${life.name}/${n}`),
                () => life.change("DELETE", `/keys/${made.id}`, {}, (fate) => made.there.change(fate, "gone"), "acked"),
                () => life.change("POST", "/revocations", { body: { key: made.id } }, (fate) => made.suspended.change(fate, "there")),
                () => life.change("DELETE", `/revocations?key=${made.id}`, {}, (fate) => made.suspended.change(fate, "gone"), "acked"),
            ][made.id ? life.random(4) : 0];
            await change();
            for (const one of known.filter(({ key }) => key)) {
                await this.#use(life, one);
            }
        }
    }

    async find(life) {
        const { keys } = (await life.get("/keys")).json();
        const { revocations } = (await life.get("/revocations")).json();
        for (const { name, id } of keys) {
            assert.ok(this.all.has(name), `the key ${name} was never asked for`);
            this.all.get(name).id = id;
        }
        for (const { name, id, there, suspended } of this.all.values()) {
            there.isFound(keys.some((key) => key.name === name) ? "there" : "gone");
            suspended.isFound(id && revocations.some(({ key }) => key === id) ? "there" : "gone");
        }
    }
}

/** A client that has webhooks, and changes them all the time. */
class Hooks {
    constructor(receiver) {
        this.receiver = receiver;
        this.all = new Map(); /* by URL without query */
    }

    #register(life, url) {
        const keyed = life.random(2) === 0;
        const ordered = life.random(3) > 0, concurrency = 1 + life.random(4);
        const body = {
            url, channels: ["hook/*"], after: "earliest", description: "0", schedule: [0.01, 0.1, 1], ordered, concurrency,
        };
        const asked = { body, headers: keyed ? { "Idempotency-Key": url } : {} };
        const hook = { url, ordered, asked, keyed, there: new Kept(`webhook ${url}`, "gone") };
        this.all.set(url, hook);
        const once = () => life.change("POST", "/webhooks", asked, (fate, answer) => {
            hook.there.change(fate, "there");
            this.#begin(hook, fate === "acked" ? answer.json() : {});
        });
        return keyed ? this.#twice(once) : once();
    }

    /** The answer to a registration that is repeated is the webhook that was made. */
    #again(life, hook) {
        return life.change("POST", "/webhooks", hook.asked, (fate, answer) => {
            hook.there.change(fate, "there");
            fate === "acked" && assert.equal(answer.json().id, hook.id, `${hook.url} is made twice`);
        });
    }

    /** With a key it may be asked again, whatever became of it. */
    async #twice(once) {
        return await once() === "acked" || once();
    }

    #begin(hook, told) {
        Object.assign(hook, { id: told.id, secret: told.secret ?? hook.secret, replayed: 0 });
        hook.description ??= new Kept(`description of ${hook.url}`, "0");
        hook.state ??= new Kept(`state of ${hook.url}`, "active");
        hook.query ??= new Kept(`query of ${hook.url}`, "");
        hook.channels ??= new Kept(`channels of ${hook.url}`, "hook/*");
        hook.queries ??= new Set([""]); /* all that were acknowledged, or are of unknown fate */
        hook.misses ??= false; /* events of hook/b, since its channels may have been others */
    }

    /** The deliveries that count: a URL that was refused is none of the webhook's. */
    #deliveries(hook, from) {
        return this.receiver.deliveries.slice(from).filter(({ path }) => {
            const [name, query = ""] = path.split("?");
            return hook.url.endsWith(name) && hook.queries.has(query);
        });
    }

    #move(life, hook, query) {
        return this.#patch(life, hook, { url: `${hook.url}?${query}` }, (fate) => {
            hook.query.change(fate, query);
            fate !== "refused" && hook.queries.add(query);
        });
    }

    #select(life, hook, channels) {
        return this.#patch(life, hook, { channels: [channels] }, (fate) => {
            hook.channels.change(fate, channels);
            hook.misses ||= fate !== "refused" && channels === "hook/a";
        });
    }

    #patch(life, hook, body, note) {
        return life.change("PATCH", `/webhooks/${hook.id}`, { body }, note);
    }

    #post(life, hook, what, note, body) {
        return life.change("POST", `/webhooks/${hook.id}/${what}`, { body }, note);
    }

    #replay(life, hook) {
        const from = this.receiver.deliveries.length;
        return this.#post(life, hook, "replay", (fate) => fate === "acked" && (hook.replayed = from), { after: "earliest" });
    }

    async play(life) {
        for (let n = 1; ; n++) {
            const known = [...this.all.values()].filter(({ id, there }) => id && there.may.includes("there"));
            const hook = known.length ? life.oneOf(known) : undefined;
            const changes = [
                () => this.#patch(life, hook, { description: `${life.name}/${n}` },
                    (fate) => hook.description.change(fate, `${life.name}/${n}`)),
                () => this.#select(life, hook, life.oneOf(["hook/*", "hook/a"])),
                () => this.#move(life, hook, `${life.name}/${n}`),
                () => this.#post(life, hook, "pause", (fate) => hook.state.change(fate, "paused")),
                () => this.#post(life, hook, "resume", (fate) => hook.state.change(fate, "active")),
                () => this.#post(life, hook, "rotate", (fate, answer) => fate === "acked" && (hook.secret = answer.json().secret)),
                () => this.#replay(life, hook),
                () => this.#post(life, hook, "retry", () => {}),
                () => hook.keyed && hook.there.may.length === 1 && this.#again(life, hook),
                () => this.#register(life, `${this.receiver.url}/${life.name}/${n}`),
                () => life.change("DELETE", `/webhooks/${hook.id}`, {}, (fate) => hook.there.change(fate, "gone"), "acked"),
            ];
            await (known.length < 2 ? changes.at(-2) : known.length > 5 ? changes.at(-1) : life.oneOf(changes))();
            await this.#look(life, (kept, value) => kept.isTold(value));
        }
    }

    /** Compares all with what the server tells of them. */
    async #look(life, compare) {
        const told = (await life.get("/webhooks")).json().webhooks.filter(({ topic }) => !topic);
        const named = told.map(({ url }) => url.split("?")[0]);
        assert.equal(new Set(named).size, told.length, "a webhook is there twice");
        for (const url of named) {
            assert.ok(this.all.has(url), `${url} was never registered`);
        }
        for (const hook of this.all.values()) {
            const found = told[named.indexOf(hook.url)];
            compare(hook.there, found ? "there" : "gone");
            if (found) {
                hook.id = found.id;
                compare(hook.description, found.description);
                compare(hook.query, found.url.split("?")[1] ?? "");
                compare(hook.channels, found.channels[0]);
                compare(hook.state, found.state === "failing" ? "active" : found.state);
            }
        }
    }

    find(life) {
        return this.#look(life, (kept, value) => kept.isFound(value));
    }

    /** All that are there have had all events, in the order of each channel, and nothing else. */
    async assertDelivered(server) {
        const hooks = [...this.all.values()].filter(({ there }) => there.may[0] === "there");
        for (const { id } of hooks) {
            for (const what of ["resume", "retry"]) {
                assert.ok((await server.request("POST", `/webhooks/${id}/${what}`)).status < 300);
            }
        }
        this.receiver.answer = () => 200;
        const last = await publish(server, "hook/a", "last");
        const { events } = await readAll(server, "channel=hook/*");
        for (const hook of hooks) {
            const owed = events.filter(({ channel }) => channel === "hook/a" || !hook.misses);
            const missing = () => {
                const ids = new Set(this.#deliveries(hook, hook.replayed).map(({ body }) => body.id));
                return owed.filter(({ id }) => !ids.has(id));
            };
            await this.receiver.until(() => missing().length === 0, `all events at ${hook.url}`)
                .catch((error) => assert.deepEqual(missing(), [], error.message));
            assertInOrder(hook, this.#deliveries(hook), events);
            hook.secret && assertSigned(this.#deliveries(hook).find(({ body }) => body.id === last.id), hook.secret);
        }
        return hooks.length;
    }
}

/** Nothing came but what the log has, and it came in the order of each channel. */
function assertInOrder(hook, deliveries, events) {
    const first = new Map(deliveries.map(({ body }) => [body.id, body.channel]).reverse());
    const ids = [...new Set(deliveries.map(({ body }) => body.id))];
    assert.deepEqual(ids.filter((id) => !events.some((event) => event.id === id)), [], `never published, and sent to ${hook.url}`);
    for (const channel of hook.ordered ? ["hook/a", ...hook.misses ? [] : ["hook/b"]] : []) {
        const its = ids.filter((id) => first.get(id) === channel);
        assert.deepEqual(its, [...its].sort(), `the order of ${channel} at ${hook.url}`);
    }
}

/** A client that publishes the events of the webhooks. */
async function publishForHooks(life) {
    for (let n = 0; ; n++) {
        const channel = life.oneOf(["hook/a", "hook/b"]);
        const once = () => life.change("POST", `/channels/${channel}`,
            { body: `${life.name}/${n}`, headers: { "Idempotency-Key": `${life.name}/${n}` } }, () => {});
        await once() === "acked" || await once();
    }
}

/** Readers of messages, who say how far they have read. */
class Readers {
    constructor() {
        this.marks = new Map(); /* by "channel member" */
        this.ids = { "chat/a": [], "chat/b": [] };
    }

    async play(life) {
        for (let n = 0; ; n++) {
            const channel = life.oneOf(Object.keys(this.ids)), member = life.oneOf(["alice", "bob", "carol"]);
            await life.change("POST", `/channels/${channel}`, { body: "hello" },
                (fate, answer) => fate === "acked" && this.ids[channel].push(answer.json().id));
            const read = this.ids[channel].at(-1);
            if (read) {
                await this.#read(life, channel, member, read);
                await this.#look(life, channel, (mark, value) => mark.isTold(value));
            }
        }
    }

    #read(life, channel, member, read) {
        const name = `${channel} ${member}`;
        const mark = this.marks.get(name) ?? new Kept(`mark of ${name}`, "none");
        this.marks.set(name, mark);
        return life.change("PUT", `/presence/${channel}/me?as=${member}`, { body: { read } }, (fate) => mark.change(fate, read));
    }

    async #look(life, channel, compare) {
        const { marks } = (await life.get(`/presence/${channel}?marks=1`)).json();
        const told = new Map(marks.map(({ member, read }) => [`${channel} ${member}`, read]));
        for (const [name, mark] of this.marks) {
            name.startsWith(channel) && compare(mark, told.get(name) ?? "none");
        }
    }

    async find(life) {
        for (const channel of Object.keys(this.ids)) {
            await this.#look(life, channel, (mark, value) => mark.isFound(value));
        }
    }
}

/** Callbacks that are subscribed by WebSub, and unsubscribed. */
class Subscribers {
    constructor(subscriber) {
        this.subscriber = subscriber;
        this.lease = 86_400;
        this.all = new Map([1, 2, 3, 4, 5].map((n) => `${subscriber.url}/${n}`).map((url) => [url, new Kept(url, "gone")]));
    }

    /** What is told of each: until when it is subscribed, in seconds, or nothing. */
    async #told(life) {
        const told = (await life.get("/webhooks")).json().webhooks.filter(({ topic }) => topic);
        const until = new Map(told.map((one) => [one.url, Date.parse(one.lease_until) / 1000]));
        assert.equal(until.size, told.length, "a subscription is there twice");
        return until;
    }

    /** Waits until it is so, or the server's log says that it could not be kept. Answers whether it is so. */
    async #becomes(life, url, isSo, logged) {
        const look = async () => {
            const told = await this.#told(life);
            return isSo(told.get(url)) ? "so" : life.server.err.includes("websub_not_kept", logged) && "not kept";
        };
        const seen = await eventually(() => look().catch((error) => error instanceof Gone ? error : Promise.reject(error)), `news of ${url}`);
        if (seen instanceof Gone) {
            throw seen;
        }
        return seen === "so";
    }

    #ask(life, mode, url) {
        const form = new URLSearchParams({
            "hub.mode": mode, "hub.topic": "http://hub.example/topics/hook/a", "hub.callback": url, "hub.lease_seconds": this.lease,
        });
        const headers = { "Content-Type": "application/x-www-form-urlencoded" };
        return life.change("POST", "/hub", { body: form.toString(), headers }, () => {});
    }

    /** Each lease is longer than the one before, so that the list tells them apart. Of a callback whose wish was not kept,
        no more is known in this life. */
    async play(life) {
        const left = new Map(this.all);
        while (left.size) {
            const [url, kept] = life.oneOf([...left]), mode = life.oneOf(["subscribe", "unsubscribe"]);
            const wanted = mode === "subscribe" ? "there" : "gone";
            const until = Date.now() / 1000 + this.lease + 500, logged = life.server.err.length;
            this.lease += 1000;
            kept.change("unknown", wanted); /* the answer comes before it is kept */
            const fate = await this.#ask(life, mode, url);
            if (fate === "acked" && await this.#becomes(life, url, (told) => mode === "subscribe" ? told > until : !told, logged)) {
                kept.change("acked", wanted);
            } else {
                left.delete(url);
            }
        }
    }

    async find(life) {
        const told = await this.#told(life);
        for (const [url, kept] of this.all) {
            kept.isFound(told.has(url) ? "there" : "gone");
        }
    }
}

/** Lets all play in one life of the server, until something has come about. */
async function live(life, players, until) {
    for (const player of players) {
        await player.find?.(life);
    }
    const all = Promise.all(players.map((player) => untilGone(player.play(life))));
    await Promise.race([all, until(life)]);
    await life.end();
    await all;
}

/** Many answers, and mostly a refusal behind them. */
const soon = (life) => life.reaches(20 + life.random(150), life.random(4) > 0);

/** The disk works again, and so does the server: all that is asked is acknowledged. */
const recovered = (life) => life.acknowledges(100);

async function playRound(t, seed) {
    const random = randomOf(seed);
    const server = await startServer(t, { data: true, config: CONFIG });
    const receiver = await Receiver.start(t), subscriber = await Subscriber.start(t);
    receiver.answer = () => random(15) ? 200 : 500;
    await publish(server, "hook/a", "first");
    const hooks = new Hooks(receiver);
    const players = [new Keys(), hooks, new Readers(), new Subscribers(subscriber), { play: publishForHooks }];
    const env = faultsOf(server, random, seed);
    const counts = { acked: 0, refused: 0, unknown: 0 };
    await server.kill();
    for (let n = 0; n < LIVES; n++) {
        await startFailing(server, env, seed * 100 + n);
        const life = new Life(server, random, `${seed}/${n}`);
        await live(life, players, soon);
        Object.keys(counts).forEach((fate) => (counts[fate] += life.counts[fate]));
    }
    await startFailing(server, { ...env, ...RECOVERING }, seed * 100 + LIVES);
    await live(new Life(server, random, `${seed}/recovers`), players, recovered);
    server.env = {};
    await server.start();
    const last = new Life(server, random, `${seed}/last`);
    for (const player of players) {
        await player.find?.(last);
    }
    const left = await hooks.assertDelivered(server);
    t.diagnostic(`seed ${seed}: ${JSON.stringify(counts)}, ${left} webhooks, ${env.DISK_RATE} of 1,000 calls fail with ${env.DISK_ERRNO}`);
    await server.stop();
}

for (let round = 0; round < ROUNDS; round++) {
    test(`calls to the disk fail while keys, webhooks and marks change: seed ${SEED + round}`, ON_A_FAILING_DISK, async (t) => {
        await playRound(t, SEED + round);
    });
}
