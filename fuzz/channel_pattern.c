/* Feeds hostile paths, names and patterns to all code that decides about channels. Nothing may
 * crash, and every accepted name must follow the rules. The matcher, the trie, the selection and
 * the overlap of two patterns must all agree with a naive reading of the rules. */
#include "require.h"

#include "http/target.h"
#include "base/utf8.h"
#include "hub/topics.h"
#include "transport/freshet_v1_parts.h"

#include <stdlib.h>

enum { PARTS = 4, SEGMENTS_MAX = NAME_MAX_BYTES };

/* ---- names ----------------------------------------------------------------------------------- */

static size_t split(struct str text, struct str *segments)
{
    size_t count = 0;
    while (text.at && count < SEGMENTS_MAX)
        segments[count++] = str_cut(&text, '/');
    return count;
}

static bool is(struct str segment, const char *text)
{
    return str_eq(segment, str_from(text));
}

/* Checks the rules for a name, segment by segment. */
static void check_name(struct str name)
{
    struct str segments[SEGMENTS_MAX];
    size_t count = split(name, segments);
    require(name.len > 0 && name.len <= NAME_MAX_BYTES && utf8_valid(name));
    for (size_t i = 0; i < count; i++) {
        require(segments[i].len > 0 && !is(segments[i], ".") && !is(segments[i], ".."));
        require(!memchr(segments[i].at, '*', segments[i].len));
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = (uint8_t)name.at[i], before = i ? (uint8_t)name.at[i - 1] : 0;
        require(c >= 0x20 && c != 0x7f && (before != 0xc2 || c < 0x80 || c > 0x9f));
    }
    require(pattern_valid(name, NULL) && !pattern_is_wild(name) && pattern_matches(name, name));
    require(freshet_v1_overlap(name, name));
}

/* The path behind /channels, as a request decodes it. False when it is refused. */
static bool decode_path(struct str path, struct buf *out)
{
    return !http_path_decode(path, out) && name_valid(buf_str(out), NULL);
}

/* A name that came out of a path, encoded in full, means the same. */
static void try_path(struct str path)
{
    struct buf name = {0}, again = {0}, encoded = {0};
    if (decode_path(path, &name)) {
        struct str segments[SEGMENTS_MAX];
        size_t count = split(buf_str(&name), segments);
        check_name(buf_str(&name));
        for (size_t i = 0; i < count; i++) {
            buf_add_char(&encoded, '/');
            http_percent_encode(&encoded, segments[i]);
        }
        require(decode_path(buf_str(&encoded), &again));
        require(str_eq(buf_str(&again), buf_str(&name)));
    }
    buf_free(&name);
    buf_free(&again);
    buf_free(&encoded);
}

/* ---- patterns -------------------------------------------------------------------------------- */

/* By the words of the documentation: `*` is one segment, a last `**` is one or more, and what
 * begins with $ is matched only by who spells it. */
static bool naive_match(struct str pattern, struct str name)
{
    struct str want[SEGMENTS_MAX], have[SEGMENTS_MAX];
    size_t wants = split(pattern, want), haves = split(name, have);
    bool tail = is(want[wants - 1], "**");
    if (have[0].at[0] == '$' && !str_eq(want[0], have[0]))
        return false;
    if (tail ? haves < wants : haves != wants)
        return false;
    for (size_t i = 0; i < wants - tail; i++)
        if (!is(want[i], "*") && !str_eq(want[i], have[i]))
            return false;
    return true;
}

static void count(void *context, struct view *view)
{
    unsigned *hits = context;
    (void)view;
    ++*hits;
}

/* Whether the trie finds a view that has only this pattern. */
static bool trie_matches(const struct selection *selection, struct str name)
{
    static const uint64_t name_seed[2] = {17, 4};
    static char stand_in;
    struct view *view = (struct view *)(void *)&stand_in;
    struct topics topics;
    unsigned hits = 0;
    topics_init(&topics, name_seed);
    require(topics_add_view(&topics, view, selection) == 0);
    const struct topic *topic = topics_find(&topics, name);
    hits = topic ? topic->views.count : 0;
    topics_match_patterns(&topics, name, count, &hits);
    topics_remove_view(&topics, view, selection);
    require(topics.patterns == 0);
    topics_deinit(&topics);
    require(hits <= 1);
    return hits > 0;
}

static bool try_pattern(struct str pattern, struct str name)
{
    struct selection *selection = selection_new(&pattern, 1, NULL, 0, NULL);
    bool matches = pattern_matches(pattern, name);
    require(selection);
    require(matches == naive_match(pattern, name));
    require(matches == selection_has_channel(selection, name));
    require(matches == trie_matches(selection, name));
    require(!matches || freshet_v1_overlap(pattern, name));
    require(matches || !freshet_v1_overlap(pattern, name));
    selection_unref(selection);
    return matches;
}

static void try_two(struct str a, struct str b, struct str name)
{
    struct str both[] = {a, b};
    struct selection *except = selection_new(&b, 1, NULL, 0, NULL);
    struct selection *only = selection_new(both, 2, NULL, 0, except);
    bool in_a = try_pattern(a, name), in_b = try_pattern(b, name);
    require(except && only);
    require(selection_has_channel(only, name) == (in_a && !in_b));
    require(freshet_v1_overlap(a, b) == freshet_v1_overlap(b, a));
    require(!(in_a && in_b) || freshet_v1_overlap(a, b));
    selection_unref(only);
    selection_unref(except);
}

/* Four lines: a path, two patterns, a name. Each from memory of exactly its size. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size}, part[PARTS] = {{0}};
    for (int i = 0; i < PARTS && rest.at; i++) {
        struct str line = str_cut(&rest, '\n');
        char *copy = malloc(line.len ? line.len : 1);
        require(copy);
        memcpy(copy, line.at, line.len);
        part[i] = (struct str){copy, line.len};
    }
    try_path(part[0]);
    bool name = name_valid(part[3], NULL);
    if (name)
        check_name(part[3]);
    if (name && pattern_valid(part[1], NULL))
        try_pattern(part[1], part[3]);
    if (name && pattern_valid(part[1], NULL) && pattern_valid(part[2], NULL))
        try_two(part[1], part[2], part[3]);
    for (int i = 0; i < PARTS; i++)
        free((void *)(uintptr_t)part[i].at);
    return 0;
}
