#include "presence/desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The host writes down what it is told. */
struct host {
    struct mailbox mailbox;
    char told[4096];
    unsigned sheets;
};

static void open_sheet(struct mail *mail, void *owner)
{
    struct host *host = owner;
    struct desk_sheet *sheet = container_of(mail, struct desk_sheet, mail);
    struct desk_report report;
    host->sheets++;
    for (uint32_t at = 0; at < sheet->len;
         at += (uint32_t)sizeof(report) + report.channel_len + report.name_len) {
        size_t len = strlen(host->told);
        memcpy(&report, sheet->bytes + at, sizeof(report));
        const char *text = sheet->bytes + at + sizeof(report);
        snprintf(host->told + len, sizeof(host->told) - len, "%u%c%.*s:%.*s ", report.party,
                 report.flags & DESK_JOIN ? '+' : '-', report.channel_len, text, report.name_len,
                 text + report.channel_len);
    }
    free(sheet);
}

static const struct presence_settings *settings;

static void set_up(struct host *host, struct presence_desk *desk)
{
    const struct presence_rule rule = {.prefix = STR("a"), .on = true};
    *host = (struct host){.sheets = 0};
    assert_int_equal(mailbox_init(&host->mailbox, host), 0);
    settings = presence_settings_new(&rule, 1);
    desk_init(desk, &host->mailbox, open_sheet, 0);
    desk_switch(desk, settings);
}

static void tear_down(struct host *host, struct presence_desk *desk)
{
    desk_deinit(desk);
    mailbox_empty(&host->mailbox);
    mailbox_deinit(&host->mailbox);
    presence_settings_unref(settings);
}

static void expect(struct host *host, struct presence_desk *desk, const char *told)
{
    desk_flush(desk);
    mailbox_empty(&host->mailbox);
    assert_string_equal(host->told, told);
    host->told[0] = '\0';
}

static char x, y;
static const struct presence_visitor zoe = {.who = {{"zoe", 3}, true}, .address = 1};
static const struct presence_visitor nobody = {.address = 2};

static void a_turn_is_reported_by_one_mail(void **state)
{
    struct host host;
    struct presence_desk desk;
    const struct str channels[] = {STR("a/1"), STR("b"), STR("a/2")};
    (void)state;
    set_up(&host, &desk);
    desk_join(&desk, &x, channels, 3, &zoe);
    desk_join(&desk, &y, channels, 1, &nobody);
    desk_leave(&desk, &x);
    expect(&host, &desk, "0+a/1:zoe 0+a/2:zoe 1+a/1: 0-: ");
    assert_int_equal(host.sheets, 1);
    desk_join(&desk, &x, channels, 1, &zoe); /* the number is free again */
    expect(&host, &desk, "0+a/1:zoe ");
    desk_leave(&desk, &x);
    desk_leave(&desk, &y);
    desk_leave(&desk, &y);
    expect(&host, &desk, "0-: 1-: ");
    tear_down(&host, &desk);
}

static void an_owner_without_presence_takes_no_place(void **state)
{
    struct host host;
    struct presence_desk desk;
    const struct str channels[] = {STR("b")};
    (void)state;
    set_up(&host, &desk);
    desk_join(&desk, &x, channels, 1, &zoe);
    assert_int_equal(desk.seats.count, 0);
    desk_leave(&desk, &x);
    expect(&host, &desk, "");
    tear_down(&host, &desk);
}

static void many_reports_take_several_mails(void **state)
{
    static char owners[200], name[200];
    struct host host;
    struct presence_desk desk;
    const struct str channels[] = {STR("a/1")};
    (void)state;
    set_up(&host, &desk);
    memset(name, 'n', sizeof(name));
    for (unsigned i = 0; i < 200; i++)
        desk_join(&desk, &owners[i], channels, 1,
                  &(struct presence_visitor){.who = {{name, sizeof(name)}, false}});
    desk_flush(&desk);
    mailbox_empty(&host.mailbox);
    assert_in_range(host.sheets, 10, 20);
    for (unsigned i = 0; i < 200; i++)
        desk_leave(&desk, &owners[i]);
    tear_down(&host, &desk);
}

/* Otherwise the host would keep a member for good, or take another owner for it. */
static void an_end_that_finds_no_memory_is_reported_later(void **state)
{
    struct host host;
    struct presence_desk desk;
    const struct str channels[] = {STR("a/1")};
    (void)state;
    set_up(&host, &desk);
    desk_join(&desk, &x, channels, 1, &zoe);
    expect(&host, &desk, "0+a/1:zoe ");
    mem_fail_nth(1);
    desk_leave(&desk, &x);
    mem_fail_nth(0);
    desk_join(&desk, &y, channels, 1, &zoe);
    expect(&host, &desk, "1+a/1:zoe 0-: ");
    desk_leave(&desk, &y);
    expect(&host, &desk, "1-: ");
    tear_down(&host, &desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_is_reported_by_one_mail),
        cmocka_unit_test(an_owner_without_presence_takes_no_place),
        cmocka_unit_test(many_reports_take_several_mails),
        cmocka_unit_test(an_end_that_finds_no_memory_is_reported_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
