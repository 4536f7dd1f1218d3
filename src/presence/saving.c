/* While the disk cannot be written, changes wait, and there is no end to them: members come and go,
 * and a log on the same disk loses events, which are tried again and again. So once more changes
 * wait than the whole table has rows, all of it is queued anew, behind the deletion of what the
 * file has, and takes their place. */
#include "presence/saving.h"

#include "base/say.h"

#include <errno.h>
#include <stdlib.h>

enum { SAVE_MS = 1000, RETRY_MS = 1000, POSITION_MS = 60000, POSITION_EVENTS = 10000 };
enum { CHANGES_SPARE = 1000 }; /* beside twice the rows of the table */

static void queue_add(struct save_queue *queue, struct save_row *row)
{
    *queue->last = row;
    queue->last = &row->next;
    queue->count++;
}

static void queue_init(struct save_queue *queue)
{
    *queue = (struct save_queue){.last = &queue->first};
}

static bool has_rows(const struct save_queue *queue)
{
    return queue->first != NULL;
}

/* Moves all rows behind those of another queue. */
static void queue_move(struct save_queue *from, struct save_queue *to)
{
    if (!has_rows(from))
        return;
    *to->last = from->first;
    to->last = from->last;
    to->count += from->count;
    queue_init(from);
}

/* ---- all of the table anew ------------------------------------------------------------------- */

/* Builds the rows of the table; false if there is no memory. */
struct anew {
    struct save_queue rows;
    uint64_t told;
    bool failed;
};

static void add_anew(struct anew *anew, struct save_row facts)
{
    facts.told = anew->told;
    struct save_row *row = anew->failed ? NULL : save_row_new(&facts);
    anew->failed = !row;
    if (row)
        queue_add(&anew->rows, row);
}

static struct save_row row_of_member(const struct person *member, bool is_there)
{
    struct presence_who who = person_who(member);
    return (struct save_row){.kind = is_there ? SAVE_MEMBER : DROP_MEMBER,
                             .channel = room_name(member->room),
                             .name = who.name,
                             .verified = who.verified,
                             .since_ms = (int64_t)member->since_ms,
                             .state = member_state(member)};
}

static struct save_row row_of_debt(const struct room *room)
{
    unsigned owes =
        (room->owes_reset ? OWES_RESET : 0U) | (room->owes_occupied ? OWES_OCCUPIED : 0U);
    return (struct save_row){
        .kind = owes ? SAVE_OWED : DROP_OWED, .channel = room_name(room), .owes = (uint8_t)owes};
}

static void add_room(struct anew *anew, const struct room *room)
{
    struct person *member;
    struct roster_place place =
        roster_after(&room->members, (struct presence_who){STR_NONE, false});
    if (room->is_occupied)
        add_anew(anew, (struct save_row){.kind = SAVE_OCCUPIED, .channel = room_name(room)});
    if (room->owes_reset || room->owes_occupied)
        add_anew(anew, row_of_debt(room));
    while ((member = roster_next(&place)))
        add_anew(anew, row_of_member(member, true));
}

/* Without memory the changes go on to wait, and it is tried again after as many more. */
static void queue_anew(struct presence *presence)
{
    struct anew anew = {.told = presence->told};
    queue_init(&anew.rows);
    for (int kind = DROP_ALL_MEMBERS; kind < SAVE_KINDS; kind++)
        add_anew(&anew, (struct save_row){.kind = (enum save_kind)kind});
    for (struct map_node *node = map_next(&presence->rooms, NULL); node;
         node = map_next(&presence->rooms, node))
        add_room(&anew, container_of(node, struct room, node));
    presence->changes.count = 0;
    if (anew.failed) {
        save_rows_free(anew.rows.first);
        return;
    }
    save_rows_free(presence->changes.first);
    queue_init(&presence->changes);
    queue_move(&anew.rows, &presence->changes);
    presence->anew = presence->told;
}

static bool is_too_long(const struct presence *presence)
{
    uint64_t members = atomic_load_explicit(&presence->stats.members, memory_order_relaxed);
    return presence->changes.count > 2 * (members + 2 * presence->rooms.count) + CHANGES_SPARE;
}

/* ---- changes --------------------------------------------------------------------------------- */

/* While the server stops, members leave without being told, and must be there after the restart.
 * Debts are noted all the same: what is told last may be refused. */
static bool is_left_out(const struct presence *presence, const struct save_row *facts)
{
    return presence->paused && facts->kind != SAVE_OWED && facts->kind != DROP_OWED;
}

/* A change that finds no memory is lost: a member may then be told as gone after a restart, or not
 * be. */
static void note_change(struct presence *presence, struct save_row *facts)
{
    if (!presence->saver || is_left_out(presence, facts))
        return;
    if (is_too_long(presence))
        queue_anew(presence);
    facts->told = presence->told;
    struct save_row *row = save_row_new(facts);
    if (!row)
        return;
    queue_add(&presence->changes, row);
    if (!presence->stopping && !list_linked(&presence->save_timer.node))
        timer_set(&presence->loop, &presence->save_timer, SAVE_MS);
}

void save_member(struct presence *presence, const struct person *member, bool is_there)
{
    struct save_row row = row_of_member(member, is_there);
    note_change(presence, &row);
}

void save_occupied(struct presence *presence, const struct room *room, bool is_occupied)
{
    note_change(presence, &(struct save_row){.kind = is_occupied ? SAVE_OCCUPIED : DROP_OCCUPIED,
                                             .channel = room_name(room)});
}

void save_owed(struct presence *presence, const struct room *room)
{
    struct save_row row = row_of_debt(room);
    note_change(presence, &row);
}

void save_drop_marks(struct presence *presence, struct str channel)
{
    struct save_row *row =
        presence->saver ? save_row_new(&(struct save_row){.kind = DROP_MARKS, .channel = channel})
                        : NULL;
    if (row)
        queue_add(&presence->marks, row);
}

void save_mark(struct presence *presence, struct mark_request *mark)
{
    const struct presence_request *request = mark->request;
    if (!presence->saver) {
        mark->done(presence, mark, 0);
        return;
    }
    struct save_row *row = save_row_new(&(struct save_row){.kind = SAVE_MARK,
                                                           .channel = request->channel,
                                                           .name = request->me.name,
                                                           .verified = request->me.verified,
                                                           .read = request->read});
    if (!row) {
        mark->done(presence, mark, -ENOMEM);
        return;
    }
    queue_add(&presence->marks, row);
    mark->next = presence->waiting;
    presence->waiting = mark;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void answer(struct presence *presence, struct mark_request *marks, int result)
{
    while (marks) {
        struct mark_request *next = marks->next;
        marks->done(presence, marks, result);
        marks = next;
    }
}

/* Puts the members of a save that failed back to the front. Marks were refused: who asks again
 * saves them again. Deletions of marks go before all that is saved next: marks of the same channels
 * may come meanwhile, and must stay. */
static void put_back(struct presence *presence)
{
    struct save_queue back;
    queue_init(&back);
    for (struct save_row *row = presence->save.rows, *next; row; row = next) {
        next = row->next;
        row->next = NULL;
        if (row->kind == SAVE_MARK)
            free(row);
        else
            queue_add(row->kind == DROP_MARKS ? &presence->deletions : &back, row);
    }
    queue_move(&presence->changes, &back);
    queue_move(&back, &presence->changes);
    if (has_rows(&presence->changes) || has_rows(&presence->deletions))
        timer_set(&presence->loop, &presence->save_timer, RETRY_MS);
}

static void on_saved(struct mail *mail, void *owner)
{
    struct presence *presence = owner;
    struct mark_request *marks = presence->flying;
    int result = presence->save.result;
    (void)mail;
    presence->has_save = false;
    presence->flying = NULL;
    if (result) {
        say(SAY_ERROR, "presence_not_saved", "error=%d", -result);
        put_back(presence);
    } else {
        save_rows_free(presence->save.rows);
        presence->saved = presence->save.position;
    }
    presence->save.rows = NULL;
    answer(presence, marks, result);
}

/* Moves the changes whose events the log has behind `rows`. */
static void take_changes(struct presence *presence, struct save_queue *rows)
{
    struct save_queue *from = &presence->changes;
    while (has_rows(from) && from->first->told <= presence->taken) {
        struct save_row *row = from->first;
        from->first = row->next;
        from->count -= from->count > 0;
        row->next = NULL;
        queue_add(rows, row);
    }
    if (!has_rows(from))
        queue_init(from);
}

/* Marks first: a deletion among them comes before what is told of the channel later. */
static struct save_row *take_rows(struct presence *presence)
{
    struct save_queue rows;
    queue_init(&rows);
    queue_move(&presence->deletions, &rows);
    queue_move(&presence->marks, &rows);
    take_changes(presence, &rows);
    return rows.first;
}

/* The position up to which the saved rows have every event: with nothing on its way, the newest.
 * Rows that were queued anew stand for changes of before, which are not saved as long as those
 * wait for their notes. */
static uint64_t position_of(const struct presence *presence)
{
    if (presence->anew > presence->taken)
        return presence->saved;
    return presence->taken == presence->told && !has_rows(&presence->changes)
               ? log_newest(presence->config.log)
               : presence->taken_id;
}

static void write_out(struct presence *presence)
{
    presence->save.rows = take_rows(presence);
    presence->save.position = position_of(presence);
    presence->save.home = &presence->loop.mailbox;
    presence->save.mail = (struct mail){.open = on_saved};
    presence->flying = presence->waiting;
    presence->waiting = NULL;
    presence->has_save = true;
    presence->saves_last = false;
    timer_stop(&presence->save_timer);
    if (has_rows(&presence->changes))
        timer_set(&presence->loop, &presence->save_timer, SAVE_MS);
    presence_saver_submit(presence->saver, &presence->save);
}

static bool is_due(const struct presence *presence)
{
    bool rings = list_linked(&presence->save_timer.node);
    bool waits = has_rows(&presence->changes) || has_rows(&presence->deletions);
    return has_rows(&presence->marks) || (waits && !rings);
}

void saving_flush(struct presence *presence, bool all)
{
    if (presence->saver && !presence->has_save && (all || is_due(presence)))
        write_out(presence);
}

/* saving_flush() at the end of the turn finds that it is due. */
static void ring(struct timer *timer)
{
    (void)timer;
}

/* A position that is long past makes a restart read all events behind it. */
static void ring_position(struct timer *timer)
{
    struct presence *presence = container_of(timer, struct presence, position_timer);
    uint64_t newest = log_newest(presence->config.log);
    timer_set(&presence->loop, timer, POSITION_MS);
    if (presence->rooms.count && newest > presence->saved + POSITION_EVENTS)
        saving_flush(presence, true);
}

void saving_init(struct presence *presence)
{
    queue_init(&presence->changes);
    queue_init(&presence->marks);
    queue_init(&presence->deletions);
    presence->save_timer.ring = ring;
    presence->position_timer.ring = ring_position;
    if (presence->saver)
        timer_set(&presence->loop, &presence->position_timer, POSITION_MS);
}

void saving_deinit(struct presence *presence)
{
    answer(presence, presence->waiting, -ECANCELED);
    presence->waiting = NULL;
    save_rows_free(presence->changes.first);
    save_rows_free(presence->marks.first);
    save_rows_free(presence->deletions.first);
    queue_init(&presence->changes);
    queue_init(&presence->marks);
    queue_init(&presence->deletions);
    timer_stop(&presence->save_timer);
    timer_stop(&presence->position_timer);
}
