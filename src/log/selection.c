#include "log/selection.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <stdlib.h>

static bool fail(const char **ret_why, const char *why)
{
    if (ret_why)
        *ret_why = why;
    return false;
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c < 0x20 || c == 0x7f)
            return true;
        /* C1 controls are C2 80 to C2 9F in UTF-8. */
        if (c == 0xc2 && i + 1 < s.len && (unsigned char)s.at[i + 1] < 0xa0)
            return true;
    }
    return false;
}

static bool segment_is(struct str segment, const char *text)
{
    return str_eq(segment, str_from(text));
}

static bool segment_valid(struct str segment, bool wild, bool last, const char **ret_why)
{
    if (!segment.len)
        return fail(ret_why, "a segment is empty: write a/b, without a slash at either end");
    if (segment_is(segment, ".") || segment_is(segment, ".."))
        return fail(ret_why, "a segment may not be '.' or '..'");
    if (!memchr(segment.at, '*', segment.len))
        return true;
    if (!wild)
        return fail(ret_why, "a channel's name has no '*': patterns go to /events?channel=…");
    if (segment_is(segment, "*") || (last && segment_is(segment, "**")))
        return true;
    return fail(ret_why, "'*' stands for a whole segment, '**' only for the last ones");
}

/* Whether a term with a wildcard is within the bounds of a pattern; `name` is valid otherwise. */
static bool within_bounds(struct str name, const char **ret_why)
{
    unsigned segments = 0, stars = 0;
    bool wild = false;
    for (struct str rest = name; rest.at; segments++) {
        struct str segment = str_cut(&rest, '/');
        stars += segment_is(segment, "*");
        wild = wild || segment.at[0] == '*';
    }
    if (wild && segments > PATTERN_SEGMENTS_MAX)
        return fail(ret_why,
                    "a pattern has at most 16 segments: end it with '**' for what is below");
    if (stars > PATTERN_STARS_MAX)
        return fail(ret_why,
                    "a pattern has at most 4 segments '*': spell the others, or end with '**'");
    return true;
}

static bool valid(struct str name, bool wild, const char **ret_why)
{
    if (!name.len || name.len > NAME_MAX_BYTES)
        return fail(ret_why, "a name has 1 to 255 bytes");
    if (!utf8_valid(name))
        return fail(ret_why, "a name is UTF-8");
    if (has_control(name))
        return fail(ret_why, "a name has no control characters");
    struct str rest = name;
    while (rest.at) {
        struct str segment = str_cut(&rest, '/');
        if (!segment_valid(segment, wild, !rest.at, ret_why))
            return false;
    }
    return !wild || within_bounds(name, ret_why);
}

bool name_valid(struct str name, const char **ret_why)
{
    return valid(name, false, ret_why);
}

bool pattern_valid(struct str pattern, const char **ret_why)
{
    return valid(pattern, true, ret_why);
}

bool pattern_is_wild(struct str pattern)
{
    return pattern.len && memchr(pattern.at, '*', pattern.len);
}

bool pattern_matches(struct str pattern, struct str name)
{
    if (name.len && name.at[0] == '$' && (!pattern.len || pattern.at[0] != '$'))
        return false;
    while (pattern.at && name.at) {
        struct str want = str_cut(&pattern, '/');
        struct str have = str_cut(&name, '/');
        if (segment_is(want, "**") && !pattern.at)
            return true;
        if (!segment_is(want, "*") && !str_eq(want, have))
            return false;
    }
    return !pattern.at && !name.at;
}

bool type_valid(struct str type, const char **ret_why)
{
    static const char *rule =
        "a type is 1 to 64 of A-Z a-z 0-9 . _ : / -, and neither 'error' nor 'open'";
    if (!type.len || type.len > TYPE_MAX_BYTES || segment_is(type, "error") ||
        segment_is(type, "open"))
        return fail(ret_why, rule);
    for (size_t i = 0; i < type.len; i++) {
        char c = type.at[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '_' || c == ':' || c == '/' || c == '-';
        if (!good)
            return fail(ret_why, rule);
    }
    return true;
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Copies, sorts and drops what stands twice; the number left, or -1 when there is no memory. */
static int settle(struct arena *arena, struct str *to, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = arena_copy(arena, to[i]);
        if (!to[i].at)
            return -1;
    }
    qsort(to, count, sizeof(*to), by_bytes);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!kept || !str_eq(to[kept - 1], to[i]))
            to[kept++] = to[i];
    return (int)kept;
}

static bool settle_all(struct selection *selection)
{
    int names = settle(&selection->arena, selection->names, selection->names_count);
    int patterns = settle(&selection->arena, selection->patterns, selection->patterns_count);
    int types = settle(&selection->arena, selection->types, selection->types_count);
    if (names < 0 || patterns < 0 || types < 0)
        return false;
    selection->names_count = (uint32_t)names;
    selection->patterns_count = (uint32_t)patterns;
    selection->types_count = (uint32_t)types;
    return true;
}

/* Names cannot hold control characters, so these separate without escaping. */
static void add_terms(struct buf *buf, const struct str *terms, uint32_t count, char mark)
{
    for (uint32_t i = 0; i < count; i++) {
        buf_add_char(buf, mark);
        buf_add_str(buf, terms[i]);
    }
}

static bool write_canonical(struct selection *selection)
{
    struct buf buf = {0};
    add_terms(&buf, selection->names, selection->names_count, '\x01');
    add_terms(&buf, selection->patterns, selection->patterns_count, '\x02');
    add_terms(&buf, selection->types, selection->types_count, '\x03');
    if (selection->except) {
        buf_add_char(&buf, '\x04');
        buf_add_str(&buf, selection->except->canonical);
    }
    bool good = !buf_failed(&buf);
    if (good)
        selection->canonical = arena_copy(&selection->arena, buf_str(&buf));
    buf_free(&buf);
    return good && (selection->canonical.at || !selection->canonical.len);
}

static bool fill(struct selection *selection, const struct str *terms, size_t terms_count,
                 const struct str *types, size_t types_count)
{
    struct str *room =
        arena_alloc(&selection->arena, (2 * terms_count + types_count + 1) * sizeof(struct str));
    if (!room)
        return false;
    selection->names = room;
    selection->patterns = room + terms_count;
    selection->types = room + 2 * terms_count;
    for (size_t i = 0; i < terms_count; i++) {
        if (pattern_is_wild(terms[i]))
            selection->patterns[selection->patterns_count++] = terms[i];
        else
            selection->names[selection->names_count++] = terms[i];
    }
    for (size_t i = 0; i < types_count; i++)
        selection->types[selection->types_count++] = types[i];
    return settle_all(selection) && write_canonical(selection);
}

struct selection *selection_new(const struct str *terms, size_t terms_count,
                                const struct str *types, size_t types_count,
                                struct selection *except)
{
    struct selection *selection = mem_try_alloc(sizeof(*selection));
    if (!selection)
        return NULL;
    *selection = (struct selection){.except = except ? selection_ref(except) : NULL};
    atomic_init(&selection->refs, 1);
    pthread_mutex_init(&selection->resolved.lock, NULL);
    if (!fill(selection, terms, terms_count, types, types_count))
        return selection_unref(selection);
    return selection;
}

struct selection *selection_ref(struct selection *selection)
{
    atomic_fetch_add_explicit(&selection->refs, 1, memory_order_relaxed);
    return selection;
}

struct selection *selection_unref(struct selection *selection)
{
    /* A loop, not recursion: what is excepted may except in turn. */
    while (selection && atomic_fetch_sub_explicit(&selection->refs, 1, memory_order_acq_rel) == 1) {
        struct selection *except = selection->except;
        pthread_mutex_destroy(&selection->resolved.lock);
        free(selection->resolved.bitmap);
        arena_free(&selection->arena);
        free(selection);
        selection = except;
    }
    return NULL;
}

static bool sorted_has(const struct str *terms, uint32_t count, struct str term)
{
    return count && bsearch(&term, terms, count, sizeof(*terms), by_bytes);
}

/* The patterns of a selection are sorted by their bytes, so those that begin alike stand together:
 * a run of them is a place in a trie. A step down the trie is two searches in the run, and a name
 * that no pattern can match is known after a step or two, however many patterns there are. */
struct run {
    const struct str *terms;
    uint32_t low, high;
    uint32_t at; /* bytes that all terms of the run share */
};

/* How the term from byte `at` on compares with `part`: 0 if it begins with it. */
static int compare_part(struct str term, uint32_t at, struct str part)
{
    struct str have = str_skip(term, at);
    if (have.len > part.len)
        have.len = part.len;
    return str_cmp(have, part);
}

/* The first term of the run that compares with `part` as `least` or more. */
static uint32_t bound(const struct run *run, struct str part, int least)
{
    uint32_t low = run->low, high = run->high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare_part(run->terms[middle], run->at, part) < least)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The terms of the run that go on with `part`. */
static struct run narrow(const struct run *run, struct str part)
{
    struct run next = *run;
    next.low = bound(run, part, 0);
    next.high = next.low;
    if (next.low < run->high && !compare_part(run->terms[next.low], run->at, part))
        next.high = bound(run, part, 1);
    next.at += (uint32_t)part.len;
    return next;
}

/* Whether a term of the run ends here. It is the shortest of them, so it is the first. */
static bool ends_here(const struct run *run)
{
    return run->low < run->high && run->terms[run->low].len == run->at;
}

static bool run_matches(const struct run *run, struct str rest, bool server);

/* Whether a term matches that has `segment` next, and behind it what matches `rest`. */
static bool part_matches(const struct run *run, struct str segment, struct str rest)
{
    struct run part = narrow(run, segment);
    if (!rest.at)
        return ends_here(&part);
    if (part.low == part.high)
        return false;
    struct run below = narrow(&part, STR("/"));
    return below.low < below.high && run_matches(&below, rest, false);
}

/* Recursion is as deep as the longest pattern has segments. */
static bool run_matches(const struct run *run, struct str rest, bool server)
{
    struct str segment = str_cut(&rest, '/');
    /* A '$' segment wants to be spelled, but only the first one. */
    if (!server) {
        struct run all = narrow(run, STR("**"));
        if (ends_here(&all) || part_matches(run, STR("*"), rest))
            return true;
    }
    return part_matches(run, segment, rest);
}

static bool patterns_match(const struct selection *selection, struct str channel)
{
    struct run all = {selection->patterns, 0, selection->patterns_count, 0};
    return all.high && channel.len && run_matches(&all, channel, channel.at[0] == '$');
}

static bool has_channel_here(const struct selection *selection, struct str channel)
{
    if (sorted_has(selection->names, selection->names_count, channel))
        return true;
    return patterns_match(selection, channel);
}

bool selection_has_channel(const struct selection *selection, struct str channel)
{
    if (!has_channel_here(selection, channel))
        return false;
    for (const struct selection *out = selection->except; out; out = out->except)
        if (has_channel_here(out, channel))
            return false;
    return true;
}

bool selection_has_type(const struct selection *selection, struct str type)
{
    return !selection->types_count || sorted_has(selection->types, selection->types_count, type);
}
