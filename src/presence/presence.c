/* The host: the thread that keeps the table, and what other threads call.
 *
 * A turn opens mail (sheets of desks, requests, bundles and saves that come back), rings the timers
 * of graces, answers questions, and then hands over what it has told and what is to be saved. What
 * can go wrong: a disk that cannot be written delays what is saved of members, and refuses marks; a
 * log that takes nothing more loses events, which is counted. Neither holds up who subscribes. */
#include "presence/presence.h"

#include "presence/answers.h"
#include "presence/losses.h"
#include "presence/marks.h"
#include "presence/members.h"
#include "presence/reads.h"
#include "presence/restore.h"
#include "presence/rooms.h"
#include "presence/saving.h"
#include "presence/seats.h"
#include "presence/telling.h"
#include "presence/turn.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>

#define PRESENCE_MEMORY_TEXT(name, text) [PRESENCE_MEMORY_##name] = (text),
const char *const presence_memory_names[PRESENCE_MEMORY_KINDS] = {
    PRESENCE_MEMORY(PRESENCE_MEMORY_TEXT)};

/* ---- the thread ------------------------------------------------------------------------------ */

void presence_turn(struct presence *presence, int wait_ms)
{
    bool has_more = answers_are_due(presence) || saving_has_more(presence);
    loop_turn(&presence->loop, has_more ? 0 : wait_ms);
    answers_flush(presence);
    telling_flush(presence);
    saving_flush(presence, presence->saves_last);
}

static bool is_done(const struct presence *presence)
{
    return presence->stopping && !presence->saves_last && !saving_is_busy(presence);
}

static void *host_main(void *arg)
{
    struct presence *presence = arg;
    telling_flush(presence); /* debts of before the restart: a turn would sleep first */
    while (!is_done(presence))
        presence_turn(presence, -1);
    return NULL;
}

int presence_start(struct presence *presence)
{
    int result = presence->saver ? presence_saver_start(presence->saver) : 0;
    result = result ? result : -pthread_create(&presence->thread, NULL, host_main, presence);
    presence->has_thread = !result;
    return result;
}

/* ---- opening --------------------------------------------------------------------------------- */

static int open_store(struct presence *presence)
{
    struct presence_store *store = NULL;
    if (!presence->config.data)
        return 0;
    int result = presence_store_open(presence->config.data, &store);
    if (result)
        return result;
    presence->saver = presence_saver_new(store);
    return restore(presence, store);
}

int presence_open(const struct presence_config *config, struct presence **ret_presence)
{
    struct presence *presence = mem_alloc(sizeof(*presence));
    presence->config = *config;
    presence->settings = presence_settings_ref(config->settings);
    presence->shared = presence_settings_ref(config->settings);
    pthread_mutex_init(&presence->lock, NULL);
    list_init(&presence->stale);
    presence->look = room_look;
    presence->returned = losses_returned;
    presence->lost = losses_note;
    shares_init(&presence->shares);
    rooms_init(presence);
    int result = loop_init(&presence->loop, config->clock, presence);
    if (result) {
        rooms_deinit(presence);
        presence_settings_unref(presence->settings);
        presence_settings_unref(presence->shared);
        free(presence);
        return result;
    }
    questions_init(&presence->questions, &presence->loop.mailbox);
    saving_init(presence);
    result = open_store(presence);
    if (result)
        presence_free(presence);
    else
        *ret_presence = presence;
    return result;
}

/* ---- for other threads ----------------------------------------------------------------------- */

struct mailbox *presence_mailbox(struct presence *presence)
{
    return &presence->loop.mailbox;
}

void presence_open_sheet(struct mail *mail, void *owner)
{
    seats_open_sheet(mail, owner);
}

void presence_ask(struct presence *presence, struct presence_request *request)
{
    request->mail = (struct mail){.open = answers_open};
    request->host = presence;
    mailbox_post(&presence->loop.mailbox, &request->mail);
}

bool presence_is_on(struct presence *presence, struct str channel)
{
    pthread_mutex_lock(&presence->lock);
    bool is_on = presence_settings_find(presence->shared, channel);
    pthread_mutex_unlock(&presence->lock);
    return is_on;
}

const struct presence_stats *presence_stats(const struct presence *presence)
{
    return &presence->stats;
}

/* A channel was deleted. */
struct forgetting {
    struct mail mail;
    struct str channel;
    char text[];
};

static void open_forgetting(struct mail *mail, void *owner)
{
    struct forgetting *forgetting = container_of(mail, struct forgetting, mail);
    struct room *room = rooms_find(owner, forgetting->channel);
    if (room)
        marks_forget(owner, room);
    free(forgetting);
}

void presence_forget(struct presence *presence, struct str channel)
{
    struct forgetting *forgetting = mem_alloc(sizeof(*forgetting) + channel.len);
    forgetting->mail = (struct mail){.open = open_forgetting};
    memcpy(forgetting->text, channel.at, channel.len);
    forgetting->channel = (struct str){forgetting->text, channel.len};
    mailbox_post(&presence->loop.mailbox, &forgetting->mail);
}

/* ---- other settings -------------------------------------------------------------------------- */

struct switching {
    struct mail mail;
    const struct presence_settings *settings;
    struct presence_limits limits;
};

static bool mark_lost(struct presence *presence)
{
    bool any = false;
    for (struct map_node *node = map_next(&presence->rooms, NULL); node;
         node = map_next(&presence->rooms, node)) {
        struct room *room = container_of(node, struct room, node);
        room->is_lost =
            room->is_occupied && !presence_settings_find(presence->settings, room_name(room));
        any |= room->is_lost;
    }
    return any;
}

/* Applies new settings to the rooms that exist. Everybody leaves a room whose namespace has lost
 * its presence; one walk over the seats serves all such rooms. The other rooms may have another
 * presence_list_max now, or another grace, which holds for members who are away already, too. */
static void apply_to_all(struct presence *presence)
{
    if (mark_lost(presence))
        seats_forget_lost(presence);
    for (struct map_node *node = map_next(&presence->rooms, NULL), *next; node; node = next) {
        struct room *room = container_of(node, struct room, node);
        next = map_next(&presence->rooms, node);
        if (room->is_lost) {
            room_evict(presence, room);
        } else if (room->is_occupied) {
            tell_count_anew(presence, room);
            room_regrace(presence, room);
        }
    }
}

static void open_switching(struct mail *mail, void *owner)
{
    struct presence *presence = owner;
    struct switching *switching = container_of(mail, struct switching, mail);
    bool same = presence_settings_equal(presence->settings, switching->settings);
    presence_settings_unref(presence->settings);
    presence->settings = switching->settings;
    presence->config.limits = switching->limits;
    free(switching);
    if (!presence->paused && !same)
        apply_to_all(presence);
}

void presence_switch(struct presence *presence, const struct presence_settings *settings,
                     const struct presence_limits *limits)
{
    struct switching *switching = mem_alloc(sizeof(*switching));
    *switching = (struct switching){.mail = {.open = open_switching},
                                    .settings = presence_settings_ref(settings),
                                    .limits = *limits};
    pthread_mutex_lock(&presence->lock);
    const struct presence_settings *before = presence->shared;
    presence->shared = presence_settings_ref(settings);
    pthread_mutex_unlock(&presence->lock);
    presence_settings_unref(before);
    mailbox_post(&presence->loop.mailbox, &switching->mail);
}

/* ---- the end --------------------------------------------------------------------------------- */

struct pausing {
    struct mail mail;
    sem_t done;
};

static void tell_reads(struct presence *presence)
{
    for (struct map_node *node = map_next(&presence->rooms, NULL); node;
         node = map_next(&presence->rooms, node))
        reads_tell_all(presence, container_of(node, struct room, node));
}

static void open_pause(struct mail *mail, void *owner)
{
    struct presence *presence = owner;
    tell_reads(presence);
    telling_flush(presence);
    presence->paused = true;
    (void)sem_post(&container_of(mail, struct pausing, mail)->done);
}

void presence_pause(struct presence *presence)
{
    struct pausing pausing = {.mail = {.open = open_pause}};
    if (!presence->has_thread)
        return;
    (void)sem_init(&pausing.done, 0, 0);
    mailbox_post(&presence->loop.mailbox, &pausing.mail);
    while (sem_wait(&pausing.done))
        ;
    (void)sem_destroy(&pausing.done);
}

static void open_stop(struct mail *mail, void *owner)
{
    struct presence *presence = owner;
    (void)mail;
    presence->paused = true;
    presence->stopping = true;
    presence->saves_last = presence->saver != NULL;
}

void presence_stop(struct presence *presence)
{
    if (!presence->has_thread)
        return;
    presence->stop_mail.open = open_stop;
    mailbox_post(&presence->loop.mailbox, &presence->stop_mail);
    pthread_join(presence->thread, NULL);
    presence->has_thread = false;
    while (mailbox_empty(&presence->loop.mailbox))
        ; /* requests that came meanwhile are answered */
}

void presence_free(struct presence *presence)
{
    if (!presence)
        return;
    while (mailbox_empty(&presence->loop.mailbox))
        ;
    presence_saver_free(presence->saver);
    while (mailbox_empty(&presence->loop.mailbox))
        ; /* a save that has ended */
    saving_deinit(presence);
    presence_bundle_free(presence->bundle);
    rooms_deinit(presence);
    seats_deinit(presence);
    presence_settings_unref(presence->settings);
    presence_settings_unref(presence->shared);
    pthread_mutex_destroy(&presence->lock);
    buf_free(&presence->scratch);
    loop_deinit(&presence->loop);
    free(presence);
}
