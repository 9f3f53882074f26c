/* listeners/announced.c - waiting for PROXY headers. See announced.h. */
#include "listeners/announced.h"
#include "core/floor/proxyproto.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/stream.h"
#include <stdlib.h>

enum { TELL_PAUSE_MS = 1000 };

struct waiter {
    struct announced *owner;
    struct list link;
    struct stream *stream;
    struct layer *header;
    struct client_info info;
    struct deferred deferred;
};

/* Its stream is somebody else's by now. */
static void drop(struct waiter *w)
{
    struct announced *a = w->owner;

    list_remove(&w->link);
    a->n_waiting--;
    loop_free_later(a->loop, &w->deferred, free, w);
}

static void close_waiter(struct waiter *w)
{
    stream_close(w->stream);
    drop(w);
}

/* A scanner must not fill the log. */
static bool may_tell(const struct announced *a, uint64_t *told_ms)
{
    uint64_t now = loop_now_ms(a->loop);

    if (*told_ms && now - *told_ms < TELL_PAUSE_MS)
        return false;
    *told_ms = now;
    return true;
}

static void tell_wrong(struct announced *a, const struct waiter *w)
{
    char peer[ADDR_TEXT_MAX];

    a->wrong++;
    if (!may_tell(a, &a->told_ms))
        return;
    log_write(LOG_WARN,
              (struct log_field[]){F_STR("kind", "service"), F_STR("service", a->service),
                                   F_STR("client", addr_format(&w->info.peer, peer, sizeof peer)),
                                   F_INT("malformed", a->wrong), LOG_END},
              "%s: %s; closing the connection; %llu so far", peer, stream_diag(w->stream)->text,
              (unsigned long long)a->wrong);
}

/* Whom the header names is the client from here on. */
static void rename_client(const struct announced *a, struct waiter *w)
{
    struct addr peer = w->info.peer;
    char client[ADDR_TEXT_MAX], by[ADDR_TEXT_MAX];

    if (!proxyproto_announced(w->header, &w->info.peer, &w->info.dest))
        return;
    w->info.announced = true;
    log_debug("%s: %s connects for %s", a->service, addr_format(&peer, by, sizeof by),
              addr_format(&w->info.peer, client, sizeof client));
}

static void on_header(struct stream *s, unsigned ready, void *arg)
{
    struct waiter *w = arg;
    struct announced *a = w->owner;
    enum rc rc = stream_open(s);

    (void)ready;
    if (rc == RC_AGAIN)
        return;
    if (rc == RC_PROTO || rc == RC_TIMEOUT)
        tell_wrong(a, w);
    if (rc != RC_OK) {
        close_waiter(w);
        return;
    }
    struct client_info info;
    rename_client(a, w);
    info = w->info;
    stream_want(s, 0, NULL, NULL);
    drop(w);
    a->done(a->arg, s, &info);
}

void announced_init(struct announced *a, struct loop *loop, const char *service, announced_fn *done,
                    void *arg)
{
    *a = (struct announced){.loop = loop, .service = service, .done = done, .arg = arg};
    list_init(&a->waiting);
}

void announced_take(struct announced *a, struct stream *s, const struct client_info *info)
{
    struct waiter *w = calloc(1, sizeof *w);
    struct layer *header = proxyproto_recv_layer(a->loop, ANNOUNCED_WAIT_MS);

    if (!w || !header) {
        log_warn("%s: no memory for an accepted connection; closing it", a->service);
        free(w);
        free(header);
        stream_abort(s);
        return;
    }
    if (a->n_waiting == ANNOUNCED_MAX) {
        if (may_tell(a, &a->full_told_ms))
            log_warn("%s: %d connections have not said who they are; closing the oldest ones",
                     a->service, ANNOUNCED_MAX);
        close_waiter(LIST_OWNER(a->waiting.next, struct waiter, link));
    }
    *w = (struct waiter){.owner = a, .stream = s, .header = header, .info = *info};
    list_init(&w->link);
    list_append(&a->waiting, &w->link);
    a->n_waiting++;
    stream_push(s, header);
    stream_want(s, STREAM_OPEN, on_header, w);
}

void announced_stop(struct announced *a)
{
    while (a->loop && !list_is_empty(&a->waiting))
        close_waiter(LIST_OWNER(a->waiting.next, struct waiter, link));
}
