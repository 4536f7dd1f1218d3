/* A reader of the configuration file into a struct config, by the table of keys. */
#pragma once

#include "server/config.h"
#include "server/faults.h"

/* Reads the file over the content of `config`, which keeps the file for its texts. Adds a fault for
 * each error; the configuration must then not be used. */
void config_file_read(struct config *config, const char *path, struct faults *faults);

/* The place of a top-level key of the file, for faults that are found when all of it was read.
 * Unset if there is no file. */
struct place config_file_place(const struct config *config, struct str name);
