/*
 * The floor for a connection's cost: a single-threaded epoll server that accepts, reads one packet, answers
 * with a fixed CONNACK, reads until the peer is done, and closes. No MQTT is understood, nothing is kept.
 * Usage: bare_epoll PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, BACKLOG = 4096 };

static int listen_on(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, BACKLOG) < 0) {
        perror("bare_epoll: listen");
        exit(1);
    }
    return fd;
}

static void accept_all(int epoll, int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static void serve(int fd)
{
    static const char connack[] = {0x20, 2, 0, 0};
    char buf[4096];
    ssize_t len = read(fd, buf, sizeof(buf));
    if (len > 0 && buf[0] == 0x10 && write(fd, connack, sizeof(connack)) == (ssize_t)sizeof(connack))
        return;
    if (len <= 0 || (buf[0] & 0xf0) == 0xe0)
        close(fd);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: bare_epoll PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    int epoll = epoll_create1(0), listener = listen_on((int)strtol(argv[1], NULL, 10));
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS_MAX];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                accept_all(epoll, listener);
            else
                serve(events[i].data.fd);
        }
    }
}
