#include "api/metric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void assert_text(struct buf *out, const char *want)
{
    buf_add_char(out, '\0');
    assert_false(buf_failed(out));
    assert_string_equal(out->at, want);
    buf_free(out);
}

static void a_metric_has_its_help_its_type_and_its_value(void **state)
{
    struct buf out = {0};
    (void)state;
    metric_add(&out, "events_total", "counter", "Events appended", 17);
    metric_add_seconds(&out, "busy_seconds_total", "Time", 1500000);
    assert_text(&out, "# HELP freshet_events_total Events appended\n"
                      "# TYPE freshet_events_total counter\n"
                      "freshet_events_total 17\n"
                      "# HELP freshet_busy_seconds_total Time\n"
                      "# TYPE freshet_busy_seconds_total counter\n"
                      "freshet_busy_seconds_total 1.500000\n");
}

static void values_with_labels_stand_below_one_help(void **state)
{
    struct buf out = {0};
    (void)state;
    metric_begin(&out, "held_bytes", "gauge", "Memory");
    metric_add_labelled(&out, "held_bytes", "kind", "reads", 1);
    metric_add_labelled(&out, "held_bytes", "kind", "answers", 2);
    assert_text(&out, "# HELP freshet_held_bytes Memory\n"
                      "# TYPE freshet_held_bytes gauge\n"
                      "freshet_held_bytes{kind=\"reads\"} 1\n"
                      "freshet_held_bytes{kind=\"answers\"} 2\n");
}

static void a_histogram_counts_up_to_each_bound_in_seconds(void **state)
{
    static struct hist hist;
    struct buf out = {0};
    (void)state;
    hist_add(&hist, 40000, 1);
    hist_add(&hist, 90000000, 1);
    metric_add_hist(&out, "turn_seconds", "Turns", &hist);
    buf_add_char(&out, '\0');
    assert_non_null(strstr(out.at, "# TYPE freshet_turn_seconds histogram\n"
                                   "freshet_turn_seconds_bucket{le=\"5e-05\"} 1\n"
                                   "freshet_turn_seconds_bucket{le=\"0.0001\"} 1\n"));
    assert_non_null(strstr(out.at, "freshet_turn_seconds_bucket{le=\"0.1024\"} 2\n"));
    assert_non_null(strstr(out.at, "freshet_turn_seconds_bucket{le=\"+Inf\"} 2\n"
                                   "freshet_turn_seconds_sum 0.09004\n"
                                   "freshet_turn_seconds_count 2\n"));
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_metric_has_its_help_its_type_and_its_value),
        cmocka_unit_test(values_with_labels_stand_below_one_help),
        cmocka_unit_test(a_histogram_counts_up_to_each_bound_in_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
