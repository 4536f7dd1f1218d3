/* The result of a benchmark, for people and for programs. */
#pragma once

#include "bench/load.h"

/* `result` is that of course_run(). */
void report_json(struct buf *out, const struct load *load, int result);
void report_text(struct buf *out, const struct load *load, int result);
