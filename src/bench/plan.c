#include "bench/plan.h"

#include "base/command_line.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>

static const char *const mechanism_names[] = {[MECHANISM_SSE] = "sse",
                                              [MECHANISM_NDJSON] = "ndjson",
                                              [MECHANISM_RAW] = "raw",
                                              [MECHANISM_WS] = "ws",
                                              [MECHANISM_POLL] = "poll"};
static const char *const target_names[] = {[TARGET_FRESHET] = "freshet",
                                           [TARGET_NCHAN] = "nchan",
                                           [TARGET_PUSHPIN] = "pushpin",
                                           [TARGET_BARE] = "bare"};

const char *plan_mechanism_name(enum bench_mechanism mechanism)
{
    return mechanism_names[mechanism];
}

uint64_t plan_subscribers(const struct plan *plan)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < GROUPS; i++)
        sum += plan->groups[i];
    return sum;
}

uint32_t plan_first_live(const struct plan *plan)
{
    return plan->groups[GROUP_LATE] && plan->channels > 1;
}

/* Ten channels in a row have 1 + 2 + … + 10 subscribers. */
static struct plan_seat spread(uint64_t nth)
{
    enum { CHANNELS = 10, SEATS = 55 };
    uint32_t left = (uint32_t)(nth % SEATS), channel = 0;
    while (left > channel)
        left -= ++channel;
    return (struct plan_seat){(uint32_t)(nth / SEATS) * CHANNELS + channel, left};
}

struct plan_seat plan_seat(const struct plan *plan, enum bench_group group, uint64_t nth)
{
    if (group == GROUP_LATE)
        return (struct plan_seat){0, 0};
    if (plan->matching != MATCHING_TURN)
        return spread(nth);
    uint64_t live = plan->channels - plan_first_live(plan);
    return (struct plan_seat){plan_first_live(plan) + (uint32_t)(nth % live), 0};
}

/* The index of the name; -EINVAL if it is none of them. */
static int index_of(const char *text, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, names[i]) == 0)
            return (int)i;
    return -EINVAL;
}

static int read_words(struct plan *plan, const char *mechanism, const char *target, struct buf *why)
{
    int mechanism_index =
        index_of(mechanism, mechanism_names, sizeof(mechanism_names) / sizeof(mechanism_names[0]));
    int target_index = index_of(target, target_names, sizeof(target_names) / sizeof(*target_names));
    if (mechanism_index < 0)
        return buf_refuse(why, "--via is sse, ndjson, raw, poll or ws");
    if (target_index < 0)
        return buf_refuse(why, "--target is freshet, nchan, pushpin or bare");
    plan->mechanism = (enum bench_mechanism)mechanism_index;
    plan->target = (enum bench_target)target_index;
    return 0;
}

static int read_matching(struct plan *plan, const char *text, struct buf *why)
{
    static const char *const names[] = {
        [MATCHING_NAMES] = "names", [MATCHING_PATTERNS] = "patterns"};
    for (unsigned i = MATCHING_NAMES; text && i <= MATCHING_PATTERNS; i++)
        if (strcmp(text, names[i]) == 0)
            plan->matching = (enum bench_matching)i;
    return text && !plan->matching ? buf_refuse(why, "--matching is names or patterns") : 0;
}

static int check_matching(const struct plan *plan, struct buf *why)
{
    uint64_t count = plan->groups[GROUP_SINGLE];
    if (!plan->matching)
        return 0;
    if (plan->target != TARGET_FRESHET || plan->mechanism == MECHANISM_WS ||
        plan->mechanism == MECHANISM_POLL)
        return buf_refuse(why, "--matching is measured by --via sse, ndjson or raw");
    if (count &&
        plan_seat(plan, GROUP_SINGLE, (count + 54) / 55 * 55 - 1).channel >= plan->channels)
        return buf_refuse(why, "--matching needs ten channels for each 55 subscribers");
    return 0;
}

static int read_urls(struct plan *plan, const char *url, const char *publish_url, struct buf *why)
{
    int result = server_url_read(url, true, &plan->url, why);
    if (!result)
        result = server_url_read(publish_url ? publish_url : url, true, &plan->publish_url, why);
    return result ? result : trust_check(&plan->trust, why);
}

static int read_pids(struct plan *plan, const struct command_list *texts, struct buf *why)
{
    if (texts->count > PLAN_PIDS_MAX)
        return buf_refuse(why, "too many times --pid");
    for (size_t i = 0; i < texts->count; i++) {
        uint64_t pid;
        if (number_read(str_from(texts->at[i]), &pid) || pid < 1 || pid > INT32_MAX)
            return buf_refuse(why, "--pid is the number of a process");
        plan->pids[plan->pid_count++] = (pid_t)pid;
    }
    return 0;
}

static int check_batch(const struct plan *plan, struct buf *why)
{
    if (plan->batch == 1)
        return 0;
    if (plan->target != TARGET_FRESHET)
        return buf_refuse(why, "--batch is what --target freshet alone has");
    if (plan->waves)
        return buf_refuse(why, "--waves publishes events one at a time: leave --batch out");
    if (plan->events % plan->batch)
        return buf_refuse(why, "--events is a multiple of --batch");
    if (plan->size < PLAN_OBJECT_LEAST)
        return buf_refuse(why, "--size is at least 64 bytes with --batch: its events are objects");
    return 0;
}

static int check_streams(const struct plan *plan, struct buf *why)
{
    if (!plan->streams)
        return 0;
    if (plan->target != TARGET_FRESHET || plan->mechanism == MECHANISM_WS ||
        plan->mechanism == MECHANISM_POLL)
        return buf_refuse(why, "--streams is measured by --via sse, ndjson or raw");
    if (plan->groups[GROUP_SLEEPER] || plan->groups[GROUP_LATE])
        return buf_refuse(why,
                          "--sleepers and --late have connections of their own: leave --streams "
                          "out");
    return 0;
}

static int check(const struct plan *plan, struct buf *why)
{
    if (plan->channels * plan->publishers > UINT32_MAX || plan_subscribers(plan) > UINT32_MAX)
        return buf_refuse(why, "that is more than 32 bits can count");
    if (plan->size < PLAN_SIZE_LEAST)
        return buf_refuse(why, "--size is at least 40 bytes: an event holds its number and time");
    if ((plan->groups[GROUP_WIDE] || plan->groups[GROUP_PATTERN]) &&
        (plan->target != TARGET_FRESHET || plan->mechanism == MECHANISM_WS ||
         plan->mechanism == MECHANISM_POLL))
        return buf_refuse(why, "--wide and --pattern are measured by --via sse, ndjson or raw");
    if (plan->groups[GROUP_WIDE] && plan->channels > 100)
        return buf_refuse(why, "--wide takes at most 100 channels a request");
    if (plan->groups[GROUP_LATE] &&
        (plan->mechanism == MECHANISM_WS || plan->mechanism == MECHANISM_POLL))
        return buf_refuse(why, "--late is measured by --via sse, ndjson or raw");
    if (plan->groups[GROUP_LATE] && plan->publishers > 1)
        return buf_refuse(why, "--late takes one publisher");
    int result = check_batch(plan, why);
    if (!result)
        result = check_streams(plan, why);
    return result ? result : check_matching(plan, why);
}

static void set_defaults(struct plan *plan)
{
    *plan = (struct plan){.rate = 100,
                          .size = 100,
                          .channels = 1,
                          .publishers = 1,
                          .in_flight = 16,
                          .batch = 1,
                          .seconds = 10,
                          .warm_up_ms = 500,
                          .settle_ms = 200,
                          .opening = 256,
                          .patience = 10};
    plan->groups[GROUP_SINGLE] = 100;
}

static int read_all(int argc, char **argv, const char *url, struct plan *plan,
                    struct command_list *pids, struct command_list *urls, struct buf *why)
{
    const char *mechanism = NULL, *target = "freshet", *publish_url = NULL, *matching = NULL;
    bool flat_out = false;
    const uint64_t many = 100000000;
    const struct command_option options[] = {
        {.name = "via", .value = &mechanism},
        {.name = "target", .value = &target},
        {.name = "publish-url", .value = &publish_url},
        CREDENTIAL_OPTIONS(&plan->credential),
        TRUST_OPTIONS(&plan->trust),
        {.name = "subscribers", .number = &plan->groups[GROUP_SINGLE], .most = many, .zero = true},
        {.name = "wide", .number = &plan->groups[GROUP_WIDE], .most = many, .zero = true},
        {.name = "pattern", .number = &plan->groups[GROUP_PATTERN], .most = many, .zero = true},
        {.name = "sleepers", .number = &plan->groups[GROUP_SLEEPER], .most = many, .zero = true},
        {.name = "late", .number = &plan->groups[GROUP_LATE], .most = many, .zero = true},
        {.name = "rate", .number = &plan->rate, .most = many},
        {.name = "flat-out", .flag = &flat_out},
        {.name = "size", .number = &plan->size, .most = 1 << 20},
        {.name = "channels", .number = &plan->channels, .most = many},
        {.name = "publishers", .number = &plan->publishers, .most = 20000},
        {.name = "in-flight", .number = &plan->in_flight, .most = 65536},
        {.name = "batch", .number = &plan->batch, .most = PLAN_BATCH_MAX},
        {.name = "seconds", .number = &plan->seconds, .most = 86400},
        {.name = "warm-up", .number = &plan->warm_up_ms, .most = 60000, .zero = true},
        {.name = "events", .number = &plan->events, .most = many},
        {.name = "waves", .number = &plan->waves, .most = many},
        {.name = "first", .number = &plan->first, .most = many},
        {.name = "streams", .number = &plan->streams, .most = 100000},
        {.name = "settle", .number = &plan->settle_ms, .most = 60000, .zero = true},
        {.name = "opening", .number = &plan->opening, .most = 20000},
        {.name = "patience", .number = &plan->patience, .most = 3600},
        {.name = "prime", .flag = &plan->prime},
        {.name = "matching", .value = &matching},
        {.name = "spin", .flag = &plan->spin},
        {.name = "random", .flag = &plan->random},
        {.name = "json", .flag = &plan->json},
        {.name = "pid", .list = pids},
    };
    int result =
        command_line_read(argc, argv, options, sizeof(options) / sizeof(options[0]), urls, why);
    if (result)
        return result;
    if (urls->count > 1)
        return buf_refuse(why, "one URL is all that can be measured at a time");
    plan->rate = flat_out ? 0 : plan->rate;
    if (read_urls(plan, urls->count ? urls->at[0] : url, publish_url, why))
        return -EINVAL;
    if (!mechanism)
        mechanism = plan->url.ws ? "ws" : "sse";
    if (read_words(plan, mechanism, target, why) || read_matching(plan, matching, why))
        return -EINVAL;
    return read_pids(plan, pids, why);
}

int plan_read(int argc, char **argv, const char *environment_url, const char *environment_token,
              struct plan *ret, struct buf *why)
{
    set_defaults(ret);
    struct command_list pids = {.at = mem_alloc((size_t)argc * sizeof(char *))};
    struct command_list urls = {.at = mem_alloc((size_t)argc * sizeof(char *))};
    int result = read_all(argc, argv, environment_url ? environment_url : SERVER_URL_DEFAULT, ret,
                          &pids, &urls, why);
    free(pids.at);
    free(urls.at);
    if (!result)
        result = check(ret, why);
    if (!result)
        result = credential_read(&ret->credential, environment_token, why);
    ret->token = ret->credential.text;
    return result;
}
