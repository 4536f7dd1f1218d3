#include "access/store.h"

#include "access/testing.h"

struct found {
    char text[200];
};

static void note(void *context, const struct access_record *record)
{
    struct found *found = context;
    size_t len = strlen(found->text);
    snprintf(found->text + len, sizeof(found->text) - len, "%d/%.*s=%.*s ", (int)record->kind,
             STR_FMT(record->id), STR_FMT(record->value));
}

static void assert_holds(struct access_store *store, const char *text)
{
    struct found found = {{0}};
    assert_int_equal(access_store_load(store, note, &found), 0);
    assert_string_equal(found.text, text);
}

static int set_up(void **state)
{
    static struct state_folder folder;
    state_folder_make(&folder);
    *state = &folder;
    return 0;
}

static int tear_down(void **state)
{
    state_folder_remove(*state);
    return 0;
}

static void records_survive_a_restart(void **state)
{
    struct state_folder *folder = *state;
    const struct access_record records[] = {
        {RECORD_KEY, STR("a"), STR("{1}")},
        {RECORD_KEY, STR("b"), STR("{2}")},
        {RECORD_REVOCATION, STR("a"), STR("{3}")},
    };
    const struct access_record changes[] = {
        {RECORD_KEY, STR("a"), STR_NONE},
        {RECORD_KEY, STR("b"), STR("{4}")},
        {RECORD_KEY, STR("c"), STR_NONE},
    };
    struct access_store *store;
    assert_int_equal(access_store_open(folder->dir, &store), 0);
    assert_holds(store, "");
    assert_int_equal(access_store_write(store, records, 3), 0);
    access_store_close(store);
    assert_int_equal(access_store_open(folder->dir, &store), 0);
    assert_holds(store, "0/a={1} 0/b={2} 1/a={3} ");
    assert_int_equal(access_store_write(store, changes, 3), 0);
    access_store_close(store);
    assert_int_equal(access_store_open(folder->dir, &store), 0);
    assert_holds(store, "0/b={4} 1/a={3} ");
    access_store_close(store);
}

static void a_store_without_a_folder_is_as_good_while_it_is_open(void **state)
{
    (void)state;
    const struct access_record record = {RECORD_REVOCATION, STR("x"), STR("{}")};
    struct access_store *store;
    assert_int_equal(access_store_open(NULL, &store), 0);
    assert_int_equal(access_store_write(store, &record, 1), 0);
    assert_holds(store, "1/x={} ");
    access_store_close(store);
}

static void a_folder_without_a_state_is_refused(void **state)
{
    (void)state;
    struct access_store *store;
    assert_true(access_store_open("/tmp/freshet-no-such-folder", &store) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_survive_a_restart, set_up, tear_down),
        cmocka_unit_test(a_store_without_a_folder_is_as_good_while_it_is_open),
        cmocka_unit_test(a_folder_without_a_state_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
