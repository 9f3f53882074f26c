/* SOCKS5 BIND through the whole handler: real sockets on loopback, the client in a child process
 * that ends with status 0 when all was as it must be. */
#include "core/floor/tcp.h"
#include "core/loop.h"
#include "core/stream.h"
#include "handlers/handler.h"
#include "handlers/proxyoptions.h"
#include "handlers/types.h"
#include "listeners/listener.h"
#include "run.h"
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---------------------------------------------------------------- the client's side, blocking */

typedef int client_fn(int control); /* the child: 0, or the number of the step that failed */

static int got(int fd, void *buf, size_t n)
{
    size_t at = 0;
    while (at < n) {
        ssize_t r = recv(fd, (char *)buf + at, n - at, 0);
        if (r <= 0)
            return 0;
        at += (size_t)r;
    }
    return 1;
}

static int put(int fd, const void *buf, size_t n)
{
    return send(fd, buf, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && !connect(fd, (struct sockaddr *)&sa, sizeof sa) ? fd : -1;
}

/* Greeting, then BIND to 0.0.0.0:0; the port, or 0. */
static uint16_t ask(int control, const char *early)
{
    unsigned char reply[10];
    if (!put(control, "\5\1\0", 3) || !got(control, reply, 2) || reply[1] != 0)
        return 0;
    char request[64] = "\5\2\0\1\0\0\0\0\0\0";
    memcpy(request + 10, early, strlen(early));
    if (!put(control, request, 10 + strlen(early)) || !got(control, reply, sizeof reply))
        return 0;
    /* the address where the client arrived, not the wildcard */
    if (memcmp(reply, "\5\0\0\1\x7f\0\0\1", 8) != 0)
        return 0;
    return (uint16_t)(reply[8] << 8 | reply[9]);
}

static int one_peer(int control)
{
    char buf[16];
    uint16_t port = ask(control, "early");
    int peer = port ? connect_to(port) : -1;
    if (peer < 0)
        return 1;
    struct sockaddr_in own;
    socklen_t len = sizeof own;
    if (getsockname(peer, (struct sockaddr *)&own, &len))
        return 2;
    unsigned char reply[10];
    if (!got(control, reply, sizeof reply) || memcmp(reply, "\5\0\0\1\x7f\0\0\1", 8) != 0 ||
        memcmp(reply + 8, &own.sin_port, 2) != 0)
        return 3;
    if (!got(peer, buf, 5) || memcmp(buf, "early", 5) != 0)
        return 4;
    if (!put(peer, "from peer", 9) || !got(control, buf, 9) || memcmp(buf, "from peer", 9) != 0)
        return 5;
    if (!put(control, "to peer", 7) || !got(peer, buf, 7) || memcmp(buf, "to peer", 7) != 0)
        return 6;
    if (connect_to(port) >= 0)
        return 7; /* one connection, then the port is closed */
    if (shutdown(peer, SHUT_WR) || recv(control, buf, 1, 0) != 0)
        return 8;
    if (!put(control, "late", 4) || !got(peer, buf, 4))
        return 9;
    return 0;
}

static int leaves_before_its_peer(int control)
{
    uint16_t port = ask(control, "");
    char c;
    if (!port || shutdown(control, SHUT_WR))
        return 1;
    if (recv(control, &c, 1, 0) != 0)
        return 2;
    return connect_to(port) < 0 ? 0 : 3;
}

static int stays_without_peer(int control)
{
    return ask(control, "") ? 0 : 1; /* gone at once: a reset, or the handler's end */
}

static int is_refused(int control)
{
    unsigned char reply[10];
    if (!put(control, "\5\1\0", 3) || !got(control, reply, 2))
        return 1;
    if (!put(control, "\5\2\0\1\0\0\0\0\0\0", 10) || !got(control, reply, sizeof reply))
        return 2;
    return reply[1] == 2 ? 0 : 3;
}

static int names_a_name(int control)
{
    unsigned char reply[10];
    if (!put(control, "\5\1\0", 3) || !got(control, reply, 2))
        return 1;
    if (!put(control, "\5\2\0\3\7example\0\0", 14) || !got(control, reply, sizeof reply))
        return 2;
    return reply[1] == 1 ? 0 : 3;
}

/* ---------------------------------------------------------------- the handler's side */

static void on_child(struct hotfd *h, unsigned ready)
{
    if (ready & HOT_HUP)
        loop_stop(h->loop);
}

static int run_client(client_fn *client, bool bind)
{
    struct diag diag = {.rc = RC_OK};
    struct proxy_options cfg = {.bind = bind, .notls = true};
    struct loop *loop = loop_new(&diag);
    struct handler_setup setup = {.loop = loop, .service = "test", .listener = "tcp"};
    struct handler h = {.type = &handler_socks5, .cfg = &cfg};
    struct sockaddr_in sa = {.sin_family = AF_INET};
    socklen_t len = sizeof sa;
    int life[2], status = -1;

    ck_assert_int_eq(h.type->init(&h, &setup, &diag), RC_OK);
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(listen(l, 1), 0); /* not bound: any port, but of every address */
    ck_assert_int_eq(getsockname(l, (struct sockaddr *)&sa, &len), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, life), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct timeval patience = {.tv_sec = 5};
        int control = connect_to(ntohs(sa.sin_port));
        (void)setsockopt(control, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        _exit(control < 0 ? 99 : client(control));
    }
    close(life[1]);
    int fd = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct client_info info = {.local = addr_v4("\x7f\0\0\1", 1080)};
    struct stream *s = stream_new(loop);
    struct hotfd child;
    stream_push(s, tcp_layer(loop, fd, &diag));
    h.type->serve(&h, s, &info);
    ck_assert_int_eq(hotfd_add(loop, &child, life[0], on_child), RC_OK);
    loop_run(loop);
    hotfd_remove(&child);
    close(life[0]);
    close(l);
    h.type->done(&h);
    loop_free(loop);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(test_socks5_bind_gives_one_peer)
{
    ck_assert_int_eq(run_client(one_peer, true), 0);
}
END_TEST

START_TEST(test_socks5_bind_ends_with_its_client)
{
    ck_assert_int_eq(run_client(leaves_before_its_peer, true), 0);
    ck_assert_int_eq(run_client(stays_without_peer, true), 0);
}
END_TEST

START_TEST(test_socks5_bind_needs_to_be_enabled)
{
    ck_assert_int_eq(run_client(is_refused, false), 0);
    ck_assert_int_eq(run_client(names_a_name, true), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("socks5_bind");
    TCase *tc = tcase_create("bind");
    tcase_add_test(tc, test_socks5_bind_gives_one_peer);
    tcase_add_test(tc, test_socks5_bind_ends_with_its_client);
    tcase_add_test(tc, test_socks5_bind_needs_to_be_enabled);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
