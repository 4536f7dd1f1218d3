#include "http/date.h"

#include <time.h>

static const int64_t YEAR_0 = -62167219200;
static const int64_t YEAR_9999_END = 253402300799;

/* `n` as `count` digits. */
static char *add_digits(char *at, int n, int count)
{
    for (int i = count - 1; i >= 0; i--, n /= 10)
        at[i] = (char)('0' + n % 10);
    return at + count;
}

static char *add_text(char *at, const char *text, size_t len)
{
    memcpy(at, text, len);
    return at + len;
}

/* Writes `unix_seconds`; times outside the years 0 to 9999 become the nearest time within. Not by
 * strftime(): its names depend on the locale. */
static void write_date(int64_t unix_seconds, char ret[HTTP_DATE_LEN])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm;
    time_t seconds = unix_seconds < YEAR_0          ? YEAR_0
                     : unix_seconds > YEAR_9999_END ? YEAR_9999_END
                                                    : unix_seconds;
    gmtime_r(&seconds, &tm);
    char *at = add_text(ret, days + 3 * (ptrdiff_t)tm.tm_wday, 3);
    at = add_text(at, ", ", 2);
    at = add_digits(at, tm.tm_mday, 2);
    at = add_text(at, " ", 1);
    at = add_text(at, months + 3 * (ptrdiff_t)tm.tm_mon, 3);
    at = add_text(at, " ", 1);
    at = add_digits(at, tm.tm_year + 1900, 4);
    at = add_text(at, " ", 1);
    at = add_digits(at, tm.tm_hour, 2);
    at = add_text(at, ":", 1);
    at = add_digits(at, tm.tm_min, 2);
    at = add_text(at, ":", 1);
    at = add_digits(at, tm.tm_sec, 2);
    add_text(at, " GMT", 4);
}

struct str http_date_cached(struct http_date *date, int64_t unix_seconds)
{
    if (!date->written || date->unix_seconds != unix_seconds) {
        write_date(unix_seconds, date->text);
        date->unix_seconds = unix_seconds;
        date->written = true;
    }
    return (struct str){date->text, HTTP_DATE_LEN};
}
