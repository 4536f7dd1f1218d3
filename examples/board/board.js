/* The board. A note is a channel, `demos/board/BOARD/NOTE`, and its newest event is its state: `note` with text, place and colour, or `gone`.
 *
 * A change carries the id of the state that it was made from (`If-Match`). If somebody was faster, the server refuses it with 412: the page
 * then shows their state, and says so. While a note is dragged, ephemeral events on `demos/board/BOARD` show it to others; the place where it
 * is dropped is published. Pointers are ephemeral events on the same channel. A note that somebody carries is shown where they carry it, until
 * their pointer comes without the note or is gone: then it is where the log has it, whether their change was taken or not. */

import { $, Line, afterPaint, make, myName, rename, roomOfAddress, setText } from "../demo.js";

const COLORS = ["sand", "sky", "leaf", "rose"];
const WIDTH = 1200, HEIGHT = 700, NOTE = { width: 176, height: 128 }; /* units of the board; style.css has the same */
const STEP = 20; /* of an arrow key */
const POINT_MS = 80; /* between two pointers */
const GONE_MS = 8000; /* a pointer that does not move goes */

const room = roomOfAddress("main");
const base = `demos/board/${room}`;
const board = $("board");
const me = Math.random().toString(36).slice(2, 10);

const say = (text) => ($("said").textContent = text);
const clamp = (value, most) => Math.round(Math.min(Math.max(value, 0), most));
const inside = ({ x, y }) => ({ x: clamp(x, WIDTH - NOTE.width), y: clamp(y, HEIGHT - NOTE.height) });
const isPlace = (it) => Number.isFinite(it?.x) && Number.isFinite(it.y);

/* ---- notes ---- */

class Note {
    constructor(name) {
        this.name = name;
        this.channel = `${base}/${name}`;
        this.turn = Promise.resolve();
        this.by = make("span", { className: "by" });
        const remove = make("button", { type: "button", className: "remove", textContent: "×", tabIndex: -1, title: "Remove" });
        remove.setAttribute("aria-label", "Remove the note");
        remove.onpointerdown = (event) => event.stopPropagation();
        remove.onclick = () => this.discard();
        this.text = make("textarea", { maxLength: 300, rows: 3, tabIndex: -1, readOnly: true, placeholder: "empty" });
        this.text.setAttribute("aria-label", "Text of the note");
        this.body = make("div", { className: "note", tabIndex: 0 }, this.text, this.by, remove);
        this.body.setAttribute("role", "group");
        this.body.onpointerdown = (event) => this.grab(event);
        this.body.ondblclick = () => this.write();
        this.body.onkeydown = (event) => this.key(event);
        this.text.onblur = () => this.written();
        notes.set(name, this);
        board.append(this.body);
    }

    /* A state that the log has. */
    take({ id, data }) {
        this.id = id;
        this.state = { text: String(data.text ?? "").slice(0, 300), color: COLORS.includes(data.color) ? data.color : COLORS[0], by: String(data.by ?? "").slice(0, 30), ...inside(data) };
        this.show();
        this.body.className = `note ${this.state.color}`;
        this.by.textContent = this.state.by;
        this.body.setAttribute("aria-label", `Note by ${this.state.by}: ${this.state.text || "empty"}`);
        if (!this.isWriting) {
            this.text.value = this.state.text;
        }
    }

    /* Takes the place to which somebody carries the note; without one, this person has let go of it. */
    carry(who, at) {
        if (at || this.carried?.who === who) {
            this.carried = at && { who, at: inside(at) };
            this.show();
        }
    }

    /* Shows the note at its place, unless it is held here. It does not run from a writer's hands until they end. */
    show() {
        const at = (!this.isWriting && this.carried?.at) || this.state;
        this.isHeld || !at || this.place(at);
    }

    /* Ends the hold: publishes the place, and tells others afterwards that the note is no longer carried. */
    async release() {
        this.isHeld = false;
        const at = this.at;
        await this.change(at);
        point(at);
    }

    place({ x, y }) {
        this.body.style.left = `${x}px`;
        this.body.style.top = `${y}px`;
        this.at = { x, y };
    }

    /* Publishes the state with changes, unless somebody has changed the note since the state that `seen` gives. The page's own changes take
     * turns, so that none is refused because of another. */
    change(changes, seen = () => this.id) {
        return this.turn = this.turn.then(() => this.changeNow(changes, seen()));
    }

    async changeNow(changes, seen) {
        const state = { ...this.state, ...changes, by: myName() };
        try {
            const receipt = await line.publish(this.channel, state, { type: "note", ifMatch: seen });
            if (receipt.id > (this.id ?? "")) {
                this.take({ id: receipt.id, data: state });
            }
            this.seen = this.seen === seen ? receipt.id : this.seen;
            return true;
        } catch (error) {
            this.refused(error, state);
            return false;
        }
    }

    refused(error, { text }) {
        this.state ? this.take({ id: this.id, data: this.state }) : this.remove();
        say(error.status !== 412 ? `Not changed: ${error.message}.`
            : text !== this.state?.text ? `Somebody was faster, so your change was not taken. You had written: “${text}”`
                : "Somebody was faster, so your change was not taken. You see theirs.");
    }

    async discard() {
        try {
            await line.publish(this.channel, { by: myName() }, { type: "gone", ifMatch: this.id });
            this.remove();
            say("Removed.");
        } catch (error) {
            this.refused(error, this.state);
        }
    }

    remove() {
        const next = this.body.nextElementSibling ?? this.body.previousElementSibling;
        const hadFocus = this.body.contains(document.activeElement);
        notes.delete(this.name);
        this.body.remove();
        hadFocus && (next?.matches(".note") ? next : $("add")).focus();
    }

    grab(event) {
        if (this.isWriting || event.button > 0) {
            return;
        }
        const from = this.at, start = pointOf(event);
        const move = (moved) => {
            const to = pointOf(moved);
            this.isHeld = true;
            this.place(inside({ x: from.x + to.x - start.x, y: from.y + to.y - start.y }));
            point(to, { note: this.name, ...this.at });
        };
        const drop = () => {
            this.body.onpointermove = this.body.onpointerup = this.body.onpointercancel = null;
            if (this.isHeld) {
                this.release();
            } else if (event.pointerType === "touch") {
                this.write(); /* a tap; a mouse clicks twice */
            }
        };
        this.body.setPointerCapture(event.pointerId);
        this.body.onpointermove = move;
        this.body.onpointerup = this.body.onpointercancel = drop;
    }

    key(event) {
        const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
        if (this.isWriting) {
            event.key === "Escape" && this.body.focus();
            return;
        }
        const act = moves[event.key] ? () => this.nudge(...moves[event.key])
            : { Enter: () => this.write(), Delete: () => this.discard() }[event.key];
        if (act) {
            event.preventDefault();
            act();
        }
    }

    /* Moves the note a step; the place is published when the keys rest. */
    nudge(dx, dy) {
        this.isHeld = true;
        this.place(inside({ x: this.at.x + dx, y: this.at.y + dy }));
        point(this.at, { note: this.name, ...this.at });
        clearTimeout(this.settling);
        this.settling = setTimeout(() => this.release(), 300);
    }

    write() {
        this.isWriting = true;
        this.seen = this.id;
        this.text.readOnly = false;
        this.text.focus();
    }

    /* The text is compared with the state that the writer saw, so a change of theirs meanwhile is not lost. */
    written() {
        if (!this.isWriting) {
            return;
        }
        this.isWriting = false;
        this.text.readOnly = true;
        this.text.scrollTop = 0;
        this.show();
        if (this.text.value !== this.state.text) {
            this.change({ text: this.text.value }, () => this.id && this.seen);
        } else if (!this.id) {
            this.remove(); /* the log has it no more */
        }
    }
}

const notes = new Map();

function takeNote(event) {
    const name = event.channel.slice(base.length + 1);
    if (!name) {
        return;
    }
    const known = notes.get(name);
    if (known?.id && event.id <= known.id) {
        return;
    }
    if (event.type === "gone") {
        known?.remove();
    } else if (event.type === "note" && isPlace(event.data)) {
        (known ?? new Note(name)).take(event);
    }
}

$("add").onclick = async () => {
    const name = Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(36)).join("");
    const note = new Note(name);
    const n = notes.size - 1;
    const state = { text: "", color: COLORS[n % COLORS.length], ...inside({ x: 40 + (n * 200) % 1000, y: 40 + Math.floor(n / 5) % 4 * 150 }) };
    note.state = undefined;
    note.place(state);
    if (await note.change(state)) {
        note.body.scrollIntoView({ block: "nearest", inline: "nearest" });
        note.write();
        say("Write, then press Escape or click elsewhere.");
    }
};

/* ---- pointers ---- */

const pointers = new Map();
let pointedAt = 0, pointing;

const pointOf = ({ clientX, clientY }) => {
    const box = board.getBoundingClientRect();
    return { x: Math.round(clientX - box.left), y: Math.round(clientY - box.top) };
};

/* Tells others where this page points, and which note it holds there: at most every POINT_MS, and the last of what it was asked to tell. */
function point({ x, y }, held) {
    clearTimeout(pointing);
    pointing = setTimeout(() => {
        pointedAt = performance.now();
        line.publish(base, { me, by: myName(), x, y, held }, { type: "pointer", ephemeral: true }).catch(() => {});
    }, Math.max(pointedAt + POINT_MS - performance.now(), 0));
}

function takePointer({ data }) {
    if (!isPlace(data) || data.me === me || typeof data.me !== "string") {
        return;
    }
    if (!pointers.has(data.me)) {
        pointers.set(data.me, { mark: board.appendChild(make("span", { className: "pointer" })) });
    }
    const pointer = pointers.get(data.me);
    pointer.mark.textContent = String(data.by).slice(0, 30);
    pointer.mark.style.transform = `translate(${clamp(data.x, WIDTH)}px, ${clamp(data.y, HEIGHT)}px)`;
    clearTimeout(pointer.timer);
    pointer.timer = setTimeout(() => (pointer.mark.remove(), pointers.delete(data.me), showCarried(data.me), showOthers()), GONE_MS);
    showCarried(data.me, data.held);
    showOthers();
}

/* Shows which note somebody carries, if any, and lets all others of theirs go. */
function showCarried(who, held) {
    notes.forEach((note) => note.carry(who, isPlace(held) && held.note === note.name ? held : undefined));
}

function showOthers() {
    const names = [...pointers.values()].map(({ mark }) => mark.textContent);
    setText($("others"), names.length ? `Pointing now: ${names.join(", ")}` : "");
}

board.addEventListener("pointermove", (event) => event.pointerType === "mouse" && !event.buttons && point(pointOf(event)));

/* ---- the page ---- */

$("room").textContent = room;
afterPaint(() => board.classList.add("dotted")); /* two thousand dots take long to paint */
$("me").value = myName();
$("me").onchange = ({ target }) => rename(target.value.trim() || myName());
onhashchange = () => location.reload();

const line = new Line([{
    channels: [`${base}/*`, base],
    from: { after: "earliest" },
    event: (event) => (event.type === "pointer" ? takePointer(event) : takeNote(event)),
}], {
    /* A note that somebody writes on stays: it is published as a new one if the log has it no more. */
    clear: () => notes.forEach((note) => (note.isWriting ? (note.id = undefined) : note.remove())),
});
