#include "fetch/address.h"

#include "base/number.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

enum { V4_OFFSET = 96, TEXT_MAX = 64 };

/* Addresses that are not for everybody: the IANA registries of special-purpose addresses. */
static const char *const special[] = {
    "0.0.0.0/8",      "10.0.0.0/8",     "100.64.0.0/10",   "127.0.0.0/8",     "169.254.0.0/16",
    "172.16.0.0/12",  "192.0.0.0/24",   "192.0.2.0/24",    "192.31.196.0/24", "192.52.193.0/24",
    "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",   "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",
};

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void map_v4(const void *v4, uint8_t ret[16])
{
    memcpy(ret, mapped, sizeof(mapped));
    memcpy(ret + sizeof(mapped), v4, 4);
}

static bool has_prefix(const uint8_t address[16], const uint8_t *prefix, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(address, prefix, whole) != 0)
        return false;
    return !rest || ((address[whole] ^ prefix[whole]) & (uint8_t)(0xff << (8 - rest))) == 0;
}

static bool network_has(const struct network *network, const uint8_t address[16])
{
    return has_prefix(address, network->address, network->bits);
}

/* ---- reading -------------------------------------------------------------------------------- */

static int parse_address(const char *text, uint8_t ret[16], unsigned *ret_most)
{
    struct in_addr v4;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        map_v4(&v4, ret);
        *ret_most = 32;
        return 0;
    }
    *ret_most = 128;
    return inet_pton(AF_INET6, text, ret) == 1 ? 0 : -EINVAL;
}

static int parse_bits(const char *text, unsigned most, unsigned *ret_bits)
{
    uint64_t bits;
    if (number_read(str_from(text), &bits) || bits > most)
        return -EINVAL;
    *ret_bits = (unsigned)bits;
    return 0;
}

/* Whether all bits behind the prefix are zero: a typing error would open another range than
 * meant. */
static bool is_clean(const struct network *network)
{
    for (unsigned bit = network->bits; bit < 128; bit++)
        if (network->address[bit / 8] & (0x80 >> bit % 8))
            return false;
    return true;
}

int network_parse(struct str text, struct network *ret)
{
    char copy[TEXT_MAX];
    unsigned most, bits;
    if (text.len >= sizeof(copy) || (text.len && memchr(text.at, '\0', text.len)))
        return -EINVAL;
    if (text.len)
        memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    char *slash = strchr(copy, '/');
    if (slash)
        *slash++ = '\0';
    int result = parse_address(copy, ret->address, &most);
    if (result)
        return result;
    bits = most;
    if (slash && (result = parse_bits(slash, most, &bits)))
        return result;
    ret->bits = (uint8_t)(most == 32 ? bits + V4_OFFSET : bits);
    return is_clean(ret) ? 0 : -EINVAL;
}

/* ---- judging -------------------------------------------------------------------------------- */

static bool is_special_v4(const uint8_t address[16])
{
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        struct network network;
        if (!network_parse(str_from(special[i]), &network) && network_has(&network, address))
            return true;
    }
    return false;
}

/* Only 2000::/3 of IPv6 is given out for public use; the special ranges within it are listed. NAT64
 * (64:ff9b::/96) lies outside; Teredo, 6to4 and the benchmarks lie within. */
static bool is_special_v6(const uint8_t address[16])
{
    static const char *const within[] = {"2001::/23", "2001:db8::/32", "2002::/16",
                                         "2620:4f:8000::/48", "3fff::/20"};
    if ((address[0] & 0xe0) != 0x20)
        return true;
    for (size_t i = 0; i < sizeof(within) / sizeof(within[0]); i++) {
        struct network network;
        if (!network_parse(str_from(within[i]), &network) && network_has(&network, address))
            return true;
    }
    return false;
}

static bool is_loopback(const uint8_t address[16])
{
    static const uint8_t one[16] = {[15] = 1};
    return (has_prefix(address, mapped, V4_OFFSET) && address[12] == 127) ||
           memcmp(address, one, sizeof(one)) == 0;
}

/* Addresses that only an entry of their own opens: a wide network or a default route in the list is
 * not meant for the machine itself, its neighbours on the wire, or the metadata of a cloud. */
static const char *const guarded[] = {
    "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4",       "240.0.0.0/4",
    "::/127",    "fe80::/10",   "ff00::/8",       "fd00:ec2::254/128",
};

static unsigned guarded_bits(const uint8_t address[16])
{
    for (size_t i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++) {
        struct network network;
        if (!network_parse(str_from(guarded[i]), &network) && network_has(&network, address))
            return network.bits;
    }
    return 0;
}

/* Whether all of the network lies within guarded ranges that are narrower than it is: halves it
 * until a half lies within a guarded range or meets none. As deep as the longest guarded prefix,
 * and as wide as there are guarded ranges. */
static bool is_guarded(const struct network *network, unsigned bits)
{
    bool meets = false;
    for (size_t i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++) {
        struct network range;
        if (network_parse(str_from(guarded[i]), &range))
            continue;
        if (bits >= range.bits && network_has(&range, network->address))
            return true;
        meets |= bits < range.bits && has_prefix(range.address, network->address, bits);
    }
    if (!meets)
        return false;
    struct network low = *network, high = *network;
    high.address[bits / 8] |= (uint8_t)(0x80 >> bits % 8);
    return is_guarded(&low, bits + 1) && is_guarded(&high, bits + 1);
}

bool network_opens(const struct network *network)
{
    return network->bits >= guarded_bits(network->address) || !is_guarded(network, network->bits);
}

static bool is_listed(const uint8_t address[16], const struct address_policy *policy)
{
    unsigned least = guarded_bits(address);
    for (size_t i = 0; i < policy->networks_count; i++)
        if (policy->networks[i].bits >= least && network_has(&policy->networks[i], address))
            return true;
    return false;
}

/* The IPv4 address that a translator or tunnel leads to: NAT64 (RFC 6052, 8215), 6to4 (RFC 3056),
 * IPv4-compatible (RFC 4291 section 2.5.5.1). */
static bool unwrap(const uint8_t address[16], uint8_t ret[16])
{
    static const struct {
        const char *prefix;
        unsigned at; /* of the four bytes */
    } wraps[] = {{"64:ff9b::/96", 12}, {"64:ff9b:1::/48", 12}, {"2002::/16", 2}, {"::/96", 12}};
    static const uint8_t none[15] = {0};
    if (memcmp(address, none, sizeof(none)) == 0)
        return false; /* :: and ::1 are themselves */
    for (size_t i = 0; i < sizeof(wraps) / sizeof(wraps[0]); i++) {
        struct network network;
        if (network_parse(str_from(wraps[i].prefix), &network) || !network_has(&network, address))
            continue;
        map_v4(address + wraps[i].at, ret);
        return true;
    }
    return false;
}

static bool is_plain_allowed(const uint8_t address[16], const struct address_policy *policy)
{
    if (is_listed(address, policy) || (policy->loopback && is_loopback(address)))
        return true;
    if (has_prefix(address, mapped, V4_OFFSET))
        return !is_special_v4(address);
    return !is_special_v6(address);
}

static bool is_allowed(const uint8_t address[16], const struct address_policy *policy)
{
    uint8_t inner[16];
    /* Where it leads counts as well. */
    if (unwrap(address, inner) && !is_plain_allowed(inner, policy))
        return false;
    return is_plain_allowed(address, policy);
}

bool address_allowed(const struct sockaddr *address, const struct address_policy *policy)
{
    uint8_t bytes[16];
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        map_v4(&v4.sin_addr, bytes);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        memcpy(bytes, &v6.sin6_addr, sizeof(bytes));
    } else {
        return false;
    }
    return is_allowed(bytes, policy);
}

bool address_host_trusted(struct str host, const struct address_policy *policy)
{
    for (size_t i = 0; i < policy->hosts_count; i++)
        if (str_eq_nocase(host, str_from(policy->hosts[i])))
            return true;
    return false;
}

bool address_host_refused(struct str host, const struct address_policy *policy)
{
    struct network network;
    if (host.len >= 2 && host.at[0] == '[')
        host = (struct str){host.at + 1, host.len - 2};
    if (memchr(host.at, '/', host.len) || network_parse(host, &network))
        return false;
    return !is_allowed(network.address, policy);
}

/* ---- hosts ---------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_char(char c)
{
    return is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '-' || c == '_';
}

static bool is_label(struct str label)
{
    enum { LABEL_MAX = 63 };
    for (size_t i = 0; i < label.len; i++)
        if (!is_name_char(label.at[i]))
            return false;
    return label.len && label.len <= LABEL_MAX && label.at[0] != '-';
}

/* Whether the label is a decimal, octal or hexadecimal number. Resolvers take a host that ends with
 * such a label for an IPv4 address. */
static bool is_number_label(struct str label)
{
    bool is_hex = label.len > 1 && label.at[0] == '0' && ascii_lower(label.at[1]) == 'x';
    for (size_t i = is_hex ? 2 : 0; i < label.len; i++)
        if (!is_digit(label.at[i]) &&
            !(is_hex && ascii_lower(label.at[i]) >= 'a' && ascii_lower(label.at[i]) <= 'f'))
            return false;
    return true;
}

static bool is_host_name(struct str host)
{
    enum { HOST_MAX = 253 };
    struct str label = STR_NONE;
    if (host.len && host.at[host.len - 1] == '.')
        host.len--; /* the root, which may be named */
    if (!host.len || host.len > HOST_MAX)
        return false;
    while (host.at) {
        label = str_cut(&host, '.');
        if (!is_label(label))
            return false;
    }
    return !is_number_label(label);
}

bool address_host_possible(struct str host)
{
    char text[TEXT_MAX];
    uint8_t address[16];
    unsigned most;
    bool is_literal = host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']';
    if (is_host_name(host))
        return true;
    if (is_literal)
        host = (struct str){host.at + 1, host.len - 2};
    if (!host.len || host.len >= sizeof(text) || memchr(host.at, '\0', host.len))
        return false;
    memcpy(text, host.at, host.len);
    text[host.len] = '\0';
    return !parse_address(text, address, &most) && is_literal == (most == 128);
}
