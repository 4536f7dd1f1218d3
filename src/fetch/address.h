/* Where webhooks may go: which addresses a stranger's URL may make this server connect to. */
#pragma once

#include "net/network.h"

#include <sys/socket.h>

/* Whether the network opens any address at all when it is listed: see address_allowed() for those
 * that a wide network leaves closed. */
bool network_opens(const struct network *network);

struct address_policy {
    bool loopback;                  /* 127.0.0.0/8 and ::1 too */
    const struct network *networks; /* networks that are allowed too; see address_allowed() */
    size_t networks_count;
    const char *const *hosts; /* and whatever is reached by these names */
    size_t hosts_count;
};

/* Whether a connection to this address may be made: public addresses, and what the policy adds.
 * IPv4 mapped into IPv6 is judged as IPv4; tunnels and translators (6to4, NAT64, Teredo) lead
 * anywhere and are refused unless listed, and then where they lead must be allowed as well.
 * Loopback, link-local, multicast, reserved and unspecified addresses and the metadata of clouds
 * are opened by networks within their own ranges alone, not by wider ones. To be asked of the very
 * address that is given to connect(): a name may resolve to something else a moment later. */
bool address_allowed(const struct sockaddr *address, const struct address_policy *policy);

/* The same for an address in figures, such as "::1". */
bool address_text_allowed(struct str text, const struct address_policy *policy);

/* Whether webhooks may go anywhere by this name. */
bool address_host_trusted(struct str host, const struct address_policy *policy);

/* Whether `host`, as it stands in a URL, is an address that is not allowed; false for names. */
bool address_host_refused(struct str host, const struct address_policy *policy);

/* Whether `host`, as it stands in a URL, can be connected to by anybody: an address as inet_pton()
 * reads it (IPv6 in brackets), or a name of labels of 1 to 63 letters, digits, '-' and '_', 253
 * bytes at most. A name whose last label is a number is meant for an address, and is none. */
bool address_host_possible(struct str host);
