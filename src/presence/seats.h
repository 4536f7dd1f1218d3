/* The seats of the parties of the desks, by their numbers. */
#pragma once

#include "presence/state.h"

/* Opens a desk's sheet, which it frees: the mail of a worker. */
void seats_open_sheet(struct mail *mail, void *owner);

/* Forgets what refers to rooms that are lost, before everybody is evicted from them. */
void seats_forget_lost(struct presence *presence);

void seats_deinit(struct presence *presence);
