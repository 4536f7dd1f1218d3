/* The credential that this console uses: enter one, forget it. */

import { credential, get, Refused, Unreachable } from "./api.js";
import { h } from "./dom.js";
import { badge, button, card, code, command, credentialForm, heading, MAKE_KEY, say } from "./parts.js";
import { forgetRates } from "./rates.js";

/* Enough of it to tell keys apart; the secret is not shown. */
const shortened = (text) => (text.startsWith("fk_") ? `${text.slice(0, 14)}…` : `${text.slice(0, 8)}…`);

async function stateOf(signal) {
    try {
        await get("/stats", { signal });
        return credential.get()
            ? [badge("works", "good"), " It may do all that this console shows."]
            : [badge("open", "good"), " This server asks nobody who they are, so the console works without a credential."];
    } catch (error) {
        if (error instanceof Unreachable) {
            throw error; /* the view is shown when the server is back */
        }
        const isRefusal = error instanceof Refused;
        return isRefusal && error.status === 403
            ? [badge("limited", "warn"), ` It is valid, and does not grant all: ${error.message}`]
            : [badge(isRefusal && !credential.get() ? "none" : "does not work", "warn"), ` ${error.message}`];
    }
}

export async function credentialView(main, params, { signal, again }) {
    const kept = credential.get();
    const state = h("p", { role: "status" }, await stateOf(signal));
    const changed = () => (forgetRates(), again());
    main.replaceChildren(
        heading("Credential"),
        card(
            "What is used now",
            kept ? h("p", {}, code(shortened(kept))) : h("p", {}, "None was entered."),
            state,
            kept &&
                button(
                    "Forget it",
                    () => {
                        credential.forget();
                        say("The credential is forgotten.");
                        changed();
                    },
                    { class: "danger" },
                ),
        ),
        card(kept ? "Use another one" : "Enter a key or a token", credentialForm(changed)),
        card(
            "How to make a key",
            h(
                "p",
                {},
                "With the key that ",
                code("freshet init"),
                " has printed as ",
                code("FRESHET_TOKEN"),
                ", this makes one that may do all that the console does:",
            ),
            command(MAKE_KEY),
            h("p", { class: "quiet" }, "A key with fewer grants sees fewer views: each says what it lacks."),
        ),
    );
}
