#include "base/problem.h"

struct row {
    int status;
    struct str slug;
    struct str title;
};

static const struct row rows[PROBLEM_COUNT] = {
#define ROW(name, status_, slug_, title_)                                                          \
    [PROBLEM_##name] = {status_, {slug_, sizeof(slug_) - 1}, {title_, sizeof(title_) - 1}},
    PROBLEMS(ROW)
#undef ROW
};

int problem_status(enum problem problem)
{
    return rows[problem].status;
}

struct str problem_slug(enum problem problem)
{
    return rows[problem].slug;
}

struct str problem_title(enum problem problem)
{
    return rows[problem].title;
}

enum problem problem_find(struct str slug)
{
    unsigned i = 0;
    while (i < PROBLEM_COUNT && !str_eq(rows[i].slug, slug))
        i++;
    return (enum problem)i;
}

enum problem problem_of_status(int status)
{
    for (unsigned i = 0; i < PROBLEM_COUNT; i++)
        if (rows[i].status == status)
            return (enum problem)i;
    return PROBLEM_INTERNAL;
}

void problem_add_type(struct buf *buf, struct str base, enum problem problem)
{
    buf_add_str(buf, base);
    buf_add_lit(buf, "/errors/");
    buf_add_str(buf, rows[problem].slug);
}

void problem_add(struct buf *buf, struct str base, enum problem problem, struct str detail,
                 struct str members)
{
    buf_add_lit(buf, "{\"type\":\"");
    problem_add_type(buf, base, problem);
    buf_add_lit(buf, "\",\"title\":");
    buf_add_json(buf, rows[problem].title);
    buf_add_lit(buf, ",\"status\":");
    buf_add_u64(buf, (uint64_t)rows[problem].status);
    buf_add_lit(buf, ",\"detail\":");
    buf_add_json(buf, detail);
    buf_add_str(buf, members);
    buf_add_lit(buf, "}\n");
}

unsigned problem_close_code(enum problem problem)
{
    return 4000 + (unsigned)rows[problem].status;
}
