#include "server/sources.h"

#include "base/environment.h"
#include "base/mem.h"
#include "http/fields.h"
#include "inbound/request.h"
#include "log/selection.h"
#include "server/read_file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- secrets --------------------------------------------------------------------------------- */

void secret_free(char *text)
{
    if (text)
        explicit_bzero(text, SECRET_LEN_MAX + 1);
    free(text);
}

/* Reads up to a byte more than allowed, so that a file that is too large is noticed. */
static ssize_t read_secret(int fd, char *room)
{
    size_t len = 0;
    while (len <= SECRET_LEN_MAX) {
        ssize_t n = read_file_next(fd, room + len, SECRET_LEN_MAX + 1 - len);
        if (n < 0)
            return n;
        if (!n)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static size_t without_line_ends(const char *text, size_t len)
{
    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    return len;
}

static int refuse_file(struct buf *why, const char *path, const char *sentence)
{
    buf_addf(why, "%s %s", path, sentence);
    return -EINVAL;
}

static int find_in_file(const char *path, char *room, struct buf *why)
{
    int fd = read_file_open(path);
    ssize_t got = fd < 0 ? fd : read_secret(fd, room);
    if (fd >= 0)
        close(fd);
    if (got < 0) {
        buf_addf(why, "cannot read %s: %s", path, read_file_explain((int)got));
        return -EINVAL;
    }
    size_t len = without_line_ends(room, (size_t)got);
    if (got > SECRET_LEN_MAX)
        return refuse_file(why, path, "is larger than 1024 bytes: a secret is shorter");
    if (!len)
        return refuse_file(why, path, "is empty: write the secret into it");
    if (memchr(room, '\0', len))
        return refuse_file(why, path, "holds a byte that is zero: a secret is text");
    room[len] = '\0';
    return 0;
}

static int copy_text(const char *text, char *room, struct buf *why)
{
    size_t len = strlen(text);
    if (len > SECRET_LEN_MAX)
        return buf_refuse(why, "is longer than 1024 bytes");
    memcpy(room, text, len + 1);
    return 0;
}

static int find_in_environment(const char *name, char *room, struct buf *why)
{
    if (!*name)
        return buf_refuse(why, "env: takes the name of a variable, as in env:GITHUB_SECRET");
    const char *value = environment(name);
    if (value)
        return copy_text(value, room, why);
    buf_addf(why, "the variable %s is %s in the environment of this process", name,
             getenv(name) ? "empty" : "not set");
    return -EINVAL;
}

static int find_secret(const char *said, char *room, struct buf *why)
{
    if (!*said)
        return buf_refuse(why, "is empty: write the secret, env:NAME or file:PATH");
    if (strncmp(said, "file:", 5) == 0)
        return find_in_file(said + 5, room, why);
    if (strncmp(said, "env:", 4) == 0)
        return find_in_environment(said + 4, room, why);
    return copy_text(said, room, why);
}

char *secret_find(const char *said, struct buf *why)
{
    char *room = mem_try_alloc(SECRET_LEN_MAX + 1);
    int result = room ? find_secret(said, room, why) : buf_refuse(why, "there is no memory");
    if (!result)
        return room;
    secret_free(room);
    return NULL;
}

/* ---- items ----------------------------------------------------------------------------------- */

void source_item_deinit(struct source_item *item)
{
    for (size_t i = 0; i < VERIFY_SECRETS_MAX; i++)
        secret_free(item->secrets[i]);
    secret_free(item->challenge_secret);
}

bool source_item_add_secret(struct source_item *item, struct str said, const struct place *place,
                            struct faults *faults)
{
    struct buf why = {0};
    size_t n = item->settings.secrets_count;
    char *secret = NULL;
    if (n < VERIFY_SECRETS_MAX && strlen(said.at) == said.len)
        secret = secret_find(said.at, &why);
    else
        (void)buf_refuse(&why, "holds a byte that is zero: a secret is text");
    if (secret)
        item->secrets[item->settings.secrets_count++] = secret;
    else
        faults_add(faults, place, "inbound.secrets", "secret %zu: %.*s", n + 1,
                   STR_FMT(buf_str(&why)));
    buf_free(&why);
    return secret != NULL;
}

/* Checks whether the templates can yield valid names at all, by rendering them with every value
 * missing. Returns 0, or -EINVAL with the wrong setting in `why`, before a colon. */
static int check_names(const struct source *source, struct buf *why)
{
    static const struct http_fields none = {0};
    struct inbound_request request = {.fields = &none, .body = STR("")};
    struct source_event event = {0};
    const char *sentence = NULL, *setting = "channel";
    if (source_read(source, &request, &event))
        sentence = "there is no memory";
    else if (name_valid(buf_str(&event.channel), &sentence) &&
             name_is_reserved(buf_str(&event.channel)))
        sentence = "channels that begin with $ are the server's";
    else if (!sentence && !type_valid(buf_str(&event.type), &sentence))
        setting = "type";
    if (sentence)
        buf_addf(why, "%s: %s", setting, sentence);
    source_event_deinit(&event);
    return sentence ? -EINVAL : 0;
}

/* Adds a fault. `why` is `SETTING: SENTENCE`, as source_new() and check_names() write it. */
static void complain(const struct source_item *item, struct str why,
                     struct place (*place_of)(const void *context, struct str setting),
                     const void *context, struct faults *faults)
{
    char quoted[120];
    struct str rest = why;
    struct str setting = str_cut(&rest, ':');
    struct place place = place_of(context, setting);
    const char *name = item->settings.name ? item->settings.name : "";
    faults_add(faults, &place, "inbound", "source %s: %.*s",
               faults_quote(quoted, sizeof(quoted), str_from(name)), STR_FMT(why));
}

/* The settings hold what the secret is called until here, and then the secret. False with the cause
 * in `why`. */
static bool find_challenge_secret(struct source_item *item, struct buf *why)
{
    const char *said = item->settings.challenge.secret;
    struct buf cause = {0};
    if (!said)
        return true;
    item->challenge_secret = secret_find(said, &cause);
    item->settings.challenge.secret = item->challenge_secret;
    if (!item->challenge_secret)
        buf_addf(why, "challenge: secret %.*s", STR_FMT(buf_str(&cause)));
    buf_free(&cause);
    return item->challenge_secret != NULL;
}

struct source *source_item_make(struct source_item *item,
                                struct place (*place_of)(const void *context, struct str setting),
                                const void *context, struct faults *faults)
{
    struct source *source = NULL;
    struct buf why = {0};
    item->settings.secrets = (const char *const *)item->secrets;
    int result =
        find_challenge_secret(item, &why) ? source_new(&item->settings, &source, &why) : -EINVAL;
    if (result == -ENOMEM)
        buf_add_lit(&why, "source: there is no memory");
    if (result || check_names(source, &why)) {
        complain(item, buf_str(&why), place_of, context, faults);
        if (!result)
            source_free(source);
        source = NULL;
    }
    buf_free(&why);
    return source;
}
