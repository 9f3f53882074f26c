/* listeners/udp.c - a UDP port: each client address is a session, handed up as a dgram
 * (udp_session.h). gost-config.md 10.1.
 */
#include "core/dgram.h"
#include "core/os.h"
#include "listeners/accept.h"
#include "listeners/types.h"
#include "listeners/udp_session.h"
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

enum { RECV_RUN = 64 /* datagrams taken in one turn */ };

struct port {
    struct loop *loop;
    const char *service;
    const struct udp_options *cfg;
    struct listener_events events;
    struct addr at;
    int fd;
    struct hotfd hot;
    struct job more;
    struct timer sweep;
    struct udp_sessions sessions;
};

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
};

/* ---------------------------------------------------------------- the socket */

static void deliver(struct port *p, const struct addr *peer, const struct addr *local,
                    const void *data, size_t n)
{
    if (n > (size_t)p->cfg->buffer_bytes)
        return;
    struct dgram *fresh = udp_sessions_take(&p->sessions, peer, local, data, n);
    if (fresh) {
        struct client_info info = {.peer = *peer, .local = *local};
        p->events.on_dgram(p->events.arg, fresh, &info);
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
    uint64_t next = udp_sessions_sweep(&p->sessions, (uint64_t)p->cfg->ttl_ms);
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
    udp_sessions_init(&p->sessions, p->loop);
    p->sessions.queue_max = (size_t)p->cfg->queue;
    enum rc rc = listen_addr(setup->addr, setup->service, &p->at, &dual, diag);
    struct sockopts so = {.netns = setup->so ? setup->so->netns : NULL};
    if (rc == RC_OK)
        rc = os_bind_udp(&p->at, dual, &so, &p->fd, diag);
    if (rc != RC_OK)
        return rc;
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    bool v6 = getsockname(p->fd, (struct sockaddr *)&ss, &len) == 0 && ss.ss_family == AF_INET6;
    p->sessions.fd = p->fd;
    p->sessions.v6 = v6;
    if (v6)
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
    udp_sessions_end(&p->sessions);
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
