/* A question becomes a request (struct asked) with a digest over everything that the answer can
 * depend on: the body, the server, and the credential that the caller of the answer inherits. The
 * digest finds an answer in the cache, under a lock, on the thread that asks. Otherwise the request
 * goes by mail to the backend thread, where it joins an equal one that is under way, or waits for
 * its turn and is POSTed then. Turns come when a question comes and when one has ended. A timer
 * ends a question that waits for its turn until its timeout_ms has passed.
 *
 * Failing closed: only a whole answer of status 200 that says `"allow": true` allows. Failures are
 * not kept, so the next question asks again. */
#include "backend/authorize.h"

#include "base/hash.h"
#include "base/json_writer.h"
#include "base/say.h"
#include "base/utf8.h"
#include "http/target.h"
#include "net/peer.h"

#include <errno.h>
#include <stdlib.h>

#define AUTHORIZATION STR("authorization")

static const char denied[] = "the operator's server does not allow it";
static const char failed[] = "the operator's server, which decides about that, cannot be asked now";
static const char no_memory[] = "no memory: try again";
static const char too_long[] =
    "the question to the operator's server has more than 64 KiB: ask for "
    "fewer channels, or send shorter fields";
static const char crowded[] = "too many requests wait for the operator's server: try again";
static const char crowded_address[] =
    "too many requests of this address wait for the operator's server "
    "(limits.authorize_address_max): try again";

#define COUNT_WORD(name, text, help) [AUTHORIZE_##name] = (text),
#define COUNT_HELP(name, text, help) [AUTHORIZE_##name] = (help),
const char *const authorize_count_names[AUTHORIZE_COUNT] = {AUTHORIZE_COUNTS(COUNT_WORD)};
const char *const authorize_count_helps[AUTHORIZE_COUNT] = {AUTHORIZE_COUNTS(COUNT_HELP)};

/* A kept answer. */
struct answer {
    struct map_node node;
    struct list age;
    uint8_t digest[HASH_SHA256_SIZE];
    struct caller *caller; /* NULL: denied */
    int64_t from_us, until_us;
    size_t bytes;
};

/* A request, from the thread that asks to the answer. */
struct asked {
    struct mail mail;
    struct map_node node; /* in authorize->asked, if it is the first of its kind */
    struct list list;     /* in authorize->under_way, or in `others` of the first */
    struct list others;
    struct turn turn;      /* of the first of its kind, as are the next two */
    struct timer deadline; /* runs while the request waits for its turn */
    int64_t due_ns;        /* when the server's timeout_ms will have passed */
    struct authorize *authorize;
    const struct authorize_server *server;
    struct identification *identification;
    struct call call;
    uint8_t digest[HASH_SHA256_SIZE];
    struct caller *base;            /* the caller of the credential, or NULL */
    bool is_vouching;               /* for a credential that only the operator's server knows, */
    char digits[CALLER_DIGEST_LEN]; /* and its digest */
    enum action action;
    struct str *terms; /* with their text behind them */
    size_t terms_count;
    struct buf body;
    size_t held;    /* bytes that are counted */
    uint64_t peer;  /* the number of the address that asks */
    uint32_t place; /* of that in authorize->addresses */
};

static void count(struct authorize *authorize, enum authorize_count what)
{
    atomic_fetch_add_explicit(&authorize->counts[what], 1, memory_order_relaxed);
}

static struct str digest_of(const uint8_t digest[HASH_SHA256_SIZE])
{
    return (struct str){(const char *)digest, HASH_SHA256_SIZE};
}

static bool answer_is(const struct map_node *node, struct str key)
{
    return str_eq(digest_of(container_of(node, struct answer, node)->digest), key);
}

static bool asked_is(const struct map_node *node, struct str key)
{
    return str_eq(digest_of(container_of(node, struct asked, node)->digest), key);
}

static struct identity unavailable(const char *why)
{
    return (struct identity){.state = IDENTITY_UNAVAILABLE, .why = why};
}

static struct identity identity_unfit(const char *why)
{
    return (struct identity){.state = IDENTITY_BAD, .why = why, .is_unfit = true};
}

static struct identity identity_by(struct caller *caller)
{
    return caller ? identity_of(caller_ref(caller)) : identity_bad(denied);
}

/* ---- the cache ------------------------------------------------------------------------------- */

/* A clock that was set back would keep an answer for as long as it went back, so an answer does not
 * count before it was given; but for a moment, since others ask at a time that they took before. */
enum { MOMENT_US = 1000000 };

static bool counts(const struct answer *answer, int64_t now_us)
{
    return now_us > answer->from_us - MOMENT_US && now_us < answer->until_us;
}

static size_t kept_max(const struct authorize *authorize)
{
    return atomic_load_explicit(&authorize->kept_max, memory_order_relaxed);
}

static void forget(struct authorize *authorize, struct answer *answer)
{
    map_remove(&authorize->cached, &answer->node);
    list_remove(&answer->age);
    atomic_fetch_sub_explicit(&authorize->kept, answer->bytes, memory_order_relaxed);
    caller_unref(answer->caller);
    free(answer);
}

static bool find_answer(struct authorize *authorize, const uint8_t digest[HASH_SHA256_SIZE],
                        int64_t now_us, struct identity *ret)
{
    pthread_mutex_lock(&authorize->lock);
    struct map_node *node = map_find(&authorize->cached, digest_of(digest));
    struct answer *answer = node ? container_of(node, struct answer, node) : NULL;
    bool found = answer && counts(answer, now_us);
    if (found)
        *ret = identity_by(answer->caller);
    else if (answer)
        forget(authorize, answer);
    pthread_mutex_unlock(&authorize->lock);
    return found;
}

/* A caller that the answer's rests on is counted with each, though others may hold it, too. */
static size_t size_of(const struct caller *caller)
{
    size_t bytes = mem_taken(sizeof(struct answer));
    for (; caller; caller = caller->facts.base)
        bytes += mem_taken(caller_size(&caller->facts));
    return bytes;
}

/* Drops the oldest answers until `more` bytes and one more answer have room. */
static void make_room(struct authorize *authorize, size_t more)
{
    while (
        !list_empty(&authorize->by_age) &&
        (authorize->cached.count >= AUTHORIZE_CACHED_MAX ||
         atomic_load_explicit(&authorize->kept, memory_order_relaxed) + more > kept_max(authorize)))
        forget(authorize, container_of(authorize->by_age.next, struct answer, age));
}

static void add_answer(struct authorize *authorize, struct answer *answer)
{
    struct map_node *old = map_find(&authorize->cached, digest_of(answer->digest));
    if (old)
        forget(authorize, container_of(old, struct answer, node));
    make_room(authorize, answer->bytes);
    map_add(&authorize->cached, &answer->node, digest_of(answer->digest));
    list_add_last(&authorize->by_age, &answer->age);
    atomic_fetch_add_explicit(&authorize->kept, answer->bytes, memory_order_relaxed);
}

/* Without memory, and if it is larger than all that may be kept, an answer is not kept. */
static void keep_answer(struct asked *asked, struct caller *caller, int64_t now_us, int64_t keep_s)
{
    struct authorize *authorize = asked->authorize;
    size_t bytes = size_of(caller);
    struct answer *answer = bytes <= kept_max(authorize) ? mem_try_alloc(sizeof(*answer)) : NULL;
    if (!answer)
        return;
    *answer = (struct answer){.caller = caller_ref(caller),
                              .from_us = now_us,
                              .until_us = now_us + keep_s * 1000000,
                              .bytes = bytes};
    memcpy(answer->digest, asked->digest, sizeof(answer->digest));
    pthread_mutex_lock(&authorize->lock);
    add_answer(authorize, answer);
    pthread_mutex_unlock(&authorize->lock);
}

/* ---- the question ---------------------------------------------------------------------------- */

/* Whether the server gets to see a field. A credential that this server does not know takes the
 * place of its own field, wherever it was sent. */
static bool passes_on(const struct authorize_question *question, struct str name)
{
    if (question->evidence->credential.len && str_eq(name, AUTHORIZATION))
        return false;
    for (size_t i = 0; i < question->server->headers_count; i++)
        if (str_eq(question->server->headers[i], name))
            return true;
    return false;
}

static void write_credential(struct json_writer *writer, struct str credential)
{
    struct buf text = {0};
    buf_add_lit(&text, "Bearer ");
    buf_add_str(&text, credential);
    json_name_of_len(writer, AUTHORIZATION.at, AUTHORIZATION.len);
    json_add_string(writer, buf_str(&text));
    writer->out->failed |= buf_failed(&text);
    buf_wipe(&text);
}

static void write_headers(struct json_writer *writer, const struct authorize_question *question)
{
    const struct evidence *evidence = question->evidence;
    json_name(writer, "headers");
    json_object_begin(writer);
    if (evidence->credential.len)
        write_credential(writer, evidence->credential);
    for (size_t i = 0; i < evidence->fields_count; i++) {
        const struct evidence_field *field = &evidence->fields[i];
        if (!passes_on(question, field->name))
            continue;
        json_name_of_len(writer, field->name.at, field->name.len);
        json_add_string(writer, field->value);
    }
    json_object_end(writer);
}

static void write_question(struct buf *out, const struct authorize_question *question)
{
    struct json_writer writer = json_writer(out);
    json_object_begin(&writer);
    json_member_string(&writer, "action", str_from(action_word(question->action)));
    json_name(&writer, "channels");
    json_array_begin(&writer);
    for (size_t i = 0; i < question->terms_count; i++)
        json_add_string(&writer, question->terms[i]);
    json_array_end(&writer);
    if (caller_subject(question->caller).len)
        json_member_string(&writer, "subject", caller_subject(question->caller));
    json_member_string(&writer, "address", question->evidence->address);
    write_headers(&writer, question);
    json_object_end(&writer);
}

/* JSON is UTF-8; the fields of a request may be anything. */
static bool is_text(const struct authorize_question *question)
{
    const struct evidence *evidence = question->evidence;
    for (size_t i = 0; i < evidence->fields_count; i++)
        if (passes_on(question, evidence->fields[i].name) && !utf8_valid(evidence->fields[i].value))
            return false;
    return utf8_valid(evidence->credential);
}

/* The caller of the answer has the grants of the credential, too. */
static void add_grants(struct buf *text, const struct caller_facts *facts)
{
    for (size_t i = 0; i < facts->grants_count; i++) {
        const struct grant *grant = &facts->grants[i];
        buf_addf(text, ";%u", (unsigned)grant->may);
        for (size_t j = 0; j < grant->patterns_count; j++)
            buf_addf(text, ",%zu:%.*s", grant->patterns[j].len, STR_FMT(grant->patterns[j]));
    }
}

/* Adds the facts of a caller, each string behind its length. */
static void add_facts(struct buf *text, const struct caller_facts *facts)
{
    const struct str parts[] = {facts->subject, facts->digest, facts->key_id, facts->jti};
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        buf_addf(text, "%zu:%.*s", parts[i].len, STR_FMT(parts[i]));
    buf_addf(text, "%u:%lld:%lld:%llu", (unsigned)facts->kind, (long long)facts->issued_us,
             (long long)facts->expires_us, (unsigned long long)facts->voucher);
    add_grants(text, facts);
    buf_add_char(text, '\n');
}

/* Covers all that the answer depends on: the server, the body, and the callers that the caller of
 * the answer will rest on. */
static void make_digest(struct asked *asked)
{
    struct buf text = {0};
    const struct str url = str_from(asked->server->url), body = buf_str(&asked->body);
    (void)buf_reserve(&text, url.len + body.len + 64); /* bytes that move would stay behind */
    buf_addf(&text, "%zu:%.*s%zu:", url.len, STR_FMT(url), body.len);
    buf_add_str(&text, body);
    for (const struct caller *caller = asked->base; caller; caller = caller->facts.base)
        add_facts(&text, &caller->facts);
    hash_sha256(buf_str(&text), asked->digest);
    asked->body.failed |= buf_failed(&text);
    buf_wipe(&text);
}

/* Copies the terms. False if there is no memory. */
static bool copy_terms(struct asked *asked, const struct authorize_question *question)
{
    size_t len = 0, count = question->terms_count;
    for (size_t i = 0; i < count; i++)
        len += question->terms[i].len;
    asked->terms = mem_try_alloc((count + 1) * sizeof(struct str) + len);
    if (!asked->terms)
        return false;
    char *text = (char *)(asked->terms + count);
    for (size_t i = 0; i < count; i++) {
        memcpy(text, question->terms[i].at, question->terms[i].len);
        asked->terms[i] = (struct str){text, question->terms[i].len};
        text += question->terms[i].len;
    }
    asked->terms_count = count;
    return true;
}

/* Counts the question for its address. A Unix socket has none, and is not limited. */
static bool take_share(struct asked *asked)
{
    struct authorize *authorize = asked->authorize;
    uint32_t most = atomic_load_explicit(&authorize->address_max, memory_order_relaxed);
    if (!most || asked->peer == PEER_NONE)
        return true;
    asked->place = quota_take(&authorize->addresses, asked->peer, most);
    return asked->place != QUOTA_NONE;
}

/* Counts the question, until give_place(). The reason if there are too many, this one included. */
static const char *take_place(struct asked *asked)
{
    struct authorize *authorize = asked->authorize;
    asked->held = sizeof(*asked) + sizeof(struct turns_address) + asked->body.cap +
                  asked->terms_count * sizeof(struct str);
    for (size_t i = 0; i < asked->terms_count; i++)
        asked->held += asked->terms[i].len;
    unsigned questions = atomic_fetch_add_explicit(&authorize->questions, 1, memory_order_relaxed);
    size_t held = atomic_fetch_add_explicit(&authorize->held, asked->held, memory_order_relaxed);
    if (!take_share(asked))
        return crowded_address;
    return questions < AUTHORIZE_QUESTIONS_MAX && held + asked->held <= AUTHORIZE_HELD_MAX
               ? NULL
               : crowded;
}

static void give_place(const struct asked *asked)
{
    struct authorize *authorize = asked->authorize;
    quota_give(&authorize->addresses, asked->place);
    atomic_fetch_sub_explicit(&authorize->held, asked->held, memory_order_relaxed);
    atomic_fetch_sub_explicit(&authorize->questions, 1, memory_order_relaxed);
}

static void free_asked(struct asked *asked)
{
    call_free(&asked->call);
    caller_unref(asked->base);
    free(asked->terms);
    buf_wipe(&asked->body); /* the body may hold a session's cookie */
    free(asked);
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* Reads the answer. False if it is none that counts, with the cause in `ret_why`. */
static bool read_answer(const struct call *call, struct authorize_reply *ret, const char **ret_why)
{
    *ret = (struct authorize_reply){0};
    *ret_why = call->error ? call->error : "the answer is not 200";
    if (call->error || call->status != 200)
        return false;
    *ret_why = "the answer is larger than 16 KiB";
    if (buf_failed(&call->response) || call->response_size > call->response.len)
        return false;
    *ret_why = "the answer is no JSON object with allow (true or false), and perhaps subject (text "
               "of 1 to 255 bytes) and ttl_s (1 to 86400)";
    return authorize_reply_read(buf_str(&call->response), ret);
}

static int64_t sooner_us(int64_t a, int64_t b)
{
    return b && b < a ? b : a;
}

/* Tells callers apart whom neither the credential nor the server names. */
static struct str digest_of_asker(const struct asked *asked, const struct authorize_reply *reply)
{
    if (reply->subject.len || caller_subject(asked->base).len)
        return STR_NONE;
    if (asked->base)
        return asked->base->facts.digest;
    return asked->is_vouching ? (struct str){asked->digits, sizeof(asked->digits)} : STR_NONE;
}

/* The caller that an answer allows. NULL if there is no memory. */
static struct caller *make_caller(const struct asked *asked, const struct authorize_reply *reply,
                                  int64_t now_us)
{
    const struct grant grant = {asked->terms, asked->terms_count, action_bit(asked->action)};
    const struct caller *base = asked->base;
    struct caller_facts facts = {
        .kind = base || asked->is_vouching || reply->subject.len ? CALLER_BACKEND : CALLER_ANYBODY,
        .subject = reply->subject.len ? reply->subject : caller_subject(base),
        .digest = digest_of_asker(asked, reply),
        .expires_us = now_us + reply->ttl_s * 1000000,
        .voucher = asked->server->voucher,
        .grants = &grant,
        .grants_count = 1,
    };
    if (base) {
        facts.base = base;
        facts.issued_us = reply->subject.len ? 0 : base->facts.issued_us;
        facts.expires_us = sooner_us(facts.expires_us, base->facts.expires_us);
        facts.key_id = base->facts.key_id;
        facts.jti = base->facts.jti;
    }
    return caller_new(&facts);
}

/* Answers the request and those that wait for the same, and frees them all. */
static void answer_all(struct asked *first, const struct identity *identity)
{
    struct authorize *authorize = first->authorize;
    turns_remove(&authorize->turns, &first->turn);
    timer_stop(&first->deadline);
    map_remove(&authorize->asked, &first->node);
    list_remove(&first->list);
    list_add_last(&first->others, &first->list);
    for (struct list *node; (node = list_take_first(&first->others));) {
        struct asked *asked = container_of(node, struct asked, list);
        struct identity own = *identity;
        own.caller = caller_ref(own.caller);
        identification_answer(asked->identification, own);
        give_place(asked);
        if (asked != first)
            free_asked(asked);
    }
    free_asked(first);
}

static struct identity judge(struct asked *asked, const struct authorize_reply *reply)
{
    int64_t now_us = clock_wall_us(asked->authorize->client->loop->clock);
    int64_t keep_s = asked->server->cache_s < reply->ttl_s ? asked->server->cache_s : reply->ttl_s;
    struct caller *caller = reply->allow ? make_caller(asked, reply, now_us) : NULL;
    if (reply->allow && !caller)
        return unavailable(no_memory);
    if (!caller)
        count(asked->authorize, AUTHORIZE_DENIED);
    if (keep_s)
        keep_answer(asked, caller, now_us, keep_s);
    return caller ? identity_of(caller) : identity_bad(denied);
}

static void say_failed(const struct asked *asked, const char *why)
{
    char url[200], words[200];
    struct buf hidden = {0};
    uint64_t left_out;
    int64_t now_ns = clock_now_ns(asked->authorize->client->loop->clock);
    if (!sparing_may(&asked->authorize->failures, now_ns, &left_out))
        return;
    http_url_hide(&hidden, str_from(asked->server->url));
    if (buf_failed(&hidden))
        buf_clear(&hidden);
    say(SAY_WARN, "authorize_failed", "url=%s status=%d why=%s left_out=%llu",
        say_quote(url, sizeof(url), hidden.at, hidden.len), asked->call.status,
        say_quote(words, sizeof(words), why, strlen(why)), (unsigned long long)left_out);
    buf_free(&hidden);
}

static void send_waiting(struct authorize *authorize);

static void on_done(struct call *call)
{
    struct asked *asked = container_of(call, struct asked, call);
    struct authorize *authorize = asked->authorize;
    const char *why;
    struct authorize_reply reply;
    struct identity identity = unavailable(failed);
    if (read_answer(call, &reply, &why)) {
        identity = judge(asked, &reply);
    } else {
        count(authorize, call->timed_out ? AUTHORIZE_TIMED_OUT : AUTHORIZE_FAILED);
        say_failed(asked, why);
    }
    answer_all(asked, &identity);
    caller_unref(identity.caller);
    authorize_reply_deinit(&reply);
    send_waiting(authorize);
}

/* ---- sending --------------------------------------------------------------------------------- */

static struct curl_slist *add_header(struct curl_slist *list, const char *name, struct str value)
{
    struct buf line = {0};
    buf_addf(&line, "%s: %.*s", name, STR_FMT(value));
    buf_add_char(&line, '\0');
    struct curl_slist *longer = buf_failed(&line) ? NULL : curl_slist_append(list, line.at);
    buf_free(&line);
    return longer ? longer : list;
}

/* The fields of Standard Webhooks. A field that is missing for lack of memory is noticed by the
 * receiver, which refuses the request. */
static struct curl_slist *make_headers(const struct asked *asked)
{
    struct buf id = {0}, time = {0}, signature = {0};
    int64_t now_s = clock_wall_us(asked->authorize->client->loop->clock) / 1000000;
    uint64_t random[2];
    hash_random(random, sizeof(random));
    buf_add_lit(&id, "ask_");
    buf_add_hex(&id, random[0]);
    buf_add_hex(&id, random[1]);
    buf_add_u64(&time, (uint64_t)now_s);
    sign_add(&signature, &asked->server->key, buf_str(&id), now_s, buf_str(&asked->body));
    struct curl_slist *list = add_header(NULL, "content-type", STR("application/json"));
    list = add_header(list, "accept", STR("application/json"));
    list = add_header(list, "expect", STR(""));
    list = add_header(list, "webhook-id", buf_str(&id));
    list = add_header(list, "webhook-timestamp", buf_str(&time));
    list = add_header(list, "webhook-signature", buf_str(&signature));
    buf_free(&id);
    buf_free(&time);
    buf_free(&signature);
    return list;
}

static void post(struct asked *asked, int64_t timeout_ms)
{
    asked->call.done = on_done;
    asked->call.timeout_ms = timeout_ms;
    asked->call.repeatable = true; /* a question changes nothing */
    if (!call_post(asked->authorize->client, &asked->call, asked->server->url, make_headers(asked),
                   buf_str(&asked->body)))
        return;
    struct identity identity = unavailable(no_memory);
    answer_all(asked, &identity);
}

/* Ends a question whose turn did not come in time, as if the server had not answered. */
static void give_up(struct asked *asked)
{
    const struct identity identity = unavailable(failed);
    count(asked->authorize, AUTHORIZE_TIMED_OUT);
    say_failed(asked, "no place was free for the question before timeout_ms had passed: see "
                      "limits.authorize_site_max");
    answer_all(asked, &identity);
}

static void on_deadline(struct timer *deadline)
{
    give_up(container_of(deadline, struct asked, deadline));
}

/* How many of a site's questions may be of one address: all but a quarter. Without a limit for
 * addresses all clients may come from one, as from a proxy. */
static uint32_t address_places(const struct authorize *authorize, uint32_t site_max)
{
    if (!atomic_load_explicit(&authorize->address_max, memory_order_relaxed) || site_max == 1)
        return site_max;
    return site_max - (site_max + 3) / 4;
}

static struct turns_limits turns_limits_of(const struct authorize *authorize)
{
    uint32_t site_max = atomic_load_explicit(&authorize->site_max, memory_order_relaxed);
    return (struct turns_limits){.places = AUTHORIZE_PLACES,
                                 .site = site_max,
                                 .address = address_places(authorize, site_max)};
}

/* Sends the questions whose turn it is, with what is left of their time. The timer is late by some
 * ms, so a question may have none left. */
static void send_waiting(struct authorize *authorize)
{
    const struct turns_limits limits = turns_limits_of(authorize);
    for (struct turn *turn; (turn = turns_next(&authorize->turns, &limits));) {
        struct asked *asked = container_of(turn, struct asked, turn);
        int64_t left_ns = asked->due_ns - clock_now_ns(authorize->client->loop->clock);
        timer_stop(&asked->deadline);
        if (left_ns > 0)
            post(asked, (left_ns + 999999) / 1000000);
        else
            give_up(asked);
    }
}

static void wait_for_turn(struct asked *asked)
{
    const struct authorize_server *server = asked->server;
    struct authorize *authorize = asked->authorize;
    struct loop *loop = authorize->client->loop;
    asked->due_ns = clock_now_ns(loop->clock) + server->timeout_ms * 1000000;
    asked->deadline.ring = on_deadline;
    timer_set(loop, &asked->deadline, server->timeout_ms);
    turns_add(&authorize->turns, &asked->turn, str_from(server->url), asked->peer);
}

static void open_asked(struct mail *mail, void *owner)
{
    struct asked *asked = container_of(mail, struct asked, mail);
    struct authorize *authorize = asked->authorize;
    struct map_node *node = map_find(&authorize->asked, digest_of(asked->digest));
    (void)owner;
    if (node) {
        count(authorize, AUTHORIZE_COALESCED);
        list_add_last(&container_of(node, struct asked, node)->others, &asked->list);
        return;
    }
    count(authorize, AUTHORIZE_ASKED);
    map_add(&authorize->asked, &asked->node, digest_of(asked->digest));
    list_add_last(&authorize->under_way, &asked->list);
    wait_for_turn(asked);
    send_waiting(authorize);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* The request of a question; NULL if there cannot be one, with the cause in `ret_why`. */
static struct asked *make_asked(struct authorize *authorize,
                                const struct authorize_question *question,
                                struct identification *identification, const char **ret_why)
{
    struct asked *asked = mem_alloc(sizeof(*asked));
    *asked = (struct asked){.mail = {.open = open_asked},
                            .authorize = authorize,
                            .server = question->server,
                            .identification = identification,
                            .action = question->action,
                            .peer = question->evidence->peer,
                            .is_vouching = question->evidence->credential.len > 0};
    list_init(&asked->others);
    if (asked->is_vouching)
        (void)caller_digest(question->evidence->credential, asked->digits);
    if (question->caller) { /* the caller is immutable, but for its count of references */
        struct caller *base = container_of(&question->caller->facts, struct caller, facts);
        asked->base = caller_ref(base);
    }
    write_question(&asked->body, question);
    make_digest(asked);
    bool is_long = !buf_failed(&asked->body) && asked->body.len > AUTHORIZE_BODY_MAX;
    if (!buf_failed(&asked->body) && !is_long && copy_terms(asked, question))
        return asked;
    *ret_why = is_long ? too_long : no_memory;
    free_asked(asked);
    return NULL;
}

struct identity authorize_ask(struct authorize *authorize,
                              const struct authorize_question *question,
                              struct identification *identification)
{
    const char *why;
    struct identity identity;
    if (!is_text(question))
        return identity_unfit("a field that the operator's server decides by is not UTF-8");
    struct asked *asked = make_asked(authorize, question, identification, &why);
    if (!asked)
        return unavailable(why);
    if (find_answer(authorize, asked->digest, identification->now_us, &identity)) {
        count(authorize, AUTHORIZE_CACHED);
        free_asked(asked);
        return identity;
    }
    why = take_place(asked);
    if (why) {
        count(authorize, AUTHORIZE_REFUSED);
        give_place(asked);
        free_asked(asked);
        return unavailable(why);
    }
    mailbox_post(&authorize->client->loop->mailbox, &asked->mail);
    return (struct identity){.state = IDENTITY_LATER};
}

/* ---- the whole ------------------------------------------------------------------------------- */

int authorize_init(struct authorize *authorize, struct client *client)
{
    *authorize = (struct authorize){.client = client,
                                    .kept_max = AUTHORIZE_KEPT_MAX,
                                    .address_max = AUTHORIZE_ADDRESS_MAX,
                                    .site_max = AUTHORIZE_SITE_MAX};
    int result = quota_init(&authorize->addresses, AUTHORIZE_QUESTIONS_MAX);
    if (result)
        return result;
    pthread_mutex_init(&authorize->lock, NULL);
    map_init(&authorize->cached, answer_is);
    map_init(&authorize->asked, asked_is);
    list_init(&authorize->by_age);
    list_init(&authorize->under_way);
    turns_init(&authorize->turns);
    return 0;
}

void authorize_limit(struct authorize *authorize, const struct authorize_limits *limits)
{
    atomic_store_explicit(&authorize->address_max, limits->address_max, memory_order_relaxed);
    atomic_store_explicit(&authorize->site_max, limits->site_max, memory_order_relaxed);
    pthread_mutex_lock(&authorize->lock);
    atomic_store_explicit(&authorize->kept_max, limits->kept_max, memory_order_relaxed);
    make_room(authorize, 0);
    pthread_mutex_unlock(&authorize->lock);
}

struct authorize_stats authorize_stats(struct authorize *authorize)
{
    struct authorize_stats stats = {0};
    if (!authorize)
        return stats;
    for (unsigned i = 0; i < AUTHORIZE_COUNT; i++)
        stats.counts[i] = atomic_load_explicit(&authorize->counts[i], memory_order_relaxed);
    stats.waiting = atomic_load_explicit(&authorize->questions, memory_order_relaxed);
    stats.waiting_bytes = atomic_load_explicit(&authorize->held, memory_order_relaxed);
    stats.addresses = quota_holders(&authorize->addresses);
    pthread_mutex_lock(&authorize->lock);
    stats.kept = authorize->cached.count;
    stats.kept_bytes = atomic_load_explicit(&authorize->kept, memory_order_relaxed);
    pthread_mutex_unlock(&authorize->lock);
    return stats;
}

void authorize_end(struct authorize *authorize)
{
    const struct identity identity = unavailable("the server stops");
    while (!list_empty(&authorize->under_way))
        answer_all(container_of(authorize->under_way.next, struct asked, list), &identity);
}

void authorize_deinit(struct authorize *authorize)
{
    while (!list_empty(&authorize->by_age))
        forget(authorize, container_of(authorize->by_age.next, struct answer, age));
    map_deinit(&authorize->cached);
    map_deinit(&authorize->asked);
    turns_deinit(&authorize->turns);
    quota_deinit(&authorize->addresses);
    pthread_mutex_destroy(&authorize->lock);
}
