/* A set is fetched every refresh_s. If that fails, the keys of before count on for keep_s, so that
 * an issuer may restart, but nobody can hold a withdrawn key in force by cutting the network.
 *
 * A token with an unknown key id asks a question: by mail, from a worker, which goes on with other
 * requests. The question waits for the fetches that are under way or begin now. If it comes too
 * soon for a fetch, it is answered at once, by the keys that are there.
 *
 * A fetch brings all keys of a set, whoever caused it. So a new key of the issuer is known at most
 * JWKS_AGAIN_MS later than its first token comes, unless the address of that token has caused a
 * fetch within JWKS_ADDRESS_MS. One stranger makes the server fetch no more often than that. */
#include "backend/jwks.h"

#include "base/mem.h"
#include "base/say.h"
#include "http/target.h"
#include "net/peer.h"

#include <stdlib.h>

static const char crowded[] = "too many tokens wait for the keys of their issuer: try again";
static const char crowded_address[] = "too many tokens of this address wait for the keys of their "
                                      "issuer (limits.jwks_address_max): try again";

#define COUNT_WORD(name, text, help) [JWKS_##name] = (text),
#define COUNT_HELP(name, text, help) [JWKS_##name] = (help),
const char *const jwks_count_names[JWKS_COUNT] = {JWKS_COUNTS(COUNT_WORD)};
const char *const jwks_count_helps[JWKS_COUNT] = {JWKS_COUNTS(COUNT_HELP)};

struct question_of_key {
    struct mail mail;
    struct list node;
    struct jwks *jwks;
    struct identification *identification;
    issuers_set wanted; /* the sets that it waits for */
    uint64_t peer;      /* the number of the address that asks */
    uint32_t place;     /* of that in jwks->addresses */
    size_t len;
    char text[];
};

static void count(struct jwks *jwks, enum jwks_count what)
{
    atomic_fetch_add_explicit(&jwks->counts[what], 1, memory_order_relaxed);
}

static void give_place(struct jwks *jwks, uint32_t place)
{
    quota_give(&jwks->addresses, place);
    atomic_fetch_sub_explicit(&jwks->questions, 1, memory_order_relaxed);
}

/* The identity by the keys that are there. Empties `wanted` if no other key can change it. */
static struct identity judge(struct question_of_key *question)
{
    struct str text = {question->text, question->len};
    issuers_set lacking;
    struct identity identity =
        issuers_identify(question->jwks->issuers, text, question->identification->now_us, &lacking);
    if (identity.state == IDENTITY_KNOWN || !lacking)
        question->wanted = 0;
    return identity;
}

static void answer_by(struct question_of_key *question, struct identity identity)
{
    struct jwks *jwks = question->jwks;
    identification_answer(question->identification, identity);
    explicit_bzero(question->text, question->len);
    give_place(jwks, question->place);
    free(question);
}

static void answer(struct question_of_key *question)
{
    answer_by(question, judge(question));
}

/* ---- fetching -------------------------------------------------------------------------------- */

static struct loop *loop_of(const struct jwks *jwks)
{
    return jwks->client->loop;
}

static int64_t now_ns(const struct jwks *jwks)
{
    return clock_now_ns(loop_of(jwks)->clock);
}

static const struct issuer *issuer_of(const struct jwks_set *set)
{
    return &set->jwks->issuers->at[set->place];
}

static bool fetch(struct jwks_set *set)
{
    set->tried_ns = now_ns(set->jwks);
    set->call.timeout_ms = JWKS_TIMEOUT_MS;
    set->call.response_max = TOKEN_JWKS_MAX + 1;
    return !call_get(set->jwks->client, &set->call, issuer_of(set)->jwks_url);
}

static void say_failed(const struct jwks_set *set, const char *why)
{
    char url[200], words[200];
    struct buf hidden = {0};
    http_url_hide(&hidden, str_from(issuer_of(set)->jwks_url));
    if (buf_failed(&hidden))
        buf_clear(&hidden);
    say(SAY_WARN, "key_set_not_fetched", "url=%s status=%d why=%s",
        say_quote(url, sizeof(url), hidden.at, hidden.len), set->call.status,
        say_quote(words, sizeof(words), why, strlen(why)));
    buf_free(&hidden);
}

/* The keys of an answer; NULL with the cause in `ret_why`. */
static struct token_keys *read_answer(const struct jwks_set *set, const char **ret_why)
{
    struct token_keys *keys = NULL;
    *ret_why = set->call.error ? set->call.error : "the answer is not 200";
    if (set->call.error || set->call.status != 200)
        return NULL;
    *ret_why = "there is no memory";
    if (buf_failed(&set->call.response) ||
        token_keys_of_jwks(buf_str(&set->call.response), JWKS_PUBLIC, &keys, ret_why))
        return NULL;
    return keys;
}

/* Drops keys that were not confirmed for too long. */
static void drop_old(struct jwks_set *set)
{
    int64_t age_ns = now_ns(set->jwks) - set->fetched_ns;
    if (!set->fetched_ns || age_ns < issuer_of(set)->keep_s * INT64_C(1000000000))
        return;
    set->fetched_ns = 0;
    issuers_set_keys(set->jwks->issuers, set->place, NULL);
    say_failed(set, "the keys are too old now: no token of this issuer is accepted");
}

/* A token that the new keys decide about does not wait for the other sets: the server of one issuer
 * that hangs must not hold up the tokens of another. */
static void answer_waiting(struct jwks *jwks, size_t place)
{
    list_each (&jwks->waiting, node) {
        struct question_of_key *question = container_of(node, struct question_of_key, node);
        if (!(question->wanted >> place & 1))
            continue;
        question->wanted &= ~((issuers_set)1 << place);
        struct identity identity = judge(question);
        if (question->wanted) /* nobody is known, so the identity holds nothing */
            continue;
        list_remove(node);
        answer_by(question, identity);
    }
}

static void on_done(struct call *call)
{
    struct jwks_set *set = container_of(call, struct jwks_set, call);
    const struct issuer *issuer = issuer_of(set);
    const char *why;
    struct token_keys *keys = read_answer(set, &why);
    int64_t again_ms = issuer->refresh_s * 1000;
    count(set->jwks, keys ? JWKS_FETCHED : JWKS_FAILED);
    if (keys) {
        set->fetched_ns = now_ns(set->jwks);
        issuers_set_keys(set->jwks->issuers, set->place, keys);
    } else {
        say_failed(set, why);
        drop_old(set);
        again_ms = again_ms < JWKS_RETRY_MS ? again_ms : JWKS_RETRY_MS;
    }
    timer_set(loop_of(set->jwks), &set->timer, again_ms);
    answer_waiting(set->jwks, set->place);
}

static void on_timer(struct timer *timer)
{
    struct jwks_set *set = container_of(timer, struct jwks_set, timer);
    if (!set->call.is_under_way && !fetch(set))
        timer_set(loop_of(set->jwks), &set->timer, JWKS_RETRY_MS);
}

/* ---- questions ------------------------------------------------------------------------------- */

/* Addresses that are not known share one number, so that they are bounded as one is. So do Unix
 * sockets here. */
static bool has_caused_one(const struct jwks_set *set, uint64_t peer)
{
    int64_t since_ns = now_ns(set->jwks) - JWKS_ADDRESS_MS * INT64_C(1000000);
    for (unsigned i = 0; i < JWKS_CAUSES; i++) {
        const struct jwks_cause *cause = &set->causes[i];
        if (cause->at_ns && cause->at_ns > since_ns && cause->peer == peer)
            return true;
    }
    return false;
}

static bool fetch_for(struct jwks_set *set, uint64_t peer)
{
    if (!fetch(set))
        return false;
    set->causes[set->next_cause] = (struct jwks_cause){peer, set->tried_ns};
    set->next_cause = (set->next_cause + 1) % JWKS_CAUSES;
    return true;
}

/* Whether the set is being fetched, now or from now on. */
static bool is_coming(struct jwks_set *set, uint64_t peer)
{
    int64_t since_ns = now_ns(set->jwks) - set->tried_ns;
    if (set->call.is_under_way)
        return true;
    if ((!set->tried_ns || since_ns >= JWKS_AGAIN_MS * INT64_C(1000000)) &&
        !has_caused_one(set, peer))
        return fetch_for(set, peer);
    count(set->jwks, JWKS_TOO_SOON);
    return false;
}

static void open_question(struct mail *mail, void *owner)
{
    struct question_of_key *question = container_of(mail, struct question_of_key, mail);
    struct jwks *jwks = question->jwks;
    (void)owner;
    for (size_t i = 0; i < jwks->issuers->count; i++)
        if ((question->wanted >> i & 1) && !is_coming(&jwks->sets[i], question->peer))
            question->wanted &= ~((issuers_set)1 << i);
    if (question->wanted)
        list_add_last(&jwks->waiting, &question->node);
    else
        answer(question);
}

/* Counts a question, until give_place(). The reason if there are too many, this one included. A
 * Unix socket has no address, and is not limited. */
static const char *take_place(struct jwks *jwks, uint64_t peer, uint32_t *ret_place)
{
    uint32_t most = atomic_load_explicit(&jwks->address_max, memory_order_relaxed);
    unsigned questions = atomic_fetch_add_explicit(&jwks->questions, 1, memory_order_relaxed);
    bool is_limited = most && peer != PEER_NONE;
    *ret_place = is_limited ? quota_take(&jwks->addresses, peer, most) : QUOTA_NONE;
    if (is_limited && *ret_place == QUOTA_NONE)
        return crowded_address;
    return questions < JWKS_QUESTIONS_MAX ? NULL : crowded;
}

static uint64_t peer_of_asker(const struct identification *identification)
{
    return identification->peer ? identification->peer(identification) : PEER_NONE;
}

static struct question_of_key *question_new(struct jwks *jwks, issuers_set wanted, struct str text,
                                            struct identification *identification)
{
    struct question_of_key *question = mem_try_alloc(sizeof(*question) + text.len);
    if (!question)
        return NULL;
    *question = (struct question_of_key){.mail = {.open = open_question},
                                         .jwks = jwks,
                                         .identification = identification,
                                         .wanted = wanted,
                                         .peer = peer_of_asker(identification),
                                         .len = text.len};
    memcpy(question->text, text.at, text.len);
    return question;
}

/* Any thread. */
static const char *ask(struct issuers *issuers, issuers_set wanted, struct str text,
                       struct identification *identification)
{
    struct jwks *jwks = issuers->fetcher;
    struct question_of_key *question = question_new(jwks, wanted, text, identification);
    if (!question)
        return "no memory: try again";
    const char *why = take_place(jwks, question->peer, &question->place);
    if (!why) {
        mailbox_post(&loop_of(jwks)->mailbox, &question->mail);
        return NULL;
    }
    count(jwks, JWKS_REFUSED);
    give_place(jwks, question->place);
    explicit_bzero(question->text, question->len);
    free(question);
    return why;
}

/* ---- the whole ------------------------------------------------------------------------------- */

int jwks_init(struct jwks *jwks, struct issuers *issuers, struct client *client)
{
    *jwks = (struct jwks){.issuers = issuers, .client = client, .address_max = JWKS_ADDRESS_MAX};
    int result = quota_init(&jwks->addresses, JWKS_QUESTIONS_MAX);
    if (result)
        return result;
    list_init(&jwks->waiting);
    for (size_t i = 0; i < ISSUERS_MAX; i++)
        jwks->sets[i] = (struct jwks_set){
            .jwks = jwks, .place = i, .call = {.done = on_done}, .timer = {.ring = on_timer}};
    issuers->fetcher = jwks;
    issuers->fetch = ask;
    return 0;
}

void jwks_limit(struct jwks *jwks, uint32_t address_max)
{
    atomic_store_explicit(&jwks->address_max, address_max, memory_order_relaxed);
}

struct jwks_stats jwks_stats(struct jwks *jwks)
{
    struct jwks_stats stats = {0};
    if (!jwks)
        return stats;
    for (unsigned i = 0; i < JWKS_COUNT; i++)
        stats.counts[i] = atomic_load_explicit(&jwks->counts[i], memory_order_relaxed);
    stats.waiting = atomic_load_explicit(&jwks->questions, memory_order_relaxed);
    stats.addresses = quota_holders(&jwks->addresses);
    return stats;
}

/* Keys that are there already count as fetched now, so that they end as others do. */
void jwks_begin(struct jwks *jwks)
{
    for (size_t i = 0; i < jwks->issuers->count; i++) {
        if (!jwks->issuers->at[i].jwks_url)
            continue;
        if (issuers_has_keys(jwks->issuers, i))
            jwks->sets[i].fetched_ns = now_ns(jwks);
        on_timer(&jwks->sets[i].timer);
    }
}

void jwks_end(struct jwks *jwks)
{
    for (size_t i = 0; i < jwks->issuers->count; i++) {
        timer_stop(&jwks->sets[i].timer);
        call_cancel(&jwks->sets[i].call);
    }
    for (struct list *node; (node = list_take_first(&jwks->waiting));)
        answer(container_of(node, struct question_of_key, node));
}

void jwks_deinit(struct jwks *jwks)
{
    for (size_t i = 0; i < ISSUERS_MAX; i++)
        call_free(&jwks->sets[i].call);
    quota_deinit(&jwks->addresses);
}
