#include "backend/turns.h"

#include "net/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

enum { QUESTIONS_MAX = 16 };

/* Questions A, B, C, … in the order in which they are asked. */
struct rig {
    struct turns turns;
    struct turns_limits limits;
    struct turn questions[QUESTIONS_MAX];
    unsigned asked;
    char sent[QUESTIONS_MAX + 1];
    size_t sent_count;
};

static void open_rig(struct rig *rig, struct turns_limits limits)
{
    *rig = (struct rig){.limits = limits};
    turns_init(&rig->turns);
}

static void close_rig(struct rig *rig)
{
    for (unsigned i = 0; i < rig->asked; i++)
        if (rig->questions[i].address)
            turns_remove(&rig->turns, &rig->questions[i]);
    assert_int_equal(rig->turns.sent, 0);
    assert_int_equal(rig->turns.sites.count, 0);
    assert_int_equal(rig->turns.addresses.count, 0);
    assert_true(list_empty(&rig->turns.waiting));
    turns_deinit(&rig->turns);
}

static void send_all(struct rig *rig)
{
    for (struct turn *turn; (turn = turns_next(&rig->turns, &rig->limits));)
        rig->sent[rig->sent_count++] = (char)('A' + (turn - rig->questions));
}

static void ask(struct rig *rig, char site, char address)
{
    char url[32];
    snprintf(url, sizeof(url), "https://%c.example/may", site);
    turns_add(&rig->turns, &rig->questions[rig->asked++], str_from(url),
              address == 'u' ? PEER_NONE : (uint64_t)address);
}

/* Does what the words say, and sends after each word what may be sent: "+xa" asks site x for
 * address a, where u is a Unix socket; "-A" ends the question A. */
static void play(struct rig *rig, const char *words)
{
    for (const char *at = words; *at; at += strspn(at, " ")) {
        if (*at == '+')
            ask(rig, at[1], at[2]);
        else
            turns_remove(&rig->turns, &rig->questions[at[1] - 'A']);
        send_all(rig);
        at += strcspn(at, " ");
    }
}

static void sites_and_addresses_take_turns(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        struct turns_limits limits;
        const char *words, *sent;
    } rows[] = {
        {"what has room is sent at once", {2, 2, 2}, "+xa +xa", "AB"},
        {"one address is first come, first served", {1, 1, 1}, "+xa +xa +xa -A -B", "ABC"},
        {"addresses take turns", {1, 1, 1}, "+xa +xa +xa +xb +xb +xc -A -B -D -F -C", "ABDFCE"},
        {"an address that comes later waits for no more than one turn of each",
         {1, 1, 1},
         "+xa +xa +xa +xa -A +xb -B -C -E",
         "ABCED"},
        {"sites take turns", {1, 1, 1}, "+xa +xa +xa +ya +ya -A -B -D -C", "ABDCE"},
        {"a site has its places and no more", {4, 2, 2}, "+xa +xb +xc +ya -A", "ABDC"},
        {"an address has its places at a site", {4, 4, 2}, "+xa +xa +xa +xb -A", "ABDC"},
        {"an address has places at each site", {4, 2, 1}, "+xa +xa +ya", "AC"},
        {"a Unix socket is no address", {4, 4, 1}, "+xu +xu +xu", "ABC"},
        {"a Unix socket takes turns with addresses", {1, 1, 1}, "+xu +xu +xu +xa -A -B", "ABD"},
        {"an address without a place keeps its turn",
         {3, 3, 1},
         "+xa +xa +xb +xb +xc -E -A -C",
         "ACEBD"},
        {"all places are taken", {2, 2, 2}, "+xa +ya +za -B", "ABC"},
        {"a question that ends while it waits takes no place",
         {1, 1, 1},
         "+xa +xa +xb -B -A",
         "AC"},
        {"nothing waits any more", {1, 1, 1}, "+xa +xb -B -A +ya", "AC"},
        {"an address that waits no more has no turn", {1, 1, 1}, "+xa +xb +xc -B -A", "AC"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        open_rig(&rig, rows[i].limits);
        play(&rig, rows[i].words);
        if (strcmp(rig.sent, rows[i].sent) != 0)
            fail_msg("%s: %s", rows[i].why, rig.sent);
        close_rig(&rig);
    }
}

static void limits_may_change_while_questions_wait(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, (struct turns_limits){4, 4, 4});
    play(&rig, "+xa +xa +xa");
    rig.limits = (struct turns_limits){4, 2, 2};
    play(&rig, "+xa +xb -A");
    assert_string_equal(rig.sent, "ABC");
    play(&rig, "-B");
    assert_string_equal(rig.sent, "ABCD");
    rig.limits = (struct turns_limits){4, 3, 2};
    play(&rig, "+xa");
    assert_string_equal(rig.sent, "ABCDE");
    close_rig(&rig);
}

static void urls_with_the_same_host_and_port_are_one_site(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        size_t sites;
    } rows[] = {
        {"https://a/may", "https://a/may", 1},
        {"https://a/may", "https://a/other", 1},
        {"https://a/may", "https://a", 1},
        {"https://a", "https://a?x=1", 1},
        {"https://a", "https://a#x", 1},
        {"https://a", "http://a", 1},
        {"https://a", "https://me:secret@a", 1},
        {"https://a/@b", "https://b", 2},
        {"https://a", "https://b", 2},
        {"https://a:1/x", "https://a:2/x", 2},
        {"https://a:1/x", "https://a:1/y", 1},
        {"http://[::1]:1/x", "http://[::1]:1/y", 1},
        {"http://[::1]:1/x", "http://[::2]:1/x", 2},
        {"https://a", "https://aa", 2},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        open_rig(&rig, (struct turns_limits){1, 1, 1});
        turns_add(&rig.turns, &rig.questions[rig.asked++], str_from(rows[i].first), 1);
        turns_add(&rig.turns, &rig.questions[rig.asked++], str_from(rows[i].second), 1);
        if (rig.turns.sites.count != rows[i].sites)
            fail_msg("%s %s", rows[i].first, rows[i].second);
        close_rig(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sites_and_addresses_take_turns),
        cmocka_unit_test(limits_may_change_while_questions_wait),
        cmocka_unit_test(urls_with_the_same_host_and_port_are_one_site),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
