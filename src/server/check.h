/* `freshet check`: tells whether a server would accept its configuration. */
#pragma once

/* argv[0] is the command's own name; the options are those of `freshet serve`. Starts nothing, and
 * writes only to standard output and standard error. Returns 0, or 2 if anything is wrong. */
int check_main(int argc, char **argv);
extern const char check_help[];
