/* Questions that wait for their lists, and the answers that are on their way.
 *
 * A list of 1,000 members may be 256 KiB, a question for it is 50 bytes, and a connection of
 * freshet.v1 may have 64 questions under way. A worker opens all of its mail in one turn. So if the
 * host answered at once, a few clients could fill memory with lists, and hold up a worker for
 * seconds while it copies them.
 *
 * So a question waits in this queue until fewer than QUESTIONS_ANSWERED_MAX bytes of answers are on
 * their way: made by the host, and not opened by a worker. A worker that opens one tells the host
 * by mail, if the host waits for room. The queue is bounded as well: a client may leave before it
 * is answered, and come back with more questions.
 *
 * The queue has a lane for each address, or rather for each value of the keyed hash by which shares
 * tell addresses apart (shares.h). Lanes are served in turn. So a client that asks for a thousand
 * lists delays its own answers, and others by a list each. An address has a share of the places, as
 * of members: a few addresses cannot take all of them.
 *
 * A client may leave before its question is answered. The question then costs no list once its turn
 * comes. */
#pragma once

#include "presence/presence.h"
#include "presence/shares.h"

enum {
    QUESTIONS_ANSWERED_MAX = 512 << 10,
    QUESTIONS_MAX = 65536, /* questions that wait */
};

enum questions_state {
    QUESTIONS_IDLE,
    QUESTIONS_WAIT, /* for room: the next answer that is opened posts the mail */
    QUESTIONS_TOLD, /* the mail is on its way */
};

struct questions_lane {
    struct list node; /* in questions->busy, if it has questions */
    struct presence_request *first, **last;
    uint32_t count;
};

struct questions {
    struct questions_lane lanes[SHARE_HOLDERS + 1];
    struct list busy; /* lanes in the order in which they are served */
    uint32_t count;   /* of all lanes */
    struct mailbox *host;
    atomic_size_t answered; /* bytes of answers on their way */
    atomic_int state;       /* enum questions_state */
    struct mail mail;
};

/* The mailbox is that of the host, whose thread calls all but the last of these. The memory is
 * zeroed, and pages of it are touched only as addresses come. */
void questions_init(struct questions *questions, struct mailbox *host);

/* `holder` is the client's address (shares_address()), which may have `percent` of the places that
 * are left. False if too many wait already. */
bool questions_add(struct questions *questions, struct presence_request *request, uint16_t holder,
                   unsigned percent);

/* Whether a question waits and there is room for its answer. If only the room is missing, the host
 * gets mail once there is some. */
bool questions_are_due(struct questions *questions);

/* The oldest question of the next lane; NULL: none at all. */
struct presence_request *questions_take(struct questions *questions);

/* The answer is about to be sent. */
void questions_count(struct questions *questions, struct presence_request *request);

/* An answer of so many counted bytes was opened. Any thread. */
void questions_end(struct questions *questions, size_t counted);
