#include "http/response.h"

void response_deinit(struct response *response)
{
    buf_free(&response->text);
}

void response_json(struct response *response, struct str body)
{
    bool is_line = body.len && body.at[body.len - 1] == '\n';
    response->type = STR("application/json");
    response->body[0] = body;
    response->body[1] = is_line ? STR_NONE : STR("\n");
}

/* The last field, if it is being composed, ends where the text ends now. */
static void end_field(struct response *response)
{
    if (!response->count)
        return;
    struct response_field *last = &response->fields[response->count - 1];
    if (!last->at)
        last->len = response->text.len - last->from;
}

static struct response_field *add_field(struct response *response, struct str name)
{
    end_field(response);
    if (response->count == RESPONSE_FIELDS_MAX) {
        response_fail(response);
        return NULL;
    }
    struct response_field *field = &response->fields[response->count++];
    *field = (struct response_field){.name = name, .from = response->text.len};
    return field;
}

void response_add(struct response *response, struct str name, struct str value)
{
    struct response_field *field = add_field(response, name);
    if (!field)
        return;
    field->at = value.len ? value.at : "";
    field->len = value.len;
}

struct buf *response_compose(struct response *response, struct str name)
{
    (void)add_field(response, name);
    return &response->text;
}

struct str response_value(const struct response *response, unsigned i)
{
    const struct response_field *field = &response->fields[i];
    if (field->at)
        return (struct str){field->at, field->len};
    if (!response->text.at)
        return STR_NONE;
    size_t len = i + 1 == response->count ? response->text.len - field->from : field->len;
    return (struct str){response->text.at + field->from, len};
}

size_t response_length(const struct response *response)
{
    size_t len = 0;
    for (int i = 0; i < RESPONSE_PARTS; i++)
        len += response->body[i].len;
    return len;
}
