#include "webhooks/wire/formats/formats.h"

static const struct body_format *const formats[BODY_FORMATS] = {
#define BODY_FORMAT_AT(id, row) [BODY_##id] = &body_format_##row,
    BODY_FORMATS_LIST(BODY_FORMAT_AT)
#undef BODY_FORMAT_AT
};

const struct body_format *body_format_of(enum body_format_id id)
{
    return formats[id];
}

enum body_format_id body_format_find(struct str name)
{
    unsigned id = 0;
    while (id < BODY_FORMATS && !str_eq(name, str_from(formats[id]->name)))
        id++;
    return (enum body_format_id)id;
}
