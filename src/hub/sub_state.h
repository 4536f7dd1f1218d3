/* The states of a subscriber, and the moves between them.
 *
 *     LIVE     has every event: the fan-out queues it for the next record of its view
 *     QUEUED   has records to take from its view's live chunk
 *     BEHIND   takes pages by its cursor
 *     WAITING  waits for a page from the store, for a turn with budget for a page, or for this
 *              thread to fan out the event that its cursor names
 *
 * Each state has a list, and a subscriber that waits is in the list of what it waits for. The
 * functions are inline, since each delivery moves a subscriber from LIVE to QUEUED and back. */
#pragma once

#include "hub/view.h"

/* Moves the subscriber from the list that it is in to `list`; NULL: to none. */
static inline void sub_set_state(struct sub *sub, enum sub_state state, struct list *list)
{
    list_remove(&sub->node);
    sub->state = (uint8_t)state;
    if (list)
        list_add_last(list, &sub->node);
}

/* From now on the hub keeps the cursor of the subscriber and nothing else. */
static inline void sub_fall_behind(struct sub *sub)
{
    sub_set_state(sub, SUB_BEHIND, &sub->view->behind_subs);
}

/* Makes a subscriber live that has every record of its view. Its cursor is the caller's to move. */
static inline void sub_go_live(struct sub *sub)
{
    sub->stamp = sub->view->stamp;
    sub->keeps_up = true;
    sub->fresh = false; /* from now on the cursor is the hub's own */
    sub_set_state(sub, SUB_LIVE, &sub->view->live_subs);
}

/* Makes a subscriber live that has taken all of its view's live chunk. During the fan-out of an
 * event, its cursor may already be past `applied`. */
static inline void sub_catch_up(struct hub *hub, struct sub *sub)
{
    if (sub->cursor < hub->applied)
        sub->cursor = hub->applied;
    sub_go_live(sub);
}

/* Lets the subscriber wait until everything up to `until` was fanned out. */
static inline void sub_wait_ahead(struct hub *hub, struct sub *sub, uint64_t until)
{
    sub->stamp = until;
    if (until < hub->ahead_least)
        hub->ahead_least = until;
    sub_set_state(sub, SUB_WAITING, &hub->ahead);
}

/* Gives a subscriber the state that fits its cursor. At the newest position it is live at once:
 * ephemeral events pass by all subscribers that are not live, so it should not wait for a take.
 *
 * A subscriber waits if its cursor is from a thread that got the log's mail earlier, because events
 * up to the cursor must not come again. It also waits while an event is fanned out: the view may
 * have the event in its live chunk already, and a live subscriber gets only later records. */
static inline void sub_settle(struct hub *hub, struct sub *sub)
{
    if (sub->cursor < hub->applied)
        sub_fall_behind(sub);
    else if (sub->cursor == hub->applied && !hub->fan_out.under_way)
        sub_go_live(sub);
    else
        sub_wait_ahead(hub, sub, sub->cursor);
    if (sub->cursor == hub->applied && hub->fan_out.under_way)
        hub_await_pause(hub);
}
