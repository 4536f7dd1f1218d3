// Everything that a test file needs; see the modules for what each thing does.

export { deadline, eventually, DEADLINE_MS } from "./wait.mjs";
export { RawConn, BodyReader, parseHead, rawRequest } from "./raw.mjs";
export { LINE, NdjsonStream, RawStream, SseStream, openNdjson, openRaw, openSse } from "./streams.mjs";
export { encodeChannel, linkOf, page, parseLinks, post, publish, publishMany, request } from "./http.mjs";
export { assertProblem, assertTypeHasPage, pathOfType } from "./problems.mjs";
export { BIN, Server, bothStores, sideBySide, startServer, temporaryFolder, test, testWithin } from "./server.mjs";
export { argumentsOf, curl, curlStream } from "./curl.mjs";
export {
    ID, TIME, UNKNOWN_CURSOR, assertLogOrder, dataOf, idsOf, nestedArrays, nestedObjects, queryOf,
} from "./events.mjs";
export { stats, subscribersOf } from "./stats.mjs";
export { startProxy } from "./proxy.mjs";
