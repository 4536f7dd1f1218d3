/* Feeds hostile credentials to the reader of API keys. A text that is accepted must have exactly
 * the form of a key, and its digest must come back from its own text. */
#include "require.h"

#include "access/key_text.h"

#include <stdlib.h>

static void check_digest(const struct key_digest *digest)
{
    char text[KEY_DIGEST_LEN + 1];
    struct key_digest again;
    key_digest_write(digest, text);
    require(key_id_valid(str_from(digest->id)));
    require(key_digest_read(str_from(text), &again) && key_digest_equal(digest, &again));
}

/* Reads from memory of exactly the input's size. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    struct key_digest digest;
    require(copy);
    if (size)
        memcpy(copy, data, size);
    struct str text = {copy, size};
    bool is_key = key_text_read(text, &digest);
    require(!is_key || (key_text_is(text) && size == KEY_TEXT_LEN));
    if (is_key)
        check_digest(&digest);
    bool is_digest = key_digest_read(text, &digest);
    require(!is_key || !is_digest);
    if (is_digest)
        check_digest(&digest);
    free(copy);
    return 0;
}
