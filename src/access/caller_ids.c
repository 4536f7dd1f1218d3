#include "access/caller_ids.h"

#include "base/json_writer.h"

#include <jansson.h>

void caller_ids_write(struct buf *out, const struct caller *caller)
{
    struct json_writer writer = json_writer(out);
    if (!caller)
        return;
    const struct caller_facts *facts = &caller->facts;
    json_object_begin(&writer);
    json_member_string(&writer, "by", str_from(caller_kind_word(facts->kind)));
    json_member_string(&writer, "subject", facts->subject);
    json_member_string(&writer, "key", facts->key_id);
    json_member_string(&writer, "jti", facts->jti);
    json_member_signed(&writer, "issued_us", facts->issued_us);
    json_member_signed(&writer, "expires_us", facts->expires_us);
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

struct caller *caller_ids_read(struct str text)
{
    json_t *root = text.len ? json_loadb(text.at, text.len, 0, NULL) : NULL;
    struct caller_facts facts = {
        .subject = text_of(root, "subject"),
        .key_id = text_of(root, "key"),
        .jti = text_of(root, "jti"),
        .issued_us = json_integer_value(json_object_get(root, "issued_us")),
        .expires_us = json_integer_value(json_object_get(root, "expires_us"))};
    struct caller *caller =
        root && read_kind(text_of(root, "by"), &facts.kind) ? caller_new(&facts) : NULL;
    json_decref(root);
    return caller;
}
