/* The engine in memory: an append is safe as soon as it is there. */
#pragma once

#include "log/engine.h"

extern const struct engine engine_memory;
