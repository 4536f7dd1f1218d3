/* What came out of a benchmark, for people and for programs. */
#pragma once

#include "bench/load.h"

/* `result` is what load_run() returned. */
void report_json(struct buf *out, const struct load *load, int result);
void report_text(struct buf *out, const struct load *load, int result);
