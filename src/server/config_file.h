/* Reads the configuration file into a struct config, by the table of keys. */
#pragma once

#include "server/config.h"
#include "server/faults.h"

/* Reads the file over what is in `config`, which keeps it for the texts. Adds a fault for all that
 * is wrong; then the configuration is not to be used. */
void config_file_read(struct config *config, const char *path, struct faults *faults);
