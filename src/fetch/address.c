#include "fetch/address.h"

/* Addresses that are not for everybody: the IANA registries of special-purpose addresses. */
static const char *const special[] = {
    "0.0.0.0/8",      "10.0.0.0/8",     "100.64.0.0/10",   "127.0.0.0/8",     "169.254.0.0/16",
    "172.16.0.0/12",  "192.0.0.0/24",   "192.0.2.0/24",    "192.31.196.0/24", "192.52.193.0/24",
    "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",   "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",
};

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
    return (network_is_v4(address) && address[12] == 127) || memcmp(address, one, sizeof(one)) == 0;
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
        meets |= bits < range.bits && network_has_prefix(range.address, network->address, bits);
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
        network_map_v4(address + wraps[i].at, ret);
        return true;
    }
    return false;
}

static bool is_plain_allowed(const uint8_t address[16], const struct address_policy *policy)
{
    if (is_listed(address, policy) || (policy->loopback && is_loopback(address)))
        return true;
    if (network_is_v4(address))
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
    return network_address(address, bytes) && is_allowed(bytes, policy);
}

bool address_text_allowed(struct str text, const struct address_policy *policy)
{
    uint8_t bytes[16];
    bool v4;
    return !network_parse_address(text, bytes, &v4) && is_allowed(bytes, policy);
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
    uint8_t address[16];
    bool is_v4;
    bool is_literal = host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']';
    if (is_host_name(host))
        return true;
    if (is_literal)
        host = (struct str){host.at + 1, host.len - 2};
    return !network_parse_address(host, address, &is_v4) && is_literal != is_v4;
}
