#include "webhooks/progress/bundle.h"

#include "base/mem.h"

#include <stdlib.h>

enum {
    PRUNE_MOST = 20000,       /* attempts that a bundle keeps; no more are delivered in a second */
    RESPONSES_MAX = 16 << 20, /* bytes; beyond them attempts are saved without their responses */
};

struct bundle *bundle_new(void)
{
    return mem_alloc(sizeof(struct bundle));
}

void bundle_free(struct bundle *bundle)
{
    arena_free(&bundle->arena);
    free(bundle->rows);
    free(bundle->lanes);
    free(bundle->attempts);
    free(bundle->skipped);
    free(bundle);
}

/* ---- gathering ------------------------------------------------------------------------------- */

static void *grow(void *all, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return all;
    *cap = *cap ? *cap * 2 : 64;
    void *more = mem_try_realloc(all, *cap * size);
    if (!more)
        abort();
    return more;
}

void bundle_add_endpoint(struct bundle *bundle, const struct endpoint_row *row, uint64_t cursor,
                         unsigned accepted, bool with_state)
{
    bundle->rows = grow(bundle->rows, bundle->rows_count, &bundle->rows_cap, sizeof(*bundle->rows));
    struct bundle_row *copy = &bundle->rows[bundle->rows_count++];
    *copy = (struct bundle_row){.row = *row, .accepted = accepted, .with_state = with_state};
    copy->row.cursor = cursor;
}

static struct lane_row *add_lane(struct bundle *bundle)
{
    bundle->lanes =
        grow(bundle->lanes, bundle->lanes_count, &bundle->lanes_cap, sizeof(*bundle->lanes));
    return &bundle->lanes[bundle->lanes_count++];
}

void bundle_add_lane(struct bundle *bundle, const struct lane_row *row)
{
    struct str channel = str_from(row->channel);
    char *copy = arena_alloc(&bundle->arena, channel.len + 1);
    if (!copy)
        abort();
    memcpy(copy, channel.at, channel.len + 1);
    struct lane_row *added = add_lane(bundle);
    *added = *row;
    added->channel = copy;
}

void bundle_drop_lane(struct bundle *bundle, uint64_t endpoint, uint64_t slot)
{
    *add_lane(bundle) = (struct lane_row){.endpoint = endpoint, .slot = slot};
}

void bundle_add_attempt(struct bundle *bundle, const struct logged_attempt *attempt)
{
    bundle->attempts = grow(bundle->attempts, bundle->attempts_count, &bundle->attempts_cap,
                            sizeof(*bundle->attempts));
    struct logged_attempt *copy = &bundle->attempts[bundle->attempts_count++];
    *copy = *attempt;
    /* The bundle grows while the disk is slow, and a response may be large. */
    if (bundle->responses_bytes > RESPONSES_MAX)
        copy->response = STR_NONE;
    bundle->responses_bytes += copy->response.len;
    copy->channel = arena_copy(&bundle->arena, attempt->channel);
    copy->type = arena_copy(&bundle->arena, attempt->type);
    copy->response = arena_copy(&bundle->arena, copy->response);
    copy->letter = arena_copy(&bundle->arena, attempt->letter);
    /* If memory is short, leave out the copy in the log rather than the delivery. */
    struct str *parts[] = {&copy->channel, &copy->type, &copy->response, &copy->letter};
    for (size_t i = 0; i < 4; i++)
        if (!parts[i]->at)
            *parts[i] = STR("");
}

void bundle_add_skipped(struct bundle *bundle, uint64_t n)
{
    bundle->skipped = grow(bundle->skipped, bundle->skipped_count, &bundle->skipped_cap,
                           sizeof(*bundle->skipped));
    bundle->skipped[bundle->skipped_count++] = n;
}

/* ---- writing, on the saver's thread ---------------------------------------------------------- */

static int write_lanes(const struct bundle *bundle, struct registry *registry)
{
    int result = 0;
    for (size_t i = 0; !result && i < bundle->lanes_count; i++) {
        const struct lane_row *lane = &bundle->lanes[i];
        result = lane->channel ? registry_put_lane(registry, lane)
                               : registry_drop_lane(registry, lane->endpoint, lane->slot);
    }
    return result;
}

static int compare_attempts(const void *a, const void *b)
{
    const struct logged_attempt *one = a, *other = b;
    if (one->n != other->n)
        return one->n < other->n ? -1 : 1;
    return one->number < other->number ? -1 : one->number > other->number;
}

static int write_attempts(struct bundle *bundle, struct delivery_log *log)
{
    int result = 0;
    if (bundle->restored) /* a delivery shows the last attempt written */
        qsort(bundle->attempts, bundle->attempts_count, sizeof(*bundle->attempts),
              compare_attempts);
    for (size_t i = 0; !result && i < bundle->attempts_count; i++)
        result = delivery_log_add(log, &bundle->attempts[i]);
    for (size_t i = 0; !result && i < bundle->skipped_count; i++)
        result = delivery_log_skip(log, bundle->skipped[i]);
    if (!result && bundle->prune)
        result = delivery_log_prune(log, bundle->prune_before_us, bundle->prune_rows, PRUNE_MOST);
    return result;
}

static int write_all(struct bundle *bundle, struct registry *registry)
{
    int result = registry_begin(registry);
    if (result)
        return result;
    for (size_t i = 0; !result && i < bundle->rows_count; i++)
        result = registry_progress(registry, &bundle->rows[i].row, bundle->rows[i].with_state);
    result = result ? result : write_lanes(bundle, registry);
    result = result ? result : write_attempts(bundle, registry_delivery_log(registry));
    return registry_commit(registry, result);
}

int bundle_write(struct saver_job *job, struct registry *registry)
{
    struct bundle *bundle = container_of(job, struct bundle, job);
    int result = bundle->whole ? 0 : registry_lanes_result(registry);
    result = result ? result : write_all(bundle, registry);
    registry_note_lanes(registry, result);
    return result;
}
