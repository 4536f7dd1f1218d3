/* A challenge that is answered with an HMAC under the secret by which the provider signs its events
 * makes the server a signing machine for strangers: they ask for the HMAC of what they like. X's is
 * of that kind. So tokens that are hashed have few characters (challenge_is_token()), none of which
 * opens a JSON object, and a body that could be such a token is never taken as signed
 * (source_verify()), neither by this source nor by another that has the same secret. A challenge
 * whose request is signed itself, or has a proof, is not answered to strangers. */
#include "inbound/challenge.h"

#include "base/base64.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "inbound/verify.h"

#include <errno.h>
#include <stdlib.h>

struct member {
    struct buf name;
    struct template value;
};

struct challenge {
    bool by_get;
    bool hashes;
    bool keyed; /* the hash is an HMAC of the token under one of the source's secrets */
    bool base64;
    bool is_open; /* answers anybody, with an HMAC under a secret that may also sign events */
    enum hash_kind kind;
    struct template when, value, proof, hashed;
    struct buf is;
    struct buf secret;
    struct member members[CHALLENGE_MEMBERS_MAX];
    size_t members_count;
};

/* ---- reading the settings -------------------------------------------------------------------- */

static int refuse(struct buf *why, const char *setting, const char *sentence)
{
    buf_addf(why, "challenge: %s %s", setting, sentence);
    return -EINVAL;
}

static int compile(struct template *to, const char *name, const char *text, unsigned allowed,
                   struct buf *why)
{
    const char *sentence;
    if (text && !*text)
        return refuse(why, name, "is empty: leave it out");
    int result = text ? template_compile(str_from(text), allowed, to, &sentence) : 0;
    if (result == -EINVAL)
        buf_addf(why, "challenge: %s: %s", name, sentence);
    return result;
}

/* Whether the template refers to anything in the request. */
static bool refers(const struct template *template)
{
    for (size_t i = 0; i < template->count; i++)
        if (template->parts[i].kind & (TEMPLATE_ASKED & ~(TEMPLATE_TEXT | TEMPLATE_SOURCE)))
            return true;
    return false;
}

static int read_question(struct challenge *challenge, const struct challenge_settings *settings,
                         struct buf *why)
{
    const char *method = settings->method ? settings->method : "";
    challenge->by_get = strcmp(method, "GET") == 0;
    if (!challenge->by_get && strcmp(method, "POST") != 0)
        return refuse(why, "method", "is GET or POST");
    if (!settings->when != !settings->is)
        return refuse(why, "when", "and is go together: a template, and what it has to be");
    int result = compile(&challenge->when, "when", settings->when, TEMPLATE_ASKED, why);
    if (!result)
        result = compile(&challenge->value, "value", settings->value, TEMPLATE_ASKED, why);
    if (!result && !refers(&challenge->value))
        return refuse(why, "value", "says where the token is, as in {query.challenge}");
    if (!result)
        result = compile(&challenge->proof, "proof", settings->proof, TEMPLATE_ASKED, why);
    if (!result && challenge->proof.count && !refers(&challenge->proof))
        return refuse(why, "proof", "says where the secret is, as in {query.verify_token}");
    if (settings->is)
        buf_add_str(&challenge->is, str_from(settings->is));
    return result;
}

/* Whether the hashed text includes the token. */
static bool is_of(const struct challenge *challenge, enum template_part_kind kind)
{
    for (size_t i = 0; i < challenge->hashed.count; i++)
        if (challenge->hashed.parts[i].kind == kind)
            return true;
    return false;
}

static int read_hash(struct challenge *challenge, const struct challenge_settings *settings,
                     struct buf *why)
{
    struct str name = str_from(settings->hash ? settings->hash : "");
    const char *encoding = settings->encoding ? settings->encoding : "hex";
    challenge->hashes = name.len > 0;
    challenge->keyed = str_starts(name, STR("hmac-"));
    challenge->base64 = strcmp(encoding, "base64") == 0;
    challenge->kind = hash_kind_of(challenge->keyed ? str_skip(name, 5) : name);
    if (challenge->hashes &&
        (challenge->keyed ? challenge->kind == HASH_KINDS : challenge->kind != HASH_SHA256))
        return refuse(why, "hash", "is sha256, hmac-sha1, hmac-sha256, hmac-sha384 or hmac-sha512");
    if (!challenge->base64 && strcmp(encoding, "hex") != 0)
        return refuse(why, "encoding", "is hex or base64");
    if (settings->encoding && !challenge->hashes)
        return refuse(why, "encoding", "is that of a hash: say which");
    if (settings->hashed && (!challenge->hashes || challenge->keyed))
        return refuse(why, "hashed", "goes with hash: sha256; an HMAC is of the token alone");
    const char *hashed = settings->hashed ? settings->hashed : "{value}";
    int result = compile(&challenge->hashed, "hashed", hashed, TEMPLATE_HASHED, why);
    if (!result && !is_of(challenge, TEMPLATE_VALUE))
        return refuse(why, "hashed", "holds {value}: a hash of the secret alone is told to nobody");
    return result;
}

static bool uses_secret(const struct challenge *challenge)
{
    return challenge->proof.count ||
           (challenge->hashes && (challenge->keyed || is_of(challenge, TEMPLATE_SECRET)));
}

static int read_secret(struct challenge *challenge, const struct challenge_settings *settings,
                       struct str key, struct buf *why)
{
    struct str secret = settings->secret ? str_from(settings->secret) : key;
    if (settings->secret && !uses_secret(challenge))
        return refuse(why, "secret", "is for proof, or for a hash with a secret in it");
    if (uses_secret(challenge) && !secret.len)
        return refuse(why, "secret", "is missing");
    if (challenge->proof.count && !settings->secret)
        return refuse(why, "proof", "takes a secret of its own: events are signed by the others");
    buf_add_str(&challenge->secret, secret);
    challenge->is_open =
        challenge->by_get && challenge->hashes && challenge->keyed && !challenge->proof.count;
    return 0;
}

/* NAME=TEMPLATE NAME=TEMPLATE */
static int read_members(struct challenge *challenge, const char *text, struct buf *why)
{
    struct str rest = str_from(text ? text : "");
    int result = 0;
    while (rest.at && !result) {
        struct str told = str_cut(&rest, ' ');
        struct str name = str_cut(&told, '=');
        const char *sentence;
        if (!name.len && !told.len)
            continue;
        if (!name.len || !told.len || challenge->members_count == CHALLENGE_MEMBERS_MAX)
            return refuse(why, "json", "is up to 8 members, as in response_token=sha256={hash}");
        struct member *member = &challenge->members[challenge->members_count++];
        buf_add_str(&member->name, name);
        result = template_compile(told, TEMPLATE_TOLD, &member->value, &sentence);
        if (result == -EINVAL)
            return refuse(why, "json:", sentence);
        if (buf_failed(&member->name))
            result = -ENOMEM;
    }
    return result;
}

int challenge_new(const struct challenge_settings *settings, struct str key,
                  struct challenge **ret_challenge, struct buf *why)
{
    struct challenge *challenge = mem_alloc(sizeof(*challenge));
    int result = read_question(challenge, settings, why);
    if (!result)
        result = read_hash(challenge, settings, why);
    if (!result)
        result = read_secret(challenge, settings, key, why);
    if (!result)
        result = read_members(challenge, settings->json, why);
    bool failed = buf_failed(&challenge->is) || buf_failed(&challenge->secret);
    if (!result && failed)
        result = -ENOMEM;
    if (result)
        challenge_free(challenge);
    else
        *ret_challenge = challenge;
    return result;
}

void challenge_free(struct challenge *challenge)
{
    if (!challenge)
        return;
    template_free(&challenge->when);
    template_free(&challenge->value);
    template_free(&challenge->proof);
    template_free(&challenge->hashed);
    for (size_t i = 0; i < challenge->members_count; i++) {
        buf_free(&challenge->members[i].name);
        template_free(&challenge->members[i].value);
    }
    buf_wipe(&challenge->secret);
    buf_free(&challenge->is);
    free(challenge);
}

bool challenge_by_get(const struct challenge *challenge)
{
    return challenge->by_get;
}

bool challenge_tells_json(const struct challenge *challenge)
{
    return challenge->members_count > 0;
}

void challenge_looks(const struct challenge *challenge,
                     const struct template *ret[static CHALLENGE_LOOKS])
{
    ret[0] = &challenge->when;
    ret[1] = &challenge->value;
    ret[2] = &challenge->proof;
}

/* ---- requests -------------------------------------------------------------------------------- */

/* The characters of base64, base64url, hexadecimal digits and UUIDs. */
bool challenge_is_token(struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        char c = bytes.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && (!c || !strchr("-._~+/=", c)))
            return false;
    }
    return true;
}

bool challenge_is_open(const struct challenge *challenge)
{
    return challenge->is_open;
}

bool challenge_is_under(const struct challenge *challenge, struct str secret)
{
    return verify_is_text(buf_str(&challenge->secret), secret);
}

static bool may_be_answered(const struct challenge *challenge, struct str value)
{
    if (!value.len || value.len > CHALLENGE_VALUE_MAX || !utf8_valid(value))
        return false;
    if (challenge->hashes)
        return challenge_is_token(value);
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.at[i] < ' ' || value.at[i] == 0x7f)
            return false;
    return true;
}

static void add_digest(struct buf *out, const uint8_t *digest, size_t size, bool base64)
{
    char digits[2 * HASH_SIZE_MAX];
    if (base64) {
        base64_add(out, (struct str){(const char *)digest, size});
        return;
    }
    hash_write_hex(digest, size, digits);
    buf_add(out, digits, 2 * size);
}

static void add_hash(const struct challenge *challenge, struct template_view *view, struct buf *out)
{
    uint8_t digest[HASH_SIZE_MAX];
    struct buf text = {0};
    size_t size = HASH_SHA256_SIZE;
    view->secret = buf_str(&challenge->secret);
    template_render(&challenge->hashed, view, TEMPLATE_KEY, &text);
    struct str bytes = buf_str(&text);
    if (challenge->keyed)
        size = hash_hmac(challenge->kind, buf_str(&challenge->secret), &bytes, 1, digest);
    else
        hash_sha256(bytes, digest);
    if (buf_failed(&text))
        out->failed = true;
    add_digest(out, digest, size, challenge->base64);
    buf_wipe(&text);
    view->secret = STR_NONE;
}

static void add_members(const struct challenge *challenge, const struct template_view *view,
                        struct buf *out)
{
    struct buf text = {0};
    buf_add_char(out, '{');
    for (size_t i = 0; i < challenge->members_count; i++) {
        const struct member *member = &challenge->members[i];
        buf_clear(&text);
        template_render(&member->value, view, TEMPLATE_KEY, &text);
        if (i)
            buf_add_char(out, ',');
        buf_add_json(out, buf_str(&member->name));
        buf_add_char(out, ':');
        buf_add_json(out, buf_str(&text));
        if (buf_failed(&text))
            out->failed = true;
    }
    buf_add_lit(out, "}\n");
    buf_free(&text);
}

static void add_answer(const struct challenge *challenge, struct template_view *view,
                       struct str value, struct buf *out)
{
    struct buf hash = {0};
    view->value = value;
    if (challenge->hashes)
        add_hash(challenge, view, &hash);
    view->hash = buf_str(&hash);
    if (challenge->members_count)
        add_members(challenge, view, out);
    else
        buf_add_str(out, challenge->hashes ? view->hash : value);
    if (buf_failed(&hash))
        out->failed = true;
    buf_free(&hash);
    view->value = view->hash = STR_NONE;
}

/* Whether the template renders to this text. */
static bool comes_to(const struct template *template, const struct template_view *view,
                     struct str text, struct buf *room)
{
    buf_clear(room);
    template_render(template, view, TEMPLATE_KEY, room);
    return verify_is_text(text, buf_str(room));
}

int challenge_read(const struct challenge *challenge, struct template_view *view,
                   struct buf *answer)
{
    struct buf value = {0}, room = {0};
    int verdict = CHALLENGE_MEANT;
    bool is_one =
        !challenge->when.count || comes_to(&challenge->when, view, buf_str(&challenge->is), &room);
    if (!is_one || !template_render(&challenge->value, view, TEMPLATE_KEY, &value))
        verdict = CHALLENGE_NONE;
    else if (challenge->proof.count &&
             !comes_to(&challenge->proof, view, buf_str(&challenge->secret), &room))
        verdict = CHALLENGE_E_PROOF;
    else if (!may_be_answered(challenge, buf_str(&value)))
        verdict = CHALLENGE_E_VALUE;
    else
        add_answer(challenge, view, buf_str(&value), answer);
    bool failed = buf_failed(&value) || buf_failed(&room) || buf_failed(answer);
    buf_free(&value);
    buf_free(&room);
    return failed ? -ENOMEM : verdict;
}
