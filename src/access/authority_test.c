#include "access/authority.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A source that knows a single word, and answers at once or later. */
struct word_source {
    struct identity_source source;
    struct str word;
    bool is_slow;
    struct identification *asked;
};

static struct identity answer_of(struct word_source *source, struct str text)
{
    const struct caller_facts facts = {.kind = CALLER_KEY, .subject = source->word};
    return str_eq(text, source->word) ? identity_of(caller_new(&facts)) : identity_bad("unknown");
}

static struct identity identify_word(struct identity_source *base,
                                     const struct credential *credential,
                                     struct identification *identification)
{
    struct word_source *source = container_of(base, struct word_source, source);
    if (!credential->text.len || credential->text.at[0] != source->word.at[0])
        return (struct identity){.state = IDENTITY_FOREIGN};
    source->asked = identification;
    return source->is_slow ? (struct identity){.state = IDENTITY_LATER}
                           : answer_of(source, credential->text);
}

static struct word_source word_source(const char *word, bool is_slow)
{
    return (struct word_source){
        .source = {"word", identify_word}, .word = str_from(word), .is_slow = is_slow};
}

static void a_request_without_a_credential_comes_from_anybody(void **state)
{
    (void)state;
    struct authority authority = {0};
    struct identification identification = {0};
    const struct credential none = {.kind = CREDENTIAL_NONE};
    struct identity identity = authority_identify(&authority, &none, &identification);
    assert_int_equal(identity.state, IDENTITY_KNOWN);
    assert_null(identity.caller);
}

static void the_first_source_that_takes_a_credential_answers(void **state)
{
    (void)state;
    struct authority authority = {0};
    struct identification identification = {0};
    struct word_source first = word_source("apple", false), second = word_source("berry", false);
    authority_add(&authority, &first.source);
    authority_add(&authority, &second.source);
    static const struct {
        const char *text, *subject;
        enum identity_state state;
    } rows[] = {{"apple", "apple", IDENTITY_KNOWN},
                {"berry", "berry", IDENTITY_KNOWN},
                {"aloe", NULL, IDENTITY_BAD},
                {"cherry", NULL, IDENTITY_FOREIGN},
                {"", NULL, IDENTITY_FOREIGN}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct credential credential = {.kind = CREDENTIAL_BEARER,
                                              .text = str_from(rows[i].text)};
        struct identity identity = authority_identify(&authority, &credential, &identification);
        assert_int_equal(identity.state, rows[i].state);
        if (rows[i].subject)
            assert_true(str_eq(caller_subject(identity.caller), str_from(rows[i].subject)));
        else
            assert_non_null(identity.why);
        caller_unref(identity.caller);
    }
}

static unsigned done_count;

static void on_done(struct identification *identification)
{
    (void)identification;
    done_count++;
}

static void a_late_answer_comes_as_mail_of_the_asker(void **state)
{
    (void)state;
    struct authority authority = {0};
    struct mailbox home;
    struct word_source source = word_source("apple", true);
    authority_add(&authority, &source.source);
    assert_int_equal(mailbox_init(&home, NULL), 0);
    struct identification identification = {.done = on_done, .home = &home};
    const struct credential credential = {.kind = CREDENTIAL_QUERY, .text = STR("apple")};
    assert_int_equal(authority_identify(&authority, &credential, &identification).state,
                     IDENTITY_LATER);
    identification_answer(source.asked, answer_of(&source, STR("apple")));
    assert_int_equal(done_count, 0);
    assert_int_equal(mailbox_empty(&home), 1);
    assert_int_equal(done_count, 1);
    assert_int_equal(identification.identity.state, IDENTITY_KNOWN);
    assert_true(str_eq(caller_subject(identification.identity.caller), STR("apple")));
    caller_unref(identification.identity.caller);
    mailbox_deinit(&home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_without_a_credential_comes_from_anybody),
        cmocka_unit_test(the_first_source_that_takes_a_credential_answers),
        cmocka_unit_test(a_late_answer_comes_as_mail_of_the_asker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
