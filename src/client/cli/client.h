/* The command line client: `freshet pub`, `sub`, `presence`, `webhook` and `key`. */
#pragma once

/* argv[0] is the command's own name. All return the exit code of the process: 0 success, 1 the
 * server cannot be reached or refuses, 2 wrong usage. They block SIGINT and SIGTERM to end
 * cleanly. */
int client_pub(int argc, char **argv);
int client_sub(int argc, char **argv);
int client_presence(int argc, char **argv);
int client_webhook(int argc, char **argv);
int client_key(int argc, char **argv);
extern const char client_pub_help[];
extern const char client_sub_help[];
extern const char client_presence_help[];
extern const char client_webhook_help[];
extern const char client_key_help[];

/* The help of a verb of `freshet webhook`; of the whole command if there is no such verb or `verb`
 * is NULL. */
const char *client_webhook_help_of(const char *verb);
/* The same for `freshet key`. */
const char *client_key_help_of(const char *verb);
