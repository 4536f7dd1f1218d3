/* The engine on a disk: a thread that commits pending appends together. */
#pragma once

#include "log/engine.h"

extern const struct engine engine_disk;
