/* `freshet repair`: mends the folder of a server that is stopped, as far as it can be mended. */
#pragma once

/* argv[0] is the command's own name. 0 if nothing is lost, 1 if something is, 2 if it could not be
 * done or was not asked for rightly. */
int repair_main(int argc, char **argv);
extern const char repair_help[];
