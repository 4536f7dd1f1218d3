#include "access/key_text.h"

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

#define PREFIX STR("fk_")

/* Writes `count` characters, 5 bits each, of `bytes`, and zeroes for the bits behind the last. */
static void write_base32(const uint8_t *bytes, size_t size, char *out, size_t count)
{
    uint32_t window = 0;
    unsigned bits = 0;
    for (size_t i = 0, at = 0; i < count; i++, bits -= 5) {
        if (bits < 5) {
            window = window << 8 | (at < size ? bytes[at] : 0);
            at++;
            bits += 8;
        }
        out[i] = alphabet[window >> (bits - 5) & 31];
    }
}

static bool is_base32(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!((text.at[i] >= 'a' && text.at[i] <= 'z') || (text.at[i] >= '2' && text.at[i] <= '7')))
            return false;
    return true;
}

bool key_id_valid(struct str text)
{
    return text.len == KEY_ID_LEN && is_base32(text);
}

/* Cuts `fk_ID` and the separator off the front. */
static bool read_id(struct str *rest, char separator, char ret_id[KEY_ID_LEN + 1])
{
    if (!str_starts(*rest, PREFIX) || rest->len < PREFIX.len + KEY_ID_LEN + 1)
        return false;
    struct str id = {rest->at + PREFIX.len, KEY_ID_LEN};
    if (!key_id_valid(id) || id.at[KEY_ID_LEN] != separator)
        return false;
    memcpy(ret_id, id.at, KEY_ID_LEN);
    ret_id[KEY_ID_LEN] = '\0';
    *rest = str_skip(*rest, PREFIX.len + KEY_ID_LEN + 1);
    return true;
}

void key_text_make(char ret_text[KEY_TEXT_LEN + 1], struct key_digest *ret_digest)
{
    uint8_t bytes[8 + HASH_SHA256_SIZE];
    hash_random(bytes, sizeof(bytes));
    memcpy(ret_text, "fk_", 3);
    write_base32(bytes, 8, ret_text + 3, KEY_ID_LEN);
    ret_text[3 + KEY_ID_LEN] = '_';
    write_base32(bytes + 8, HASH_SHA256_SIZE, ret_text + 3 + KEY_ID_LEN + 1, KEY_SECRET_LEN);
    ret_text[KEY_TEXT_LEN] = '\0';
    explicit_bzero(bytes, sizeof(bytes));
    (void)key_text_read((struct str){ret_text, KEY_TEXT_LEN}, ret_digest);
}

bool key_text_is(struct str text)
{
    return str_starts(text, PREFIX);
}

bool key_text_read(struct str text, struct key_digest *ret_digest)
{
    struct str secret = text;
    if (text.len != KEY_TEXT_LEN || !read_id(&secret, '_', ret_digest->id) || !is_base32(secret))
        return false;
    hash_sha256(text, ret_digest->hash);
    return true;
}

void key_digest_write(const struct key_digest *digest, char ret_text[KEY_DIGEST_LEN + 1])
{
    char *out = ret_text;
    *out++ = 'f';
    *out++ = 'k';
    *out++ = '_';
    memcpy(out, digest->id, KEY_ID_LEN); /* the digits behind it end with a null */
    out += KEY_ID_LEN;
    *out++ = ':';
    hash_write_hex(digest->hash, HASH_SHA256_SIZE, out);
    ret_text[KEY_DIGEST_LEN] = '\0';
}

static bool read_digit(char c, uint8_t *ret_value)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c ? strchr(digits, c) : NULL;
    *ret_value = (uint8_t)(found ? found - digits : 0);
    return found != NULL;
}

bool key_digest_read(struct str text, struct key_digest *ret_digest)
{
    struct str hash = text;
    if (text.len != KEY_DIGEST_LEN || !read_id(&hash, ':', ret_digest->id))
        return false;
    for (size_t i = 0; i < HASH_SHA256_SIZE; i++) {
        uint8_t high, low;
        if (!read_digit(hash.at[2 * i], &high) || !read_digit(hash.at[2 * i + 1], &low))
            return false;
        ret_digest->hash[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool key_digest_equal(const struct key_digest *a, const struct key_digest *b)
{
    bool same_id = str_eq((struct str){a->id, KEY_ID_LEN}, (struct str){b->id, KEY_ID_LEN});
    return hash_equal((struct str){(const char *)a->hash, HASH_SHA256_SIZE},
                      (struct str){(const char *)b->hash, HASH_SHA256_SIZE}) &&
           same_id;
}
