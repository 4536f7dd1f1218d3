#include "api/errors.h"

#include "api/answers.h"
#include "api/called.h"
#include "api/html.h"
#include "api/pages.h"
#include "api/problem_words.h"
#include "http/accept.h"

/* The address of the server in the examples, as they are written. */
#define EXAMPLE_SERVER "localhost:7070"

/* The place of the server, as the client has called it. */
struct place {
    struct str base;
    struct str origin; /* with the base */
};

/* ---- text ------------------------------------------------------------------------------------ */

/* Adds words, with line breaks where a terminal of 80 columns wants them. */
static void add_wrapped(struct buf *out, const char *indent, struct str text)
{
    enum { COLUMNS = 78 };
    bool is_first = true;
    size_t column = 0;
    while (text.at) {
        struct str word = str_cut(&text, ' ');
        if (is_first || column + 1 + word.len > COLUMNS) {
            buf_addf(out, "%s%s", is_first ? "" : "\n", indent);
            is_first = false;
            column = strlen(indent);
        } else {
            buf_add_char(out, ' ');
            column++;
        }
        buf_add_str(out, word);
        column += word.len;
    }
    buf_add_char(out, '\n');
}

static void add_text_part(struct buf *out, const char *name, const char *words)
{
    buf_addf(out, "\n%s\n", name);
    add_wrapped(out, "  ", str_from(words));
}

/* Adds an example with the address by which the client has called in the place of ours. */
static void add_example(struct buf *out, const char *example, struct str origin)
{
    struct str rest = str_from(example), mark = STR(EXAMPLE_SERVER);
    const char *found;
    while (rest.len && (found = memmem(rest.at, rest.len, mark.at, mark.len))) {
        size_t len = (size_t)(found - rest.at);
        buf_add_str(out, (struct str){rest.at, len});
        buf_add_str(out, origin);
        rest = str_skip(rest, len + mark.len);
    }
    buf_add_str(out, rest);
}

static void add_text_page(struct buf *out, const struct place *place, enum problem problem)
{
    const struct problem_words *words = &problem_words[problem];
    buf_addf(out, "%.*s: %.*s\nHTTP status %d; on a WebSocket close code %u\n",
             STR_FMT(problem_slug(problem)), STR_FMT(problem_title(problem)),
             problem_status(problem), problem_close_code(problem));
    add_text_part(out, "What happened", words->happened);
    add_text_part(out, "Why", words->why);
    add_text_part(out, "What to do", words->to_do);
    if (!words->example)
        return;
    buf_add_lit(out, "\nA request that gets it\n  ");
    add_example(out, words->example, place->origin);
    buf_add_char(out, '\n');
}

static void add_text_list(struct buf *out, const struct place *place, enum problem none)
{
    (void)none;
    for (unsigned i = 0; i < PROBLEM_COUNT; i++)
        buf_addf(out, "%d  %.*s/errors/%.*s\n     %.*s\n", problem_status((enum problem)i),
                 STR_FMT(place->base), STR_FMT(problem_slug((enum problem)i)),
                 STR_FMT(problem_title((enum problem)i)));
}

/* ---- pages ----------------------------------------------------------------------------------- */

static void add_html_page(struct buf *out, const struct place *place, enum problem problem)
{
    const struct problem_words *words = &problem_words[problem];
    html_add_head(out, place->base, problem_slug(problem));
    buf_add_lit(out, "<h1>");
    html_add_escaped(out, problem_title(problem));
    buf_addf(out,
             "</h1>\n<p class=\"quiet\"><code>%.*s</code>, HTTP status %d; on a WebSocket close "
             "code %u</p></header>\n<main><section class=\"card\">\n",
             STR_FMT(problem_slug(problem)), problem_status(problem), problem_close_code(problem));
    html_add_part(out, "What happened", str_from(words->happened));
    html_add_part(out, "Why", str_from(words->why));
    html_add_part(out, "What to do", str_from(words->to_do));
    if (words->example) {
        struct buf example = {0};
        add_example(&example, words->example, place->origin);
        buf_add_lit(out, "<h2>A request that gets it</h2>\n<pre tabindex=\"0\" role=\"region\" "
                         "aria-label=\"the request\">");
        html_add_escaped(out, buf_str(&example));
        buf_add_lit(out, "</pre>\n");
        out->failed |= buf_failed(&example);
        buf_free(&example);
    }
    buf_addf(out,
             "</section></main>\n<footer><p><a href=\"%.*s/errors/\">All errors</a></p></footer>\n"
             "</html>\n",
             STR_FMT(place->base));
}

static void add_row(struct buf *out, struct str base, enum problem problem)
{
    buf_addf(out, "<tr><td class=\"number\">%d</td><td><a href=\"", problem_status(problem));
    problem_add_type(out, base, problem);
    buf_addf(out, "\">%.*s</a></td><td>", STR_FMT(problem_slug(problem)));
    html_add_escaped(out, problem_title(problem));
    buf_add_lit(out, "</td></tr>\n");
}

static void add_html_list(struct buf *out, const struct place *place, enum problem none)
{
    (void)none;
    html_add_head(out, place->base, STR("errors"));
    buf_add_lit(out, "<h1>What errors mean</h1>\n<p>When the server refuses a request, the "
                     "answer is a small JSON document. Its <code>type</code> is one of these, and "
                     "<code>detail</code> says what was wrong this time, and what would be "
                     "right.</p></header>\n<main><section "
                     "class=\"card\">\n<table class=\"errors\"><thead><tr><th class=\"number\" "
                     "scope=\"col\">status"
                     "</th><th scope=\"col\">type</th><th scope=\"col\">title</th></tr></thead>\n"
                     "<tbody>\n");
    for (unsigned i = 0; i < PROBLEM_COUNT; i++)
        add_row(out, place->base, (enum problem)i);
    buf_add_lit(out, "</tbody></table></section></main>\n</html>\n");
}

/* ---- the request ----------------------------------------------------------------------------- */

static bool wants_page(const struct exchange *exchange)
{
    static const struct str offers[] = {{"text/plain", 10}, {"text/html", 9}};
    return http_accept_best(&exchange->head->fields, offers, 2) == 1;
}

static void respond(struct exchange *exchange, bool is_page, const struct buf *body)
{
    char tag[PAGE_TAG_SIZE];
    if (buf_failed(body)) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        return;
    }
    api_pages_tag(buf_str(body), tag);
    const struct page_answer answer = {.type = is_page ? "text/html; charset=utf-8"
                                                       : "text/plain; charset=utf-8",
                                       .tag = tag,
                                       .parts = {buf_str(body)},
                                       .by_accept = true};
    api_pages_respond(exchange, &answer);
}

static void write_body(const struct exchange *exchange, struct buf *out, enum problem problem)
{
    static void (*const writers[2][2])(struct buf *, const struct place *, enum problem) = {
        {add_text_list, add_text_page}, {add_html_list, add_html_page}};
    struct buf origin = {0};
    called_add_origin(&origin, exchange, api_of(exchange)->base);
    const struct place place = {.base = api_of(exchange)->base, .origin = buf_str(&origin)};
    writers[wants_page(exchange)][problem != PROBLEM_COUNT](out, &place, problem);
    out->failed |= buf_failed(&origin);
    buf_free(&origin);
}

void errors_handle(struct exchange *exchange, struct str rest)
{
    struct buf body = {0};
    struct str slug = rest.len ? str_skip(rest, 1) : rest;
    enum problem problem = problem_find(slug);
    if (slug.len && problem == PROBLEM_COUNT) {
        api_problem(exchange, PROBLEM_NOT_FOUND, "GET /errors/ lists all problem types");
        return;
    }
    write_body(exchange, &body, problem);
    respond(exchange, wants_page(exchange), &body);
    buf_free(&body);
}
