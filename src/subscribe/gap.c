#include "subscribe/gap.h"

#include "hub/hub.h"

struct gap gap_behind(const struct log *log, uint64_t cursor, uint64_t earliest)
{
    return (struct gap){.cursor = cursor,
                        .after = cursor,
                        .earliest = earliest,
                        .reason = log_gap_reason(log, earliest)};
}

struct gap gap_unknown(struct log *log, const struct selection *selection, uint64_t position)
{
    return (struct gap){
        .after = position, .earliest = log_trimmed(log, selection), .reason = GAP_UNKNOWN};
}

struct gap gap_taken(const struct log *log, const struct sub *sub, const struct taken *taken)
{
    return gap_behind(log, sub->cursor, taken->trimmed);
}
