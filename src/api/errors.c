#include "api/errors.h"

#include "api/answers.h"
#include "api/pages.h"
#include "api/problem_words.h"
#include "http/accept.h"

/* ---- text ------------------------------------------------------------------------------------ */

/* Adds words, with line breaks where a terminal of 80 columns wants them. */
static void add_wrapped(struct buf *out, const char *indent, struct str text)
{
    enum { COLUMNS = 78 };
    size_t column = COLUMNS;
    while (text.at) {
        struct str word = str_cut(&text, ' ');
        if (column + 1 + word.len > COLUMNS) {
            buf_addf(out, "%s%s", column < COLUMNS ? "\n" : "", indent);
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

static void add_text_page(struct buf *out, struct str base, enum problem problem)
{
    const struct problem_words *words = &problem_words[problem];
    (void)base;
    buf_addf(out, "%.*s: %.*s\nHTTP status %d; on a WebSocket close code %u\n",
             STR_FMT(problem_slug(problem)), STR_FMT(problem_title(problem)),
             problem_status(problem), problem_close_code(problem));
    add_text_part(out, "What happened", words->happened);
    add_text_part(out, "Why", words->why);
    add_text_part(out, "What to do", words->to_do);
    if (words->example)
        buf_addf(out, "\nA request that gets it\n  %s\n", words->example);
}

static void add_text_list(struct buf *out, struct str base)
{
    for (unsigned i = 0; i < PROBLEM_COUNT; i++)
        buf_addf(out, "%d  %.*s/errors/%.*s\n     %.*s\n", problem_status((enum problem)i),
                 STR_FMT(base), STR_FMT(problem_slug((enum problem)i)),
                 STR_FMT(problem_title((enum problem)i)));
}

/* ---- pages ----------------------------------------------------------------------------------- */

static void add_escaped(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '&')
            buf_add_lit(out, "&amp;");
        else if (c == '<')
            buf_add_lit(out, "&lt;");
        else if (c == '"')
            buf_add_lit(out, "&quot;");
        else
            buf_add_char(out, c);
    }
}

/* The links to the other pages, as the files of src/pages have them. */
static void add_nav(struct buf *out, struct str base)
{
    static const char *const pages[][2] = {{"playground", "Playground"},
                                           {"demos/", "Demos"},
                                           {"console", "Console"},
                                           {"docs", "API"},
                                           {"errors/", "Errors"}};
    buf_add_lit(out, "<nav class=\"pages\" aria-label=\"Pages\">");
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
        buf_addf(out, "<a href=\"%.*s/%s\">%s</a> ", STR_FMT(base), pages[i][0], pages[i][1]);
    buf_add_lit(out, "</nav>");
}

static void add_head(struct buf *out, struct str base, struct str title)
{
    buf_addf(out,
             "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<title>freshet: %.*s</title>\n<link rel=icon href=data:,>\n"
             "<link rel=\"stylesheet\" href=\"%.*s/pages/style.css\">\n"
             "<header><div class=\"bar\"><a class=\"brand\" href=\"%.*s/\">freshet</a>"
             "<span class=\"grow\"></span>",
             STR_FMT(title), STR_FMT(base), STR_FMT(base));
    add_nav(out, base);
    buf_add_lit(out, "</div>\n");
}

static void add_part(struct buf *out, const char *name, const char *words)
{
    buf_addf(out, "<h2>%s</h2>\n<p>", name);
    add_escaped(out, str_from(words));
    buf_add_lit(out, "</p>\n");
}

static void add_html_page(struct buf *out, struct str base, enum problem problem)
{
    const struct problem_words *words = &problem_words[problem];
    add_head(out, base, problem_slug(problem));
    buf_add_lit(out, "<h1>");
    add_escaped(out, problem_title(problem));
    buf_addf(out,
             "</h1>\n<p class=\"quiet\"><code>%.*s</code>, HTTP status %d; on a WebSocket close "
             "code %u</p></header>\n<main><section class=\"card\">\n",
             STR_FMT(problem_slug(problem)), problem_status(problem), problem_close_code(problem));
    add_part(out, "What happened", words->happened);
    add_part(out, "Why", words->why);
    add_part(out, "What to do", words->to_do);
    if (words->example) {
        buf_add_lit(out, "<h2>A request that gets it</h2>\n<pre tabindex=\"0\">");
        add_escaped(out, str_from(words->example));
        buf_add_lit(out, "</pre>\n");
    }
    buf_addf(out,
             "</section></main>\n<footer><p><a href=\"%.*s/errors/\">All errors</a></p></footer>\n"
             "</html>\n",
             STR_FMT(base));
}

static void add_row(struct buf *out, struct str base, enum problem problem)
{
    buf_addf(out, "<tr><td class=\"number\">%d</td><td><a href=\"", problem_status(problem));
    problem_add_type(out, base, problem);
    buf_addf(out, "\">%.*s</a></td><td>", STR_FMT(problem_slug(problem)));
    add_escaped(out, problem_title(problem));
    buf_add_lit(out, "</td></tr>\n");
}

static void add_html_list(struct buf *out, struct str base)
{
    add_head(out, base, STR("errors"));
    buf_add_lit(out, "<h1>What errors mean</h1>\n<p>Each says in <code>detail</code> what was "
                     "wrong, and what would be right.</p></header>\n<main><section "
                     "class=\"card\">\n<table><thead><tr><th class=\"number\" scope=\"col\">status"
                     "</th><th scope=\"col\">type</th><th scope=\"col\">title</th></tr></thead>\n"
                     "<tbody>\n");
    for (unsigned i = 0; i < PROBLEM_COUNT; i++)
        add_row(out, base, (enum problem)i);
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

void errors_handle(struct exchange *exchange, struct str rest)
{
    struct buf body = {0};
    struct str slug = rest.len ? str_skip(rest, 1) : rest, base = api_of(exchange)->base;
    enum problem problem = problem_find(slug);
    bool is_page = wants_page(exchange);
    if (slug.len && problem == PROBLEM_COUNT) {
        api_problem(exchange, PROBLEM_NOT_FOUND, "GET /errors/ lists all problem types");
        return;
    }
    if (slug.len)
        (is_page ? add_html_page : add_text_page)(&body, base, problem);
    else
        (is_page ? add_html_list : add_text_list)(&body, base);
    respond(exchange, is_page, &body);
    buf_free(&body);
}
