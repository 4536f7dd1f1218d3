/* The plain words for each problem: the pages below /errors. */
#pragma once

#include "base/problem.h"

struct problem_words {
    const char *happened; /* the event that led here */
    const char *why;      /* why the server refuses it */
    const char *to_do;    /* advice */
    const char *example;  /* a request that gets it, as a line for a shell; NULL where none does */
};

extern const struct problem_words problem_words[PROBLEM_COUNT];
