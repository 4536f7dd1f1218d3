#include "log/store/page.h"

#include <errno.h>

int page_init(struct page *page, const struct store_query *query)
{
    *page = (struct page){.query = query, .batch = batch_new(), .rows_left = query->rows};
    return page->batch ? 0 : -ENOMEM;
}

void page_drop(struct page *page)
{
    page->batch = batch_unref(page->batch);
}

bool page_full(const struct page *page)
{
    return page->batch->count >= page->query->limit ||
           (page->batch->count && page->bytes >= page->query->bytes);
}

struct str page_name(const struct page *page, uint32_t number)
{
    size_t slot = number % PAGE_NAMES;
    return page->names[slot].number == number ? page->names[slot].name : STR_NONE;
}

/* Events in a row often have equal strings: those of the previous event are not copied again. */
static bool same(const struct str *before, struct str s)
{
    return before && str_eq(*before, s);
}

static struct str put(char **at, const struct str *before, struct str s)
{
    if (same(before, s))
        return *before;
    if (!s.len)
        return STR("");
    char *start = *at;
    memcpy(start, s.at, s.len);
    *at += s.len;
    return (struct str){start, s.len};
}

static size_t room_for(const struct str *before, struct str s)
{
    return same(before, s) ? 0 : s.len;
}

/* Copies all strings of an event in one allocation, since the arena rounds each up. */
static bool copy_strings(struct batch *batch, const struct event *event, const struct event *before,
                         struct str *name, struct event *copy)
{
    const struct str *type = before ? &before->type : NULL;
    const struct str *from = before ? &before->from : NULL;
    const struct str *content_type = before ? &before->content_type : NULL;
    size_t size = room_for(name, event->channel) + room_for(type, event->type) +
                  room_for(from, event->from) + room_for(content_type, event->content_type) +
                  event->data.len;
    char *at = arena_alloc(&batch->arena, size ? size : 1);
    if (!at)
        return false;
    copy->channel = put(&at, name, event->channel);
    copy->type = put(&at, type, event->type);
    copy->from = put(&at, from, event->from);
    copy->content_type = put(&at, content_type, event->content_type);
    copy->data = put(&at, NULL, event->data);
    return true;
}

static bool copy_key(struct batch *batch, const struct event *event, struct event *copy)
{
    copy->key = NULL;
    if (!event->key)
        return true;
    struct event_key *key = arena_alloc(&batch->arena, sizeof(*key));
    if (!key)
        return false;
    *key = *event->key;
    copy->key = key;
    return true;
}

int page_add(struct page *page, const struct event *event)
{
    struct batch *batch = page->batch;
    struct str known = page_name(page, event->number);
    struct event copy = *event;
    const struct event *before = batch->count ? &batch->events[batch->count - 1] : NULL;
    if (!copy_strings(batch, event, before, known.at ? &known : NULL, &copy) ||
        !copy_key(batch, event, &copy))
        return -ENOMEM;
    struct event *added = batch_add(batch);
    if (!added)
        return -ENOMEM;
    copy.accepted_ns = 0;
    copy.except = 0;
    copy.state = EVENT_APPENDED;
    *added = copy;
    page->bytes += copy.data.len;
    page->names[event->number % PAGE_NAMES].number = event->number;
    page->names[event->number % PAGE_NAMES].name = copy.channel;
    return 0;
}

static void reverse(struct batch *batch)
{
    for (uint32_t low = 0, high = batch->count; low + 1 < high; low++) {
        struct event swap = batch->events[low];
        batch->events[low] = batch->events[--high];
        batch->events[high] = swap;
    }
}

static uint64_t through(const struct page *page, bool complete)
{
    const struct store_query *query = page->query;
    const struct batch *batch = page->batch;
    uint64_t all = query->backwards ? query->after + 1 : query->upto;
    if (page_full(page))
        return batch->events[batch->count - 1].id;
    if (complete)
        return all;
    if (page->seen)
        return page->seen;
    return query->backwards ? query->upto + 1 : query->after;
}

void page_finish(struct page *page, bool complete, struct batch **ret_batch, uint64_t *ret_through)
{
    *ret_through = through(page, complete);
    if (page->query->looked)
        *page->query->looked += page->query->rows - page->rows_left;
    if (page->query->backwards)
        reverse(page->batch);
    *ret_batch = page->batch;
    page->batch = NULL;
}
