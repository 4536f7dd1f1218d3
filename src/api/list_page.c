#include "api/list_page.h"

#include "api/answers.h"
#include "api/query.h"
#include "base/base64.h"
#include "base/number.h"

void list_page_begin(struct list_page *page)
{
    *page = (struct list_page){.after = {-1, STR("")}, .limit = LIST_PAGE_ROWS};
    page->writer = json_writer(&page->body);
}

/* A place is written as its time and, since a name may have any character, its id in base64url. */
static bool read_place(struct list_page *page, struct str text)
{
    uint64_t at_us;
    struct str time = str_cut(&text, '-');
    if (number_read(time, &at_us) || at_us > INT64_MAX)
        return false;
    buf_clear(&page->room);
    if (base64url_decode(&page->room, text) || !page->room.len)
        return false;
    page->after = (struct made){(int64_t)at_us, buf_str(&page->room)};
    return true;
}

bool list_page_take_after(struct list_page *page, struct exchange *exchange,
                          const struct parameter *row, struct str value)
{
    if (read_place(page, value))
        return true;
    query_refuse_value(exchange, PROBLEM_BAD_PARAMETER, row, value);
    return false;
}

void list_page_open(struct list_page *page, const char *name)
{
    json_object_begin(&page->writer);
    json_name(&page->writer, name);
    json_array_begin(&page->writer);
}

bool list_page_takes(struct list_page *page, struct made row)
{
    bool takes = !page->count || (page->count < page->limit && page->body.len < LIST_PAGE_BYTES);
    if (takes) {
        page->count++;
        page->last = row;
    } else {
        buf_add_u64(&page->next, (uint64_t)page->last.at_us);
        buf_add_char(&page->next, '-');
        base64url_add(&page->next, page->last.id);
    }
    return takes;
}

void list_page_answer(struct list_page *page, struct exchange *exchange)
{
    json_array_end(&page->writer);
    if (page->next.len)
        json_member_string(&page->writer, "next", buf_str(&page->next));
    json_object_end(&page->writer);
    if (buf_failed(&page->body) || buf_failed(&page->next))
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    else
        exchange_json(exchange, 200, buf_str(&page->body));
}

void list_page_end(struct list_page *page)
{
    buf_free(&page->body);
    buf_free(&page->room);
    buf_free(&page->next);
}
