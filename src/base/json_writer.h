/* A writer of JSON into a buffer: it puts commas, quotes and escapes, so that callers name members
 * and values alone. */
#pragma once

#include "base/buf.h"

enum { JSON_WRITER_DEPTH = 16 };

/* Callers may write elsewhere in between, and continue the same document in another buffer by
 * changing `out`. Failures stick to the buffer: check buf_failed() once, at the end. A build
 * without optimization (the sanitized ones) asserts that names, values and ends fit what is open;
 * the release leaves it out, since it costs a tenth of an event's envelope. */
struct json_writer {
    struct buf *out;
    bool comma; /* the container has a value already */
#ifndef __OPTIMIZE__
    bool named; /* a name waits for its value */
    uint8_t depth;
    bool is_object[JSON_WRITER_DEPTH];
#endif
};

/* Writes one document, or one value, into `out`. */
struct json_writer json_writer(struct buf *out);

/* Writes members without braces around them, which json_add_members() puts into an object later. */
struct json_writer json_members_writer(struct buf *out);

void json_object_begin(struct json_writer *writer);
void json_object_end(struct json_writer *writer);
void json_array_begin(struct json_writer *writer);
void json_array_end(struct json_writer *writer);

/* Asserts that a name fits, in a build without optimization. */
#ifdef __OPTIMIZE__
static inline void json_expect_name(struct json_writer *writer)
{
    (void)writer;
}
#else
void json_expect_name(struct json_writer *writer);
#endif

/* The name of the next value. Names are our own words, and are not escaped. Inline, since the
 * compiler counts and copies the bytes of a literal without a loop. */
static inline void json_name_of_len(struct json_writer *writer, const char *name, size_t len)
{
    json_expect_name(writer);
    char *to = buf_reserve(writer->out, len + 4);
    if (!to)
        return;
    if (writer->comma)
        *to++ = ',';
    *to++ = '"';
    memcpy(to, name, len);
    to[len] = '"';
    to[len + 1] = ':';
    writer->out->len = (size_t)(to + len + 2 - writer->out->at);
    writer->comma = false;
}

static inline void json_name(struct json_writer *writer, const char *name)
{
    json_name_of_len(writer, name, strlen(name));
}

/* Values. A string must be UTF-8. */
void json_add_string(struct json_writer *writer, struct str value);
void json_add_number(struct json_writer *writer, uint64_t value);
void json_add_signed(struct json_writer *writer, int64_t value);
void json_add_decimal(struct json_writer *writer, double value, int decimals);
/* With 15 digits at most, and no zeroes at the end. */
void json_add_real(struct json_writer *writer, double value);
void json_add_bool(struct json_writer *writer, bool value);
void json_add_null(struct json_writer *writer);
/* The id of an event: a string of 16 digits. */
void json_add_id(struct json_writer *writer, uint64_t id);
/* A string such as 2026-11-23T18:38:00.123456Z. */
void json_add_time(struct json_writer *writer, int64_t us_since_1970);
void json_add_base64(struct json_writer *writer, struct str bytes);
/* Text that is JSON already: one value, or in an array several with commas between them. Nothing is
 * added for an empty text in an array. */
void json_add_raw(struct json_writer *writer, struct str value);
/* Members from json_members_writer(), without or with any. */
void json_add_members(struct json_writer *writer, struct str members);

/* A member: its name and its value. */
#define JSON_MEMBER(kind, type)                                                                    \
    static inline void json_member_##kind(struct json_writer *writer, const char *name,            \
                                          type value)                                              \
    {                                                                                              \
        json_name(writer, name);                                                                   \
        json_add_##kind(writer, value);                                                            \
    }
JSON_MEMBER(string, struct str)
JSON_MEMBER(number, uint64_t)
JSON_MEMBER(signed, int64_t)
JSON_MEMBER(real, double)
JSON_MEMBER(bool, bool)
JSON_MEMBER(id, uint64_t)
JSON_MEMBER(time, int64_t)
JSON_MEMBER(base64, struct str)
JSON_MEMBER(raw, struct str)
#undef JSON_MEMBER

static inline void json_member_decimal(struct json_writer *writer, const char *name, double value,
                                       int decimals)
{
    json_name(writer, name);
    json_add_decimal(writer, value, decimals);
}

/* A number, or null for 0. */
void json_member_number_or_null(struct json_writer *writer, const char *name, uint64_t value);

/* Bytes from outside: as a string if they are UTF-8, otherwise in base64 under the name with
 * `_base64` behind it. Nothing without bytes. */
void json_member_bytes(struct json_writer *writer, const char *name, struct str bytes);
