#include "net/uring.h"

#include "base/mem.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/socket.h>

struct uring {
    struct io_uring ring;
    unsigned slots;
};

int uring_new(struct uring **ret, unsigned slots)
{
    struct uring *uring = mem_alloc(sizeof(*uring));
    uring->slots = slots;
    struct io_uring_params params = {.flags =
                                         IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN};
    int result = io_uring_queue_init_params(slots, &uring->ring, &params);
    if (result) /* Kernels before 6.0 do not know these flags. */
        result = io_uring_queue_init(slots, &uring->ring, 0);
    if (result)
        free(uring);
    else
        *ret = uring;
    return result;
}

struct uring *uring_free(struct uring *uring)
{
    if (uring)
        io_uring_queue_exit(&uring->ring);
    free(uring);
    return NULL;
}

static int reap(struct uring *uring, struct uring_send *sends, unsigned count)
{
    for (unsigned seen = 0; seen < count;) {
        struct io_uring_cqe *cqe;
        int result = io_uring_wait_cqe(&uring->ring, &cqe);
        if (result == -EINTR)
            continue;
        if (result)
            return result;
        sends[io_uring_cqe_get_data64(cqe)].result = cqe->res;
        io_uring_cqe_seen(&uring->ring, cqe);
        seen++;
    }
    return 0;
}

int uring_send_all(struct uring *uring, struct uring_send *sends, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
        if (!sqe)
            return -EBUSY;
        /* io_uring does not honour O_NONBLOCK: without MSG_DONTWAIT a send to a full socket would
         * stay in the ring, with our bytes, until the socket drains. */
        io_uring_prep_send(sqe, sends[i].fd, sends[i].bytes.at, sends[i].bytes.len,
                           MSG_DONTWAIT | MSG_NOSIGNAL);
        io_uring_sqe_set_data64(sqe, i);
    }
    for (unsigned left = count; left;) {
        int done = io_uring_submit_and_wait(&uring->ring, left);
        if (done == -EINTR)
            continue;
        if (done < 0)
            return done;
        left -= (unsigned)done < left ? (unsigned)done : left;
    }
    return reap(uring, sends, count);
}
