/* The table of channels: what the log knows of each, by name and by number. The log's lock guards
 * it. */
#pragma once

#include "base/map.h"
#include "base/mem.h"
#include "log/name_tree.h"
#include "log/numbers.h"
#include "log/selection.h"

/* The settings of a namespace: of the channels under a prefix. */
struct namespace_config {
    struct str prefix; /* whole segments, without a slash at the end; empty for all */
    int64_t age_us;    /* retention: older events are trimmed; 0: never */
    uint64_t count;    /* retention: the newest events of a channel stay, up to this number; 0:
                        * all */
    uint64_t bytes;    /* retention: the newest events of a channel stay, up to these bytes of data;
                        * 0: all */
    bool ephemeral;    /* events are never stored */
    bool compress;     /* streams of events may be compressed */
};

struct namespace
{
    struct map_node node; /* by its prefix */
    struct namespace_config config;
    uint64_t forgotten_trimmed; /* the highest `trimmed` of forgotten channels */
    uint64_t trimmed_max;       /* the highest `trimmed` of all channels, forgotten ones included */
    bool is_forgetting;         /* upkeep is forgetting channels of this namespace */
    uint64_t aged;              /* retention by age has looked at all events up to this id */
};

/* There may be millions, so data that few channels need is kept elsewhere. */
struct channel {
    struct map_node node; /* `node.own` is the channel's number */
    uint64_t last;        /* id of its newest event, 0 for none */
    uint64_t trimmed;     /* newest id that was removed from it */
    uint64_t count;       /* events retained */
    uint64_t bytes;       /* bytes of their data */
    uint16_t namespace;   /* index into channels.namespaces */
    uint8_t name_len;
    uint8_t waits; /* bit n: the channel is in queue n of apply.h; above them CHANNEL_… */
    char name[];
};

static inline uint32_t channel_number(const struct channel *channel)
{
    return channel->node.own;
}

/* Bits of `waits`, see channels_prepare(). */
enum {
    CHANNEL_REUSES = 1 << 5,    /* the number was another channel's, and this channel has had no
                                 * event yet */
    CHANNEL_PREPARED = 1 << 6,  /* for verdicts that are not made yet */
    CHANNEL_UNCLAIMED = 1 << 7, /* no verdict has accepted an event for the channel */
};

/* The most unclaimed channels. */
enum { UNCLAIMED_MAX = 1 << 16 };

struct channels_chunk;

/* The maker of a channel, for the shares below; an id of 0 has no share. */
enum { MAKER_ADDRESS, MAKER_CONNECTION, MAKER_KINDS };
struct maker {
    uint64_t ids[MAKER_KINDS];
};

/* Makers of a kind are told apart by a hash with this many values, so two may have to share a
 * share. A table for fewer than SHARED_FROM channels has no shares. */
enum { MAKERS = 4096, SHARED_FROM = 1000 };

/* Reused numbers that the table remembers, so that holders of numbers can bring themselves up to
 * date. */
enum { REUSED_KEPT = 16384 };

struct channels {
    struct map by_name;
    struct name_tree order;
    struct channels_chunk **chunks; /* by the high bits of a number; NULL if all of its channels are
                                     * gone */
    size_t chunks_cap;
    uint32_t number_last; /* the highest number that was ever given */
    struct numbers free;  /* numbers that were released */
    uint64_t reused;      /* how often a number was reused */
    uint32_t *reused_at;  /* the last REUSED_KEPT reused numbers, at index `reused` modulo that;
                           * NULL: none */
    uint64_t count_max;
    size_t blocks_bytes;                 /* size of channels, and of the chunks that lead to them by
                                          * number */
    uint32_t unclaimed;                  /* prepared channels that do not count yet */
    unsigned share_percent[MAKER_KINDS]; /* see channels_make(); 100: no limit */
    uint32_t made[MAKER_KINDS][MAKERS];  /* number of channels in each maker's share */
    struct namespace *namespaces; /* the longest prefix of a name decides; the last has prefix "" */
    size_t namespaces_count;
    struct map by_prefix;                    /* namespaces with a prefix that is not empty */
    uint8_t prefix_lens[NAME_MAX_BYTES + 1]; /* 1 if there is a prefix of that length */
    bool compresses;                         /* some namespace sets `compress` */
    size_t prefix_longest;
    _Atomic uint64_t trims; /* changes with each change that channels_trimmed_begin() could see */
};

/* Copies `configs` (their strings must outlive the table); adds a namespace with prefix "" if there
 * is none. */
void channels_init(struct channels *channels, const struct namespace_config *configs, size_t count,
                   uint64_t count_max);
void channels_deinit(struct channels *channels);

static inline struct str channel_name(const struct channel *channel)
{
    return (struct str){channel->name, channel->name_len};
}

/* Whether the channel exists for others than those that prepared it; false for NULL. */
static inline bool channel_counts(const struct channel *channel)
{
    return channel && !(channel->waits & CHANNEL_UNCLAIMED);
}

/* The number of channels that count. */
static inline size_t channels_count(const struct channels *channels)
{
    return channels->by_name.count - channels->unclaimed;
}

/* The memory of the table. */
uint64_t channels_bytes(const struct channels *channels);

/* The channel of this name, or number; NULL if there is none. Under the log's lock. */
struct channel *channels_find(const struct channels *channels, struct str name);
struct channel *channels_by_number(const struct channels *channels, uint32_t number);
/* channels_find() that is fast if `number` is the channel's; 0: unknown. */
struct channel *channels_known(const struct channels *channels, struct str name, uint32_t number);
struct namespace *channels_namespace(const struct channels *channels, struct str name);

/* Whether the namespaces of all channels that the selection can match set `compress`. */
bool channels_may_compress(const struct channels *channels, const struct selection *selection);

/* A walk over the channels under a literal prefix, by ascending name. Its time does not depend on
 * how many others there are:
 *
 *     log_lock(log);
 *     for (channel = channels_first(&walk, channels, prefix, after);
 *          channel && looked++ < SLICE; channel = channels_next(&walk))
 *         … copy what is wanted, and the name to `after` …
 *     log_unlock(log);
 *
 * The walk is valid until a channel comes or goes, so only while the lock is held. A long walk
 * continues behind the last name that it has seen. Channels without any event are included. */
struct channels_walk {
    const struct channels *channels;
    struct str prefix;
    struct name_tree_walk walk;
};

/* The first channel whose name begins with `prefix` (borrowed, empty for all) and is above `after`
 * (empty for the start); NULL at the end. */
struct channel *channels_first(struct channels_walk *walk, const struct channels *channels,
                               struct str prefix, struct str after);
struct channel *channels_next(struct channels_walk *walk);

enum {
    CHANNELS_E_FULL = 1, /* the table is full */
    CHANNELS_E_SHARE,    /* the maker's share is used up */
};

/* Whether the table is more than half full, so that shares apply. */
bool channels_are_scarce(const struct channels *channels);

/* Makes a channel for a maker, or claims it if it is unclaimed. `*channel` is the result of
 * channels_known() for the name. The first half of the table is open to all. Of the other half, a
 * maker may make share_percent of the sum of the free channels and its own. One maker alone gets
 * that share; with more makers each gets less, and there is always something left for a new one.
 * Returns 0, CHANNELS_E_FULL, CHANNELS_E_SHARE or -ENOMEM. */
int channels_make(struct channels *channels, struct str name, const struct maker *maker,
                  struct channel **channel);

/* Makes a channel for a publish that is decided later, since a thousand are too many for one hold
 * of the lock. Until a verdict claims it by channels_make(), the channel does not count: not in
 * count_max, shares or channels_count(). `*ret_number` is the number of the channel, even if it
 * existed before; 0: none. Returns true if it was made, so that channels_end_prepared() must
 * follow. */
bool channels_prepare(struct channels *channels, struct str name, uint32_t *ret_number);

/* Notes that the verdicts for which the channel was prepared are made. Returns false if none has
 * claimed it: channels_drop() must follow at some time. */
bool channels_end_prepared(struct channels *channels, uint32_t number);

/* Removes a prepared channel, unless it was claimed meanwhile. */
void channels_drop(struct channels *channels, uint32_t number);

/* Notes that the channel is about to have an event: from now on it matters that its number was
 * reused. */
void channels_note_used(struct channels *channels, struct channel *channel);

/* Fills an empty table with the channels of a log that is opened, millions in a second or two:
 *
 *     channels_expect(channels, count);
 *     for (…)
 *         result = channels_load(channels, name, number, &channel);
 *     result = channels_index(channels);
 *
 * channels_load() does not check whether the name exists: a store has one number for a name. Walks
 * and removals must wait for channels_index(), which builds the order of names in one step. If a
 * damaged store has two numbers for a name, channels_index() keeps the channel with the lower one
 * and merges the other into it. Returns 0 or -ENOMEM. */
void channels_expect(struct channels *channels, uint64_t count);
int channels_load(struct channels *channels, struct str name, uint32_t number,
                  struct channel **ret_channel);
int channels_index(struct channels *channels);

/* Removes a channel and frees it. Its chunk is freed with the last channel in it, so that names of
 * the past cost nothing. */
void channels_remove(struct channels *channels, struct channel *channel);

/* Undoes a channel that was claimed or made since the lock was taken. A prepared channel is
 * unclaimed again. Any other was seen by no thread, so its number is free at once. Undo several the
 * newest first. `number_last` is the table's value from before: a number above it counts as never
 * given, a lower one was in use before. */
void channels_unmake(struct channels *channels, struct channel *channel, uint32_t number_last);

/* Allows reuse of the number of a removed channel, since nothing refers to it any more: no file,
 * and no thread that copied numbers from the table. */
void channels_release(struct channels *channels, uint32_t number);

/* Raises the trimmed id of a channel, and of its namespace. */
void channels_trim(struct channels *channels, struct channel *channel, uint64_t upto);

/* Raises `trims`, for those who keep answers about gaps. */
void channels_note_trim(struct channels *channels);

/* A bit for each namespace. */
struct channels_namespaces {
    uint8_t bits[UINT16_MAX / 8 + 1];
};

/* The namespaces of names that a pattern of the selection matches. Many patterns are compared with
 * many prefixes, so call it without the lock; prefixes do not need it. */
void channels_namespaces_of(struct channels_namespaces *namespaces, const struct channels *channels,
                            const struct selection *selection);

/* The bounds of the highest `trimmed` among the selection's channels, without a look at the
 * channels that its patterns match. `namespaces` is from channels_namespaces_of(). `*ret_least` is
 * exact if there are no patterns. */
void channels_trimmed_bounds(const struct channels *channels, const struct selection *selection,
                             const struct channels_namespaces *namespaces, uint64_t *ret_least,
                             uint64_t *ret_most);
