/* listeners/accept.c - the accept loop. Contract in listeners/accept.h. */
#include "listeners/accept.h"
#include "core/floor/tcp.h"
#include "core/floor/tls.h"
#include "core/host/netns.h"
#include "core/log.h"
#include "core/os.h"
#include "core/stream.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum {
    ACCEPT_RUN = 64,  /* connections taken in one turn */
    BACKLOG = 4096,   /* the kernel lowers it to its own limit */
    RESERVED_FDS = 8, /* for what is neither client nor target */
    PAUSE_FIRST_MS = 100,
    PAUSE_MAX_MS = 1000,
    TELL_EVERY_MS = 60 * 1000 /* a night at the limit is not a line each second */
};

/* ---------------------------------------------------------------- where */

static enum rc look_up(const char *host, uint16_t port, const char *service, struct addr *ret_a,
                       struct diag *diag)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
    int err = getaddrinfo(host, NULL, &hints, &list);
    if (err != 0 || !list)
        return diag_set(diag, RC_NAME, "%s: listen address %s: %s", service, host,
                        err ? gai_strerror(err) : "no address");
    *ret_a = addr_from_sockaddr(list->ai_addr);
    ret_a->port = port;
    freeaddrinfo(list);
    return RC_OK;
}

enum rc listen_addr(const char *text, const char *service, struct addr *ret_a, bool *ret_dual,
                    struct diag *diag)
{
    struct target t;
    if (!target_parse(text, &t))
        return diag_set(diag, RC_INVALID, "%s: listen address \"%s\" is not host:port", service,
                        text);
    *ret_dual = text[0] == ':' || text[0] == '[';
    if (target_is_name(&t))
        return look_up(t.name, t.addr.port, service, ret_a, diag);
    *ret_a = t.addr;
    if (t.addr.family == 0) /* ":port" */
        *ret_a = (struct addr){.port = t.addr.port};
    /* One IPv6 address is just that; only the wildcard is both families. */
    if (t.addr.family != 0 && !addr_is_wildcard(&t.addr))
        *ret_dual = false;
    return RC_OK;
}

/* ---------------------------------------------------------------- accepting */

/* It is known who the client is. */
static void give(void *arg, struct stream *s, const struct client_info *info)
{
    struct acceptor *a = arg;

    if (a->push && a->push(a->push_arg, s) != RC_OK) {
        log_warn("%s: no memory for an accepted connection; closing it", a->service);
        stream_abort(s);
        return;
    }
    a->events.on_stream(a->events.arg, s, info);
}

static void take(struct acceptor *a, int fd, const struct sockaddr_storage *peer)
{
    struct client_info info = {.peer = addr_from_sockaddr((const struct sockaddr *)peer),
                               .local = a->at};
    struct diag diag = {.rc = RC_OK};

    if (addr_is_wildcard(&a->at) && os_local_addr(fd, &info.local) != RC_OK)
        info.local = a->at;
    struct stream *s = stream_new(a->loop);
    if (!s) {
        os_close(fd);
        return;
    }
    struct layer *l = tcp_layer(a->loop, fd, &diag);
    if (!l) {
        log_warn("%s: accepted connection: %s; closing it", a->service, diag.text);
        stream_close(s);
        return;
    }
    stream_push(s, l);
    if (a->announced.loop)
        announced_take(&a->announced, s, &info);
    else
        give(a, s, &info);
}

static void pause_accepting(struct acceptor *a, int err)
{
    a->pause_ms = a->pause_ms ? 2 * a->pause_ms : PAUSE_FIRST_MS;
    if (a->pause_ms > PAUSE_MAX_MS)
        a->pause_ms = PAUSE_MAX_MS;
    uint64_t now = loop_now_ms(a->loop);
    if (a->pause_ms == PAUSE_FIRST_MS && (!a->told_ms || now - a->told_ms >= TELL_EVERY_MS)) {
        a->told_ms = now;
        log_warn("%s: accept: %s; accepting pauses, what is established goes on", a->service,
                 strerror(err));
    }
    if (!timer_start(&a->pause, a->pause_ms))
        job_post(a->loop, &a->more);
}

static void stop_accepting(struct acceptor *a)
{
    if (!a->loop)
        return;
    a->started = false;
    job_cancel(&a->more);
    timer_stop(&a->pause);
    announced_stop(&a->announced);
    if (a->hot.fd >= 0)
        hotfd_remove(&a->hot);
    os_close(a->fd);
    a->fd = -1;
}

static void broken(struct acceptor *a, int err)
{
    struct diag why = {.rc = RC_OK};
    diag_errno(&why, err, "%s: accept", a->service);
    struct listener_events ev = a->events;
    stop_accepting(a);
    ev.on_broken(ev.arg, &why);
}

/* A client needs a second descriptor for its target: taking more clients than can be served would
 * only mean to turn away those that are there. Descriptors are given lowest first, so fd tells how
 * many are in use. */
static bool is_crowded(const struct acceptor *a, int fd, int taken)
{
    return fd + 2 * taken + RESERVED_FDS >= a->fd_limit;
}

/* At the end of a pause: would the next client be one too many? */
static bool is_still_crowded(const struct acceptor *a)
{
    int fd = fcntl(a->fd, F_DUPFD_CLOEXEC, 0);
    os_close(fd);
    return fd < 0 || is_crowded(a, fd, 1);
}

static void run(struct acceptor *a)
{
    for (int i = 0; i < ACCEPT_RUN && a->started; i++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof peer;
        int fd = accept4(a->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            bool crowded = is_crowded(a, fd, i + 1);
            take(a, fd, &peer);
            if (crowded) { /* those that were taken get their targets first */
                if (!timer_start(&a->pause, 1))
                    job_post(a->loop, &a->more);
                return;
            }
            a->pause_ms = 0;
            continue;
        }
        switch (errno) {
        case EAGAIN:
            return;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            pause_accepting(a, errno);
            return;
        case EBADF:
        case EINVAL:
        case ENOTSOCK:
        case EOPNOTSUPP:
        case EFAULT:
            broken(a, errno);
            return;
        default: /* the connection's own trouble: it is gone already */
            break;
        }
    }
    if (a->started)
        job_post_later(a->loop, &a->more);
}

static void on_ready(struct hotfd *h, unsigned ready)
{
    struct acceptor *a = (struct acceptor *)((char *)h - offsetof(struct acceptor, hot));
    (void)ready;
    if (!timer_is_running(&a->pause))
        run(a);
}

static void on_more(struct job *job)
{
    run((struct acceptor *)((char *)job - offsetof(struct acceptor, more)));
}

static void on_pause_over(struct timer *t)
{
    struct acceptor *a = (struct acceptor *)((char *)t - offsetof(struct acceptor, pause));
    if (is_still_crowded(a))
        pause_accepting(a, EMFILE);
    else
        run(a);
}

/* ---------------------------------------------------------------- life */

enum rc acceptor_open(struct acceptor *a, const struct listener_setup *setup,
                      const struct accept_options *cfg, struct diag *diag)
{
    static const struct accept_options go = {
        .keepalive_idle_ms = 15000, .keepalive_interval_ms = 15000, .keepalive_count = 9};
    bool dual;

    *a = (struct acceptor){.loop = setup->loop, .service = setup->service, .fd = -1};
    a->hot.fd = -1;
    if (setup->announced)
        announced_init(&a->announced, setup->loop, setup->service, give, a);
    struct rlimit files;
    a->fd_limit = getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < INT_MAX / 2
                      ? (int)files.rlim_cur
                      : INT_MAX / 2;
    a->cfg = cfg && cfg->keepalive ? *cfg : go;
    a->cfg.reuseport = cfg && cfg->reuseport;
    job_init(&a->more, on_more);
    timer_init(a->loop, &a->pause, on_pause_over);
    enum rc rc = listen_addr(setup->addr, setup->service, &a->at, &dual, diag);
    struct netns_visit visit = {-1};
    if (rc == RC_OK)
        rc = netns_enter(setup->so ? setup->so->netns : NULL, &visit, diag);
    if (rc == RC_OK)
        rc = os_listen_tcp(&a->at, dual, a->cfg.reuseport, BACKLOG, &a->fd, diag);
    netns_leave(&visit);
    if (rc == RC_OK && a->cfg.keepalive_count > 0) /* accepted sockets inherit it */
        os_keepalive(a->fd, (int)(a->cfg.keepalive_idle_ms / 1000),
                     (int)(a->cfg.keepalive_interval_ms / 1000), (int)a->cfg.keepalive_count);
    if (rc == RC_OK)
        rc = os_local_addr(a->fd, &a->at);
    return rc;
}

enum rc accept_start(struct listener *l, const struct listener_events *ev, struct diag *diag)
{
    struct acceptor *a = l->state;

    a->events = *ev;
    enum rc rc = hotfd_add(a->loop, &a->hot, a->fd, on_ready);
    if (rc != RC_OK)
        return diag_set(diag, rc, "%s: epoll: %s", a->service, rc_name(rc));
    a->started = true;
    job_post(a->loop, &a->more); /* who connected since the socket was bound */
    return RC_OK;
}

void accept_stop(struct listener *l)
{
    if (l->state)
        stop_accepting(l->state);
}

const char *accept_where(const struct listener *l, char *buf, size_t cap)
{
    const struct acceptor *a = l->state;
    char text[ADDR_TEXT_MAX];

    snprintf(buf, cap, "%s/tcp", addr_format(&a->at, text, sizeof text));
    return buf;
}

void accept_tell_tls(const struct listener_setup *setup, const struct tls_ctx *ctx)
{
    const char *note = tls_ctx_note(ctx);
    char pin[TLS_PIN_TEXT_MAX];

    if (note)
        log_warn("%s: %s", setup->service, note);
    if (tls_ctx_pin(ctx, pin, sizeof pin))
        log_info("%s: clients can check this server by pin=%s", setup->service, pin);
}
