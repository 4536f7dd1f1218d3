#include "access/caller_ids.h"

#include "access/grant_json.h"
#include "base/json_text.h"
#include "base/json_writer.h"

#include <jansson.h>
#include <stdlib.h>

/* More callers do not rest on one another, since a request asks for fewer permissions. */
enum { CALLERS_MAX = 32 };

static void write_facts(struct json_writer *writer, const struct caller_facts *facts)
{
    json_member_string(writer, "by", str_from(caller_kind_word(facts->kind)));
    json_member_string(writer, "subject", facts->subject);
    if (facts->digest.len)
        json_member_string(writer, "digest", facts->digest);
    json_member_string(writer, "key", facts->key_id);
    json_member_string(writer, "jti", facts->jti);
    json_member_signed(writer, "issued_us", facts->issued_us);
    json_member_signed(writer, "expires_us", facts->expires_us);
    json_member_signed(writer, "voucher", (int64_t)facts->voucher);
    if (facts->lacks_grants)
        return;
    json_name(writer, "grants");
    grants_write(writer, facts->grants, facts->grants_count);
}

/* A key of the configuration may have thousands of patterns, and grants what it does now. */
static bool is_key_by_itself(const struct caller *caller)
{
    return caller && caller->facts.kind == CALLER_KEY && !caller->facts.base;
}

void caller_ids_write(struct buf *out, const struct caller *caller)
{
    struct json_writer writer = json_writer(out);
    unsigned open = 0;
    bool is_key = is_key_by_itself(caller);
    for (; caller; caller = caller->facts.base, open++) {
        if (open)
            json_name(&writer, "base");
        json_object_begin(&writer);
        struct caller_facts facts = caller->facts;
        facts.lacks_grants |= is_key && facts.grants_count;
        write_facts(&writer, &facts);
    }
    while (open--)
        json_object_end(&writer);
}

static struct str text_of(const json_t *root, const char *name)
{
    return json_text(json_object_get(root, name));
}

static bool read_kind(struct str word, enum caller_kind *ret)
{
    for (unsigned i = 0; i < CALLER_KINDS; i++)
        if (str_eq(word, str_from(caller_kind_word((enum caller_kind)i)))) {
            *ret = (enum caller_kind)i;
            return true;
        }
    return false;
}

static bool read_time(const json_t *root, const char *name, int64_t *ret)
{
    const json_t *value = json_object_get(root, name);
    *ret = json_integer_value(value);
    return json_is_integer(value) && *ret >= 0;
}

/* Older versions wrote no voucher: that is not known then. */
static bool read_voucher(const json_t *root, uint64_t *ret)
{
    const json_t *value = json_object_get(root, "voucher");
    *ret = (uint64_t)json_integer_value(value);
    return !value || json_is_integer(value);
}

static bool read_own(const json_t *root, struct caller_facts *ret)
{
    *ret = (struct caller_facts){.subject = text_of(root, "subject"),
                                 .digest = text_of(root, "digest"),
                                 .key_id = text_of(root, "key"),
                                 .jti = text_of(root, "jti"),
                                 .lacks_grants = !json_object_get(root, "grants")};
    return ret->subject.at && ret->key_id.at && ret->jti.at &&
           read_kind(text_of(root, "by"), &ret->kind) &&
           read_time(root, "issued_us", &ret->issued_us) &&
           read_time(root, "expires_us", &ret->expires_us) && read_voucher(root, &ret->voucher);
}

/* A caller in a text, and those that it rests on in the following places. */
struct read_caller {
    const json_t *root;
    struct caller_facts facts;
};

/* The number of callers; 0 if one of them cannot be read. */
static size_t read_all(const json_t *root, struct read_caller ret[CALLERS_MAX])
{
    size_t count = 0;
    for (; root; root = json_object_get(root, "base"), count++) {
        if (count == CALLERS_MAX || !read_own(root, &ret[count].facts))
            return 0;
        ret[count].root = root;
    }
    return count;
}

static struct caller *new_or_abort(const struct caller_facts *facts)
{
    struct caller *caller = caller_new(facts);
    if (!caller)
        abort(); /* nobody would stand for anybody, whose rights do not end */
    return caller;
}

/* NULL if the grants cannot be read. */
static struct caller *make(const struct read_caller *read, const struct caller *base)
{
    struct grant_list list = {0};
    struct caller *caller = NULL;
    struct caller_facts facts = read->facts;
    if (facts.lacks_grants || !grant_list_read(json_object_get(read->root, "grants"), &list)) {
        facts.base = base;
        facts.grants = list.grants;
        facts.grants_count = list.count;
        caller = new_or_abort(&facts);
    }
    grant_list_deinit(&list);
    return caller;
}

/* Makes the last first, since the others rest on it. NULL if one cannot be read. */
static struct caller *make_all(const json_t *root)
{
    struct read_caller all[CALLERS_MAX];
    struct caller *caller = NULL;
    size_t count = read_all(root, all);
    bool good = count > 0;
    while (good && count) {
        struct caller *base = caller;
        caller = make(&all[--count], base);
        good = caller != NULL;
        caller_unref(base);
    }
    return caller;
}

struct caller *caller_ids_read(struct str text)
{
    static const struct caller_facts ended = {.expires_us = 1};
    if (!text.len)
        return NULL;
    json_t *root = json_loadb(text.at, text.len, 0, NULL);
    struct caller *caller = make_all(root);
    json_decref(root);
    return caller ? caller : new_or_abort(&ended);
}
