/* Endpoints on disk: a table in state.db, written by the saver's thread. */
#pragma once

#include "webhooks/progress/row.h"

struct delivery_log;

struct registry;

/* The latest format of the webhooks' tables that this program knows. */
enum { REGISTRY_VERSION = 6 };

/* Opens `dir`/state.db, which the log has made, and upgrades our tables. With NULL, opens tables in
 * memory. Returns 0 or a negative errno; -ENOTSUP if a newer version has written them. */
int registry_open(const char *dir, struct registry **ret_registry);
/* NULL is fine. */
void registry_close(struct registry *registry);

/* Calls `each` for every endpoint, oldest first; it takes the row over. */
int registry_load(struct registry *registry, void (*each)(void *context, struct endpoint_row *row),
                  void *context);

/* The same for every lane: those of an endpoint together, by ascending `after`. */
int registry_load_lanes(struct registry *registry,
                        void (*each)(void *context, struct lane_row *row), void *context);

/* A result of changes: the write failed, and it could not be ensured that nothing of it is there
 * after a crash. */
enum { REGISTRY_E_FATE_UNKNOWN = 1 };

/* Adds or replaces a row; `forget` also deletes its lanes. Durable when it returns 0. */
int registry_put(struct registry *registry, struct endpoint_row *row, bool forget);
/* The result of the last attempt to save lanes; 0: they are saved. Otherwise lanes are missing on
 * disk, and no row may be saved whose scan is beyond them. */
void registry_note_lanes(struct registry *registry, int result);
int registry_lanes_result(const struct registry *registry);

/* Deletes an endpoint with its lanes; pruning deletes its deliveries. Durable when it returns 0. */
int registry_delete(struct registry *registry, const char *id);

/* Between begin and commit: keeps how far an endpoint has got (cursor, told, next_us, failures,
 * since_us, warned, and state if `with_state`), and lanes. All of them are one transaction, durable
 * when commit returns 0; after any other result it is as if none had been saved. */
int registry_begin(struct registry *registry);
int registry_progress(struct registry *registry, const struct endpoint_row *row, bool with_state);
int registry_put_lane(struct registry *registry, const struct lane_row *row);
int registry_drop_lane(struct registry *registry, uint64_t endpoint, uint64_t slot);
int registry_commit(struct registry *registry, int result);

/* The statements that record.h uses. */
struct delivery_log *registry_delivery_log(struct registry *registry);
