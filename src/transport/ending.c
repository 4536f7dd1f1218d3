#include "transport/ending.h"

struct row {
    struct str reason;
    enum problem problem;
    struct str words;
};

static const struct row rows[ENDINGS_COUNT] = {
#define ROW(name, reason_, problem_, words_)                                                       \
    [ENDING_##name] = {.reason = {reason_, sizeof(reason_) - 1},                                   \
                       .problem = PROBLEM_##problem_,                                              \
                       .words = {words_, sizeof(words_) - 1}},
    ENDINGS(ROW)
#undef ROW
};

struct str ending_reason(enum ending ending)
{
    return rows[ending].reason;
}

enum problem ending_problem(enum ending ending)
{
    return rows[ending].problem;
}

struct str ending_words(enum ending ending)
{
    return rows[ending].words;
}
