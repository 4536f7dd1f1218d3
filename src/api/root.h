/* The answer to programs at /: all paths of the server. People get a page (front.h). */
#pragma once

#include "api/api.h"

void root_handle(struct exchange *exchange, struct str rest);
