/* Makers: the addresses and connections among which the log shares out new channels. */
#pragma once

#include "log/log.h"
#include "publish/proposal.h"

/* The number of the client's address (net/peer.h), whatever trusted proxies are between; PEER_NONE
 * for the server itself and for Unix sockets, PEER_UNKNOWN for a client that has gone. Asks the
 * kernel. */
uint64_t publisher_address(const struct publisher *publisher);

/* The maker of the channels of this publisher's events. Asks the kernel for an address only while
 * the log needs makers. */
struct maker maker_of(const struct log *log, const struct publisher *publisher);
