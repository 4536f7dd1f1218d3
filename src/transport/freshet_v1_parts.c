/* The subscriptions of a connection are a union: each event is sent once.
 *
 * Every `subscribe` makes a *part*: a subscriber for the terms that are new, which leaves out the
 * selections of earlier parts. It catches up like any subscriber. When it has, and every earlier
 * part has, it is merged into the main part: from then on one subscriber gets all events in the
 * order of the log. Parts merge in the order in which they came, so a merged part never overlaps
 * with one that still catches up.
 *
 * A part that catches up costs a view, reads and pages. So only a few do at a time: parts are
 * *admitted* in the order in which they came. The others wait as a position; each merge admits
 * another part.
 *
 * Earlier selections are not copied into each part. A part excludes the selection of the part
 * before it, which excludes the one before that, and so on down to the main part's: a chain. The
 * chain stays right when parts merge. When a term is dropped, all admitted parts get new
 * selections; otherwise a part that asks for the term again would never get its events.
 *
 * A selection has one list of types for all its terms. So there is a *group*, with a main part, for
 * each list of types in use, and the order over the whole connection holds within a group. A
 * channel belongs to one group at most: a term that would overlap with another group is refused. So
 * the order within a channel, and that an event is sent once, hold across groups too. */
#include "transport/freshet_v1_parts.h"

#include "transport/attendance.h"
#include "transport/freshet_v1_messages.h"

#include <errno.h>
#include <stdlib.h>

static struct hub *hub_of(const struct freshet_v1 *v1)
{
    return &v1->worker->hub;
}

/* ---- terms ----------------------------------------------------------------------------------- */

bool freshet_v1_overlap(struct str a, struct str b)
{
    /* The server's own channels match only patterns that spell their first segment. */
    if ((a.at[0] == '$') != (b.at[0] == '$'))
        return false;
    while (a.at && b.at) {
        struct str x = str_cut(&a, '/'), y = str_cut(&b, '/');
        if (str_eq(x, STR("**")) ||
            str_eq(y, STR("**"))) /* the last part, which excludes all terms before it */
            return true;
        if (!str_eq(x, STR("*")) && !str_eq(y, STR("*")) && !str_eq(x, y))
            return false;
    }
    return !a.at && !b.at;
}

static struct term *term_at(struct list *node)
{
    return container_of(node, struct term, node);
}

static struct str term_name(const struct term *term)
{
    return (struct str){term->name, term->len};
}

static struct term *find_term(const struct freshet_v1 *v1, struct str name)
{
    list_each (&v1->terms, node) {
        if (str_eq(term_name(term_at(node)), name))
            return term_at(node);
    }
    return NULL;
}

static bool add_term(struct part *part, struct str name)
{
    struct term *term = mem_try_alloc(sizeof(*term) + name.len);
    if (!term)
        return false;
    *term = (struct term){.part = part, .len = (uint8_t)name.len};
    memcpy(term->name, name.at, name.len);
    list_add_last(&part->v1->terms, &term->node);
    part->v1->terms_count++;
    return true;
}

static void free_term(struct freshet_v1 *v1, struct term *term)
{
    live_remove(v1->worker, term);
    desk_leave(&v1->worker->desk, term);
    free(term);
}

static void remove_term(struct freshet_v1 *v1, struct term *term)
{
    list_remove(&term->node);
    v1->terms_count--;
    free_term(v1, term);
}

static bool end_term(void *owner, enum ending why)
{
    const struct term *term = owner;
    struct pull *pull = &term->part->v1->websocket.pull;
    bool is_open = pull->request->ops->state(pull->request) == REQUEST_OPEN &&
                   !term->part->v1->websocket.close_sent;
    if (is_open)
        pull->ops->goodbye(pull, why);
    return is_open;
}

static bool term_reads(const void *owner, struct str channel)
{
    return pattern_matches(term_name(owner), channel);
}

static const struct live_ops live_term = {.end = end_term, .is_part = true, .reads = term_reads};

void freshet_v1_hold(struct freshet_v1 *v1, const struct str *names, size_t count,
                     struct caller *caller)
{
    for (size_t i = 0; i < count; i++) {
        struct term *term = find_term(v1, names[i]);
        if (!term)
            continue;
        live_remove(v1->worker, term);
        if (caller && live_add(v1->worker, term, caller, &live_term))
            freshet_v1_give_up(v1);
    }
}

static struct presence_visitor visitor_of(const struct freshet_v1 *v1, const struct caller *caller,
                                          struct str as)
{
    return (struct presence_visitor){.who = presence_who(caller_subject(caller), as),
                                     .address = attending_address(v1->websocket.pull.request)};
}

static void attend_term(struct freshet_v1 *v1, const struct term *term,
                        const struct presence_visitor *visitor)
{
    struct str name = term_name(term);
    if (!term->leaving && !pattern_is_wild(name))
        desk_join(&v1->worker->desk, term, &name, 1, visitor);
}

void freshet_v1_attend(struct freshet_v1 *v1, const struct str *names, size_t count,
                       const struct caller *caller, struct str as)
{
    if (!v1->worker->desk.is_on)
        return;
    const struct presence_visitor visitor = visitor_of(v1, caller, as);
    for (size_t i = 0; i < count; i++) {
        const struct term *term = find_term(v1, names[i]);
        if (term)
            attend_term(v1, term, &visitor);
    }
}

void freshet_v1_attend_all(struct freshet_v1 *v1, const struct caller *caller)
{
    if (!v1->worker->desk.is_on)
        return;
    const struct presence_visitor visitor = visitor_of(v1, caller, STR_NONE);
    list_each (&v1->terms, node)
        attend_term(v1, term_at(node), &visitor);
}

void freshet_v1_attend_anew(struct freshet_v1 *v1, const struct caller *caller)
{
    list_each (&v1->terms, node)
        desk_leave(&v1->worker->desk, term_at(node));
    freshet_v1_attend_all(v1, caller);
}

/* Gathers the terms of this part, or with `earlier` of all earlier parts in its group. */
static size_t gather(const struct part *part, bool earlier, struct str *out)
{
    size_t count = 0;
    list_each (&part->v1->terms, node) {
        const struct term *term = term_at(node);
        bool wanted = earlier
                          ? term->part->group == part->group && term->part->serial < part->serial
                          : term->part == part;
        if (wanted)
            out[count++] = term_name(term);
    }
    return count;
}

static bool has_terms(const struct freshet_v1 *v1, const struct group *group)
{
    list_each (&v1->terms, node) {
        if (term_at(node)->part->group == group)
            return true;
    }
    return false;
}

/* Whether a later part excludes this term although some of the term's events match it too. If the
 * term were dropped, the later part would select these events at its own, older position, and send
 * them again. */
static bool is_wanted_later(const struct freshet_v1 *v1, const struct term *term)
{
    list_each (&v1->terms, node) {
        const struct term *other = term_at(node);
        if (!other->leaving && other->part->group == term->part->group &&
            other->part->serial > term->part->serial &&
            freshet_v1_overlap(term_name(term), term_name(other)))
            return true;
    }
    return false;
}

/* Whether a term was dropped. */
static bool drop_leaving(struct freshet_v1 *v1)
{
    uint32_t count = v1->terms_count;
    list_each (&v1->terms, node) {
        struct term *term = term_at(node);
        if (term->leaving && !is_wanted_later(v1, term))
            remove_term(v1, term);
    }
    return v1->terms_count < count;
}

/* ---- parts and groups ------------------------------------------------------------------------ */

static void wake(struct sub *sub)
{
    request_stream_woken(freshet_v1_request(container_of(sub, struct part, sub)->v1), sub);
}

static void keep_rest(struct sub *sub, struct str rest, struct piece *piece)
{
    request_stream_keep_rest(freshet_v1_request(container_of(sub, struct part, sub)->v1), rest,
                             piece);
}

static const struct sub_ops sub_ops = {.wake = wake, .keep_rest = keep_rest};

static struct part *part_new(struct freshet_v1 *v1, struct group *group, struct str ref)
{
    struct part *part = mem_try_alloc(sizeof(*part) + ref.len);
    if (!part)
        return NULL;
    *part = (struct part){.v1 = v1,
                          .group = group,
                          .sub = {.skip = request_stream_id(freshet_v1_request(v1))},
                          .ref_len = (uint8_t)ref.len};
    if (ref.len)
        memcpy(part->ref, ref.at, ref.len);
    list_add_last(&v1->parts, &part->node);
    return part;
}

struct str freshet_v1_part_ref(const struct part *part)
{
    return (struct str){part->ref, part->ref_len};
}

static void part_free(struct part *part)
{
    start_drop(&part->search);
    if (part->serial)
        part->v1->joining--;
    if (part->waits)
        part->v1->waiting--;
    hub_unsubscribe(hub_of(part->v1), &part->sub);
    selection_unref(part->selection);
    list_remove(&part->node);
    free(part->waits);
    free(part);
}

static struct group *group_new(struct freshet_v1 *v1, const struct selection *asked)
{
    struct group *group = mem_try_alloc(sizeof(*group));
    if (!group)
        return NULL;
    *group = (struct group){.main = part_new(v1, group, STR_NONE)};
    group->types = selection_new(NULL, 0, asked->types, asked->types_count, NULL);
    if (!group->main || !group->types) {
        if (group->main)
            part_free(group->main);
        selection_unref(group->types);
        free(group);
        return NULL;
    }
    list_add_last(&v1->groups, &group->node);
    return group;
}

static bool same_types(const struct selection *a, const struct selection *b)
{
    bool same = a->types_count == b->types_count;
    for (uint32_t i = 0; same && i < a->types_count; i++)
        same = str_eq(a->types[i], b->types[i]);
    return same;
}

static struct group *find_group(const struct freshet_v1 *v1, const struct selection *asked)
{
    list_each (&v1->groups, node) {
        struct group *group = container_of(node, struct group, node);
        if (same_types(group->types, asked))
            return group;
    }
    return NULL;
}

/* The part of the group that is merged next. */
static struct part *oldest_joining(const struct freshet_v1 *v1, const struct group *group)
{
    struct part *oldest = NULL;
    list_each (&v1->parts, node) {
        struct part *part = container_of(node, struct part, node);
        if (part->group == group && part->serial && (!oldest || part->serial < oldest->serial))
            oldest = part;
    }
    return oldest;
}

static void group_free(struct group *group)
{
    part_free(group->main);
    list_remove(&group->node);
    selection_unref(group->types);
    free(group);
}

/* A group lives as long as it has terms, or parts that join. */
static void drop_empty_groups(struct freshet_v1 *v1)
{
    list_each (&v1->groups, node) {
        struct group *group = container_of(node, struct group, node);
        if (!has_terms(v1, group) && !oldest_joining(v1, group))
            group_free(group);
    }
}

void freshet_v1_free_parts(struct freshet_v1 *v1)
{
    for (struct list *node; (node = list_take_first(&v1->terms));)
        free_term(v1, term_at(node));
    list_each (&v1->parts, part_node) {
        struct part *part = container_of(part_node, struct part, node);
        if (part != part->group->main)
            part_free(part);
    }
    list_each (&v1->groups, node)
        group_free(container_of(node, struct group, node));
}

/* ---- subscribers ----------------------------------------------------------------------------- */

static bool has_own_terms(const struct selection *selection)
{
    return selection && selection->names_count + selection->patterns_count;
}

/* The selection of the nearest earlier part that has terms; NULL if there is none. */
static struct selection *selection_before(const struct part *part)
{
    const struct part *last = NULL;
    list_each (&part->v1->parts, node) {
        const struct part *other = container_of(node, struct part, node);
        if (other->group == part->group && other->serial < part->serial &&
            has_own_terms(other->selection) && (!last || other->serial > last->serial))
            last = other;
    }
    return last ? last->selection : NULL;
}

static unsigned chain_length(const struct selection *selection)
{
    unsigned length = 0;
    for (; selection; selection = selection->except)
        length++;
    return length;
}

/* The selections that the part excludes, as a reference; NULL if there are none. A chain that has
 * become long is replaced by one selection of all its terms. Returns false if there is no
 * memory. */
static bool except_of(const struct part *part, struct selection **ret)
{
    struct selection *before = part->serial ? selection_before(part) : NULL;
    struct str terms[SELECTION_TERMS_MAX];
    if (chain_length(before) < FRESHET_V1_EXCEPT_MAX) {
        *ret = before ? selection_ref(before) : NULL;
        return true;
    }
    *ret = selection_new(terms, gather(part, true, terms), NULL, 0, NULL);
    return *ret;
}

/* The part's current selection; NULL if there is no memory. */
static struct selection *selection_of(const struct part *part)
{
    const struct selection *types = part->group->types;
    struct str terms[SELECTION_TERMS_MAX];
    struct selection *except;
    if (!except_of(part, &except))
        return NULL;
    size_t count = gather(part, false, terms);
    struct selection *selection =
        selection_new(terms, count, types->types, types->types_count, except);
    selection_unref(except);
    return selection;
}

static void set_selection(struct part *part, struct selection *selection)
{
    selection_ref(selection);
    selection_unref(part->selection);
    part->selection = selection;
}

typedef int subscribe_call(struct hub *hub, struct sub *sub, const struct sub_ops *ops,
                           struct selection *selection, unsigned encoding, uint64_t cursor,
                           uint64_t told);

static void refuse(struct freshet_v1 *v1, int result)
{
    struct refusal refusal;
    reading_refuse(v1->worker, result, &refusal);
    if (refusal.problem == PROBLEM_TOO_MANY)
        websocket_close_problem(&v1->websocket, refusal.problem);
    else
        freshet_v1_give_up(v1);
}

/* Subscribes the part at `cursor`, or again if it was subscribed. A live part is subscribed by
 * hub_go_on(). */
static bool subscribe_at(struct part *part, subscribe_call *subscribe, uint64_t cursor,
                         uint64_t told)
{
    struct freshet_v1 *v1 = part->v1;
    struct hub *hub = hub_of(v1);
    struct selection *selection = selection_of(part);
    hub_unsubscribe(hub, &part->sub);
    int result = selection ? subscribe(hub, &part->sub, &sub_ops, selection,
                                       freshet_v1_encoding(v1), cursor, told)
                           : -ENOMEM;
    if (!result) /* another subscriber's equal selection is shared */
        set_selection(part, hub_selection(&part->sub));
    selection_unref(selection);
    if (result)
        refuse(v1, result);
    request_stream_dirty(freshet_v1_request(v1));
    return !result;
}

/* The next admitted part in order; NULL if there is none. */
static struct part *next_admitted(const struct freshet_v1 *v1, uint32_t serial)
{
    struct part *next = NULL;
    list_each (&v1->parts, node) {
        struct part *part = container_of(node, struct part, node);
        if (part->serial > serial && !part->waits && (!next || part->serial < next->serial))
            next = part;
    }
    return next;
}

/* Gives the part a new selection at its current position. */
static void renew(struct part *part)
{
    struct freshet_v1 *v1 = part->v1;
    if (part->sub.state != SUB_NONE) {
        subscribe_at(part, sub_is_live(&part->sub) ? hub_go_on : hub_subscribe,
                     hub_cursor(hub_of(v1), &part->sub), part->sub.told);
        return;
    }
    struct selection *selection = part->search ? selection_of(part) : NULL;
    if (selection)
        set_selection(part, selection); /* the new selection is for later parts: this search
                                           continues with its old one */
    else if (part->search)
        freshet_v1_give_up(v1);
    selection_unref(selection);
}

static void renew_joining(struct freshet_v1 *v1)
{
    for (struct part *part = next_admitted(v1, 0); part; part = next_admitted(v1, part->serial))
        renew(part);
}

static uint64_t part_cursor(const struct part *part, uint64_t otherwise)
{
    if (part->waits && part->answered)
        return part->waits->id;
    return part->sub.state == SUB_NONE ? otherwise : hub_cursor(hub_of(part->v1), &part->sub);
}

uint64_t freshet_v1_cursor(const struct freshet_v1 *v1)
{
    uint64_t least = hub_applied(hub_of(v1));
    list_each (&v1->parts, node) {
        const struct part *part = container_of(node, struct part, node);
        uint64_t cursor = part_cursor(part, least);
        least = cursor < least ? cursor : least;
    }
    return least;
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* Tells where the part begins. */
static void answer(struct part *part, const struct start *start)
{
    struct freshet_v1 *v1 = part->v1;
    part->answered = true;
    freshet_v1_send_began(v1, freshet_v1_part_ref(part), start->cursor);
    if (start->gap) {
        struct gap gap = start_gap(start);
        gap.ref = freshet_v1_part_ref(part);
        freshet_v1_send_gap(v1, &gap);
    }
}

static void found(void *owner, const struct start_found *found)
{
    struct part *part = owner;
    if (found->error) {
        freshet_v1_give_up(part->v1);
        return;
    }
    if (!part->answered)
        answer(part, &found->start);
    subscribe_at(part, hub_subscribe, found->start.cursor, found->start.told);
}

/* Admits the part, and finds its start now or by a search. False if there is no memory. */
static bool admit(struct part *part, const struct position *from)
{
    struct selection *selection = selection_of(part);
    if (!selection)
        return false;
    set_selection(part, selection);
    start_find(&part->search, hub_of(part->v1), selection, from,
               &(struct start_owner){.owner = part, .found = found});
    selection_unref(selection);
    return part->search || part->sub.state != SUB_NONE;
}

/* Lets the part wait, with a cursor instead of a position if its start is known. */
static bool let_wait(struct part *part, const struct position *from)
{
    struct selection *selection = selection_of(part);
    struct start known;
    part->waits = selection ? mem_try_alloc(sizeof(*part->waits)) : NULL;
    if (part->waits) {
        *part->waits = *from;
        part->v1->waiting++;
    }
    if (part->waits && start_is_known(hub_of(part->v1), selection, from, &known)) {
        *part->waits = (struct position){.kind = POSITION_CURSOR,
                                         .id = known.cursor,
                                         .told = known.told > known.cursor ? known.told : 0};
        answer(part, &known);
    }
    selection_unref(selection);
    return part->waits;
}

static struct part *oldest_waiting(const struct freshet_v1 *v1)
{
    struct part *oldest = NULL;
    list_each (&v1->parts, node) {
        struct part *part = container_of(node, struct part, node);
        if (part->waits && (!oldest || part->serial < oldest->serial))
            oldest = part;
    }
    return oldest;
}

static bool has_place(const struct freshet_v1 *v1)
{
    return v1->joining - v1->waiting < FRESHET_V1_ADMITTED_MAX;
}

static void admit_waiting(struct freshet_v1 *v1)
{
    while (v1->waiting && has_place(v1) && !v1->websocket.close_sent) {
        struct part *part = oldest_waiting(v1);
        struct position from = *part->waits;
        free(part->waits);
        part->waits = NULL;
        v1->waiting--;
        if (!admit(part, &from))
            freshet_v1_give_up(v1);
    }
}

/* ---- merging --------------------------------------------------------------------------------- */

static bool is_up_to_date(const struct part *part)
{
    return part->sub.state == SUB_NONE || sub_is_live(&part->sub);
}

/* Moves the part's terms to the main part; both have everything up to the newest position. */
static void merge(struct freshet_v1 *v1, struct part *part)
{
    struct part *main = part->group->main;
    uint64_t applied = hub_applied(hub_of(v1));
    uint64_t told = part->sub.told > main->sub.told ? part->sub.told : main->sub.told;
    list_each (&v1->terms, node) {
        if (term_at(node)->part == part)
            term_at(node)->part = main;
    }
    bool dropped = drop_leaving(v1);
    if (subscribe_at(main, hub_go_on, applied, told))
        freshet_v1_send_live(v1, freshet_v1_part_ref(part), applied);
    part_free(part);
    if (dropped)
        renew_joining(v1);
}

/* Merges all parts that can be merged now. Do not stop after one: the next moment in which both
 * sides are up to date may come only some turns later. */
static void merge_group(struct freshet_v1 *v1, const struct group *group)
{
    struct part *part = oldest_joining(v1, group);
    while (part && !v1->websocket.close_sent && is_up_to_date(group->main) &&
           sub_is_live(&part->sub)) {
        merge(v1, part);
        part = oldest_joining(v1, group);
    }
}

void freshet_v1_merge(struct freshet_v1 *v1)
{
    struct request_stream *request = freshet_v1_request(v1);
    if (!v1->joining)
        return;
    if (hub_is_between(hub_of(v1))) { /* wait: within an event, parts have seen different ones */
        hub_await_pause(hub_of(v1));
        request->ops->woken(request, true);
        return;
    }
    list_each (&v1->groups, node) {
        merge_group(v1, container_of(node, struct group, node));
    }
    admit_waiting(v1);
    drop_empty_groups(v1);
}

/* ---- subscribing ----------------------------------------------------------------------------- */

static size_t terms_of(const struct selection *selection, struct str *out)
{
    size_t count = 0;
    for (uint32_t i = 0; i < selection->names_count; i++)
        out[count++] = selection->names[i];
    for (uint32_t i = 0; i < selection->patterns_count; i++)
        out[count++] = selection->patterns[i];
    return count;
}

static bool clashes(const struct freshet_v1 *v1, const struct selection *asked, struct str name)
{
    list_each (&v1->terms, node) {
        const struct term *term = term_at(node);
        if (!same_types(term->part->group->types, asked) &&
            freshet_v1_overlap(term_name(term), name))
            return true;
    }
    return false;
}

/* The problem with these further terms; PROBLEM_COUNT if the connection may have them. */
static enum problem check(const struct freshet_v1 *v1, const struct selection *asked,
                          const struct str *names, size_t count, const char **ret_detail)
{
    size_t fresh = 0;
    for (size_t i = 0; i < count; i++) {
        fresh += find_term(v1, names[i]) == NULL;
        if (!clashes(v1, asked, names[i]))
            continue;
        *ret_detail =
            "a subscription to one of these channels has other types: unsubscribe it first";
        return PROBLEM_BAD_PARAMETER;
    }
    *ret_detail = "at most 100 channels or patterns a connection";
    if (v1->terms_count + fresh > SELECTION_TERMS_MAX)
        return PROBLEM_TOO_MANY;
    *ret_detail = "at most 100 subscriptions that are not live yet: wait for live";
    return v1->joining < FRESHET_V1_JOINING_MAX ? PROBLEM_COUNT : PROBLEM_TOO_MANY;
}

/* A new part for the terms that the connection does not have; NULL if there is no memory. */
static struct part *join(struct freshet_v1 *v1, struct str ref, const struct selection *asked,
                         const struct str *names, size_t count)
{
    struct group *group = find_group(v1, asked);
    if (!group)
        group = group_new(v1, asked);
    struct part *part = group ? part_new(v1, group, ref) : NULL;
    if (!part)
        return NULL;
    part->serial = ++v1->serials;
    v1->joining++;
    for (size_t i = 0; i < count; i++) {
        struct term *term = find_term(v1, names[i]);
        if (term)
            term->leaving = false;
        else if (!add_term(part, names[i]))
            return NULL;
    }
    return part;
}

void freshet_v1_subscribe(struct freshet_v1 *v1, struct str ref, const struct selection *asked,
                          const struct position *from)
{
    struct str names[SELECTION_TERMS_MAX];
    size_t count = terms_of(asked, names);
    const char *detail;
    enum problem problem = check(v1, asked, names, count, &detail);
    if (problem == PROBLEM_TOO_MANY)
        worker_hit(v1->worker, LIMIT_SUBSCRIPTIONS);
    if (problem != PROBLEM_COUNT) {
        freshet_v1_error(v1, ref, problem, detail);
        return;
    }
    bool at_once = has_place(v1);
    struct part *part = join(v1, ref, asked, names, count);
    if (!part || !(at_once ? admit(part, from) : let_wait(part, from)))
        freshet_v1_give_up(v1);
}

static bool has_any(const struct freshet_v1 *v1, const struct str *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (find_term(v1, names[i]))
            return true;
    return false;
}

/* Do nothing: a term that is kept only for a joining part is leaving already. */
bool freshet_v1_unsubscribe(struct freshet_v1 *v1, const struct str *names, size_t count)
{
    bool changed = false;
    for (size_t i = 0; i < count; i++) {
        struct term *term = find_term(v1, names[i]);
        changed = changed || (term && !term->leaving);
        if (term) {
            term->leaving = true;
            desk_leave(&v1->worker->desk, term);
        }
    }
    if (changed && drop_leaving(v1)) {
        list_each (&v1->groups, node)
            renew(container_of(node, struct group, node)->main);
        renew_joining(v1);
        drop_empty_groups(v1);
    }
    return !has_any(v1, names, count);
}
