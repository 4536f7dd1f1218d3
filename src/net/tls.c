/* Records of TLS are made in memory and leave with the bytes of plain connections.
 *
 *     fill ──▶ add ──▶ gathered ──▶ SSL_write ──▶ net->sealed ──▶ io_uring ──▶ socket
 *                                                                    └─▶ kept, what it did not take
 *     socket ──▶ recv ──▶ input ──▶ SSL_read ──▶ room of the reader
 *
 * OpenSSL reads and writes through a BIO. One is enough for all connections of a thread, since it
 * holds nothing between two calls: it reads from `input` and writes to the end of net->sealed.
 * OpenSSL takes all of `input` each time, and keeps the part of a record that has not come whole.
 * Only behind a handshake something may be left, the client's first request: `early` has it.
 *
 * Records cannot be made twice, so the owner is told that its bytes are sent once they are sealed,
 * and what the socket does not take is kept: a record at most, since nothing more is sealed before
 * it is gone. OpenSSL itself answers some records of the peer (alerts, new keys). Such answers are
 * sent at once, or kept, up to TLS_KEPT_MAX.
 *
 * A connection's own state, struct link, is found by its descriptor. It goes with the connection
 * when conn_hand_over() gives that to another owner. All of it belongs to the thread of its net,
 * but for struct tls_server, which threads share. */
#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct link {
    struct tls_session session;
    struct conn *conn;
    struct list keeper; /* in tls->keepers while something is kept */
    SSL *ssl;
    struct buf kept; /* sealed, and the socket did not take it */
    size_t kept_sent;
    struct buf early;      /* ciphertext that came behind the handshake */
    struct tls_peer *peer; /* a client that was verified; NULL: it showed no certificate */
    const char *trouble;   /* static */
    uint32_t shaken;       /* bytes of the client's handshake */
    bool ends;             /* nothing is sealed any more */
    bool ended;            /* the peer has said so */
    bool broken;           /* a record was wrong, or there were too many without text */
    unsigned controls;     /* records without text in the second that began at controls_ns */
    int64_t controls_ns;
};

/* The most records in a second, after the handshake, that are handshakes or alerts. A peer may
 * change its keys as often as it likes (RFC 8446, section 4.6.3), and each change costs us more
 * than it; such records have no text that a budget of reads could count. */
enum { CONTROLS_MAX = 32, CONTROLS_NS = 1000000000 };

struct tls {
    struct wire wire;
    struct net *net;
    unsigned number; /* of the wire */
    struct tls_server *server;
    struct tls_tickets tickets;
    struct str protocols;
    struct link **links; /* by descriptor */
    size_t links_count;
    BIO_METHOD *method;
    BIO *bio;
    struct str input;
    char *read_room; /* TLS_READ_SIZE */
    char *gathered;  /* NET_SEAL_MAX */
    size_t gathered_len;
    uint64_t kept, kept_max;
    struct list keepers; /* struct link; first those whose sockets have taken nothing for longest */
    uint64_t shed;
};

static struct tls *tls_of(const struct conn *conn)
{
    return container_of(conn_wire(conn), struct tls, wire);
}

static struct link *link_of(const struct conn *conn)
{
    return tls_of(conn)->links[conn->fd];
}

/* ---- the BIO --------------------------------------------------------------------------------- */

static int bio_read(BIO *bio, char *room, int size)
{
    struct tls *tls = BIO_get_data(bio);
    size_t n = tls->input.len < (size_t)size ? tls->input.len : (size_t)size;
    BIO_clear_retry_flags(bio);
    if (!n) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(room, tls->input.at, n);
    tls->input = str_skip(tls->input, n);
    return (int)n;
}

static int bio_write(BIO *bio, const char *bytes, int len)
{
    const struct tls *tls = BIO_get_data(bio);
    struct net *net = tls->net;
    BIO_clear_retry_flags(bio);
    if ((size_t)len > NET_SEALED_SIZE - net->sealed_len)
        return -1;
    memcpy(net->sealed + net->sealed_len, bytes, (size_t)len);
    net->sealed_len += (size_t)len;
    return len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *ptr)
{
    (void)bio, (void)number, (void)ptr;
    return command == BIO_CTRL_FLUSH;
}

static bool make_bio(struct tls *tls)
{
    tls->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "freshet");
    tls->bio = tls->method && BIO_meth_set_read(tls->method, bio_read) &&
                       BIO_meth_set_write(tls->method, bio_write) &&
                       BIO_meth_set_ctrl(tls->method, bio_ctrl)
                   ? BIO_new(tls->method)
                   : NULL;
    if (!tls->bio)
        return false;
    BIO_set_data(tls->bio, tls);
    BIO_set_init(tls->bio, 1);
    return true;
}

/* ---- kept records ---------------------------------------------------------------------------- */

static struct str kept_of(const struct link *link)
{
    return str_skip(buf_str(&link->kept), link->kept_sent);
}

static void drop_kept(struct tls *tls, struct link *link, size_t n)
{
    tls->kept -= n;
    link->kept_sent += n;
    if (n)
        list_remove(&link->keeper);
    if (link->kept_sent < link->kept.len) {
        if (n)
            list_add_last(&tls->keepers, &link->keeper);
        return;
    }
    buf_free(&link->kept);
    link->kept_sent = 0;
}

/* Makes room for `n` bytes of a link, at the expense of others whose peers read nothing. Otherwise
 * peers that never read could have the connections of those closed that read slowly. */
static bool make_room(struct tls *tls, const struct link *link, size_t n)
{
    while (tls->kept + n > tls->kept_max) {
        if (list_empty(&tls->keepers))
            return false;
        struct link *oldest = container_of(tls->keepers.next, struct link, keeper);
        if (oldest == link)
            return false;
        drop_kept(tls, oldest, kept_of(oldest).len);
        tls->shed++;
        if (!oldest->conn->dead)
            oldest->conn->ops->hung_up(oldest->conn);
    }
    return true;
}

static int keep_more(struct tls *tls, struct link *link, struct str bytes)
{
    if (!bytes.len)
        return 0;
    if (kept_of(link).len + bytes.len > TLS_KEPT_MAX || !make_room(tls, link, bytes.len))
        return -ENOBUFS;
    buf_add_str(&link->kept, bytes);
    if (buf_failed(&link->kept))
        return -ENOMEM;
    tls->kept += bytes.len;
    if (!list_linked(&link->keeper))
        list_add_last(&tls->keepers, &link->keeper);
    return 0;
}

static void end_if_clear(const struct conn *conn, const struct link *link)
{
    if (link->ends && !link->kept.len)
        (void)shutdown(conn->fd, SHUT_WR);
}

static int tls_keep(struct conn *conn, struct str sealed, size_t n)
{
    struct link *link = link_of(conn);
    int result = 0;
    if (link->kept.len)
        drop_kept(tls_of(conn), link, n); /* the bytes were its rest */
    else
        result = keep_more(tls_of(conn), link, str_skip(sealed, n));
    end_if_clear(conn, link);
    return result;
}

/* Sends what OpenSSL has written behind `from`, apart from any slice. */
static int emit(struct conn *conn, size_t from)
{
    struct tls *tls = tls_of(conn);
    struct link *link = link_of(conn);
    struct str bytes = {tls->net->sealed + from, tls->net->sealed_len - from};
    int n = 0;
    tls->net->sealed_len = from;
    if (bytes.len && conn->writable && !link->kept.len)
        n = wire_send(conn->fd, bytes);
    if (n < 0 && n != -EAGAIN)
        return n;
    if (n < (int)bytes.len)
        conn->writable = false;
    return keep_more(tls, link, str_skip(bytes, n > 0 ? (size_t)n : 0));
}

/* ---- sending --------------------------------------------------------------------------------- */

static size_t tls_add(struct conn *conn, struct str bytes)
{
    struct tls *tls = tls_of(conn);
    size_t room = NET_SEAL_MAX - tls->gathered_len;
    size_t n = bytes.len < room ? bytes.len : room;
    memcpy(tls->gathered + tls->gathered_len, bytes.at, n);
    tls->gathered_len += n;
    return n;
}

static int tls_seal(struct conn *conn, struct str *ret_sealed)
{
    struct tls *tls = tls_of(conn);
    size_t from = tls->net->sealed_len, len = tls->gathered_len;
    tls->gathered_len = 0;
    if (len && SSL_write(link_of(conn)->ssl, tls->gathered, (int)len) != (int)len)
        return -EPROTO;
    *ret_sealed = (struct str){tls->net->sealed + from, tls->net->sealed_len - from};
    return 0;
}

static bool tls_has_added(const struct conn *conn)
{
    return tls_of(conn)->gathered_len;
}

static struct str tls_rest(const struct conn *conn)
{
    return kept_of(link_of(conn));
}

/* The last bytes are a close_notify (RFC 8446, section 6.1). They do not wait for a slice, because
 * the owner may close the connection at once. */
static void tls_shut(struct conn *conn)
{
    struct link *link = link_of(conn);
    size_t from = conn->net->sealed_len;
    link->ends = true;
    (void)SSL_shutdown(link->ssl);
    (void)emit(conn, from);
    end_if_clear(conn, link);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Reads ciphertext into tls->input. Returns the number of bytes, 0 at the end, or a negative
 * errno. */
static int take_in(struct conn *conn, struct link *link, bool *ret_drained)
{
    struct tls *tls = tls_of(conn);
    if (link->early.len) {
        *ret_drained = false;
        tls->input = buf_str(&link->early);
        return (int)link->early.len;
    }
    int n = wire_plain.read(conn, tls->read_room, TLS_READ_SIZE, ret_drained);
    tls->input = (struct str){tls->read_room, n > 0 ? (size_t)n : 0};
    return n;
}

static bool tls_has_unread(const struct conn *conn)
{
    return link_of(conn)->early.len;
}

/* OpenSSL calls it for each record that is not text. Ends a flood of them in the midst of a read.
 */
static void count_control(int is_sent, int version, int type, const void *bytes, size_t len,
                          SSL *ssl, void *arg)
{
    struct link *link = arg;
    struct tls *tls = BIO_get_data(SSL_get_rbio(ssl));
    int64_t now_ns = tls->net->loop->now_ns;
    (void)is_sent, (void)version, (void)bytes, (void)len;
    if (type != SSL3_RT_HANDSHAKE && type != SSL3_RT_ALERT)
        return;
    if (now_ns - link->controls_ns >= CONTROLS_NS) {
        link->controls_ns = now_ns;
        link->controls = 0;
    }
    if (++link->controls <= CONTROLS_MAX)
        return;
    link->broken = true;
    tls->input = STR_NONE;
}

/* Decrypts all of the input. Returns the number of bytes of text. */
static size_t open_records(struct tls *tls, struct link *link, char *room, size_t size)
{
    size_t sum = 0;
    int n = 1;
    ERR_clear_error();
    while (sum < size && (n = SSL_read(link->ssl, room + sum, (int)(size - sum))) > 0)
        sum += (size_t)n;
    int error = n > 0 ? SSL_ERROR_NONE : SSL_get_error(link->ssl, n);
    link->ended = link->ended || error == SSL_ERROR_ZERO_RETURN;
    link->broken = link->broken || error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL;
    tls->input = STR_NONE;
    buf_free(&link->early);
    return sum;
}

/* Whether reads go on: nothing came out of what has come, and there may be more. */
static bool reads_on(const struct conn *conn, const struct link *link, size_t sum, bool drained)
{
    return !sum && !link->ended && !link->broken && (!drained || conn->hup);
}

static int tls_read(struct conn *conn, char *room, size_t size, bool *ret_drained)
{
    struct link *link = link_of(conn);
    size_t sum = 0;
    bool drained = false;
    do {
        if (link->ended || link->broken)
            return link->broken ? -EPROTO : 0;
        size_t from = conn->net->sealed_len;
        int n = take_in(conn, link, &drained);
        if (n <= 0)
            return n;
        sum = open_records(tls_of(conn), link, room, size);
        int result = emit(conn, from);
        if (result)
            return result;
    } while (reads_on(conn, link, sum, drained));
    *ret_drained = drained && !link->ended && !link->broken;
    if (sum)
        return (int)sum;
    return link->broken ? -EPROTO : link->ended ? 0 : -EAGAIN;
}

/* ---- the handshake --------------------------------------------------------------------------- */

/* Returns 0, or -ENOMEM: a client must not go on as nobody. */
static int note_peer(struct link *link)
{
    X509 *certificate =
        SSL_get_verify_result(link->ssl) == X509_V_OK ? SSL_get1_peer_certificate(link->ssl) : NULL;
    link->peer = certificate ? tls_peer_new(certificate) : NULL;
    int result = certificate && !link->peer ? -ENOMEM : 0;
    X509_free(certificate);
    return result;
}

static int finish(struct conn *conn, struct link *link)
{
    struct tls *tls = tls_of(conn);
    buf_add_str(&link->early, tls->input);
    tls->input = STR_NONE;
    tls_server_unref(link->session.server);
    link->session.server = NULL;
    SSL_set_msg_callback(link->ssl, count_control);
    SSL_set_msg_callback_arg(link->ssl, link);
    return buf_failed(&link->early) ? -ENOMEM : note_peer(link);
}

static void note_trouble(struct link *link, int error)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    link->trouble = error == SSL_ERROR_SSL && reason ? reason : "the connection broke";
    ERR_clear_error();
}

/* Answers what has come. */
static int shake_once(struct conn *conn, struct link *link)
{
    size_t from = conn->net->sealed_len;
    ERR_clear_error();
    int done = SSL_do_handshake(link->ssl);
    int error = done == 1 ? SSL_ERROR_NONE : SSL_get_error(link->ssl, done);
    if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ)
        note_trouble(link, error);
    int result = emit(conn, from); /* an alert too */
    if (result)
        return result;
    if (done == 1)
        return finish(conn, link);
    tls_of(conn)->input = STR_NONE;
    return error == SSL_ERROR_WANT_READ ? -EAGAIN : -EPROTO;
}

int tls_shake(struct conn *conn)
{
    bool drained = false;
    int n = take_in(conn, link_of(conn), &drained);
    if (n <= 0 || (drained && !conn->hup))
        conn->readable = false;
    if (n <= 0)
        return n ? n : -EPIPE;
    link_of(conn)->shaken += (uint32_t)n;
    return shake_once(conn, link_of(conn));
}

/* Measured with OpenSSL 3.0, in bytes: most is held until the ClientHello is there, for buffers of
 * the largest records. Its answer frees them; a part of a later record takes a buffer again. Long
 * messages are kept about twice. tls_test.c compares this with what OpenSSL allocates. */
enum { SHAKE_COST_FIRST = 71 << 10, SHAKE_COST_LATER = 44 << 10, SHAKE_COST_PART = 17 << 10 };
enum { SHAKE_COST_OF_BYTE = 2 };

static bool waits_for_hello(const SSL *ssl)
{
    OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);
    return state == TLS_ST_BEFORE || state == TLS_ST_SR_CLNT_HELLO;
}

size_t tls_shake_cost(const struct conn *conn)
{
    const struct link *link = link_of(conn);
    size_t part = SSL_has_pending(link->ssl) ? SHAKE_COST_PART : 0;
    size_t base = waits_for_hello(link->ssl) ? SHAKE_COST_FIRST : SHAKE_COST_LATER + part;
    return base + (size_t)link->shaken * SHAKE_COST_OF_BYTE;
}

/* ---- the beginning and the end --------------------------------------------------------------- */

static void link_free(struct tls *tls, struct link *link)
{
    tls->kept -= kept_of(link).len;
    list_remove(&link->keeper);
    tls_server_unref(link->session.server);
    SSL_free(link->ssl);
    buf_free(&link->kept);
    buf_free(&link->early);
    free(link->peer);
    free(link);
}

static void tls_moved(struct conn *to)
{
    link_of(to)->conn = to;
}

static void tls_close(struct conn *conn)
{
    struct tls *tls = tls_of(conn);
    link_free(tls, link_of(conn));
    tls->links[conn->fd] = NULL;
    wire_plain.close(conn);
}

/* Makes room for a descriptor in the table. */
static bool reach(struct tls *tls, int fd)
{
    size_t count = tls->links_count ? tls->links_count : 64;
    while (count <= (size_t)fd)
        count *= 2;
    if (count == tls->links_count)
        return true;
    struct link **links = mem_try_realloc(tls->links, count * sizeof(struct link *));
    if (!links)
        return false;
    memset(links + tls->links_count, 0, (count - tls->links_count) * sizeof(struct link *));
    tls->links = links;
    tls->links_count = count;
    return true;
}

int tls_begin(struct tls *tls, struct conn *conn)
{
    struct link *link = reach(tls, conn->fd) ? mem_try_alloc(sizeof(*link)) : NULL;
    if (!link)
        return -ENOMEM;
    *link = (struct link){.session = {tls_server_ref(tls->server), &tls->tickets, tls->protocols},
                          .conn = conn,
                          .ssl = tls_server_connection(tls->server),
                          .trouble = ""};
    if (!link->ssl) {
        link_free(tls, link);
        return -ENOMEM;
    }
    SSL_set_app_data(link->ssl, &link->session);
    BIO_up_ref(tls->bio);
    SSL_set_bio(link->ssl, tls->bio, tls->bio);
    tls->links[conn->fd] = link;
    conn->wire = (uint8_t)tls->number;
    return 0;
}

void tls_limit(struct tls *tls, uint64_t kept_max)
{
    tls->kept_max = kept_max;
}

struct tls *tls_new(struct net *net, struct str protocols, uint64_t kept_max)
{
    struct tls *tls = mem_alloc(sizeof(*tls));
    *tls = (struct tls){
        .wire = {tls_read, tls_shut, tls_close, tls_has_unread, tls_rest, tls_add, tls_has_added,
                 tls_seal, tls_keep, tls_moved},
        .net = net,
        .protocols = protocols,
        .kept_max = kept_max,
        .read_room = mem_alloc(TLS_READ_SIZE),
        .gathered = mem_alloc(NET_SEAL_MAX),
    };
    list_init(&tls->keepers);
    int number = make_bio(tls) ? net_add_wire(net, &tls->wire) : -ENOMEM;
    if (number < 0) {
        tls_free(tls);
        return NULL;
    }
    tls->number = (unsigned)number;
    return tls;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    BIO_free(tls->bio);
    BIO_meth_free(tls->method);
    tls_server_unref(tls->server);
    OPENSSL_cleanse(&tls->tickets, sizeof(tls->tickets));
    free(tls->links);
    free(tls->read_room);
    free(tls->gathered);
    free(tls);
}

void tls_use(struct tls *tls, struct tls_server *server)
{
    struct tls_server *old = tls->server;
    tls->server = tls_server_ref(server);
    tls_server_unref(old);
}

void tls_use_tickets(struct tls *tls, const struct tls_tickets *tickets)
{
    tls->tickets = *tickets;
}

/* ---- facts about a connection ----------------------------------------------------------- */

/* Whether the connection has this wire. */
static bool has_tls(const struct conn *conn)
{
    return conn_wire(conn)->seal == tls_seal;
}

struct str tls_protocol(const struct conn *conn)
{
    const unsigned char *name = NULL;
    unsigned len = 0;
    if (has_tls(conn))
        SSL_get0_alpn_selected(link_of(conn)->ssl, &name, &len);
    return (struct str){(const char *)name, len};
}

bool tls_is_resumed(const struct conn *conn)
{
    return SSL_session_reused(link_of(conn)->ssl);
}

const struct tls_peer *tls_peer(const struct conn *conn)
{
    return has_tls(conn) ? link_of(conn)->peer : NULL;
}

const char *tls_trouble(const struct conn *conn)
{
    return link_of(conn)->trouble;
}

uint64_t tls_kept(const struct tls *tls)
{
    return tls->kept;
}

uint64_t tls_take_shed(struct tls *tls)
{
    uint64_t shed = tls->shed;
    tls->shed = 0;
    return shed;
}
