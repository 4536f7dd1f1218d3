/* The table of channels: what the log knows of each, by name and by number. The log's lock guards
 * it. */
#pragma once

#include "base/map.h"
#include "base/mem.h"
#include "log/name_tree.h"
#include "log/numbers.h"
#include "log/selection.h"

/* The settings of the channels under a prefix. */
struct space_config {
    struct str prefix; /* segments, without a slash at the end; empty for all */
    int64_t age_us;    /* retention: older events go; 0 for never */
    uint64_t count;    /* retention: a channel's newest so many stay; 0 for all */
    uint64_t bytes;    /* retention: a channel's newest so many bytes of data stay; 0 for all */
    bool ephemeral;    /* its events are never stored */
};

struct space {
    struct map_node node; /* by its prefix */
    struct space_config config;
    uint64_t folded;      /* the highest `trimmed` of its channels that were forgotten */
    uint64_t trimmed_max; /* the highest `trimmed` of any of its channels, folded included */
    bool is_folding;      /* the janitor has channels of it in hand that it forgets */
    uint64_t aged;        /* retention by age has looked at all events up to this id */
};

/* There may be millions: what few of them need lies elsewhere. */
struct channel {
    struct map_node node; /* its own number is the channel's */
    uint64_t last;        /* id of its newest event, 0 for none */
    uint64_t trimmed;     /* newest id that was removed from it */
    uint64_t count;       /* events retained */
    uint64_t bytes;       /* of their data */
    uint16_t space;       /* index into channels.spaces */
    uint8_t name_len;
    uint8_t waits; /* bit n: its number is in queue n of apply.h; CHANNEL_… above them */
    char name[];
};

static inline uint32_t channel_number(const struct channel *channel)
{
    return channel->node.own;
}

/* Bits of `waits`, see channels_prepare(). */
enum {
    CHANNEL_REUSES = 1 << 5,    /* its number was another's; this has had no event that says so */
    CHANNEL_PREPARED = 1 << 6,  /* for verdicts that are still to be made */
    CHANNEL_UNCLAIMED = 1 << 7, /* no verdict has accepted an event for it */
};

/* How many unclaimed channels there are at most. */
enum { UNCLAIMED_MAX = 1 << 16 };

struct channels_chunk;

/* Who wants to make a channel, as far as shares are concerned; 0 for who needs none. */
enum { MAKER_ADDRESS, MAKER_CONNECTION, MAKER_KINDS };
struct maker {
    uint64_t ids[MAKER_KINDS];
};

/* So many makers of a kind are told apart, by a hash: two may have to share what is one's. In a
 * table for fewer than SHARED_FROM channels there are no shares. */
enum { MAKERS = 4096, SHARED_FROM = 1000 };

/* How many numbers that were given again the table remembers, so that those who keep numbers can
 * bring themselves up to it. */
enum { REUSED_KEPT = 16384 };

struct channels {
    struct map by_name;
    struct name_tree order;
    struct channels_chunk **chunks; /* by the high bits of a number; NULL where all are gone */
    size_t chunks_cap;
    uint32_t number_last; /* the highest that was ever given */
    struct numbers free;  /* that were released */
    uint64_t reused;      /* how often a number was given again */
    uint32_t *reused_at;  /* the last REUSED_KEPT of them, by `reused` modulo that; NULL for none */
    uint64_t count_max;
    size_t blocks_bytes;                 /* of channels, and of their places by number */
    uint32_t unclaimed;                  /* channels in the table that do not count yet */
    unsigned share_percent[MAKER_KINDS]; /* see channels_make(); 100 for all */
    uint32_t made[MAKER_KINDS][MAKERS];  /* channels that count in each maker's share */
    struct space *spaces; /* the longest prefix that fits a name decides; the last has prefix "" */
    size_t spaces_count;
    struct map by_prefix;                    /* the spaces whose prefix is not empty */
    uint8_t prefix_lens[NAME_MAX_BYTES + 1]; /* 1 where a prefix has that length */
    size_t prefix_longest;
    _Atomic uint64_t trims; /* rises with each change that channels_trimmed_begin() could see */
};

/* Copies `configs` (their strings must outlive the table); adds one for the prefix "" if none is
 * there. */
void channels_init(struct channels *channels, const struct space_config *configs, size_t count,
                   uint64_t count_max);
void channels_deinit(struct channels *channels);

static inline struct str channel_name(const struct channel *channel)
{
    return (struct str){channel->name, channel->name_len};
}

/* Whether the channel is there for others than those who prepared it; NULL is not. */
static inline bool channel_counts(const struct channel *channel)
{
    return channel && !(channel->waits & CHANNEL_UNCLAIMED);
}

/* How many channels count. */
static inline size_t channels_count(const struct channels *channels)
{
    return channels->by_name.count - channels->unclaimed;
}

/* The memory that the table takes. */
uint64_t channels_bytes(const struct channels *channels);

struct channel *channels_find(const struct channels *channels, struct str name);
struct channel *channels_by_number(const struct channels *channels, uint32_t number);
/* As channels_find(), and fast if `number` is the channel's; 0 for unknown. */
struct channel *channels_known(const struct channels *channels, struct str name, uint32_t number);
struct space *channels_space(const struct channels *channels, struct str name);

/* A walk over the channels under a literal prefix, by rising name, in time that does not depend on
 * how many others there are:
 *
 *     log_lock(log);
 *     for (channel = channels_first(&walk, channels, prefix, after);
 *          channel && looked++ < SLICE; channel = channels_next(&walk))
 *         … copy what is wanted, and the name to `after` …
 *     log_unlock(log);
 *
 * The walk is good until a channel comes or goes, so for the lock's time: a long one goes on behind
 * the last name that it has seen. The table counts channels without any event too. */
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
    CHANNELS_E_FULL = 1, /* there are count_max already */
    CHANNELS_E_SHARE,    /* the maker has had its share */
};

/* Whether the table is more than half full, so that shares count. */
bool channels_are_scarce(const struct channels *channels);

/* Makes a channel, or claims it if it is unclaimed, for a maker. `*channel` is what
 * channels_known() says of the name. The first half of the table is for everybody. Of the other
 * half, a maker may make share_percent of what is free and what it has made of it: one alone gets
 * that share, and the more makers there are the less each, but there is always something left for
 * who has none yet. CHANNELS_E_FULL, CHANNELS_E_SHARE or -ENOMEM. */
int channels_make(struct channels *channels, struct str name, const struct maker *maker,
                  struct channel **channel);

/* Makes a channel for a publish that is decided later, since a thousand of them are too many for
 * one hold of the lock. Until a verdict claims it by channels_make(), it counts for nobody: it is
 * beyond count_max and shares, and channels_count() leaves it out. `*ret_number` is that of the
 * channel, whoever made it; 0 for none. True if it was made, so that channels_end_prepared() is
 * due. */
bool channels_prepare(struct channels *channels, struct str name, uint32_t *ret_number);

/* The verdicts for which the channel was prepared were made. False if none has claimed it:
 * channels_drop() is due, some time. */
bool channels_end_prepared(struct channels *channels, uint32_t number);

/* Takes a prepared channel out again, unless it was claimed meanwhile. */
void channels_drop(struct channels *channels, uint32_t number);

/* The channel is about to have an event: from now on it matters whose its number was. */
void channels_note_used(struct channels *channels, struct channel *channel);

/* The channel of that name, made if it is new, with number `number` or a free one when 0.
 * CHANNELS_E_FULL or -ENOMEM. `name` is valid. One that comes with a number was stored before, and
 * is known even beyond count_max: a lower limit must not keep a log from being opened. */
int channels_add(struct channels *channels, struct str name, uint32_t number,
                 struct channel **ret_channel);

/* Fills an empty table with the channels of a log that is opened, millions in a second or two:
 *
 *     channels_expect(channels, count);
 *     for (…)
 *         result = channels_load(channels, name, number, &channel);
 *     result = channels_index(channels);
 *
 * channels_load() does not look whether the name is there already: a store has one number for a
 * name. Walks, and removals, must wait for channels_index(), which builds the order of names at
 * once. If a damaged store had two numbers for a name after all, channels_index() leaves the
 * channel with the lower one, which gets what is known of both. -ENOMEM. */
void channels_expect(struct channels *channels, uint64_t count);
int channels_load(struct channels *channels, struct str name, uint32_t number,
                  struct channel **ret_channel);
int channels_index(struct channels *channels);

/* Takes it out and frees it. The place of a number is freed with those around it, so that names of
 * the past cost nothing. */
void channels_remove(struct channels *channels, struct channel *channel);

/* Takes back a channel that was claimed or made since the lock was taken. One that was prepared is
 * unclaimed again. Nobody has seen another, or its number: the number is free again at once.
 * Several are taken back newest first. `number_last` is the table's from before: a number that was
 * given only now counts as never given, others were in use once. */
void channels_unmake(struct channels *channels, struct channel *channel, uint32_t number_last);

/* The number of a channel that was removed may be given again, since nothing refers to it any more:
 * no file, and nobody who took numbers out of the table. */
void channels_release(struct channels *channels, uint32_t number);

/* Raises what was trimmed from a channel, and its namespace's with it. */
void channels_trim(struct channels *channels, struct channel *channel, uint64_t upto);

/* A bit for each namespace that the table may have. */
struct channels_spaces {
    uint8_t bits[UINT16_MAX / 8 + 1];
};

/* The namespaces that a name which one of the selection's patterns matches may be in: many patterns
 * against many prefixes, so without the lock, which prefixes do not need. */
void channels_spaces_of(struct channels_spaces *spaces, const struct channels *channels,
                        const struct selection *selection);

/* The bounds of what was trimmed from the channels that the selection has, without a look at those
 * that its patterns match. `spaces` is from channels_spaces_of(). `*ret_least` is exact if there
 * are no patterns. */
void channels_trimmed_bounds(const struct channels *channels, const struct selection *selection,
                             const struct channels_spaces *spaces, uint64_t *ret_least,
                             uint64_t *ret_most);
