/* The part of freshet.js that watches who is on a channel. `client.presence()` loads it, so that pages without it stay small.
 *
 * The server lists the members and says up to which event the list is good; from there on `$presence/CHANNEL` tells each change. So the
 * list is read once, and again only where events are gone for good, where the server says `reset` because it has lost some itself, or
 * where it did not tell single members for a while because they were too many. */

const LIST_MAX = 10_000; /* members: of more only the first page is read, and the count is kept */
const JOIN_MS = 2000; /* at most between two tries of a state, while the subscription that makes the member is not there yet */

/* A share of the server is used up: to ask again would not help, unlike with other answers of status 429. */
const isShare = ({ problem }) => /presence-share$/.test(problem?.type);

/* Names that people gave themselves are told apart from those that the server has checked. */
const keyOf = ({ member, verified }) => `${verified ? "" : "?"}/${member}`;

class Presence {
    count = 0;
    anonymous = 0;
    me = null;
    #client;
    #channel;
    #path;
    #handlers;
    #list = new Map();
    #following;
    #isPart; /* the list has only the first page of the members */
    #state;
    #order = Promise.resolve();

    constructor(client, channel, handlers) {
        const parts = channel.split("/");
        if (parts.some((part) => /^\.\.?$/.test(part))) /* which would make it the path of another channel */
            throw Object.assign(new Error(`${channel} is not a channel's name`), { status: 400 });
        this.#client = client;
        this.#channel = channel;
        this.#path = `/presence/${parts.map(encodeURIComponent).join("/")}`;
        this.#handlers = handlers;
    }

    /* The members, by a key for each; the Map is the same all the time. */
    members() {
        return this.#list;
    }

    /* Says something of this member to all who watch; null takes it back. It is said again if the member comes back after it had left, also unseen.
     * It waits while the client's own subscription of the channel begins, or begins anew; without one a client that is no member is refused. */
    set(state) {
        this.#state = state;
        return this.#put({ state });
    }

    /* Says that this member has read the event of this id, and all before it. */
    read(id) {
        return this.#put({ read: id });
    }

    close() {
        this.closed = true;
        this.#handlers = {};
        this.#following?.close();
    }

    /* Whether a subscription of this client has the channel by its name, which makes a member, now or soon. */
    #isFollowed() {
        return [...this.#client.subscriptions].some(({ channels }) => channels.includes(this.#channel));
    }

    /* Changes are made in the order of the calls. */
    #put(change) {
        return this.#order = this.#order.catch(() => {}).then(async () => {
            for (let pause = 100; ; pause = Math.min(2 * pause, JOIN_MS)) {
                try {
                    let refused;
                    const me = await this.#client.insist(() => this.#client.json(`${this.#path}/me`, { as: this.#client.options.as },
                        { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify(change) })
                        .catch((error) => {
                            if (!isShare(error))
                                throw error;
                            refused = error;
                        }));
                    if (refused)
                        throw refused;
                    return this.me = me;
                } catch (error) {
                    if (error.status !== 409 || this.closed || !this.#isFollowed())
                        throw error;
                    await new Promise((resolve) => setTimeout(resolve, pause));
                }
            }
        });
    }

    #page(after) {
        return this.#client.insist(() => this.#client.json(this.#path, { limit: 1000, ...after }));
    }

    /* Reads the list, then follows it. */
    async begin() {
        const first = await this.#page();
        const members = [...first.members];
        for (let page = first; page.more && first.count <= LIST_MAX; members.push(...page.members)) {
            const { member, verified } = members.at(-1);
            page = await this.#page({ after_member: member, after_verified: +verified });
        }
        if (this.closed)
            return this;
        this.#list.clear();
        members.forEach((member) => this.#list.set(keyOf(member), member));
        this.#isPart = first.count > LIST_MAX;
        this.count = first.count;
        this.anonymous = first.anonymous;
        this.#following = this.#client.subscribe(`$presence/${this.#channel}`, {
            event: (event) => this.#take(event),
            gap: () => this.#again(),
            error: (error) => this.#tell("error", error),
        }, { after: first.cursor });
        const mine = this.me && this.#list.get(keyOf(this.me));
        if (mine && mine.state === undefined)
            this.#sayAgain();
        this.#tell("change");
        return this;
    }

    #sayAgain() {
        if (this.#state != null)
            this.set(this.#state).catch(() => {});
    }

    /* Reads the list anew. */
    #again() {
        this.#following?.close();
        this.#following = null;
        this.begin().catch((error) => this.#client.closed || this.#tell("error", error));
    }

    #tell(name, ...values) {
        try {
            this.#handlers[name]?.(...values);
        } catch (error) {
            (globalThis.reportError ?? console.error)(error);
        }
    }

    #take({ type, time, data }) {
        const key = keyOf(data);
        const known = this.#list.get(key);
        if (this.closed || !this.#following)
            return;
        if (type === "count" || type === "reset") {
            const wasListed = this.listed !== false;
            Object.assign(this, { count: data.count, anonymous: data.anonymous, listed: data.listed });
            if (type === "reset" || (data.listed && !wasListed))
                return this.#again();
            this.#tell("count", data);
        } else if (type === "left") {
            (this.#list.delete(key) || this.#isPart) && this.#tell("left", { ...known, ...data });
        } else if (type === "joined") { /* of somebody who is known: the list was read between the change and its event */
            this.#list.set(key, { connections: 1, since: time, ...known, ...data });
            if (this.me && keyOf(this.me) === key && !known)
                this.#sayAgain();
            known || this.#tell("joined", this.#list.get(key));
        } else if (type !== "read" || !(known?.read >= data.read)) { /* a read mark may also come from somebody who is away */
            known && this.#list.set(key, { ...known, ...data });
            this.#tell(type, { ...known, ...data });
        }
        if (this.#isPart)
            this.count += (type === "joined" && !known) - (type === "left");
        else if (type !== "count" && this.listed !== false)
            this.count = this.#list.size;
        this.#tell("change");
    }
}

export const presence = (client, channel, handlers = {}) => new Presence(client, channel, handlers).begin();
