/* Feeds hostile bytes to what presence reads. The first byte says how: as the body of a PUT, which
 * is held against its bounds and read again from what was understood of it; or as a session of
 * freshet.v1 on a worker with presence, whose lines are messages of two connections, or make time
 * pass, connections come and go, and presence be switched off and on; allocations may fail.
 *
 * Nothing may crash, and each answer about who is there must be JSON. When the connections are gone
 * and their graces are over, nobody is there any more, and no memory is held for members. */
#include "rig.h"

#include "presence/turn.h"
#include "transport/presence_asking.h"
#include "transport/presence_notes.h"
#include "transport/review.h"

enum { PEERS = 2, LINES_MAX = 100, STATE_DEPTH_MAX = 32, SETTLE_STEPS = 40 };

/* ---- the body of a PUT ----------------------------------------------------------------------- */

static void check_same(const struct presence_request *request)
{
    struct presence_request again = {.op = PRESENCE_GET};
    struct buf body = {0};
    struct refusal refusal;
    struct json_writer writer = json_writer(&body);
    json_object_begin(&writer);
    if (request->read)
        json_member_id(&writer, "read", request->read);
    if (request->has_state)
        json_member_raw(&writer, "state", request->state);
    json_object_end(&writer);
    require(presence_asking_read_body(&again, buf_str(&body), &refusal));
    require(again.read == request->read && again.has_state == request->has_state &&
            str_eq(again.state, request->state));
    buf_free(&body);
}

static void read_body(struct str body)
{
    struct presence_request request = {.op = PRESENCE_GET};
    struct refusal refusal = {.detail = NULL};
    if (!presence_asking_read_body(&request, body, &refusal)) {
        require(refusal.detail && *refusal.detail && problem_status(refusal.problem) < 500);
        return;
    }
    require(request.op == PRESENCE_PUT && (request.has_state || request.read));
    require(request.state.len <= PRESENCE_STATE_MAX);
    require(!request.has_state || json_check(request.state, STATE_DEPTH_MAX, NULL) == JSON_OK);
    check_same(&request);
}

/* ---- a session ------------------------------------------------------------------------------- */

struct fuzz {
    struct bench *bench;
    struct presence *presence;
    const struct presence_settings *on, *off;
    struct presence_limits limits;
    int fds[PEERS];
    unsigned fail_nth; /* of the allocations of each turn; 0: none fails */
    bool is_off;
};

static void turns(struct fuzz *fuzz, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        rig_turn(fuzz->bench, fuzz->fail_nth);
        mem_fail_nth(fuzz->fail_nth);
        presence_turn(fuzz->presence, 0);
        mem_fail_nth(0);
    }
}

static void pass(struct fuzz *fuzz, int64_t ms)
{
    clock_fake_advance(&fuzz->bench->clock, ms * 1000);
    turns(fuzz, 3);
}

static void begin(struct fuzz *fuzz)
{
    struct bench *bench = fuzz->bench;
    const struct presence_rule rule = {
        .prefix = STR("a"), .on = true, .grace_ms = 1000, .list_max = 2};
    fuzz->on = presence_settings_new(&rule, 1);
    fuzz->off = presence_settings_new(NULL, 0);
    require(fuzz->on && fuzz->off);
    fuzz->limits = (struct presence_limits){.channels_max = 8,
                                            .members_max = 1000,
                                            .channel_members_max = 4,
                                            .marks_max = 1000,
                                            .address_percent = 1,
                                            .subject_percent = 1};
    const struct presence_config config = {.log = bench->log,
                                           .clock = &bench->clock.clock,
                                           .limits = fuzz->limits,
                                           .settings = fuzz->on,
                                           .publish = presence_notes_publish,
                                           .app = &bench->worker};
    require(presence_open(&config, &fuzz->presence) == 0);
    bench->worker.config.presence = fuzz->presence;
    desk_deinit(&bench->worker.desk);
    desk_init(&bench->worker.desk, presence_mailbox(fuzz->presence), presence_open_sheet, 0);
    desk_switch(&bench->worker.desk, fuzz->on);
}

static void say(int fd, struct str bytes)
{
    ssize_t ignored = send(fd, bytes.at, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)ignored;
}

static void hear(int fd)
{
    char room[8192];
    while (recv(fd, room, sizeof(room), MSG_DONTWAIT) > 0)
        ;
}

static void say_message(int fd, struct str message)
{
    static const uint8_t mask[4] = {0};
    uint8_t head[WS_HEAD_MAX];
    struct buf frame = {0};
    buf_add(&frame, head, ws_frame_head(head, true, false, WS_TEXT, message.len, mask));
    buf_add_str(&frame, message);
    say(fd, buf_str(&frame));
    buf_free(&frame);
}

static void connect_peer(struct fuzz *fuzz, unsigned i)
{
    fuzz->fds[i] = rig_connect(fuzz->bench, false);
    require(fuzz->fds[i] >= 0);
    say(fuzz->fds[i], str_from(PEER_UPGRADE("/v1")));
    turns(fuzz, 2);
}

static void answered(struct presence_request *request, void *owner)
{
    struct buf text = {0};
    (void)owner;
    buf_add_char(&text, '{');
    buf_add_str(&text, buf_str(&request->answer));
    buf_add_char(&text, '}');
    require(request->fault || json_check(buf_str(&text), JSON_DEPTH_LIMIT, NULL) == JSON_OK);
    buf_free(&text);
    buf_free(&request->answer);
    buf_free(&request->last_name);
    buf_free(&request->last_mark_name);
    request->home = NULL;
}

static void look(struct fuzz *fuzz)
{
    struct presence_request request = {.op = PRESENCE_GET,
                                       .channel = STR("a"),
                                       .limit = 3,
                                       .wants_marks = true,
                                       .home = &fuzz->bench->worker.loop.mailbox,
                                       .answered = answered};
    presence_ask(fuzz->presence, &request);
    while (request.home)
        turns(fuzz, 1);
}

static void switch_presence(struct fuzz *fuzz)
{
    const struct presence_settings *settings = fuzz->is_off ? fuzz->on : fuzz->off;
    fuzz->is_off = !fuzz->is_off;
    presence_switch(fuzz->presence, settings, &fuzz->limits);
    fuzz->bench->worker.config.presence_settings = settings;
    desk_switch(&fuzz->bench->worker.desk, settings);
    review_begin(&fuzz->bench->worker);
    turns(fuzz, 4);
}

/* The first byte of a line says what it does; most are messages. */
static void run(struct fuzz *fuzz, struct str line)
{
    unsigned peer = line.len && line.at[0] == '1';
    switch (line.len ? line.at[0] : 0) {
    case 't':
        pass(fuzz, line.len > 1 ? 40 * (uint8_t)line.at[1] : 100);
        break;
    case 'c':
        peer = line.len > 1 && line.at[1] == '1';
        close(fuzz->fds[peer]);
        connect_peer(fuzz, peer);
        break;
    case 's':
        switch_presence(fuzz);
        break;
    case 'g':
        look(fuzz);
        break;
    default:
        say_message(fuzz->fds[peer], str_skip(line, line.len ? 1 : 0));
        turns(fuzz, 3);
        hear(fuzz->fds[peer]);
    }
}

static void check_nobody(const struct fuzz *fuzz)
{
    const struct presence_stats *stats = presence_stats(fuzz->presence);
    require(!stats->members && !stats->anonymous && !stats->channels);
    require(!stats->bytes[PRESENCE_MEMORY_MEMBERS] && !stats->bytes[PRESENCE_MEMORY_GRACES]);
}

static void end(struct fuzz *fuzz)
{
    fuzz->fail_nth = 0;
    for (unsigned i = 0; i < PEERS; i++)
        close(fuzz->fds[i]);
    for (int i = 0; i < SETTLE_STEPS; i++)
        pass(fuzz, 5000);
    look(fuzz);
    check_nobody(fuzz);
    rig_end(fuzz->bench);
    presence_free(fuzz->presence);
    presence_settings_unref(fuzz->on);
    presence_settings_unref(fuzz->off);
}

static void run_session(uint8_t setting, struct str lines)
{
    struct fuzz fuzz = {.bench = bench_new()};
    bench_begin(fuzz.bench);
    begin(&fuzz);
    for (unsigned i = 0; i < PEERS; i++)
        connect_peer(&fuzz, i);
    fuzz.fail_nth = setting >= 'A' ? setting - 'A' + 1U : 0;
    for (unsigned i = 0; i < LINES_MAX && lines.at; i++)
        run(&fuzz, str_cut(&lines, '\n'));
    end(&fuzz);
}

/* Reads from memory of exactly the input's size. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    char *copy = malloc(size);
    require(copy);
    memcpy(copy, data, size);
    if (data[0] == 'p')
        read_body((struct str){copy + 1, size - 1});
    else
        run_session(data[1], (struct str){copy + 2, size - 2});
    free(copy);
    return 0;
}
