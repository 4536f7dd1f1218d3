/* Reads a YAML file that is to hold one document and no more. */
#pragma once

#include "base/buf.h"

/* A configuration is not larger than this. */
enum { YAML_FILE_MAX = 4 << 20 };

/* The file's text into `ret_text`, which is the caller's. 0, or -EINVAL once it has said on stderr
 * what is wrong: it cannot be read, is larger than YAML_FILE_MAX, is not YAML, or has a second
 * document, of which whoever reads the first would not know. */
int yaml_file_read(const char *path, struct buf *ret_text);
