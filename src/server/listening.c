#include "server/listening.h"

#include "base/buf.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT_TRIES = 16 };

/* ---- reading --------------------------------------------------------------------------------- */

static const struct {
    const char *prefix;
    uint8_t door;
} schemes[] = {{"http://", 0},
               {"https://", DOOR_TLS},
               {"redirect://", DOOR_REDIRECT},
               {"proxy+http://", DOOR_PROXY},
               {"proxy+https://", DOOR_PROXY | DOOR_TLS}};

uint8_t listening_door(struct str scheme)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        struct str prefix = str_from(schemes[i].prefix);
        if (str_starts(prefix, scheme) && str_eq(str_skip(prefix, scheme.len), STR("://")))
            return schemes[i].door;
    }
    return 0;
}

int listening_parse(const char *text, struct listen_address ret[LISTEN_NAME_MAX])
{
    uint8_t door = 0;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i].prefix);
        if (strncmp(text, schemes[i].prefix, len) != 0)
            continue;
        text += len;
        door = schemes[i].door;
        break;
    }
    int count = listen_parse_all(text, ret);
    for (int i = 0; i < count; i++)
        ret[i].door = door;
    return count > 0 && listen_is_unix(ret) && door ? -EINVAL : count;
}

static bool is_same(const struct listen_address *a, const struct listen_address *b)
{
    return listen_is_same(a, b) && (listen_is_unix(a) || listen_port(a));
}

static bool share_an_address(const struct listen_item *a, const struct listen_item *b)
{
    struct listen_address left[LISTEN_NAME_MAX], right[LISTEN_NAME_MAX];
    int left_count = listening_parse(a->address, left);
    int right_count = listening_parse(b->address, right);
    for (int i = 0; i < left_count; i++)
        for (int j = 0; j < right_count; j++)
            if (is_same(&left[i], &right[j]))
                return true;
    return false;
}

const struct listen_item *listening_find_same(const struct listen_item *items, size_t count,
                                              const struct listen_item *other)
{
    for (size_t i = 0; i < count; i++)
        if (share_an_address(&items[i], other))
            return &items[i];
    return NULL;
}

bool listening_read_mode(const char *text, mode_t *ret)
{
    char *end;
    unsigned long mode = strtoul(text, &end, 8);
    *ret = (mode_t)mode;
    return *text >= '0' && *text <= '7' && !*end && mode <= 0777;
}

bool listening_read_group(const char *text, gid_t *ret)
{
    char *end;
    const struct group *group = getgrnam(text);
    unsigned long id = strtoul(text, &end, 10);
    *ret = group ? group->gr_gid : (gid_t)id;
    return group || (*text >= '0' && *text <= '9' && !*end && id < UINT32_MAX);
}

static void take_options(struct listen_address *address, const struct listen_item *item)
{
    if (item->mode)
        (void)listening_read_mode(item->mode, &address->place.mode);
    if (item->group)
        (void)listening_read_group(item->group, &address->place.group);
}

int listening_add(struct listening *listening, const struct listen_item *item, unsigned nth)
{
    struct listen_address found[LISTEN_NAME_MAX];
    int count = listening_parse(item->address, found);
    if (count > (int)(WORKER_LISTENERS_MAX - listening->count))
        return -EINVAL;
    for (int i = 0; i < count; i++) {
        found[i].nth = (uint8_t)nth;
        take_options(&found[i], item);
        found[i].door |= item->admin ? DOOR_ADMIN : 0;
        listening->addresses[listening->count++] = found[i];
    }
    return count;
}

int listening_adopt(struct listening *listening, const struct listen_address *passed)
{
    for (unsigned i = 0; i < listening->count; i++) {
        struct listen_address *item = &listening->addresses[i];
        if (item->passed || !listen_is_same(item, passed))
            continue;
        uint8_t door = item->door, nth = item->nth;
        *item = *passed;
        item->door = door;
        item->nth = nth;
        return 0;
    }
    return -ENOENT;
}

/* ---- ports ----------------------------------------------------------------------------------- */

/* Fails if another server uses the port. The sockets of the workers find that out as well; this
 * tells it before the log is opened, which may take long. */
static int check_port_is_free(const struct listen_address *address)
{
    int one = 1;
    int fd = socket(address->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int result = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
        bind(fd, (const struct sockaddr *)&address->at, address->size))
        result = -errno;
    close(fd);
    return result;
}

static const char *advice_of(const struct listen_address *address, int error)
{
    if (listen_is_unix(address))
        return error == EADDRINUSE
                   ? ". Another process listens there: stop it, or take another path"
               : error == EEXIST ? ". There is something that is no socket: take another path"
               : error == EBUSY  ? ". Somebody keeps its folder locked: take a folder of its own"
               : error == EPERM  ? ". This user may not give the socket to that group"
                                 : "";
    return error == EADDRINUSE ? ". Another program has that port: stop it, or take another port, "
                                 "as in --listen localhost:7071"
           : error == EACCES   ? ". Ports below 1024 need privileges: take another one"
                               : "";
}

static void explain_port(const struct listen_address *address, int error)
{
    char at[160];
    listen_format(&address->at, at, sizeof(at));
    fprintf(stderr, "freshet serve: cannot listen on %s: %s%s\n", at, strerror(error),
            advice_of(address, error));
}

/* Whether the addresses of a name, behind its first, may have `port`. */
static bool others_have(const struct listen_address *first, unsigned count, unsigned port)
{
    for (unsigned i = 1; i < count; i++) {
        struct listen_address address = first[i];
        listen_set_port(&address, port);
        if (check_port_is_free(&address))
            return false;
    }
    return true;
}

/* The addresses of a name share a port: if it is to be a free one, it has to be free on all of
 * them. */
static int choose_port(struct listen_address *first, unsigned count)
{
    unsigned port = 0;
    if (count < 2 || listen_is_unix(first) || listen_port(first))
        return 0;
    for (int i = 0; i < PORT_TRIES && (!port || !others_have(first, count, port)); i++)
        port = listen_find_port(first);
    if (!port || !others_have(first, count, port)) {
        explain_port(first, EADDRINUSE);
        return -EADDRINUSE;
    }
    for (unsigned i = 0; i < count; i++)
        listen_set_port(first + i, port);
    return 0;
}

/* The number of addresses from the ith on that belong to one item. */
static unsigned count_item(const struct listening *listening, unsigned i)
{
    unsigned end = i;
    while (end < listening->count && listening->addresses[end].nth == listening->addresses[i].nth)
        end++;
    return end - i;
}

/* Makes a Unix socket; of other addresses it only finds out whether they can be had, since each
 * worker has a socket of its own there. A socket that was passed is there already. */
static int open_or_check(struct listen_address *address)
{
    if (address->passed)
        return 0;
    if (!listen_is_unix(address))
        return check_port_is_free(address);
    int result = unix_listen(&address->at, &address->place, &address->fd);
    address->shared = !result;
    return result;
}

/* Drops what this machine does not have. */
static int check_each(struct listening *listening)
{
    unsigned count = listening->count;
    listening->count = 0;
    for (unsigned i = 0; i < count; i++) {
        struct listen_address *address = &listening->addresses[i];
        int result = open_or_check(address);
        if (result && address->optional && listen_is_missing(-result))
            continue;
        if (result) {
            explain_port(address, -result);
            return result;
        }
        listening->addresses[listening->count++] = *address;
    }
    return 0;
}

int listening_check(struct listening *listening)
{
    int result = check_each(listening);
    for (unsigned i = 0; !result && i < listening->count; i += count_item(listening, i))
        result = choose_port(&listening->addresses[i], count_item(listening, i));
    return result;
}

/* Whether this server has `address` already: for another worker, or by an address that holds it, as
 * 0.0.0.0:443 holds [::]:443. At addresses apart the same port may be a stranger's. */
static bool has_port(const struct listening *listening, const struct listen_address *address)
{
    for (unsigned i = 0; i < listening->count; i++)
        if (listening->addresses[i].taken && listen_overlaps(&listening->addresses[i], address))
            return true;
    return false;
}

int listening_take(struct listening *listening)
{
    int result = listening_check(listening);
    for (unsigned i = 0; !result && i < listening->count; i++) {
        struct listen_address *address = &listening->addresses[i];
        if (address->shared)
            continue;
        result = listen_take(address, has_port(listening, address));
        address->taken = !result;
        if (result)
            explain_port(address, -result);
    }
    return result;
}

int listening_open(struct listening *listening, struct worker *worker)
{
    for (unsigned i = 0; i < listening->count; i++) {
        struct listen_address *address = &listening->addresses[i];
        int result = address->shared
                         ? worker_listen_shared(worker, address->fd, address->door, address->passed)
                         : worker_listen(worker, &address->at, address->size, address->door,
                                         has_port(listening, address));
        address->taken |= !result && !address->shared;
        if (result) {
            explain_port(address, -result);
            return result;
        }
    }
    return 0;
}

void listening_close(struct listening *listening)
{
    for (unsigned i = 0; i < listening->count; i++) {
        struct listen_address *address = &listening->addresses[i];
        if (!address->shared)
            continue;
        if (!address->passed)
            unix_remove(&address->at, &address->place);
        close(address->fd);
        address->shared = false;
    }
}

/* ---- naming ---------------------------------------------------------------------------------- */

bool listening_has_admin(const struct listening *listening)
{
    for (unsigned i = 0; i < listening->count; i++)
        if (listening->addresses[i].door & DOOR_ADMIN)
            return true;
    return false;
}

uint16_t listening_https_port(const struct listening *listening)
{
    for (unsigned i = 0; i < listening->count; i++)
        if ((listening->addresses[i].door & (DOOR_TLS | DOOR_ADMIN)) == DOOR_TLS)
            return (uint16_t)listen_port(&listening->addresses[i]);
    return 0;
}

bool listening_add_url(const struct listening *listening, unsigned nth, struct buf *out)
{
    char at[160];
    unsigned i = 0;
    while (i < listening->count && listening->addresses[i].nth != nth)
        i++;
    if (i == listening->count)
        return false;
    const struct listen_address *address = &listening->addresses[i];
    listen_format(&address->at, at, sizeof(at));
    bool is_name = count_item(listening, i) > 1;
    if (listen_is_unix(address)) {
        buf_add_str(out, str_from(at));
        return true;
    }
    buf_addf(out, "%s%s://%s%s", address->door & DOOR_PROXY ? "proxy+" : "",
             address->door & DOOR_TLS ? "https" : "http", is_name ? "localhost" : at,
             is_name ? strrchr(at, ':') : "");
    return true;
}
