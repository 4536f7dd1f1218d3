#include "server/greeting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct buf text;

static void greet(const char *const *addresses, struct greeting greeting)
{
    struct listening listening = {0};
    for (unsigned i = 0; addresses[i]; i++)
        assert_true(listening_add(&listening, &(struct listen_item){.address = addresses[i]}, i) >
                    0);
    buf_clear(&text);
    greeting.listening = &listening;
    greeting.program = "build/freshet";
    greeting_add(&text, &greeting);
    buf_add(&text, "", 1);
}

#define GREET(greeting, ...) greet((const char *const[]){__VA_ARGS__, NULL}, greeting)
#define HAS(part) assert_non_null(strstr(text.at, part))
#define LACKS(part) assert_null(strstr(text.at, part))

static int end(void **state)
{
    (void)state;
    buf_free(&text);
    return 0;
}

static void a_server_of_this_machine_shows_all_four_mechanisms_and_its_pages(void **state)
{
    (void)state;
    GREET(((struct greeting){.is_local = true}), "127.0.0.1:7070");
    HAS("freshet " FRESHET_VERSION " serves http://127.0.0.1:7070\n\n");
    HAS("curl -N 'http://127.0.0.1:7070/channels/news?stream=sse'\n");
    HAS("--json '{\"url\":\"http://127.0.0.1:7070/channels/inbox\",\"channels\":[\"news\"]}'\n");
    HAS("build/freshet sub news --via ws --url http://127.0.0.1:7070\n");
    HAS("In a browser: http://127.0.0.1:7070/ ");
}

static void webhooks_to_this_machine_are_not_proposed_where_they_are_refused(void **state)
{
    (void)state;
    GREET(((struct greeting){0}), "127.0.0.1:7070");
    LACKS("webhook");
    HAS("curl http://127.0.0.1:7070/channels/news -d 'hello'\n");
}

static void a_server_that_anybody_reads_asks_for_a_key_to_publish_alone(void **state)
{
    (void)state;
    GREET(((struct greeting){.has_rules = true, .anybody_reads = true}), "127.0.0.1:7070");
    HAS("  curl -N 'http://127.0.0.1:7070/channels/news?stream=sse'\n");
    HAS("-H \"Authorization: Bearer $KEY\" http://127.0.0.1:7070/channels/news -d 'hello'\n");
}

static void a_server_with_rules_asks_for_a_key_in_each_line(void **state)
{
    (void)state;
    GREET(((struct greeting){.has_rules = true}), "127.0.0.1:7070");
    HAS("-H \"Authorization: Bearer $KEY\" http://127.0.0.1:7070/channels/news -d 'hello'\n");
    HAS("http://127.0.0.1:7070/console");
    LACKS("Try, each");
}

static void the_address_of_all_addresses_is_called_localhost(void **state)
{
    (void)state;
    GREET(((struct greeting){.base = STR("/rt")}), "0.0.0.0:7070", "[::]:7071");
    HAS("serves http://0.0.0.0:7070/rt\nand http://[::]:7071/rt\n");
    HAS("curl -N 'http://localhost:7070/rt/channels/news?stream=sse'\n");
    GREET(((struct greeting){.has_rules = true}), "https://[::]:8443");
    HAS("https://localhost:8443/console");
}

static void a_unix_socket_has_a_tour_of_its_own(void **state)
{
    (void)state;
    GREET(((struct greeting){.base = STR("/rt")}), "unix:/run/f.sock");
    HAS("serves unix:/run/f.sock\n");
    HAS("curl --unix-socket /run/f.sock http://localhost/rt/channels/news -d 'hello'\n");
}

static void trials_are_shown_at_an_address_that_clients_call_themselves(void **state)
{
    (void)state;
    GREET(((struct greeting){.is_local = true}), "proxy+http://127.0.0.1:7070",
          "redirect://127.0.0.1:80", "127.0.0.1:7071");
    HAS("serves proxy+http://127.0.0.1:7070\nand http://127.0.0.1:80\nand http://127.0.0.1:7071\n");
    HAS("curl -N 'http://127.0.0.1:7071/channels/news?stream=sse'\n");
    LACKS("curl http://127.0.0.1:7070");
    GREET(((struct greeting){.has_rules = true}), "proxy+https://localhost:7070");
    HAS("serves proxy+https://localhost:7070\n\nClients come by a proxy: docs/proxies.md ");
    LACKS("curl");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_server_of_this_machine_shows_all_four_mechanisms_and_its_pages,
                                  end),
        cmocka_unit_test_teardown(webhooks_to_this_machine_are_not_proposed_where_they_are_refused,
                                  end),
        cmocka_unit_test_teardown(a_server_that_anybody_reads_asks_for_a_key_to_publish_alone, end),
        cmocka_unit_test_teardown(a_server_with_rules_asks_for_a_key_in_each_line, end),
        cmocka_unit_test_teardown(the_address_of_all_addresses_is_called_localhost, end),
        cmocka_unit_test_teardown(a_unix_socket_has_a_tour_of_its_own, end),
        cmocka_unit_test_teardown(trials_are_shown_at_an_address_that_clients_call_themselves, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
