#include "log/store/sqlite/chain.h"

#include "base/bisect.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/say.h"
#include "log/store/sqlite/folder.h"
#include "log/store/sqlite/trouble.h"
#include "log/store/sqlite/wal.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The write-ahead log may grow to WAL_RATIO times the size of a file while readers keep SQLite from
 * starting it over. */
enum { WAL_RATIO = 4 };

static void init_reserve(struct chain *chain)
{
    char *path;
    if (asprintf(&path, "%s/reserve", chain->config.dir) < 0)
        abort();
    reserve_init(&chain->reserve, path, chain->config.reserve_bytes);
    free(path);
}

void chain_init(struct chain *chain, const struct store_config *config, const char *folder,
                const struct chain_hook *hook)
{
    *chain = (struct chain){.config = *config};
    if (hook)
        chain->hook = *hook;
    chain->folder = strdup(folder);
    if (!chain->folder)
        abort();
    chain->readers = readers_new(readers_affordable(), &chain->damage);
    trimmed_ids_init(&chain->trimmed_ids);
    damage_init(&chain->damage, &chain->config);
    init_reserve(chain);
    pthread_mutex_init(&chain->list_lock, NULL);
    pthread_mutex_init(&chain->append_lock, NULL);
}

static void free_trims(struct store_trim *trims, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((char *)(uintptr_t)trims[i].name.at);
    free(trims);
}

void chain_deinit(struct chain *chain)
{
    readers_free(chain->readers);
    sums_close(chain->sums.db);
    free(chain->sums.path);
    free(chain->sums.noted);
    writer_close_clean(chain->writer);
    for (size_t i = 0; i < chain->count; i++)
        segment_unref(chain->list[i]);
    free(chain->list);
    free_trims(chain->trims, chain->trims_count);
    trimmed_ids_deinit(&chain->trimmed_ids);
    damage_deinit(&chain->damage);
    reserve_deinit(&chain->reserve);
    state_close(chain->state);
    pthread_mutex_destroy(&chain->list_lock);
    pthread_mutex_destroy(&chain->append_lock);
    free(chain->folder);
}

/* ---- the list ------------------------------------------------------------------------------- */

/* The index of the first segment whose name is above `first`. */
static size_t find_above(const struct chain *chain, uint64_t first)
{
    size_t low = 0, high = chain->count;
    BISECT(low, high, middle, chain->list[middle]->first <= first);
    return low;
}

static struct segment *ref_at(struct chain *chain, size_t at)
{
    return at < chain->count ? segment_ref(chain->list[at]) : NULL;
}

struct segment *chain_at(struct chain *chain, uint64_t id)
{
    pthread_mutex_lock(&chain->list_lock);
    size_t above = find_above(chain, id);
    struct segment *segment = ref_at(chain, above ? above - 1 : 0);
    pthread_mutex_unlock(&chain->list_lock);
    return segment;
}

struct segment *chain_after(struct chain *chain, struct segment *segment)
{
    pthread_mutex_lock(&chain->list_lock);
    struct segment *next = ref_at(chain, find_above(chain, segment->first));
    pthread_mutex_unlock(&chain->list_lock);
    segment_unref(segment);
    return next;
}

struct segment *chain_before(struct chain *chain, struct segment *segment)
{
    struct segment *before = NULL;
    pthread_mutex_lock(&chain->list_lock);
    size_t at = segment->first ? find_above(chain, segment->first - 1) : 0;
    if (at)
        before = segment_ref(chain->list[at - 1]);
    pthread_mutex_unlock(&chain->list_lock);
    segment_unref(segment);
    return before;
}

void chain_measure(struct chain *chain)
{
    uint64_t bytes = 0, index = 0;
    pthread_mutex_lock(&chain->list_lock);
    for (size_t i = 0; i < chain->count; i++) {
        struct segment *segment = chain->list[i];
        bytes += atomic_load_explicit(&segment->bytes, memory_order_relaxed);
        index += segment->index ? index_bytes(segment->index) : 0; /* which upkeep alone frees */
    }
    atomic_store(&chain->bytes, bytes);
    atomic_store(&chain->index_bytes, index);
    pthread_mutex_unlock(&chain->list_lock);
}

static int list_room(struct chain *chain)
{
    if (chain->count < chain->cap)
        return 0;
    size_t cap = chain->cap ? chain->cap * 2 : 16;
    struct segment **list = mem_try_realloc(chain->list, cap * sizeof(struct segment *));
    if (!list)
        return -ENOMEM;
    chain->list = list;
    chain->cap = cap;
    return 0;
}

/* Adds the segment to the chain. On success the chain owns the caller's reference. */
static int add_last(struct chain *chain, struct segment *segment)
{
    pthread_mutex_lock(&chain->list_lock);
    int result = list_room(chain);
    if (!result)
        chain->list[chain->count++] = segment;
    pthread_mutex_unlock(&chain->list_lock);
    return result;
}

void chain_remove(struct chain *chain, struct segment *segment)
{
    struct segment *removed = NULL;
    pthread_mutex_lock(&chain->list_lock);
    size_t at = find_above(chain, segment->first);
    if (at && chain->list[at - 1] == segment) {
        removed = segment;
        chain->count--;
        memmove(&chain->list[at - 1], &chain->list[at],
                (chain->count - (at - 1)) * sizeof(struct segment *));
    }
    pthread_mutex_unlock(&chain->list_lock);
    segment_unref(removed);
}

/* ---- trims ---------------------------------------------------------------------------------- */

static int marks_room(struct chain *chain, size_t count)
{
    if (chain->trims_count + count <= chain->trims_cap)
        return 0;
    size_t cap = (chain->trims_count + count) * 2;
    struct store_trim *trims = mem_try_realloc(chain->trims, cap * sizeof(*trims));
    if (!trims)
        return -ENOMEM;
    chain->trims = trims;
    chain->trims_cap = cap;
    return 0;
}

static int copy_trim(struct store_trim *to, const struct store_trim *from)
{
    char *name = mem_try_alloc(from->name.len + 1);
    if (!name)
        return -ENOMEM;
    if (from->name.len)
        memcpy(name, from->name.at, from->name.len);
    *to = *from;
    to->name.at = name;
    return 0;
}

/* Copies the trims behind those that `chain->trims_count` counts, without counting them yet: the
 * commit that deletes may still fail. */
static int stage_trims(struct chain *chain, const struct store_trim *trims, size_t count)
{
    int result = marks_room(chain, count);
    for (size_t i = 0; !result && i < count; i++) {
        struct store_trim *to = &chain->trims[chain->trims_count + i];
        result = trimmed_ids_room(&chain->trimmed_ids, trims[i].number);
        result = result ? result : copy_trim(to, &trims[i]);
        if (result)
            while (i-- > 0)
                free((char *)(uintptr_t)chain->trims[chain->trims_count + i].name.at);
    }
    return result;
}

static void unstage_marks(struct chain *chain, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((char *)(uintptr_t)chain->trims[chain->trims_count + i].name.at);
}

static void commit_marks(struct chain *chain, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct store_trim *trim = &chain->trims[chain->trims_count++];
        trimmed_ids_raise(&chain->trimmed_ids, trim->number, trim->trimmed);
    }
}

int chain_add_trims(struct chain *chain, const struct store_trim *trims, size_t count)
{
    pthread_mutex_lock(&chain->append_lock);
    int result = stage_trims(chain, trims, count);
    if (!result)
        commit_marks(chain, count);
    pthread_mutex_unlock(&chain->append_lock);
    return result;
}

struct store_trim *chain_take_trims(struct chain *chain, size_t *ret_count)
{
    pthread_mutex_lock(&chain->append_lock);
    struct store_trim *trims = chain->trims;
    *ret_count = chain->trims_count;
    chain->trims = NULL;
    chain->trims_count = chain->trims_cap = 0;
    pthread_mutex_unlock(&chain->append_lock);
    return trims;
}

/* ---- appending ------------------------------------------------------------------------------ */

/* The events of a commit that concern the chain. */
struct content {
    const struct event *first; /* appended; NULL for none */
    const struct event *last;
    struct store_trim *trims;
    size_t trims_count;
};

static void look_at(const struct event *event, struct content *content)
{
    if (event->state == EVENT_APPENDED) {
        content->first = content->first ? content->first : event;
        content->last = event;
    } else if (event->state == EVENT_TRIM && event->id) {
        if (content->trims)
            content->trims[content->trims_count] =
                (struct store_trim){event->number, event->channel, event->id, event->id};
        content->trims_count++;
    }
}

static void look_at_all(struct batch *const *batches, size_t count, struct content *content)
{
    content->trims_count = 0;
    for (size_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < batches[i]->count; j++)
            look_at(&batches[i]->events[j], content);
}

/* Counts first, and gathers the trims in a second round only if there are any. */
static int look_into(struct batch *const *batches, size_t count, struct content *content)
{
    *content = (struct content){0};
    look_at_all(batches, count, content);
    if (!content->trims_count)
        return 0;
    content->trims = mem_try_alloc(content->trims_count * sizeof(*content->trims));
    if (!content->trims)
        return -ENOMEM;
    look_at_all(batches, count, content);
    return 0;
}

/* Whether the name is above those of all files. An append whose ids do not rise must not overwrite
 * a file. */
static bool is_new(struct chain *chain, uint64_t first)
{
    pthread_mutex_lock(&chain->list_lock);
    bool is = !chain->count || chain->list[chain->count - 1]->first < first;
    pthread_mutex_unlock(&chain->list_lock);
    return is;
}

static int write_links(struct writer *writer, const struct links *links)
{
    sqlite3 *db = NULL;
    int result = writer_mend(writer, &db);
    result = result ? result : db_exec(db, "BEGIN IMMEDIATE");
    result = result ? result : links_write(db, links);
    return result ? result : db_exec(db, "COMMIT"); /* false: the file was thrown away */
}

/* Begins a file whose first id will be `first`. */
static int begin_file(struct chain *chain, uint64_t first)
{
    if (!is_new(chain, first))
        return -EIO;
    int result = segment_make_spare(chain->folder);
    if (result)
        return result;
    struct segment *segment = segment_new(chain->folder, first);
    segment->index = index_new();
    segment->links = (struct links){.log = chain->log, .before = chain->before};
    result = segment_take_spare(chain->folder, segment);
    chain_step(chain, "begun");
    result = result ? result : writer_open(segment, &chain->writer);
    result = result ? result : write_links(chain->writer, &segment->links);
    /* Sync the folder: SQLite has just made the write-ahead log, and does not report it if the name
     * of that cannot be synced. */
    result = result ? result : db_sync_folder(chain->folder);
    result = result ? result : add_last(chain, segment);
    if (result) {
        writer_close(chain->writer);
        chain->writer = NULL;
        (void)segment_unlink(segment);
        segment_unref(segment);
        return result;
    }
    chain->active = segment; /* the list keeps it */
    chain->active_since_us = clock_now_ns(chain->config.clock) / 1000;
    return 0;
}

static int append(struct chain *chain, struct batch *const *batches, size_t count,
                  const struct content *content)
{
    uint64_t first = content->first ? content->first->id : atomic_load(&chain->newest) + 1;
    int result = chain->active ? 0 : begin_file(chain, first);
    result = result ? result : stage_trims(chain, content->trims, content->trims_count);
    if (result)
        return result;
    uint64_t bytes = atomic_load(&chain->active->bytes), none = 0;
    result = writer_append(chain->writer, batches, count);
    atomic_fetch_add(&chain->bytes, atomic_load(&chain->active->bytes) - bytes);
    if (result) {
        unstage_marks(chain, content->trims_count);
        return result;
    }
    commit_marks(chain, content->trims_count);
    if (content->first && content->last) {
        atomic_store(&chain->newest_time_us, content->last->time_us);
        atomic_store(&chain->newest, content->last->id);
        (void)atomic_compare_exchange_strong(&chain->oldest_id, &none, content->first->id);
    }
    chain_step(chain, "appended");
    return 0;
}

/* While it is unknown whether an earlier append is on the disk, refuse nothing for good: a
 * publisher that repeats that append would take the refusal for the answer to both. */
static int decide_earlier(struct chain *chain)
{
    sqlite3 *db;
    if (!chain->writer || !writer_is_unsure(chain->writer))
        return 0;
    (void)writer_mend(chain->writer, &db);
    return writer_is_unsure(chain->writer) ? STORE_E_FATE_UNKNOWN : 0;
}

/* On a full disk, trims may use the reserve. Events may not, until there is a reserve again. */
static int append_with_reserve(struct chain *chain, struct batch *const *batches, size_t count,
                               const struct content *content)
{
    if (content->first && reserve_is_given(&chain->reserve))
        return -ENOSPC;
    int result = append(chain, batches, count, content);
    if (result == -ENOSPC && !content->first && reserve_give(&chain->reserve))
        result = append(chain, batches, count, content);
    return result;
}

int chain_append(struct chain *chain, struct batch *const *batches, size_t count)
{
    struct content content;
    int looked = look_into(batches, count, &content);
    pthread_mutex_lock(&chain->append_lock);
    int result = decide_earlier(chain);
    result = result ? result : looked;
    if (!result && (content.first || content.trims_count))
        result = append_with_reserve(chain, batches, count, &content);
    pthread_mutex_unlock(&chain->append_lock);
    free(content.trims);
    return result;
}

void chain_roll(struct chain *chain)
{
    pthread_mutex_lock(&chain->append_lock);
    if (chain->active && !writer_is_unsure(chain->writer)) {
        chain->before = segment_link(chain->active);
        chain->active->writer = chain->writer;
        chain->active = NULL;
        chain->writer = NULL;
    }
    pthread_mutex_unlock(&chain->append_lock);
    chain_step(chain, "rolled");
}

bool chain_is_due(struct chain *chain)
{
    bool due = false;
    pthread_mutex_lock(&chain->append_lock);
    if (chain->active && atomic_load(&chain->active->newest) && !writer_is_unsure(chain->writer)) {
        int64_t age = clock_now_ns(chain->config.clock) / 1000 - chain->active_since_us;
        due = writer_file_bytes(chain->writer) >= chain->config.roll_bytes ||
              writer_wal_bytes(chain->writer) / WAL_RATIO >= chain->config.roll_bytes ||
              age >= chain->config.roll_us;
    }
    pthread_mutex_unlock(&chain->append_lock);
    return due;
}

/* ---- loading -------------------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *end)
{
    size_t len = strlen(name), end_len = strlen(end);
    return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

static bool is_there(const char *folder, const char *name, int len)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%.*s", folder, len, name);
    return access(path, F_OK) == 0;
}

/* Whether the file is a leftover: a file that was not finished, or that lay beside one being
 * unlinked. */
static bool is_left_over(const char *folder, const char *name)
{
    if (ends_with(name, ".new") || str_starts(str_from(name), STR("spare.")))
        return true;
    for (size_t i = 0; i < DB_SIDES; i++)
        if (ends_with(name, db_sides[i]))
            return !is_there(folder, name, (int)(strlen(name) - strlen(db_sides[i])));
    return false;
}

static int by_first(const void *a, const void *b)
{
    uint64_t x = (*(struct segment *const *)a)->first, y = (*(struct segment *const *)b)->first;
    return (x > y) - (x < y);
}

static int take_entry(struct chain *chain, int folder, const char *name)
{
    uint64_t first = folder_id_of(name);
    if (first) {
        struct segment *segment = segment_new(chain->folder, first);
        int result = add_last(chain, segment);
        if (result)
            segment_unref(segment);
        return result;
    }
    if (is_left_over(chain->folder, name) && unlinkat(folder, name, 0) && errno != ENOENT)
        return -errno;
    return 0;
}

int chain_list(struct chain *chain)
{
    int result = 0;
    DIR *folder = opendir(chain->folder);
    if (!folder)
        return -errno;
    for (struct dirent *entry; !result && (entry = readdir(folder));)
        result = take_entry(chain, dirfd(folder), entry->d_name);
    closedir(folder);
    if (chain->count)
        qsort(chain->list, chain->count, sizeof(struct segment *), by_first);
    return result;
}

void chain_tell_progress(const struct chain *chain, size_t done)
{
    progress_tell(chain->config.progress, "files of the log read", done, chain->count);
}

int chain_load_sealed(struct chain *chain)
{
    int result = 0;
    for (size_t i = 0; !result && i < chain->count; i++) {
        chain_tell_progress(chain, i);
        if (chain->list[i]->sealed)
            result = trouble_note(chain->config.trouble, chain->list[i]->path,
                                  segment_load(chain->list[i]));
    }
    return result;
}
