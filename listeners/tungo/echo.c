/* listeners/tungo/echo.c - see echo.h. */
#include "listeners/tungo/echo.h"
#include "core/list.h"
#include "core/loop.h"
#include "core/os.h"
#include "core/shares.h"
#include "core/wire/ip.h"
#include "listeners/tungo/gate.h"
#include "listeners/tungo/icmp.h"
#include <errno.h>
#include <linux/errqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    CHOICES = 8,
    RECEIVES_PER_TURN = 32,
    AT_ID = 4, /* of an echo's header */
    AT_SEQ = 6,
    TYPE4_EXPIRED = 11,
    TYPE6_EXPIRED = 3,
    QUOTE_BYTES = IP6_HEADER_BYTES + ICMP_HEADER_BYTES
};

struct session {
    struct hotfd hot;
    struct job again; /* more waits than one turn takes */
    struct deferred deferred;
    struct echo *owner;
    struct list used;
    struct share share;
    struct addr client; /* port: the client's identifier */
    struct addr local;  /* port: the one that the kernel puts in place */
    uint64_t used_ms;
    int hops;                  /* that what is sent may take; 0: as the kernel likes */
    uint8_t last[QUOTE_BYTES]; /* the newest request's headers, for an error about it */
};

struct echo {
    struct loop *loop;
    struct packet_out out;
    struct icmp *icmp;
    struct list sessions; /* least recently used first */
    struct shares shares; /* whose they are */
    unsigned n;
    uint64_t evicted;
    struct timer sweep;
    uint8_t *buf; /* one answer behind room for its IP header */
};

static void end(struct session *s)
{
    struct echo *e = s->owner;
    int fd = s->hot.fd;

    hotfd_remove(&s->hot);
    os_close(fd);
    job_cancel(&s->again);
    list_remove(&s->used);
    shares_remove(&e->shares, &s->share);
    e->n--;
    loop_free_later(e->loop, &s->deferred, free, s);
}

static void used(struct session *s)
{
    struct echo *e = s->owner;

    s->used_ms = loop_now_ms(e->loop);
    list_remove(&s->used);
    list_append(&e->sessions, &s->used);
    shares_used(&e->shares, &s->share, NULL);
}

static void on_sweep(struct timer *timer)
{
    struct echo *e = LIST_OWNER(timer, struct echo, sweep);
    uint64_t now = loop_now_ms(e->loop);

    while (!list_is_empty(&e->sessions)) {
        struct session *s = LIST_OWNER(e->sessions.next, struct session, used);
        uint64_t due = s->used_ms + ECHO_IDLE_MS;
        if (due > now) {
            (void)timer_start(timer, due - now);
            return;
        }
        end(s);
    }
}

/* --- down */

/* An answer of n bytes lies behind the room for an IP header. */
static void answer(struct session *s, const struct addr *from, size_t n)
{
    struct echo *e = s->owner;
    bool v6 = s->client.family == AF_INET6;
    size_t header = v6 ? IP6_HEADER_BYTES : IP4_HEADER_BYTES;
    uint8_t *ip = e->buf + IP6_HEADER_BYTES - header;
    uint8_t proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
    struct ip_fields f = {.src = from, .dst = &s->client, .proto = proto};

    if (n < ICMP_HEADER_BYTES || from->family != s->client.family)
        return;
    packet_wr16(ip + header + AT_ID, s->client.port);
    packet_put_ip(ip, &f, n);
    cksum_l4_put(ip, header, header + n, proto);
    e->icmp->echoes++;
    (void)packet_out_write(&e->out, ip, header + ICMP_HEADER_BYTES, ip + header + ICMP_HEADER_BYTES,
                           n - ICMP_HEADER_BYTES, tungo_caps(e->out.tungo)->mtu);
}

static enum rc meaning(uint32_t err)
{
    switch ((int)err) {
    case EHOSTUNREACH:
    case EHOSTDOWN:
        return RC_UNREACH_HOST;
    case ENETUNREACH:
        return RC_UNREACH_NET;
    case EACCES:
    case EPERM:
        return RC_DENIED;
    default:
        return RC_OK;
    }
}

static void tell(struct session *s, enum rc why)
{
    struct echo *e = s->owner;
    size_t header = s->client.family == AF_INET6 ? IP6_HEADER_BYTES : IP4_HEADER_BYTES;

    icmp_refuse(e->icmp, s->last, header + ICMP_HEADER_BYTES, why, loop_now_ms(e->loop));
}

/* A word of what a checksum covers changes: RFC 1624. */
static void swap_word(uint8_t *at, unsigned value, uint8_t *sum_at)
{
    uint32_t sum = (uint16_t)~packet_rd16(sum_at);

    sum += (uint16_t)~packet_rd16(at) + value;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    packet_wr16(sum_at, (uint16_t)~sum);
    packet_wr16(at, value);
}

/* The newest request's headers, as if it had been the one of this sequence number. */
static void quote_seq(struct session *s, unsigned seq)
{
    uint8_t *h = s->last + (s->client.family == AF_INET6 ? IP6_HEADER_BYTES : IP4_HEADER_BYTES);

    swap_word(h + AT_SEQ, seq, h + ICMP_AT_SUM);
}

/* The same for the target: requests of one identifier may go to many. */
static void quote_target(struct session *s, const struct addr *to)
{
    bool v6 = s->client.family == AF_INET6;
    uint8_t *at = s->last + (v6 ? IP6_AT_DST : IP4_AT_DST);
    uint8_t *sum = s->last + (v6 ? IP6_HEADER_BYTES + ICMP_AT_SUM : IP4_AT_SUM);

    if (to->family != s->client.family)
        return;
    for (unsigned i = 0; i < (v6 ? 16 : 4); i += 2)
        swap_word(at + i, packet_rd16(to->ip + i), sum);
}

static bool is_expired(const struct sock_extended_err *err)
{
    return (err->ee_origin == SO_EE_ORIGIN_ICMP && err->ee_type == TYPE4_EXPIRED) ||
           (err->ee_origin == SO_EE_ORIGIN_ICMP6 && err->ee_type == TYPE6_EXPIRED);
}

/* A router on the way: the client sees its address. c holds err and the router's address. */
static void tell_expired(struct session *s, const struct cmsghdr *c)
{
    struct echo *e = s->owner;
    size_t header = s->client.family == AF_INET6 ? IP6_HEADER_BYTES : IP4_HEADER_BYTES;
    size_t at = sizeof(struct sock_extended_err), n = c->cmsg_len - CMSG_LEN(0);
    struct sockaddr_storage ss = {0};
    struct addr router = {.family = 0};

    if (n > at) {
        memcpy(&ss, CMSG_DATA(c) + at, n - at < sizeof ss ? n - at : sizeof ss);
        router = addr_from_sockaddr((struct sockaddr *)&ss);
        router.scope = 0;
    }
    icmp_expired(e->icmp, s->last, header + ICMP_HEADER_BYTES,
                 router.family == s->client.family ? &router : NULL, loop_now_ms(e->loop));
}

/* What routers said about the request. */
static void drain_errors(struct session *s)
{
    _Alignas(struct cmsghdr) char control[256];
    uint8_t asked[ICMP_HEADER_BYTES]; /* of the request that failed */

    for (int i = 0; i < RECEIVES_PER_TURN; i++) {
        struct sockaddr_storage ss = {0}; /* where the request went */
        struct iovec v = {asked, sizeof asked};
        struct msghdr m = {.msg_name = &ss,
                           .msg_namelen = sizeof ss,
                           .msg_iov = &v,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
        ssize_t n = recvmsg(s->hot.fd, &m, MSG_ERRQUEUE);
        if (n < 0)
            return;
        if (n == sizeof asked) {
            struct addr to = addr_from_sockaddr((struct sockaddr *)&ss);
            quote_seq(s, packet_rd16(asked + AT_SEQ));
            quote_target(s, &to);
        }
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
            struct sock_extended_err err;
            bool ours = (c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) ||
                        (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR);
            if (!ours || c->cmsg_len < CMSG_LEN(sizeof err))
                continue;
            memcpy(&err, CMSG_DATA(c), sizeof err);
            if (is_expired(&err)) {
                tell_expired(s, c);
                continue;
            }
            enum rc why = meaning(err.ee_errno);
            if (why != RC_OK)
                tell(s, why);
        }
    }
}

static void receive(struct session *s)
{
    for (int i = 0; i < RECEIVES_PER_TURN; i++) {
        struct sockaddr_storage ss = {0};
        socklen_t len = sizeof ss;
        ssize_t n = recvfrom(s->hot.fd, s->owner->buf + IP6_HEADER_BYTES, PACKET_BYTES_MAX, 0,
                             (struct sockaddr *)&ss, &len);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) { /* an error that waits in the queue */
            drain_errors(s);
            continue;
        }
        struct addr from = addr_from_sockaddr((struct sockaddr *)&ss);
        from.scope = 0;
        answer(s, &from, (size_t)n);
        used(s);
    }
    job_post_later(s->owner->loop, &s->again);
}

static void on_hot(struct hotfd *h, unsigned ready)
{
    struct session *s = LIST_OWNER(h, struct session, hot);

    if (ready & HOT_HUP)
        drain_errors(s);
    receive(s);
}

static void on_again(struct job *job)
{
    receive(LIST_OWNER(job, struct session, again));
}

/* --- up */

static enum rc open_socket(const struct sockopts *so, const struct addr *to, int *ret_fd,
                           struct diag *diag)
{
    struct bind_choice v[CHOICES];
    int n = 0, one = 1;
    enum rc rc = os_bind_choices(so, to, v, CHOICES, &n, diag);

    if (rc != RC_OK)
        return rc;
    rc = RC_UNREACH_NET;
    for (int i = 0; i < (n ? n : 1) && rc != RC_OK; i++) {
        rc = os_socket_for(OS_PING, to, so, n ? &v[i] : NULL, ret_fd, diag);
        if (rc == RC_DENIED)
            return RC_SYS;
        if (n && v[i].strict)
            break;
    }
    if (rc != RC_OK)
        return rc;
    if (n == 0) { /* the identifier is known from now on */
        struct sockaddr_storage ss;
        struct addr any = {.family = to->family};
        socklen_t len = addr_to_sockaddr(&any, false, &ss);
        (void)bind(*ret_fd, (struct sockaddr *)&ss, len);
    }
    if (to->family == AF_INET6)
        (void)setsockopt(*ret_fd, SOL_IPV6, IPV6_RECVERR, &one, sizeof one);
    else
        (void)setsockopt(*ret_fd, SOL_IP, IP_RECVERR, &one, sizeof one);
    return RC_OK;
}

static struct session *find(const struct echo *e, const struct addr *client)
{
    for (struct list *r = e->sessions.prev; r != &e->sessions; r = r->prev) {
        struct session *s = LIST_OWNER(r, struct session, used);
        if (addr_equal(&s->client, client))
            return s;
    }
    return NULL;
}

/* Has a request of ours come back by the device's routes? Sending it again would never end. */
static bool is_ours(const struct echo *e, const struct addr *client)
{
    for (struct list *r = e->sessions.next; r != &e->sessions; r = r->next) {
        const struct addr *local = &LIST_OWNER(r, struct session, used)->local;
        if (local->family == client->family && local->port == client->port &&
            (addr_is_wildcard(local) || addr_same_ip(local, client)))
            return true;
    }
    return false;
}

static enum rc make(struct echo *e, const struct addr *client, const struct addr *to,
                    const struct sockopts *so, struct session **ret_s, struct diag *diag)
{
    struct session *s = calloc(1, sizeof(*s));
    int fd = -1;

    if (!e->buf)
        e->buf = malloc(IP6_HEADER_BYTES + PACKET_BYTES_MAX);
    enum rc rc = s && e->buf ? open_socket(so, to, &fd, diag) : RC_NOMEM;
    if (rc == RC_OK && !shares_add(&e->shares, &s->share, client, 1))
        rc = RC_NOMEM;
    if (rc == RC_OK)
        rc = hotfd_add(e->loop, &s->hot, fd, on_hot);
    if (rc != RC_OK) {
        if (s)
            shares_remove(&e->shares, &s->share);
        os_close(fd);
        free(s);
        return rc;
    }
    s->owner = e;
    s->client = *client;
    job_init(&s->again, on_again);
    (void)os_local_addr(fd, &s->local); /* without: only a loop is not seen at once */
    if (e->n == ECHO_SESSIONS_MAX) {    /* not the new one: it is nobody's oldest */
        end(LIST_OWNER(shares_oldest(&e->shares), struct session, share));
        e->evicted++;
    }
    list_append(&e->sessions, &s->used);
    e->n++;
    if (!timer_is_running(&e->sweep))
        (void)timer_start(&e->sweep, ECHO_IDLE_MS); /* reserved */
    *ret_s = s;
    return RC_OK;
}

/* The headers of the request as an error will quote them: without options. */
static void keep_headers(struct session *s, const struct packet *p)
{
    struct ip_fields f = {.src = &p->src, .dst = &p->dst, .proto = p->proto};
    size_t header = packet_put_ip(s->last, &f, p->bytes - p->l4);

    memcpy(s->last + header, p->ip + p->l4, ICMP_HEADER_BYTES);
}

/* One hop was us. Without it the ping goes all the same. */
static void set_hops(struct session *s, const struct packet *p)
{
    bool v6 = packet_version(p->ip) == 6;
    int hops = p->ip[v6 ? IP6_AT_HOPS : IP4_AT_TTL] - 1;

    if (hops < 1 || hops == s->hops)
        return;
    if (setsockopt(s->hot.fd, v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_UNICAST_HOPS : IP_TTL, &hops,
                   sizeof hops) == 0)
        s->hops = hops;
}

enum rc echo_forward(struct echo *e, const struct packet *p, const struct sockopts *so,
                     struct diag *diag)
{
    struct addr client = p->src;
    struct session *s;
    struct sockaddr_storage ss;
    enum rc rc = RC_OK;

    client.port = packet_rd16(p->ip + p->l4 + AT_ID);
    s = find(e, &client);
    if (!s && is_ours(e, &client))
        return diag_set(diag, RC_UNREACH_HOST, "our own ping came back: set `interface`");
    if (!s)
        rc = make(e, &client, &p->dst, so, &s, diag);
    if (rc != RC_OK)
        return rc;
    keep_headers(s, p);
    set_hops(s, p);
    used(s);
    socklen_t len = addr_to_sockaddr(&p->dst, false, &ss);
    ssize_t n;
    do {
        n = sendto(s->hot.fd, p->ip + p->l4, p->bytes - p->l4, 0, (struct sockaddr *)&ss, len);
    } while (n < 0 && errno == EINTR);
    if (n >= 0 || errno == EAGAIN || errno == ENOBUFS)
        return RC_OK;
    int err = errno;
    rc = meaning((uint32_t)err);
    (void)diag_errno(diag, err, "ping");
    if (rc == RC_OK || err == ENETUNREACH) /* its interface may have gone: a new one next time */
        end(s);
    return rc != RC_OK ? rc : RC_UNREACH_NET;
}

/* --- life */

struct echo *echo_new(struct loop *loop, struct tungo *t, struct icmp *icmp)
{
    struct echo *e = calloc(1, sizeof(*e));

    if (!e)
        return NULL;
    e->loop = loop;
    e->icmp = icmp;
    packet_out_init(&e->out, t);
    list_init(&e->sessions);
    shares_init(&e->shares);
    timer_init(loop, &e->sweep, on_sweep);
    if (timer_reserve(&e->sweep))
        return e;
    free(e);
    return NULL;
}

void echo_free(struct echo *e)
{
    if (!e)
        return;
    while (!list_is_empty(&e->sessions))
        end(LIST_OWNER(e->sessions.next, struct session, used));
    timer_release(&e->sweep);
    free(e->buf);
    free(e);
}

unsigned echo_sessions(const struct echo *e)
{
    return e->n;
}

uint64_t echo_evicted(const struct echo *e)
{
    return e->evicted;
}
