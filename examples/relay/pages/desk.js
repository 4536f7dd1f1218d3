/* The desk's page: a ticket for each inquiry, with its answers. All of it comes from freshet; answers go to the desk's own server. */

import settings from "./settings.js";
import { $, follow, make, saying } from "./relay.js";

const AGENT = "Bea";
const tickets = new Map();

function created({ number, visitor, text }) {
    if (tickets.has(number)) {
        return;
    }
    $("nothing").hidden = true;
    const said = make("ol", { className: "said" }, saying(visitor, text));
    const input = make("input", { type: "text", maxLength: 300, id: `answer-${number}`, autocomplete: "off" });
    const form = make("form", { className: "say" }, make("div", {}, make("label", { htmlFor: input.id, textContent: `Answer inquiry ${number}` }), input),
        make("button", { className: "main", textContent: "Answer" }));
    const card = make("section", { className: "card ticket arrived" }, make("h2", { textContent: `Inquiry ${number}` }), said, form);
    form.onsubmit = async (submitted) => {
        submitted.preventDefault();
        const answer = input.value.trim();
        if (!answer) {
            return;
        }
        const sent = await fetch("answers", { method: "POST", body: JSON.stringify({ number, agent: AGENT, text: answer }), headers: { "Content-Type": "application/json" } })
            .then(({ ok }) => ok, () => false);
        sent ? (input.value = "") : ($("state").textContent = "This answer did not get through. Try again.");
    };
    tickets.set(number, { card, said });
    $("tickets").prepend(card);
}

function answered({ number, agent, text }) {
    const ticket = tickets.get(number);
    ticket?.card.classList.add("answered");
    ticket?.said.append(saying(agent, text, true));
}

follow(`${settings.freshet}/events?channel=desk/*&after=earliest&stream=sse&format=data`, ["ticket.created", "ticket.answered"],
    ({ data }, type) => (type === "ticket.created" ? created(data) : answered(data)),
    (isLive) => ($("state").textContent = isLive ? "Live: tickets come as they are made." : "Connecting …"));
