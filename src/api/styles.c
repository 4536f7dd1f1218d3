#include "api/styles.h"

#include "base/base64.h"
#include "base/hash.h"
#include "pages/pages.h"

#define LINK "<link rel=\"stylesheet\" href=\""
#define BEGIN "<style>"
#define END "</style>"

/* Cuts what stands before `mark` off `*rest`, which is left behind it. Without the mark it is all.
 */
static struct str cut_at(struct str *rest, struct str mark)
{
    struct str head = *rest;
    const char *found = rest->len ? memmem(rest->at, rest->len, mark.at, mark.len) : NULL;
    head.len = found ? (size_t)(found - rest->at) : rest->len;
    *rest = str_skip(*rest, found ? head.len + mark.len : rest->len);
    return head;
}

/* `dir` without its last folder. */
static struct str above(struct str dir)
{
    do
        dir.len -= dir.len > 0;
    while (dir.len && dir.at[dir.len - 1] != '/');
    return dir;
}

/* The file that `href` leads to from the page at `path`; NULL if there is none. */
static const struct page_file *find_from(struct str path, struct str href)
{
    struct str dir = path;
    while (dir.len && dir.at[dir.len - 1] != '/')
        dir.len--;
    for (; str_starts(href, STR("../")); href = str_skip(href, 3))
        dir = above(dir);
    for (size_t i = 0; i < page_files_count; i++) {
        struct str own = str_from(page_files[i].path);
        if (str_starts(own, dir) && str_eq(str_skip(own, dir.len), href))
            return &page_files[i];
    }
    return NULL;
}

static void add_sheet(struct buf *out, const struct page_file *file)
{
    buf_add_lit(out, BEGIN);
    buf_add_str(out, file->body);
    buf_add_lit(out, END);
}

void styles_add_page(struct buf *out, struct str path, struct str page)
{
    while (page.len) {
        buf_add_str(out, cut_at(&page, STR(LINK)));
        if (!page.len)
            return;
        struct str href = cut_at(&page, STR("\">"));
        const struct page_file *file = find_from(path, href);
        if (file)
            add_sheet(out, file);
        else
            buf_addf(out, LINK "%.*s\">", STR_FMT(href));
    }
}

void styles_add_common(struct buf *out)
{
    add_sheet(out, page_file_find(STR("pages/style.css")));
    buf_add_char(out, '\n');
}

static bool is_sheet(struct str text)
{
    for (size_t i = 0; i < page_files_count; i++)
        if (str_eq(page_files[i].body, text))
            return true;
    return false;
}

/* Allows only sheets that are files: the policy must not allow what somebody has got into a page.
 */
void styles_add_sources(struct buf *out, struct str page)
{
    for (cut_at(&page, STR(BEGIN)); page.len; cut_at(&page, STR(BEGIN))) {
        uint8_t sum[HASH_SHA256_SIZE];
        struct str text = cut_at(&page, STR(END));
        if (!is_sheet(text))
            continue;
        hash_sha256(text, sum);
        buf_add_lit(out, " 'sha256-");
        base64_add(out, (struct str){(const char *)sum, sizeof(sum)});
        buf_add_char(out, '\'');
    }
}
