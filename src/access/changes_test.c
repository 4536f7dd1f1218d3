#include "access/changes.h"

#include "access/testing.h"
#include "log/store/sqlite/faults.h"
#include "net/mailbox_testing.h"

#define NOW INT64_C(1800000000000000)
#define DAY_US (INT64_C(86400) * 1000000)

/* Changes with a listener, and a mailbox for both, on the test's thread. */
struct office {
    struct state_folder folder;
    struct clock_fake clock;
    struct key_table keys;
    struct revocations revocations;
    struct changes *changes;
    struct mailbox mailbox;
    struct change_listener listener;
    unsigned looks;
    unsigned answers;
};

static void look(struct change_listener *listener)
{
    container_of(listener, struct office, listener)->looks++;
}

static void start(struct office *office, const char *dir)
{
    key_table_init(&office->keys);
    revocations_init(&office->revocations);
    const struct changes_config config = {dir, &office->clock.clock, &office->keys,
                                          &office->revocations};
    assert_int_equal(changes_open(&config, &office->changes), 0);
    office->listener = (struct change_listener){.mailbox = &office->mailbox, .look = look};
    changes_listen(office->changes, &office->listener);
}

static void stop(struct office *office)
{
    changes_close(office->changes);
    key_table_deinit(&office->keys);
    revocations_deinit(&office->revocations);
}

static void restart(struct office *office)
{
    stop(office);
    start(office, office->folder.dir);
}

static int set_up(void **state)
{
    static struct office office;
    office = (struct office){0};
    faults_set(0, 0, 0);
    state_folder_make(&office.folder);
    clock_fake_init(&office.clock, NOW);
    assert_int_equal(mailbox_init(&office.mailbox, &office), 0);
    start(&office, office.folder.dir);
    *state = &office;
    return 0;
}

static int tear_down(void **state)
{
    struct office *office = *state;
    stop(office);
    mailbox_deinit(&office->mailbox);
    state_folder_remove(&office->folder);
    return 0;
}

static void answered(struct mail *mail, void *owner)
{
    (void)mail;
    ((struct office *)owner)->answers++;
}

/* Makes a change and waits for its answer. */
static int change(struct office *office, struct change *change)
{
    unsigned before = office->answers;
    change->reply = &office->mailbox;
    change->mail.open = answered;
    changes_submit(office->changes, change);
    while (office->answers == before)
        mailbox_testing_turn(&office->mailbox);
    return change->result;
}

static int add_key(struct office *office, char text[KEY_TEXT_LEN + 1])
{
    static const char body[] =
        "{\"name\":\"site\",\"grants\":[{\"channels\":[\"a\"],\"may\":[\"read\"]}]}";
    struct change add = {.op = CHANGE_ADD_KEY};
    assert_null(api_key_request(str_from(body), NOW, STR_NONE, text, &add.key));
    return change(office, &add);
}

static int remove_id(struct office *office, enum change_op op, struct str id)
{
    struct change removal = {.op = op, .id_len = id.len};
    memcpy(removal.id, id.at, id.len);
    return change(office, &removal);
}

static int make_revocation(struct office *office, const char *body)
{
    struct change add = {.op = CHANGE_ADD_REVOCATION};
    assert_null(revocation_request(str_from(body), NOW, STR_NONE, &add.revocation));
    return change(office, &add);
}

static struct identity ask(struct office *office, const char *text)
{
    const struct credential credential = {.kind = CREDENTIAL_BEARER, .text = str_from(text)};
    struct identification identification = {.now_us = clock_wall_us(&office->clock.clock)};
    return office->keys.source.identify(&office->keys.source, &credential, &identification);
}

static void a_key_is_known_at_once_and_after_a_restart_until_it_is_removed(void **state)
{
    struct office *office = *state;
    char text[KEY_TEXT_LEN + 1];
    assert_int_equal(add_key(office, text), 0);
    const struct str id = {text + 3, KEY_ID_LEN};
    for (int round = 0; round < 2; round++) {
        struct identity identity = ask(office, text);
        assert_int_equal(identity.state, IDENTITY_KNOWN);
        caller_unref(identity.caller);
        restart(office);
    }
    assert_int_equal(office->looks, 0);
    assert_int_equal(remove_id(office, CHANGE_REMOVE_KEY, id), 0);
    assert_int_equal(remove_id(office, CHANGE_REMOVE_KEY, id), CHANGE_E_MISSING);
    assert_int_equal(ask(office, text).state, IDENTITY_BAD);
    restart(office);
    assert_int_equal(ask(office, text).state, IDENTITY_BAD);
    (void)mailbox_empty(&office->mailbox);
    assert_int_equal(office->looks, 1);
}

/* The disk fails from one of its operations on, until nothing else says what became of a removal.
 */
static void a_key_is_not_missing_until_it_is_gone_from_the_disk(void **state)
{
    struct office *office = *state;
    char text[KEY_TEXT_LEN + 1];
    unsigned unknown = 0;
    for (unsigned long nth = 1; nth < 8; nth++) {
        assert_int_equal(add_key(office, text), 0);
        const struct str id = {text + 3, KEY_ID_LEN};
        faults_set(nth, 1000, SQLITE_IOERR_FSYNC);
        int result = remove_id(office, CHANGE_REMOVE_KEY, id);
        if (result == CHANGE_E_FATE_UNKNOWN) {
            unknown++;
            assert_int_equal(ask(office, text).state, IDENTITY_BAD);
            assert_int_equal(remove_id(office, CHANGE_REMOVE_KEY, id), CHANGE_E_FATE_UNKNOWN);
        }
        faults_set(0, 0, 0);
        assert_int_equal(remove_id(office, CHANGE_REMOVE_KEY, id), result ? 0 : CHANGE_E_MISSING);
        assert_int_equal(remove_id(office, CHANGE_REMOVE_KEY, id), CHANGE_E_MISSING);
        restart(office);
        assert_int_equal(ask(office, text).state, IDENTITY_BAD);
    }
    assert_true(unknown > 0);
}

static void the_last_use_of_a_key_survives_a_restart(void **state)
{
    struct office *office = *state;
    char text[KEY_TEXT_LEN + 1];
    assert_int_equal(add_key(office, text), 0);
    clock_fake_advance(&office->clock, 60000000);
    caller_unref(ask(office, text).caller);
    restart(office);
    struct api_key *key = container_of(office->keys.in_order.next, struct api_key, in_order);
    assert_true(atomic_load(&key->used_us) == NOW + 60000000);
}

static void a_use_that_could_not_be_saved_is_saved_later(void **state)
{
    struct office *office = *state;
    char text[KEY_TEXT_LEN + 1];
    assert_int_equal(add_key(office, text), 0);
    clock_fake_advance(&office->clock, 60000000);
    caller_unref(ask(office, text).caller);
    faults_set(1, 1000, SQLITE_IOERR_FSYNC);
    changes_tick(office->changes);
    faults_set(0, 0, 0);
    restart(office);
    struct api_key *key = container_of(office->keys.in_order.next, struct api_key, in_order);
    assert_true(atomic_load(&key->used_us) == NOW + 60000000);
}

static void a_revocation_survives_a_restart_and_ends(void **state)
{
    struct office *office = *state;
    assert_int_equal(
        make_revocation(office, "{\"subject\":\"alice\",\"until\":\"2100-01-01T00:00:00Z\"}"), 0);
    assert_int_equal(make_revocation(office, "{\"jti\":\"t1\"}"), 0);
    restart(office);
    assert_int_equal(revocations_count(&office->revocations), 2);
    atomic_store(&office->clock.wall_us, INT64_C(4102444800000000) + DAY_US);
    changes_tick(office->changes);
    assert_int_equal(revocations_count(&office->revocations), 1);
    restart(office);
    assert_int_equal(revocations_count(&office->revocations), 1);
    assert_int_equal(remove_id(office, CHANGE_REMOVE_REVOCATION, STR("subject:alice")),
                     CHANGE_E_MISSING);
    assert_int_equal(remove_id(office, CHANGE_REMOVE_REVOCATION, STR("jti:t1")), 0);
    restart(office);
    assert_int_equal(revocations_count(&office->revocations), 0);
}

enum { ENDED = 100, AT_ONCE = 64 };

static void revocations_are_forgotten_in_bundles_between_which_others_are_made(void **state)
{
    struct office *office = *state;
    char body[100];
    for (int i = 0; i < ENDED; i++) {
        snprintf(body, sizeof(body), "{\"jti\":\"t%d\",\"until\":\"2100-01-01T00:00:00Z\"}", i);
        assert_int_equal(make_revocation(office, body), 0);
    }
    atomic_store(&office->clock.wall_us, INT64_C(4102444800000000) + DAY_US);
    assert_true(changes_tick_some(office->changes));
    assert_int_equal(revocations_count(&office->revocations), ENDED - AT_ONCE);
    assert_int_equal(make_revocation(office, "{\"jti\":\"new\"}"), 0);
    assert_false(changes_tick_some(office->changes));
    assert_int_equal(revocations_count(&office->revocations), 1);
    restart(office);
    assert_int_equal(revocations_count(&office->revocations), 1);
}

static bool is_revoked(struct office *office)
{
    struct caller *alice =
        caller_new(&(struct caller_facts){.kind = CALLER_TOKEN, .subject = STR("alice")});
    int64_t now_us = clock_wall_us(&office->clock.clock);
    bool revoked = revocations_have(&office->revocations, alice, now_us);
    caller_unref(alice);
    return revoked;
}

/* By the right time the revocation has not expired. */
static void a_clock_that_runs_ahead_for_a_while_ends_no_revocation(void **state)
{
    struct office *office = *state;
    assert_int_equal(
        make_revocation(office, "{\"subject\":\"alice\",\"until\":\"2100-01-01T00:00:00Z\"}"), 0);
    atomic_store(&office->clock.wall_us, INT64_C(4102444800000000) + DAY_US - 1);
    changes_tick(office->changes);
    assert_false(is_revoked(office));
    restart(office);
    atomic_store(&office->clock.wall_us, NOW);
    assert_true(is_revoked(office));
}

static void ended_revocations_give_way_to_new_ones(void **state)
{
    struct office *office = *state;
    char body[100];
    for (unsigned i = 0; i < REVOCATIONS_MAX; i++) {
        struct revocation *revocation;
        snprintf(body, sizeof(body), "{\"jti\":\"%u\"%s}", i,
                 i ? "" : ",\"until\":\"2100-01-01T00:00:00Z\"");
        assert_null(revocation_request(str_from(body), NOW, STR_NONE, &revocation));
        revocations_put(&office->revocations, revocation);
    }
    assert_int_equal(make_revocation(office, "{\"jti\":\"more\"}"), CHANGE_E_MANY);
    atomic_store(&office->clock.wall_us, INT64_C(4102444800000000));
    assert_int_equal(make_revocation(office, "{\"jti\":\"more\"}"), 0);
    assert_int_equal(revocations_count(&office->revocations), REVOCATIONS_MAX);
}

static void listeners_look_once_for_changes_that_came_before(void **state)
{
    struct office *office = *state;
    struct change two[2] = {{.op = CHANGE_ADD_REVOCATION}, {.op = CHANGE_ADD_REVOCATION}};
    for (int i = 0; i < 2; i++) {
        two[i].reply = &office->mailbox;
        two[i].mail.open = answered;
        assert_null(revocation_request(i ? STR("{\"jti\":\"a\"}") : STR("{\"jti\":\"b\"}"), NOW,
                                       STR_NONE, &two[i].revocation));
        changes_submit(office->changes, &two[i]);
    }
    (void)mailbox_empty(&office->mailbox);
    assert_int_equal(office->answers, 2);
    assert_int_equal(office->looks, 1);
    assert_int_equal(make_revocation(office, "{\"jti\":\"c\"}"), 0);
    assert_int_equal(office->looks, 2);
}

static void a_key_of_the_configuration_cannot_be_removed(void **state)
{
    struct office *office = *state;
    char text[KEY_TEXT_LEN + 1];
    struct key_digest digest;
    const struct api_key_facts facts = {.name = STR("ops"), .is_configured = true};
    key_text_make(text, &digest);
    key_table_put(&office->keys, api_key_new(&digest, &facts));
    assert_int_equal(remove_id(office, CHANGE_REMOVE_KEY, str_from(digest.id)),
                     CHANGE_E_CONFIGURED);
    caller_unref(ask(office, text).caller);
    restart(office);
    assert_int_equal(key_table_count(&office->keys), 0);
}

static void the_number_of_keys_is_bounded(void **state)
{
    struct office *office = *state;
    char text[KEY_TEXT_LEN + 1];
    struct key_digest digest;
    const struct api_key_facts facts = {.name = STR("many")};
    for (int i = 0; i < KEYS_MAX; i++) {
        key_text_make(text, &digest);
        key_table_put(&office->keys, api_key_new(&digest, &facts));
    }
    assert_int_equal(add_key(office, text), CHANGE_E_MANY);
}

static void changes_run_on_a_thread_of_their_own(void **state)
{
    struct office *office = *state;
    char text[KEY_TEXT_LEN + 1];
    assert_int_equal(changes_start(office->changes), 0);
    assert_int_equal(add_key(office, text), 0);
    assert_int_equal(make_revocation(office, "{\"jti\":\"a\"}"), 0);
    restart(office);
    assert_int_equal(key_table_count(&office->keys), 1);
    assert_int_equal(revocations_count(&office->revocations), 1);
}

int main(void)
{
    faults_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_key_is_known_at_once_and_after_a_restart_until_it_is_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_is_not_missing_until_it_is_gone_from_the_disk, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_last_use_of_a_key_survives_a_restart, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_use_that_could_not_be_saved_is_saved_later, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_revocation_survives_a_restart_and_ends, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            revocations_are_forgotten_in_bundles_between_which_others_are_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_clock_that_runs_ahead_for_a_while_ends_no_revocation,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(ended_revocations_give_way_to_new_ones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(listeners_look_once_for_changes_that_came_before, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_key_of_the_configuration_cannot_be_removed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_number_of_keys_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changes_run_on_a_thread_of_their_own, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
