#include "transport/checked.h"

#include <stdlib.h>

/* PIECE_COST: the charge for a piece in bytes, so low that mostly the time of the check decides. */
enum { PIECE = 32 << 10, PIECE_COST = BUDGET_STRIDE };

bool checked_go_on(struct worker *worker, struct json_scan **scan, struct str text)
{
    if (!*scan) {
        *scan = mem_try_alloc(sizeof(**scan));
        if (!*scan)
            return true;
        json_scan_begin(*scan, JSON_DEPTH_LIMIT);
    }
    while (!json_scan_some(*scan, text, PIECE))
        if (!worker_spend(worker, PIECE_COST))
            return false;
    worker->checked = *scan;
    return true;
}

void checked_end(struct worker *worker, struct json_scan **scan)
{
    if (worker->checked == *scan)
        worker->checked = NULL;
    free(*scan);
    *scan = NULL;
}

const struct json_scan *checked_scan(const struct worker *worker, struct str text,
                                     struct json_scan *room, struct json_notes *notes)
{
    const struct json_scan *checked = worker->checked;
    if (checked && checked->text.at == text.at && checked->text.len == text.len)
        return checked;
    json_scan_begin(room, JSON_DEPTH_LIMIT);
    room->notes = notes;
    (void)json_scan_some(room, text, SIZE_MAX);
    return room;
}
