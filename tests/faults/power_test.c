/* The power is cut, hundreds of times. Children of this test work on a store, one after the other
 * on the same folder; most are killed, and for half of the records their disk fails now and then.
 * All that they did to the folder is recorded (disk.c), with what they were told. Then folders are
 * built as a power cut at some moment could have left them (replay.h), and opened: what was safe is
 * there, what was refused is not, nothing is there twice, and what a child found at its start,
 * which consumers may have been shown, is still there.
 *
 * POWER_CUTS says how many folders are built, POWER_SEED with which seed the first record is made.
 */
#include "log/store/sqlite/testing.h"

#include "base/say.h"
#include "replay.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum {
    CHANNELS = 6,
    PER_BATCH = 8,
    LIVES = 4,
    TURNS = 24,
    BATCHES = LIVES * TURNS,
    CUTS_OF_RECORD = 10,
    FIRST = 1000000,
    OPENS_OF_LIFE = 100000,
};

/* ---- the model ------------------------------------------------------------------------------- */

enum fate { FATE_NONE, FATE_TRIED, FATE_SAFE, FATE_REFUSED };

struct model {
    uint8_t fate[BATCHES];
    uint64_t first[BATCHES]; /* the id of its first event */
    uint64_t floor_safe[CHANNELS + 1];
    uint64_t floor_tried[CHANNELS + 1];
};

enum note_kind { NOTE_BATCH, NOTE_FLOOR_TRIED, NOTE_FLOOR_REFUSED, NOTE_FLOOR_SAFE, NOTE_FLOOR_IS };

struct note {
    uint32_t kind;
    uint32_t at; /* the batch or the channel */
    uint32_t fate;
    uint32_t zero;
    uint64_t id;
};

static void model_take(struct model *model, const struct note *note)
{
    uint64_t *safe = &model->floor_safe[note->at % (CHANNELS + 1)];
    uint64_t *tried = &model->floor_tried[note->at % (CHANNELS + 1)];
    switch ((enum note_kind)note->kind) {
    case NOTE_BATCH:
        model->fate[note->at] = (uint8_t)note->fate;
        model->first[note->at] = note->id;
        break;
    case NOTE_FLOOR_TRIED:
        *tried = note->id > *tried ? note->id : *tried;
        break;
    case NOTE_FLOOR_REFUSED:
        *tried = note->id;
        break;
    case NOTE_FLOOR_SAFE:
        *safe = note->id > *safe ? note->id : *safe;
        break;
    case NOTE_FLOOR_IS:
        *safe = *tried = note->id;
        break;
    }
}

/* The memory that children and parent share. */
struct shared {
    struct model model;
    uint32_t batch; /* the next one */
};

static void note(struct shared *shared, enum note_kind kind, uint32_t at, enum fate fate,
                 uint64_t id)
{
    struct note note = {(uint32_t)kind, at, (uint32_t)fate, 0, id};
    model_take(&shared->model, &note);
    disk_note(&note, sizeof(note));
}

/* ---- events: all of one follows from its batch and its place in it ----------------------------
 */

static uint32_t number_of(uint32_t batch, uint32_t i)
{
    return 1 + (batch * 2654435761U + i * 40503U) / 65536 % CHANNELS;
}

static const char *name_of(uint32_t number)
{
    static const char *const names[] = {"", "a", "b", "c/d", "e", "f", "g"};
    return names[number];
}

static size_t data_of(uint32_t batch, uint32_t i, char out[800])
{
    int head = snprintf(out, 32, "%u/%u/", batch, i);
    size_t len = (batch * 7919 + i * 104729) % 700;
    memset(out + head, 'a' + (int)((batch + i) % 26), len);
    return (size_t)head + len;
}

/* ---- the contents of a store ----------------------------------------------------------------- */

struct found {
    uint8_t seen[BATCHES]; /* a bit an event */
    uint64_t ids[BATCHES * PER_BATCH];
    size_t count;
};

static int by_id(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void find_event(const struct event *event, const struct model *model, struct found *found)
{
    char text[32], data[800];
    unsigned batch = BATCHES, i = PER_BATCH;
    snprintf(text, sizeof(text), "%.*s", (int)(event->data.len < 31 ? event->data.len : 31),
             event->data.at);
    assert_int_equal(sscanf(text, "%u/%u/", &batch, &i), 2);
    assert_true(batch < BATCHES && i < PER_BATCH);
    assert_true(model->fate[batch] == FATE_TRIED || model->fate[batch] == FATE_SAFE);
    assert_int_equal(event->id, model->first[batch] + i);
    assert_int_equal(event->number, number_of(batch, i));
    assert_true(str_eq(event->data, (struct str){data, data_of(batch, i, data)}));
    assert_true(event->id > model->floor_safe[event->number]);
    found->seen[batch] |= (uint8_t)(1 << i);
    found->ids[found->count++] = event->id;
}

static void find_channel(struct place *place, uint32_t number, const struct model *model,
                         struct found *found)
{
    struct selection all = {0};
    struct store_query query = {.selection = &all,
                                .numbers = &number,
                                .numbers_count = 1,
                                .upto = EVENT_ID_MAX,
                                .limit = UINT32_MAX,
                                .bytes = SIZE_MAX,
                                .rows = UINT64_MAX};
    struct batch *batch;
    uint64_t through, prev = 0;
    assert_int_equal(place->store->ops->read(place->store, &query, &batch, &through), 0);
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        find_event(event, model, found);
        assert_true(event->prev == prev || (!prev && event->prev <= model->floor_tried[number]));
        prev = event->id;
    }
    const struct store_channel *channel = place_find(place, name_of(number));
    assert_true(!prev || (channel && channel->number == number && channel->last == prev &&
                          channel->count == batch->count));
    batch_unref(batch);
}

/* Whether all of a batch is there, but for what was trimmed. */
static bool is_whole(const struct model *model, const struct found *found, uint32_t batch)
{
    for (uint32_t i = 0; i < PER_BATCH; i++)
        if (!(found->seen[batch] >> i & 1) &&
            model->first[batch] + i > model->floor_tried[number_of(batch, i)])
            return false;
    return true;
}

static void find_all(struct place *place, const struct model *model, struct found *found)
{
    *found = (struct found){.count = 0};
    for (uint32_t number = 1; number <= CHANNELS; number++)
        find_channel(place, number, model, found);
    qsort(found->ids, found->count, sizeof(*found->ids), by_id);
    for (size_t i = 1; i < found->count; i++)
        assert_true(found->ids[i - 1] < found->ids[i]);
    for (uint32_t batch = 0; batch < BATCHES; batch++) {
        if (model->fate[batch] == FATE_SAFE || found->seen[batch])
            assert_true(is_whole(model, found, batch));
        if (model->fate[batch] == FATE_SAFE)
            assert_true(place->newest.id >= model->first[batch] + PER_BATCH - 1);
    }
}

/* ---- the children ---------------------------------------------------------------------------- */

struct life {
    struct place *place;
    struct shared *shared;
    uint64_t next;
    uint64_t last[CHANNELS + 1];
};

/* Takes over the state at the start: consumers may have been shown these events. Other events are
 * gone, and their ids are given again. */
static void take_over(struct life *life)
{
    static struct found found;
    struct model *model = &life->shared->model;
    for (uint32_t number = 1; number <= CHANNELS; number++) {
        const struct store_channel *channel = place_find(life->place, name_of(number));
        uint64_t trimmed = channel ? channel->trimmed : 0;
        assert_true(trimmed >= model->floor_safe[number]);
        note(life->shared, NOTE_FLOOR_IS, number, FATE_NONE, trimmed);
        life->last[number] = channel ? channel->last : 0;
    }
    find_all(life->place, model, &found);
    for (uint32_t batch = 0; batch < BATCHES; batch++)
        if (model->fate[batch] == FATE_TRIED &&
            (found.seen[batch] || !is_whole(model, &found, batch)))
            note(life->shared, NOTE_BATCH, batch, found.seen[batch] ? FATE_SAFE : FATE_REFUSED,
                 model->first[batch]);
    life->next = life->place->newest.id > FIRST ? life->place->newest.id + 1 : FIRST;
}

static void add_event(struct life *life, struct batch *to, uint32_t batch, uint32_t i,
                      uint64_t *last)
{
    char data[800];
    struct event *event = batch_add(to);
    *event = (struct event){.id = life->next + i,
                            .number = number_of(batch, i),
                            .state = EVENT_APPENDED,
                            .kind = EVENT_TEXT,
                            .type = STR("message"),
                            .time_us = life->place->clock.wall_us};
    event->prev = last[event->number];
    last[event->number] = event->id;
    event->channel = str_from(name_of(event->number));
    event->data = batch_copy(to, (struct str){data, data_of(batch, i, data)});
}

static void add_deletion(struct batch *to, uint32_t number, uint64_t upto)
{
    *batch_add(to) = (struct event){
        .id = upto, .number = number, .state = EVENT_TRIM, .channel = str_from(name_of(number))};
}

static void append(struct life *life)
{
    struct shared *shared = life->shared;
    struct batch *events = batch_new();
    uint64_t last[CHANNELS + 1];
    uint32_t batch = shared->batch++, number = batch % 9 == 4 ? 1 + batch % CHANNELS : 0;
    memcpy(last, life->last, sizeof(last));
    for (uint32_t i = 0; i < PER_BATCH; i++)
        add_event(life, events, batch, i, last);
    uint64_t before = shared->model.floor_tried[number];
    if (number && last[number]) {
        add_deletion(events, number, last[number]);
        note(shared, NOTE_FLOOR_TRIED, number, FATE_NONE, last[number]);
    }
    note(shared, NOTE_BATCH, batch, FATE_TRIED, life->next);
    int result = life->place->store->ops->append(life->place->store, &events, 1);
    batch_unref(events);
    if (result == STORE_E_FATE_UNKNOWN) {
        life->next += PER_BATCH;
        return;
    }
    note(shared, NOTE_BATCH, batch, result ? FATE_REFUSED : FATE_SAFE, life->next);
    if (number && last[number])
        note(shared, result ? NOTE_FLOOR_REFUSED : NOTE_FLOOR_SAFE, number, FATE_NONE,
             result ? before : last[number]);
    if (!result) {
        memcpy(life->last, last, sizeof(last));
        life->next += PER_BATCH;
    }
}

/* Trims. A trim that fails may be kept all the same: retention would decide the same again. */
static void trim(struct life *life, uint32_t turn)
{
    uint32_t number = 1 + turn % CHANNELS;
    uint64_t upto = life->last[number] > 100 ? life->last[number] - turn % 90 : 0;
    if (upto <= life->shared->model.floor_tried[number])
        return;
    struct store_trim trim = {number, str_from(name_of(number)), life->last[number], upto};
    note(life->shared, NOTE_FLOOR_TRIED, number, FATE_NONE, upto);
    if (life->place->store->ops->trim(life->place->store, &trim, 1) == 0)
        note(life->shared, NOTE_FLOOR_SAFE, number, FATE_NONE, upto);
}

static void child(struct place *place, struct shared *shared)
{
    struct life life = {.place = place, .shared = shared};
    if (place_try_open(place))
        _exit(0); /* the disk failed */
    take_over(&life);
    for (uint32_t turn = 0; turn < TURNS && shared->batch < BATCHES; turn++) {
        append(&life);
        if (turn % 5 == 3)
            trim(&life, turn);
        if (turn % 3)
            continue;
        clock_fake_advance(&place->clock, turn % 2 ? INT64_C(61000000) : place->config.roll_us / 2);
        (void)place->store->ops->upkeep(place->store);
    }
    place_close(place);
    _exit(0);
}

/* ---- the record ------------------------------------------------------------------------------ */

struct record {
    struct place place;
    struct shared *shared;
    char path[64];
    uint64_t seed;
    char *bytes;
    size_t size;
};

static uint64_t mix(uint64_t x)
{
    x = (x + 1) * 0x9e3779b97f4a7c15;
    x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9;
    return x ^ x >> 32;
}

static void run_child(struct record *record, uint32_t life, int fd)
{
    uint64_t random = mix(record->seed * LIVES + life);
    struct disk_setup setup = {.seed = random,
                               .rate = record->seed % 2 ? 20 : 0,
                               .die_at = random % 4 ? 1 + random / 4 % 500 : 0,
                               .record = fd,
                               .open_base = life * OPENS_OF_LIFE};
    snprintf(setup.folder, sizeof(setup.folder), "%s", record->place.dir);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        disk_set_up(&setup);
        child(&record->place, record->shared);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
}

static void record_make(struct record *record, uint64_t seed)
{
    struct stat info;
    *record = (struct record){.seed = seed, .path = "/tmp/freshet-record-XXXXXX"};
    place_init(&record->place);
    record->place.config.roll_bytes = 120000;
    record->shared = mmap(NULL, sizeof(*record->shared), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(record->shared != MAP_FAILED);
    int fd = mkostemp(record->path, O_APPEND | O_CLOEXEC);
    assert_true(fd >= 0);
    for (uint32_t life = 0; life < LIVES; life++)
        run_child(record, life, fd);
    assert_int_equal(fstat(fd, &info), 0);
    record->size = (size_t)info.st_size;
    record->bytes = mmap(NULL, record->size, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_true(record->bytes != MAP_FAILED);
    close(fd);
}

static void record_free(struct record *record)
{
    munmap(record->bytes, record->size);
    munmap(record->shared, sizeof(*record->shared));
    unlink(record->path);
    place_deinit(&record->place);
}

/* The entry at `at`, and behind it the next. */
static struct disk_entry entry_at(const struct record *record, size_t at, size_t *ret_next)
{
    struct disk_entry entry;
    memcpy(&entry, record->bytes + at, sizeof(entry));
    *ret_next = at + sizeof(entry) + entry.len;
    return entry;
}

static size_t count_entries(const struct record *record)
{
    size_t count = 0;
    for (size_t at = 0; at < record->size; count++)
        (void)entry_at(record, at, &at);
    return count;
}

/* ---- the cuts -------------------------------------------------------------------------------- */

static void play(const struct record *record, size_t upto, struct replay *replay,
                 struct model *model)
{
    size_t at = 0, next;
    for (size_t n = 0; n < upto; n++, at = next) {
        struct disk_entry entry = entry_at(record, at, &next);
        const char *bytes = record->bytes + at + sizeof(entry);
        struct note note;
        if (entry.kind == DISK_NOTE) {
            memcpy(&note, bytes, sizeof(note));
            model_take(model, &note);
        } else {
            replay_entry(replay, &entry, bytes);
        }
    }
}

/* A store that was mended goes on. */
static void check_it_goes_on(struct place *place)
{
    uint64_t next = (place->newest.id > FIRST ? place->newest.id : FIRST) + 1;
    place_put(place, next, 3, CHANNELS + 1, "new", 100);
    place_roll(place);
    place_close(place);
    place_open(place);
    assert_int_equal(place_count(place, CHANNELS + 1), 3);
    assert_int_equal(place->newest.id, next + 2);
}

static void cut(const struct record *record, size_t upto, uint64_t seed)
{
    static struct found found;
    struct model model = {.fate = {0}};
    struct place place;
    struct replay *replay = replay_new(seed);
    play(record, upto, replay, &model);
    place_init(&place);
    struct disk_setup setup = {.record = -1};
    snprintf(setup.folder, sizeof(setup.folder), "%s", place.dir);
    disk_set_up(&setup); /* nobody needs this one's syncs */
    replay_folder(replay, record->place.dir, place.dir);
    replay_free(replay);
    place_open(&place);
    find_all(&place, &model, &found);
    check_it_goes_on(&place);
    place_deinit(&place);
}

static void cut_many(uint64_t seed, unsigned cuts)
{
    static struct record record;
    record_make(&record, seed);
    size_t entries = count_entries(&record);
    for (unsigned i = 0; i < cuts; i++) {
        uint64_t random = mix(seed * 1000 + i);
        size_t upto = 1 + random % entries;
        print_message("record %llu cut at %zu of %zu\n", (unsigned long long)seed, upto, entries);
        cut(&record, upto, random);
    }
    record_free(&record);
}

static unsigned number_from(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void a_power_cut_loses_nothing_that_was_safe_and_brings_nothing_back(void **state)
{
    (void)state;
    unsigned cuts = number_from("POWER_CUTS", 2 * CUTS_OF_RECORD);
    unsigned seed = number_from("POWER_SEED", 1);
    for (; cuts; seed++) {
        unsigned now = cuts < CUTS_OF_RECORD ? cuts : CUTS_OF_RECORD;
        cut_many(seed, now);
        cuts -= now;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_power_cut_loses_nothing_that_was_safe_and_brings_nothing_back),
    };
    say_set_level((enum say_level)(SAY_ERROR + 1)); /* the disk is made to fail */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
