/* Parts that the pages of this example share. */

export const $ = (id) => document.getElementById(id);

export function make(name, properties = {}, ...children) {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
}

/* Follows server-sent events, and comes back also after the server was away: see docs/api.md. */
export function follow(url, types, handle, onState = () => {}) {
    const at = new URL(url);
    let source;
    (function open() {
        source = new EventSource(at);
        source.onopen = () => onState(true);
        for (const type of ["$beat", ...types]) {
            source.addEventListener(type, (event) => {
                event.lastEventId && at.searchParams.set("after", event.lastEventId);
                type === "$beat" || handle(JSON.parse(event.data), type);
            });
        }
        source.onerror = () => {
            onState(false);
            source.readyState === 2 && setTimeout(open, 1000 + 2000 * Math.random());
        };
    })();
}

/* A line of a conversation. */
export const saying = (who, text, isMine) => make("li", { className: isMine ? "mine arrived" : "arrived" },
    make("span", { className: "who", textContent: who }), make("p", { textContent: text }));
