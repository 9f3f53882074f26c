/* listeners/udp_session.c - see udp_session.h. */
#include "listeners/udp_session.h"
#include "core/dgram.h"
#include "core/stream.h"
#include <stdlib.h>
#include <string.h>

enum {
    QUEUE_MAX_BYTES = 256 * 1024,        /* of one session */
    QUEUES_MAX_BYTES = 16 * 1024 * 1024, /* of all of them */
};

struct datagram {
    struct datagram *next;
    size_t n;
    uint8_t data[];
};

struct udp_session {
    struct dgram dgram;
    struct udp_sessions *all;            /* NULL: over */
    struct udp_session *next;            /* in its bucket */
    struct udp_session *older, *younger; /* by last use */
    struct addr peer, local;             /* local: what the client sent to; its port is not used */
    struct datagram *first, **end;
    size_t queued, queued_bytes;
    uint64_t used_ms;
};

static void unlink_age(struct udp_session *s)
{
    struct udp_sessions *all = s->all;
    *(s->older ? &s->older->younger : &all->oldest) = s->younger;
    *(s->younger ? &s->younger->older : &all->youngest) = s->older;
}

static void link_youngest(struct udp_session *s)
{
    struct udp_sessions *all = s->all;
    s->younger = NULL;
    s->older = all->youngest;
    *(all->youngest ? &all->youngest->younger : &all->oldest) = s;
    all->youngest = s;
}

static void touch(struct udp_session *s)
{
    s->used_ms = loop_now_ms(s->dgram.loop);
    if (s->all->youngest != s) {
        unlink_age(s);
        link_youngest(s);
    }
}

static struct udp_session **bucket_of(struct udp_sessions *all, const struct addr *peer)
{
    return &all->bucket[addr_hash(peer, all->key) % UDP_SESSIONS_BUCKETS];
}

/* The table forgets the session; the handler learns it as the end. */
static void detach(struct udp_session *s)
{
    struct udp_sessions *all = s->all;
    struct udp_session **at = bucket_of(all, &s->peer);
    unlink_age(s);
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    all->n--;
    all->queued_bytes -= s->queued_bytes;
    s->all = NULL;
    dgram_wake(&s->dgram);
}

static enum rc session_recv(struct dgram *d, void *buf, size_t cap, size_t *ret_n,
                            struct target *ret_from)
{
    struct udp_session *s = (struct udp_session *)d;
    struct datagram *k = s->first;
    if (!k)
        return s->all ? RC_AGAIN : RC_EOF;
    size_t n = k->n < cap ? k->n : cap;
    if (n > 0)
        memcpy(buf, k->data, n);
    s->first = k->next;
    if (!s->first)
        s->end = &s->first;
    s->queued--;
    s->queued_bytes -= k->n;
    if (s->all)
        s->all->queued_bytes -= k->n;
    free(k);
    *ret_n = n;
    target_from_addr(ret_from, &s->peer);
    return RC_OK;
}

/* The source of a reply, as the kernel wants it told. */
static void set_source(struct msghdr *m, const struct udp_session *s, bool v6)
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

static enum rc session_send(struct dgram *d, const struct target *to, const void *data, size_t n)
{
    struct udp_session *s = (struct udp_session *)d;
    struct sockaddr_storage ss;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    } control;
    union {
        const void *in;
        void *out;
    } u = {.in = data};
    struct iovec v = {u.out, n};
    (void)to; /* fixed: the client */
    if (!s->all)
        return RC_AGAIN;
    struct msghdr m = {.msg_name = &ss, .msg_iov = &v, .msg_iovlen = 1};
    m.msg_namelen = addr_to_sockaddr(&s->peer, s->all->v6, &ss);
    if (s->local.family != 0) {
        memset(&control, 0, sizeof control);
        m.msg_control = &control;
        m.msg_controllen = sizeof control;
        set_source(&m, s, s->all->v6);
    }
    touch(s);
    /* Whatever the reason, only this datagram is lost. */
    return sendmsg(s->all->fd, &m, MSG_NOSIGNAL) >= 0 ? RC_OK : RC_AGAIN;
}

static unsigned session_ready(struct dgram *d, unsigned wish)
{
    const struct udp_session *s = (const struct udp_session *)d;
    unsigned ready = STREAM_OPEN | STREAM_OUT;
    if (s->first || !s->all)
        ready |= STREAM_IN;
    if (!s->all)
        ready |= STREAM_GONE;
    return ready & wish;
}

static enum rc session_local(struct dgram *d, struct addr *ret_addr)
{
    *ret_addr = ((struct udp_session *)d)->local;
    return RC_OK;
}

static void session_destroy(struct dgram *d)
{
    struct udp_session *s = (struct udp_session *)d;
    if (s->all)
        detach(s);
    for (struct datagram *k; (k = s->first); free(k))
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

static struct udp_session *find(struct udp_sessions *all, const struct addr *peer,
                                const struct addr *local)
{
    struct udp_session *s = *bucket_of(all, peer);
    while (s && !(addr_equal(&s->peer, peer) && addr_same_ip(&s->local, local)))
        s = s->next;
    return s;
}

static struct udp_session *session_new(struct udp_sessions *all, const struct addr *peer,
                                       const struct addr *local)
{
    if (all->n == UDP_SESSIONS_MAX)
        detach(all->oldest);
    struct udp_session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    dgram_init(&s->dgram, &session_type, all->loop, DGRAM_FIXED);
    s->all = all;
    s->peer = *peer;
    s->local = *local;
    s->end = &s->first;
    s->used_ms = loop_now_ms(all->loop);
    struct udp_session **at = bucket_of(all, peer);
    s->next = *at;
    *at = s;
    link_youngest(s);
    all->n++;
    return s;
}

static void queue(struct udp_session *s, const void *data, size_t n)
{
    struct datagram *k = NULL;
    if (s->queued < s->all->queue_max && s->queued_bytes + n <= QUEUE_MAX_BYTES &&
        s->all->queued_bytes + n <= QUEUES_MAX_BYTES)
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
    s->all->queued_bytes += n;
    dgram_wake(&s->dgram);
}

void udp_sessions_init(struct udp_sessions *all, struct loop *loop)
{
    all->loop = loop;
    loop_random(&all->key, sizeof all->key);
}

struct dgram *udp_sessions_take(struct udp_sessions *all, const struct addr *peer,
                                const struct addr *local, const void *data, size_t n)
{
    struct udp_session *s = find(all, peer, local);
    bool fresh = !s;

    if (fresh)
        s = session_new(all, peer, local);
    if (!s)
        return NULL;
    touch(s);
    queue(s, data, n);
    return fresh ? &s->dgram : NULL;
}

uint64_t udp_sessions_sweep(struct udp_sessions *all, uint64_t ttl_ms)
{
    uint64_t now = loop_now_ms(all->loop);

    while (all->oldest && now - all->oldest->used_ms >= ttl_ms)
        detach(all->oldest);
    return all->oldest ? all->oldest->used_ms + ttl_ms - now : ttl_ms;
}

void udp_sessions_end(struct udp_sessions *all)
{
    while (all->oldest)
        detach(all->oldest);
}
