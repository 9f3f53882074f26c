/* tests/unit/dnspeer.h - a DNS server on loopback whose every answer the test decides: UDP and TCP
 * on one port; over TCP it may first play a SOCKS node that serves whatever is asked for itself.
 */
#ifndef TESTS_UNIT_DNSPEER_H
#define TESTS_UNIT_DNSPEER_H

#include "core/wire/dns.h"
#include "dialworld.h"
#include <sys/socket.h>

struct dns_peer;
struct dns_asker { /* whom to answer */
    struct dns_peer *peer;
    int fd;
    bool tcp;
    struct sockaddr_storage sa;
    socklen_t sa_len;
};
typedef void dns_peer_fn(struct dns_asker *to, const uint8_t *q, size_t n);

enum peer_play { PEER_PLAIN, PEER_SOCKS4, PEER_SOCKS5_WITHOUT_UDP };

struct peer_conn {
    uv_poll_t poll;
    struct peer_conn *next;
    struct dns_asker asker;
    uint8_t in[4096];
    size_t n;
    int stage;
};
struct dns_peer {
    uv_poll_t udp, tcp;
    int udp_fd, tcp_fd;
    uint16_t port;
    enum peer_play play;
    dns_peer_fn *answer;
    int asked_udp, asked_tcp, refused_udp, accepted;
    struct peer_conn *conns;
};

static inline void peer_say(struct dns_asker *to, const uint8_t *msg, size_t n)
{
    uint8_t framed[2 + 65535];
    if (!to->tcp) {
        (void)sendto(to->fd, msg, n, 0, (struct sockaddr *)&to->sa, to->sa_len);
        return;
    }
    framed[0] = (uint8_t)(n >> 8);
    framed[1] = (uint8_t)n;
    memcpy(framed + 2, msg, n);
    (void)!send(to->fd, framed, 2 + n, MSG_NOSIGNAL);
}

/* ---------------------------------------------------------------- messages */

struct peer_record {
    const char *name; /* NULL: the question's */
    unsigned type, ttl;
    const void *data;
    size_t n;
    const char *target; /* a name as data: CNAME */
    bool authority;
};

static inline size_t put_name(uint8_t *out, const char *name)
{
    size_t n = 0;
    while (*name != 0) {
        size_t len = strcspn(name, ".");
        out[n++] = (uint8_t)len;
        memcpy(out + n, name, len);
        n += len;
        name += len + (name[len] == '.');
    }
    out[n++] = 0;
    return n;
}

static inline uint8_t *put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
    return p + 2;
}

/* The answer to a query: its id and question, flags beside QR, RD and RA. Returns its length. */
static inline size_t peer_build(uint8_t *out, const uint8_t *q, size_t n, unsigned flags,
                                const struct peer_record *v, int count)
{
    struct dns_msg m;
    int authority = 0;
    ck_assert_int_eq(dns_parse(q, n, &m), RC_OK);
    memcpy(out, q, m.question_end);
    put16(out + 2, 0x8180 | flags);
    uint8_t *p = out + m.question_end;
    for (int i = 0; i < count; i++) {
        uint8_t name[300];
        authority += v[i].authority;
        if (v[i].name == NULL) {
            p = put16(p, 0xc00c);
        } else {
            size_t len = put_name(name, v[i].name);
            memcpy(p, name, len);
            p += len;
        }
        p = put16(put16(put16(p, v[i].type), 1), v[i].ttl >> 16);
        p = put16(p, v[i].ttl & 0xffff);
        size_t len = v[i].target != NULL ? put_name(name, v[i].target) : v[i].n;
        p = put16(p, (unsigned)len);
        memcpy(p, v[i].target != NULL ? (const void *)name : v[i].data, len);
        p += len;
    }
    put16(out + 4, 1);
    put16(out + 6, (unsigned)(count - authority));
    put16(out + 8, (unsigned)authority);
    put16(out + 10, 0);
    return (size_t)(p - out);
}

/* One address, 192.0.2.1 or 2001:db8::1, whichever was asked for; TTL 30. */
static inline size_t peer_build_addr(uint8_t *out, const uint8_t *q, size_t n)
{
    static const uint8_t v4[] = {192, 0, 2, 1}, v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    struct dns_msg m;
    ck_assert_int_eq(dns_parse(q, n, &m), RC_OK);
    bool six = m.type == DNS_AAAA;
    struct peer_record r = {
        .type = m.type, .ttl = 30, .data = six ? v6 : v4, .n = six ? sizeof v6 : sizeof v4};
    return peer_build(out, q, n, 0, &r, 1);
}

static inline void answer_addr(struct dns_asker *to, const uint8_t *q, size_t n)
{
    uint8_t out[1024];
    peer_say(to, out, peer_build_addr(out, q, n));
}

/* ---------------------------------------------------------------- sockets */

static inline void on_peer_udp(uv_poll_t *poll, int status, int events)
{
    struct dns_peer *p = poll->data;
    uint8_t q[2048];
    struct dns_asker to = {.peer = p, .fd = p->udp_fd, .sa_len = sizeof to.sa};
    (void)status;
    (void)events;
    ssize_t n = recvfrom(p->udp_fd, q, sizeof q, 0, (struct sockaddr *)&to.sa, &to.sa_len);
    if (n < 0)
        return;
    p->asked_udp++;
    p->answer(&to, q, (size_t)n);
}

/* The words of a SOCKS node; how many bytes of c->in they used, 0: more are needed. */
static inline size_t peer_socks(struct peer_conn *c)
{
    struct dns_peer *p = c->asker.peer;
    static const uint8_t granted4[8] = {0, 0x5a}, method[2] = {5, 0};
    uint8_t reply[10] = {5, 0, 0, 1};
    if (p->play == PEER_SOCKS4) {
        const uint8_t *end = c->n > 8 ? memchr(c->in + 8, 0, c->n - 8) : NULL; /* the user */
        if (end != NULL && c->in[4] == 0 && c->in[7] != 0)
            end = memchr(end + 1, 0, c->n - (size_t)(end + 1 - c->in)); /* the name */
        if (end == NULL)
            return 0;
        c->stage = 2;
        (void)!send(c->asker.fd, granted4, 8, MSG_NOSIGNAL);
        return (size_t)(end - c->in) + 1;
    }
    if (c->stage == 0) {
        if (c->n < 2 || c->n < 2u + c->in[1])
            return 0;
        c->stage = 1;
        (void)!send(c->asker.fd, method, 2, MSG_NOSIGNAL);
        return 2u + c->in[1];
    }
    size_t len = c->n < 5 ? 10 : c->in[3] == 3 ? 7u + c->in[4] : 10;
    if (c->n < len)
        return 0;
    c->stage = 2;
    reply[1] = c->in[1] == 1 ? 0 : 7;
    p->refused_udp += c->in[1] != 1;
    (void)!send(c->asker.fd, reply, 10, MSG_NOSIGNAL);
    return len;
}

static inline void on_peer_conn(uv_poll_t *poll, int status, int events)
{
    struct peer_conn *c = poll->data;
    (void)status;
    (void)events;
    ssize_t got_n = recv(c->asker.fd, c->in + c->n, sizeof c->in - c->n, 0);
    if (got_n <= 0) {
        uv_poll_stop(poll);
        return;
    }
    c->n += (size_t)got_n;
    for (;;) {
        size_t used = 0;
        struct slice msg;
        if (c->stage < 2 && c->asker.peer->play != PEER_PLAIN) {
            used = peer_socks(c);
        } else if (dns_frame(c->in, c->n, &msg) == RC_OK) {
            used = 2 + msg.n;
            c->asker.peer->asked_tcp++;
            c->asker.peer->answer(&c->asker, (const uint8_t *)msg.p, msg.n);
        }
        if (used == 0)
            return;
        memmove(c->in, c->in + used, c->n - used);
        c->n -= used;
    }
}

static inline void on_peer_tcp(uv_poll_t *poll, int status, int events)
{
    struct dns_peer *p = poll->data;
    struct peer_conn *c = calloc(1, sizeof *c);
    (void)status;
    (void)events;
    c->asker = (struct dns_asker){.peer = p, .tcp = true};
    c->asker.fd = accept4(p->tcp_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    ck_assert_int_ge(c->asker.fd, 0);
    c->poll.data = c;
    c->next = p->conns;
    p->conns = c;
    p->accepted++;
    ck_assert_int_eq(uv_poll_init(loop_uv(loop), &c->poll, c->asker.fd), 0);
    ck_assert_int_eq(uv_poll_start(&c->poll, UV_READABLE, on_peer_conn), 0);
}

static inline void peer_start(struct dns_peer *p, dns_peer_fn *answer)
{
    *p = (struct dns_peer){.answer = answer, .udp_fd = -1, .tcp_fd = -1};
    for (int i = 0; i < 50 && p->udp_fd < 0; i++) { /* a port that is free for both */
        struct addr at = loopback(AF_INET, 0);
        ck_assert_int_eq(os_listen_tcp(&at, false, false, 16, &p->tcp_fd, NULL), RC_OK);
        ck_assert_int_eq(os_local_addr(p->tcp_fd, &at), RC_OK);
        p->port = at.port;
        if (os_bind_udp(&at, false, NULL, &p->udp_fd, NULL) != RC_OK)
            close(p->tcp_fd);
    }
    ck_assert_int_ge(p->udp_fd, 0);
    p->udp.data = p->tcp.data = p;
    ck_assert_int_eq(uv_poll_init(loop_uv(loop), &p->udp, p->udp_fd), 0);
    ck_assert_int_eq(uv_poll_start(&p->udp, UV_READABLE, on_peer_udp), 0);
    ck_assert_int_eq(uv_poll_init(loop_uv(loop), &p->tcp, p->tcp_fd), 0);
    ck_assert_int_eq(uv_poll_start(&p->tcp, UV_READABLE, on_peer_tcp), 0);
}

/* It hangs up on everybody who came by TCP. */
static inline void peer_hang_up(struct dns_peer *p)
{
    for (struct peer_conn *c = p->conns; c != NULL; c = c->next)
        (void)shutdown(c->asker.fd, SHUT_RDWR);
}

static inline void on_peer_closed(uv_handle_t *h)
{
    --*(int *)h->data;
}

static inline void peer_close(void *handle, int *open)
{
    uv_handle_t *h = handle;
    h->data = open;
    ++*open;
    uv_close(h, on_peer_closed);
}

static inline void peer_stop(struct dns_peer *p)
{
    int open = 0;
    peer_close(&p->udp, &open);
    peer_close(&p->tcp, &open);
    for (struct peer_conn *c = p->conns; c != NULL; c = c->next)
        peer_close(&c->poll, &open);
    while (open > 0) /* a run that was told to stop before it began closes nothing */
        uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    close(p->udp_fd);
    close(p->tcp_fd);
    while (p->conns != NULL) {
        struct peer_conn *c = p->conns;
        p->conns = c->next;
        close(c->asker.fd);
        free(c);
    }
}

#endif
