/* A browser says in Accept that it prefers HTML when its user opens a path, and a script says so
 * never, unless it means it. So people get a page with the problem's words and ways to go on, and
 * programs get the document. Only refusals that opening a path can meet have such a page. */
#include "api/problem_page.h"

#include "api/api.h"
#include "api/html.h"
#include "api/problem_words.h"
#include "http/accept.h"

enum { TARGET_SHOWN = 200 }; /* bytes of the path that the page shows */

bool problem_page_may_be(const struct exchange *exchange, enum problem problem)
{
    const struct http_head *head = exchange_head(exchange);
    return head && !head->upgrade_websocket &&
           (problem == PROBLEM_NOT_FOUND || problem == PROBLEM_METHOD_NOT_ALLOWED ||
            problem == PROBLEM_FORBIDDEN_HOST);
}

bool problem_page_is_wanted(const struct exchange *exchange)
{
    static const struct str offers[] = {
        {"application/problem+json", 24}, {"application/json", 16}, {"text/html", 9}};
    return http_accept_best(&exchange->head->fields, offers, 3) == 2;
}

/* The request as a person knows it: the method, and the path as the address bar has it. */
static void add_request(struct buf *out, const struct http_head *head, enum problem problem)
{
    bool is_long = head->path.len > TARGET_SHOWN;
    buf_add_lit(out, "<p class=\"quiet\"><code>");
    html_add_escaped(out, head->method == HTTP_HEAD ? STR("GET") : head->method_raw);
    buf_add_char(out, ' ');
    html_add_escaped(out, (struct str){head->path.at, is_long ? TARGET_SHOWN : head->path.len});
    buf_addf(out, "%s</code>: <code>%.*s</code>, HTTP status %d</p></header>\n", is_long ? "…" : "",
             STR_FMT(problem_slug(problem)), problem_status(problem));
}

static void add_methods(struct buf *out, unsigned methods)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
    const char *comma = "";
    buf_add_lit(out, "<p>This path takes ");
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!(methods & 1U << i))
            continue;
        buf_addf(out, "%s<code>%s</code>", comma, names[i]);
        comma = ", ";
    }
    buf_add_lit(out, ".</p>\n");
}

/* The sentence that programs get, which knows more of the case than the words of the problem. */
static void add_detail(struct buf *out, struct str detail)
{
    buf_add_lit(out, "<p class=\"quiet\">The server says: ");
    html_add_escaped(out, detail);
    buf_add_lit(out, ".</p>\n");
}

static void add_door(struct buf *out, struct str base, const char *path, const char *title,
                     const char *words)
{
    buf_addf(out,
             "<a class=\"card door\" href=\"%.*s/%s\"><strong>%s</strong><span>%s</span></a>\n",
             STR_FMT(base), path, title, words);
}

static void add_doors(struct buf *out, struct str base, enum problem problem)
{
    struct str slug = problem_slug(problem);
    buf_add_lit(out, "<nav class=\"doors\" aria-label=\"Where to go from here\">\n");
    add_door(out, base, "", "Start", "What this server is, and all of its paths.");
    add_door(out, base, "docs", "API", "Every request and its answer.");
    add_door(out, base, "console", "Console", "Who is connected, and what is published.");
    buf_addf(out,
             "<a class=\"card door\" href=\"%.*s/errors/%.*s\"><strong>This error</strong>"
             "<span>What programs get, and what they can do.</span></a>\n</nav>\n",
             STR_FMT(base), STR_FMT(slug));
}

void problem_page_add(struct buf *out, const struct exchange *exchange, enum problem problem,
                      struct str detail, unsigned methods)
{
    const struct problem_words *words = &problem_words[problem];
    struct str base = api_of(exchange)->base;
    html_add_head(out, base, problem_slug(problem));
    buf_add_lit(out, "<h1>");
    html_add_escaped(out, problem_title(problem));
    buf_add_lit(out, "</h1>\n");
    add_request(out, exchange->head, problem);
    buf_add_lit(out, "<main><section class=\"card\">\n");
    html_add_part(out, "What happened", str_from(words->happened));
    if (methods)
        add_methods(out, methods);
    else
        add_detail(out, detail);
    html_add_part(out, "Why", str_from(words->why));
    html_add_part(out, "What to do", str_from(words->to_do));
    buf_add_lit(out, "</section>\n");
    add_doors(out, base, problem);
    buf_add_lit(out, "</main>\n</html>\n");
}
