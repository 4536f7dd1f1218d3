#include "webhooks/endpoint/schedule.h"

#include "http/token.h"

#include <curl/curl.h>

enum { DATE_MAX = 64 };

void schedule_init(struct schedule *schedule)
{
    static const int64_t seconds[] = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400};
    *schedule = (struct schedule){.count = sizeof(seconds) / sizeof(seconds[0])};
    for (size_t i = 0; i < schedule->count; i++)
        schedule->delays_ms[i] = seconds[i] * 1000;
}

static int64_t base_delay_ms(const struct schedule *schedule, uint64_t failures)
{
    if (schedule->count && failures <= schedule->count)
        return schedule->delays_ms[failures ? failures - 1 : 0];
    int64_t last = schedule->count ? schedule->delays_ms[schedule->count - 1] : 0;
    return last > SCHEDULE_DAY_MS ? last : SCHEDULE_DAY_MS;
}

int64_t schedule_delay_ms(const struct schedule *schedule, uint64_t failures, uint32_t random,
                          int64_t asked_ms)
{
    int64_t base = base_delay_ms(schedule, failures);
    int64_t spread = base / 5;
    int64_t delay = base - spread + (int64_t)((double)random / UINT32_MAX * 2 * (double)spread);
    return delay > asked_ms ? delay : asked_ms;
}

static int64_t at_most_a_day(uint64_t ms)
{
    return ms > SCHEDULE_DAY_MS ? SCHEDULE_DAY_MS : (int64_t)ms;
}

int64_t retry_after_ms(struct str value, int64_t now_us)
{
    char text[DATE_MAX];
    uint64_t seconds;
    value = str_trim(value);
    int result = http_number(value, &seconds);
    if (!result)
        return seconds > 86400 ? SCHEDULE_DAY_MS : at_most_a_day(seconds * 1000);
    if (value.len && http_all(value, HTTP_CHAR_DIGIT))
        return SCHEDULE_DAY_MS; /* more seconds than fit into the number */
    if (!value.len || value.len >= sizeof(text) || memchr(value.at, '\0', value.len))
        return 0;
    memcpy(text, value.at, value.len);
    text[value.len] = '\0';
    int64_t date = curl_getdate(text, NULL);
    int64_t ms = date * 1000 - now_us / 1000;
    return date < 0 || ms < 0 ? 0 : at_most_a_day((uint64_t)ms);
}
