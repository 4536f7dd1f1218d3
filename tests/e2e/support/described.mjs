// The descriptions of the API, and values checked against their schemas.

import assert from "node:assert/strict";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const METHODS = ["get", "post", "put", "patch", "delete"];

export class Described {
    /** `document` is OpenAPI or AsyncAPI: both have their schemas in `components`. */
    constructor(document) {
        this.document = document;
        this.ajv = new Ajv2020({ strict: false, allErrors: true });
        addFormats(this.ajv);
        this.compiled = new Map();
    }

    static async of(server, path = "/openapi.json") {
        return new Described((await server.get(path)).json());
    }

    /** All operations: {path, method, …operation}. */
    get operations() {
        return Object.entries(this.document.paths).flatMap(([path, item]) =>
            METHODS.filter((method) => item[method]).map((method) => ({ path, method, ...item[method] })));
    }

    /** The place itself, where there is a reference to it. */
    resolve(value) {
        return value?.$ref ? value.$ref.slice(2).split("/").reduce((at, name) => at[name], this.document) : value;
    }

    /** Fails if the value is not as the schema says. */
    assertIs(schema, value, what) {
        const key = JSON.stringify(schema);
        if (!this.compiled.has(key)) {
            this.compiled.set(key, this.ajv.compile({ allOf: [schema], components: this.document.components }));
        }
        const check = this.compiled.get(key);
        assert.ok(check(value), `${what}: ${this.ajv.errorsText(check.errors, { separator: "\n" })}\n${JSON.stringify(value, null, 1)}`);
    }

    assertIsA(name, value, what = name) {
        this.assertIs({ $ref: `#/components/schemas/${name}` }, value, what);
    }

    /** Fails unless the operation tells such an answer: its status, its media type and, if it is JSON, what is in it. */
    assertAnswers(operation, { status, headers, bytes }) {
        const what = `${operation.operationId} ${status}`;
        const answer = this.resolve(operation.responses[status] ?? operation.responses.default);
        const text = bytes.toString("utf8");
        assert.ok(operation.responses[status] || status >= 400, `${what} is not described: ${text}`);
        const [type] = (headers["content-type"] ?? "").split(";");
        const media = answer.content?.[type] ?? answer.content?.["*/*"];
        assert.ok(media || !text, `${what}: ${type} is not described: ${text}`);
        assert.ok(text || !media?.schema, `${what} has no body`);
        if (media?.schema) {
            this.assertIs(media.schema, JSON.parse(text), what);
        }
        for (const name of Object.keys(answer.headers ?? {})) {
            const optional = ["Event-Warning", "Link"].includes(name);
            assert.ok(optional || headers[name.toLowerCase()], `${what} lacks the header ${name}`);
        }
    }
}
