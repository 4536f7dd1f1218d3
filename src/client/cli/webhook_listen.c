#include "client/cli/webhook_listen.h"

#include "base/environment.h"
#include "base/command_line.h"
#include "client/cli/printer.h"
#include "client/cli/webhook_receiver.h"
#include "client/lib/first_line.h"

#include "base/clock.h"
#include "base/mem.h"
#include "http/http1_response.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GUESTS_MAX = 64, READ_SIZE = 64 << 10, IN_MAX = RECEIVER_BODY_MAX + (1 << 20) };
enum { TOLERANCE_S = 300, STATUS_LEAST = 200, STATUS_MOST = 599 };

const char webhook_listen_help[] =
    "Usage: freshet webhook listen [ADDRESS:PORT] [options]\n\n"
    "Receives webhooks at 127.0.0.1:9000, verifies their signatures by Standard Webhooks if it\n"
    "knows the secret, and prints each delivery as one line of JSON. What is not signed right is\n"
    "answered 401. Handshakes of WebSub, CloudEvents and Slack are answered.\n\n"
    "  --secret-file FILE the first line of this file (- is standard input) is whsec_... or\n"
    "                     whpk_..., as `freshet webhook add` printed it; may be repeated\n"
    "                     (FRESHET_WEBHOOK_SECRET has it otherwise)\n"
    "  --status N         what to answer to what is good (204)\n"
    "  --count N          stop after N deliveries\n";

/* ---- arguments ------------------------------------------------------------------------------- */

struct options {
    struct command_list positionals, files;
    const char *secret; /* by --secret, which is refused; NULL: not */
};

static int add_secret(struct listen_arguments *ret, const char *text, struct buf *why)
{
    const char *sentence;
    if (ret->verifier.secrets_count == VERIFY_SECRETS_MAX)
        return buf_refuse(why, "at most 8 secrets");
    int result = verify_secret_read(VERIFY_STANDARD, str_from(text),
                                    &ret->verifier.secrets[ret->verifier.secrets_count], &sentence);
    if (result)
        return buf_refuse(why, result == -EINVAL ? sentence : "there is no memory");
    ret->verifier.secrets_count++;
    return 0;
}

static int add_secret_of(struct listen_arguments *ret, const char *file, struct buf *why)
{
    char *line = first_line_read(file);
    int result = line ? add_secret(ret, line, why)
                      : buf_refuse(why, "--secret-file is no file that can be read");
    first_line_free(line);
    return result;
}

static int read_address(struct listen_arguments *ret, struct buf *why)
{
    const char *colon = strrchr(ret->address, ':');
    uint64_t port;
    if (!colon || number_read(str_from(colon + 1), &port) || port > 65535 || colon == ret->address)
        return buf_refuse(why, "listen at ADDRESS:PORT, as in 127.0.0.1:9000 or [::1]:9000");
    ret->port = colon + 1;
    ret->host = (struct str){ret->address, (size_t)(colon - ret->address)};
    if (ret->host.at[0] == '[' && ret->host.at[ret->host.len - 1] == ']')
        ret->host = (struct str){ret->host.at + 1, ret->host.len - 2};
    return 0;
}

/* Every user of the machine can read a command line. */
static int read_secrets(struct listen_arguments *ret, const struct options *options,
                        const char *environment, struct buf *why)
{
    int result = 0;
    if (options->secret)
        return buf_refuse(why, "--secret is not taken, since all users of this machine can read a "
                               "command line: write it into a file and say --secret-file FILE, or "
                               "set FRESHET_WEBHOOK_SECRET");
    for (size_t i = 0; i < options->files.count && !result; i++)
        result = add_secret_of(ret, options->files.at[i], why);
    return options->files.count || !environment ? result : add_secret(ret, environment, why);
}

static int check(struct listen_arguments *ret, const struct command_list *positionals,
                 struct buf *why)
{
    if (positionals->count > 1)
        return buf_refuse(why, "that is one word too many");
    if (ret->status < STATUS_LEAST)
        return buf_refuse(why, "--status is from 200 to 599");
    ret->address = positionals->count ? positionals->at[0] : "127.0.0.1:9000";
    return read_address(ret, why);
}

int listen_read_arguments(int argc, char **argv, const char *environment_secret,
                          struct listen_arguments *ret, struct buf *why)
{
    const char **room = mem_alloc(2 * (size_t)(argc + 1) * sizeof(char *));
    struct options said = {.positionals = {.at = room}, .files = {.at = room + argc + 1}};
    *ret = (struct listen_arguments){
        .status = 204,
        .verifier = {.scheme = VERIFY_STANDARD, .hash = HASH_SHA256, .tolerance_s = TOLERANCE_S}};
    const struct command_option options[] = {
        {.name = "secret", .value = &said.secret},
        {.name = "secret-file", .list = &said.files},
        {.name = "status", .number = &ret->status, .most = STATUS_MOST},
        {.name = "count", .number = &ret->count, .most = UINT64_MAX},
    };
    int result = command_line_read(argc, argv, options, 4, &said.positionals, why);
    if (!result)
        result = check(ret, &said.positionals, why);
    if (!result)
        result = read_secrets(ret, &said, environment_secret, why);
    free(room);
    return result;
}

void listen_arguments_deinit(struct listen_arguments *arguments)
{
    for (size_t i = 0; i < arguments->verifier.secrets_count; i++)
        verify_secret_deinit(&arguments->verifier.secrets[i]);
}

/* ---- connections ----------------------------------------------------------------------------- */

struct guest {
    int fd; /* -1: free */
    struct buf in;
    bool continued;
};

struct host {
    const struct listen_arguments *arguments;
    struct printer printer;
    int fd;
    char *room; /* READ_SIZE */
    struct guest guests[GUESTS_MAX];
};

static void dismiss(struct guest *guest)
{
    close(guest->fd);
    buf_free(&guest->in);
    guest->fd = -1;
    guest->continued = false;
}

/* Sends an answer. Answers are short: a peer whose socket is full has stopped reading. */
static bool send_all(const struct guest *guest, struct str bytes)
{
    return send(guest->fd, bytes.at, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)bytes.len;
}

static bool send_continue(struct guest *guest)
{
    struct buf out = {0};
    http1_response_continue(&out);
    bool good = !buf_failed(&out) && send_all(guest, buf_str(&out));
    guest->continued = true;
    buf_free(&out);
    return good;
}

static bool send_refusal(struct guest *guest, int status)
{
    struct buf out = {0};
    http1_response_start(&out, status);
    http1_response_header(&out, STR("Connection"), STR("close"));
    http1_response_body(&out, STR_NONE);
    if (!buf_failed(&out))
        (void)send_all(guest, buf_str(&out));
    buf_free(&out);
    return false;
}

/* Handles a request; prints it before it is answered, so that every accepted request was shown.
 * Returns false if the connection must end. */
static bool serve(struct host *host, struct guest *guest, const struct receiver_request *request)
{
    const struct listen_arguments *arguments = host->arguments;
    struct receiver_outcome outcome;
    struct buf line = {0}, answer = {0};
    int64_t now_us = clock_wall_us(clock_system());
    receiver_judge(request, arguments->verifier.secrets_count ? &arguments->verifier : NULL,
                   (int)arguments->status, now_us / 1000000, &outcome);
    receiver_tell(request, &outcome, now_us, &line);
    receiver_answer(request, &outcome, &answer);
    bool good = !buf_failed(&line) && !buf_failed(&answer);
    if (good) {
        printer_add(&host->printer, buf_str(&line));
        printer_flush(&host->printer);
        good = send_all(guest, buf_str(&answer)) && request->head.framing.keep_alive;
    }
    receiver_outcome_deinit(&outcome);
    buf_free(&line);
    buf_free(&answer);
    return good;
}

/* Handles all whole requests. Returns false if the connection must end. */
static bool take_all(struct host *host, struct guest *guest)
{
    for (;;) {
        struct receiver_request request;
        int result = receiver_take(buf_str(&guest->in), &request);
        bool good = result == -EAGAIN;
        bool first = good && request.wants_continue && !guest->continued;
        size_t size = request.size;
        if (!result)
            good = serve(host, guest, &request);
        receiver_request_deinit(&request);
        if (first)
            return send_continue(guest);
        if (result > 0)
            return send_refusal(guest, result);
        if (result || !good || host->printer.ended)
            return good;
        buf_drop(&guest->in, size);
        guest->continued = false;
    }
}

static void hear(struct host *host, struct guest *guest)
{
    ssize_t n = recv(guest->fd, host->room, READ_SIZE, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        buf_add(&guest->in, host->room, (size_t)n);
    if (n <= 0 || buf_failed(&guest->in) || guest->in.len > IN_MAX || !take_all(host, guest))
        dismiss(guest);
}

static void welcome(struct host *host)
{
    int fd = accept4(host->fd, NULL, NULL, SOCK_CLOEXEC);
    struct guest *guest = host->guests;
    while (guest < host->guests + GUESTS_MAX && guest->fd >= 0)
        guest++;
    if (fd >= 0 && guest < host->guests + GUESTS_MAX)
        guest->fd = fd;
    else if (fd >= 0)
        close(fd);
}

/* ---- running --------------------------------------------------------------------------------- */

static const char *advice_of(int error)
{
    return error == EADDRINUSE ? ". Another program has that port: stop it, or name another one, "
                                 "as in freshet webhook listen 127.0.0.1:9001"
           : error == EACCES   ? ". Ports below 1024 need privileges: name another one"
           : error == EADDRNOTAVAIL ? ". This machine has no such address: take 127.0.0.1"
                                    : "";
}

static int open_socket(const struct listen_arguments *arguments)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char host[256];
    int one = 1, fd = -1;
    (void)snprintf(host, sizeof(host), "%.*s", STR_FMT(arguments->host));
    if (getaddrinfo(host, arguments->port, &hints, &found))
        return -EADDRNOTAVAIL;
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = fd < 0 ? -errno : 0;
    if (!result && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
                    bind(fd, found->ai_addr, found->ai_addrlen) || listen(fd, GUESTS_MAX)))
        result = -errno;
    freeaddrinfo(found);
    if (result && fd >= 0)
        close(fd);
    return result ? result : fd;
}

static void greet(const struct host *host)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    char name[64] = "?", port[16] = "?";
    if (getsockname(host->fd, (struct sockaddr *)&address, &size) == 0)
        (void)getnameinfo((struct sockaddr *)&address, size, name, sizeof(name), port, sizeof(port),
                          NI_NUMERICHOST | NI_NUMERICSERV);
    bool v6 = strchr(name, ':') != NULL;
    fprintf(stderr, "listening at http://%s%s%s:%s/%s\n", v6 ? "[" : "", name, v6 ? "]" : "", port,
            host->arguments->verifier.secrets_count ? ""
                                                    : ", verifying nothing: say --secret-file");
}

/* Waits and handles events; returns false after a signal. */
static bool turn(struct host *host)
{
    struct pollfd fds[GUESTS_MAX + 3] = {
        {.fd = host->printer.interrupt->fd, .events = POLLIN},
        {.fd = host->fd, .events = POLLIN},
        {.fd = host->printer.fd}, /* reports when its reader has gone */
    };
    for (size_t i = 0; i < GUESTS_MAX; i++)
        fds[i + 3] = (struct pollfd){.fd = host->guests[i].fd, .events = POLLIN};
    if (poll(fds, GUESTS_MAX + 3, -1) < 0)
        return errno == EINTR;
    if (fds[0].revents || (fds[2].revents & POLLERR))
        return false;
    for (size_t i = 0; i < GUESTS_MAX && !host->printer.ended; i++)
        if (fds[i + 3].revents)
            hear(host, &host->guests[i]);
    if (fds[1].revents)
        welcome(host);
    return true;
}

static int run(const struct listen_arguments *arguments, const struct interrupt *interrupt)
{
    struct host host = {.arguments = arguments,
                        .printer = {.fd = STDOUT_FILENO,
                                    .is_terminal = isatty(STDOUT_FILENO) == 1,
                                    .count_max = arguments->count,
                                    .interrupt = interrupt}};
    host.fd = open_socket(arguments);
    if (host.fd < 0) {
        fprintf(stderr, "freshet webhook: cannot listen at %s: %s%s\n", arguments->address,
                strerror(-host.fd), advice_of(-host.fd));
        return 1;
    }
    for (size_t i = 0; i < GUESTS_MAX; i++)
        host.guests[i].fd = -1;
    host.room = mem_alloc(READ_SIZE);
    greet(&host);
    while (!host.printer.ended && turn(&host))
        ;
    for (size_t i = 0; i < GUESTS_MAX; i++)
        if (host.guests[i].fd >= 0)
            dismiss(&host.guests[i]);
    int code = host.printer.error ? 1 : 0;
    printer_deinit(&host.printer);
    free(host.room);
    close(host.fd);
    return code;
}

int webhook_listen(int argc, char **argv)
{
    struct buf why = {0};
    struct listen_arguments arguments;
    struct interrupt interrupt;
    int code = 2;
    int result =
        listen_read_arguments(argc, argv, environment("FRESHET_WEBHOOK_SECRET"), &arguments, &why);
    if (result) {
        code = command_line_end(result, "freshet webhook", &why, webhook_listen_help,
                                "Try: freshet help webhook listen\n");
    } else if (interrupt_init(&interrupt)) {
        perror("freshet webhook");
        code = 1;
    } else {
        code = run(&arguments, &interrupt);
        interrupt_deinit(&interrupt);
    }
    listen_arguments_deinit(&arguments);
    buf_free(&why);
    return code;
}
