#include "net/proxy_header.h"

#include "base/number.h"

#include <errno.h>

/* ---- version 1: a line of text ----------------------------------------------------------------
 */

enum { LINE_MAX_V1 = 107 };

static bool is_port(struct str text)
{
    uint64_t port;
    return text.len <= 5 && !number_read(text, &port) && port <= UINT16_MAX;
}

static bool is_address(struct str text, bool is_v4, union client_address *ret)
{
    bool has_colon = text.len && memchr(text.at, ':', text.len);
    return has_colon != is_v4 && !client_address_parse(text, ret);
}

/* "TCP4 SOURCE DESTINATION PORT PORT", or "UNKNOWN" and whatever follows. */
static int read_line(struct str line, struct proxy_header *ret)
{
    union client_address target;
    struct str family = str_cut(&line, ' ');
    bool is_v4 = str_eq(family, STR("TCP4"));
    if (str_eq(family, STR("UNKNOWN")))
        return 0;
    if (!is_v4 && !str_eq(family, STR("TCP6")))
        return -EPROTO;
    struct str from = str_cut(&line, ' '), to = str_cut(&line, ' '), port = str_cut(&line, ' ');
    if (!is_address(from, is_v4, &ret->address) || !is_address(to, is_v4, &target) ||
        !is_port(port) || !is_port(line))
        return -EPROTO;
    ret->has_address = true;
    return 0;
}

static int read_v1(struct str bytes, struct str start, struct proxy_header *ret)
{
    size_t most = bytes.len < LINE_MAX_V1 ? bytes.len : LINE_MAX_V1;
    const char *end = memchr(bytes.at, '\n', most);
    if (!end)
        return bytes.len < LINE_MAX_V1 ? -EAGAIN : -EPROTO;
    size_t len = (size_t)(end - bytes.at);
    if (len <= start.len || bytes.at[len - 1] != '\r')
        return -EPROTO;
    ret->size = len + 1;
    return read_line((struct str){bytes.at + start.len, len - 1 - start.len}, ret);
}

/* ---- version 2: bytes -------------------------------------------------------------------------
 */

enum {
    HEAD_V2 = 16, /* signature, version and command, family and protocol, length of the rest */
    LOCAL_V2 = 0x20,
    PROXY_V2 = 0x21,
    STREAM_V4 = 0x11,
    STREAM_V6 = 0x21,
    FAMILY_MAX = 3,    /* Unix sockets */
    PROTOCOL_MAX = 2,  /* datagrams */
    ADDRESSES_V4 = 12, /* two addresses and two ports */
    ADDRESSES_V6 = 36,
};

static int read_addresses(uint8_t family, struct str rest, struct proxy_header *ret)
{
    uint8_t bytes[16];
    if (family >> 4 > FAMILY_MAX || (family & 15) > PROTOCOL_MAX)
        return -EPROTO;
    if (family != STREAM_V4 && family != STREAM_V6)
        return 0; /* UNSPEC, datagrams, and Unix sockets, which have no address */
    if (rest.len < (family == STREAM_V4 ? ADDRESSES_V4 : ADDRESSES_V6))
        return -EPROTO;
    if (family == STREAM_V4)
        network_map_v4(rest.at, bytes);
    else
        memcpy(bytes, rest.at, sizeof(bytes));
    client_address_set(&ret->address, bytes);
    ret->has_address = true;
    return 0;
}

static int read_v2(struct str bytes, struct proxy_header *ret)
{
    const uint8_t *at = (const uint8_t *)bytes.at;
    if (bytes.len < HEAD_V2)
        return -EAGAIN;
    size_t rest = (size_t)at[14] << 8 | at[15];
    if ((at[12] != LOCAL_V2 && at[12] != PROXY_V2) || rest > PROXY_HEADER_MAX - HEAD_V2)
        return -EPROTO;
    if (bytes.len < HEAD_V2 + rest)
        return -EAGAIN;
    ret->size = HEAD_V2 + rest;
    if (at[12] == LOCAL_V2)
        return 0;
    return read_addresses(at[13], (struct str){bytes.at + HEAD_V2, rest}, ret);
}

/* Whether `bytes` begin as `start` does, as far as they have come. */
static bool agrees(struct str bytes, struct str start)
{
    size_t len = bytes.len < start.len ? bytes.len : start.len;
    return memcmp(bytes.at, start.at, len) == 0;
}

int proxy_header_read(struct str bytes, struct proxy_header *ret)
{
    const struct str v1 = STR("PROXY "), v2 = STR("\x0d\x0a\x0d\x0a\0\x0d\x0aQUIT\x0a");
    *ret = (struct proxy_header){0};
    if (!bytes.len)
        return -EAGAIN;
    if (!agrees(bytes, v1) && !agrees(bytes, v2))
        return -EPROTO;
    if (bytes.len < v1.len)
        return -EAGAIN;
    return bytes.at[0] == 'P' ? read_v1(bytes, v1, ret) : read_v2(bytes, ret);
}
