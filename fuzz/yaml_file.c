/* Feeds configuration files with hostile bytes to the reader of YAML: nothing may crash, a file
 * that is refused has a fault, and a tree that is accepted has lines of the file, in bounded time
 * however often its aliases repeat each other. */
#include "require.h"

#include "server/yaml_file.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { VISITS_MAX = 10000, DEPTH_MAX = 50 };

/* A list of lists of aliases has more paths than anybody could walk, so the walk is bounded. */
struct walk {
    size_t lines;
    unsigned visits;
};

static void check_text(struct str text)
{
    volatile char sum = 0;
    for (size_t i = 0; i < text.len; i++)
        sum = (char)(sum + text.at[i]);
    require(text.at && text.at[text.len] == '\0');
}

static void walk(struct walk *state, struct yaml_value value, unsigned depth)
{
    if (state->visits++ > VISITS_MAX || depth > DEPTH_MAX)
        return;
    enum yaml_kind kind = yaml_kind(value);
    require(yaml_place(value).line <= state->lines);
    if (kind == YAML_TEXT)
        check_text(yaml_text(value));
    size_t count = kind == YAML_LIST || kind == YAML_MAP ? yaml_count(value) : 0;
    for (size_t i = 0; i < count; i++) {
        if (kind == YAML_MAP)
            walk(state, yaml_key(value, i), depth + 1);
        walk(state, kind == YAML_MAP ? yaml_value_of(value, i) : yaml_item(value, i), depth + 1);
    }
}

/* YAML ends its lines by LF, CR, and by three characters of Unicode, of two or three bytes. */
static size_t count_lines(const uint8_t *data, size_t size)
{
    size_t lines = 2;
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n' || data[i] == '\r' || data[i] >= 0x80;
    return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[40];
    struct faults faults = {0};
    struct yaml_file *file = NULL;
    int fd = memfd_create("freshet.yaml", MFD_CLOEXEC);
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int result = yaml_file_open(path, &file, &faults);
    require((result != 0) == (faults.count > 0));
    if (!result)
        walk(&(struct walk){.lines = count_lines(data, size)}, yaml_file_root(file), 0);
    yaml_file_free(file);
    faults_free(&faults);
    close(fd);
    return 0;
}
