/* The files that a browser gets from this server: pages, their style and scripts, which are part of
 * the program.
 *
 * The build makes the table from the files beside this header and those that CMakeLists.txt names.
 */
#pragma once

#include "base/str.h"

struct page_file {
    const char *path; /* below the server's base, without a slash at its front */
    const char *type; /* Content-Type */
    const char *tag;  /* 16 characters that change with the content */
    struct str body;
};

extern const struct page_file page_files[];
extern const size_t page_files_count;

/* The file of a path; NULL if there is none. */
const struct page_file *page_file_find(struct str path);

/* Whether `path` with a slash added is the path of a file: of the page of a folder. */
bool page_is_folder(struct str path);
