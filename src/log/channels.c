#include "log/channels.h"

#include "log/name_sort.h"

#include <errno.h>
#include <stdlib.h>

enum { CHUNK_BITS = 10, CHUNK = 1 << CHUNK_BITS, CHUNKS_FIRST = 16 };

struct channels_chunk {
    uint32_t count;
    /* For each kind of maker, the share that a channel counts in, plus 1; 0 for none. NULL if none
     * of the chunk's channels counts in a share. */
    uint16_t (*made_by)[MAKER_KINDS];
    struct channel *channels[CHUNK];
};

enum { MADE_BY_BYTES = sizeof(uint16_t) * CHUNK * MAKER_KINDS };

static struct channel *of_node(const struct map_node *node)
{
    return container_of(node, struct channel, node);
}

static bool name_is(const struct map_node *node, struct str key)
{
    return str_eq(channel_name(of_node(node)), key);
}

static struct str name_of(const void *owner, uint32_t number)
{
    return channel_name(channels_by_number(owner, number));
}

static struct namespace *namespace_of_node(const struct map_node *node)
{
    return container_of(node, struct namespace, node);
}

static bool prefix_is(const struct map_node *node, struct str key)
{
    return str_eq(namespace_of_node(node)->config.prefix, key);
}

static int by_length_down(const void *a, const void *b)
{
    size_t x = ((const struct namespace *)a)->config.prefix.len;
    size_t y = ((const struct namespace *)b)->config.prefix.len;
    return (x < y) - (x > y);
}

/* A prefix that is longer than any name contains no names. */
static void index_spaces(struct channels *channels)
{
    map_init(&channels->by_prefix, prefix_is);
    map_reserve(&channels->by_prefix, channels->namespaces_count);
    for (size_t i = 0; i < channels->namespaces_count; i++) {
        struct namespace *namespace = &channels->namespaces[i];
        struct str prefix = namespace->config.prefix;
        channels->compresses |= namespace->config.compress;
        if (!prefix.len || prefix.len > NAME_MAX_BYTES || map_find(&channels->by_prefix, prefix))
            continue;
        map_add(&channels->by_prefix, &namespace->node, prefix);
        channels->prefix_lens[prefix.len] = 1;
        if (prefix.len > channels->prefix_longest)
            channels->prefix_longest = prefix.len;
    }
}

void channels_init(struct channels *channels, const struct namespace_config *configs, size_t count,
                   uint64_t count_max)
{
    *channels = (struct channels){.count_max = count_max, .share_percent = {100, 100}};
    map_init(&channels->by_name, name_is);
    name_tree_init(&channels->order, name_of, channels);
    channels->namespaces = mem_alloc((count + 1) * sizeof(*channels->namespaces));
    bool has_all = false;
    for (size_t i = 0; i < count; i++) {
        channels->namespaces[i].config = configs[i];
        has_all = has_all || !configs[i].prefix.len;
    }
    channels->namespaces_count = has_all ? count : count + 1;
    qsort(channels->namespaces, channels->namespaces_count, sizeof(*channels->namespaces),
          by_length_down);
    index_spaces(channels);
}

void channels_deinit(struct channels *channels)
{
    for (size_t i = 0; i < channels->chunks_cap; i++) {
        for (size_t j = 0; channels->chunks[i] && j < CHUNK; j++)
            free(channels->chunks[i]->channels[j]);
        if (channels->chunks[i])
            free(channels->chunks[i]->made_by);
        free(channels->chunks[i]);
    }
    free(channels->chunks);
    map_deinit(&channels->by_prefix);
    free(channels->namespaces);
    name_tree_deinit(&channels->order);
    numbers_deinit(&channels->free);
    free(channels->reused_at);
    map_deinit(&channels->by_name);
}

uint64_t channels_bytes(const struct channels *channels)
{
    return channels->blocks_bytes + channels->chunks_cap * sizeof(struct channels_chunk *) +
           map_bytes(&channels->by_name) + name_tree_bytes(&channels->order) +
           numbers_bytes(&channels->free) +
           (channels->reused_at ? REUSED_KEPT * sizeof(*channels->reused_at) : 0);
}

struct channel *channels_find(const struct channels *channels, struct str name)
{
    struct map_node *node = map_find(&channels->by_name, name);
    return node ? of_node(node) : NULL;
}

struct channel *channels_known(const struct channels *channels, struct str name, uint32_t number)
{
    struct channel *channel = number ? channels_by_number(channels, number) : NULL;
    return channel && str_eq(channel_name(channel), name) ? channel : channels_find(channels, name);
}

struct channel *channels_by_number(const struct channels *channels, uint32_t number)
{
    size_t at = number >> CHUNK_BITS;
    const struct channels_chunk *chunk = at < channels->chunks_cap ? channels->chunks[at] : NULL;
    return chunk ? chunk->channels[number & (CHUNK - 1)] : NULL;
}

/* A lookup for each segment of the name that ends where some prefix does, and not for each of
 * perhaps thousands of namespaces. */
struct namespace *channels_namespace(const struct channels *channels, struct str name)
{
    size_t len = name.len < channels->prefix_longest ? name.len : channels->prefix_longest;
    for (; len; len--) {
        if (!channels->prefix_lens[len] || (len < name.len && name.at[len] != '/'))
            continue;
        struct map_node *node = map_find(&channels->by_prefix, (struct str){name.at, len});
        if (node)
            return namespace_of_node(node);
    }
    return &channels->namespaces[channels->namespaces_count - 1];
}

static int chunks_room(struct channels *channels, size_t at)
{
    if (at < channels->chunks_cap)
        return 0;
    size_t cap = channels->chunks_cap ? channels->chunks_cap : CHUNKS_FIRST;
    while (cap <= at)
        cap *= 2;
    struct channels_chunk **room =
        mem_try_realloc(channels->chunks, cap * sizeof(struct channels_chunk *));
    if (!room)
        return -ENOMEM;
    memset(room + channels->chunks_cap, 0,
           (cap - channels->chunks_cap) * sizeof(struct channels_chunk *));
    channels->chunks = room;
    channels->chunks_cap = cap;
    return 0;
}

/* The chunk of a number, created if need be; NULL if there is no memory. */
static struct channels_chunk *chunk_room(struct channels *channels, uint32_t number)
{
    size_t at = number >> CHUNK_BITS;
    if (chunks_room(channels, at))
        return NULL;
    if (channels->chunks[at])
        return channels->chunks[at];
    struct channels_chunk *chunk = mem_try_alloc(sizeof(*chunk));
    if (chunk) {
        memset(chunk, 0, sizeof(*chunk));
        channels->blocks_bytes += mem_taken(sizeof(*chunk));
    }
    channels->chunks[at] = chunk;
    return chunk;
}

/* Whether reused numbers can be noted. */
static bool reused_room(struct channels *channels)
{
    if (!channels->reused_at)
        channels->reused_at = mem_try_alloc(REUSED_KEPT * sizeof(*channels->reused_at));
    return channels->reused_at != NULL;
}

/* The number for a new channel, which take_number() then takes; 0 if there is none. */
static uint32_t choose_number(struct channels *channels)
{
    if (channels->free.count && reused_room(channels))
        return numbers_first(&channels->free);
    return channels->number_last < UINT32_MAX ? channels->number_last + 1 : 0;
}

/* Returns true if the number was another channel's before. */
static bool take_number(struct channels *channels, uint32_t number)
{
    bool reused = number <= channels->number_last;
    if (reused)
        (void)numbers_pop(&channels->free);
    else
        channels->number_last = number;
    return reused;
}

void channels_note_used(struct channels *channels, struct channel *channel)
{
    if (!(channel->waits & CHANNEL_REUSES))
        return;
    channels->reused_at[channels->reused++ % REUSED_KEPT] = channel_number(channel);
    channel->waits &= (uint8_t)~CHANNEL_REUSES;
}

void channels_release(struct channels *channels, uint32_t number)
{
    /* Without memory the number stays unused until the next start, which does no harm. */
    if (channels->free.count < channels->count_max && number && number <= channels->number_last &&
        !channels_by_number(channels, number))
        (void)numbers_push(&channels->free, number);
}

static size_t channel_size(struct str name)
{
    size_t size = offsetof(struct channel, name) + name.len;
    return size > sizeof(struct channel) ? size : sizeof(struct channel);
}

/* Puts a channel into the table, with only its name known, and not into the order of names. NULL if
 * there is no memory. */
static struct channel *place(struct channels *channels, struct str name, uint32_t number)
{
    struct channels_chunk *chunk = chunk_room(channels, number);
    size_t size = channel_size(name);
    struct channel *channel = chunk ? mem_try_alloc(size) : NULL;
    if (!channel)
        return NULL;
    channels->blocks_bytes += mem_taken(size);
    *channel = (struct channel){.node = {.own = number}, .name_len = (uint8_t)name.len};
    memcpy(channel->name, name.at, name.len);
    channel->namespace = (uint16_t)(channels_namespace(channels, name) - channels->namespaces);
    map_add(&channels->by_name, &channel->node, name);
    chunk->channels[number & (CHUNK - 1)] = channel;
    chunk->count++;
    return channel;
}

/* Removes a channel from the table, but not from the order of names, and frees it. */
static void displace(struct channels *channels, struct channel *channel)
{
    map_remove(&channels->by_name, &channel->node);
    struct channels_chunk **chunk = &channels->chunks[channel_number(channel) >> CHUNK_BITS];
    (*chunk)->channels[channel_number(channel) & (CHUNK - 1)] = NULL;
    channels->blocks_bytes -= mem_taken(channel_size(channel_name(channel)));
    if (--(*chunk)->count == 0) {
        channels->blocks_bytes -= mem_taken(sizeof(**chunk));
        if ((*chunk)->made_by)
            channels->blocks_bytes -= mem_taken(MADE_BY_BYTES);
        free((*chunk)->made_by);
        free(*chunk);
        *chunk = NULL;
    }
    free(channel);
}

static struct channel *enter(struct channels *channels, struct str name, uint32_t number)
{
    struct channel *channel = place(channels, name, number);
    if (channel && name_tree_add(&channels->order, name, number)) {
        displace(channels, channel);
        return NULL;
    }
    return channel;
}

/* A new channel with a free number. */
static int enter_new(struct channels *channels, struct str name, struct channel **ret_channel)
{
    uint32_t number = choose_number(channels);
    if (!number)
        return CHANNELS_E_FULL;
    *ret_channel = enter(channels, name, number);
    if (!*ret_channel)
        return -ENOMEM;
    if (take_number(channels, number))
        (*ret_channel)->waits = CHANNEL_REUSES;
    return 0;
}

static int add_new(struct channels *channels, struct str name, struct channel **ret_channel)
{
    return channels_count(channels) < channels->count_max ? enter_new(channels, name, ret_channel)
                                                          : CHANNELS_E_FULL;
}

static void raise_number(struct channels *channels, uint32_t number)
{
    if (number > channels->number_last)
        channels->number_last = number;
}

bool channels_are_scarce(const struct channels *channels)
{
    return channels->count_max >= SHARED_FROM &&
           channels_count(channels) >= channels->count_max / 2;
}

/* The index of a maker's share, plus 1; 0 for a maker without one. The hash is keyed, so that no
 * client can choose whom it shares an index with. */
static uint16_t place_of(const struct channels *channels, const struct maker *maker, int kind)
{
    struct str id = {(const char *)&maker->ids[kind], sizeof(maker->ids[kind])};
    return maker->ids[kind] ? (uint16_t)(map_hash(channels->by_name.seed, id) % MAKERS + 1) : 0;
}

static bool has_share(const struct channels *channels, int kind, uint16_t place)
{
    uint64_t made = place ? channels->made[kind][place - 1] : 0;
    uint64_t left = channels->count_max - channels_count(channels);
    return !place || made * 100 < channels->share_percent[kind] * (made + left);
}

static int claim(struct channels *channels, struct channel *channel)
{
    if (channels_count(channels) >= channels->count_max)
        return CHANNELS_E_FULL;
    channel->waits &= (uint8_t)~CHANNEL_UNCLAIMED;
    channels->unclaimed--;
    return 0;
}

static uint16_t *made_by_of(const struct channels *channels, const struct channel *channel)
{
    uint32_t number = channel_number(channel);
    const struct channels_chunk *chunk = channels->chunks[number >> CHUNK_BITS];
    return chunk->made_by ? chunk->made_by[number & (CHUNK - 1)] : NULL;
}

/* Counts the channel in shares, by their indexes; returns false if there is no memory. */
static bool count_made(struct channels *channels, const struct channel *channel,
                       const uint16_t places[MAKER_KINDS])
{
    struct channels_chunk *chunk = channels->chunks[channel_number(channel) >> CHUNK_BITS];
    if (!chunk->made_by) {
        chunk->made_by = mem_try_alloc(MADE_BY_BYTES);
        if (!chunk->made_by)
            return false;
        memset(chunk->made_by, 0, MADE_BY_BYTES);
        channels->blocks_bytes += mem_taken(MADE_BY_BYTES);
    }
    for (int kind = 0; kind < MAKER_KINDS; kind++) {
        made_by_of(channels, channel)[kind] = places[kind];
        if (places[kind])
            channels->made[kind][places[kind] - 1]++;
    }
    return true;
}

int channels_make(struct channels *channels, struct str name, const struct maker *maker,
                  struct channel **channel)
{
    uint16_t places[MAKER_KINDS] = {0};
    uint32_t number_last = channels->number_last;
    bool known = *channel != NULL;
    if (channel_counts(*channel))
        return 0;
    bool shared = channels_are_scarce(channels) && channels_count(channels) < channels->count_max;
    for (int kind = 0; shared && kind < MAKER_KINDS; kind++) {
        places[kind] = place_of(channels, maker, kind);
        if (!has_share(channels, kind, places[kind]))
            return CHANNELS_E_SHARE;
    }
    int result = *channel ? claim(channels, *channel) : add_new(channels, name, channel);
    if (result || !shared || count_made(channels, *channel, places))
        return result;
    channels_unmake(channels, *channel, number_last);
    if (!known)
        *channel = NULL;
    return -ENOMEM;
}

bool channels_prepare(struct channels *channels, struct str name, uint32_t *ret_number)
{
    struct channel *channel = channels_find(channels, name);
    bool made =
        !channel && channels->unclaimed < UNCLAIMED_MAX && !enter_new(channels, name, &channel);
    *ret_number = channel ? channel_number(channel) : 0;
    if (!made)
        return false;
    channel->waits |= CHANNEL_PREPARED | CHANNEL_UNCLAIMED;
    channels->unclaimed++;
    return true;
}

/* Under the log's lock, so by one thread at a time. */
void channels_note_trim(struct channels *channels)
{
    uint64_t trims = atomic_load_explicit(&channels->trims, memory_order_relaxed);
    atomic_store_explicit(&channels->trims, trims + 1, memory_order_release);
}

/* Takes the channel out of all shares. */
static void give_share_back(struct channels *channels, struct channel *channel)
{
    uint16_t *made_by = made_by_of(channels, channel);
    for (int kind = 0; made_by && kind < MAKER_KINDS; kind++) {
        if (made_by[kind])
            channels->made[kind][made_by[kind] - 1]--;
        made_by[kind] = 0;
    }
}

static void take_out(struct channels *channels, struct channel *channel)
{
    give_share_back(channels, channel);
    name_tree_remove(&channels->order, channel_name(channel));
    displace(channels, channel);
}

void channels_remove(struct channels *channels, struct channel *channel)
{
    channels_note_trim(channels);
    take_out(channels, channel);
}

void channels_unmake(struct channels *channels, struct channel *channel, uint32_t number_last)
{
    uint32_t number = channel_number(channel);
    if (channel->waits & CHANNEL_PREPARED) {
        give_share_back(channels, channel);
        channel->waits |= CHANNEL_UNCLAIMED;
        channels->unclaimed++;
        return;
    }
    take_out(channels, channel);
    if (number > number_last)
        channels->number_last = number - 1;
    else
        channels_release(channels, number);
}

bool channels_end_prepared(struct channels *channels, uint32_t number)
{
    struct channel *channel = channels_by_number(channels, number);
    if (channel && !channel_counts(channel))
        return false;
    if (channel)
        channel->waits &= (uint8_t)~CHANNEL_PREPARED;
    return true;
}

/* number_last stays above the number, since others may have seen it: only numbers above number_last
 * were never given. */
void channels_drop(struct channels *channels, uint32_t number)
{
    struct channel *channel = channels_by_number(channels, number);
    if (!channel)
        return;
    channel->waits &= (uint8_t)~CHANNEL_PREPARED;
    if (channel_counts(channel))
        return;
    channels->unclaimed--;
    take_out(channels, channel);
    channels_release(channels, number);
}

/* ---- loading -------------------------------------------------------------------------------- */

void channels_expect(struct channels *channels, uint64_t count)
{
    map_reserve(&channels->by_name, count);
}

int channels_load(struct channels *channels, struct str name, uint32_t number,
                  struct channel **ret_channel)
{
    *ret_channel = place(channels, name, number);
    if (!*ret_channel)
        return -ENOMEM;
    raise_number(channels, number);
    return 0;
}

/* Lists an entry for each channel, by ascending number. */
static size_t list_all(const struct channels *channels, struct name_sort_entry *entries)
{
    size_t count = 0;
    for (size_t i = 0; i < channels->chunks_cap; i++)
        for (size_t j = 0; channels->chunks[i] && j < CHUNK; j++)
            if (channels->chunks[i]->channels[j])
                entries[count++].number = channel_number(channels->chunks[i]->channels[j]);
    return count;
}

static void merge_twin(struct channels *channels, uint32_t number, uint32_t twin_number)
{
    struct channel *channel = channels_by_number(channels, number);
    struct channel *twin = channels_by_number(channels, twin_number);
    channel->count += twin->count;
    channel->bytes += twin->bytes;
    if (twin->last > channel->last)
        channel->last = twin->last;
    channels_trim(channels, channel, twin->trimmed);
    displace(channels, twin);
}

static int index_sorted(struct channels *channels, const struct name_sort_entry *entries,
                        size_t count)
{
    struct name_tree_filler filler = {.names = &channels->order};
    uint32_t last = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t number = entries[i].number;
        int result = name_tree_append(&filler, name_of(channels, number), number);
        if (result < 0)
            return result;
        if (result == NAME_TREE_E_TWIN)
            merge_twin(channels, last, number);
        else
            last = number;
    }
    return 0;
}

int channels_index(struct channels *channels)
{
    size_t count = channels->by_name.count;
    struct name_sort_entry *entries = mem_try_alloc((count + 1) * sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    count = list_all(channels, entries);
    name_sort(entries, count, name_of, channels);
    int result = index_sorted(channels, entries, count);
    free(entries);
    return result;
}

/* ---- walks and trims ------------------------------------------------------------------------ */

static struct channel *walked(struct channels_walk *walk, uint32_t number)
{
    struct channel *channel = number ? channels_by_number(walk->channels, number) : NULL;
    return channel && str_starts(channel_name(channel), walk->prefix) ? channel : NULL;
}

struct channel *channels_first(struct channels_walk *walk, const struct channels *channels,
                               struct str prefix, struct str after)
{
    bool goes_on = after.len && str_cmp(after, prefix) >= 0;
    walk->channels = channels;
    walk->prefix = prefix;
    return walked(walk,
                  name_tree_seek(&walk->walk, &channels->order, goes_on ? after : prefix, goes_on));
}

struct channel *channels_next(struct channels_walk *walk)
{
    return walked(walk, name_tree_next(&walk->walk));
}

void channels_trim(struct channels *channels, struct channel *channel, uint64_t upto)
{
    struct namespace *namespace = &channels->namespaces[channel->namespace];
    if (upto > channel->trimmed)
        channel->trimmed = upto;
    if (channel->trimmed > namespace->trimmed_max)
    namespace->trimmed_max = channel->trimmed;
    channels_note_trim(channels);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Whether the pattern could match a name under the prefix. */
static bool may_match_under(struct str pattern, struct str prefix)
{
    while (pattern.at && prefix.len) {
        struct str want = str_cut(&pattern, '/');
        struct str have = str_cut(&prefix, '/');
        if (str_eq(want, STR("**")) && !pattern.at)
            return true;
        if (!str_eq(want, STR("*")) && !str_eq(want, have))
            return false;
    }
    return true;
}

static bool any_may_match_under(const struct selection *selection, struct str prefix)
{
    for (uint32_t i = 0; i < selection->patterns_count; i++)
        if (may_match_under(selection->patterns[i], prefix))
            return true;
    return false;
}

void channels_namespaces_of(struct channels_namespaces *namespaces, const struct channels *channels,
                            const struct selection *selection)
{
    memset(namespaces->bits, 0, channels->namespaces_count / 8 + 1);
    for (size_t i = 0; selection->patterns_count && i < channels->namespaces_count; i++)
        if (any_may_match_under(selection, channels->namespaces[i].config.prefix))
            namespaces->bits[i / 8] |= (uint8_t)(1 << i % 8);
}

/* The segments in front of the first wildcard. */
static struct str literal_start(struct str pattern)
{
    struct str rest = pattern, segment;
    const char *end = pattern.at;
    while (rest.at && (segment = str_cut(&rest, '/')).at && !str_eq(segment, STR("*")) &&
           !str_eq(segment, STR("**")))
        end = segment.at + segment.len;
    return (struct str){pattern.at, (size_t)(end - pattern.at)};
}

/* The channels of a pattern are in the namespace of its literal start, or in namespaces below. */
static bool pattern_may_compress(const struct channels *channels, struct str pattern)
{
    const struct namespace *base = channels_namespace(channels, literal_start(pattern));
    bool may = base->config.compress;
    for (size_t i = 0; may && i < channels->namespaces_count; i++) {
        const struct namespace_config *config = &channels->namespaces[i].config;
        may = config->compress || config->prefix.len <= base->config.prefix.len ||
              !may_match_under(pattern, config->prefix);
    }
    return may;
}

bool channels_may_compress(const struct channels *channels, const struct selection *selection)
{
    bool may = channels->compresses;
    for (uint32_t i = 0; may && i < selection->names_count; i++)
        may = channels_namespace(channels, selection->names[i])->config.compress;
    for (uint32_t i = 0; may && i < selection->patterns_count; i++)
        may = pattern_may_compress(channels, selection->patterns[i]);
    return may;
}

static uint64_t names_trimmed(const struct channels *channels, const struct selection *selection)
{
    uint64_t highest = 0;
    for (uint32_t i = 0; i < selection->names_count; i++) {
        const struct channel *channel = channels_find(channels, selection->names[i]);
        highest = larger(
            highest, channel_counts(channel)
                         ? channel->trimmed
                         : channels_namespace(channels, selection->names[i])->forgotten_trimmed);
    }
    return highest;
}

void channels_trimmed_bounds(const struct channels *channels, const struct selection *selection,
                             const struct channels_namespaces *namespaces, uint64_t *ret_least,
                             uint64_t *ret_most)
{
    uint64_t least = names_trimmed(channels, selection), most = 0;
    for (size_t i = 0; selection->patterns_count && i < channels->namespaces_count; i++) {
        if (!(namespaces->bits[i / 8] >> i % 8 & 1))
            continue;
        least = larger(least, channels->namespaces[i].forgotten_trimmed);
        most = larger(most, channels->namespaces[i].trimmed_max);
    }
    *ret_least = least;
    *ret_most = larger(least, most);
}
