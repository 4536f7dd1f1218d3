/** An event, as the server's envelope has it. */
export interface FreshetEvent {
    /** 16 digits; their string order is the order of the log. Ephemeral events have none. */
    id?: string;
    /** The id of the event before this one in its channel. */
    prev?: string;
    channel: string;
    type: string;
    /** RFC 3339 */
    time: string;
    data?: unknown;
    /** Binary data, instead of `data`. */
    data_base64?: string;
    content_type?: string;
}

/** Events after `after` that are gone for good; all above `earliest` are there. */
export interface Gap {
    after: string;
    earliest: string;
    reason: "trimmed" | "lost" | "unknown";
}

export interface Problem {
    type?: string;
    title?: string;
    status?: number;
    detail?: string;
    [member: string]: unknown;
}

/** A refusal by the server. */
export class FreshetError extends Error {
    readonly problem: Problem;
    readonly status: number;
}

export type Mechanism = "ws" | "sse" | "poll";
export type State = "idle" | "connecting" | "live" | "closed";

export interface ClientOptions {
    /** A credential, or a function that gives one. The function is asked again shortly before a JWT ends, after a 401, and where none came within a minute. */
    token?: string | (() => string | Promise<string>);
    /** As for `fetch`: "include" sends cookies to another host. WebSockets send them as the browser does. */
    credentials?: RequestCredentials;
    /** The mechanisms to try, in this order. All three without it. */
    mechanisms?: Mechanism[];
    /** The name under which others see this client as a member, where it has no credential with a subject. */
    as?: string;
    /** Tabs with the same server and the same `share` (without it: `as`) have one connection; `false`: this tab has its own. */
    share?: string | false;
    /** Is called when the state changes. */
    onState?: (state: State, mechanism: Mechanism | null) => void;
    /** Others than the platform's. */
    WebSocket?: unknown;
    fetch?: typeof fetch;
}

export interface Handlers<E = FreshetEvent> {
    event?: (event: E) => void;
    /** Events are gone for good; what is left follows. They may be events of another subscription that shares the connection. */
    gap?: (gap: Gap) => void;
    /** What was there when the subscription began has been given; from here on events come as they happen. */
    live?: () => void;
    /** The subscription has ended by a refusal. Without it the error is written to the console. */
    error?: (error: FreshetError | Error) => void;
}

export interface SubscribeOptions {
    /** Begin after this cursor, after a time, at "earliest", or now, which is the default. */
    after?: string;
    /** Begin with the newest `last` events instead. */
    last?: number;
    /** Only events of these types. */
    types?: string[];
}

export interface Subscription {
    readonly channels: string[];
    /** Everything up to here has been given: begin after it next time. */
    readonly cursor: string;
    /** Ends the subscription: no handler is called any more. */
    close(): void;
}

export interface PublishOptions {
    type?: string;
    /** Publishes under one key are one publish, for five minutes. Without it each call has a key of its own, so that it can be repeated. */
    key?: string;
    /** Not stored: for those who are connected now. Is tried twice at most. */
    ephemeral?: boolean;
    /** Only if this is the channel's newest id; else the promise is rejected with status 412. */
    ifMatch?: string;
    /** The `connection` that is not to get the event. */
    except?: string;
}

export interface Receipt {
    id?: string;
    channel: string;
    time: string;
    duplicate?: boolean;
}

/** Somebody who is on a channel. */
export interface Member {
    member: string;
    /** The server has checked the name; `false`: the client gave it to itself. */
    verified: boolean;
    /** How many the member had when the list was read. */
    connections?: number;
    since?: string;
    /** Whatever the member says of itself. */
    state?: unknown;
    /** The id up to which the member has read. */
    read?: string;
}

export interface PresenceHandlers {
    joined?: (member: Member) => void;
    left?: (member: Member) => void;
    /** Its state has changed. */
    updated?: (member: Member) => void;
    /** It has read further. It may be away. */
    read?: (member: Member) => void;
    count?: (count: { count: number; anonymous: number; listed?: boolean }) => void;
    /** After each of these, and when the list was read: draw it. */
    change?: () => void;
    /** The watching has ended by a refusal. */
    error?: (error: FreshetError | Error) => void;
}

export interface Presence {
    /** The members, kept current. */
    members(): ReadonlyMap<string, Member>;
    readonly count: number;
    /** Connections without any name. */
    readonly anonymous: number;
    /** This client's member, once `set` or `read` have answered. */
    readonly me: Member | null;
    /** Takes a subscription to the channel by its name, by this client or another of the same name. Waits while this client's begins; rejects with 409 if there is none. */
    set(state: unknown): Promise<Member>;
    read(id: string): Promise<Member>;
    close(): void;
}

export interface Client {
    readonly state: State;
    readonly mechanism: Mechanism | null;
    /** The name of the connection, for `except`; a tab that shares one may have none. */
    readonly connection?: string;
    /** Watches who is on a channel. Resolves when the first list was read. */
    presence(channel: string, handler?: PresenceHandlers): Promise<Presence>;
    /** Follows a channel or pattern, or several. */
    subscribe(channels: string | string[], handler: ((event: FreshetEvent) => void) | Handlers, options?: SubscribeOptions): Subscription;
    /** Publishes text, bytes, or anything else as JSON. Repeats until the server has answered, and keeps the order of the calls. */
    publish(channel: string, data: unknown, options?: PublishOptions): Promise<Receipt>;
    /** Ends the pauses before the next tries, in all tabs that share the connection: for when the network is back, or somebody asks for it. */
    retry(): void;
    close(): void;
}

/** A client of the server at `url`; without one, of the server that the page came from. */
export function connect(url?: string | URL, options?: ClientOptions): Client;

/** Says whether a name or pattern stands for a channel. */
export function matches(pattern: string, channel: string): boolean;
