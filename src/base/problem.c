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

void problem_write(struct json_writer *writer, struct str base, enum problem problem,
                   struct str detail, struct str members)
{
    struct buf type = {0};
    problem_add_type(&type, base, problem);
    json_object_begin(writer);
    json_member_string(writer, "type", buf_str(&type));
    json_member_string(writer, "title", rows[problem].title);
    json_member_number(writer, "status", (uint64_t)rows[problem].status);
    json_member_string(writer, "detail", detail);
    json_add_members(writer, members);
    json_object_end(writer);
    writer->out->failed |= buf_failed(&type);
    buf_free(&type);
}

void problem_add(struct buf *buf, struct str base, enum problem problem, struct str detail,
                 struct str members)
{
    struct json_writer writer = json_writer(buf);
    problem_write(&writer, base, problem, detail, members);
    buf_add_char(buf, '\n');
}

unsigned problem_close_code(enum problem problem)
{
    return 4000 + (unsigned)rows[problem].status;
}
