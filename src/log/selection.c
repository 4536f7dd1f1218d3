#include "log/selection.h"

#include "base/bisect.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <stdlib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static bool fail(const char **ret_why, const char *why)
{
    if (ret_why)
        *ret_why = why;
    return false;
}

/* The kinds of bytes that a name of the usual form has: others send it through all rules. */
enum { OTHER, PLAIN, DOT, SLASH };

static const unsigned char name_kinds[256] = {[' ' ... ')'] = PLAIN, /* '*' is between them */
                                              ['+' ... '-'] = PLAIN,
                                              ['.'] = DOT,
                                              ['/'] = SLASH,
                                              ['0' ... '~'] = PLAIN};

/* Whether the bytes from `at` on are of the usual form, which follow a byte before that ends a
 * segment or not. */
static bool is_usual_from(struct str name, size_t at, bool begins)
{
    for (; at < name.len; at++) {
        unsigned kind = name_kinds[(unsigned char)name.at[at]];
        if (kind != PLAIN && (kind == OTHER || begins))
            return false;
        begins = kind == SLASH;
    }
    return !begins;
}

#ifdef __SSE2__

static unsigned where(__m128i bytes, char c)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(c)));
}

/* Sixteen bytes; `begins` says whether the first begins a segment, and then what follows them. */
static bool is_usual_block(const char *at, bool *begins)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    /* The comparison is signed, so bytes that are not ASCII are below the space, too. */
    unsigned below = (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(bytes, _mm_set1_epi8(' ')));
    unsigned slashes = where(bytes, '/'), starts = slashes << 1 | *begins;
    *begins = slashes >> 15;
    return !(below | where(bytes, 0x7f) | where(bytes, '*') |
             (starts & (slashes | where(bytes, '.'))));
}

#endif

/* Whether the name is valid without a closer look, as nearly every name is: printable ASCII in
 * segments that are not empty, with neither a dot at their beginning nor a wildcard. */
static bool is_usual(struct str name)
{
    bool begins = true;
    size_t at = 0;
#ifdef __SSE2__
    for (; name.len - at >= 16; at += 16)
        if (!is_usual_block(name.at + at, &begins))
            return false;
#endif
    return is_usual_from(name, at, begins);
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
    if (is_usual(name))
        return true;
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

static const bool fits_type[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['.'] = true,
    ['_'] = true,         [':'] = true,         ['/'] = true,         ['-'] = true,
};

bool type_valid(struct str type, const char **ret_why)
{
    static const char *rule =
        "a type is 1 to 64 of A-Z a-z 0-9 . _ : / -, and neither 'error' nor 'open'";
    if (!type.len || type.len > TYPE_MAX_BYTES || segment_is(type, "error") ||
        segment_is(type, "open"))
        return fail(ret_why, rule);
    for (size_t i = 0; i < type.len; i++)
        if (!fits_type[(unsigned char)type.at[i]])
            return fail(ret_why, rule);
    return true;
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Sorts, and drops duplicates; returns the number left. */
static uint32_t settle(struct str *terms, uint32_t count)
{
    qsort(terms, count, sizeof(*terms), by_bytes);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!kept || !str_eq(terms[kept - 1], terms[i]))
            terms[kept++] = terms[i];
    return kept;
}

/* Names cannot hold control characters, so these serve as separators without escaping. */
static void add_terms(struct buf *buf, const struct str *terms, uint32_t count, char mark)
{
    for (uint32_t i = 0; i < count; i++) {
        buf_add_char(buf, mark);
        buf_add_str(buf, terms[i]);
    }
}

/* The parts of a selection, in strings of the caller. */
struct parts {
    struct str *room;
    struct str *names, *patterns, *types;
    uint32_t names_count, patterns_count, types_count;
    struct selection *except;
    struct buf canonical;
};

static bool gather(struct parts *parts, const struct str *terms, size_t terms_count,
                   const struct str *types, size_t types_count)
{
    parts->room = mem_try_alloc((2 * terms_count + types_count + 1) * sizeof(struct str));
    if (!parts->room)
        return false;
    parts->names = parts->room;
    parts->patterns = parts->room + terms_count;
    parts->types = parts->room + 2 * terms_count;
    for (size_t i = 0; i < terms_count; i++) {
        if (pattern_is_wild(terms[i]))
            parts->patterns[parts->patterns_count++] = terms[i];
        else
            parts->names[parts->names_count++] = terms[i];
    }
    for (size_t i = 0; i < types_count; i++)
        parts->types[parts->types_count++] = types[i];
    parts->names_count = settle(parts->names, parts->names_count);
    parts->patterns_count = settle(parts->patterns, parts->patterns_count);
    parts->types_count = settle(parts->types, parts->types_count);
    return true;
}

static bool write_canonical(struct parts *parts)
{
    struct buf *buf = &parts->canonical;
    add_terms(buf, parts->names, parts->names_count, '\x01');
    add_terms(buf, parts->patterns, parts->patterns_count, '\x02');
    add_terms(buf, parts->types, parts->types_count, '\x03');
    if (parts->except) {
        buf_add_char(buf, '\x04');
        buf_add(buf, &parts->except, sizeof(struct selection *));
    }
    return !buf_failed(buf);
}

/* Copies terms: each points into the canonical form, behind its separator. */
static struct str *place(struct str **to, const struct str *terms, uint32_t count, const char **at)
{
    struct str *first = *to;
    for (uint32_t i = 0; i < count; i++) {
        *(*to)++ = (struct str){*at + 1, terms[i].len};
        *at += 1 + terms[i].len;
    }
    return first;
}

/* Everything is one allocation: there may be a selection for every subscriber. */
static struct selection *assemble(const struct parts *parts)
{
    size_t count = (size_t)parts->names_count + parts->patterns_count + parts->types_count;
    struct str canonical = buf_str(&parts->canonical);
    struct selection *selection =
        mem_try_alloc(sizeof(*selection) + count * sizeof(struct str) + canonical.len);
    if (!selection)
        return NULL;
    *selection = (struct selection){.except = parts->except ? selection_ref(parts->except) : NULL,
                                    .names_count = parts->names_count,
                                    .patterns_count = parts->patterns_count,
                                    .types_count = parts->types_count};
    struct str *to = (struct str *)(void *)(selection + 1);
    char *text = (char *)(to + count);
    if (canonical.at)
        memcpy(text, canonical.at, canonical.len);
    const char *at = text;
    selection->canonical = (struct str){text, canonical.len};
    selection->names = place(&to, parts->names, parts->names_count, &at);
    selection->patterns = place(&to, parts->patterns, parts->patterns_count, &at);
    selection->types = place(&to, parts->types, parts->types_count, &at);
    atomic_init(&selection->refs, 1);
    return selection;
}

struct selection *selection_new(const struct str *terms, size_t terms_count,
                                const struct str *types, size_t types_count,
                                struct selection *except)
{
    struct parts parts = {.except = except};
    bool good = gather(&parts, terms, terms_count, types, types_count) && write_canonical(&parts);
    struct selection *selection = good ? assemble(&parts) : NULL;
    buf_free(&parts.canonical);
    free(parts.room);
    return selection;
}

struct selection *selection_ref(struct selection *selection)
{
    atomic_fetch_add_explicit(&selection->refs, 1, memory_order_relaxed);
    return selection;
}

struct selection *selection_unref(struct selection *selection)
{
    /* A loop, not recursion: an excluded selection may exclude another. */
    while (selection && atomic_fetch_sub_explicit(&selection->refs, 1, memory_order_acq_rel) == 1) {
        struct selection *except = selection->except;
        resolved_free(atomic_load_explicit(&selection->resolved, memory_order_relaxed));
        free(selection);
        selection = except;
    }
    return NULL;
}

struct resolved *selection_resolved(struct selection *selection)
{
    struct resolved *resolved = atomic_load_explicit(&selection->resolved, memory_order_acquire);
    if (resolved)
        return resolved;
    struct resolved *made = resolved_new();
    if (!made || atomic_compare_exchange_strong(&selection->resolved, &resolved, made))
        return made;
    resolved_free(made); /* another thread was first */
    return resolved;
}

static bool sorted_has(const struct str *terms, uint32_t count, struct str term)
{
    return count && bsearch(&term, terms, count, sizeof(*terms), by_bytes);
}

/* A run of sorted patterns that begin alike: a node of an implicit trie. A step down the trie is
 * two binary searches in the run. A name that no pattern can match is recognised after a step or
 * two, even with many patterns. */
struct run {
    const struct str *terms;
    uint32_t low, high;
    uint32_t at; /* bytes that all terms of the run share */
    uint64_t *steps;
};

/* Compares the term from byte `at` on with `part`; 0 if it begins with it. */
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
    BISECT(low, high, middle, compare_part(run->terms[middle], run->at, part) < least);
    return low;
}

/* The terms of the run that continue with `part`. */
static struct run narrow(const struct run *run, struct str part)
{
    struct run next = *run;
    ++*run->steps;
    next.low = bound(run, part, 0);
    next.high = next.low;
    if (next.low < run->high && !compare_part(run->terms[next.low], run->at, part))
        next.high = bound(run, part, 1);
    next.at += (uint32_t)part.len;
    return next;
}

/* Whether a term of the run ends here. The shortest term is the first of the run. */
static bool ends_here(const struct run *run)
{
    return run->low < run->high && run->terms[run->low].len == run->at;
}

static bool run_matches(const struct run *run, struct str rest, bool server);

/* Whether a term matches that continues with `segment`, and with a match of `rest` behind it. */
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

/* The depth of the recursion is the number of segments of the longest pattern. */
static bool run_matches(const struct run *run, struct str rest, bool server)
{
    struct str segment = str_cut(&rest, '/');
    /* A first segment with '$' must be named: wildcards do not match it. */
    if (!server) {
        struct run all = narrow(run, STR("**"));
        if (ends_here(&all) || part_matches(run, STR("*"), rest))
            return true;
    }
    return part_matches(run, segment, rest);
}

static bool patterns_match(const struct selection *selection, struct str channel, uint64_t *steps)
{
    struct run all = {selection->patterns, 0, selection->patterns_count, 0, steps};
    return all.high && channel.len && run_matches(&all, channel, channel.at[0] == '$');
}

static bool has_channel_here(const struct selection *selection, struct str channel, uint64_t *steps)
{
    ++*steps;
    if (sorted_has(selection->names, selection->names_count, channel))
        return true;
    return patterns_match(selection, channel, steps);
}

bool selection_has_channel_counted(const struct selection *selection, struct str channel,
                                   uint64_t *steps)
{
    if (!has_channel_here(selection, channel, steps))
        return false;
    for (const struct selection *out = selection->except; out; out = out->except)
        if (has_channel_here(out, channel, steps))
            return false;
    return true;
}

bool selection_has_channel(const struct selection *selection, struct str channel)
{
    uint64_t steps = 0;
    return selection_has_channel_counted(selection, channel, &steps);
}

bool selection_excepts(const struct selection *selection, struct str channel)
{
    uint64_t steps = 0;
    for (const struct selection *out = selection->except; out; out = out->except)
        if (has_channel_here(out, channel, &steps))
            return true;
    return false;
}

uint32_t selection_weight(const struct selection *selection)
{
    uint32_t weight = 0;
    for (; selection; selection = selection->except)
        weight += selection->patterns_count + (selection->names_count > 0);
    return weight;
}

bool selection_has_type(const struct selection *selection, struct str type)
{
    return !selection->types_count || sorted_has(selection->types, selection->types_count, type);
}
