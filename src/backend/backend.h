/* The backend thread: asks servers of the operator and of issuers about access, so that no worker
 * waits for them. */
#pragma once

#include "access/issuers.h"
#include "backend/authorize.h"
#include "backend/jwks.h"
#include "fetch/address.h"

struct backend;

/* All is borrowed until backend_free(). */
struct backend_config {
    struct clock *clock;
    struct issuers *issuers;
    struct address_policy policy; /* where it may connect */
    struct str authorities;       /* beside the system's, in PEM form; empty: none */
};

/* 0 or a negative errno, and then nothing is left. Before the workers begin. */
int backend_open(const struct backend_config *config, struct backend **ret_backend);

/* The functions below take NULL for no backend. Starts the thread. 0 or a negative errno. */
int backend_start(struct backend *backend);

/* Ends the thread, once, and answers what still waits, into mailboxes that must stand. */
void backend_stop(struct backend *backend);

/* Whether nobody waits for an answer. Any thread. */
bool backend_is_idle(const struct backend *backend);

/* For questions whether somebody may do something; NULL without a backend. */
struct authorize *backend_authorize(struct backend *backend);

/* For key sets of tokens; NULL without a backend. */
struct jwks *backend_jwks(struct backend *backend);

void backend_free(struct backend *backend);
