#include "http/parameters.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/testing.h"

enum { AFTER, LIMIT, ECHO, STREAM, TYPE, SEEN, TOLD, ROWS };

static const struct parameter rows[ROWS] = {
    [AFTER] = {.name = {"after", 5}, .example = "7", .right = "a cursor", .meant = "since from"},
    [LIMIT] = {.name = {"limit", 5},
               .kind = PARAMETER_NUMBER,
               .least = 1,
               .most = 1000,
               .example = "100"},
    [ECHO] = {.name = {"echo", 4}, .kind = PARAMETER_BOOLEAN, .example = "0"},
    [STREAM] = {.name = {"stream", 6},
                .kind = PARAMETER_WORD,
                .words = "sse ndjson raw",
                .example = "sse"},
    [TYPE] = {.name = {"type", 4}, .least = 1, .most = 5, .repeats = true, .example = "trade"},
    [SEEN] = {.name = {"lastEventId", 11},
              .any_case = true,
              .also = {"last-event-id", 13},
              .example = "7"},
    [TOLD] = {.name = {"told", 4}, .kind = PARAMETER_ID, .most = 5000, .example = "7"},
};

/* Reads a whole query. Returns "row:value:number " for each parameter, or "!" and the fault. */
static const char *said(const char *query)
{
    static char text[400];
    struct parameters parameters;
    struct parameter_found found;
    struct str bytes = exact(str_from(query));
    int result, len = 0;
    parameters_begin(&parameters, (struct parameter_table){rows, ROWS}, bytes);
    while ((result = parameters_next(&parameters, &found)) > 0)
        len += snprintf(&text[len], sizeof(text) - (size_t)len, "%u:%.*s:%llu ", found.row,
                        STR_FMT(found.value), (unsigned long long)found.number);
    if (result)
        snprintf(text, sizeof(text), "!%.*s", STR_FMT(buf_str(&parameters.fault)));
    else
        text[len] = '\0';
    parameters_end(&parameters);
    exact_free(bytes);
    return text;
}

#define SAYS(query, expected) assert_string_equal(said(query), expected)

static void values_are_decoded_and_read(void **state)
{
    (void)state;
    SAYS("", "");
    SAYS("&&", "");
    SAYS("after=a%20b+c&limit=1000&%65cho=0", "0:a b c:0 1:1000:1000 2:0:0 ");
    SAYS("type=a&type=b&stream=raw&told=0007", "4:a:0 4:b:0 3:raw:2 6:0007:7 ");
    SAYS("after=", "0::0 ");
    SAYS("after", "0::0 ");
}

static void a_boolean_is_one_of_four_words(void **state)
{
    (void)state;
    SAYS("echo=0", "2:0:0 ");
    SAYS("echo=1", "2:1:1 ");
    SAYS("echo=false", "2:false:0 ");
    SAYS("echo=true", "2:true:1 ");
    static const char *const wrong[] = {"echo=",   "echo",    "echo=flase", "echo=False",
                                        "echo=00", "echo=no", "echo=2",     "echo=0%00"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(said(wrong[i])[0], '!');
    SAYS("echo=flase", "!echo is 0, 1, true or false, not \"flase\"; for example ?echo=0");
}

static void a_number_is_decimal_and_within_its_bounds(void **state)
{
    (void)state;
    static const char *const wrong[] = {"limit=",
                                        "limit=0",
                                        "limit=1001",
                                        "limit=-1",
                                        "limit=+1",
                                        "limit=1e2",
                                        "limit=0x1",
                                        "limit=01",
                                        "limit=1%20",
                                        "limit=1.0",
                                        "limit=18446744073709551617"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(said(wrong[i])[0], '!');
    SAYS("limit=1001", "!limit is a number from 1 to 1000, not \"1001\"; for example ?limit=100");
    SAYS("told=5001", "!told is an id of 1 to 16 digits, not \"5001\"; for example ?told=7");
    SAYS("told=00000000000000007",
         "!told is an id of 1 to 16 digits, not \"00000000000000007\"; for example ?told=7");
}

static void a_word_and_a_text_are_judged(void **state)
{
    (void)state;
    SAYS("stream=messages",
         "!stream is sse, ndjson or raw, not \"messages\"; for example ?stream=sse");
    SAYS("stream=sse%20ndjson",
         "!stream is sse, ndjson or raw, not \"sse ndjson\"; for example ?stream=sse");
    SAYS("type=", "!type is a text of 1 to 5 bytes, not \"\"; for example ?type=trade");
    SAYS("type=123456", "!type is a text of 1 to 5 bytes, not \"123456\"; for example ?type=trade");
}

static void an_unknown_name_is_refused_with_the_nearest(void **state)
{
    (void)state;
    SAYS("afer=1", "!unknown parameter \"afer\": did you mean after?");
    SAYS("since=1", "!unknown parameter \"since\": did you mean after?");
    SAYS("After=1", "!unknown parameter \"After\": did you mean after?");
    SAYS("=1", "!unknown parameter \"\": the known ones are after, limit, echo, stream, type, "
               "lastEventId, "
               "told");
    SAYS("after%01=1", "!unknown parameter \"after?\": did you mean after?");
}

static void names_of_caches_and_mailings_are_passed_over(void **state)
{
    (void)state;
    SAYS("_=1&_=2&utm_source=x&%5f", "32::0 32::0 32::0 32::0 ");
    SAYS("utm=1",
         "!unknown parameter \"utm\": the known ones are after, limit, echo, stream, type, "
         "lastEventId, told");
}

static void a_single_valued_parameter_given_twice_is_refused(void **state)
{
    (void)state;
    SAYS("after=1&limit=1&after=1",
         "!after is there twice, and only one can count; for example ?after=7");
    SAYS("lastEventId=1&Last-Event-Id=1",
         "!lastEventId is there twice, and only one can count; for example ?lastEventId=7");
    SAYS("LASTEVENTID=1", "5:1:0 ");
    SAYS("last-event-ID=1", "5:1:0 ");
}

static void broken_percent_encoding_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"after=%", "after=%0", "after=%zz", "after=%00", "%=1"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(said(wrong[i])[0], '!');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_decoded_and_read),
        cmocka_unit_test(a_boolean_is_one_of_four_words),
        cmocka_unit_test(a_number_is_decimal_and_within_its_bounds),
        cmocka_unit_test(a_word_and_a_text_are_judged),
        cmocka_unit_test(an_unknown_name_is_refused_with_the_nearest),
        cmocka_unit_test(names_of_caches_and_mailings_are_passed_over),
        cmocka_unit_test(a_single_valued_parameter_given_twice_is_refused),
        cmocka_unit_test(broken_percent_encoding_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
