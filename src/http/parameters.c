#include "http/parameters.h"

#include "base/number.h"
#include "base/unknown.h"
#include "http/target.h"
#include "http/token.h"

#include <errno.h>

enum { ID_DIGITS = 16 };

void parameters_begin(struct parameters *parameters, struct parameter_table table, struct str query)
{
    *parameters = (struct parameters){.table = table, .rest = query};
}

void parameters_end(struct parameters *parameters)
{
    buf_free(&parameters->value);
    buf_free(&parameters->fault);
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool is_ignored(struct str name)
{
    return str_starts(name, STR("_")) || str_starts(name, STR("utm_"));
}

static bool has_name(const struct parameter *row, struct str name)
{
    if (!row->any_case)
        return str_eq(row->name, name);
    return str_eq_nocase(row->name, name) || str_eq_nocase(row->also, name);
}

/* Whether `name` is among the words. */
static bool is_word(struct str name, const char *words, uint64_t *ret_index)
{
    struct str rest = words ? str_from(words) : STR_NONE;
    for (*ret_index = 0; rest.len; ++*ret_index)
        if (str_eq(name, str_cut(&rest, ' ')))
            return true;
    return false;
}

static void add_names(struct buf *out, const struct parameters *parameters)
{
    for (size_t i = 0; i < parameters->table.count; i++) {
        if (i)
            buf_add_char(out, ' ');
        buf_add_str(out, parameters->table.rows[i].name);
    }
}

static int refuse_unknown(struct parameters *parameters, struct str name)
{
    struct buf known = {0};
    struct str means = STR_NONE;
    uint64_t unused;
    for (size_t i = 0; i < parameters->table.count; i++)
        if (is_word(name, parameters->table.rows[i].meant, &unused))
            means = parameters->table.rows[i].name;
    if (means.len) {
        buf_add_lit(&parameters->fault, "unknown parameter ");
        unknown_add_text(&parameters->fault, name);
        buf_addf(&parameters->fault, ": did you mean %.*s?", STR_FMT(means));
    } else {
        add_names(&known, parameters);
        unknown_add_name(&parameters->fault, "parameter", name, buf_str(&known));
    }
    buf_free(&known);
    return -EINVAL;
}

/* ---- values ---------------------------------------------------------------------------------- */

static bool read_boolean(struct str value, uint64_t *ret)
{
    if (!is_word(value, "0 1 false true", ret))
        return false;
    *ret &= 1;
    return true;
}

static bool read_value(const struct parameter *row, struct str value, uint64_t *ret)
{
    switch (row->kind) {
    case PARAMETER_TEXT:
        return !row->most || (value.len >= row->least && value.len <= row->most);
    case PARAMETER_BOOLEAN:
        return read_boolean(value, ret);
    case PARAMETER_NUMBER:
        return !number_read(value, ret) && *ret >= row->least && *ret <= row->most;
    case PARAMETER_ID:
        return value.len <= ID_DIGITS && !http_number(value, ret) && *ret >= row->least &&
               *ret <= row->most;
    case PARAMETER_WORD:
        return is_word(value, row->words, ret);
    }
    return false;
}

/* "a, b or c" */
static void add_words(struct buf *out, const char *words)
{
    struct str rest = str_from(words);
    buf_add_str(out, str_cut(&rest, ' '));
    while (rest.len) {
        struct str word = str_cut(&rest, ' ');
        buf_add_str(out, rest.len ? STR(", ") : STR(" or "));
        buf_add_str(out, word);
    }
}

static void add_right(struct buf *out, const struct parameter *row)
{
    if (row->right) {
        buf_add_str(out, str_from(row->right));
        return;
    }
    switch (row->kind) {
    case PARAMETER_TEXT:
        buf_addf(out, "a text of %llu to %llu bytes", (unsigned long long)row->least,
                 (unsigned long long)row->most);
        break;
    case PARAMETER_BOOLEAN:
        add_words(out, "0 1 true false");
        break;
    case PARAMETER_NUMBER:
        buf_addf(out, "a number from %llu to %llu", (unsigned long long)row->least,
                 (unsigned long long)row->most);
        break;
    case PARAMETER_ID:
        buf_add_lit(out, "an id of 1 to 16 digits");
        break;
    case PARAMETER_WORD:
        add_words(out, row->words);
        break;
    }
}

void parameters_add_fault(struct buf *out, const struct parameter *row, struct str value)
{
    buf_addf(out, "%.*s is ", STR_FMT(row->name));
    add_right(out, row);
    if (row->hint)
        buf_add_str(out, str_from(row->hint));
    buf_add_lit(out, ", not ");
    unknown_add_text(out, value);
    buf_addf(out, "; for example ?%.*s=%s", STR_FMT(row->name), row->example);
}

static int refuse_value(struct parameters *parameters, struct str value)
{
    parameters_add_fault(&parameters->fault, parameters->at, value);
    return -EINVAL;
}

static int refuse_twice(struct parameters *parameters)
{
    buf_addf(&parameters->fault,
             "%.*s is there twice, and only one can count; for example ?%.*s=%s",
             STR_FMT(parameters->at->name), STR_FMT(parameters->at->name), parameters->at->example);
    return -EINVAL;
}

/* ---- decoding -------------------------------------------------------------------------------- */

static bool is_encoded(struct str raw)
{
    return raw.len && (memchr(raw.at, '%', raw.len) || memchr(raw.at, '+', raw.len));
}

/* Decodes a whole name or value. Most need no copy. */
static int decode(struct parameters *parameters, struct str raw, struct str *ret)
{
    *ret = raw.len ? raw : STR("");
    if (!is_encoded(raw))
        return 0;
    buf_clear(&parameters->value);
    int result = http_query_decode(raw, &parameters->value);
    *ret = buf_str(&parameters->value);
    if (result <= 0)
        return result;
    buf_add_str(&parameters->fault, http_target_error_detail(result));
    return -EINVAL;
}

static unsigned find_row(const struct parameters *parameters, struct str name)
{
    unsigned i = 0;
    while (i < parameters->table.count && !has_name(&parameters->table.rows[i], name))
        i++;
    return i;
}

static int read_found(struct parameters *parameters, struct parameter_found *found)
{
    const struct parameter *row = &parameters->table.rows[found->row];
    parameters->at = row;
    if (parameters->given & 1U << found->row && !row->repeats)
        return refuse_twice(parameters);
    parameters->given |= 1U << found->row;
    int result = decode(parameters, found->value_raw, &found->value);
    if (result)
        return result;
    return read_value(row, found->value, &found->number) ? 1
                                                         : refuse_value(parameters, found->value);
}

static int next(struct parameters *parameters, struct parameter_found *ret, struct str *ret_name)
{
    *ret = (struct parameter_found){.row = PARAMETER_IGNORED};
    parameters->at = NULL;
    if (!http_query_next(&parameters->rest, &ret->name_raw, &ret->value_raw))
        return 0;
    int result = decode(parameters, ret->name_raw, ret_name);
    return result ? result : 1;
}

int parameters_next(struct parameters *parameters, struct parameter_found *ret)
{
    struct str name;
    int result;
    do
        result = next(parameters, ret, &name);
    while (result > 0 && str_eq(name, STR("token")));
    if (result <= 0 || is_ignored(name))
        return result;
    ret->row = find_row(parameters, name);
    return ret->row == parameters->table.count ? refuse_unknown(parameters, name)
                                               : read_found(parameters, ret);
}
