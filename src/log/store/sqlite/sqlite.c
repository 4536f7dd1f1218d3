#include "log/store/sqlite/sqlite.h"

#include "base/mem.h"
#include "base/say.h"
#include "log/store/sqlite/find.h"
#include "log/store/sqlite/house.h"
#include "log/store/sqlite/load.h"
#include "log/store/sqlite/summing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Rows that an opening looks at to find the oldest event that is alive; upkeep looks on. */
enum { OLDEST_ROWS = 1000 };

struct sqlite {
    struct store store;
    struct chain chain;
    struct house house;
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
    return house_trim(&of(store)->house, trims, count);
}

static int sqlite_keep_house(struct store *store,
                             uint64_t (*trimmed_of)(void *context, uint32_t number), void *context)
{
    /* Only what is trimmed for good may leave the disk, and that the store knows best itself. */
    (void)trimmed_of;
    (void)context;
    return house_keep(&of(store)->house);
}

static int sqlite_forget(struct store *store, const struct store_trim *folded, size_t folded_count,
                         const uint32_t *numbers, size_t count)
{
    return house_forget(&of(store)->house, folded, folded_count, numbers, count);
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
        .trims = atomic_load_explicit(&of(store)->chain.floors.bytes, memory_order_relaxed) +
                 atomic_load_explicit(&of(store)->house.erasures_bytes, memory_order_relaxed),
    };
}

static void sqlite_close(struct store *store)
{
    struct sqlite *sqlite = of(store);
    house_deinit(&sqlite->house);
    chain_deinit(&sqlite->chain);
    if (sqlite->lock >= 0)
        close(sqlite->lock);
    free(sqlite);
}

static const struct store_ops ops = {
    .append = sqlite_append,
    .read = sqlite_read,
    .find_time = sqlite_find_time,
    .find_cuts = sqlite_find_cuts,
    .walk = sqlite_walk,
    .trim = sqlite_trim,
    .keep_house = sqlite_keep_house,
    .forget = sqlite_forget,
    .bytes = sqlite_bytes,
    .oldest = sqlite_oldest,
    .memory = sqlite_memory,
    .close = sqlite_close,
};

/* ---- opening -------------------------------------------------------------------------------- */

static char *join(const char *folder, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        abort();
    return path;
}

/* A folder that nobody else may look into, and its entry in the one above made durable. */
static int make_folder(const char *path)
{
    if (mkdir(path, 0700))
        return errno == EEXIST ? 0 : -errno;
    char *above = join(path, "..");
    int result = db_sync_folder(above);
    free(above);
    return result;
}

static int take_lock(struct sqlite *sqlite, const char *dir)
{
    char *path = join(dir, "lock");
    sqlite->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int result = sqlite->lock < 0 ? -errno : 0;
    if (!result && flock(sqlite->lock, LOCK_EX | LOCK_NB))
        result = errno == EWOULDBLOCK ? -EBUSY : -errno;
    free(path);
    return result;
}

static int open_state(struct sqlite *sqlite, const char *dir)
{
    char *path = join(dir, "state.db");
    int result = state_open(path, &sqlite->chain.state);
    free(path);
    return result ? result : db_sync_folder(dir);
}

static int open_all(struct sqlite *sqlite, const struct store_loader *loader,
                    struct store_newest *ret_newest)
{
    struct chain *chain = &sqlite->chain;
    int result = make_folder(chain->folder);
    result = result ? result : open_state(sqlite, chain->config.dir);
    result = result ? result : chain_list(chain);
    result = result ? result : summing_match(chain);
    result = result ? result : chain_load(chain);
    result = result ? result : load_report(chain, loader, ret_newest);
    result = result ? result : house_load(&sqlite->house);
    chain_measure(chain);
    if (!result)
        reserve_make(&chain->reserve);
    return result ? result : find_oldest(chain, OLDEST_ROWS);
}

int sqlite_open_hooked(const struct store_config *config, const struct store_loader *loader,
                       const struct chain_hook *hook, struct store **ret_store,
                       struct store_newest *ret_newest)
{
    struct sqlite *sqlite = mem_alloc(sizeof(*sqlite));
    char *folder = join(config->dir, "log");
    sqlite->store.ops = &ops;
    sqlite->lock = -1;
    chain_init(&sqlite->chain, config, folder, hook);
    sqlite->chain.sums.path = join(config->dir, "sums.db");
    house_init(&sqlite->house, &sqlite->chain);
    free(folder);
    int result = make_folder(config->dir);
    result = result ? result : take_lock(sqlite, config->dir);
    result = result ? result : open_all(sqlite, loader, ret_newest);
    if (result) {
        sqlite_close(&sqlite->store);
        return result;
    }
    *ret_store = &sqlite->store;
    return 0;
}

int store_sqlite_open(const struct store_config *config, const struct store_loader *loader,
                      struct store **ret_store, struct store_newest *ret_newest)
{
    return sqlite_open_hooked(config, loader, NULL, ret_store, ret_newest);
}
