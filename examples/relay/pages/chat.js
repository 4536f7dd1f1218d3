/* The visitor's page. Questions go to the chat's own server; answers come from freshet, on a channel that nobody can guess. */

import settings from "./settings.js";
import { $, follow, make, saying } from "./relay.js";

const conversation = sessionStorage.getItem("conversation") ?? crypto.getRandomValues(new Uint32Array(4)).join("-");
sessionStorage.setItem("conversation", conversation);

function show(who, text, isMine) {
    $("nothing").hidden = true;
    $("said").append(saying(who, text, isMine));
    $("said").parentElement.scrollTop = $("said").parentElement.scrollHeight;
}

$("say").onsubmit = async (submitted) => {
    submitted.preventDefault();
    const text = $("text").value.trim();
    if (!text) {
        return;
    }
    $("text").value = "";
    show("You", text, true);
    const sent = await fetch("messages", { method: "POST", body: JSON.stringify({ topic: "sales", visitor: "Ada", text, conversation }), headers: { "Content-Type": "application/json" } })
        .then(({ ok }) => ok, () => false);
    sent || $("said").append(make("li", { textContent: "This did not get through. Please try again." }));
};

follow(`${settings.freshet}/channels/desk/answers-${conversation}?after=earliest`, ["ticket.answered"], ({ data }) => show(data.agent, data.text));
