#include "base/unknown.h"

#include "base/nearest.h"

void unknown_add_text(struct buf *out, struct str text)
{
    buf_add_char(out, '"');
    for (size_t i = 0; i < text.len && i < UNKNOWN_SHOWN_MAX; i++)
        buf_add_char(out, text.at[i] >= ' ' && text.at[i] < 0x7f ? text.at[i] : '?');
    if (text.len > UNKNOWN_SHOWN_MAX)
        buf_add_lit(out, "...");
    buf_add_char(out, '"');
}

/* The known name with the least distance, if it is near enough. */
static struct str nearest_of(struct str name, struct str known)
{
    struct nearest nearest = {.name = name};
    while (known.len)
        nearest_offer(&nearest, str_cut(&known, ' '));
    return nearest.best;
}

static void add_list(struct buf *out, struct str names)
{
    const char *comma = "";
    while (names.len) {
        buf_add_str(out, str_from(comma));
        buf_add_str(out, str_cut(&names, ' '));
        comma = ", ";
    }
}

void unknown_add_name(struct buf *out, const char *what, struct str name, struct str known)
{
    struct str near = nearest_of(name, known);
    buf_addf(out, "unknown %s ", what);
    unknown_add_text(out, name);
    if (near.len) {
        buf_addf(out, ": did you mean %.*s?", STR_FMT(near));
    } else if (known.len) {
        buf_add_lit(out, ": the known ones are ");
        add_list(out, known);
    } else {
        buf_addf(out, ": there is no %s here", what);
    }
}

void unknown_add_twice(struct buf *out, const char *what, struct str name)
{
    buf_addf(out, "the %s ", what);
    unknown_add_text(out, name);
    buf_add_lit(out, " is there twice, and only one can count");
}
