#include "transport/pace.h"

#include "net/loop.h"

/* A worker that is busy for a quarter of its time answers each connection as seldom as it may. */
enum { LOAD_UNPACED = LOAD_FULL / 8, LOAD_PACED = LOAD_FULL / 4 };

void pace_init(struct pace *pace)
{
    *pace = (struct pace){.ops = NULL};
    list_init(&pace->held);
}

int64_t pace_ms(int64_t most_ms, int64_t load)
{
    if (load <= LOAD_UNPACED)
        return 0;
    if (load >= LOAD_PACED)
        return most_ms;
    return most_ms * (load - LOAD_UNPACED) / (LOAD_PACED - LOAD_UNPACED);
}

/* The first poll in the list has waited longest. It is due within the longest pace from when it was
 * held, so no event is held longer than that. */
void pace_hold(struct pace *pace, struct paced *paced, int64_t due_ns, const struct pace_ops *ops)
{
    pace->ops = ops;
    paced->due_ns = due_ns;
    list_add_last(&pace->held, &paced->node);
}

static void end_hold(struct pace *pace, struct paced *paced)
{
    list_remove(&paced->node);
    pace->ops->end(paced);
}

static struct paced *paced_at(struct list *node)
{
    return container_of(node, struct paced, node);
}

/* Retention rarely affects held pages: it trims events older than most of theirs. */
static void end_trimmed(struct pace *pace, const struct window *window)
{
    if (pace->trims == window->trims)
        return;
    pace->trims = window->trims;
    list_each (&pace->held, node) {
        if (pace->ops->is_trimmed(paced_at(node), window->trimmed))
            end_hold(pace, paced_at(node));
    }
}

int64_t pace_due(struct pace *pace, const struct window *window, struct clock *clock)
{
    end_trimmed(pace, window);
    int64_t now_ns = list_empty(&pace->held) ? 0 : clock_now_ns(clock);
    while (!list_empty(&pace->held)) {
        struct paced *first = paced_at(pace->held.next);
        int64_t left_ns = first->due_ns - now_ns;
        if (left_ns > 0)
            return (left_ns + 999999) / 1000000;
        end_hold(pace, first);
    }
    return -1;
}
