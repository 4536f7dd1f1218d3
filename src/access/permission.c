#include "access/permission.h"

#include "base/mem.h"

#include <stdlib.h>

/* ---- evidence -------------------------------------------------------------------------------- */

/* A copy: the facts, the fields, and the bytes of all strings. */
struct kept {
    struct evidence evidence;
    size_t size;
    struct evidence_field fields[];
};

size_t evidence_size(const struct evidence *facts)
{
    size_t size = sizeof(struct kept) + facts->fields_count * sizeof(struct evidence_field) +
                  facts->address.len + facts->credential.len;
    for (size_t i = 0; i < facts->fields_count; i++)
        size += facts->fields[i].name.len + facts->fields[i].value.len;
    return size;
}

static struct str copy(char **room, struct str text)
{
    struct str kept = {*room, text.len};
    if (text.len)
        memcpy(*room, text.at, text.len);
    *room += text.len;
    return kept;
}

struct evidence *evidence_new(const struct evidence *facts)
{
    size_t size = evidence_size(facts);
    struct kept *kept = mem_try_alloc(size);
    if (!kept)
        return NULL;
    char *room = (char *)(kept->fields + facts->fields_count);
    kept->size = size;
    kept->evidence = (struct evidence){.address = copy(&room, facts->address),
                                       .peer = facts->peer,
                                       .credential = copy(&room, facts->credential),
                                       .fields = kept->fields,
                                       .fields_count = facts->fields_count};
    for (size_t i = 0; i < facts->fields_count; i++)
        kept->fields[i] = (struct evidence_field){copy(&room, facts->fields[i].name),
                                                  copy(&room, facts->fields[i].value)};
    return &kept->evidence;
}

void evidence_free(struct evidence *evidence)
{
    if (!evidence)
        return;
    struct kept *kept = container_of(evidence, struct kept, evidence);
    explicit_bzero(kept, kept->size);
    free(kept);
}

struct access evidence_access(const struct evidence *evidence, struct access access)
{
    if (evidence->credential.len && !access.rules->open)
        access.rules = &rules_none;
    return access;
}
