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
const SILENCE_MS = 60_000; /* heartbeats come every 25 seconds; for answers and tokens, too */
const EARLY_MS = 1_000; /* a token is replaced when it has less than that to live */
const QUEUE_MAX = 10_000; /* records that wait for a subscription */
const PAUSE_MS = 500, PAUSE_MAX_MS = 10_000; /* before the next try: it doubles from the first to the last */
const GREET_MS = 30_000; /* a tab that has heard nothing for so long asks, and waits as long for an answer */

const TIMER_MAX_MS = 2e9; /* timers of more than 31 bits end at once */

const newId = () => crypto.getRandomValues(new Uint32Array(4)).join();

const pauseAfter = (failures) => Math.min(PAUSE_MS * 2 ** failures, PAUSE_MAX_MS) / 2 * (1 + Math.random());

/* Calls a function of the user's. Its failure is no failure of a connection, and must not keep records from others. */
function call(object, name, ...values) {
    try {
        object[name]?.(...values);
    } catch (error) {
        (globalThis.reportError ?? console.error)(error);
    }
}

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
const isFinal = (error) => error?.status >= 400 && ![408, 410, 425, 429, 500, 502, 503, 504].includes(error.status);

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
            const field = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
            const data = field.data && JSON.parse(field.data);
            if (data)
                yield field.event?.[0] === "$" ? { op: field.event.slice(1), retry_ms: +field.retry, ...data } : { op: "event", event: data };
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
    constructor(wish, handlers = {}) {
        Object.assign(this, { cursor: "", id: newId(), queue: [], handlers, ...wish });
    }

    /* What a tab tells another of it. */
    get wish() {
        const { channels, cursor, told, id, spilt } = this;
        return { channels, cursor, told, id, spilt };
    }

    /* Heartbeats do not wait, since they know nothing of the pages. A queue that is too long is given up: the feed then begins anew at the
     * cursor that the pages have led to. */
    take(record) {
        if (!this.queue) {
            this.apply(record);
        } else if (record.op !== "beat" && this.queue.push(record) > QUEUE_MAX) {
            this.spilt = true;
            this.queue = [];
        }
    }

    /* An event of another subscription's channel says where the feed is, unless it came `apart` from the order of the log. */
    apply({ op, event, apart, cursor, after, earliest, reason, passed }) {
        if (this.ended || event?.id <= this.cursor)
            return;
        if (op === "event") {
            const isOwn = this.channels.some((name) => matches(name, event.channel));
            if (isOwn || !apart)
                this.cursor = event.id ?? this.cursor;
            if (isOwn && (!this.types || this.types.includes(event.type)))
                call(this.handlers, "event", event);
        } else if (op === "beat" && cursor > this.cursor) {
            this.cursor = cursor;
        } else if (op === "gap") {
            if (reason === "unknown") /* the cursor is of another log, and above all of this one */
                this.cursor = earliest;
            else if (earliest <= this.told || !passed && earliest <= this.cursor)
                return;
            this.told = earliest;
            call(this.handlers, "gap", { after, earliest, reason });
        }
    }

    /* Ends the queue: from here on the feed's order is the subscription's. */
    flow() {
        if (this.spilt)
            return this.join?.();
        const idOf = ({ event }) => event?.id ?? "";
        const queue = this.queue ?? [];
        this.queue = null;
        queue.sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1)).forEach((record) => this.apply(record));
    }
}

/* Gives subscriptions what a feed brings. */
function distribute(subscriptions, record) {
    for (const one of subscriptions) {
        if (record.op === "live")
            one.id === record.ref && one.flow();
        else if (record.op === "refused")
            one.id === record.ref && one.refused?.(new FreshetError(record.problem, record.status));
        else if (record.op === "reset") /* a new connection brings what the queue holds once more; the last one may have lacked a channel */
            one.queue = record.refs.includes(one.id) ? one.spilt = null : one.queue && [];
        else
            one.take(record);
    }
}

/* The connection. `admitted` gives the subscriptions that have read their pages; `tell` takes records, `state` a state and a mechanism. */
class Feed {
    constructor(client, admitted, tell, state) {
        Object.assign(this, { client, admitted, tell, state, failures: 0, order: client.options.mechanisms ?? MECHANISMS, at: 0 });
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

    /* All that is wanted, from the lowest cursor on; undefined if nothing is. `told` is left out where gaps are not known to all. */
    selection() {
        const all = this.admitted();
        return all[0] && {
            channels: [...new Set(all.flatMap((one) => one.channels))],
            after: all.map((one) => one.cursor).sort()[0],
            told: all.map(({ told, cursor }) => told > cursor ? told : "").sort()[0] || undefined,
        };
    }

    /* Serves `one` from its cursor on. Where the connection lacks a channel, or may have it only from a later position on (`from`), the
     * queue waits for a new connection. A WebSocket brings further channels apart from the others until it says that they are live. */
    join(one) {
        if (this.open === null)
            return;
        if (one.spilt || one.cursor < this.from || !this.socket && !one.channels.every((name) => this.open?.has(name))) {
            this.restart();
        } else if (this.socket) {
            this.joining++;
            this.from = one.cursor;
            one.channels.forEach((name) => this.open.add(name));
            this.send({ op: "subscribe", channels: one.channels, after: one.cursor, told: one.told, ref: one.id });
        } else {
            this.tell({ op: "live", ref: one.id });
        }
    }

    /* A stream or poll that is beginning (`open` is undefined) may have the channel: it begins anew. */
    leave(one) {
        const wanted = this.selection()?.channels;
        const gone = one.channels.filter((name) => !wanted?.includes(name) && this.open !== null && this.open?.delete(name) !== false);
        if (gone[0])
            this.socket && wanted ? this.send({ op: "unsubscribe", channels: gone, ref: 1 }) : this.restart();
    }

    send(message) {
        this.socket.send(JSON.stringify(message));
    }

    async run() {
        while (!this.stopped) {
            this.control = new AbortController();
            this.changed = this.begun = this.retryMs = this.open = undefined;
            if (!this.selection()) {
                this.state("idle");
                await this.client.pause(Infinity, this.control.signal);
                continue;
            }
            this.state("connecting");
            const error = await this[this.order[this.at]](this.control.signal).catch((error) => error);
            this.open = new Set();
            this.socket = undefined;
            this.changed || await this.ended(error);
        }
        this.client.closed && this.state("closed");
    }

    /* Asks for each subscription alone which of them a refusal concerns. If only all of them are too much, the newest has to go. */
    async refused(refusal) {
        const all = this.admitted();
        const refuse = ({ id: ref }, { problem, status }) => this.tell({ op: "refused", ref, problem, status });
        for (const one of all)
            await this.client.page({ channels: one.channels, after: one.cursor, limit: 1 })
                .catch((error) => isFinal(error) && refuse(one, error));
        if (all.length > 1 && all.length === this.admitted().length && [400, 414].includes(refusal.status))
            refuse(all.pop(), refusal);
    }

    /* A mechanism that twice did not begin, although the server answers other requests, gives its place to the next. That the server
     * itself says "later" is not the mechanism's fault. */
    async ended(error) {
        this.control.abort(); /* a stream may still be open: what it brought may have been nonsense */
        this.control = new AbortController();
        this.state("connecting");
        if (isFinal(error) && !await this.client.renewed(error))
            await this.refused(error);
        this.failures = this.begun ? 0 : this.failures + 1;
        const later = error?.problem?.type && !isFinal(error);
        if (this.failures > 1 && !later && await this.client.answers()) {
            this.failures = 0;
            this.at = (this.at + 1) % this.order.length;
            if (this.at)
                return;
        }
        await this.client.pause(this.retryMs || error?.retryMs || pauseAfter(this.failures), this.control.signal);
    }

    /* A connection serves `selection` from now on. */
    began({ channels, after }) {
        this.open = new Set(channels);
        this.from = after;
        this.joining = 0;
        this.tell({ op: "reset", refs: this.admitted().map(({ id }) => id) });
    }

    /* Takes a record, the first of which begins a connection that serves `selection`. A WebSocket has begun to serve it before. */
    hear(record, selection) {
        if (!this.begun) {
            selection && this.began(selection);
            this.state("live", this.order[this.at]);
        }
        this.begun = true;
        this.client.connection = record.connection ?? this.client.connection;
        if (record.op === "bye")
            this.retryMs = record.retry_ms;
        if (record.op === "live" && record.ref)
            this.joining--;
        this.tell({ ...record, apart: this.joining });
    }

    /* What is wanted is said once the socket is open. Until then (`open` is null) it may change: Firefox complains of sockets that are closed
     * before they are open. */
    async ws(signal) {
        this.open = null;
        let token = await this.client.token();
        if (signal.aborted)
            return;
        const url = this.client.url("/events").href.replace(/^http/, "ws");
        const socket = new (this.client.options.WebSocket ?? WebSocket)(url, ["freshet.v1", ...token ? [`freshet.token.${token}`] : []]);
        let watch, renewal;
        return new Promise((resolve, reject) => {
            const refuse = (problem) => reject(Object.assign(new FreshetError(problem), { token }));
            const within = (ms) => (clearTimeout(watch), watch = setTimeout(resolve, ms));
            within(OPENING_MS);
            signal.addEventListener("abort", resolve);
            socket.onopen = () => {
                const selection = this.selection();
                if (!selection)
                    return this.restart();
                this.socket = socket;
                this.began(selection);
                this.send({ op: "subscribe", ref: 0, ...selection });
                renewal = this.client.beforeEnd(token, (next) => this.send({ op: "auth", token: token = next, ref: 2 }));
            };
            socket.onmessage = ({ data }) => {
                within(SILENCE_MS);
                const record = JSON.parse(data);
                if (record.op === "error")
                    refuse(record.problem);
                else if (record.op === "lost" || record.lost?.length)
                    refuse({ status: 403 }); /* the rights have changed: `refused` finds out whose */
                else
                    this.hear(record);
            };
            socket.onerror = () => {};
            socket.onclose = ({ code, reason }) => code >= 4400 && code < 4600
                ? refuse({ type: reason, title: `the server closed: ${reason}`, status: code - 4000 }) : resolve();
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
            if (signal.aborted)
                return;
            this.hear(record, selection);
        }
    }

    async poll(signal) {
        for (let selection, told; selection = this.selection();) {
            const wait = this.begun && 25, soon = Date.now() + PAUSE_MS;
            const page = await this.client.page({ ...selection, ...told && { told }, wait }, signal);
            if (signal.aborted)
                return;
            told = page.told;
            page.records.forEach((record) => this.hear(record, selection));
            if (wait && !page.records[1] && Date.now() < soon) /* something in between has it answered without a wait */
                await this.client.pause(PAUSE_MS, signal);
        }
    }
}

/* A feed for all tabs. The tab with the lock has the feed; messages are wishes to it, and records and states from it. A tab that has the
 * lock and hangs answers no greeting: then another takes its lock. */
class SharedFeed {
    constructor(client, own, tell, state) {
        Object.assign(this, { client, own, tell, state, tab: newId(), others: new Map(), stopping: new AbortController() });
        this.name = `freshet ${client.base} ${client.options.share ?? client.options.as ?? ""}`;
        this.air = new BroadcastChannel(this.name);
        this.air.onmessage = ({ data }) => this[data.to]?.(data);
        this.alive = new Promise((resolve) => (this.end = resolve));
        navigator.locks.request(this.name + this.tab, () => this.alive);
        this.vie();
        this.heed();
        this.say("greet");
    }

    /* Leads as soon as the lock is free, or has been taken from its tab, until the lock is taken from this one. */
    vie(options = { signal: this.stopping.signal }) {
        navigator.locks.request(this.name, options, () => (this.lead(), this.alive)).catch(() => {
            if (!this.feed || this.client.closed)
                return;
            this.feed.stop();
            this.feed = this.now = null;
            this.others.clear();
            this.vie();
            this.renew();
        });
    }

    /* Has heard from the tab that reads. */
    heed() {
        const wait = (then, ms = GREET_MS) => (clearTimeout(this.watch), this.watch = setTimeout(() => this.feed || this.client.closed || then(), ms));
        wait(() => (this.say("greet"), wait(() => (this.heed(), this.vie({ steal: true })), GREET_MS * (1 + Math.random()))));
    }

    say(to, message) {
        this.client.closed || this.air.postMessage({ to, tab: this.tab, ...message });
    }

    lead() {
        if (this.feed)
            return;
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
        this.heed();
        record ? this.tell(record) : this.state(...now);
    }

    /* To the others: another tab reads from now on. */
    renew() {
        this.heed();
        this.own().forEach((one) => this.join(one));
    }

    /* To the tab that reads, and a reason for all to try again at once: somebody has opened another tab, or come back to one. */
    greet() {
        this.client.pauses.forEach((end) => end());
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
        const one = new Subscription(wish);
        this.others.get(tab).set(wish.id, one);
        this.feed.join(one);
    }

    /* To the tab that reads: a subscription has ended, or the whole tab. */
    remove({ tab, id }) {
        const wishes = this.others.get(tab);
        id || this.others.delete(tab);
        wishes?.forEach((one) => {
            if (!id || one.id === id) {
                wishes.delete(one.id);
                this.feed.leave(one);
            }
        });
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
        Object.assign(this, { options, subscriptions: new Set(), pauses: new Set(), ending: new AbortController(), order: Promise.resolve(), state: "idle", mechanism: null });
        const shares = options.share !== false && globalThis.window && navigator.locks && globalThis.BroadcastChannel;
        this.feed = new (shares ? SharedFeed : Feed)(this, () => [...this.subscriptions].filter((one) => one.admitted),
            (record) => distribute(this.subscriptions, record), (state, mechanism = null) => {
                if (state !== this.state || mechanism !== this.mechanism) {
                    Object.assign(this, { state, mechanism });
                    call(options, "onState", state, mechanism);
                }
            });
    }

    /* Gives `handler` the events of `channels` (a name or pattern, or several). See freshet.d.ts. */
    subscribe(channels, handler, { after = "now", last, types } = {}) {
        const handlers = typeof handler === "function" ? { event: handler } : handler;
        const one = new Subscription({ channels: [channels].flat(), types }, handlers);
        one.refused = (error) => {
            this.drop(one);
            call(handlers.error ? handlers : console, "error", error);
        };
        one.join = () => this.feed.join(one);
        this.subscriptions.add(one);
        this.begin(one, last ? { last } : { after }).catch((error) => one.ended || one.refused(error));
        return { close: () => this.drop(one), get cursor() { return one.cursor; }, channels: one.channels };
    }

    /* Reads pages up to now, then hands the subscription to the feed. */
    async begin(one, from) {
        for (let more = true; more && !one.ended;) {
            const page = await this.insist(() => this.page({ channels: one.channels, type: one.types, limit: 1000, ...from }));
            page.records.forEach((record) => one.apply(record));
            const before = from.after + from.told;
            from = { after: one.cursor || from.after, told: page.told };
            more = page.more || page.told < one.cursor;
            if (more && from.after + from.told === before) /* something in between says so each time */
                await this.pause(PAUSE_MS);
        }
        one.ended || call(one.handlers, "live");
        if (!one.ended) {
            one.admitted = true;
            one.join();
        }
    }

    drop(one) {
        one.ended = true;
        if (this.subscriptions.delete(one) && one.admitted)
            this.feed.leave(one);
    }

    close() {
        this.closed = true;
        this.ending.abort();
        this.subscriptions.forEach((one) => this.drop(one));
        this.feed.stop();
    }

    /* Publishes, and answers with the receipt. Events are published in the order of the calls; ephemeral ones at once, and since they
     * are news only now, they are tried twice at most. */
    async publish(channel, data, { type, key, ephemeral, ifMatch, except } = {}) {
        const [media, body] = data instanceof Uint8Array || data instanceof ArrayBuffer ? ["application/octet-stream", data]
            : typeof data === "string" ? ["text/plain", data] : ["application/json", JSON.stringify(data)];
        if (/(^|\/)\.\.?(\/|$)/.test(channel)) /* which would make it the path of another channel */
            throw new FreshetError({ title: `${channel} is not a channel's name`, status: 400 });
        const headers = new Headers({
            "Content-Type": media,
            ...type && { "Event-Type": type },
            ...ifMatch && { "If-Match": `"${ifMatch}"` },
            ...except && { "Event-Except": except },
            ...ephemeral || { "Idempotency-Key": `"${key ?? newId()}"` },
        });
        const path = `/channels/${channel.split("/").map(encodeURIComponent).join("/")}`;
        const post = () => this.insist(async () => {
            const receipt = await this.json(path, { ephemeral: ephemeral ? 1 : undefined }, { method: "POST", headers, body });
            if (!receipt.time) /* something in between has answered: the event may not be there */
                throw new FreshetError({ title: "no receipt" });
            return receipt;
        }, ephemeral ? 1 : Infinity);
        return ephemeral ? post() : this.order = this.order.catch(() => {}).then(post);
    }

    /* Asks until there is an answer that stays, or it has failed more than `most` times. */
    async insist(ask, most = Infinity) {
        for (let failures = 0; ; failures++) {
            try {
                return await ask();
            } catch (error) {
                if (failures >= most || isFinal(error) && !await this.renewed(error))
                    throw error;
                await this.pause(error.retryMs || pauseAfter(failures));
                if (this.closed)
                    throw error;
            }
        }
    }

    /* Waits, unless or until `signal` is aborted. Whoever calls what is in `pauses` meanwhile ends the pause as well. */
    pause(ms, signal = this.ending.signal) {
        return new Promise((resolve) => {
            const end = () => (clearTimeout(timer), signal.removeEventListener("abort", end), this.pauses.delete(end), resolve());
            const timer = setTimeout(end, signal.aborted ? 0 : Math.min(ms, TIMER_MAX_MS));
            signal.addEventListener("abort", end);
            this.pauses.add(end);
        });
    }

    /* Tries again at once, in all tabs that share the connection: there is reason to think that the server or the network is back. */
    retry() {
        this.pauses.forEach((end) => end());
        this.feed.say?.("greet");
    }

    /* Watches who is on a channel. That is a module of its own, for those who need it. */
    async presence(channel, handlers) {
        return (await import("./freshet-presence.js")).presence(this, channel, handlers);
    }

    url(path, { channels = [], ...parameters } = {}) {
        const url = new URL(this.base + path);
        const all = { channel: channels, as: path === "/events" ? this.options.as : undefined, ...parameters };
        for (const [name, values] of Object.entries(all))
            for (const value of [values ?? []].flat())
                url.searchParams.append(name, value);
        return url;
    }

    async request(path, parameters, { headers, ...rest } = {}) {
        const token = await this.token();
        headers = new Headers(headers);
        token && headers.set("Authorization", `Bearer ${token}`);
        const response = await (this.options.fetch ?? fetch)(this.url(path, parameters), {
            credentials: this.options.credentials,
            headers,
            ...rest,
        });
        if (response.ok)
            return response;
        const problem = await response.json().catch(() => ({}));
        throw Object.assign(new FreshetError(problem, response.status), { token, retryMs: Math.max(0, 1000 * response.headers.get("Retry-After")) });
    }

    /* An answer as JSON, which has to come within a minute: a connection may be dead and not say so. */
    json(path, parameters, { signal, ...options } = {}) {
        const control = new AbortController();
        const end = () => control.abort();
        const watch = setTimeout(end, SILENCE_MS);
        signal?.aborted ? end() : signal?.addEventListener("abort", end);
        return this.request(path, parameters, { ...options, signal: control.signal }).then((response) => response.json()).finally(() => {
            clearTimeout(watch);
            signal?.removeEventListener("abort", end);
        });
    }

    /* A page as records, and whether there is more. A gap (410) is a page that says so; `passed`: behind the cursor. */
    async page(parameters, signal = this.ending.signal) {
        try {
            const page = await this.json("/events", parameters, { signal });
            const events = page.events.map((event) => ({ op: "event", event }));
            return { records: [...events, { op: "beat", cursor: page.cursor }], more: page.more, told: page.told };
        } catch (error) {
            const earliest = error.problem?.earliest;
            if (!earliest)
                throw error;
            return { records: [{ op: "gap", ...error.problem, passed: earliest <= parameters.after }], more: true, told: earliest };
        }
    }

    /* The server answers something, so that a mechanism which does not begin is to blame itself. */
    answers() {
        return this.json("/healthz", {}, { signal: this.ending.signal }).then(() => true, () => false);
    }

    async token() {
        if (typeof this.options.token !== "function")
            return this.options.token;
        const known = await (this.known ?? this.askToken());
        const end = endOf(known);
        return end && end < Date.now() + EARLY_MS ? this.askToken() : known;
    }

    /* The function may never answer, so its token has to come within a minute. That timer does not keep Node running. */
    askToken() {
        const asked = this.known = new Promise((resolve, reject) => {
            Promise.resolve().then(this.options.token).then(resolve, reject);
            setTimeout(reject, SILENCE_MS, new FreshetError({ title: "no token came" })).unref?.();
        });
        asked.catch(() => this.known === asked && (this.known = null));
        return asked;
    }

    /* After a 401: whether there is another token than the refused one. */
    async renewed({ status, token }) {
        if (status === 401)
            try {
                if (await this.known === token)
                    this.known = null;
                return await this.token() !== token;
            } catch { /* there may be one later */
                return true;
            }
    }

    /* Hands over a new token shortly before `token` ends, and so on; gives a function that stops that. */
    beforeEnd(token, use) {
        let timer;
        const plan = (end) => {
            timer = end && setTimeout(async () => {
                const next = await this.askToken().catch(() => null); /* without one the connection ends with the old one */
                if (next && timer) {
                    use(next);
                    plan(endOf(next));
                }
            }, Math.min(Math.max((end - Date.now()) * 0.8, EARLY_MS), TIMER_MAX_MS));
        };
        plan(endOf(token));
        return () => (clearTimeout(timer), timer = null);
    }
}

/* A client of the server at `url`; without one, of the server that the page came from. */
export function connect(url = "/", options = {}) {
    return new Client(url, options);
}
