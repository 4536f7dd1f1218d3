#include "log/store/sqlite/damage.h"

#include "base/bisect.h"
#include "base/say.h"

#include <inttypes.h>
#include <string.h>

#define TELL_NS INT64_C(1000000000)

void damage_init(struct damage *damage, const struct store_config *config)
{
    *damage = (struct damage){.config = config};
    pthread_mutex_init(&damage->lock, NULL);
}

void damage_deinit(struct damage *damage)
{
    pthread_mutex_destroy(&damage->lock);
}

/* Remembers a damaged place; false if it is known already. When DAMAGE_KNOWN places are known,
 * further ones count at each read. Under the lock. */
static bool remember(struct damage *damage, uint64_t upto)
{
    size_t low = 0, high = damage->known_count;
    BISECT(low, high, middle, damage->known[middle] < upto);
    if (low < damage->known_count && damage->known[low] == upto)
        return false;
    if (damage->known_count == DAMAGE_KNOWN)
        return true;
    memmove(&damage->known[low + 1], &damage->known[low],
            (damage->known_count - low) * sizeof(*damage->known));
    damage->known[low] = upto;
    damage->known_count++;
    return true;
}

/* The number of damaged places that a log line should report now; 0 if no line is due. Under the
 * lock. */
static uint64_t due_to_tell(struct damage *damage)
{
    int64_t now_ns = clock_now_ns(damage->config->clock);
    uint64_t count = damage->untold;
    if (now_ns < damage->tell_after_ns)
        return 0;
    damage->untold = 0;
    damage->tell_after_ns = now_ns + TELL_NS;
    return count;
}

void damage_note(struct damage *damage, const struct segment *segment, uint64_t after,
                 uint64_t upto)
{
    uint64_t count = 0;
    pthread_mutex_lock(&damage->lock);
    bool is_new = remember(damage, upto);
    if (is_new) {
        damage->untold++;
        count = due_to_tell(damage);
    }
    pthread_mutex_unlock(&damage->lock);
    if (!is_new)
        return;
    uint64_t places = atomic_fetch_add(&damage->places, 1) + 1;
    if (count)
        say(SAY_ERROR, "events_damaged",
            "path=%s after=%" PRIu64 " upto=%" PRIu64 " places=%" PRIu64 " total=%" PRIu64
            " served=false",
            segment->path, after, upto, count, places);
    if (damage->config->lost)
        damage->config->lost(damage->config->context, upto);
}

static bool is_forgotten(const struct suspect *suspect, int64_t now_ns)
{
    return !suspect->tries || now_ns - suspect->tried_ns >= DAMAGE_FORGET_NS;
}

/* Whether the entry is a better one to be given to another place. That of a place which is still
 * being tried is given to none: with more places than entries no place would ever be tried often
 * enough. */
static bool is_better(const struct suspect *suspect, const struct suspect *than, int64_t now_ns)
{
    if (!is_forgotten(suspect, now_ns) && suspect->tries < DAMAGE_TRIES)
        return false;
    return !than || suspect->tried_ns < than->tried_ns;
}

/* The entry of a place; NULL if it has none, and all are in use. Under the lock. */
static struct suspect *suspect_of(struct damage *damage, uint64_t place, int64_t now_ns)
{
    struct suspect *best = NULL;
    for (struct suspect *suspect = damage->suspects; suspect < damage->suspects + DAMAGE_SUSPECTS;
         suspect++) {
        if (suspect->tries && suspect->place == place)
            return suspect;
        if (is_better(suspect, best, now_ns))
            best = suspect;
    }
    if (best)
        *best = (struct suspect){.place = place};
    return best;
}

static unsigned count_try(struct damage *damage, uint64_t place)
{
    int64_t now_ns = clock_now_ns(damage->config->clock);
    struct suspect *suspect = suspect_of(damage, place, now_ns);
    if (!suspect)
        return 1;
    if (is_forgotten(suspect, now_ns))
        suspect->tries = 0;
    if (!suspect->tries || now_ns - suspect->tried_ns >= DAMAGE_PAUSE_NS) {
        suspect->tried_ns = now_ns;
        suspect->tries += suspect->tries < DAMAGE_TRIES;
    }
    return suspect->tries;
}

bool damage_lasts(struct damage *damage, const struct segment *segment, uint64_t place)
{
    pthread_mutex_lock(&damage->lock);
    unsigned tries = count_try(damage, place);
    int64_t now_ns = clock_now_ns(damage->config->clock);
    bool tell = tries < DAMAGE_TRIES && now_ns >= damage->tell_after_ns;
    if (tell)
        damage->tell_after_ns = now_ns + TELL_NS;
    pthread_mutex_unlock(&damage->lock);
    if (tell)
        say(SAY_WARN, "read_failed", "path=%s place=%" PRIu64 " tries=%u damaged_after=%d",
            segment->path, place, tries, DAMAGE_TRIES);
    return tries >= DAMAGE_TRIES;
}

void damage_note_index(struct damage *damage, const struct segment *segment)
{
    pthread_mutex_lock(&damage->lock);
    int64_t now_ns = clock_now_ns(damage->config->clock);
    bool tell = now_ns >= damage->tell_after_ns;
    if (tell)
        damage->tell_after_ns = now_ns + TELL_NS;
    pthread_mutex_unlock(&damage->lock);
    if (tell)
        say(SAY_ERROR, "index_damaged", "path=%s read_by=rows", segment->path);
}
