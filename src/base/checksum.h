/* A checksum of bytes that are kept on disk: fast, and the same on every machine. */
#pragma once

#include "base/str.h"

#include <stdint.h>

/* Both take the checksum of what came before, 0 at the start, so that the parts of a record can be
 * added one after the other. The order of the parts and the length of each count. A checksum finds
 * what a disk has changed. It is no protection against somebody who changes the bytes on purpose.
 */
uint64_t checksum_bytes(uint64_t sum, struct str bytes);
uint64_t checksum_numbers(uint64_t sum, uint64_t a, uint64_t b);
