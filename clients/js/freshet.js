/* freshet.js: follow channels of a freshet server, and publish to them.
 *
 * A subscription is a cursor, a position in the server's log, and a function that takes the events after it. All subscriptions of a
 * client share one connection, the feed. The feed reads by the first mechanism that gets through: a WebSocket, a stream of server-sent
 * events, or long-polls. All three bring the same records with the same ids. So whatever happens to a connection, the next one begins
 * at the lowest cursor, and each subscription passes over what it has had.
 *
 * A new subscription first reads pages up to now. Meanwhile what the feed brings waits in the subscription's queue, since it may be
 * newer than what the pages still lack.
 *
 * The tabs of a browser share a feed: the tab that holds a lock reads for all and tells the others what came. When it closes, another
 * tab gets the lock and goes on at everyone's cursors. */

const MECHANISMS = ["ws", "sse", "poll"];
const OPENING_MS = 8_000; /* for a connection's first record: some proxies hold streams back */
const SILENCE_MS = 60_000; /* heartbeats come every 25 seconds */
const EARLY_MS = 1_000; /* a token is replaced when it has less than that to live */
const PAUSE_MS = [500, 30_000]; /* before the next try: it doubles from the first to the last */

const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

const pauseAfter = (failures) => Math.min(PAUSE_MS[0] * 2 ** failures, PAUSE_MS[1]) * (0.5 + Math.random() / 2);

/* Waits, unless or until `signal` is aborted. */
const sleep = (ms, signal) => new Promise((resolve) => {
    const timer = setTimeout(resolve, signal?.aborted ? 0 : ms);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()));
});

/* Says whether a name or pattern stands for a channel. Wildcards do not stand for the server's own channels. */
export function matches(pattern, channel) {
    const wanted = pattern.split("/"), given = channel.split("/");
    if (given[0][0] === "$" && wanted[0] !== given[0])
        return false;
    const open = wanted.at(-1) === "**" && wanted.pop();
    return (open ? given.length > wanted.length : given.length === wanted.length) &&
        wanted.every((part, i) => part === "*" || part === given[i]);
}

/* A refusal by the server: `problem` is its document (RFC 9457), `status` the status of HTTP. */
export class FreshetError extends Error {
    constructor(problem, status = problem.status) {
        super(problem.detail ?? problem.title ?? `the server answered ${status}`);
        Object.assign(this, { name: "FreshetError", problem, status });
    }
}

/* The same request would be refused again. */
const isFinal = ({ status }) => status >= 400 && ![408, 410, 425, 429, 500, 502, 503, 504].includes(status);

/* The records of a stream of server-sent events, in the shape that a WebSocket brings them. */
async function* recordsOf(body, giveUp) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = "", patience = OPENING_MS; ; patience = SILENCE_MS) {
        const watch = setTimeout(giveUp, patience);
        const { done, value } = await reader.read().finally(() => clearTimeout(watch));
        if (done)
            return;
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) {
            const data = /^data: (.*)$/m.exec(block);
            const op = /^event: \$(\w+)$/m.exec(block)?.[1];
            if (data)
                yield op ? { op, ...JSON.parse(data[1]) } : { op: "event", event: JSON.parse(data[1]) };
        }
    }
}

/* When a JWT ends, in milliseconds since 1970; 0 for one without end, and for what is no JWT. */
function endOf(token) {
    try {
        return JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"))).exp * 1000 || 0;
    } catch {
        return 0;
    }
}

class Subscription {
    constructor(channels, { types, cursor = "", told = "", id = newId() } = {}, handlers = {}) {
        Object.assign(this, { channels, types, cursor, told, id, handlers, joined: false, queue: [] });
    }

    /* What a tab tells another of it. */
    get wish() {
        const { channels, cursor, told, id } = this;
        return { channels, cursor, told, id };
    }

    take(record) {
        this.queue ? this.queue.push(record) : this.apply(record);
    }

    apply({ op, event, ...record }) {
        if (op === "event" && (!event.id || event.id > this.cursor)) {
            this.cursor = event.id ?? this.cursor;
            if (this.channels.some((name) => matches(name, event.channel)) && (!this.types || this.types.includes(event.type)))
                this.handlers.event?.(event);
        } else if (op === "beat" && record.cursor > this.cursor) {
            this.cursor = record.cursor;
        } else if (op === "gap" && record.earliest > this.cursor && record.earliest > this.told) {
            this.told = record.earliest;
            this.handlers.gap?.(record);
        }
    }

    /* Ends the queue: from here on the feed's order is the subscription's. */
    flow() {
        const idOf = ({ event }) => event?.id ?? "";
        const queue = this.queue?.sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1)) ?? [];
        this.queue = null;
        queue.filter(({ op }) => op === "event").forEach((record) => this.apply(record));
    }
}

/* Gives subscriptions what a feed brings. */
function distribute(subscriptions, record) {
    for (const one of subscriptions) {
        if (record.op === "live")
            one.id === record.ref && one.flow();
        else if (record.op === "refused")
            one.id === record.ref && one.refused?.(new FreshetError(record.problem, record.status));
        else if (record.op === "reset") /* a new connection brings what the queue holds once more */
            one.queue = one.joined ? null : one.queue;
        else
            one.take(record);
    }
}

/* The connection. `joined` gives the subscriptions that have read their pages; `tell` takes records, `state` a state and a mechanism. */
class Feed {
    constructor(client, joined, tell, state) {
        Object.assign(this, { client, joined, tell, state, mechanisms: client.options.mechanisms ?? MECHANISMS, at: 0, failures: 0 });
        this.run();
    }

    stop() {
        this.stopped = true;
        this.restart();
    }

    /* Ends the connection, or the pause, and begins the next connection at once. */
    restart() {
        this.changed = true;
        this.control.abort();
    }

    /* All that is wanted, from the lowest cursor on; null if nothing is. */
    selection() {
        const all = this.joined();
        return all.length ? {
            channels: [...new Set(all.flatMap((one) => one.channels))],
            after: all.map((one) => one.cursor).sort()[0],
            told: all.map((one) => one.told).sort().pop() || undefined,
        } : null;
    }

    join(one) {
        const fresh = one.channels.filter((name) => !this.open?.has(name));
        if (this.socket && this.open && fresh.length) {
            fresh.forEach((name) => this.open.add(name));
            this.send({ op: "subscribe", channels: fresh, after: one.cursor, told: one.told || undefined, ref: one.id });
        } else {
            this.tell({ op: "live", ref: one.id });
            fresh.length && this.restart();
        }
    }

    leave(one) {
        const wanted = new Set(this.joined().flatMap((other) => other.channels));
        const gone = one.channels.filter((name) => !wanted.has(name) && this.open?.delete(name));
        if (gone.length)
            this.socket && wanted.size ? this.send({ op: "unsubscribe", channels: gone, ref: 1 }) : this.restart();
    }

    send(message) {
        this.socket.send(JSON.stringify(message));
    }

    async run() {
        while (!this.stopped) {
            this.control = new AbortController();
            this.changed = this.begun = false;
            this.retryMs = 0;
            if (!this.selection()) {
                this.state("idle");
                await sleep(2 ** 31 - 1, this.control.signal);
                continue;
            }
            const error = await this[this.mechanisms[this.at]](this.control.signal).catch((error) => error);
            this.open = this.socket = null;
            this.client.closed || this.state("connecting");
            this.changed || await this.ended(error);
        }
        this.state("closed");
    }

    /* Asks for each subscription alone which of them a refusal concerns. */
    async refused() {
        for (const { id, channels, cursor, told } of this.joined())
            await this.client.page({ channels, after: cursor, told: told || undefined, limit: 1 }).catch(({ problem, status }) =>
                isFinal({ status }) && this.tell({ op: "refused", ref: id, problem, status }));
    }

    /* A mechanism that twice did not begin, although the server answers other requests, gives its place to the next. */
    async ended(error) {
        if (isFinal(error ?? {}) && !await this.client.renewed(error))
            await this.refused();
        this.failures = this.begun ? 0 : this.failures + 1;
        const lame = this.failures === 2 && await this.client.answers();
        if (lame) {
            this.at = (this.at + 1) % this.mechanisms.length;
            this.failures = 0;
        }
        if (!lame || this.at === 0)
            await sleep(this.retryMs || pauseAfter(this.failures), this.control.signal);
    }

    /* A connection that serves `selection` has begun. */
    began({ channels }) {
        this.begun = true;
        this.open = new Set(channels);
        this.tell({ op: "reset" });
        this.state("live", this.mechanisms[this.at]);
    }

    hear(record) {
        if (record.op === "bye")
            this.retryMs = record.retry_ms;
        else if (["event", "beat", "gap", "live"].includes(record.op))
            this.tell(record);
    }

    async ws(signal) {
        const token = await this.client.token();
        const url = this.client.url("/events").href.replace(/^http/, "ws");
        const socket = new (this.client.options.WebSocket ?? WebSocket)(url, ["freshet.v1", ...token ? [`freshet.token.${token}`] : []]);
        let watch, renewal;
        return new Promise((resolve, reject) => {
            const within = (ms) => (clearTimeout(watch), watch = setTimeout(resolve, ms));
            within(OPENING_MS);
            signal.addEventListener("abort", resolve);
            socket.onopen = () => {
                const selection = this.selection();
                if (!selection)
                    return resolve();
                this.socket = socket;
                this.began(selection);
                this.send({ op: "subscribe", ref: 0, ...selection });
                renewal = this.client.beforeEnd(token, (token) => this.send({ op: "auth", token, ref: 2 }));
            };
            socket.onmessage = ({ data }) => {
                within(SILENCE_MS);
                const record = JSON.parse(data);
                record.op === "error" ? reject(new FreshetError(record.problem)) : this.hear(record);
            };
            socket.onerror = () => {};
            socket.onclose = ({ code, reason }) => code >= 4400 && code < 4600
                ? reject(new FreshetError({ type: reason, title: `the server closed: ${reason}`, status: code - 4000 })) : resolve();
        }).finally(() => {
            clearTimeout(watch);
            renewal?.();
            socket.onmessage = socket.onclose = null;
            socket.close();
        });
    }

    async sse(signal) {
        const selection = this.selection();
        const giveUp = () => this.control.abort();
        const watch = setTimeout(giveUp, OPENING_MS);
        const { body } = await this.client.request("/events", { ...selection, stream: "sse", format: "event" }, { signal })
            .finally(() => clearTimeout(watch));
        for await (const record of recordsOf(body, giveUp)) {
            this.begun || this.began(selection);
            this.hear(record);
        }
    }

    async poll(signal) {
        for (let selection; !signal.aborted && (selection = this.selection());) {
            const page = await this.client.page({ ...selection, wait: this.begun ? 25 : undefined }, signal);
            this.begun || this.began(selection);
            page.records.forEach((record) => this.hear(record));
        }
    }
}

/* A feed for all tabs. The tab with the lock has the feed; messages are wishes to it, and records and states from it. */
class SharedFeed {
    constructor(client, own, tell, state) {
        Object.assign(this, { client, own, tell, state, tab: newId(), others: new Map(), stopping: new AbortController() });
        this.name = `freshet ${client.base} ${client.options.share ?? ""}`;
        this.air = new BroadcastChannel(this.name);
        this.air.onmessage = ({ data }) => this[data.to]?.(data);
        const alive = new Promise((resolve) => (this.end = resolve));
        navigator.locks.request(this.name + this.tab, () => alive);
        navigator.locks.request(this.name, { signal: this.stopping.signal }, () => (this.lead(), alive)).catch(() => {});
        this.say("greet");
    }

    say(to, message) {
        this.air.postMessage({ to, tab: this.tab, ...message });
    }

    lead() {
        const others = () => [...this.others.values()].flatMap((wishes) => [...wishes.values()]);
        const tell = (record) => {
            distribute(others(), record);
            this.tell(record);
            this.say("follow", { record });
        };
        const state = (...now) => (this.state(...this.now = now), this.say("follow", { now }));
        this.feed = new Feed(this.client, () => [...this.own(), ...others()], tell, state);
        this.say("renew");
        this.own().forEach((one) => this.feed.join(one));
    }

    /* To the others: a record, or a state. */
    follow({ record, now }) {
        record ? this.tell(record) : this.state(...now);
    }

    /* To the others: another tab reads from now on. */
    renew() {
        this.own().forEach((one) => this.join(one));
    }

    /* To the tab that reads. */
    greet() {
        this.now && this.say("follow", { now: this.now });
    }

    /* To the tab that reads: a subscription of another tab. That tab's own lock is free once it is gone. */
    add({ tab, wish }) {
        if (!this.feed)
            return;
        if (!this.others.has(tab)) {
            this.others.set(tab, new Map());
            navigator.locks.request(this.name + tab, { signal: this.stopping.signal }, () => this.remove({ tab })).catch(() => {});
        }
        const one = Object.assign(new Subscription(wish.channels, wish), { joined: true });
        this.others.get(tab).set(wish.id, one);
        this.feed.join(one);
    }

    /* To the tab that reads: a subscription has ended, or the whole tab. */
    remove({ tab, id }) {
        const wishes = this.others.get(tab);
        const gone = [...wishes?.values() ?? []].filter((one) => !id || one.id === id);
        gone.forEach((one) => wishes.delete(one.id));
        id || this.others.delete(tab);
        gone.forEach((one) => this.feed.leave(one));
    }

    join(one) {
        this.feed ? this.feed.join(one) : this.say("add", { wish: one.wish });
    }

    leave(one) {
        this.feed ? this.feed.leave(one) : this.say("remove", { id: one.id });
    }

    stop() {
        this.feed ? this.feed.stop() : this.state("closed");
        this.stopping.abort();
        this.air.close();
        this.end();
    }
}

class Client {
    constructor(url, options) {
        this.base = new URL(url, globalThis.location?.href).href.replace(/\/$/, "");
        Object.assign(this, { options, subscriptions: new Set(), state: "idle", mechanism: null, order: Promise.resolve(), waiting: [] });
        const shares = options.share !== false && globalThis.window && navigator.locks && globalThis.BroadcastChannel;
        this.feed = new (shares ? SharedFeed : Feed)(this, () => [...this.subscriptions].filter((one) => one.joined),
            (record) => distribute(this.subscriptions, record), (state, mechanism = null) => {
                Object.assign(this, { state, mechanism });
                options.onState?.(state, mechanism);
            });
    }

    /* Gives `handler` the events of `channels` (a name or pattern, or several). See freshet.d.ts. */
    subscribe(channels, handler, { after = "now", last, types } = {}) {
        const handlers = typeof handler === "function" ? { event: handler } : handler;
        const one = new Subscription([channels].flat(), { types }, handlers);
        one.refused = (error) => {
            this.drop(one);
            handlers.error ? handlers.error(error) : console.error(error);
        };
        this.subscriptions.add(one);
        this.begin(one, last ? { last } : { after }).catch((error) => this.subscriptions.has(one) && one.refused(error));
        return { close: () => this.drop(one), get cursor() { return one.cursor; }, get channels() { return one.channels; } };
    }

    /* Reads pages up to now, then hands the subscription to the feed. */
    async begin(one, from) {
        for (let more = true; more && this.subscriptions.has(one);) {
            const page = await this.insist(() => this.page({ channels: one.channels, type: one.types, limit: 1000, ...from }));
            if (!this.subscriptions.has(one))
                return;
            page.records.forEach((record) => one.apply(record));
            from = { after: one.cursor || from.after, told: one.told || undefined };
            more = page.more;
        }
        if (this.subscriptions.has(one)) {
            one.joined = true;
            one.handlers.live?.();
            this.feed.join(one);
        }
    }

    drop(one) {
        if (this.subscriptions.delete(one) && one.joined)
            this.feed.leave(one);
    }

    close() {
        this.closed = true;
        this.subscriptions.clear();
        this.feed.stop();
    }

    /* Publishes, and answers with the receipt. Events are published in the order of the calls; ephemeral ones at once. */
    publish(channel, data, { type, key, ephemeral, ifMatch } = {}) {
        const isBytes = data instanceof Uint8Array || data instanceof ArrayBuffer;
        const headers = {
            "Content-Type": isBytes ? "application/octet-stream" : typeof data === "string" ? "text/plain" : "application/json",
            ...type && { "Event-Type": type },
            ...ifMatch && { "If-Match": `"${ifMatch}"` },
            ...ephemeral || { "Idempotency-Key": `"${key ?? newId()}"` },
        };
        const body = isBytes || typeof data === "string" ? data : JSON.stringify(data);
        const path = `/channels/${channel.split("/").map(encodeURIComponent).join("/")}`;
        const post = () => this.insist(async () =>
            (await this.request(path, { ephemeral: ephemeral ? 1 : undefined }, { method: "POST", headers, body })).json());
        return ephemeral ? post() : this.order = this.order.catch(() => {}).then(post);
    }

    /* Asks until there is an answer that stays. */
    async insist(ask) {
        for (let failures = 0; ; failures++) {
            try {
                return await ask();
            } catch (error) {
                if (this.closed || isFinal(error) && !await this.renewed(error))
                    throw error;
                await sleep(error.retryMs ?? pauseAfter(failures));
            }
        }
    }

    url(path, { channels = [], ...parameters } = {}) {
        const url = new URL(this.base + path);
        const all = { channel: channels, ...parameters };
        for (const [name, values] of Object.entries(all))
            for (const value of [values ?? []].flat())
                url.searchParams.append(name, value);
        return url;
    }

    async request(path, parameters, { headers, ...rest } = {}) {
        const token = await this.token();
        const response = await (this.options.fetch ?? fetch)(this.url(path, parameters), {
            credentials: this.options.credentials,
            headers: { ...headers, ...token && { Authorization: `Bearer ${token}` } },
            ...rest,
        });
        if (response.ok)
            return response;
        const problem = await response.json().catch(() => ({}));
        const retry = Number(response.headers.get("Retry-After"));
        throw Object.assign(new FreshetError(problem, response.status), { token }, retry && { retryMs: retry * 1000 });
    }

    /* A page as records, and whether there is more. A gap (410) is a page that says so. */
    async page(parameters, signal) {
        try {
            const page = await (await this.request("/events", parameters, { signal })).json();
            const events = page.events.map((event) => ({ op: "event", event }));
            return { records: [...events, { op: "beat", cursor: page.cursor }], more: page.more };
        } catch (error) {
            if (error.status !== 410)
                throw error;
            return { records: [{ op: "gap", ...error.problem }], more: true };
        }
    }

    /* The server answers something, so that a mechanism which does not begin is to blame itself. */
    answers() {
        return this.request("/healthz").then(() => true, () => false);
    }

    async token() {
        if (typeof this.options.token !== "function")
            return this.options.token;
        const known = await (this.known ?? this.askToken());
        const end = endOf(known);
        return end && end < Date.now() + EARLY_MS ? this.askToken() : known;
    }

    askToken() {
        const asked = this.known = Promise.resolve().then(this.options.token);
        asked.catch(() => this.known === asked && (this.known = null));
        return asked;
    }

    /* After a 401: whether there is another token than the refused one. */
    async renewed({ status, token }) {
        if (status !== 401 || typeof this.options.token !== "function")
            return false;
        if (await this.known === token)
            this.known = null;
        return await this.token() !== token;
    }

    /* Hands over a new token shortly before `token` ends, and so on; gives a function that stops that. */
    beforeEnd(token, use) {
        let timer;
        const plan = (end) => {
            timer = end && setTimeout(async () => {
                const next = await this.askToken().catch(() => null); /* without one the connection ends with the old one */
                next && use(next);
                next && plan(endOf(next));
            }, Math.min(Math.max((end - Date.now()) * 0.8, EARLY_MS), 2 ** 31 - 1));
        };
        plan(typeof this.options.token === "function" && endOf(token));
        return () => clearTimeout(timer);
    }
}

/* A client of the server at `url`; without one, of the server that the page came from. */
export function connect(url = "/", options = {}) {
    return new Client(url, options);
}
