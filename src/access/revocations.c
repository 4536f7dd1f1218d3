#include "access/revocations.h"

#include "access/key_text.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "base/utf8.h"

#include <jansson.h>
#include <stdlib.h>

static const char *const words[REVOKED_KINDS] = {
    [REVOKED_SUBJECT] = "subject", [REVOKED_JTI] = "jti", [REVOKED_KEY] = "key"};

const char *revoked_kind_word(enum revoked_kind kind)
{
    return words[kind];
}

/* ---- making ---------------------------------------------------------------------------------- */

static struct str put(char **room, struct str text)
{
    struct str copy = {*room, text.len};
    if (text.len)
        memcpy(*room, text.at, text.len);
    *room += text.len;
    return copy;
}

struct revocation *revocation_new(const struct revocation_facts *facts)
{
    struct str word = str_from(words[facts->kind]);
    size_t text = word.len + 1 + facts->name.len + facts->reason.len + facts->made_by.len;
    struct revocation *revocation = mem_try_alloc(sizeof(*revocation) + text);
    if (!revocation)
        return NULL;
    *revocation = (struct revocation){
        .kind = facts->kind, .at_us = facts->at_us, .until_us = facts->until_us};
    char *room = (char *)(revocation + 1);
    revocation->id.at = room;
    (void)put(&room, word);
    (void)put(&room, STR(":"));
    revocation->name = put(&room, facts->name);
    revocation->id.len = word.len + 1 + facts->name.len;
    revocation->reason = put(&room, facts->reason);
    revocation->made_by = put(&room, facts->made_by);
    return revocation;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static bool is_plain(struct str text, size_t most)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] < ' ' || text.at[i] == 0x7f)
            return false;
    return text.len <= most && utf8_valid(text);
}

bool revoked_name_valid(struct str name)
{
    return name.len && is_plain(name, REVOKED_NAME_MAX);
}

/* Finds the one member that says what is revoked. */
static bool read_name(const json_t *root, struct revocation_facts *facts)
{
    unsigned found = 0;
    for (unsigned i = 0; i < REVOKED_KINDS; i++) {
        const json_t *value = json_object_get(root, words[i]);
        if (!value)
            continue;
        facts->kind = (enum revoked_kind)i;
        facts->name = json_text(value);
        found++;
    }
    return found == 1 && revoked_name_valid(facts->name);
}

static const char *read_request(const json_t *root, int64_t now_us, struct revocation_facts *facts)
{
    const json_t *until = json_object_get(root, "until"), *reason = json_object_get(root, "reason");
    if (!read_name(root, facts))
        return "name one of subject, jti and key, a text of 1 to 255 bytes, and perhaps until and "
               "reason";
    if (json_object_size(root) != 1U + (until != NULL) + (reason != NULL))
        return "the members are subject, jti or key, and until and reason";
    if (facts->kind == REVOKED_KEY && !key_id_valid(facts->name))
        return "key is the id of an API key: the 10 characters between the first two underscores";
    facts->reason = json_text(reason);
    if (reason && (!json_is_string(reason) || !is_plain(facts->reason, REVOCATION_REASON_MAX)))
        return "reason is a text of at most 200 bytes without control characters";
    if (until && !json_is_null(until) &&
        (rfc3339_parse(json_text(until), &facts->until_us) || facts->until_us <= now_us))
        return "until is a time to come, such as 2030-01-31T12:00:00Z: when the last credential "
               "that is revoked expires";
    return NULL;
}

const char *revocation_request(struct str body, int64_t now_us, struct str made_by,
                               struct revocation **ret)
{
    struct revocation_facts facts = {.made_by = made_by, .at_us = now_us};
    json_t *root = json_loadb(body.at ? body.at : "", body.len, JSON_REJECT_DUPLICATES, NULL);
    const char *fault = read_request(root, now_us, &facts);
    if (!fault) {
        *ret = revocation_new(&facts);
        fault = *ret ? NULL : "no memory: try again";
    }
    json_decref(root);
    return fault;
}

void revocation_write(struct json_writer *writer, const struct revocation *revocation)
{
    json_object_begin(writer);
    json_member_string(writer, words[revocation->kind], revocation->name);
    json_member_time(writer, "at", revocation->at_us);
    json_name(writer, "until");
    if (revocation->until_us)
        json_add_time(writer, revocation->until_us);
    else
        json_add_null(writer);
    json_member_string(writer, "reason", revocation->reason);
    json_member_string(writer, "made_by", revocation->made_by);
    json_object_end(writer);
}

struct revocation *revocation_read_record(struct str record)
{
    json_t *root = json_loadb(record.at ? record.at : "", record.len, 0, NULL);
    struct revocation_facts facts = {.reason = json_text(json_object_get(root, "reason")),
                                     .made_by = json_text(json_object_get(root, "made_by"))};
    bool good = read_name(root, &facts) &&
                !rfc3339_parse(json_text(json_object_get(root, "at")), &facts.at_us);
    if (good && rfc3339_parse(json_text(json_object_get(root, "until")), &facts.until_us))
        facts.until_us = 0;
    struct revocation *revocation = good ? revocation_new(&facts) : NULL;
    json_decref(root);
    return revocation;
}

/* ---- the list -------------------------------------------------------------------------------- */

static struct revocation *of_node(struct map_node *node)
{
    return node ? container_of(node, struct revocation, node) : NULL;
}

static bool has_id(const struct map_node *node, struct str id)
{
    return str_eq(container_of(node, struct revocation, node)->id, id);
}

void revocations_init(struct revocations *list)
{
    *list = (struct revocations){0};
    pthread_rwlock_init(&list->lock, NULL);
    map_init(&list->map, has_id);
    list_init(&list->in_order);
}

static void take_out(struct revocations *list, struct revocation *revocation)
{
    map_remove(&list->map, &revocation->node);
    list_remove(&revocation->in_order);
    atomic_fetch_sub_explicit(&list->count, 1, memory_order_release);
    free(revocation);
}

void revocations_deinit(struct revocations *list)
{
    list_each (&list->in_order, node)
        take_out(list, container_of(node, struct revocation, in_order));
    map_deinit(&list->map);
    pthread_rwlock_destroy(&list->lock);
}

static struct revocation *of_list(struct list *node)
{
    return container_of(node, struct revocation, in_order);
}

struct made revocation_made(const struct revocation *revocation)
{
    return (struct made){revocation->at_us, revocation->id};
}

static void add_in_order(struct revocations *list, struct revocation *revocation)
{
    struct list *place = &list->in_order;
    while (place->prev != &list->in_order &&
           made_before(revocation_made(revocation), revocation_made(of_list(place->prev))))
        place = place->prev;
    list_insert_before(place, &revocation->in_order);
}

void revocations_put(struct revocations *list, struct revocation *revocation)
{
    pthread_rwlock_wrlock(&list->lock);
    struct revocation *before = of_node(map_find(&list->map, revocation->id));
    if (before)
        take_out(list, before);
    map_add(&list->map, &revocation->node, revocation->id);
    add_in_order(list, revocation);
    atomic_fetch_add_explicit(&list->count, 1, memory_order_release);
    pthread_rwlock_unlock(&list->lock);
}

bool revocations_remove(struct revocations *list, struct str id)
{
    pthread_rwlock_wrlock(&list->lock);
    struct revocation *revocation = of_node(map_find(&list->map, id));
    if (revocation)
        take_out(list, revocation);
    pthread_rwlock_unlock(&list->lock);
    return revocation != NULL;
}

bool revocations_has_id(struct revocations *list, struct str id)
{
    pthread_rwlock_rdlock(&list->lock);
    bool has = map_find(&list->map, id) != NULL;
    pthread_rwlock_unlock(&list->lock);
    return has;
}

static bool has_ended(const struct revocation *revocation, int64_t now_us)
{
    return revocation->until_us && revocation->until_us <= now_us;
}

bool revocations_remove_ended(struct revocations *list, int64_t now_us,
                              void (*each)(void *context, struct str id), void *context)
{
    bool found = false;
    pthread_rwlock_wrlock(&list->lock);
    list_each (&list->in_order, node) {
        struct revocation *revocation = container_of(node, struct revocation, in_order);
        if (found || !has_ended(revocation, now_us))
            continue;
        found = true;
        each(context, revocation->id);
        take_out(list, revocation);
    }
    pthread_rwlock_unlock(&list->lock);
    return found;
}

static bool revokes(const struct revocation *revocation, const struct caller_facts *facts,
                    int64_t now_us)
{
    if (!revocation || has_ended(revocation, now_us))
        return false;
    return revocation->kind != REVOKED_SUBJECT || facts->issued_us <= revocation->at_us;
}

static bool has(const struct revocations *list, enum revoked_kind kind, struct str name,
                const struct caller_facts *facts, int64_t now_us)
{
    char id[16 + REVOKED_NAME_MAX];
    struct str word = str_from(words[kind]);
    if (!name.len || name.len > REVOKED_NAME_MAX)
        return false;
    memcpy(id, word.at, word.len);
    id[word.len] = ':';
    memcpy(id + word.len + 1, name.at, name.len);
    struct str whole = {id, word.len + 1 + name.len};
    return revokes(of_node(map_find(&list->map, whole)), facts, now_us);
}

static bool has_facts(const struct revocations *list, const struct caller_facts *facts,
                      int64_t now_us)
{
    return has(list, REVOKED_KEY, facts->key_id, facts, now_us) ||
           has(list, REVOKED_JTI, facts->jti, facts, now_us) ||
           has(list, REVOKED_SUBJECT, facts->subject, facts, now_us);
}

bool revocations_have(struct revocations *list, const struct caller *caller, int64_t now_us)
{
    bool revoked = false;
    if (!caller || !revocations_count(list))
        return false;
    pthread_rwlock_rdlock(&list->lock);
    for (; caller && !revoked; caller = caller->facts.base)
        revoked = has_facts(list, &caller->facts, now_us);
    pthread_rwlock_unlock(&list->lock);
    return revoked;
}

void revocations_each_behind(struct revocations *list, struct made after,
                             bool (*each)(void *context, const struct revocation *revocation),
                             void *context)
{
    pthread_rwlock_rdlock(&list->lock);
    struct revocation *last = of_node(map_find(&list->map, after.id));
    bool is_there = last && last->at_us == after.at_us;
    struct list *node = is_there ? &last->in_order : &list->in_order;
    while ((node = node->next) != &list->in_order)
        if (made_before(after, revocation_made(of_list(node))) && !each(context, of_list(node)))
            break;
    pthread_rwlock_unlock(&list->lock);
}

void revocations_look(struct revocations *list, struct str id,
                      bool (*look)(void *context, const struct revocation *revocation),
                      void *context)
{
    pthread_rwlock_rdlock(&list->lock);
    const struct revocation *revocation = of_node(map_find(&list->map, id));
    if (revocation)
        look(context, revocation);
    pthread_rwlock_unlock(&list->lock);
}
