#include "bench/load.h"

#include "base/visible.h"
#include "client/lib/advice.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

void load_complain(struct load *load, const char *format, ...)
{
    if (load->why.len)
        return;
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    visible_blank(text, strlen(text)); /* a line of the server's answer, for example */
    buf_add_str(&load->why, str_from(text));
}

const char *load_trouble(struct load *load, const struct client_socket *socket, int error)
{
    buf_clear(&load->trouble);
    client_socket_explain(socket, error, &load->trouble);
    const char *advice = advice_of_tls(buf_str(&load->trouble));
    buf_add_str(&load->trouble, str_from(*advice ? advice : advice_of_error(-error)));
    buf_add_char(&load->trouble, '\0');
    return buf_failed(&load->trouble) ? "it broke" : load->trouble.at;
}

int load_connect(int epoll_fd, struct load_peer peer, int receive_bytes, struct load_watch *watch,
                 struct client_socket *ret)
{
    int fd = socket(peer.address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (receive_bytes)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = watch};
    *ret = (struct client_socket){.fd = fd};
    int result = client_socket_secure(ret, peer.tls);
    if (!result &&
        ((connect(fd, (const struct sockaddr *)peer.address, peer.len) && errno != EINPROGRESS) ||
         epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)))
        result = -errno;
    if (result)
        client_socket_close(ret);
    return result;
}

bool load_is_perfect(const struct load *load)
{
    return tally_perfect(&load->tally) && !load->refused && !load->broken &&
           load->answered == load->published;
}
