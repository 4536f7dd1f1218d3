#include "api/html.h"

#include "api/styles.h"

/* A page may load and ask for what this server has, and nothing from elsewhere; nobody may frame
 * it, so that no site can make its visitors click in it. */
#define POLICY_REST                                                                                \
    "; img-src data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; "          \
    "frame-ancestors 'none'"

/* The icon of all pages, as the files of src/pages have it. */
#define PAGE_ICON                                                                                  \
    "<link rel=\"icon\" href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' "      \
    "viewBox='0 0 16 16'%3E%3Cpath d='M2 5q3-3 6 0t6 0M2 9q3-3 6 0t6 0M2 13q3-3 6 0t6 0' "         \
    "fill='none' stroke='%230b6e6e' stroke-width='2' stroke-linecap='round'/%3E%3C/svg%3E\">\n"

void html_add_fields(struct response *response, struct str page)
{
    struct buf *policy = response_compose(response, STR("Content-Security-Policy"));
    buf_add_lit(policy, "default-src 'none'; script-src 'self'; style-src 'self'");
    styles_add_sources(policy, page);
    buf_add_lit(policy, POLICY_REST);
    response_add(response, STR("X-Content-Type-Options"), STR("nosniff"));
    response_add(response, STR("Referrer-Policy"), STR("no-referrer"));
}

void html_add_escaped(struct buf *out, struct str text)
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

void html_add_head(struct buf *out, struct str base, struct str title)
{
    buf_addf(out,
             "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<title>freshet: %.*s</title>\n",
             STR_FMT(title));
    buf_add_lit(out, PAGE_ICON);
    styles_add_common(out);
    buf_addf(out,
             "<header><div class=\"bar\"><a class=\"brand\" href=\"%.*s/\">freshet</a>"
             "<span class=\"grow\"></span>",
             STR_FMT(base));
    add_nav(out, base);
    buf_add_lit(out, "</div>\n");
}

void html_add_part(struct buf *out, const char *heading, struct str text)
{
    buf_addf(out, "<h2>%s</h2>\n<p>", heading);
    html_add_escaped(out, text);
    buf_add_lit(out, "</p>\n");
}
