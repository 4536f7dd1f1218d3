/* The chat. A room is a channel, `demos/chat/ROOM`. Messages are events of it, which the server keeps; "is typing" is an ephemeral event, which it
 * does not keep. Who is here, and how far everybody has got, is the server's presence: each page sets `has`, the newest message that it has got,
 * as its state, and its read mark when the message was in sight.
 *
 * A message that is written while the line is cut waits in the outbox. It bears a key, under which it is published once however often it is sent. */

import { $, Line, SERVER, make, myName, rename, roomOfAddress, showRights } from "../demo.js";

const ROOMS = ["lobby", "kitchen", "garden"];
const TYPING_MS = 2000; /* "is typing" is told this often, and shown for twice as long */
const TOLD_MS = 150; /* what the page has got and read is told after this long */

const room = roomOfAddress(ROOMS[0]);
const channel = `demos/chat/${room}`;
const me = myName();

/* ---- messages ---- */

const messages = new Map(); /* key -> Message, in the order of the page */
const outbox = new Set();
const list = $("messages");
let newest = ""; /* the id of the newest message that this page has got */

class Message {
    constructor({ from, text, key }) {
        Object.assign(this, { from, text, key, isMine: from === me });
        this.time = make("time");
        this.ticks = make("span", { className: "ticks" });
        this.body = make("div", { className: this.isMine ? "message mine" : "message" },
            make("span", { className: "from", textContent: from }), make("p", { textContent: text }), make("span", { className: "meta quiet" }, this.time, " ", this.ticks));
    }

    stored({ id, time }) {
        this.id = id;
        this.time.dateTime = time;
        this.time.textContent = new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
        this.body.dataset.id = id;
    }
}

const isMessage = ({ type, data }) => type === "message" && typeof data?.text === "string" && typeof data.from === "string" && data.text.length <= 500 && data.from.length <= 30;

function isAtEnd() {
    return list.scrollHeight - list.scrollTop - list.clientHeight < 60;
}

/* Puts a stored message behind those with lower ids, and those that wait at the end. */
function place(message) {
    const after = [...list.querySelectorAll(".message")].find(({ dataset }) => !dataset.id || dataset.id > message.id);
    list.insertBefore(message.body, after ?? null);
}

function takeMessage(event, isLive) {
    const key = event.data.key ?? event.id;
    const stays = isAtEnd() || event.data.from === me;
    const message = messages.get(key) ?? new Message({ ...event.data, key });
    messages.set(key, message);
    outbox.delete(message);
    message.stored(event);
    place(message);
    group();
    if (event.id > newest) {
        newest = event.id;
    }
    isLive && message.body.classList.add("arrived");
    typists.get(message.from)?.stop();
    if (stays) {
        list.scrollTop = list.scrollHeight;
    }
    $("empty")?.remove();
    tell();
    showMarks();
}

/* Several messages of one person in a row bear the name once. */
function group() {
    let before;
    for (const body of list.querySelectorAll(".message")) {
        const from = body.querySelector(".from").textContent;
        body.classList.toggle("again", from === before);
        before = from;
    }
}

async function send(message) {
    try {
        const { from, text, key } = message;
        await line.publish(channel, { from, text, key }, { key });
    } catch (error) {
        if (error.status) { /* refused: the server would refuse it again */
            outbox.delete(message);
            message.failed = error.message;
        }
        showMarks();
    }
}

$("say").onsubmit = (submitted) => {
    submitted.preventDefault();
    const text = $("text").value.trim();
    if (!text) {
        return;
    }
    $("text").value = "";
    typedAt = -Infinity;
    const message = new Message({ from: me, text, key: `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}` });
    messages.set(message.key, message);
    outbox.add(message);
    list.append(message.body);
    $("empty")?.remove();
    list.scrollTop = list.scrollHeight;
    group();
    showMarks();
    send(message);
};

/* ---- earlier messages ---- */

async function earlier() {
    const first = list.querySelector(".message[data-id]");
    const answer = await fetch(`${SERVER}channels/${channel}?type=message&limit=50&before=${first.dataset.id}`);
    const { events, more } = await answer.json();
    const height = list.scrollHeight;
    events.filter(isMessage).reverse().forEach((event) => takeMessage(event, false));
    list.scrollTop = list.scrollHeight - height;
    $("more").hidden = !more && events.length < 50;
}

/* ---- who is typing ---- */

const typists = new Map();
let typedAt = -Infinity;

$("text").oninput = () => {
    const now = performance.now();
    if ($("text").value && now - typedAt > TYPING_MS) {
        typedAt = now;
        line.publish(channel, { from: me }, { type: "typing", ephemeral: true }).catch(() => {});
    }
};

function takeTyping({ from }) {
    if (typeof from !== "string" || from === me) {
        return;
    }
    const stop = () => (clearTimeout(timer), typists.delete(from), showTyping());
    clearTimeout(typists.get(from)?.timer);
    const timer = setTimeout(stop, 2 * TYPING_MS);
    typists.set(from, { timer, stop });
    showTyping();
}

function showTyping() {
    const names = [...typists.keys()].map((name) => name.slice(0, 30));
    $("typing").textContent = names.length ? `${names.join(" and ")} ${names.length === 1 ? "is" : "are"} typing …` : "";
}

/* ---- who is here, and how far they are ---- */

const marks = new Map(); /* name -> the newest id that somebody has read, of those too who are away */
let presence, telling, toldHas = "", toldRead = "";

async function openPresence(client) {
    presence = null;
    toldHas = toldRead = "";
    const answer = await fetch(`${SERVER}presence/${channel}?list=0&marks=1`).catch(() => null);
    if (answer?.status === 404) {
        $("here").replaceChildren(make("li", { className: "quiet", textContent: "This server does not say who is here. Start it with --config examples/freshet.yaml." }));
        return;
    }
    if ([401, 403].includes(answer?.status)) {
        showRights(answer);
        return;
    }
    const told = answer?.ok ? await answer.json() : {};
    (told.marks ?? []).forEach(({ member, read }) => marks.set(member, read));
    const opened = await client.presence(channel, {
        change: () => client === line.client && presence && show(),
        read: ({ member, read }) => marks.set(member, read),
    }).catch(() => null);
    if (client !== line.client) {
        opened?.close();
        return;
    }
    presence = opened;
    show();
    tell();
}

function show() {
    showHere();
    showMarks();
}

const membersNow = () => [...presence?.members().values() ?? []];

/* What somebody has got and read; reading includes getting. */
function progressOf({ member, state, read }) {
    const readUpTo = [read, marks.get(member)].filter(Boolean).sort().pop() ?? "";
    const has = typeof state?.has === "string" ? state.has : "";
    return { readUpTo, has: has > readUpTo ? has : readUpTo };
}

/* Tells the others what this page has got and, while it is in sight, read. */
function tell() {
    clearTimeout(telling);
    telling = setTimeout(() => {
        if (!presence || !newest) {
            return;
        }
        const isSeen = document.visibilityState === "visible";
        if (newest > toldHas) {
            presence.set({ has: toldHas = newest }).catch(() => (toldHas = ""));
        }
        if (isSeen && newest > toldRead) {
            presence.read(toldRead = newest).catch(() => (toldRead = ""));
        }
    }, TOLD_MS);
}

document.onvisibilitychange = tell;

function showHere() {
    const names = membersNow().sort((a, b) => (a.member < b.member ? -1 : 1));
    $("here").replaceChildren(...names.map(({ member, connections }) => make("li", { className: "person" },
        make("span", { textContent: member }), make("span", { className: "quiet", textContent: member === me ? " you" : connections > 1 ? ` ${connections} windows` : "" }))));
}

const TICKS = { waiting: ["…", "waiting for the line"], sent: ["✓", "sent"], delivered: ["✓✓", "delivered"], read: ["✓✓", "read"] };

function showMarks() {
    const others = membersNow().filter(({ member }) => member !== me).map((one) => ({ ...one, ...progressOf(one) }));
    const mine = [...messages.values()].filter(({ isMine }) => isMine);
    for (const message of mine) {
        const every = (what) => others.length > 0 && others.every((one) => one[what] >= message.id);
        const step = !message.id ? "waiting" : every("readUpTo") ? "read" : every("has") ? "delivered" : "sent";
        const [sign, words] = message.failed ? ["✕", `not sent: ${message.failed}`] : TICKS[step];
        if (message.told === sign + words) {
            continue; /* what stays the same is not read out again */
        }
        message.told = sign + words;
        message.ticks.className = `ticks ${step}`;
        message.ticks.replaceChildren(make("span", { textContent: sign, ariaHidden: "true" }), make("span", { className: message.failed || step === "waiting" ? "words" : "hidden", textContent: ` ${words}` }));
    }
    showReaders(mine.filter(({ id }) => id).sort((a, b) => (a.id < b.id ? -1 : 1)).at(-1));
}

/* Below the newest message of mine: who has read it, away or here. */
function showReaders(last) {
    if (!last) {
        return;
    }
    const names = new Set([...membersNow().filter((one) => progressOf(one).readUpTo >= last.id).map(({ member }) => member),
        ...[...marks].filter(([, read]) => read >= last.id).map(([name]) => name)]);
    names.delete(me);
    const text = names.size ? `Read by ${[...names].join(", ")}` : "";
    if ($("readers")?.parentNode !== last.body || $("readers").textContent !== text) {
        $("readers")?.remove();
        text && last.body.append(make("span", { id: "readers", className: "quiet", textContent: text }));
    }
}

/* ---- the page ---- */

function showRooms() {
    const names = [...new Set([...ROOMS, room])];
    $("rooms").replaceChildren(...names.map((name) => {
        const link = make("a", { href: `#${name}`, textContent: name });
        name === room && link.setAttribute("aria-current", "page");
        return link;
    }));
    $("talk-title").textContent = room;
}

/* A message in another room puts a mark at its name. */
function takeElsewhere(event) {
    const link = [...$("rooms").children].find(({ hash }) => `demos/chat/${hash.slice(1)}` === event.channel && event.channel !== channel);
    if (link && event.type === "message" && !link.classList.contains("news")) {
        link.classList.add("news");
        link.append(make("span", { className: "hidden", textContent: " has new messages" }));
    }
}

$("me").value = me;
$("me").onchange = ({ target }) => {
    rename(target.value.trim() || me);
    location.reload();
};
$("other").onsubmit = (submitted) => {
    submitted.preventDefault();
    location.hash = $("room").value;
};
onhashchange = () => location.reload();
showRooms();
list.append(make("p", { id: "empty", className: "quiet", textContent: "Nothing has been said here yet." }));

const line = new Line([
    { channels: [channel], from: { last: 100 }, counts: isMessage, event: (event, isLive) => (isMessage(event) ? takeMessage(event, isLive) : event.type === "typing" && takeTyping(event.data ?? {})) },
    { channels: ["demos/chat/*"], from: { after: "now" }, counts: () => false, event: takeElsewhere },
], {
    as: me,
    share: false,
    onGap({ channels }) {
        channels[0] === channel && messages.size && list.append(make("p", { className: "gap quiet", textContent: "Some of what was said here is gone for good." }));
    },
    onCut() {
        presence = null;
        $("here").replaceChildren(make("li", { className: "quiet", textContent: "You are cut off." }));
        showMarks();
    },
    onLive(client) {
        openPresence(client);
        outbox.forEach(send);
        const isLong = list.querySelectorAll(".message[data-id]").length >= 100;
        if (isLong && !$("more")) {
            const more = make("button", { id: "more", type: "button", className: "small", textContent: "Earlier messages" });
            more.onclick = earlier;
            list.prepend(make("div", { className: "more" }, more));
        }
    },
});
