#include "access/changes.h"

#include "access/store.h"
#include "base/mem.h"
#include "base/say.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* A crash loses the last uses of keys in so many seconds; they are for people to look at. */
enum { TICK_S = 5, BUNDLE = 64 };

/* How long a revocation is kept once it has ended. A clock that runs ahead for a while would end it
 * for good, and when the clock is right again the credential would be good again, too. */
enum { ENDED_KEPT_S = 86400 };

struct changes {
    struct changes_config config;
    struct access_store *store;
    struct change_listener *listeners;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct change *first, **last;
    bool stopping;
    bool has_thread; /* written once */
    pthread_t thread;
};

/* ---- changes --------------------------------------------------------------------------------- */

static int result_of(int stored)
{
    return stored == ACCESS_STORE_E_FATE_UNKNOWN ? CHANGE_E_FATE_UNKNOWN : stored;
}

static int write_record(struct changes *changes, enum record_kind kind, struct str id,
                        struct str value)
{
    const struct access_record record = {kind, id, value};
    return result_of(access_store_write(changes->store, &record, 1));
}

/* Whether a result lets the change take effect. After an unknown fate a key that was made is not
 * told to anybody, while something that was taken away stays away. */
static bool is_in_effect(int result)
{
    return result == 0 || result == CHANGE_E_FATE_UNKNOWN;
}

static int add_key(struct changes *changes, struct change *change)
{
    struct buf value = {0};
    if (key_table_count(changes->config.keys) >= KEYS_MAX)
        return CHANGE_E_MANY;
    api_key_write_record(&value, change->key);
    int result = buf_failed(&value)
                     ? -ENOMEM
                     : write_record(changes, RECORD_KEY, api_key_id(change->key), buf_str(&value));
    buf_free(&value);
    if (result)
        return result;
    key_table_put(changes->config.keys, change->key);
    change->key = NULL;
    return 0;
}

static void note_configured(void *context, struct api_key *key)
{
    bool *is_configured = context;
    *is_configured = key->is_configured;
}

static struct str id_of(const struct change *change)
{
    return (struct str){change->id, change->id_len};
}

/* 0 if there is a key to remove. After a removal of unknown fate the key is not in the table, and
 * still on disk: a restart would bring it back. So it is not missing until it is missing there. */
static int find_key(struct changes *changes, struct str id)
{
    bool is_configured = false, is_on_disk = false;
    if (key_table_look(changes->config.keys, id, note_configured, &is_configured))
        return is_configured ? CHANGE_E_CONFIGURED : 0;
    int result = access_store_has(changes->store, RECORD_KEY, id, &is_on_disk);
    return result ? result_of(result) : is_on_disk ? 0 : CHANGE_E_MISSING;
}

static int remove_key(struct changes *changes, struct change *change)
{
    int result = find_key(changes, id_of(change));
    result = result ? result : write_record(changes, RECORD_KEY, id_of(change), STR_NONE);
    if (is_in_effect(result))
        key_table_remove(changes->config.keys, id_of(change));
    return result;
}

/* Records that are written or deleted in one transaction. The size is bounded because a revocation
 * that comes meanwhile waits until the transaction ends. */
struct bundle {
    struct access_record records[BUNDLE];
    struct buf ids[BUNDLE], values[BUNDLE];
    size_t count;
};

static void add_ended(void *context, struct str id)
{
    struct bundle *ended = context;
    buf_add_str(&ended->ids[ended->count], id);
    ended->records[ended->count++].kind = RECORD_REVOCATION;
}

/* Whether all of it is saved. Revocations that cannot be deleted have ended: they are found and
 * forgotten again after the next start. */
static bool write_bundle(struct changes *changes, struct bundle *bundle)
{
    bool failed = false;
    for (size_t i = 0; i < bundle->count; i++) {
        bundle->records[i].id = buf_str(&bundle->ids[i]);
        bundle->records[i].value = buf_str(&bundle->values[i]);
        failed |= buf_failed(&bundle->ids[i]) || buf_failed(&bundle->values[i]);
    }
    return !bundle->count ||
           (!failed && !access_store_write(changes->store, bundle->records, bundle->count));
}

static void drop_bundle(struct bundle *bundle)
{
    for (size_t i = 0; i < bundle->count; i++) {
        buf_free(&bundle->ids[i]);
        buf_free(&bundle->values[i]);
    }
    free(bundle);
}

/* Forgets revocations that ended so long ago, a bundle at most. True if there may be more. */
static bool forget_ended(struct changes *changes, int64_t kept_s)
{
    struct bundle *ended = mem_alloc(sizeof(*ended));
    int64_t upto_us = clock_wall_us(changes->config.clock) - kept_s * 1000000;
    while (ended->count < BUNDLE &&
           revocations_remove_ended(changes->config.revocations, upto_us, add_ended, ended))
        ;
    (void)write_bundle(changes, ended);
    bool more = ended->count == BUNDLE;
    drop_bundle(ended);
    return more;
}

static int add_revocation(struct changes *changes, struct change *change)
{
    struct buf value = {0};
    struct json_writer writer = json_writer(&value);
    if (revocations_count(changes->config.revocations) >= REVOCATIONS_MAX)
        (void)forget_ended(changes, 0);
    if (revocations_count(changes->config.revocations) >= REVOCATIONS_MAX)
        return CHANGE_E_MANY;
    revocation_write(&writer, change->revocation);
    int result = buf_failed(&value) ? -ENOMEM
                                    : write_record(changes, RECORD_REVOCATION,
                                                   change->revocation->id, buf_str(&value));
    buf_free(&value);
    if (!is_in_effect(result))
        return result;
    revocations_put(changes->config.revocations, change->revocation);
    change->revocation = NULL;
    return result;
}

static int remove_revocation(struct changes *changes, struct change *change)
{
    if (!revocations_has_id(changes->config.revocations, id_of(change)))
        return CHANGE_E_MISSING;
    int result = write_record(changes, RECORD_REVOCATION, id_of(change), STR_NONE);
    if (!result)
        revocations_remove(changes->config.revocations, id_of(change));
    return result;
}

static void open_listener(struct mail *mail, void *owner)
{
    (void)owner;
    struct change_listener *listener = container_of(mail, struct change_listener, mail);
    atomic_store(&listener->is_posted, false); /* a change from here on posts it again */
    listener->look(listener);
}

static void tell_listeners(struct changes *changes)
{
    for (struct change_listener *at = changes->listeners; at; at = at->next)
        if (!atomic_exchange(&at->is_posted, true))
            mailbox_post(at->mailbox, &at->mail);
}

static void run(struct changes *changes, struct change *change)
{
    static int (*const ops[])(struct changes *, struct change *) = {
        [CHANGE_ADD_KEY] = add_key,
        [CHANGE_REMOVE_KEY] = remove_key,
        [CHANGE_ADD_REVOCATION] = add_revocation,
        [CHANGE_REMOVE_REVOCATION] = remove_revocation,
    };
    bool takes_away = change->op == CHANGE_REMOVE_KEY || change->op == CHANGE_ADD_REVOCATION;
    change->result = ops[change->op](changes, change);
    api_key_free(change->key);
    free(change->revocation);
    change->key = NULL;
    change->revocation = NULL;
    if (takes_away && is_in_effect(change->result))
        tell_listeners(changes);
    mailbox_post(change->reply, &change->mail);
}

/* ---- the work of the clock ------------------------------------------------------------------- */

static void add_use(void *context, struct api_key *key)
{
    struct bundle *uses = context;
    int64_t used_us = atomic_load_explicit(&key->used_us, memory_order_relaxed);
    if (key->is_configured || used_us == key->saved_used_us || uses->count == BUNDLE)
        return;
    buf_add(&uses->ids[uses->count], key->digest.id, KEY_ID_LEN);
    api_key_write_record(&uses->values[uses->count], key);
    uses->records[uses->count++].kind = RECORD_KEY;
    key->saved_used_us = used_us;
}

static void owe_use(void *context, struct api_key *key)
{
    (void)context;
    key->saved_used_us = -1;
}

/* Saves uses of keys, a bundle at most. True if there may be more. What cannot be saved is tried
 * again at the next tick. */
static bool save_uses(struct changes *changes)
{
    struct bundle *uses = mem_alloc(sizeof(*uses));
    key_table_each(changes->config.keys, add_use, uses);
    bool saved = write_bundle(changes, uses), more = saved && uses->count == BUNDLE;
    for (size_t i = 0; !saved && i < uses->count; i++)
        (void)key_table_look(changes->config.keys, buf_str(&uses->ids[i]), owe_use, NULL);
    drop_bundle(uses);
    return more;
}

bool changes_tick_some(struct changes *changes)
{
    bool more = save_uses(changes);
    return forget_ended(changes, ENDED_KEPT_S) || more;
}

void changes_tick(struct changes *changes)
{
    while (changes_tick_some(changes))
        ;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static struct change *take_first(struct changes *changes)
{
    struct change *change = changes->first;
    if (change) {
        changes->first = change->next;
        if (!changes->first)
            changes->last = &changes->first;
    }
    return change;
}

/* Waits for a change until `*due`. NULL with `*ret_end` unset means that the clock's work is due.
 */
static struct change *next_change(struct changes *changes, const struct timespec *due,
                                  bool *ret_end)
{
    int result = 0;
    pthread_mutex_lock(&changes->lock);
    while (!changes->first && !changes->stopping && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&changes->more, &changes->lock, due);
    struct change *change = take_first(changes);
    *ret_end = !change && changes->stopping;
    pthread_mutex_unlock(&changes->lock);
    return change;
}

static struct timespec next_tick(void)
{
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    due.tv_sec += TICK_S;
    return due;
}

static void *changes_main(void *arg)
{
    struct changes *changes = arg;
    struct timespec due = next_tick();
    for (bool end = false; !end;) {
        struct change *change = next_change(changes, &due, &end);
        if (change)
            run(changes, change);
        else if (end)
            changes_tick(changes);
        else if (!changes_tick_some(changes)) /* changes come before what is left of it */
            due = next_tick();
    }
    return NULL;
}

void changes_submit(struct changes *changes, struct change *change)
{
    if (!changes->has_thread) {
        run(changes, change);
        return;
    }
    change->next = NULL;
    pthread_mutex_lock(&changes->lock);
    *changes->last = change;
    changes->last = &change->next;
    pthread_cond_signal(&changes->more);
    pthread_mutex_unlock(&changes->lock);
}

void changes_listen(struct changes *changes, struct change_listener *listener)
{
    listener->mail.open = open_listener;
    atomic_init(&listener->is_posted, false);
    listener->next = changes->listeners;
    changes->listeners = listener;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* A record that cannot be read is left where it is: a newer version may have written it. A key that
 * is not known lets nobody in. */
static void take_record(void *context, const struct access_record *record)
{
    struct changes *changes = context;
    struct api_key *key = NULL;
    struct revocation *revocation = NULL;
    if (record->kind == RECORD_KEY && (key = api_key_read_record(record->value)))
        key_table_put(changes->config.keys, key);
    else if (record->kind == RECORD_REVOCATION &&
             (revocation = revocation_read_record(record->value)))
        revocations_put(changes->config.revocations, revocation);
    else
        say(SAY_WARN, "access_record_not_read", "kind=%d", (int)record->kind);
}

int changes_open(const struct changes_config *config, struct changes **ret_changes)
{
    pthread_condattr_t monotonic;
    struct changes *changes = mem_alloc(sizeof(*changes));
    changes->config = *config;
    changes->last = &changes->first;
    pthread_mutex_init(&changes->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&changes->more, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int result = access_store_open(config->dir, &changes->store);
    result = result ? result : access_store_load(changes->store, take_record, changes);
    if (result) {
        changes_close(changes);
        return result;
    }
    *ret_changes = changes;
    return 0;
}

int changes_start(struct changes *changes)
{
    int result = -pthread_create(&changes->thread, NULL, changes_main, changes);
    changes->has_thread = !result;
    tell_listeners(changes); /* a crash may have come between a change and what follows from it */
    return result;
}

static void end_thread(struct changes *changes)
{
    pthread_mutex_lock(&changes->lock);
    changes->stopping = true;
    pthread_cond_signal(&changes->more);
    pthread_mutex_unlock(&changes->lock);
    pthread_join(changes->thread, NULL);
}

void changes_close(struct changes *changes)
{
    if (!changes)
        return;
    if (changes->has_thread)
        end_thread(changes);
    else if (changes->store)
        changes_tick(changes);
    access_store_close(changes->store);
    pthread_mutex_destroy(&changes->lock);
    pthread_cond_destroy(&changes->more);
    free(changes);
}
