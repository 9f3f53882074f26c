/* chain/asker.c - c-ares tied to the loop: its sockets are cold descriptors (uv_poll), its time is
 * one timer of ours. see asker.h.
 *
 * c-ares makes a socket before it says where it will go, and how a socket must be bound depends on
 * that (core/os.h). So connect() puts the right socket in the place of the first one.
 */
#include "chain/asker.h"
#include "core/host/uplink.h"
#include "core/loop.h"
#include <ares.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { TRIES = 3, CHOICES_MAX = 8, ANSWERS_MAX = 16, LOOK_AGAIN_MS = 1000 };

struct asker {
    struct loop *loop;
    char *interface, *netns, *servers, *resolv_path;
    uint32_t mark, try_ms;
    ares_channel channel;
    struct watch *watches;
    bool made, dying;
    struct question *questions; /* open ones */
    struct timer clock;
    uint64_t looked_ms;
    struct timespec changed;
    uint32_t epoch; /* of the network, when the channel was made */
};

struct question {
    struct asker *ares;
    struct question *next, **link;
    asker_fn *fn;
    void *arg;
    int family;
    char name[];
};

/* One socket of the channel; outlives it until libuv has let go. */
struct watch {
    uv_poll_t poll;
    struct asker *ares;
    struct watch *next;
    ares_socket_t fd;
};

/* ---------------------------------------------------------------- sockets */

static ares_socket_t on_socket(int family, int type, int protocol, void *arg)
{
    (void)protocol;
    (void)arg;
    struct addr any = {.family = (uint8_t)family};
    int fd;
    return os_socket_for(type, &any, NULL, NULL, &fd, NULL) == RC_OK ? fd : -1;
}

static int on_close(ares_socket_t fd, void *arg)
{
    (void)arg;
    return close(fd);
}

static int replace_and_connect(int fd, int made, const struct sockaddr *sa, socklen_t len)
{
    int rc = dup3(made, fd, O_CLOEXEC);
    os_close(made);
    return rc < 0 ? -1 : connect(fd, sa, len);
}

static int on_connect(ares_socket_t fd, const struct sockaddr *sa, ares_socklen_t len, void *arg)
{
    struct asker *a = arg;
    struct sockopts so = {.interface = a->interface, .mark = a->mark, .netns = a->netns};
    struct addr to = addr_from_sockaddr(sa);
    struct bind_choice v[CHOICES_MAX];
    int n = 0, type = SOCK_DGRAM;
    socklen_t type_len = sizeof(type);
    (void)getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len);
    if (os_bind_choices(&so, &to, v, CHOICES_MAX, &n, NULL) != RC_OK) {
        errno = ENETUNREACH;
        return -1;
    }
    int err = ENETUNREACH;
    for (int i = 0; i < (n > 0 ? n : 1); i++) {
        int made;
        if (os_socket_for(type, &to, &so, n > 0 ? &v[i] : NULL, &made, NULL) != RC_OK)
            continue;
        int rc = replace_and_connect(fd, made, sa, len);
        if (rc == 0 || errno == EINPROGRESS)
            return rc;
        err = errno;
    }
    errno = err;
    return -1;
}

static ares_ssize_t on_recvfrom(ares_socket_t fd, void *buf, size_t n, int flags,
                                struct sockaddr *from, ares_socklen_t *from_len, void *arg)
{
    (void)arg;
    return recvfrom(fd, buf, n, flags, from, from_len);
}

static ares_ssize_t on_sendv(ares_socket_t fd, const struct iovec *v, int nv, void *arg)
{
    (void)arg;
    return writev(fd, v, nv);
}

static const struct ares_socket_functions socket_functions = {
    .asocket = on_socket,
    .aclose = on_close,
    .aconnect = on_connect,
    .arecvfrom = on_recvfrom,
    .asendv = on_sendv,
};

/* ---------------------------------------------------------------- events */

static void set_clock(struct asker *a)
{
    struct timeval tv;
    if (a->dying || ares_timeout(a->channel, NULL, &tv) == NULL) {
        timer_stop(&a->clock);
        return;
    }
    uint64_t ms = (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000;
    (void)timer_start(&a->clock, ms + 1); /* without memory the resolver's deadline still ends it */
}

static void on_clock(struct timer *timer)
{
    struct asker *a = (struct asker *)((char *)timer - offsetof(struct asker, clock));
    ares_process_fd(a->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_clock(a);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *w = (struct watch *)poll;
    struct asker *a = w->ares;
    bool in = status < 0 || (events & UV_READABLE) != 0;
    bool out = status < 0 || (events & UV_WRITABLE) != 0;
    ares_process_fd(a->channel, in ? w->fd : ARES_SOCKET_BAD, out ? w->fd : ARES_SOCKET_BAD);
    set_clock(a);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_state(void *arg, ares_socket_t fd, int in, int out)
{
    struct asker *a = arg;
    struct watch **at = &a->watches, *w;
    while (*at != NULL && (*at)->fd != fd)
        at = &(*at)->next;
    w = *at;
    if (!in && !out) {
        if (w == NULL)
            return;
        *at = w->next;
        uv_close((uv_handle_t *)&w->poll, on_watch_closed);
        return;
    }
    if (w == NULL) {
        w = calloc(1, sizeof(*w));
        if (w == NULL || uv_poll_init(loop_uv(a->loop), &w->poll, fd) != 0) {
            free(w);
            return; /* nothing is heard on it: the question times out */
        }
        w->ares = a;
        w->fd = fd;
        w->next = a->watches;
        a->watches = w;
    }
    (void)uv_poll_start(&w->poll, (in ? UV_READABLE : 0) | (out ? UV_WRITABLE : 0), on_poll);
}

/* ---------------------------------------------------------------- the channel */

struct asker *asker_new(const struct asker_cfg *cfg)
{
    struct asker *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return NULL;
    a->loop = cfg->loop;
    a->mark = cfg->so.mark;
    a->try_ms = cfg->try_ms;
    a->interface = strdup(cfg->so.interface != NULL ? cfg->so.interface : "");
    a->netns = strdup(cfg->so.netns != NULL ? cfg->so.netns : "");
    a->servers = cfg->servers != NULL ? strdup(cfg->servers) : NULL;
    a->resolv_path = strdup(cfg->resolv_path);
    timer_init(cfg->loop, &a->clock, on_clock);
    if (a->interface == NULL || a->netns == NULL || a->resolv_path == NULL ||
        (cfg->servers != NULL && a->servers == NULL)) {
        asker_free(a);
        return NULL;
    }
    return a;
}

/* Its questions stay. */
static void end_channel(struct asker *a)
{
    if (!a->made)
        return;
    a->dying = true;
    ares_destroy(a->channel);
    a->dying = a->made = false;
    timer_stop(&a->clock);
}

static void question_free(struct question *q)
{
    *q->link = q->next;
    if (q->next != NULL)
        q->next->link = q->link;
    free(q);
}

void asker_free(struct asker *a)
{
    if (a == NULL)
        return;
    end_channel(a);
    while (a->questions != NULL)
        question_free(a->questions);
    free(a->interface);
    free(a->netns);
    free(a->servers);
    free(a->resolv_path);
    free(a);
}

/* Are the channel's sockets bound to what is not there any more, or is its resolv.conf another one
 * by now? Looked at once a second at most: questions that are under way are asked anew then. */
static bool has_changed(struct asker *a)
{
    bool moved = a->epoch != uplink_epoch();
    uint64_t now = loop_now_ms(a->loop);
    if (moved && a->questions == NULL)
        return true;
    if (now - a->looked_ms < LOOK_AGAIN_MS)
        return false;
    a->looked_ms = now;
    if (moved || a->servers != NULL)
        return moved;
    struct stat st = {.st_mtim = {0, 0}};
    (void)stat(a->resolv_path, &st);
    return st.st_mtim.tv_sec != a->changed.tv_sec || st.st_mtim.tv_nsec != a->changed.tv_nsec;
}

static int make_channel(struct asker *a)
{
    if (a->made)
        return ARES_SUCCESS;
    struct stat st = {.st_mtim = {0, 0}};
    (void)stat(a->resolv_path, &st);
    a->changed = st.st_mtim;
    a->looked_ms = loop_now_ms(a->loop);
    a->epoch = uplink_epoch();
    char lookups[] = "b"; /* the hosts file is read by chain/hosts.c */
    struct ares_options o = {.timeout = (int)a->try_ms,
                             .tries = TRIES,
                             .lookups = lookups,
                             .resolvconf_path = a->resolv_path,
                             .sock_state_cb = on_state,
                             .sock_state_cb_data = a};
    int status = ares_init_options(&a->channel, &o,
                                   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                                       ARES_OPT_RESOLVCONF | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS)
        return status;
    if (a->servers != NULL) {
        status = ares_set_servers_ports_csv(a->channel, a->servers);
        if (status != ARES_SUCCESS) {
            ares_destroy(a->channel);
            return status;
        }
    }
/* newer c-ares (Debian 13) would like _ex; Debian 12 has no such thing */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    ares_set_socket_functions(a->channel, &socket_functions, a);
#pragma GCC diagnostic pop
    a->made = true;
    return ARES_SUCCESS;
}

static enum rc rc_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return RC_OK;
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
    case ARES_ENONAME:
    case ARES_EBADNAME:
        return RC_NAME;
    case ARES_ETIMEOUT:
        return RC_TIMEOUT;
    case ARES_ENOMEM:
        return RC_NOMEM;
    default:
        return RC_SYS;
    }
}

static void on_addrinfo(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct question *q = arg;
    (void)timeouts;
    if (q->ares->dying) { /* of this channel: there may be another */
        if (info != NULL)
            ares_freeaddrinfo(info);
        return;
    }
    struct addr v[ANSWERS_MAX];
    int n = 0;
    uint32_t ttl_s = UINT32_MAX;
    for (struct ares_addrinfo_node *i = info != NULL ? info->nodes : NULL;
         i != NULL && n < ANSWERS_MAX; i = i->ai_next) {
        v[n] = addr_from_sockaddr(i->ai_addr);
        v[n].port = 0;
        n++;
        if (i->ai_ttl >= 0 && (uint32_t)i->ai_ttl < ttl_s)
            ttl_s = (uint32_t)i->ai_ttl;
    }
    q->fn(q->arg, rc_of(status), status == ARES_SUCCESS ? NULL : ares_strerror(status), v, n,
          ttl_s);
    if (info != NULL)
        ares_freeaddrinfo(info);
    question_free(q);
}

static void put(struct question *q)
{
    struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NOSORT, .ai_family = q->family, .ai_socktype = SOCK_STREAM};
    ares_getaddrinfo(q->ares->channel, q->name, NULL, &hints, on_addrinfo, q);
}

void asker_look(struct asker *a)
{
    if (!a->made || !has_changed(a))
        return;
    end_channel(a);
    struct question *all = a->questions;
    if (all == NULL)
        return;
    int status = make_channel(a);
    a->questions = NULL; /* a question may be answered at once: none is seen twice */
    all->link = &all;
    while (all != NULL) {
        struct question *q = all;
        all = q->next;
        if (all != NULL)
            all->link = &all;
        q->next = a->questions;
        q->link = &a->questions;
        if (q->next != NULL)
            q->next->link = &q->next;
        a->questions = q;
        if (status == ARES_SUCCESS)
            put(q);
        else
            on_addrinfo(q, status, 0, NULL);
    }
    if (a->made)
        set_clock(a);
}

void asker_ask(struct asker *a, const char *name, int family, asker_fn *fn, void *arg)
{
    size_t n = strlen(name) + 1;
    asker_look(a);
    int status = make_channel(a);
    struct question *q = status == ARES_SUCCESS ? malloc(sizeof(*q) + n) : NULL;
    if (q == NULL) {
        if (status == ARES_SUCCESS)
            status = ARES_ENOMEM;
        fn(arg, rc_of(status), ares_strerror(status), NULL, 0, 0);
        return;
    }
    *q = (struct question){.ares = a,
                           .next = a->questions,
                           .link = &a->questions,
                           .fn = fn,
                           .arg = arg,
                           .family = family};
    memcpy(q->name, name, n);
    if (q->next != NULL)
        q->next->link = &q->next;
    a->questions = q;
    put(q);
    set_clock(a);
}
