/* The command `freshet bench`: makes a load on a running server and measures the result. */
#pragma once

/* argv[0] is the command's own name. Returns the exit code of the process: 0 everything came, 1
 * something was lost or the server cannot be reached, 2 wrong usage, 130 interrupted. */
int bench_main(int argc, char **argv);
extern const char bench_help[];
