/* Stands in for a channel of Slack: shows what its webhook was given. */

import { $, saying } from "./relay.js";

let count = 0, shown = 0;

const source = new EventSource("messages");
source.onopen = () => (count = 0); /* each connection begins with all messages */
source.onmessage = ({ data }) => {
    const { text, at } = JSON.parse(data);
    if (++count > shown) {
        shown = count;
        $("nothing").hidden = true;
        $("said").append(saying(`freshet  ${new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`, text));
    }
};
