#include "log/store/sqlite/testing.h"

static void deeds(struct place *place, struct check *check, int count)
{
    for (int i = 0; i < count; i++) {
        uint64_t dice = check_random(check, 40);
        if (dice == 0) {
            clock_fake_advance(&place->clock, (int64_t)check_random(check, 7200) * 1000000);
            check_keep_house(check);
        } else if (dice == 1) {
            place_close(place);
            check->store = place_open(place);
            place_check_loaded(place, check);
        } else {
            check_step(check);
        }
    }
}

static void random_deeds_agree_with_the_model(void **state)
{
    (void)state;
    const char *seeds = getenv("FRESHET_CHECK_SEEDS");
    uint64_t count = seeds ? strtoul(seeds, NULL, 10) : 4;
    for (uint64_t seed = 1; seed <= count; seed++) {
        struct place place;
        struct check check;
        place_init(&place);
        place.config.roll_bytes = seed % 2 ? 1 << 16 : 1 << 18;
        check_init(&check, place_open(&place), seed);
        place_check_loaded(&place, &check);
        deeds(&place, &check, 300);
        check_all(&check);
        place_deinit(&place);
        check_deinit(&check);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_deeds_agree_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
