/* The rights of the process: fewer than it was started with.
 *
 *     listen ──▶ another user ──▶ no new rights, no core file, Landlock, seccomp ──▶ threads
 *
 * All of it happens after the addresses were taken and before threads are started, which inherit
 * it. The kernel may lack Landlock or seccomp: the log line `confined` says what is in force, and
 * the server runs all the same. */
#pragma once

#include "server/config.h"

/* Whether the machine has the user, or the group, by name or number. */
bool process_has_user(const char *name);
bool process_has_group(const char *name);

/* Whether the process is another user, or has another group, than the configuration wants. */
bool process_changes_user(const struct config *config);

/* Becomes the user and the group of the configuration, for good. Does nothing if it names neither,
 * or if the process was started as that user. Returns 0, or a negative errno after saying why. */
int process_become(const struct config *config);

/* Gives up what the server never needs: rights of programs that it might start, core files, writes
 * outside of its folders, and system calls by which an intruder goes on. `data` is the folder of
 * the log; NULL: there is none. */
void process_confine(const struct config *config, const char *data);

/* Warns of a data folder that other users may write to; NULL: there is none. They can put files of
 * their own in the place of the server's, whatever the modes of these are. */
void process_warn_of_data(const char *data);

/* Warns of files with secrets that other users may read. */
void process_warn(const struct config *config);
