// `freshet token` makes tokens that other libraries for JWT accept, and explains the tokens that they make. What it says
// of a token is what a server with the same keys would do.

import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as jose from "jose";
import jsonwebtoken from "jsonwebtoken";
import { temporaryFolder, test } from "./support/index.mjs";
import { run } from "./support/program.mjs";

const SECRET = "correct horse battery staple and then some, so that HS512 takes it";
const bytes = new TextEncoder().encode(SECRET);

async function token(t, ...args) {
    const result = await run(t, ["token", ...args]);
    return { ...result, text: result.stdout.trim() };
}

async function minted(t, ...args) {
    const { code, text, stderr } = await token(t, ...args);
    assert.equal(code, 0, stderr);
    return text;
}

/** A key pair in files: of the private key and of the public one. */
function keyFiles(t, type, options) {
    const folder = temporaryFolder(t);
    const { privateKey, publicKey } = generateKeyPairSync(type, options);
    const files = { privateKey, publicKey, private: join(folder, "private.pem"), public: join(folder, "public.pem") };
    writeFileSync(files.private, privateKey.export({ type: "pkcs8", format: "pem" }));
    writeFileSync(files.public, publicKey.export({ type: "spki", format: "pem" }));
    return files;
}

const PAIRS = [
    ["RS256", "rsa", { modulusLength: 2048 }],
    ["PS256", "rsa", { modulusLength: 2048 }],
    ["ES256", "ec", { namedCurve: "P-256" }],
    ["EdDSA", "ed25519", {}],
];

test("a token has the claims that were asked for", async (t) => {
    const text = await minted(t, "--secret", SECRET, "--sub", "alice", "--read", "chat/**", "--read", "news",
        "--publish", "chat/room1", "--ttl", "1h", "--issuer", "me", "--audience", "them");
    const { payload, protectedHeader } = await jose.jwtVerify(text, bytes, { issuer: "me", audience: "them" });
    assert.deepEqual(protectedHeader, { alg: "HS256", typ: "JWT" });
    assert.equal(payload.sub, "alice");
    assert.equal(payload.exp - payload.iat, 3600);
    assert.match(payload.jti, /^[\w-]{22}$/);
    assert.deepEqual(payload.freshet, { grants: [
        { channels: ["chat/**", "news"], may: ["read"] },
        { channels: ["chat/room1"], may: ["publish"] },
    ] });
});

test("a secret in the command line is warned of, and one of a file or the environment is not", async (t) => {
    const file = join(temporaryFolder(t), "secret");
    writeFileSync(file, SECRET);
    assert.match((await token(t, "--secret", SECRET)).stderr, /other users/);
    assert.equal((await token(t, "--secret", `file:${file}`)).stderr, "");
    assert.equal((await token(t, "--secret", "env:HOME")).stderr.includes("other users"), false);
});

for (const algorithm of ["HS256", "HS384", "HS512"])
    test(`libraries verify what a secret signs: ${algorithm}`, async (t) => {
        const text = await minted(t, "--secret", SECRET, "--algorithm", algorithm, "--kid", "k1", "--sub", "ünï");
        assert.equal((await jose.jwtVerify(text, bytes)).protectedHeader.kid, "k1");
        assert.equal(jsonwebtoken.verify(text, SECRET, { algorithms: [algorithm] }).sub, "ünï");
    });

for (const [algorithm, type, options] of PAIRS)
    test(`libraries verify what a private key signs: ${algorithm}`, async (t) => {
        const files = keyFiles(t, type, options);
        const text = await minted(t, "--key-file", files.private, "--algorithm", algorithm, "--sub", "bob");
        assert.equal((await jose.jwtVerify(text, files.publicKey)).payload.sub, "bob");
        if (algorithm !== "EdDSA") // jsonwebtoken does not know it
            assert.equal(jsonwebtoken.verify(text, files.publicKey, { algorithms: [algorithm] }).sub, "bob");
    });

for (const [algorithm, type, options] of PAIRS)
    test(`tokens of libraries are accepted by the public key: ${algorithm}`, async (t) => {
        const files = keyFiles(t, type, options);
        const text = await new jose.SignJWT({ sub: "carol" }).setProtectedHeader({ alg: algorithm })
            .setExpirationTime("1h").sign(files.privateKey);
        const right = await token(t, "inspect", text, "--key-file", files.public, "--algorithm", algorithm);
        assert.equal(right.code, 0, right.stdout);
        assert.match(right.stdout, /^Accepted[^]*subject +"carol"[^]*in 59 minutes|in 60 minutes/);
        const other = keyFiles(t, type, options);
        const wrong = await token(t, "inspect", text, "--key-file", other.public, "--algorithm", algorithm);
        assert.equal(wrong.code, 1);
        assert.match(wrong.stdout, /^Refused: the token's signature is not by a key of this server/);
    });

test("tokens of libraries are accepted by a JWK Set", async (t) => {
    const file = join(temporaryFolder(t), "jwks.json");
    const keys = [];
    const texts = [];
    for (const [alg, type, options] of PAIRS) {
        const { privateKey, publicKey } = generateKeyPairSync(type, options);
        keys.push({ ...await jose.exportJWK(publicKey), alg, kid: alg, use: "sig" });
        texts.push(await new jose.SignJWT({}).setProtectedHeader({ alg, kid: alg }).setExpirationTime("1h")
            .sign(privateKey));
    }
    writeFileSync(file, JSON.stringify({ keys }));
    for (const text of texts)
        assert.equal((await token(t, "inspect", text, "--key-file", file)).code, 0);
});

for (const [why, claims, options, words] of [
    ["has expired", { exp: 1_000_000_000 }, {}, /Refused: the token has expired\.[^]*valid until +2001-09-09T01:46:40/],
    ["is not valid yet", { nbf: 4_000_000_000, exp: 4_100_000_000 }, {}, /Refused: the token is not valid yet/],
    ["has no end", {}, { keepEndless: true }, /Refused: the token has no `exp`/],
    ["is for another server", { aud: "them" }, {}, /Refused: the token's `aud` does not name this server/],
    ["has grants that are none", { freshet: { grants: "all" } }, {}, /Refused: the token's grants are no list/],
    ["has an end that is text", { exp: "tomorrow" }, {}, /Refused: the token's `exp`, `nbf` or `iat` is no number/],
])
    test(`inspect says of a token that it ${why}`, async (t) => {
        const full = options.keepEndless ? claims : { exp: Math.floor(Date.now() / 1000) + 3600, ...claims };
        const text = await new jose.CompactSign(new TextEncoder().encode(JSON.stringify(full)))
            .setProtectedHeader({ alg: "HS256" }).sign(bytes);
        const { code, stdout } = await token(t, "inspect", text, "--secret", SECRET);
        assert.equal(code, 1);
        assert.match(stdout, words);
    });

test("inspect tells what a token grants, by the keys of a configuration", async (t) => {
    const folder = temporaryFolder(t);
    const config = join(folder, "freshet.yaml");
    writeFileSync(join(folder, "secret"), SECRET);
    writeFileSync(config, `tokens:\n  - secret: file:${join(folder, "secret")}\n    issuer: https://shop.example\n` +
        "    audience: freshet\n");
    const text = await minted(t, "--config", config, "--sub", "alice", "--read", "a/**", "--admin", "**", "--ttl", "2d",
        "--jti", "t1");
    const { code, stdout } = await token(t, "inspect", text, "--config", config);
    assert.equal(code, 0);
    assert.equal(stdout.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME").replace(/in \d+ hours|in 2 days/, "in 2 days"),
        `Accepted: a server with these keys accepts this token.
algorithm   "HS256"
subject     "alice"
id          "t1"
issued by   "https://shop.example"
for         "freshet"
valid until TIME, in 2 days
may         read a/**
may         admin **
`);
});

test("inspect without a key verifies nothing and says so", async (t) => {
    const text = await minted(t, "--secret", SECRET, "--sub", "alice");
    const { code, stdout } = await token(t, "inspect", text);
    assert.equal(code, 1);
    assert.match(stdout, /^Not verified: say by --config, --secret or --key-file/);
    assert.match(stdout, /subject +"alice"/);
    assert.match(stdout, /may +nothing by itself/);
});

test("inspect lets no control character of a token reach the terminal", async (t) => {
    const text = await new jose.SignJWT({ sub: "a\u001b[31mb\r" }).setProtectedHeader({ alg: "HS256" })
        .setExpirationTime("1h").sign(bytes);
    const { stdout } = await token(t, "inspect", text, "--secret", SECRET);
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f]/);
});

for (const [why, args, words] of [
    ["no key", [], /which key signs\?/],
    ["a short secret", ["--secret", "short"], /at least 32 bytes/],
    ["a secret that is not there", ["--secret", "env:FRESHET_NO_SUCH"], /FRESHET_NO_SUCH is not set/],
    ["two keys", ["--secret", SECRET, "--key-file", "x"], /one of them/],
    ["a pattern that is none", ["--secret", SECRET, "--read", "a//b"], /--read a\/\/b/],
    ["a time that is none", ["--secret", SECRET, "--ttl", "1x"], /--ttl takes a time/],
    ["no time at all", ["--secret", SECRET, "--ttl", "0"], /--ttl takes a time/],
    ["an empty subject", ["--secret", SECRET, "--sub", ""], /1 to 255 bytes/],
    ["a word too many", ["--secret", SECRET, "alice"], /"alice" is one word too many/],
    ["an algorithm of another kind", ["--secret", SECRET, "--algorithm", "RS256"], /HS256, HS384 or HS512/],
    ["the algorithm none", ["--secret", SECRET, "--algorithm", "none"], /algorithm: is HS256/],
    ["a token that would be too long", ["--secret", SECRET, ...Array(40).fill(0).flatMap(
        () => ["--read", randomBytes(120).toString("hex")])], /longer than the 8192 bytes/],
    ["inspect without a token", ["inspect"], /inspect takes one token/],
])
    test(`arguments that are wrong are refused: ${why}`, async (t) => {
        const { code, stdout, stderr } = await token(t, ...args);
        assert.equal(code, 2);
        assert.equal(stdout, "");
        assert.match(stderr, words);
        assert.doesNotMatch(stderr, new RegExp(SECRET));
    });

test("a public key signs nothing", async (t) => {
    const { code, stderr } = await token(t, "--key-file", keyFiles(t, "ed25519", {}).public);
    assert.equal(code, 2);
    assert.match(stderr, /no key that is given can sign/);
});
