#include "base/hash.h"

#include "base/base64.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

static void expect_hex(const uint8_t *bytes, size_t size, const char *want)
{
    char got[2 * HASH_SHA256_SIZE + 1];
    for (size_t i = 0; i < size; i++)
        snprintf(got + 2 * i, 3, "%02x", bytes[i]);
    assert_string_equal(got, want);
}

static void expect_sha256(struct str bytes, const char *want)
{
    uint8_t digest[HASH_SHA256_SIZE];
    hash_sha256(bytes, digest);
    expect_hex(digest, sizeof(digest), want);
}

static void sha256_gives_the_digests_of_the_standard(void **state)
{
    (void)state;
    const char *nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    expect_sha256(STR(""), nothing);
    expect_sha256(STR_NONE, nothing);
    expect_sha256(STR("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect_sha256(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void sha1_gives_the_digests_of_the_standard(void **state)
{
    (void)state;
    uint8_t digest[HASH_SHA1_SIZE];
    hash_sha1(STR("abc"), digest);
    expect_hex(digest, sizeof(digest), "a9993e364706816aba3e25717850c26c9cd0d89d");
    hash_sha1(STR_NONE, digest);
    expect_hex(digest, sizeof(digest), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

/* RFC 6455 section 1.3. */
static void sha1_answers_a_websocket_handshake(void **state)
{
    (void)state;
    uint8_t digest[HASH_SHA1_SIZE];
    hash_sha1(STR("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11"), digest);
    struct buf text = {0};
    base64_add(&text, (struct str){(const char *)digest, sizeof(digest)});
    assert_true(str_eq(buf_str(&text), STR("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
    buf_free(&text);
}

static void expect_hmac(struct str key, struct str data, const char *want)
{
    uint8_t digest[HASH_SHA256_SIZE];
    hash_hmac_sha256(key, &data, 1, digest);
    expect_hex(digest, sizeof(digest), want);
}

/* RFC 4231, cases 1, 2, 3 and 6: short keys, and one longer than a block. */
static void hmac_gives_the_digests_of_the_standard(void **state)
{
    (void)state;
    char key[131], data[50];
    memset(key, 0x0b, 20);
    expect_hmac((struct str){key, 20}, STR("Hi There"),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    expect_hmac(STR("Jefe"), STR("what do ya want for nothing?"),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    memset(data, 0xdd, sizeof(data));
    expect_hmac((struct str){key, 20}, (struct str){data, sizeof(data)},
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    expect_hmac((struct str){key, sizeof(key)},
                STR("Test Using Larger Than Block-Size Key - Hash Key First"),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void hmac_takes_an_empty_key_and_no_data(void **state)
{
    (void)state;
    const char *want = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
    expect_hmac(STR_NONE, STR_NONE, want);
    uint8_t digest[HASH_SHA256_SIZE];
    hash_hmac_sha256(STR(""), NULL, 0, digest);
    expect_hex(digest, sizeof(digest), want);
}

static void hmac_does_not_see_where_parts_meet(void **state)
{
    (void)state;
    struct str whole = STR("what do ya want for nothing?");
    for (size_t cut = 0; cut <= whole.len; cut++) {
        const struct str parts[] = {{whole.at, cut}, STR_NONE, {whole.at + cut, whole.len - cut}};
        uint8_t digest[HASH_SHA256_SIZE];
        hash_hmac_sha256(STR("Jefe"), parts, 3, digest);
        expect_hex(digest, sizeof(digest),
                   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}

/* RFC 2202 and RFC 4231, case 2: "what do ya want for nothing?" under "Jefe". */
static void hmac_takes_other_hashes_by_their_names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *start;
        size_t size;
    } want[] = {{"sha1", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", 20},
                {"sha256", "5bdcc146bf60754e6a042426089575c7", 32},
                {"sha384", "af45d2e376484031617f78d2b58a6b1b", 48},
                {"sha512", "164b7a7bfcf819e2e395fbe73b56e0a3", 64}};
    struct str data = STR("what do ya want for nothing?");
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        uint8_t digest[HASH_SIZE_MAX];
        enum hash_kind kind = hash_kind_of(str_from(want[i].name));
        assert_int_equal(hash_hmac(kind, STR("Jefe"), &data, 1, digest), want[i].size);
        expect_hex(digest, strlen(want[i].start) / 2, want[i].start);
    }
    assert_int_equal(hash_kind_of(STR("md5")), HASH_KINDS);
    assert_int_equal(hash_kind_of(STR_NONE), HASH_KINDS);
}

static void equality_is_of_length_and_of_every_byte(void **state)
{
    (void)state;
    assert_true(hash_equal(STR("secret"), STR("secret")));
    assert_false(hash_equal(STR("secret"), STR("Secret")));
    assert_false(hash_equal(STR("secret"), STR("secreT")));
    assert_false(hash_equal(STR("secret"), STR("secre")));
    assert_false(hash_equal(STR("a\0b"), STR("a\0c")));
    assert_true(hash_equal(STR_NONE, STR("")));
    assert_false(hash_equal(STR_NONE, STR("a")));
}

static void each_byte_becomes_two_lowercase_digits(void **state)
{
    (void)state;
    char digits[8] = "------!";
    hash_write_hex((const uint8_t[]){0x00, 0xaf}, 2, digits);
    assert_string_equal(digits, "00af--!");
    hash_write_hex(NULL, 0, digits);
    assert_string_equal(digits, "00af--!");
}

static void random_bytes_fill_all_of_the_room_and_no_more(void **state)
{
    (void)state;
    uint8_t bytes[1024 + 1], again[1024];
    bytes[1024] = 0x5a;
    hash_random(bytes, 1024);
    hash_random(again, 1024);
    assert_memory_not_equal(bytes, again, 1024);
    unsigned zero_runs = 0;
    for (size_t i = 0; i + 8 <= 1024; i += 8)
        zero_runs += memcmp(bytes + i, "\0\0\0\0\0\0\0", 8) == 0;
    assert_int_equal(zero_runs, 0);
    assert_int_equal(bytes[1024], 0x5a);
    hash_random(bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_digests_of_the_standard),
        cmocka_unit_test(sha1_gives_the_digests_of_the_standard),
        cmocka_unit_test(sha1_answers_a_websocket_handshake),
        cmocka_unit_test(hmac_gives_the_digests_of_the_standard),
        cmocka_unit_test(hmac_takes_an_empty_key_and_no_data),
        cmocka_unit_test(hmac_does_not_see_where_parts_meet),
        cmocka_unit_test(hmac_takes_other_hashes_by_their_names),
        cmocka_unit_test(equality_is_of_length_and_of_every_byte),
        cmocka_unit_test(each_byte_becomes_two_lowercase_digits),
        cmocka_unit_test(random_bytes_fill_all_of_the_room_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
