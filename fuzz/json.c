/* Feeds the JSON grammar with hostile text: nothing may crash or read too far, what Jansson takes
 * must be taken, a valid text put on one line is the same value without CR or LF, and walking a
 * container must give back values of the grammar that, joined again, are what stood there, and the
 * same with the notes of the check as without. */
#include "require.h"

#include "base/json.h"
#include "base/utf8.h"

#include <jansson.h>
#include <stdlib.h>

static json_t *by_jansson(struct str text)
{
    return json_loadb(text.at, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

/* Jansson refuses more than the grammar does (large numbers, deep nesting, lone surrogates), but
 * whatever it reads is JSON; except that it reads over a NUL behind a number. */
static void hold_against_jansson(struct str text, int result)
{
    if (text.len && memchr(text.at, '\0', text.len)) {
        require(result != JSON_OK);
        return;
    }
    json_t *value = by_jansson(text);
    require(!value || result == JSON_OK || result == JSON_E_DEPTH);
    json_decref(value);
}

static void try_one_line(struct str text)
{
    char *line = malloc(text.len ? text.len : 1);
    require(line);
    memcpy(line, text.at, text.len);
    json_one_line(line, text.len);
    struct str put = {line, text.len};
    require(!memchr(line, '\n', text.len) && !memchr(line, '\r', text.len));
    require(json_check(put, JSON_DEPTH_MAX, NULL) == JSON_OK);
    json_t *before = by_jansson(text), *after = by_jansson(put);
    require(!before == !after);
    require(!before || json_equal(before, after));
    json_decref(before);
    json_decref(after);
    free(line);
}

/* A decoded string is UTF-8, and its encoding as JSON means the same. */
static void try_string(struct str raw)
{
    struct buf text = {0}, again = {0}, back = {0};
    if (json_unescape(raw, &text) == 0) {
        require(utf8_valid(buf_str(&text)));
        buf_add_json(&again, buf_str(&text));
        require(json_check(buf_str(&again), JSON_DEPTH_MAX, NULL) == JSON_OK);
        require(json_unescape(buf_str(&again), &back) == 0);
        require(str_eq(buf_str(&back), buf_str(&text)));
    }
    buf_free(&text);
    buf_free(&again);
    buf_free(&back);
}

static struct str strip(struct str text)
{
    while (text.len && strchr(" \t\r\n", text.at[0]))
        text = str_skip(text, 1);
    while (text.len && strchr(" \t\r\n", text.at[text.len - 1]))
        text.len--;
    return text;
}

/* Walks a container and writes it down again, one level deep, without the white space between. */
static void rebuild(struct str container, struct buf *out)
{
    bool object = container.at[0] == '{';
    struct str key, value;
    size_t members = 0;
    buf_add_char(out, container.at[0]);
    for (size_t pos = 0; json_next(container, &pos, &key, &value); members++) {
        require(json_check(value, JSON_DEPTH_MAX, NULL) == JSON_OK);
        require(object == (key.at != NULL));
        if (members)
            buf_add_char(out, ',');
        if (object) {
            buf_add_char(out, '"');
            buf_add_str(out, key);
            buf_add_lit(out, "\":");
        }
        buf_add_str(out, value);
        if (value.at[0] == '"')
            try_string(value);
    }
    buf_add_char(out, object ? '}' : ']');
}

/* Walks the containers within an array from where each begins: all must end where json_next() says
 * so. */
static void try_nested(struct str array)
{
    struct str key, value, inner;
    size_t next = 0;
    for (size_t pos = 0; json_next_begins(array, &pos);) {
        require(json_next(array, &next, &key, &value) == 1);
        require(value.at == array.at + pos);
        if (value.at[0] != '{' && value.at[0] != '[') {
            pos = next;
            continue;
        }
        size_t size = 0;
        while (json_next(str_skip(array, pos), &size, &key, &inner))
            ;
        require(size == value.len);
        pos += size;
    }
}

/* Walks two levels of an array with the notes of a check, and without: the same must be found. */
static void try_noted(struct str array)
{
    struct json_notes notes;
    struct json_scan scan;
    struct str key, value, noted_key, noted;
    json_notes_begin(&notes, 2);
    json_scan_begin(&scan, JSON_DEPTH_LIMIT);
    scan.notes = &notes;
    require(json_scan_some(&scan, array, SIZE_MAX) && !scan.error);
    for (size_t pos = 0; json_next(array, &pos, &key, &value);) {
        size_t at = 0, noted_at = 0;
        bool more = value.at[0] == '{' || value.at[0] == '[';
        struct str inner = value;
        while (more) {
            more = json_next(inner, &at, &key, &value);
            require(json_next_noted(inner, &noted_at, &notes, &noted_key, &noted) == more);
            require(at == noted_at);
            require(!more || (value.at == noted.at && value.len == noted.len));
            require(!more || (key.at == noted_key.at && key.len == noted_key.len));
        }
    }
    require(notes.used == notes.count);
}

static void try_container(struct str container)
{
    struct buf once = {0}, twice = {0};
    if (container.at[0] != '{' && container.at[0] != '[')
        return;
    if (container.at[0] == '[') {
        try_nested(container);
        try_noted(container);
    }
    rebuild(container, &once);
    require(json_check(buf_str(&once), JSON_DEPTH_MAX, NULL) == JSON_OK);
    rebuild(buf_str(&once), &twice);
    require(str_eq(buf_str(&once), buf_str(&twice)));
    json_t *before = by_jansson(container), *after = by_jansson(buf_str(&once));
    require(!before == !after);
    require(!before || json_equal(before, after));
    json_decref(before);
    json_decref(after);
    buf_free(&once);
    buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    size_t at = SIZE_MAX;
    require(copy);
    if (size)
        memcpy(copy, data, size);
    struct str text = {copy, size};
    int result = json_check(text, JSON_DEPTH_MAX, &at);
    hold_against_jansson(text, result);
    if (result == JSON_OK) {
        require(utf8_valid(text));
        try_one_line(text);
        try_container(strip(text));
        if (strip(text).at[0] == '"')
            try_string(strip(text));
    } else {
        require(at <= size);
    }
    free(copy);
    return 0;
}
