#include "api/describe/schema.h"

void schema_write_ref(struct json_writer *writer, const char *kind, struct str name)
{
    struct buf ref = {0};
    buf_addf(&ref, "#/components/%s/%.*s", kind, STR_FMT(name));
    json_object_begin(writer);
    json_member_string(writer, "$ref", buf_str(&ref));
    json_object_end(writer);
    writer->out->failed |= buf_failed(&ref);
    buf_free(&ref);
}

bool schema_next_word(struct str *words, struct str *ret_word)
{
    while (words->len && words->at[0] == ' ')
        *words = str_skip(*words, 1);
    *ret_word = str_cut(words, ' ');
    return ret_word->len > 0;
}

void schema_name(struct json_writer *writer, struct str name)
{
    json_name_of_len(writer, name.at, name.len);
}

static void write_enum(struct json_writer *writer, const char *list)
{
    struct str words = str_from(list), word;
    json_name(writer, "enum");
    json_array_begin(writer);
    while (schema_next_word(&words, &word))
        json_add_string(writer, word);
    json_array_end(writer);
}

static void write_value(struct json_writer *writer, const struct parameter *parameter)
{
    bool is_number = parameter->kind == PARAMETER_NUMBER;
    json_object_begin(writer);
    json_member_string(writer, "type", is_number ? STR("integer") : STR("string"));
    switch (parameter->kind) {
    case PARAMETER_TEXT:
        if (parameter->most) {
            json_member_number(writer, "minLength", parameter->least);
            json_member_number(writer, "maxLength", parameter->most);
        }
        break;
    case PARAMETER_BOOLEAN:
        write_enum(writer, "0 1 true false");
        break;
    case PARAMETER_NUMBER:
        json_member_number(writer, "minimum", parameter->least);
        json_member_number(writer, "maximum", parameter->most);
        break;
    case PARAMETER_ID:
        json_member_string(writer, "pattern", STR("^[0-9]{1,16}$"));
        break;
    case PARAMETER_WORD:
        write_enum(writer, parameter->words);
        break;
    }
    json_object_end(writer);
}

void schema_write_parameter(struct json_writer *writer, const struct parameter *parameter)
{
    if (!parameter->repeats) {
        write_value(writer, parameter);
        return;
    }
    json_object_begin(writer);
    json_member_string(writer, "type", STR("array"));
    json_name(writer, "items");
    write_value(writer, parameter);
    json_object_end(writer);
}

void schema_add_words(struct buf *out, const struct query_doc *query,
                      const struct parameter *parameter)
{
    for (size_t i = 0; i < query->count; i++)
        if (str_eq(parameter->name, str_from(query->docs[i].name)))
            buf_add_str(out, str_from(query->docs[i].doc));
    if (parameter->also.len)
        buf_addf(out, "; also as %.*s", STR_FMT(parameter->also));
}
