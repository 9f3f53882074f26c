/* listeners/udp.c - a UDP port: each client address is a session, handed up as a dgram.
 * gost-config.md 10.1.
 *
 * All sessions share the socket. Replies leave with the address that the client sent to, also on a
 * machine that has several. A session ends (RC_EOF) after ttl without a datagram either way, or
 * when it is the longest silent one past the cap; the handler then closes it. Queues are capped;
 * what does not fit is dropped and counted.
 */
#include "core/dgram.h"
#include "core/log.h"
#include "core/os.h"
#include "core/stream.h"
#include "listeners/accept.h"
#include "listeners/types.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct udp_options {
    int64_t backlog, queue, buffer_bytes, ttl_ms;
    bool keepalive, stateless;
};

#define AT(field) offsetof(struct udp_options, field)
static const struct option options[] = {
    {.key = "backlog",
     .type = OPTION_INT,
     .flags = OPTION_NOOP,
     .offset = AT(backlog),
     .help = "sessions that wait to be accepted"},
    {.key = "readQueueSize",
     .aliases = "recvQueueSize",
     .type = OPTION_INT,
     .offset = AT(queue),
     .def = "128",
     .min = 1,
     .max = 4096,
     .help = "datagrams queued per session"},
    {.key = "readBufferSize",
     .aliases = "udp.bufferSize,udpBufferSize",
     .type = OPTION_SIZE,
     .offset = AT(buffer_bytes),
     .def = "65535",
     .min = 512,
     .max = 65535,
     .help = "largest datagram; longer ones are dropped"},
    {.key = "ttl",
     .aliases = "keepalive.ttl",
     .type = OPTION_DURATION,
     .offset = AT(ttl_ms),
     .def = "5s",
     .min = 10,
     .max = 86400000,
     .help = "silence that ends a session"},
    {.key = "keepalive",
     .type = OPTION_BOOL,
     .flags = OPTION_NOOP,
     .offset = AT(keepalive),
     .help = "a session is never cut after its first reply"},
    {.key = "stateless",
     .type = OPTION_BOOL,
     .flags = OPTION_NOOP,
     .offset = AT(stateless),
     .help = "one datagram in, one out"},
    OPTION_END,
};
#undef AT

enum {
    SESSIONS_MAX = 4096,
    BUCKETS = 1024,
    QUEUE_MAX_BYTES = 256 * 1024,             /* of one session */
    PORT_QUEUES_MAX_BYTES = 16 * 1024 * 1024, /* of all of them */
    RECV_RUN = 64                             /* datagrams taken in one turn */
};

struct packet {
    struct packet *next;
    size_t n;
    uint8_t data[];
};

struct session {
    struct dgram dgram;
    struct port *port;               /* NULL: over */
    struct session *next;            /* in its bucket */
    struct session *older, *younger; /* by last use */
    struct addr peer, local;         /* local: what the client sent to; its port is not used */
    struct packet *first, **end;
    size_t queued, queued_bytes;
    uint64_t used_ms;
};

struct port {
    struct loop *loop;
    const char *service;
    const struct udp_options *cfg;
    struct listener_events events;
    struct addr at;
    int fd;
    bool v6;
    struct hotfd hot;
    struct job more;
    struct timer sweep;
    uint64_t key;
    struct session *bucket[BUCKETS];
    struct session *oldest, *youngest;
    size_t sessions, queued_bytes; /* the latter of the sessions it has */
};

/* ---------------------------------------------------------------- sessions */

static void unlink_age(struct session *s)
{
    struct port *p = s->port;
    *(s->older ? &s->older->younger : &p->oldest) = s->younger;
    *(s->younger ? &s->younger->older : &p->youngest) = s->older;
}

static void link_youngest(struct session *s)
{
    struct port *p = s->port;
    s->younger = NULL;
    s->older = p->youngest;
    *(p->youngest ? &p->youngest->younger : &p->oldest) = s;
    p->youngest = s;
}

static void touch(struct session *s)
{
    s->used_ms = loop_now_ms(s->dgram.loop);
    if (s->port->youngest != s) {
        unlink_age(s);
        link_youngest(s);
    }
}

static struct session **bucket_of(struct port *p, const struct addr *peer)
{
    return &p->bucket[addr_hash(peer, p->key) % BUCKETS];
}

/* The port forgets the session; the handler learns it as the end. */
static void detach(struct session *s)
{
    struct port *p = s->port;
    struct session **at = bucket_of(p, &s->peer);
    unlink_age(s);
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    p->sessions--;
    p->queued_bytes -= s->queued_bytes;
    s->port = NULL;
    dgram_wake(&s->dgram);
}

static enum rc session_recv(struct dgram *d, void *buf, size_t cap, size_t *ret_n,
                            struct target *ret_from)
{
    struct session *s = (struct session *)d;
    struct packet *k = s->first;
    if (!k)
        return s->port ? RC_AGAIN : RC_EOF;
    size_t n = k->n < cap ? k->n : cap;
    if (n > 0)
        memcpy(buf, k->data, n);
    s->first = k->next;
    if (!s->first)
        s->end = &s->first;
    s->queued--;
    s->queued_bytes -= k->n;
    if (s->port)
        s->port->queued_bytes -= k->n;
    free(k);
    *ret_n = n;
    target_from_addr(ret_from, &s->peer);
    return RC_OK;
}

/* The source of a reply, as the kernel wants it told. */
static void set_source(struct msghdr *m, const struct session *s, bool v6)
{
    struct cmsghdr *h = CMSG_FIRSTHDR(m);
    if (v6) {
        struct sockaddr_storage ss;
        struct in6_pktinfo info = {.ipi6_ifindex = s->local.scope};
        addr_to_sockaddr(&s->local, true, &ss);
        info.ipi6_addr = ((struct sockaddr_in6 *)(void *)&ss)->sin6_addr;
        h->cmsg_level = IPPROTO_IPV6;
        h->cmsg_type = IPV6_PKTINFO;
        h->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(h), &info, sizeof info);
        m->msg_controllen = CMSG_SPACE(sizeof info);
    } else {
        struct in_pktinfo info = {.ipi_ifindex = 0};
        memcpy(&info.ipi_spec_dst, s->local.ip, 4);
        h->cmsg_level = IPPROTO_IP;
        h->cmsg_type = IP_PKTINFO;
        h->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(h), &info, sizeof info);
        m->msg_controllen = CMSG_SPACE(sizeof info);
    }
}

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
};

static enum rc session_send(struct dgram *d, const struct target *to, const void *data, size_t n)
{
    struct session *s = (struct session *)d;
    struct sockaddr_storage ss;
    union control control;
    union {
        const void *in;
        void *out;
    } u = {.in = data};
    struct iovec v = {u.out, n};
    (void)to; /* fixed: the client */
    if (!s->port)
        return RC_AGAIN;
    struct msghdr m = {.msg_name = &ss, .msg_iov = &v, .msg_iovlen = 1};
    m.msg_namelen = addr_to_sockaddr(&s->peer, s->port->v6, &ss);
    if (s->local.family != 0) {
        memset(&control, 0, sizeof control);
        m.msg_control = &control;
        m.msg_controllen = sizeof control;
        set_source(&m, s, s->port->v6);
    }
    touch(s);
    /* Whatever the reason, only this datagram is lost. */
    return sendmsg(s->port->fd, &m, MSG_NOSIGNAL) >= 0 ? RC_OK : RC_AGAIN;
}

static unsigned session_ready(struct dgram *d, unsigned wish)
{
    const struct session *s = (const struct session *)d;
    unsigned ready = STREAM_OPEN | STREAM_OUT;
    if (s->first || !s->port)
        ready |= STREAM_IN;
    if (!s->port)
        ready |= STREAM_GONE;
    return ready & wish;
}

static enum rc session_local(struct dgram *d, struct addr *ret_addr)
{
    *ret_addr = ((struct session *)d)->local;
    return RC_OK;
}

static void session_destroy(struct dgram *d)
{
    struct session *s = (struct session *)d;
    if (s->port)
        detach(s);
    for (struct packet *k; (k = s->first); free(k))
        s->first = k->next;
}

static const struct dgram_type session_type = {
    .name = "udp session",
    .send = session_send,
    .recv = session_recv,
    .ready = session_ready,
    .local = session_local,
    .destroy = session_destroy,
};

static struct session *find(struct port *p, const struct addr *peer)
{
    struct session *s = *bucket_of(p, peer);
    while (s && !addr_equal(&s->peer, peer))
        s = s->next;
    return s;
}

static struct session *session_new(struct port *p, const struct addr *peer,
                                   const struct addr *local)
{
    if (p->sessions == SESSIONS_MAX)
        detach(p->oldest);
    struct session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    dgram_init(&s->dgram, &session_type, p->loop, DGRAM_FIXED);
    s->port = p;
    s->peer = *peer;
    s->local = *local;
    s->end = &s->first;
    s->used_ms = loop_now_ms(p->loop);
    struct session **at = bucket_of(p, peer);
    s->next = *at;
    *at = s;
    link_youngest(s);
    p->sessions++;
    return s;
}

static void queue(struct session *s, const void *data, size_t n)
{
    struct packet *k = NULL;
    if (s->queued < (size_t)s->port->cfg->queue && s->queued_bytes + n <= QUEUE_MAX_BYTES &&
        s->port->queued_bytes + n <= PORT_QUEUES_MAX_BYTES)
        k = malloc(sizeof *k + n);
    if (!k) {
        s->dgram.dropped++;
        return;
    }
    k->next = NULL;
    k->n = n;
    if (n > 0)
        memcpy(k->data, data, n);
    *s->end = k;
    s->end = &k->next;
    s->queued++;
    s->queued_bytes += n;
    s->port->queued_bytes += n;
    dgram_wake(&s->dgram);
}

/* ---------------------------------------------------------------- the socket */

static void deliver(struct port *p, const struct addr *peer, const struct addr *local,
                    const void *data, size_t n)
{
    struct session *s = find(p, peer);
    bool fresh = !s;
    if (n > (size_t)p->cfg->buffer_bytes)
        return;
    if (fresh)
        s = session_new(p, peer, local);
    if (!s)
        return;
    touch(s);
    queue(s, data, n);
    if (fresh) {
        struct client_info info = {.peer = *peer, .local = *local};
        p->events.on_dgram(p->events.arg, &s->dgram, &info);
    }
}

static struct addr destination(const struct port *p, struct msghdr *m)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
        if (h->cmsg_level == IPPROTO_IPV6 && h->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(h), sizeof info);
            struct addr a = addr_unmap(addr_v6(&info.ipi6_addr, p->at.port));
            if (addr_is_link_local(&a))
                a.scope = info.ipi6_ifindex;
            return a;
        }
        if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(h), sizeof info);
            return addr_v4(&info.ipi_spec_dst, p->at.port);
        }
    }
    return addr_is_wildcard(&p->at) ? (struct addr){.family = 0} : p->at;
}

static void run(struct port *p)
{
    static uint8_t buf[DGRAM_MAX_BYTES]; /* of the one thread; used only inside this call */
    for (int i = 0; i < RECV_RUN && p->fd >= 0; i++) {
        struct sockaddr_storage ss;
        union control control;
        struct iovec v = {buf, sizeof buf};
        struct msghdr m = {.msg_name = &ss,
                           .msg_namelen = sizeof ss,
                           .msg_iov = &v,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
        ssize_t n = recvmsg(p->fd, &m, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) /* an ICMP error about some client: no matter to the others */
            continue;
        struct addr peer = addr_from_sockaddr((struct sockaddr *)&ss);
        struct addr local = destination(p, &m);
        deliver(p, &peer, &local, buf, (size_t)n);
    }
    if (p->fd >= 0)
        job_post_later(p->loop, &p->more);
}

static void on_ready(struct hotfd *h, unsigned ready)
{
    (void)ready;
    run((struct port *)((char *)h - offsetof(struct port, hot)));
}

static void on_more(struct job *job)
{
    run((struct port *)((char *)job - offsetof(struct port, more)));
}

static void on_sweep(struct timer *t)
{
    struct port *p = (struct port *)((char *)t - offsetof(struct port, sweep));
    uint64_t now = loop_now_ms(p->loop), ttl = (uint64_t)p->cfg->ttl_ms;
    while (p->oldest && now - p->oldest->used_ms >= ttl)
        detach(p->oldest);
    uint64_t next = p->oldest ? p->oldest->used_ms + ttl - now : ttl;
    (void)timer_start(t, next); /* the memory is there: it was running */
}

/* ---------------------------------------------------------------- life */

static enum rc udp_open(struct listener *l, const struct listener_setup *setup, struct diag *diag)
{
    struct port *p = calloc(1, sizeof *p);
    bool dual;
    int one = 1;
    if (!p)
        return diag_set(diag, RC_NOMEM, "no memory");
    l->state = p;
    p->loop = setup->loop;
    p->service = setup->service;
    p->cfg = l->cfg;
    p->fd = p->hot.fd = -1;
    job_init(&p->more, on_more);
    timer_init(p->loop, &p->sweep, on_sweep);
    loop_random(&p->key, sizeof p->key);
    enum rc rc = listen_addr(setup->addr, setup->service, &p->at, &dual, diag);
    struct sockopts so = {.netns = setup->so ? setup->so->netns : NULL};
    if (rc == RC_OK)
        rc = os_bind_udp(&p->at, dual, &so, &p->fd, diag);
    if (rc != RC_OK)
        return rc;
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    p->v6 = getsockname(p->fd, (struct sockaddr *)&ss, &len) == 0 && ss.ss_family == AF_INET6;
    if (p->v6)
        (void)setsockopt(p->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof one);
    else
        (void)setsockopt(p->fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one);
    return os_local_addr(p->fd, &p->at);
}

static enum rc start(struct listener *l, const struct listener_events *ev, struct diag *diag)
{
    struct port *p = l->state;
    p->events = *ev;
    enum rc rc = hotfd_add(p->loop, &p->hot, p->fd, on_ready);
    if (rc == RC_OK && !timer_start(&p->sweep, (uint64_t)p->cfg->ttl_ms))
        rc = RC_NOMEM;
    if (rc != RC_OK)
        return diag_set(diag, rc, "%s: %s", p->service, rc_name(rc));
    job_post(p->loop, &p->more); /* what came since the socket was bound */
    return RC_OK;
}

static void stop(struct listener *l)
{
    struct port *p = l->state;
    if (!p)
        return;
    while (p->oldest)
        detach(p->oldest);
    job_cancel(&p->more);
    timer_stop(&p->sweep);
    if (p->hot.fd >= 0)
        hotfd_remove(&p->hot);
    os_close(p->fd);
    p->fd = -1;
}

static void done(struct listener *l)
{
    stop(l);
    free(l->state);
    l->state = NULL;
}

static const char *where(const struct listener *l, char *buf, size_t cap)
{
    char text[ADDR_TEXT_MAX];
    const struct port *p = l->state;
    snprintf(buf, cap, "%s/udp", addr_format(&p->at, text, sizeof text));
    return buf;
}

const struct listener_type listener_udp = {
    .name = "udp",
    .options = options,
    .cfg_bytes = sizeof(struct udp_options),
    .open = udp_open,
    .start = start,
    .stop = stop,
    .done = done,
    .where = where,
};
