#include "access/caller.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>

const char *caller_kind_word(enum caller_kind kind)
{
    static const char *const words[CALLER_KINDS] = {
        [CALLER_ANYBODY] = "anybody", [CALLER_KEY] = "key",
        [CALLER_TOKEN] = "token",     [CALLER_CERTIFICATE] = "certificate",
        [CALLER_BACKEND] = "backend",
    };
    return words[kind];
}

/* The memory behind a caller: its grants, their patterns, and the bytes of all strings. */
struct room {
    struct grant *grants;
    struct str *patterns;
    char *text;
};

static size_t patterns_of(const struct caller_facts *facts)
{
    size_t count = 0;
    for (size_t i = 0; i < facts->grants_count; i++)
        count += facts->grants[i].patterns_count;
    return count;
}

/* The text that tells the caller from others of its kind: its subject, else its digest. */
static struct str who_of(const struct caller_facts *facts)
{
    return facts->subject.len ? facts->subject : facts->digest;
}

static size_t text_of(const struct caller_facts *facts)
{
    size_t len = strlen(caller_kind_word(facts->kind)) + 1 + who_of(facts).len + facts->key_id.len +
                 facts->jti.len;
    for (size_t i = 0; i < facts->grants_count; i++)
        for (size_t j = 0; j < facts->grants[i].patterns_count; j++)
            len += facts->grants[i].patterns[j].len;
    return len;
}

static struct str copy_text(struct room *room, struct str text)
{
    struct str copy = {room->text, text.len};
    if (!text.len)
        return STR_NONE;
    memcpy(room->text, text.at, text.len);
    room->text += text.len;
    return copy;
}

static struct str copy_name(struct room *room, const struct caller_facts *facts)
{
    struct str who = who_of(facts);
    struct str kind = copy_text(room, str_from(caller_kind_word(facts->kind)));
    (void)copy_text(room, facts->subject.len || !facts->digest.len ? STR("/") : STR("#"));
    (void)copy_text(room, who);
    return (struct str){kind.at, kind.len + 1 + who.len};
}

/* Where that stands in the name. */
static struct str who_in(struct str name, const struct caller_facts *facts)
{
    return str_skip(name, name.len - who_of(facts).len);
}

static struct grant copy_grant(struct room *room, const struct grant *grant)
{
    struct grant copy = {room->patterns, grant->patterns_count, grant->may};
    for (size_t i = 0; i < grant->patterns_count; i++)
        *room->patterns++ = copy_text(room, grant->patterns[i]);
    return copy;
}

size_t caller_size(const struct caller_facts *facts)
{
    return sizeof(struct caller) + facts->grants_count * sizeof(struct grant) +
           patterns_of(facts) * sizeof(struct str) + text_of(facts);
}

struct caller *caller_new(const struct caller_facts *facts)
{
    size_t grants = facts->grants_count * sizeof(struct grant);
    size_t patterns = patterns_of(facts) * sizeof(struct str);
    struct caller *caller = mem_try_alloc(caller_size(facts));
    if (!caller)
        return NULL;
    char *behind = (char *)(caller + 1);
    struct room room = {(struct grant *)(void *)behind, (struct str *)(void *)(behind + grants),
                        behind + grants + patterns};
    *caller = (struct caller){.facts = *facts};
    atomic_init(&caller->refs, 1);
    caller->facts.base = caller_ref(facts->base);
    caller->facts.grants = room.grants;
    caller->name = copy_name(&room, facts);
    caller->facts.subject = str_skip(caller->name, caller->name.len - facts->subject.len);
    caller->facts.digest = facts->subject.len ? STR_NONE : who_in(caller->name, facts);
    caller->facts.key_id = copy_text(&room, facts->key_id);
    caller->facts.jti = copy_text(&room, facts->jti);
    for (size_t i = 0; i < facts->grants_count; i++)
        room.grants[i] = copy_grant(&room, &facts->grants[i]);
    return caller;
}

struct caller *caller_ref(const struct caller *caller)
{
    struct caller *shared = (struct caller *)(uintptr_t)caller; /* only the count changes */
    if (shared)
        atomic_fetch_add_explicit(&shared->refs, 1, memory_order_relaxed);
    return shared;
}

struct caller *caller_unref(struct caller *caller)
{
    while (caller && atomic_fetch_sub_explicit(&caller->refs, 1, memory_order_acq_rel) == 1) {
        struct caller *base = (struct caller *)(uintptr_t)caller->facts.base;
        free(caller);
        caller = base;
    }
    return NULL;
}

struct caller *caller_on(const struct caller *caller, struct caller *base)
{
    struct caller_facts facts = caller->facts;
    int64_t base_us = base->facts.expires_us;
    facts.base = base;
    if (base_us && (!facts.expires_us || base_us < facts.expires_us))
        facts.expires_us = base_us;
    struct caller *made = caller_new(&facts);
    if (!made)
        return base;
    caller_unref(base);
    return made;
}

struct str caller_subject(const struct caller *caller)
{
    return caller ? caller->facts.subject : STR_NONE;
}

bool caller_is_of(const struct caller *caller, struct str subject)
{
    while (caller && !str_eq(caller->facts.subject, subject))
        caller = caller->facts.base;
    return caller != NULL;
}

bool caller_grants_known(const struct caller *caller)
{
    while (caller && !caller->facts.lacks_grants)
        caller = caller->facts.base;
    return !caller;
}

static bool grant_equal(const struct grant *a, const struct grant *b)
{
    if (a->may != b->may || a->patterns_count != b->patterns_count)
        return false;
    for (size_t i = 0; i < a->patterns_count; i++)
        if (!str_eq(a->patterns[i], b->patterns[i]))
            return false;
    return true;
}

bool caller_equal(const struct caller *a, const struct caller *b)
{
    bool same = str_eq(a->name, b->name) && a->facts.expires_us == b->facts.expires_us &&
                a->facts.grants_count == b->facts.grants_count;
    for (size_t i = 0; same && i < a->facts.grants_count; i++)
        same = grant_equal(&a->facts.grants[i], &b->facts.grants[i]);
    return same;
}

struct str caller_name(const struct caller *caller)
{
    return caller ? caller->name : STR_NONE;
}

bool caller_is_same(const struct caller *a, const struct caller *b)
{
    return a && b && (a->facts.subject.len || a->facts.digest.len) && str_eq(a->name, b->name);
}

struct str caller_digest(struct str text, char ret_digits[CALLER_DIGEST_LEN])
{
    uint8_t digest[HASH_SHA256_SIZE];
    hash_sha256(text, digest);
    hash_write_hex(digest, CALLER_DIGEST_LEN / 2, ret_digits);
    return (struct str){ret_digits, CALLER_DIGEST_LEN};
}

/* Each text stands behind its length, so that no two lists are the same bytes. */
uint64_t voucher_of(const struct str *texts, size_t count)
{
    enum { LENGTH_MAX = 24 };
    struct buf all = {0};
    uint8_t digest[HASH_SHA256_SIZE];
    uint64_t voucher;
    size_t size = 1;
    for (size_t i = 0; i < count; i++)
        size += LENGTH_MAX + texts[i].len;
    (void)buf_reserve(&all, size); /* at once: bytes that move would stay behind */
    for (size_t i = 0; i < count; i++) {
        buf_addf(&all, "%zu:", texts[i].len);
        buf_add_str(&all, texts[i]);
    }
    hash_sha256(buf_str(&all), digest);
    memcpy(&voucher, digest, sizeof(voucher));
    buf_wipe(&all);
    return voucher ? voucher : 1;
}

static bool has(const uint64_t *vouchers, size_t count, uint64_t voucher)
{
    for (size_t i = 0; i < count; i++)
        if (vouchers[i] == voucher)
            return true;
    return false;
}

bool caller_lost_server(const struct caller *caller, const uint64_t *vouchers, size_t count)
{
    bool lost = false;
    for (; caller; caller = caller->facts.base) {
        if (!caller->facts.voucher || has(vouchers, count, caller->facts.voucher))
            continue;
        if (caller->facts.kind == CALLER_TOKEN)
            return false;
        lost = true;
    }
    return lost;
}

bool caller_lost_voucher(const struct caller *caller, const uint64_t *vouchers, size_t count)
{
    for (; caller; caller = caller->facts.base)
        if (caller->facts.voucher && !has(vouchers, count, caller->facts.voucher))
            return true;
    return false;
}
