/* The server: everything wired together, from the flags to the last answer. */
#pragma once

/* `freshet serve`: runs until SIGTERM or SIGINT; the process's exit code. */
int serve_main(int argc, char **argv);
extern const char serve_help[];
