#include "access/caller_ids.h"

#include "base/json_writer.h"

#include <jansson.h>
#include <stdlib.h>

/* More callers do not rest on one another, since a request asks for fewer permissions. */
enum { CALLERS_MAX = 32 };

static void write_facts(struct json_writer *writer, const struct caller_facts *facts)
{
    json_member_string(writer, "by", str_from(caller_kind_word(facts->kind)));
    json_member_string(writer, "subject", facts->subject);
    json_member_string(writer, "key", facts->key_id);
    json_member_string(writer, "jti", facts->jti);
    json_member_signed(writer, "issued_us", facts->issued_us);
    json_member_signed(writer, "expires_us", facts->expires_us);
}

void caller_ids_write(struct buf *out, const struct caller *caller)
{
    struct json_writer writer = json_writer(out);
    unsigned open = 0;
    for (; caller; caller = caller->facts.base, open++) {
        if (open)
            json_name(&writer, "base");
        json_object_begin(&writer);
        write_facts(&writer, &caller->facts);
    }
    while (open--)
        json_object_end(&writer);
}

static struct str text_of(const json_t *root, const char *name)
{
    const json_t *value = json_object_get(root, name);
    return (struct str){json_string_value(value), json_string_length(value)};
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

static bool read_own(const json_t *root, struct caller_facts *ret)
{
    *ret = (struct caller_facts){.subject = text_of(root, "subject"),
                                 .key_id = text_of(root, "key"),
                                 .jti = text_of(root, "jti")};
    return ret->subject.at && ret->key_id.at && ret->jti.at &&
           read_kind(text_of(root, "by"), &ret->kind) &&
           read_time(root, "issued_us", &ret->issued_us) &&
           read_time(root, "expires_us", &ret->expires_us);
}

/* The facts, with those of the callers that it rests on in the following places. Their number; 0 if
 * one of them cannot be read. */
static size_t read_all(const json_t *root, struct caller_facts ret[CALLERS_MAX])
{
    size_t count = 0;
    for (; root; root = json_object_get(root, "base"))
        if (count == CALLERS_MAX || !read_own(root, &ret[count++]))
            return 0;
    return count;
}

static struct caller *new_or_abort(const struct caller_facts *facts)
{
    struct caller *caller = caller_new(facts);
    if (!caller)
        abort(); /* nobody would stand for anybody, whose rights do not end */
    return caller;
}

struct caller *caller_ids_read(struct str text)
{
    static const struct caller_facts ended = {.expires_us = 1};
    struct caller_facts facts[CALLERS_MAX];
    struct caller *caller = NULL;
    if (!text.len)
        return NULL;
    json_t *root = json_loadb(text.at, text.len, 0, NULL);
    size_t count = read_all(root, facts);
    while (count) {
        struct caller *base = caller;
        facts[--count].base = base;
        caller = new_or_abort(&facts[count]);
        caller_unref(base);
    }
    json_decref(root);
    return caller ? caller : new_or_abort(&ended);
}
