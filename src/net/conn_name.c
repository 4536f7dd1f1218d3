#include "net/conn_name.h"

#include "base/hash.h"
#include "base/map.h"

#include <string.h>

enum { MAC_DIGITS = 16, ID_DIGITS = CONN_NAME_SIZE - MAC_DIGITS };

void conn_names_init(struct conn_names *names)
{
    hash_random(names->key, sizeof(names->key));
}

/* The inputs of the two hashes differ in length, so that neither tells anything of the other. */
static uint64_t mac_of(const struct conn_names *names, uint32_t id)
{
    char bytes[sizeof(id)];
    memcpy(bytes, &id, sizeof(id));
    return map_hash(names->key, (struct str){bytes, sizeof(bytes)});
}

static uint32_t mask_of(const struct conn_names *names, uint64_t mac)
{
    char bytes[sizeof(mac)];
    memcpy(bytes, &mac, sizeof(mac));
    return (uint32_t)map_hash(names->key, (struct str){bytes, sizeof(bytes)});
}

static void write_digits(char *to, uint64_t number, unsigned count)
{
    for (unsigned i = count; i > 0; i--, number >>= 4)
        to[i - 1] = "0123456789abcdef"[number & 15];
}

static bool read_digits(struct str text, uint64_t *ret)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool is_digit = c >= '0' && c <= '9';
        if (!is_digit && (c < 'a' || c > 'f'))
            return false;
        number = number << 4 | (uint64_t)(is_digit ? c - '0' : c - 'a' + 10);
    }
    *ret = number;
    return true;
}

struct str conn_name_write(const struct conn_names *names, uint32_t id, char room[CONN_NAME_SIZE])
{
    uint64_t mac = mac_of(names, id);
    write_digits(room, mac, MAC_DIGITS);
    write_digits(room + MAC_DIGITS, id ^ mask_of(names, mac), ID_DIGITS);
    return (struct str){room, CONN_NAME_SIZE};
}

bool conn_name_read(const struct conn_names *names, struct str text, uint32_t *ret_id)
{
    uint64_t mac, masked;
    if (text.len != CONN_NAME_SIZE || !read_digits((struct str){text.at, MAC_DIGITS}, &mac) ||
        !read_digits(str_skip(text, MAC_DIGITS), &masked))
        return false;
    uint32_t id = (uint32_t)masked ^ mask_of(names, mac);
    *ret_id = mac_of(names, id) == mac ? id : 0;
    return true;
}
