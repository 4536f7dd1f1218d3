// Browsers as people have them, without a driver: the page that they open takes functions over a WebSocket and runs them.

import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { WebSocketServer } from "ws";
import { temporaryFolder } from "./server.mjs";
import { installed, Service } from "./service.mjs";
import { deadline } from "./wait.mjs";

const START_MS = 180_000; /* six times what Firefox takes on a machine that is busy */

/* A browser says what it is to its maker, and asks for updates. Everything but loopback, which no browser takes through
   a proxy, is sent to a port on which nobody listens. */
const NOWHERE = { host: "127.0.0.1", port: 9 };

const FIREFOX_PREFERENCES = {
    "network.proxy.type": 1,
    "network.proxy.http": NOWHERE.host, "network.proxy.http_port": NOWHERE.port,
    "network.proxy.ssl": NOWHERE.host, "network.proxy.ssl_port": NOWHERE.port,
    "network.captive-portal-service.enabled": false,
    "network.connectivity-service.enabled": false,
    "app.update.enabled": false,
    "app.normandy.enabled": false,
    "browser.aboutwelcome.enabled": false,
    "browser.preonboarding.enabled": false,
    "browser.shell.checkDefaultBrowser": false,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.safebrowsing.malware.enabled": false,
    "browser.safebrowsing.phishing.enabled": false,
    "datareporting.policy.dataSubmissionEnabled": false,
    "extensions.update.enabled": false,
    "termsofuse.bypassNotification": true,
    "toolkit.telemetry.enabled": false,
    "toolkit.telemetry.unified": false,
};

const KINDS = {
    chromium: {
        programs: ["chromium", "chromium-browser", "google-chrome"],
        args: (dir, url) => ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--no-default-browser-check", "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-extensions", "--disable-breakpad", `--proxy-server=${NOWHERE.host}:${NOWHERE.port}`,
            `--user-data-dir=${dir}`, url],
        prepare: () => {},
    },
    firefox: {
        programs: ["firefox-esr", "firefox"],
        args: (dir, url) => ["--headless", "--no-remote", "--profile", dir, url],
        prepare: (dir) => fs.writeFileSync(path.join(dir, "user.js"), Object.entries(FIREFOX_PREFERENCES)
            .map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`).join("")),
    },
};

export const BROWSERS = Object.keys(KINDS);

/** The preferences with which Firefox asks nothing of anybody but the pages. */
export const firefoxPreferences = () => ({ ...FIREFOX_PREFERENCES });

/** Why a test in this browser is skipped: it is not installed. Where all is installed, in CI, nothing is skipped. */
export function lacksBrowser(name) {
    return !process.env.CI && !installed(...KINDS[name].programs) ? `${name} is not installed` : false;
}

/** Where the program of a browser is. */
export function programOf(name) {
    const places = KINDS[name].programs.flatMap((program) => process.env.PATH.split(":").map((folder) => path.join(folder, program)));
    return places.find((place) => fs.existsSync(place));
}

const PAGE = `<!doctype html><meta charset="utf-8"><title>a page of somebody's site</title><link rel="icon" href="data:,"><script>
const control = new WebSocket("ws://" + location.host + "/control");
control.onmessage = async ({ data }) => {
    const { id, code } = JSON.parse(data);
    try {
        const value = await (0, eval)(code);
        control.send(JSON.stringify({ id, value }));
    } catch (error) {
        control.send(JSON.stringify({ id, error: String(error) + "\\n" + error.stack }));
    }
};
</script>`;

export class Browser {
    /** Starts one that test `t` ends, with more arguments; its page has an origin of its own on loopback. */
    static async start(t, name, more = []) {
        const browser = new Browser(name);
        const { programs, args, prepare } = KINDS[name];
        await browser.#serve();
        const dir = temporaryFolder(t);
        prepare(dir);
        browser.service = new Service(dir, installed(...programs) ?? programs[0], [...more, ...args(dir, `${browser.origin}/`)],
            { XDG_CONFIG_HOME: dir, XDG_CACHE_HOME: dir, MOZ_CRASHREPORTER_DISABLE: "1" });
        browser.stop = async () => {
            await browser.service.stop();
            browser.http.closeAllConnections();
            browser.http.close();
        };
        await browser.service.until(() => browser.page, "its page", START_MS);
        return browser;
    }

    constructor(name) {
        this.name = name;
        this.asked = 0;
        this.waiting = new Map(); /* number of a question -> {resolve, reject} */
    }

    async #serve() {
        this.http = http.createServer((_, res) => res.writeHead(200, { "Content-Type": "text/html" }).end(PAGE));
        new WebSocketServer({ server: this.http }).on("connection", (page) => this.#opened(page));
        await new Promise((resolve) => this.http.listen(0, "127.0.0.1", resolve));
        this.origin = `http://127.0.0.1:${this.http.address().port}`;
    }

    #opened(page) {
        this.page = page;
        this.onPage?.();
        page.on("message", (bytes) => {
            const { id, value, error } = JSON.parse(bytes.toString("utf8"));
            const { resolve, reject } = this.waiting.get(id);
            this.waiting.delete(id);
            error === undefined ? resolve(value) : reject(new Error(error));
        });
        page.on("error", () => {});
    }

    /** Runs a function, or the source of one, in the page and answers what it answers. Arguments and answer are JSON. */
    run(code, ...args) {
        const id = ++this.asked;
        const answer = new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
        this.page.send(JSON.stringify({ id, code: `(${code})(...${JSON.stringify(args)})` }));
        return deadline(answer, `${this.name} to run ${code}`, START_MS);
    }

    /** Loads the page anew: whatever it held open is closed. */
    async reload() {
        const opened = new Promise((resolve) => (this.onPage = resolve));
        this.page.send(JSON.stringify({ id: 0, code: "void setTimeout(() => location.reload())" }));
        this.waiting.set(0, { resolve() {}, reject() {} });
        await deadline(opened, `${this.name} to load its page anew`, START_MS);
    }
}
