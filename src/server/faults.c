#include "server/faults.h"

#include <stdarg.h>
#include <stdio.h>

void faults_add(struct faults *faults, const struct place *place, const char *name,
                const char *format, ...)
{
    char sentence[1024];
    va_list list;
    if (faults->count++ >= FAULTS_SHOWN)
        return;
    va_start(list, format);
    vsnprintf(sentence, sizeof(sentence), format, list);
    va_end(list);
    if (place && place->file)
        buf_addf(&faults->text, "%s:", place->file);
    if (place && place->line)
        buf_addf(&faults->text, "%zu:", place->line);
    if (place && place->file)
        buf_add_char(&faults->text, ' ');
    buf_addf(&faults->text, "%s%s%s\n", name, *name ? ": " : "", sentence);
}

void faults_print(const struct faults *faults, const char *command)
{
    struct str rest = buf_str(&faults->text);
    while (rest.len) {
        struct str line = str_cut(&rest, '\n');
        fprintf(stderr, "%s: %.*s\n", command, STR_FMT(line));
    }
    if (faults->count > FAULTS_SHOWN)
        fprintf(stderr, "%s: and %u more like these\n", command, faults->count - FAULTS_SHOWN);
}

void faults_free(struct faults *faults)
{
    buf_free(&faults->text);
    faults->count = 0;
}
