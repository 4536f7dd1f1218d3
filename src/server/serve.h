/* The server: connects all parts, from the flags to the last response. */
#pragma once

/* Runs `freshet serve` until SIGTERM or SIGINT; returns the exit code of the process. */
int serve_main(int argc, char **argv);
extern const char serve_help[];
