/* The first line of a file, where a secret stands alone: every user of the machine can read a
 * command line, so none is taken from there. */
#pragma once

/* "-" is standard input. Returns the line without its end, perhaps empty; NULL with errno if
 * the file cannot be read, or is larger than 16 KiB (EFBIG). The caller wipes it by
 * first_line_free(). */
char *first_line_read(const char *file);

/* Wipes and frees a line. NULL is fine. */
void first_line_free(char *line);
