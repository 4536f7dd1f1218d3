/* POST /channels/{channel}: one event; and DELETE, which trims a channel. */
#pragma once

#include "api/api.h"

void publish_handle(struct exchange *exchange, struct str rest);
void publish_trim(struct exchange *exchange, struct str rest);

/* Gives the exchange's publish, whose events stand in `append` from `first` on, to the turn. */
void publish_submit(struct exchange *exchange, struct append *append, uint32_t first,
                    uint32_t count, void (*done)(struct publish *publish, struct batch *batch));

/* Answers a publish that was refused; `many` says whether the fault has an index. */
void publish_answer_refused(struct exchange *exchange, bool many);
