/* While the disk cannot be written, changes wait, and there is no end to them: members come and go,
 * and a log on the same disk loses events, which are tried again and again. So once more changes
 * wait than the whole table has rows, all of the table is queued anew, behind the deletion of what
 * the file has, and takes their place.
 *
 * A walk over the table does that in slices. The table goes on to change meanwhile. Changes since
 * the beginning of the walk stay in the queue, behind its rows, whether the walk has seen them or
 * not: a change that is made twice does no harm.
 *
 *     oldest                      rows of a walk that has ended; they stay until they are saved
 *     replaced                    changes of before the walk that is under way
 *     changes                     all later ones, with the rows of another walk among them
 *
 * Rows of a walk are saved together, once the log has the newest note of then. A log that lags has
 * that note later, and as many changes may wait once more meanwhile. So `oldest` stays, and rows of
 * a later walk take the place of what is behind it. Otherwise a table that changes fast would never
 * be saved. */
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

static struct save_row *queue_take(struct save_queue *queue)
{
    struct save_row *row = queue->first;
    queue->first = row->next;
    queue->count -= queue->count > 0;
    row->next = NULL;
    if (!has_rows(queue))
        queue_init(queue);
    return row;
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

/* ---- rows ------------------------------------------------------------------------------------ */

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

/* ---- all of the table anew ------------------------------------------------------------------- */

enum { WALK_ROWS = 2048 }; /* of a turn: about a millisecond */

static void add_anew(struct presence *presence, struct save_row facts)
{
    struct walk *walk = &presence->walk;
    facts.told = presence->told;
    struct save_row *row = walk->has_failed ? NULL : save_row_new(&facts);
    walk->has_failed = !row;
    if (row)
        queue_add(&walk->rows, row);
}

/* The saver frees the garbage at its next save. While that hangs, as on a disk that does not
 * answer, there would be more with each walk. */
static void drop_garbage(struct presence *presence)
{
    save_rows_free(presence->garbage.first);
    queue_init(&presence->garbage);
}

static void begin_walk(struct presence *presence)
{
    struct walk *walk = &presence->walk;
    drop_garbage(presence);
    walk->is_going = true;
    walk->has_failed = false;
    walk->after_len = 0;
    list_take_all(&walk->left, &walk->seen);
    queue_move(&presence->changes, &walk->replaced);
    for (int kind = DROP_ALL_MEMBERS; kind < SAVE_KINDS; kind++)
        add_anew(presence, (struct save_row){.kind = (enum save_kind)kind});
}

static void note_place(struct walk *walk, const struct person *member)
{
    struct presence_who who = person_who(member);
    memcpy(walk->after, who.name.at, who.name.len);
    walk->after_len = (uint8_t)who.name.len;
    walk->after_verified = who.verified;
}

/* Adds members behind those that were added before. Returns whether all have been. */
static bool add_members(struct presence *presence, const struct room *room, size_t most)
{
    struct walk *walk = &presence->walk;
    struct presence_who after = {{walk->after, walk->after_len}, walk->after_verified};
    struct roster_place place = roster_after(&room->members, after);
    for (struct person *member;
         walk->rows.count < most && !walk->has_failed && (member = roster_next(&place));) {
        add_anew(presence, row_of_member(member, true));
        note_place(walk, member);
    }
    return !roster_next(&place);
}

static void add_room(struct presence *presence, const struct room *room)
{
    if (room->is_occupied)
        add_anew(presence, (struct save_row){.kind = SAVE_OCCUPIED, .channel = room_name(room)});
    if (room->owes_reset || room->owes_occupied)
        add_anew(presence, row_of_debt(room));
}

/* The rows take the place of what waited before the walk, but for `oldest`. The first of them holds
 * back the others, so it alone waits for the newest note. */
static void end_walk(struct presence *presence)
{
    struct walk *walk = &presence->walk;
    walk->rows.first->told = presence->anew = presence->told;
    queue_move(&walk->replaced, &presence->garbage);
    if (!has_rows(&presence->oldest)) {
        queue_move(&walk->rows, &presence->oldest);
        return;
    }
    queue_move(&presence->changes, &walk->rows);
    queue_move(&walk->rows, &presence->changes);
}

/* Without memory the changes go on to wait, and it is tried again after as many more. */
static void give_up_walk(struct presence *presence)
{
    struct walk *walk = &presence->walk;
    queue_move(&walk->rows, &presence->garbage);
    queue_move(&presence->changes, &walk->replaced);
    queue_move(&walk->replaced, &presence->changes);
    presence->changes.count = 0;
}

/* A room counts as a row, so that empty ones are bounded as well. */
static void walk_some(struct presence *presence)
{
    struct walk *walk = &presence->walk;
    size_t most = walk->rows.count + WALK_ROWS;
    for (; walk->rows.count < most && !walk->has_failed && !list_empty(&walk->left); most--) {
        struct room *room = container_of(walk->left.next, struct room, walked);
        if (!walk->after_len)
            add_room(presence, room);
        if (!add_members(presence, room, most))
            continue;
        list_remove(&room->walked);
        list_add_last(&walk->seen, &room->walked);
        walk->after_len = 0;
    }
    if (!walk->has_failed && !list_empty(&walk->left))
        return;
    list_take_all(&walk->seen, &walk->left);
    walk->is_going = false;
    if (walk->has_failed)
        give_up_walk(presence);
    else
        end_walk(presence);
}

void saving_room_begins(struct presence *presence, struct room *room)
{
    list_add_last(&presence->walk.seen, &room->walked);
}

void saving_room_ends(struct presence *presence, struct room *room)
{
    if (presence->walk.left.next == &room->walked)
        presence->walk.after_len = 0;
    list_remove(&room->walked);
}

bool saving_has_more(const struct presence *presence)
{
    return presence->walk.is_going;
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
    if (!presence->walk.is_going && is_too_long(presence))
        begin_walk(presence);
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

static bool has_waiting(const struct presence *presence)
{
    return has_rows(&presence->oldest) || has_rows(&presence->changes) ||
           has_rows(&presence->walk.replaced);
}

/* Puts rows before all that waits. Rows of a walk that has ended meanwhile, or of one that is under
 * way, stand for them. */
static void put_before(struct presence *presence, struct save_queue *rows)
{
    struct save_queue *first =
        presence->walk.is_going ? &presence->walk.replaced : &presence->changes;
    if (has_rows(&presence->oldest))
        first = &presence->garbage;
    queue_move(first, rows);
    queue_move(rows, first);
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
    put_before(presence, &back);
    if (has_waiting(presence) || has_rows(&presence->deletions))
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
        presence->saved = presence->save.position;
    }
    presence->save.rows = NULL;
    answer(presence, marks, result);
}

static bool may_save(const struct presence *presence, const struct save_queue *queue)
{
    return has_rows(queue) && queue->first->told <= presence->taken;
}

/* Moves the changes whose events the log has behind `rows`. While a walk is under way, it has the
 * changes of before. */
static void take_changes(struct presence *presence, struct save_queue *rows)
{
    if (may_save(presence, &presence->oldest))
        queue_move(&presence->oldest, rows);
    if (has_rows(&presence->oldest) || presence->walk.is_going)
        return;
    while (may_save(presence, &presence->changes))
        queue_add(rows, queue_take(&presence->changes));
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
    if (presence->anew > presence->taken || presence->walk.is_going)
        return presence->saved;
    return presence->taken == presence->told && !has_rows(&presence->changes)
               ? log_newest(presence->config.log)
               : presence->taken_id;
}

static void write_out(struct presence *presence)
{
    presence->save.rows = take_rows(presence);
    presence->save.garbage = presence->garbage.first;
    queue_init(&presence->garbage);
    presence->save.position = position_of(presence);
    presence->save.home = &presence->loop.mailbox;
    presence->save.mail = (struct mail){.open = on_saved};
    presence->flying = presence->waiting;
    presence->waiting = NULL;
    presence->has_save = true;
    presence->saves_last = false;
    timer_stop(&presence->save_timer);
    if (has_waiting(presence))
        timer_set(&presence->loop, &presence->save_timer, SAVE_MS);
    presence_saver_submit(presence->saver, &presence->save);
}

static bool is_due(const struct presence *presence)
{
    bool rings = list_linked(&presence->save_timer.node);
    bool waits = has_waiting(presence) || has_rows(&presence->deletions);
    return has_rows(&presence->marks) || (waits && !rings);
}

void saving_flush(struct presence *presence, bool all)
{
    do {
        if (presence->walk.is_going)
            walk_some(presence);
    } while (all && presence->walk.is_going);
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
    queue_init(&presence->oldest);
    queue_init(&presence->garbage);
    queue_init(&presence->walk.rows);
    queue_init(&presence->walk.replaced);
    presence->save_timer.ring = ring;
    presence->position_timer.ring = ring_position;
    if (presence->saver)
        timer_set(&presence->loop, &presence->position_timer, POSITION_MS);
}

void saving_deinit(struct presence *presence)
{
    answer(presence, presence->waiting, -ECANCELED);
    presence->waiting = NULL;
    struct save_queue *queues[] = {
        &presence->changes, &presence->marks,     &presence->deletions,     &presence->oldest,
        &presence->garbage, &presence->walk.rows, &presence->walk.replaced,
    };
    for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
        save_rows_free(queues[i]->first);
        queue_init(queues[i]);
    }
    timer_stop(&presence->save_timer);
    timer_stop(&presence->position_timer);
}
