#include "log/store/memory/line.h"

#include "base/bisect.h"
#include "base/mem.h"

#include <stdlib.h>

enum { LINE_FIRST = 4 };

void line_deinit(struct line *line)
{
    if (line->cap)
        free(line->many);
    *line = (struct line){0};
}

static bool line_grow(struct line *line)
{
    uint32_t cap = line->count * 2 > LINE_FIRST ? line->count * 2 : LINE_FIRST;
    const struct event **many = mem_try_alloc(cap * sizeof(struct event *));
    if (!many)
        return false;
    memcpy(many, line_events(line), line->count * sizeof(struct event *));
    if (line->cap)
        free(line->many);
    line->many = many;
    line->start = 0;
    line->cap = cap;
    return true;
}

bool line_push(struct line *line, const struct event *event)
{
    if (!line->cap && !line->count) {
        line->one = event;
        line->count = 1;
        return true;
    }
    if (line->start + line->count >= line->cap && !line_grow(line))
        return false;
    line->many[line->start + line->count++] = event;
    return true;
}

/* If the allocation fails, the line keeps its size. */
void line_shrink(struct line *line)
{
    if (line->cap && line->count <= 1) {
        const struct event *one = line->count ? line_events(line)[0] : NULL;
        free(line->many);
        line->one = one;
        line->cap = line->start = 0;
    } else if (line->cap > 4 * LINE_FIRST && line->count * 4 < line->cap) {
        (void)line_grow(line);
    }
}

void line_drop_first(struct line *line)
{
    line->start += line->cap != 0;
    line->count--;
}

void line_drop_last(struct line *line)
{
    line->count--;
}

uint32_t line_upto(struct line *line, uint64_t id)
{
    const struct event **events = line_events(line);
    uint32_t low = 0, high = line->count;
    BISECT(low, high, middle, events[middle]->id <= id);
    return low;
}
