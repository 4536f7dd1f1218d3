#include "client/lib/attempts.h"

#include "base/clock.h"
#include "base/hash.h"
#include "client/lib/retry_delay.h"

static bool is_success(const struct attempts *attempts)
{
    return !attempts->result && attempts->answer.status >= 200 && attempts->answer.status < 300;
}

static bool is_unmet(const struct attempts *attempts)
{
    return attempts->result == TRANSFER_E_CONNECT || attempts->result == TRANSFER_E_TRUST;
}

static bool may_repeat(const struct attempts *attempts)
{
    if (attempts->result == TRANSFER_E_TRUST)
        return attempts->met;
    if (attempts->result == TRANSFER_E_CONNECT)
        return attempts->patient || attempts->met;
    if (attempts->result)
        return attempts->result != TRANSFER_STOPPED;
    return transfer_status_is_passing(attempts->answer.status);
}

/* False if the interrupt comes meanwhile. */
static bool wait_for_next(const struct attempts *attempts, struct retry_delay *delay)
{
    uint32_t random;
    hash_random(&random, sizeof(random));
    uint64_t ms = retry_delay_next(delay, random), asked = attempts->answer.retry_after_ms;
    if (asked > ms && asked <= attempts->most_ms)
        ms = asked;
    return interrupt_wait(attempts->interrupt, -1, 0, (int64_t)ms) != WAKE_INTERRUPT;
}

static enum attempts_end end_of(const struct attempts *attempts)
{
    if (attempts->result == TRANSFER_STOPPED)
        return ATTEMPTS_STOPPED;
    return attempts->result ? ATTEMPTS_FAILED : ATTEMPTS_REFUSED;
}

enum attempts_end attempts_run(struct attempts *attempts, const struct transfer_request *request)
{
    struct retry_delay delay = {.least_ms = attempts->least_ms, .most_ms = attempts->most_ms};
    int64_t begun_ns = clock_now_ns(clock_system());
    for (;;) {
        attempts->result = transfer_run(attempts->transfer, request, &attempts->answer);
        uint64_t past_ms = (uint64_t)(clock_now_ns(clock_system()) - begun_ns) / 1000000;
        uint64_t most_ms = attempts->met ? attempts->met_ms : attempts->unmet_ms;
        attempts->met = attempts->met || !is_unmet(attempts);
        if (is_success(attempts))
            return ATTEMPTS_TAKEN;
        if (!may_repeat(attempts) || past_ms >= most_ms)
            return end_of(attempts);
        if (attempts->failed)
            attempts->failed(attempts->owner);
        if (!wait_for_next(attempts, &delay))
            return ATTEMPTS_STOPPED;
    }
}
