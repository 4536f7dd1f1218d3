#include "log/decide.h"

#include "base/say.h"
#include "log/lock.h"

#include <errno.h>
#include <string.h>

enum {
    PREPARE_FROM = 256, /* an append with more events is prepared */
    PREPARE_SLICE = 128,
};

void decide_tick(struct log *log)
{
    int64_t now_us = log_time_read(&log->time);
    apply_advance(&log->apply, now_us, log_time_before(&log->time, log->config.key_life_us));
}

static bool is_large(const struct append *append)
{
    return append->batch->count > PREPARE_FROM;
}

void decide_prepare(struct log *log, struct append *append)
{
    struct batch *batch = append->batch;
    if (!is_large(append))
        return;
    for (uint32_t from = 0; from < batch->count; from += PREPARE_SLICE) {
        uint32_t left = batch->count - from;
        apply_prepare(&log->apply, &batch->events[from],
                      left < PREPARE_SLICE ? left : PREPARE_SLICE, batch->count);
        log_give_way(log);
    }
}

void decide_append(struct log *log, struct append *append)
{
    if (!is_large(append))
        apply_look_up(&log->apply, append->batch->events, append->batch->count);
    decide_tick(log);
    for (struct publish *publish = append->publishes; publish; publish = publish->next)
        apply_publish(&log->apply, publish, append->batch);
    if (is_large(append))
        apply_end_prepared(&log->apply, append->batch);
    atomic_store_explicit(&log->scarce, channels_are_scarce(&log->apply.channels),
                          memory_order_relaxed);
}

void decide_drop_slices(struct log *log)
{
    while (apply_drop_unclaimed(&log->apply, PREPARE_SLICE))
        log_give_way(log);
}

bool decide_has_work(const struct append *append)
{
    for (uint32_t i = 0; i < append->batch->count; i++) {
        enum event_state state = (enum event_state)append->batch->events[i].state;
        if (state == EVENT_APPENDED || state == EVENT_TRIM)
            return true;
    }
    return false;
}

static enum publish_verdict verdict_of(int error)
{
    if (error == STORE_E_FATE_UNKNOWN)
        return PUBLISH_E_FATE_UNKNOWN;
    return error == -ENOSPC ? PUBLISH_E_NO_SPACE : PUBLISH_E_UNAVAILABLE;
}

void decide_undo(struct log *log, struct append *append, int error)
{
    enum publish_verdict verdict = verdict_of(error);
    /* The list is singly linked and short; undoing needs the reverse order. */
    struct publish *reverse = NULL;
    for (struct publish *publish = append->publishes, *next; publish; publish = next) {
        next = publish->next;
        publish->next = reverse;
        reverse = publish;
    }
    append->publishes = NULL;
    for (struct publish *publish = reverse, *next; publish; publish = next) {
        next = publish->next;
        if (!publish->verdict)
            apply_undo(&log->apply, publish, append->batch, verdict);
        publish->verdict = verdict;
        publish->next = append->publishes;
        append->publishes = publish;
    }
}

void decide_note_commit(struct log *log, int result)
{
    bool was = atomic_exchange(&log->writable, result == 0);
    atomic_fetch_add_explicit(result ? &log->failures : &log->commits, 1, memory_order_relaxed);
    int error = result == STORE_E_FATE_UNKNOWN ? EIO : -result;
    if (result && was)
        say(SAY_ERROR, "store_failed", "error=%d detail=\"%s\" publishes=refused reads=served",
            error, strerror(error));
    if (!result && !was)
        say(SAY_INFO, "store_recovered", "publishes=accepted");
}
