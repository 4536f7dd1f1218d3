/* Feeds what clients write to the reader of Forwarded, X-Forwarded-For and X-Forwarded-Proto:
 * whatever stands in front of what the nearest proxy adds, and whatever Host the proxy quotes
 * beside it, the first address and scheme that are read are the proxy's, and all lie within the
 * fields. The first line of the input is the field as the client sent it, the rest is its Host. */
#include "require.h"

#include "base/buf.h"
#include "http/forwarded.h"

static const char nearest[] = "192.0.2.7";

static void check(struct str lines, bool is_standard)
{
    static const struct http_limits limits = {.fields_max = 4, .section_max = 1 << 20};
    struct http_fields fields;
    struct str address;
    size_t count = 0;
    if (http_fields_parse(lines, &limits, &fields))
        return;
    struct http_forwarded walk = http_forwarded_walk(&fields, is_standard);
    while (http_forwarded_before(&walk, &address)) {
        require(count++ || str_eq(address, str_from(nearest)));
        require(!address.len ||
                (address.at >= lines.at && address.at + address.len <= lines.at + lines.len));
        require(count <= lines.len);
    }
    require(count);
    require(str_eq(http_forwarded_proto(&fields, is_standard, 1), STR("http")));
    for (unsigned steps = 1; steps < 4; steps++) {
        struct str host = http_forwarded_host(&fields, is_standard, steps);
        require(!host.len || (host.at >= lines.at && host.at + host.len <= lines.at + lines.len));
    }
}

/* A string as RFC 9110 quotes it. */
static void add_quoted(struct buf *out, struct str text)
{
    buf_add_lit(out, "\"");
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '"' || text.at[i] == '\\')
            buf_add_lit(out, "\\");
        buf_add_str(out, (struct str){text.at + i, 1});
    }
    buf_add_lit(out, "\"");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str host = {(const char *)data, size};
    struct str field = str_cut(&host, '\n');
    struct buf standard = {0}, usual = {0};
    if ((size && memchr(data, '\r', size)) || (host.len && memchr(host.at, '\n', host.len)))
        return 0; /* further fields, which no proxy would pass on */
    buf_add_lit(&standard, "Forwarded: ");
    buf_add_str(&standard, field);
    buf_add_lit(&standard, ", proto=http;host=");
    add_quoted(&standard, host);
    buf_addf(&standard, ";for=%s\r\n", nearest);
    buf_addf(&usual, "X-Forwarded-For: %.*s, %s\r\n", STR_FMT(field), nearest);
    buf_addf(&usual, "X-Forwarded-Proto: %.*s, http\r\n", STR_FMT(field));
    check(buf_str(&standard), true);
    check(buf_str(&usual), false);
    buf_free(&standard);
    buf_free(&usual);
    return 0;
}
