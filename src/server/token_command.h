/* `freshet token`: makes tokens (JWT) and explains them. */
#pragma once

/* argv[0] is the command's own name. Returns 0, 1 for a token that is refused, or 2 for arguments
 * that are wrong. */
int token_main(int argc, char **argv);
extern const char token_help[];
