#include "access/audit.h"

#include "base/say.h"

static const char *const words[AUDIT_KINDS] = {
    [AUDIT_REFUSED] = "refused",
    [AUDIT_CHANGED] = "changed",
    [AUDIT_MANAGED] = "managed",
    [AUDIT_DISCONNECTED] = "disconnected",
};

const char *audit_kind_word(enum audit_kind kind)
{
    return words[kind];
}

/* Takes a token from the bucket, which is told by the time at which it is full again: each token
 * puts that off by an interval, and a bucket is empty when it is a burst away. */
static bool take_token(struct audit *audit, int64_t now_ms)
{
    int64_t full_at = atomic_load_explicit(&audit->full_at_ms, memory_order_relaxed), next;
    do {
        next = (full_at > now_ms ? full_at : now_ms) + AUDIT_INTERVAL_MS;
        if (next - now_ms > (int64_t)AUDIT_BURST * AUDIT_INTERVAL_MS)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&audit->full_at_ms, &full_at, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

bool audit_admit(struct audit *audit, struct audit_entry *entry, int64_t now_ms)
{
    if (entry->kind == AUDIT_REFUSED && !take_token(audit, now_ms)) {
        atomic_fetch_add_explicit(&audit->left_out, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&audit->left_out_all, 1, memory_order_relaxed);
        return false;
    }
    atomic_fetch_add_explicit(&audit->noted[entry->kind], 1, memory_order_relaxed);
    entry->left_out = atomic_exchange_explicit(&audit->left_out, 0, memory_order_relaxed);
    return true;
}

static void add_bytes(struct json_writer *writer, const char *name, struct str bytes)
{
    if (bytes.len)
        json_member_bytes(writer, name, bytes);
}

void audit_write(struct buf *out, const struct audit_entry *entry)
{
    static const struct caller_facts nobody = {.kind = CALLER_ANYBODY};
    const struct caller_facts *facts = entry->caller ? &entry->caller->facts : &nobody;
    struct json_writer writer = json_writer(out);
    json_object_begin(&writer);
    json_member_string(&writer, "by", str_from(caller_kind_word(facts->kind)));
    add_bytes(&writer, "subject", facts->subject);
    add_bytes(&writer, "key", facts->key_id);
    add_bytes(&writer, "jti", facts->jti);
    add_bytes(&writer, "address", entry->address);
    add_bytes(&writer, "method", entry->method);
    add_bytes(&writer, "path", entry->path);
    add_bytes(&writer, "problem", entry->problem);
    add_bytes(&writer, "why", entry->why);
    json_add_members(&writer, entry->members);
    if (entry->left_out)
        json_member_number(&writer, "left_out", entry->left_out);
    json_object_end(&writer);
}

void audit_say(const struct audit_entry *entry)
{
    char subject[160], path[160], why[240];
    struct str id = entry->caller ? entry->caller->facts.key_id : STR_NONE;
    struct str name = caller_subject(entry->caller);
    say_quote(subject, sizeof(subject), name.at, name.len);
    say_quote(path, sizeof(path), entry->path.at, entry->path.len);
    say_quote(why, sizeof(why), entry->why.at, entry->why.len);
    say(SAY_INFO, "audit",
        "what=%s by=%s subject=%s key=%.*s address=%.*s method=%.*s path=%s problem=%.*s why=%s "
        "left_out=%llu",
        words[entry->kind],
        caller_kind_word(entry->caller ? entry->caller->facts.kind : CALLER_ANYBODY), subject,
        STR_FMT(id), STR_FMT(entry->address), STR_FMT(entry->method), path, STR_FMT(entry->problem),
        why, (unsigned long long)entry->left_out);
}
