/* The page with all three, and the events between them. */

import settings from "./settings.js";
import { $, follow } from "./relay.js";

for (const name of ["chat", "desk", "slack"]) {
    $(name).src = settings[name];
}

follow(`${settings.freshet}/events?channel=chat/**&channel=desk/**&after=earliest&stream=sse`, ["message"], ({ channel, type, data }) => {
    $("log").append(`${channel}  ${type}  ${data.text}\n`);
    $("log").scrollTop = $("log").scrollHeight;
});
