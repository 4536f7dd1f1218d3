#include "net/proxy_header.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4_BYTES "\xc0\x00\x02\x07\x7f\x00\x00\x01\x12\x67\x01\xbb"

struct row {
    struct str bytes;
    int result;
    const char *address; /* "" without one */
    size_t behind;       /* bytes behind the header */
};

/* From memory that ends with the bytes. */
static int read_exact(struct str bytes, struct proxy_header *ret)
{
    char *copy = malloc(bytes.len + !bytes.len);
    assert_non_null(copy);
    memcpy(copy, bytes.at, bytes.len);
    int result = proxy_header_read((struct str){copy, bytes.len}, ret);
    free(copy);
    return result;
}

static const struct row rows[] = {
    {STR("PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\r\nGET"), 0, "192.0.2.7", 3},
    {STR("PROXY TCP6 2001:db8::7 ::1 4711 443\r\n"), 0, "2001:db8::7", 0},
    {STR("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:127.0.0.1 4711 443\r\n"), 0, "192.0.2.7", 0},
    {STR("PROXY UNKNOWN\r\n"), 0, "", 0},
    {STR("PROXY UNKNOWN ffff::1 ::1 65535 65535\r\nG"), 0, "", 1},
    {STR("PROXY TCP4 192.0.2.7 127.0.0.1 4711\r\n"), -EPROTO, "", 0},
    {STR("PROXY TCP4 192.0.2.7 127.0.0.1 4711 443 1\r\n"), -EPROTO, "", 0},
    {STR("PROXY TCP4 192.0.2.7 127.0.0.1 4711 65536\r\n"), -EPROTO, "", 0},
    {STR("PROXY TCP4 192.0.2.7  127.0.0.1 4711 443\r\n"), -EPROTO, "", 0},
    {STR("PROXY TCP4 2001:db8::7 ::1 4711 443\r\n"), -EPROTO, "", 0},
    {STR("PROXY TCP6 192.0.2.7 127.0.0.1 4711 443\r\n"), -EPROTO, "", 0},
    {STR("PROXY TCP4 192.0.2.256 127.0.0.1 4711 443\r\n"), -EPROTO, "", 0},
    {STR("PROXY TCP4 192.0.2.7\0 127.0.0.1 4711 443\r\n"), -EPROTO, "", 0},
    {STR("PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\n"), -EPROTO, "", 0},
    {STR("PROXY UDP4 192.0.2.7 127.0.0.1 4711 443\r\n"), -EPROTO, "", 0},
    {STR("proxy TCP4 192.0.2.7 127.0.0.1 4711 443\r\n"), -EPROTO, "", 0},
    {STR("PROXY \r\n"), -EPROTO, "", 0},
    {STR("PROXY  TCP4 192.0.2.7 127.0.0.1 4711 443\r\n"), -EPROTO, "", 0},
    {STR("GET / HTTP/1.1\r\n"), -EPROTO, "", 0},
    {STR("\x16\x03\x01"), -EPROTO, "", 0},
    {STR(SIGNATURE "\x21\x11\x00\x0c" V4_BYTES "GET"), 0, "192.0.2.7", 3},
    {STR(SIGNATURE "\x21\x11\x00\x0f" V4_BYTES "\x04\x00\x00"), 0, "192.0.2.7", 0},
    {STR(SIGNATURE
         "\x21\x21\x00\x24"
         "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\1\1\1\1"),
     0, "2001:db8::7", 0},
    {STR(SIGNATURE "\x20\x00\x00\x00G"), 0, "", 1},
    {STR(SIGNATURE "\x20\x11\x00\x0c" V4_BYTES), 0, "", 0},
    {STR(SIGNATURE "\x21\x00\x00\x00"), 0, "", 0},
    {STR(SIGNATURE "\x21\x12\x00\x0c" V4_BYTES), 0, "", 0},
    {STR(SIGNATURE "\x21\x11\x00\x0b" V4_BYTES), -EPROTO, "", 0},
    {STR(SIGNATURE "\x21\x21\x00\x0c" V4_BYTES), -EPROTO, "", 0},
    {STR(SIGNATURE "\x11\x11\x00\x0c" V4_BYTES), -EPROTO, "", 0},
    {STR(SIGNATURE "\x22\x11\x00\x0c" V4_BYTES), -EPROTO, "", 0},
    {STR(SIGNATURE "\x21\x11\xff\xff" V4_BYTES), -EPROTO, "", 0},
    {STR(SIGNATURE "\x21\x11\x0f\xf0"), -EAGAIN, "", 0},
    {STR(SIGNATURE "\x21\x11\x0f\xf1"), -EPROTO, "", 0},
    {STR(SIGNATURE "\x21\x10\x00\x0c" V4_BYTES), 0, "", 0},
    {STR(SIGNATURE "\x21\x32\x00\x00"), 0, "", 0},
    {STR(SIGNATURE "\x21\x13\x00\x0c" V4_BYTES), -EPROTO, "", 0},
    {STR(SIGNATURE "\x21\x41\x00\x0c" V4_BYTES), -EPROTO, "", 0},
    {STR(SIGNATURE "\x20\x4f\x00\x0c" V4_BYTES), 0, "", 0},
};

static void a_header_is_read_whole_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct proxy_header header;
        char room[INET6_ADDRSTRLEN];
        int result = read_exact(rows[i].bytes, &header);
        if (result != rows[i].result)
            fail_msg("row %zu: %d", i, result);
        if (result)
            continue;
        struct str text = client_address_text(&header.address, room);
        if (header.size != rows[i].bytes.len - rows[i].behind ||
            header.has_address != (rows[i].address[0] != '\0') ||
            (header.has_address && !str_eq(text, str_from(rows[i].address))))
            fail_msg("row %zu", i);
    }
}

static void a_header_that_has_not_come_whole_is_waited_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct proxy_header header;
        if (rows[i].result)
            continue;
        for (size_t len = 0; len < rows[i].bytes.len - rows[i].behind; len++)
            assert_int_equal(read_exact((struct str){rows[i].bytes.at, len}, &header), -EAGAIN);
    }
}

static void a_line_that_does_not_end_is_refused(void **state)
{
    (void)state;
    char line[PROXY_HEADER_MAX] = "PROXY UNKNOWN ";
    struct proxy_header header;
    memset(line + 14, 'x', sizeof(line) - 14);
    assert_int_equal(proxy_header_read((struct str){line, 106}, &header), -EAGAIN);
    assert_int_equal(proxy_header_read((struct str){line, 107}, &header), -EPROTO);
    line[106] = '\n';
    line[105] = '\r';
    assert_int_equal(proxy_header_read((struct str){line, 107}, &header), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_read_whole_or_refused),
        cmocka_unit_test(a_header_that_has_not_come_whole_is_waited_for),
        cmocka_unit_test(a_line_that_does_not_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
