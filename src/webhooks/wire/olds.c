#include "webhooks/wire/olds.h"

#include "base/mem.h"

#include <endian.h>
#include <stdlib.h>

/* An old key on the disk. Numbers are big-endian. */
struct packed {
    uint64_t until_us;
    uint8_t key_len;
    uint8_t key[SIGN_KEY_MOST];
    uint8_t pair_is_set;
    uint8_t seed[32];
    uint8_t open[32];
} __attribute__((packed));

bool olds_with(const struct olds *olds, const struct old_key *key, int64_t now_us, struct olds *ret)
{
    ret->count = 0;
    ret->at = mem_try_alloc((olds->count + 1) * sizeof(*ret->at));
    if (!ret->at)
        return false;
    ret->at[ret->count++] = *key;
    for (uint32_t i = 0; i < olds->count && ret->count < OLDS_MAX; i++)
        if (olds->at[i].until_us > now_us)
            ret->at[ret->count++] = olds->at[i];
    return true;
}

void olds_free(struct olds *olds)
{
    free(olds->at);
    *olds = (struct olds){0};
}

void olds_pack(struct buf *out, const struct olds *olds)
{
    for (uint32_t i = 0; i < olds->count; i++) {
        const struct old_key *old = &olds->at[i];
        struct packed packed = {.until_us = htobe64((uint64_t)old->until_us),
                                .key_len = old->key.len,
                                .pair_is_set = old->pair.set};
        memcpy(packed.key, old->key.bytes, sizeof(packed.key));
        memcpy(packed.seed, old->pair.seed, sizeof(packed.seed));
        memcpy(packed.open, old->pair.open, sizeof(packed.open));
        buf_add(out, &packed, sizeof(packed));
    }
}

static struct old_key unpack(const struct packed *packed)
{
    struct old_key old = {.until_us = (int64_t)be64toh(packed->until_us),
                          .key.len = packed->key_len,
                          .pair.set = packed->pair_is_set};
    memcpy(old.key.bytes, packed->key, sizeof(packed->key));
    memcpy(old.pair.seed, packed->seed, sizeof(packed->seed));
    memcpy(old.pair.open, packed->open, sizeof(packed->open));
    return old;
}

bool olds_unpack(struct str bytes, struct olds *ret)
{
    struct packed packed;
    size_t count = bytes.len / sizeof(packed);
    *ret = (struct olds){0};
    if (!count)
        return true;
    count = count < OLDS_MAX ? count : OLDS_MAX;
    ret->at = mem_try_alloc(count * sizeof(*ret->at));
    if (!ret->at)
        return false;
    for (size_t i = 0; i < count; i++) {
        memcpy(&packed, bytes.at + i * sizeof(packed), sizeof(packed));
        if (packed.key_len <= SIGN_KEY_MOST)
            ret->at[ret->count++] = unpack(&packed);
    }
    return true;
}
