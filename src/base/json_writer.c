#include "base/json_writer.h"

#include "base/base64.h"
#include "base/rfc3339.h"
#include "base/utf8.h"

#include <assert.h>

/* ---- nesting, asserted by builds without optimization ---------------------------------------- */

#ifdef __OPTIMIZE__

static void open_container(struct json_writer *writer, bool is_object)
{
    (void)writer;
    (void)is_object;
}

static void close_container(struct json_writer *writer, bool is_object)
{
    (void)writer;
    (void)is_object;
}

static void expect_value(struct json_writer *writer)
{
    (void)writer;
}

static void expect_members(const struct json_writer *writer)
{
    (void)writer;
}

#else

static bool in_object(const struct json_writer *writer)
{
    return writer->depth && writer->is_object[writer->depth - 1];
}

static void open_container(struct json_writer *writer, bool is_object)
{
    assert(writer->depth < JSON_WRITER_DEPTH);
    writer->is_object[writer->depth++] = is_object;
}

static void close_container(struct json_writer *writer, bool is_object)
{
    assert(writer->depth && in_object(writer) == is_object && !writer->named);
    writer->depth--;
}

void json_expect_name(struct json_writer *writer)
{
    assert(in_object(writer) && !writer->named);
    writer->named = true;
}

static void expect_value(struct json_writer *writer)
{
    assert(in_object(writer) == writer->named);
    assert(writer->depth || !writer->comma); /* a document is one value */
    writer->named = false;
}

static void expect_members(const struct json_writer *writer)
{
    assert(in_object(writer) && !writer->named);
}

#endif

/* ---- containers ------------------------------------------------------------------------------ */

struct json_writer json_writer(struct buf *out)
{
    return (struct json_writer){.out = out};
}

struct json_writer json_members_writer(struct buf *out)
{
    struct json_writer writer = {.out = out};
    open_container(&writer, true);
    return writer;
}

/* Room for a value of at most `n` bytes, behind the comma that it may need. NULL without memory. */
static char *value_room(struct json_writer *writer, size_t n)
{
    expect_value(writer);
    char *to = buf_reserve(writer->out, n + 1);
    if (to && writer->comma)
        *to++ = ',';
    writer->comma = true;
    return to;
}

/* Counts what was written into the room, up to `end`. */
static void value_end(struct json_writer *writer, const char *end)
{
    writer->out->len = (size_t)(end - writer->out->at);
}

static void begin_value(struct json_writer *writer)
{
    char *to = value_room(writer, 0);
    if (to)
        value_end(writer, to);
}

static void begin(struct json_writer *writer, char bracket, bool is_object)
{
    char *to = value_room(writer, 1);
    if (to) {
        *to = bracket;
        value_end(writer, to + 1);
    }
    open_container(writer, is_object);
    writer->comma = false;
}

static void end(struct json_writer *writer, char bracket, bool is_object)
{
    close_container(writer, is_object);
    buf_add_char(writer->out, bracket);
    writer->comma = true;
}

void json_object_begin(struct json_writer *writer)
{
    begin(writer, '{', true);
}

void json_object_end(struct json_writer *writer)
{
    end(writer, '}', true);
}

void json_array_begin(struct json_writer *writer)
{
    begin(writer, '[', false);
}

void json_array_end(struct json_writer *writer)
{
    end(writer, ']', false);
}

void json_add_members(struct json_writer *writer, struct str members)
{
    expect_members(writer);
    if (!members.len)
        return;
    if (writer->comma)
        buf_add_char(writer->out, ',');
    buf_add_str(writer->out, members);
    writer->comma = true;
}

/* ---- values ---------------------------------------------------------------------------------- */

void json_add_string(struct json_writer *writer, struct str value)
{
    begin_value(writer);
    buf_add_json(writer->out, value);
}

void json_add_number(struct json_writer *writer, uint64_t value)
{
    begin_value(writer);
    buf_add_u64(writer->out, value);
}

void json_add_signed(struct json_writer *writer, int64_t value)
{
    begin_value(writer);
    if (value < 0)
        buf_add_char(writer->out, '-');
    buf_add_u64(writer->out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void json_add_decimal(struct json_writer *writer, double value, int decimals)
{
    begin_value(writer);
    buf_addf(writer->out, "%.*f", decimals, value);
}

void json_add_real(struct json_writer *writer, double value)
{
    begin_value(writer);
    buf_addf(writer->out, "%.15g", value);
}

void json_add_bool(struct json_writer *writer, bool value)
{
    begin_value(writer);
    buf_add_str(writer->out, value ? STR("true") : STR("false"));
}

void json_add_null(struct json_writer *writer)
{
    begin_value(writer);
    buf_add_lit(writer->out, "null");
}

void json_add_id(struct json_writer *writer, uint64_t id)
{
    char *to = value_room(writer, BUF_ID_LEN + 2);
    if (!to)
        return;
    buf_put_id(to + 1, id);
    to[0] = '"';
    to[1 + BUF_ID_LEN] = '"';
    value_end(writer, to + BUF_ID_LEN + 2);
}

void json_add_time(struct json_writer *writer, int64_t us_since_1970)
{
    begin_value(writer);
    buf_add_char(writer->out, '"');
    rfc3339_add(writer->out, us_since_1970);
    buf_add_char(writer->out, '"');
}

void json_add_base64(struct json_writer *writer, struct str bytes)
{
    begin_value(writer);
    buf_add_char(writer->out, '"');
    base64_add(writer->out, bytes);
    buf_add_char(writer->out, '"');
}

void json_add_raw(struct json_writer *writer, struct str value)
{
    if (!value.len)
        return;
    begin_value(writer);
    buf_add_str(writer->out, value);
}

/* ---- members that have a choice -------------------------------------------------------------- */

void json_member_number_or_null(struct json_writer *writer, const char *name, uint64_t value)
{
    json_name(writer, name);
    if (value)
        json_add_number(writer, value);
    else
        json_add_null(writer);
}

void json_member_bytes(struct json_writer *writer, const char *name, struct str bytes)
{
    if (!bytes.len)
        return;
    if (utf8_valid(bytes)) {
        json_member_string(writer, name, bytes);
        return;
    }
    struct buf long_name = {0};
    buf_addf(&long_name, "%s_base64", name);
    json_name_of_len(writer, long_name.at ? long_name.at : "", long_name.len);
    json_add_base64(writer, bytes);
    writer->out->failed |= buf_failed(&long_name);
    buf_free(&long_name);
}
