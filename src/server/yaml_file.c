#include "server/yaml_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <yaml.h>

static int read_all(int fd, struct buf *text)
{
    char room[16384];
    ssize_t n;
    while ((n = read(fd, room, sizeof(room))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (text->len + (size_t)n > YAML_FILE_MAX)
            return -EFBIG;
        buf_add(text, room, (size_t)n);
    }
    return buf_failed(text) ? -ENOMEM : 0;
}

static int read_file(const char *path, struct buf *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = read_all(fd, text);
    close(fd);
    return result;
}

/* What is wrong with it, and in which line; NULL when nothing is. */
static const char *find_fault(yaml_parser_t *parser, size_t *ret_line)
{
    int documents = 0;
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            *ret_line = parser->problem_mark.line + 1;
            return parser->problem ? parser->problem : "is not YAML";
        }
        yaml_event_type_t type = event.type;
        *ret_line = event.start_mark.line + 1;
        yaml_event_delete(&event);
        if (type == YAML_STREAM_END_EVENT)
            return NULL;
        if (type == YAML_DOCUMENT_START_EVENT && ++documents > 1)
            return "a second document begins here: put all settings into one";
    }
}

static int complain(const char *path, const char *what)
{
    fprintf(stderr, "freshet: %s: %s\n", path, what);
    return -EINVAL;
}

static int check(const char *path, struct str text)
{
    size_t line;
    yaml_parser_t parser;
    if (!text.len)
        return 0;
    if (!yaml_parser_initialize(&parser))
        return complain(path, strerror(ENOMEM));
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.at, text.len);
    const char *fault = find_fault(&parser, &line);
    if (fault)
        fprintf(stderr, "freshet: %s: line %zu: %s\n", path, line, fault);
    yaml_parser_delete(&parser);
    return fault ? -EINVAL : 0;
}

int yaml_file_read(const char *path, struct buf *ret_text)
{
    *ret_text = (struct buf){0};
    int result = read_file(path, ret_text);
    result = result ? complain(path, strerror(-result)) : check(path, buf_str(ret_text));
    if (result)
        buf_free(ret_text);
    return result;
}
