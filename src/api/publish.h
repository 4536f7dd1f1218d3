/* POST /channels/{channel}: one event; and DELETE, which trims a channel. */
#pragma once

#include "api/api.h"

/* A proposal: an event to be published, apart from its body. */
struct proposal {
    struct buf channel;
    struct buf type;
    struct buf key;
    struct str subject; /* the subject whose key it is; empty for anonymous publishers */
    bool has_key;
    bool key_stands; /* the key identifies the event even if its content differs: a repetition may
                      * be worded otherwise */
    bool ephemeral;
    uint8_t hops;
    bool has_if_match;
    uint64_t if_match;
    enum event_kind kind;
    struct str content_type; /* that the event keeps: of binary data, and of +json; else none */
};

/* JSON, text or binary, by Content-Type and by what the bytes are. False: the exchange was
 * answered. */
bool publish_read_kind(struct exchange *exchange, struct proposal *proposal);

/* How many deliveries of webhooks have led here, by the header Event-Hops; 0 without. False: the
 * exchange was answered. */
bool publish_read_hops(struct exchange *exchange, uint8_t *ret_hops);

/* Gives the body as one event to the turn; `done` answers, as publish_done() does. */
void publish_propose(struct exchange *exchange, const struct proposal *proposal,
                     void (*done)(struct publish *publish, struct batch *batch));
/* Answers with a receipt, or with why it was refused. */
void publish_done(struct publish *publish, struct batch *batch);

void publish_handle(struct exchange *exchange, struct str rest);
void publish_trim(struct exchange *exchange, struct str rest);

/* Gives the exchange's publish, whose events stand in `append` from `first` on, to the turn. */
void publish_submit(struct exchange *exchange, struct append *append, uint32_t first,
                    uint32_t count, void (*done)(struct publish *publish, struct batch *batch));

/* Answers a publish that was accepted, with a header that warns of an event which many clients
 * would refuse. */
void publish_answer(struct exchange *exchange, int status, const struct batch *batch,
                    struct str body);

/* Answers a publish that was refused; `many` says whether the fault has an index. */
void publish_answer_refused(struct exchange *exchange, bool many);
