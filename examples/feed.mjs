/* A player of recorded data, in a tab or in Node: each frame is a list of events, published as one batch, one frame every `intervalMs`.
 *
 * Two feeds at once would mix two times. So each event carries the name of its feed, and of two feeds the one with the lower name goes on. */

const PAUSE_MOST_MS = 10_000; /* before the next try */

export class Feed {
    constructor(server, frames, { intervalMs, onState = () => {} }) {
        Object.assign(this, { server, frames, intervalMs, onState, next: 0, name: String(Math.random()).slice(2, 12) });
    }

    start() {
        this.isOn = true;
        this.failures = 0;
        this.onState(true);
        this.tick();
    }

    /* Tries at once what has failed: the server is back. */
    hasten() {
        if (this.timer && this.failures) {
            clearTimeout(this.timer);
            this.tick();
        }
    }

    stop(why) {
        this.isOn = false;
        clearTimeout(this.timer);
        this.timer = null;
        this.onState(false, why);
    }

    /* Publishes the next frame. A batch that got no answer is sent again under the same keys, so it is published once. */
    async tick() {
        this.timer = null; /* while a batch is under way */
        const at = this.next % this.frames.length;
        this.batch ??= this.frames[at].map(({ data, ...event }, i) => ({ ...event, data: { ...data, feed: this.name, frame: at }, key: `${this.name}-${Date.now()}-${i}` }));
        try {
            await this.publish(this.batch);
            this.batch = null;
            this.next = at + 1;
            this.failures && this.isOn && this.onState(true);
            this.failures = 0;
        } catch (error) {
            this.failures++;
            if (error.status >= 400 && error.status < 500 && error.status !== 429) {
                this.stop(`Not published: ${error.message}.`);
            } else if (this.isOn && this.failures === 1) {
                this.onState(true, "The server takes nothing just now. The feed goes on when it does.");
            }
        }
        if (this.isOn) {
            this.timer = setTimeout(() => this.tick(), Math.max(this.intervalMs, Math.min(this.intervalMs * 2 ** this.failures, PAUSE_MOST_MS)));
        }
    }

    /* The server takes all of a batch or nothing. */
    async publish(events) {
        const response = await fetch(`${this.server}events`, { method: "POST", body: JSON.stringify(events), headers: { "Content-Type": "application/json" } });
        if (!response.ok) {
            const { detail, title } = await response.json().catch(() => ({}));
            throw Object.assign(new Error(detail ?? title ?? `the server answered ${response.status}`), { status: response.status });
        }
    }

    /* Takes note of an event of any feed: this feed goes on from there, or gives way. */
    hear({ feed, frame }) {
        if (feed === this.name || !Number.isInteger(frame) || frame < 0) {
            return;
        }
        if (!this.isOn) {
            this.next = frame + 1;
        } else if (feed < this.name) {
            this.stop("Another feed is at work already.");
        }
    }
}
