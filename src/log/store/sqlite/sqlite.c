#include "log/store/sqlite/sqlite.h"

#include "base/mem.h"
#include "base/say.h"
#include "log/store/sqlite/find.h"
#include "log/store/sqlite/folder.h"
#include "log/store/sqlite/chain_upkeep.h"
#include "log/store/sqlite/load.h"
#include "log/store/sqlite/resume.h"
#include "log/store/sqlite/summing.h"
#include "log/store/sqlite/trouble.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Rows that an opening reads to find the oldest retained event; upkeep continues the search. */
enum { OLDEST_ROWS = 1000 };

struct sqlite {
    struct store store;
    struct chain chain;
    struct chain_upkeep upkeep;
    int lock;
};

static struct sqlite *of(struct store *store)
{
    return container_of(store, struct sqlite, store);
}

struct chain *sqlite_chain(struct store *store)
{
    return &of(store)->chain;
}

static int sqlite_begin(struct store *store, const struct store_pause *pause)
{
    return state_add_pause(of(store)->chain.state, pause);
}

static int sqlite_append(struct store *store, struct batch *const *batches, size_t count)
{
    return chain_append(&of(store)->chain, batches, count);
}

static int sqlite_read(struct store *store, const struct store_query *query,
                       struct batch **ret_batch, uint64_t *ret_through)
{
    return find_page(&of(store)->chain, query, ret_batch, ret_through);
}

static int sqlite_find_time(struct store *store, int64_t time_us, uint64_t *ret_id)
{
    return find_time(&of(store)->chain, time_us, ret_id);
}

static int sqlite_find_cuts(struct store *store, struct store_cut *cuts, size_t count)
{
    return find_cuts(&of(store)->chain, cuts, count);
}

static int sqlite_walk(struct store *store, uint64_t after, uint64_t upto,
                       bool (*each)(void *context, uint32_t number, uint64_t id, size_t bytes),
                       void *context)
{
    return find_each(&of(store)->chain, after, upto, each, context);
}

static int sqlite_trim(struct store *store, const struct store_trim *trims, size_t count)
{
    return chain_upkeep_trim(&of(store)->upkeep, trims, count);
}

static int sqlite_upkeep(struct store *store)
{
    return chain_upkeep_turn(&of(store)->upkeep);
}

static int sqlite_forget(struct store *store, const struct store_trim *namespaces,
                         size_t namespaces_count, const uint32_t *numbers, size_t count)
{
    return chain_upkeep_forget(&of(store)->upkeep, namespaces, namespaces_count, numbers, count);
}

static uint64_t sqlite_bytes(struct store *store)
{
    return atomic_load_explicit(&of(store)->chain.bytes, memory_order_relaxed);
}

static uint64_t sqlite_oldest(struct store *store)
{
    return atomic_load_explicit(&of(store)->chain.oldest_id, memory_order_relaxed);
}

static struct store_memory sqlite_memory(struct store *store)
{
    return (struct store_memory){
        .index = atomic_load_explicit(&of(store)->chain.index_bytes, memory_order_relaxed),
        .sqlite = (uint64_t)sqlite3_memory_used(),
        .trims = atomic_load_explicit(&of(store)->chain.trimmed_ids.bytes, memory_order_relaxed) +
                 atomic_load_explicit(&of(store)->upkeep.erasures_bytes, memory_order_relaxed),
    };
}

static struct store_losses sqlite_losses(struct store *store)
{
    return holes_losses(&of(store)->chain);
}

static void sqlite_close(struct store *store)
{
    struct sqlite *sqlite = of(store);
    chain_upkeep_deinit(&sqlite->upkeep);
    chain_deinit(&sqlite->chain);
    if (sqlite->lock >= 0)
        close(sqlite->lock);
    free(sqlite);
}

static const struct store_ops ops = {
    .begin = sqlite_begin,
    .append = sqlite_append,
    .read = sqlite_read,
    .find_time = sqlite_find_time,
    .find_cuts = sqlite_find_cuts,
    .walk = sqlite_walk,
    .trim = sqlite_trim,
    .upkeep = sqlite_upkeep,
    .forget = sqlite_forget,
    .bytes = sqlite_bytes,
    .oldest = sqlite_oldest,
    .memory = sqlite_memory,
    .losses = sqlite_losses,
    .close = sqlite_close,
};

/* ---- opening -------------------------------------------------------------------------------- */

static int take_lock(struct sqlite *sqlite)
{
    const struct store_config *config = &sqlite->chain.config;
    int64_t pid;
    int result = folder_lock(config->dir, true, &sqlite->lock, &pid);
    if (result == -EBUSY)
        return trouble_note_in_use(config->trouble, config->dir, pid);
    if (!result)
        return 0;
    char *path = folder_join(config->dir, "lock");
    trouble_note(config->trouble, path, result);
    free(path);
    return result;
}

static int open_state(struct chain *chain)
{
    char *path = folder_join(chain->config.dir, "state.db");
    int result = trouble_note(chain->config.trouble, path, state_open(path, &chain->state));
    free(path);
    return result ? result : db_sync_folder(chain->config.dir);
}

static int open_files(struct chain *chain)
{
    struct trouble *trouble = chain->config.trouble;
    int result = trouble_note(trouble, chain->folder, folder_make(chain->folder));
    result = result ? result : trouble_note_unfinished(trouble, chain->config.dir);
    result = result ? result : open_state(chain);
    result = result ? result : trouble_note(trouble, chain->folder, chain_list(chain));
    result = result ? result : trouble_note(trouble, chain->sums.path, summing_match(chain));
    return result ? result : trouble_note(trouble, chain->folder, resume_files(chain));
}

static int open_all(struct sqlite *sqlite, const struct store_loader *loader,
                    struct store_newest *ret_newest)
{
    struct chain *chain = &sqlite->chain;
    int result =
        trouble_note(chain->config.trouble, chain->config.dir, folder_make(chain->config.dir));
    result = result ? result : take_lock(sqlite);
    result = result ? result : open_files(chain);
    result = result ? result : load_report(chain, loader, ret_newest);
    result = result ? result : chain_upkeep_load(&sqlite->upkeep);
    chain_measure(chain);
    if (!result)
        reserve_make(&chain->reserve);
    return result ? result : find_oldest(chain, OLDEST_ROWS);
}

/* Find the cause after all files are closed, when descriptors are free again. */
static int give_up(struct sqlite *sqlite, int result)
{
    struct store_config config = sqlite->chain.config;
    sqlite_close(&sqlite->store);
    if (config.trouble)
        trouble_look(config.trouble, config.dir, result);
    return result;
}

int sqlite_open_hooked(const struct store_config *config, const struct store_loader *loader,
                       const struct chain_hook *hook, struct store **ret_store,
                       struct store_newest *ret_newest)
{
    struct sqlite *sqlite = mem_alloc(sizeof(*sqlite));
    char *folder = folder_join(config->dir, "log");
    sqlite->store.ops = &ops;
    sqlite->lock = -1;
    chain_init(&sqlite->chain, config, folder, hook);
    sqlite->chain.sums.path = folder_join(config->dir, "sums.db");
    chain_upkeep_init(&sqlite->upkeep, &sqlite->chain);
    free(folder);
    int result = open_all(sqlite, loader, ret_newest);
    if (result)
        return give_up(sqlite, result);
    sqlite->chain.config.progress = NULL;
    sqlite->chain.config.trouble = NULL;
    *ret_store = &sqlite->store;
    return 0;
}

int store_sqlite_open(const struct store_config *config, const struct store_loader *loader,
                      struct store **ret_store, struct store_newest *ret_newest)
{
    return sqlite_open_hooked(config, loader, NULL, ret_store, ret_newest);
}
