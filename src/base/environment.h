/* Variables of the environment, read the same way everywhere. */
#pragma once

/* The value of a variable; NULL if it is not set or is empty, since `FRESHET_X= freshet …` is how
 * people unset a variable for one command. Call it before threads are started. */
const char *environment(const char *name);
