/* An account of the memory that peers make one thread hold, by what it is held for. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* The kinds: the name in /stats and /metrics, and the help text of the metric. */
#define ACCOUNTS(X)                                                                                \
    X(INTAKE, "intake", "unfinished requests and messages")                                        \
    X(INFLATED, "inflated", "messages made larger by decompression")                               \
    X(BATCH, "batch", "events parsed in this turn and not given to the log yet")                   \
    X(CHUNKS, "chunks", "events encoded for subscribers")                                          \
    X(ANSWERS, "answers", "answers that are made and not sent yet")                                \
    X(RESTS, "rests", "bytes that peers do not take")                                              \
    X(READS, "reads", "events that reads of the store have found, not encoded yet")                \
    X(HTTP2, "http2", "state of HTTP/2 connections: streams, fields, frames that wait")

enum account_kind {
#define ACCOUNT_NAME(name, text, help) ACCOUNT_##name,
    ACCOUNTS(ACCOUNT_NAME)
#undef ACCOUNT_NAME
        ACCOUNT_COUNT,
};
extern const char *const account_names[ACCOUNT_COUNT];

/* The account belongs to one thread, which adds and takes away; any thread may read `held`. */
struct account {
    _Atomic uint64_t held[ACCOUNT_COUNT];
    uint64_t total;
    uint64_t limit; /* 0: no limit */
};

/* Sets `*counted`, the bytes that one holder has in the account, to `bytes`, and the account with
 * it. For a buffer that grows and shrinks. */
void account_set(struct account *account, enum account_kind kind, size_t *counted, size_t bytes);

/* Returns the bytes held of a kind. Any thread. */
static inline uint64_t account_held(const struct account *account, enum account_kind kind)
{
    return atomic_load_explicit(&account->held[kind], memory_order_relaxed);
}

/* Counts bytes that are held, or no longer held. To take away more than is held is a fault of the
 * caller and aborts. */
static inline void account_add(struct account *account, enum account_kind kind, size_t bytes)
{
    atomic_store_explicit(&account->held[kind], account_held(account, kind) + bytes,
                          memory_order_relaxed);
    account->total += bytes;
}

static inline void account_sub(struct account *account, enum account_kind kind, size_t bytes)
{
    uint64_t held = account_held(account, kind);
    if (bytes > held)
        abort();
    atomic_store_explicit(&account->held[kind], held - bytes, memory_order_relaxed);
    account->total -= bytes;
}

/* The number of bytes above the limit; 0 within it. The owner's thread. */
static inline uint64_t account_excess(const struct account *account)
{
    return account->limit && account->total > account->limit ? account->total - account->limit : 0;
}
