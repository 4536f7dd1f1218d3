#include "base/rfc3339.h"

#include <errno.h>

enum { DAY_S = 86400, SECOND_US = 1000000 };

/* Where the digits of the fraction are in a text. */
enum { FRACTION_AT = 20 };

/* A civil date. In the calculations below the year begins in March: the leap day is then its last,
 * and the lengths of the months before it repeat every five months (153 days). */
struct date {
    int64_t year;
    int64_t month; /* 1 to 12 */
    int64_t day;   /* 1 to 31 */
};

/* The days from 0000-03-01, the start of the 400-year cycles (146097 days), to 1970. */
enum { DAYS_TO_1970 = 719468, CYCLE_DAYS = 146097 };

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t days_from_date(struct date date)
{
    int64_t year = date.year - (date.month <= 2);
    int64_t cycle = floor_div(year, 400);
    int64_t year_of_cycle = year - cycle * 400;
    int64_t month_from_march = (date.month + 9) % 12;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
    int64_t leap_days = year_of_cycle / 4 - year_of_cycle / 100;
    return cycle * CYCLE_DAYS + year_of_cycle * 365 + leap_days + day_of_year - DAYS_TO_1970;
}

static struct date date_from_days(int64_t days_since_1970)
{
    int64_t days = days_since_1970 + DAYS_TO_1970;
    int64_t cycle = floor_div(days, CYCLE_DAYS);
    int64_t day_of_cycle = days - cycle * CYCLE_DAYS;
    int64_t leap_days = day_of_cycle / 1460 - day_of_cycle / 36524 + day_of_cycle / 146096;
    int64_t year_of_cycle = (day_of_cycle - leap_days) / 365;
    int64_t day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    return (struct date){
        .year = cycle * 400 + year_of_cycle + (month <= 2),
        .month = month,
        .day = day_of_year - (153 * month_from_march + 2) / 5 + 1,
    };
}

/* Puts twice as many digits as `pairs`. A time is written for every event, so the divisions are few
 * and of 32 bits. */
static inline char *put(char *out, int64_t n, int pairs, char after)
{
    uint32_t rest = (uint32_t)n;
    for (int i = 2 * pairs - 2; i >= 0; i -= 2, rest /= 100) {
        out[i] = (char)('0' + rest % 100 / 10);
        out[i + 1] = (char)('0' + rest % 10);
    }
    out += 2 * (ptrdiff_t)pairs;
    *out = after;
    return out + 1;
}

/* Limits a time to the years that four digits can express. */
static int64_t clamp(int64_t us)
{
    int64_t least = days_from_date((struct date){0, 1, 1}) * DAY_S * SECOND_US;
    int64_t most = days_from_date((struct date){10000, 1, 1}) * DAY_S * SECOND_US - 1;
    return us < least ? least : us > most ? most : us;
}

/* Writes everything up to the fraction. */
static void put_second(char *out, int64_t second)
{
    int64_t days = floor_div(second, DAY_S);
    int64_t of_day = second - days * DAY_S;
    struct date date = date_from_days(days);
    out = put(out, date.year, 2, '-');
    out = put(out, date.month, 1, '-');
    out = put(out, date.day, 1, 'T');
    out = put(out, of_day / 3600, 1, ':');
    out = put(out, of_day / 60 % 60, 1, ':');
    (void)put(out, of_day % 60, 1, '.');
}

static void put_fraction(char *text, int64_t us)
{
    (void)put(text + FRACTION_AT, us, 3, 'Z');
}

void rfc3339_add(struct buf *buf, int64_t us_since_1970)
{
    char *out = buf_reserve(buf, RFC3339_LEN);
    if (!out)
        return;
    int64_t us = clamp(us_since_1970);
    int64_t second = floor_div(us, SECOND_US);
    put_second(out, second);
    put_fraction(out, us - second * SECOND_US);
    buf->len += RFC3339_LEN;
}

struct str rfc3339_by_memo(struct rfc3339_memo *memo, int64_t us_since_1970)
{
    uint64_t fraction = (uint64_t)us_since_1970 - (uint64_t)memo->second_us;
    if (!memo->is_set || fraction >= SECOND_US) {
        int64_t us = clamp(us_since_1970);
        int64_t second = floor_div(us, SECOND_US);
        put_second(memo->text, second);
        memo->is_set = true;
        memo->second_us = second * SECOND_US;
        fraction = (uint64_t)(us - memo->second_us);
    }
    put_fraction(memo->text, (int64_t)fraction);
    return (struct str){memo->text, RFC3339_LEN};
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes one byte off the front, which must be `c`. */
static bool take_char(struct str *text, char c)
{
    if (!text->len || ascii_lower(text->at[0]) != c)
        return false;
    *text = str_skip(*text, 1);
    return true;
}

/* Takes exactly `width` digits whose value is at most `most`. */
static bool take_number(struct str *text, size_t width, int64_t most, int64_t *ret)
{
    if (text->len < width)
        return false;
    *ret = 0;
    for (size_t i = 0; i < width; i++) {
        if (!is_digit(text->at[i]))
            return false;
        *ret = *ret * 10 + (text->at[i] - '0');
    }
    *text = str_skip(*text, width);
    return *ret <= most;
}

/* Takes `.` and digits, if there are any; digits finer than a microsecond are cut off. */
static bool take_fraction(struct str *text, int64_t *ret_us)
{
    *ret_us = 0;
    if (!take_char(text, '.'))
        return true;
    if (!text->len || !is_digit(text->at[0]))
        return false;
    for (int64_t unit = SECOND_US / 10; text->len && is_digit(text->at[0]); unit /= 10) {
        *ret_us += (text->at[0] - '0') * unit;
        *text = str_skip(*text, 1);
    }
    return true;
}

/* Takes `Z` or `+hh:mm`, as the seconds by which that local time is ahead of UTC. */
static bool take_offset(struct str *text, int64_t *ret_s)
{
    *ret_s = 0;
    if (take_char(text, 'z'))
        return true;
    bool behind = take_char(text, '-');
    int64_t hours, minutes;
    if ((!behind && !take_char(text, '+')) || !take_number(text, 2, 23, &hours) ||
        !take_char(text, ':') || !take_number(text, 2, 59, &minutes))
        return false;
    *ret_s = (hours * 60 + minutes) * (behind ? -60 : 60);
    return true;
}

static bool take_date(struct str *text, int64_t *ret_days)
{
    struct date date;
    if (!take_number(text, 4, 9999, &date.year) || !take_char(text, '-') ||
        !take_number(text, 2, 12, &date.month) || !take_char(text, '-') ||
        !take_number(text, 2, 31, &date.day))
        return false;
    /* Refuse a day that does not exist: converted to days and back, it becomes another one. */
    *ret_days = days_from_date(date);
    struct date again = date_from_days(*ret_days);
    return again.month == date.month && again.day == date.day;
}

static bool take_time(struct str *text, int64_t *ret_s, bool *ret_leap)
{
    int64_t hour, minute, second;
    if (!take_number(text, 2, 23, &hour) || !take_char(text, ':') ||
        !take_number(text, 2, 59, &minute) || !take_char(text, ':') ||
        !take_number(text, 2, 60, &second))
        return false;
    *ret_leap = second == 60;
    *ret_s = hour * 3600 + minute * 60 + second - *ret_leap;
    return true;
}

int rfc3339_parse(struct str text, int64_t *ret_us)
{
    int64_t days, of_day, us, offset;
    bool leap;
    if (!take_date(&text, &days) || !take_char(&text, 't') || !take_time(&text, &of_day, &leap) ||
        !take_fraction(&text, &us) || !take_offset(&text, &offset) || text.len)
        return -EINVAL;
    int64_t s = days * DAY_S + of_day - offset;
    /* Leap seconds exist only at the end of a day in UTC (section 5.7). */
    if (leap && s - floor_div(s, DAY_S) * DAY_S != DAY_S - 1)
        return -EINVAL;
    *ret_us = s * SECOND_US + us;
    return 0;
}
