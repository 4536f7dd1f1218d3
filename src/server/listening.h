/* The addresses on which a server listens: how they are written, whether they are free, and the URL
 * of each. */
#pragma once

#include "net/listen.h"
#include "transport/worker.h"

#define LISTENING_DEFAULT "localhost:7070"
#define LISTENING_FORM                                                                             \
    "ADDRESS:PORT, as in 127.0.0.1:7070, [::1]:7070 or localhost:7070, or the same behind "        \
    "https:// (TLS) or redirect:// (to https); proxy+http:// and proxy+https:// take a header of " \
    "the PROXY protocol first; or unix:PATH of at most 103 bytes"

struct listening {
    struct listen_address addresses[WORKER_LISTENERS_MAX];
    unsigned count;
};

/* An item of `listen`: its address and more. Texts are borrowed, and NULL where they are missing.
 */
struct listen_item {
    const char *address;
    const char *mode, *group; /* of a Unix socket */
    bool admin;               /* for management */
};

/* The number of the mode, or the group, of a Unix socket: false if there is no such. */
bool listening_read_mode(const char *text, mode_t *ret);
bool listening_read_group(const char *text, gid_t *ret);

/* The door of a scheme such as `https` or `proxy+http`; 0 for `http`, and for a word that is no
 * scheme. */
uint8_t listening_door(struct str scheme);

/* Reads an item of `listen`. Returns the number of addresses, with their doors, or -EINVAL. */
int listening_parse(const char *text, struct listen_address ret[LISTEN_NAME_MAX]);

/* The first of these items that has an address in common with another item; NULL if none has. Ports
 * that are to be free ones differ. */
const struct listen_item *listening_find_same(const struct listen_item *items, size_t count,
                                              const struct listen_item *other);

/* Adds the addresses of an item, which was checked but for its address; `nth` counts them. The same
 * results. */
int listening_add(struct listening *listening, const struct listen_item *item, unsigned nth);

/* Gives a socket that another process has made to the item of that address, whose door it gets.
 * -ENOENT if there is none. */
int listening_adopt(struct listening *listening, const struct listen_address *passed);

/* Before any worker listens: makes Unix sockets, drops addresses that this machine does not have
 * and need not have, and chooses the ports that are to be free ones. Returns 0, or a negative errno
 * after saying on standard error which address cannot be had. */
int listening_check(struct listening *listening);

/* The same, and takes all addresses now, for all workers to share: the process is about to give up
 * the right to them. */
int listening_take(struct listening *listening);

/* Has a worker listen on all; the first may be given a free port, which all others take. Returns 0,
 * or a negative errno after saying so. */
int listening_open(struct listening *listening, struct worker *worker);

/* Removes Unix sockets, and closes what the workers have copies of. */
void listening_close(struct listening *listening);

/* Whether there is an address for management. */
bool listening_has_admin(const struct listening *listening);

/* The port to which redirect:// leads; 0 without an https:// address. */
uint16_t listening_https_port(const struct listening *listening);

/* Adds the URL of the nth item of `listen`, such as "http://localhost:7070" if the server listens
 * on both addresses of that name, or "proxy+http://127.0.0.1:7070". Whether there is such an item.
 */
bool listening_add_url(const struct listening *listening, unsigned nth, struct buf *out);
