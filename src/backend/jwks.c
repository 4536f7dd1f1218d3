/* A set is fetched every refresh_s. If that fails, the keys of before count on for keep_s, so that
 * an issuer may restart, but nobody can hold a withdrawn key in force by cutting the network.
 *
 * A token with an unknown key id asks a question: by mail, from a worker, which goes on with other
 * requests. The question waits for the fetches that are under way or begin now. A set is fetched
 * once in JWKS_AGAIN_MS at most, since anybody can invent key ids; other questions are answered at
 * once. */
#include "backend/jwks.h"

#include "base/mem.h"
#include "base/say.h"
#include "http/target.h"

#include <stdlib.h>

struct question_of_key {
    struct mail mail;
    struct list node;
    struct jwks *jwks;
    struct identification *identification;
    issuers_set wanted; /* the sets that it waits for */
    size_t len;
    char text[];
};

static void answer(struct question_of_key *question)
{
    struct jwks *jwks = question->jwks;
    struct str text = {question->text, question->len};
    issuers_set lacking;
    struct identity identity =
        issuers_identify(jwks->issuers, text, question->identification->now_us, &lacking);
    identification_answer(question->identification, identity);
    explicit_bzero(question->text, question->len);
    free(question);
    atomic_fetch_sub_explicit(&jwks->questions, 1, memory_order_relaxed);
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

static void answer_waiting(struct jwks *jwks, size_t place)
{
    list_each (&jwks->waiting, node) {
        struct question_of_key *question = container_of(node, struct question_of_key, node);
        question->wanted &= ~((issuers_set)1 << place);
        if (question->wanted)
            continue;
        list_remove(node);
        answer(question);
    }
}

static void on_done(struct call *call)
{
    struct jwks_set *set = container_of(call, struct jwks_set, call);
    const struct issuer *issuer = issuer_of(set);
    const char *why;
    struct token_keys *keys = read_answer(set, &why);
    int64_t again_ms = issuer->refresh_s * 1000;
    if (keys) {
        set->fetched_ns = now_ns(set->jwks);
        issuers_set_keys(set->jwks->issuers, set->place, keys);
    } else {
        say_failed(set, why);
        drop_old(set);
        again_ms = again_ms < JWKS_AGAIN_MS ? again_ms : JWKS_AGAIN_MS;
    }
    timer_set(loop_of(set->jwks), &set->timer, again_ms);
    answer_waiting(set->jwks, set->place);
}

static void on_timer(struct timer *timer)
{
    struct jwks_set *set = container_of(timer, struct jwks_set, timer);
    if (!set->call.is_under_way && !fetch(set))
        timer_set(loop_of(set->jwks), &set->timer, JWKS_AGAIN_MS);
}

/* ---- questions ------------------------------------------------------------------------------- */

/* Whether the set is being fetched, now or from now on. */
static bool is_coming(struct jwks_set *set)
{
    int64_t since_ns = now_ns(set->jwks) - set->tried_ns;
    if (set->call.is_under_way)
        return true;
    if (set->tried_ns && since_ns < JWKS_AGAIN_MS * INT64_C(1000000))
        return false;
    return fetch(set);
}

static void open_question(struct mail *mail, void *owner)
{
    struct question_of_key *question = container_of(mail, struct question_of_key, mail);
    struct jwks *jwks = question->jwks;
    (void)owner;
    for (size_t i = 0; i < jwks->issuers->count; i++)
        if ((question->wanted >> i & 1) && !is_coming(&jwks->sets[i]))
            question->wanted &= ~((issuers_set)1 << i);
    if (question->wanted)
        list_add_last(&jwks->waiting, &question->node);
    else
        answer(question);
}

/* Any thread. */
static bool ask(struct issuers *issuers, issuers_set wanted, struct str text,
                struct identification *identification)
{
    struct jwks *jwks = issuers->fetcher;
    struct question_of_key *question = NULL;
    if (atomic_fetch_add_explicit(&jwks->questions, 1, memory_order_relaxed) < JWKS_QUESTIONS_MAX)
        question = mem_try_alloc(sizeof(*question) + text.len);
    if (!question) {
        atomic_fetch_sub_explicit(&jwks->questions, 1, memory_order_relaxed);
        return false;
    }
    *question = (struct question_of_key){.mail = {.open = open_question},
                                         .jwks = jwks,
                                         .identification = identification,
                                         .wanted = wanted,
                                         .len = text.len};
    memcpy(question->text, text.at, text.len);
    mailbox_post(&loop_of(jwks)->mailbox, &question->mail);
    return true;
}

/* ---- the whole ------------------------------------------------------------------------------- */

void jwks_init(struct jwks *jwks, struct issuers *issuers, struct client *client)
{
    *jwks = (struct jwks){.issuers = issuers, .client = client};
    list_init(&jwks->waiting);
    for (size_t i = 0; i < ISSUERS_MAX; i++)
        jwks->sets[i] = (struct jwks_set){
            .jwks = jwks, .place = i, .call = {.done = on_done}, .timer = {.ring = on_timer}};
    issuers->fetcher = jwks;
    issuers->fetch = ask;
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
}
