/* Carries out the requests of the API: who is there, and changes by members themselves. */
#pragma once

#include "presence/state.h"

/* Opens a presence_request: the mail of a worker. A change is carried out at once, and a question
 * waits for answers_flush(). */
void answers_open(struct mail *mail, void *owner);

/* Whether answers_flush() has something to do. */
bool answers_are_due(struct presence *presence);

/* The end of a turn: answers questions, as many as there is room for. */
void answers_flush(struct presence *presence);
