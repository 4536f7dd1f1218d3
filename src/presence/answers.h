/* Carries out the requests of the API: who is there, and changes by members themselves. */
#pragma once

#include "presence/state.h"

/* Opens a presence_request: the mail of a worker. */
void answers_open(struct mail *mail, void *owner);
