#include "client/lib/transfer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/testing.h"

static void only_what_may_pass_by_itself_is_tried_again(void **state)
{
    (void)state;
    static const long passing[] = {408, 425, 429, 500, 502, 503, 504};
    static const long final[] = {200, 301, 400, 401, 403, 404, 410, 413, 422, 501, 505, 507};
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
        assert_true(transfer_status_is_passing(passing[i]));
    for (size_t i = 0; i < sizeof(final) / sizeof(final[0]); i++)
        assert_false(transfer_status_is_passing(final[i]));
}

static void an_error_is_explained_by_its_problem_document(void **state)
{
    (void)state;
    struct buf out = {0};
    struct transfer_answer answer = {.status = 403};
    transfer_explain(&answer, &out);
    assert_str(buf_str(&out),
               "403: the answer is none of freshet's: look at the URL of the server");
    buf_clear(&out);
    buf_add_lit(&answer.body, "{\"title\":\"t\",\"detail\":\"choose another\"}");
    transfer_explain(&answer, &out);
    assert_str(buf_str(&out), "403: choose another");
    buf_free(&out);
    transfer_answer_deinit(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_may_pass_by_itself_is_tried_again),
        cmocka_unit_test(an_error_is_explained_by_its_problem_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
