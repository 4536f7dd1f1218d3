#include "server/faults.h"

#include "base/say.h"
#include "base/utf8.h"
#include "http/target.h"

#include <stdarg.h>
#include <stdio.h>

/* Adds a text without its control characters: names and values of the file could move the cursor of
 * a terminal, or begin lines of their own. */
static void add_visible(struct buf *out, const char *text)
{
    for (; *text; text++) {
        unsigned char byte = (unsigned char)text[0], next = (unsigned char)text[1];
        if (byte < ' ' || byte == 0x7f)
            buf_addf(out, "\\x%02x", byte);
        else if (byte == 0xc2 && next >= 0x80 && next < 0xa0) /* U+0080 to U+009F in UTF-8 */
            buf_addf(out, "\\u%04x", (unsigned char)*++text);
        else
            buf_add_char(out, *text);
    }
}

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
    add_visible(&faults->text, name);
    if (*name)
        buf_add_lit(&faults->text, ": ");
    add_visible(&faults->text, sentence);
    buf_add_char(&faults->text, '\n');
}

/* Text is quoted as it is: faults_add() shows its control characters. */
const char *faults_quote(char *room, size_t size, struct str value)
{
    struct buf shown = {0};
    http_text_hide(&shown, value);
    if (buf_failed(&shown))
        buf_clear(&shown);
    struct str text = buf_str(&shown);
    bool is_plain =
        text.len && text.len + 3 <= size && utf8_valid(text) && !memchr(text.at, '\0', text.len);
    if (is_plain)
        snprintf(room, size, "\"%.*s\"", STR_FMT(text));
    else
        say_quote(room, size, text.at, text.len);
    buf_free(&shown);
    return room;
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
