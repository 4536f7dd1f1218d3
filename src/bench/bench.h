/* The command `freshet bench`: makes a load on a running server and measures what comes of it. */
#pragma once

/* argv[0] is the command's own name. Returns the process's exit code: 0 all came, 1 something was
 * lost or cannot be reached, 2 wrong usage, 130 interrupted. */
int bench_main(int argc, char **argv);
extern const char bench_help[];
