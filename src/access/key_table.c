#include "access/key_table.h"

#include "base/mem.h"

static bool has_id(const struct map_node *node, struct str id)
{
    return str_eq(api_key_id(container_of(node, struct api_key, node)), id);
}

static struct api_key *find(const struct key_table *table, struct str id)
{
    struct map_node *node = map_find(&table->map, id);
    return node ? container_of(node, struct api_key, node) : NULL;
}

/* ---- the source ------------------------------------------------------------------------------ */

/* HTTP's basic scheme has two fields. Clients put the key into either: `curl -u KEY:`, or as the
 * password behind any name. */
static struct str text_of(const struct credential *credential)
{
    struct str password = credential->text;
    if (credential->kind != CREDENTIAL_BASIC)
        return credential->text;
    struct str name = str_cut(&password, ':');
    return key_text_is(password) ? password : name;
}

/* Unknown ids cost a comparison too, so that time does not tell which ids exist. */
static struct api_key *find_same(const struct key_table *table, const struct key_digest *digest)
{
    static const struct key_digest nothing;
    struct api_key *key = find(table, (struct str){digest->id, KEY_ID_LEN});
    bool same = key_digest_equal(key ? &key->digest : &nothing, digest);
    return same ? key : NULL;
}

static void note_use(struct api_key *key, int64_t now_us)
{
    int64_t before = atomic_load_explicit(&key->used_us, memory_order_relaxed);
    if (now_us - before >= KEY_USE_STEP_S * INT64_C(1000000))
        atomic_store_explicit(&key->used_us, now_us, memory_order_relaxed);
}

static struct identity judge(const struct key_table *table, const struct key_digest *digest,
                             int64_t now_us)
{
    struct api_key *key = find_same(table, digest);
    if (!key)
        return identity_bad("there is no such API key: it was mistyped, or revoked "
                            "(docs/access.md)");
    if (!caller_is_authenticated(key->caller, now_us))
        return identity_bad("this API key has expired: get a new one (docs/access.md)");
    note_use(key, now_us);
    return identity_of(caller_ref(key->caller));
}

static struct identity identify(struct identity_source *source, const struct credential *credential,
                                struct identification *identification)
{
    struct key_table *table = container_of(source, struct key_table, source);
    struct str text = text_of(credential);
    struct key_digest digest;
    if (credential->kind == CREDENTIAL_CERTIFICATE || !key_text_is(text))
        return (struct identity){.state = IDENTITY_FOREIGN};
    if (!key_text_read(text, &digest))
        return identity_bad("this is not a whole API key: fk_, 10 characters, _ and 52 characters");
    pthread_rwlock_rdlock(&table->lock);
    struct identity identity = judge(table, &digest, identification->now_us);
    pthread_rwlock_unlock(&table->lock);
    return identity;
}

/* ---- the table ------------------------------------------------------------------------------- */

void key_table_init(struct key_table *table)
{
    *table = (struct key_table){.source = {.name = "keys", .identify = identify}};
    pthread_rwlock_init(&table->lock, NULL);
    map_init(&table->map, has_id);
    list_init(&table->in_order);
}

static void take_out(struct key_table *table, struct api_key *key)
{
    map_remove(&table->map, &key->node);
    list_remove(&key->in_order);
    api_key_free(key);
}

void key_table_deinit(struct key_table *table)
{
    list_each (&table->in_order, node)
        take_out(table, container_of(node, struct api_key, in_order));
    map_deinit(&table->map);
    pthread_rwlock_destroy(&table->lock);
}

static struct api_key *key_of(struct list *node)
{
    return container_of(node, struct api_key, in_order);
}

struct made api_key_made(const struct api_key *key)
{
    return (struct made){key->created_us, api_key_id(key)};
}

static void add_in_order(struct key_table *table, struct api_key *key)
{
    struct list *place = &table->in_order;
    while (place->prev != &table->in_order &&
           made_before(api_key_made(key), api_key_made(key_of(place->prev))))
        place = place->prev;
    list_insert_before(place, &key->in_order);
}

void key_table_put(struct key_table *table, struct api_key *key)
{
    pthread_rwlock_wrlock(&table->lock);
    struct api_key *before = find(table, api_key_id(key));
    if (before)
        take_out(table, before);
    map_add(&table->map, &key->node, api_key_id(key));
    add_in_order(table, key);
    pthread_rwlock_unlock(&table->lock);
}

static void mark_listed(struct key_table *table, struct api_key *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct api_key *key = keys[i] ? find(table, api_key_id(keys[i])) : NULL;
        if (key)
            key->is_listed = true;
    }
}

/* Whether something was taken away. */
static bool take_out_gone(struct key_table *table, struct api_key *const *keys, size_t count)
{
    bool gone = false;
    mark_listed(table, keys, count);
    list_each (&table->in_order, node) {
        struct api_key *key = container_of(node, struct api_key, in_order);
        bool stays = !key->is_configured || key->is_listed;
        key->is_listed = false;
        if (stays)
            continue;
        take_out(table, key);
        gone = true;
    }
    return gone;
}

bool key_table_replace_configured(struct key_table *table, struct api_key **keys, size_t count)
{
    pthread_rwlock_wrlock(&table->lock);
    bool changed = take_out_gone(table, keys, count);
    for (size_t i = 0; i < count; i++) {
        struct api_key *key = keys[i], *before = find(table, api_key_id(key));
        keys[i] = NULL;
        if (before && api_key_equal(before, key)) {
            api_key_free(key);
            continue;
        }
        changed |= before != NULL;
        if (before)
            take_out(table, before);
        map_add(&table->map, &key->node, api_key_id(key));
        add_in_order(table, key);
    }
    pthread_rwlock_unlock(&table->lock);
    return changed;
}

/* The caller for whom the same key stands now, with a reference; NULL if the key is gone. */
static struct caller *key_caller(struct key_table *table, const struct caller *caller)
{
    pthread_rwlock_rdlock(&table->lock);
    struct api_key *key = find(table, caller->facts.key_id);
    struct caller *now = key ? caller_ref(key->caller) : NULL;
    pthread_rwlock_unlock(&table->lock);
    return now;
}

static const struct caller *caller_at(const struct caller *caller, size_t place)
{
    while (place--)
        caller = caller->facts.base;
    return caller;
}

struct caller *key_table_renew(struct key_table *table, const struct caller *caller)
{
    size_t place = 0;
    const struct caller *before = caller;
    for (; before && before->facts.kind != CALLER_KEY; before = before->facts.base)
        place++;
    struct caller *now = before ? key_caller(table, before) : NULL;
    if (!now || caller_equal(now, before))
        return caller_unref(now);
    while (place--)
        now = caller_on(caller_at(caller, place), now);
    return now;
}

bool key_table_remove(struct key_table *table, struct str id)
{
    pthread_rwlock_wrlock(&table->lock);
    struct api_key *key = find(table, id);
    if (key)
        take_out(table, key);
    pthread_rwlock_unlock(&table->lock);
    return key != NULL;
}

size_t key_table_count(struct key_table *table)
{
    pthread_rwlock_rdlock(&table->lock);
    size_t count = table->map.count;
    pthread_rwlock_unlock(&table->lock);
    return count;
}

void key_table_each(struct key_table *table, void (*each)(void *context, struct api_key *key),
                    void *context)
{
    pthread_rwlock_rdlock(&table->lock);
    list_each (&table->in_order, node)
        each(context, container_of(node, struct api_key, in_order));
    pthread_rwlock_unlock(&table->lock);
}

void key_table_each_behind(struct key_table *table, struct made after,
                           bool (*each)(void *context, struct api_key *key), void *context)
{
    pthread_rwlock_rdlock(&table->lock);
    struct api_key *last = find(table, after.id);
    bool is_there = last && last->created_us == after.at_us;
    struct list *node = is_there ? &last->in_order : &table->in_order;
    while ((node = node->next) != &table->in_order)
        if (made_before(after, api_key_made(key_of(node))) && !each(context, key_of(node)))
            break;
    pthread_rwlock_unlock(&table->lock);
}

bool key_table_look(struct key_table *table, struct str id,
                    void (*look)(void *context, struct api_key *key), void *context)
{
    pthread_rwlock_rdlock(&table->lock);
    struct api_key *key = find(table, id);
    if (key)
        look(context, key);
    pthread_rwlock_unlock(&table->lock);
    return key != NULL;
}

bool key_table_is_gone(struct key_table *table, const struct caller *caller)
{
    while (caller && caller->facts.kind != CALLER_KEY)
        caller = caller->facts.base;
    if (!caller)
        return false;
    pthread_rwlock_rdlock(&table->lock);
    bool gone = !find(table, caller->facts.key_id);
    pthread_rwlock_unlock(&table->lock);
    return gone;
}
