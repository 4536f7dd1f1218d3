/* HTTP/1.1 connections at work: what their sockets, their timers and their request streams do. */
#pragma once

#include "transport/http1_state.h"

/* Takes over an accepted socket. */
void http1_accept(struct worker *worker, int fd);
