/* Shares: how much of the table each address and each subject may have, so that a single client
 * cannot take all of it from the others.
 *
 * A holder has a share of what is left: it may get one more while it has less than `percent` of the
 * sum of its own and the free places. A holder that is alone gets that part of the table, several
 * get less each, and there is always something left for a new one. Whatever has no holder, such as
 * a member of before a restart, is only taken.
 *
 * Holders are told apart by a keyed hash with SHARE_HOLDERS values, as in the table of channels
 * (log/channels.h): the memory is fixed, an owner remembers 12 bits, and no client can choose whom
 * it shares a value with. All of it belongs to the thread of the host. */
#pragma once

#include "presence/names.h"

enum share_kind { SHARE_MEMBERS, SHARE_MARKS, SHARE_CHANNELS, SHARE_KINDS };

#define SHARE_HOLDERS 4095U /* holders are 1 to this, in 12 bits; 0: none */

enum { SHARES_FROM = 1000 }; /* a table for fewer has no shares */

struct shares {
    uint64_t seed[2];
    uint32_t of_address[SHARE_KINDS][SHARE_HOLDERS + 1];
    uint32_t of_subject[SHARE_KINDS][SHARE_HOLDERS + 1];
};

void shares_init(struct shares *shares);

/* The holder that an address is (net/peer.h). Peers without one are one holder together. */
uint16_t shares_address(const struct shares *shares, uint64_t address);

/* The holder that a person is: 0 if the name was not verified. */
uint16_t shares_subject(const struct shares *shares, struct presence_who who);

/* Whether a holder that has `own` of the `taken` places may take one more of `max`. 0 percent
 * counts as 100. */
bool share_has_place(uint32_t own, uint64_t taken, uint64_t max, unsigned percent);

/* Counts one more, or one less, for an address and a subject; holder 0 is not counted. */
void shares_take(struct shares *shares, enum share_kind kind, uint16_t address, uint16_t subject);
void shares_give(struct shares *shares, enum share_kind kind, uint16_t address, uint16_t subject);
