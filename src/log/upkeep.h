/* Upkeep: a thread that does what follows decisions, and may wait for the disk. It stores trims,
 * forgets channels without events, and lets the store see to its files. */
#pragma once

#include "log/log_internal.h"

/* The thread. 0 or a negative errno. */
int upkeep_start(struct log *log);
void upkeep_stop(struct log *log);

/* Stores trims, many channels in each commit. On the thread, or when there is none. */
void upkeep_store_trims(struct log *log);

/* Notes the number of a forgotten channel that the store no longer refers to. On the thread. */
void upkeep_note_freed(struct log *log, uint32_t number);

/* Forgets channels if there are too many, and runs the store's upkeep. On the thread, or on that of
 * a test whose log has none. */
void upkeep_turn(struct log *log);
