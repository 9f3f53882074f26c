/* chain/nameline.c - a ring of idle connections, the oldest first. */
#include "chain/nameline.h"
#include "core/host/uplink.h"
#include "core/loop.h"
#include "core/stream.h"
#include <stdlib.h>
#include <string.h>

struct line {
    struct list link;
    struct nameservers *list;
    struct loop *loop;
    struct nameline_key key;
    struct stream *stream;
    struct doh doh;
    struct timer idle;
    uint32_t epoch; /* of the network: after a change it may lead nowhere */
    struct deferred deferred;
};

/* Its stream stays. */
static void drop(struct line *l)
{
    timer_stop(&l->idle);
    list_remove(&l->link);
    l->list->n_lines--;
    loop_free_later(l->loop, &l->deferred, free, l);
}

static void close_line(struct line *l)
{
    stream_close(l->stream);
    doh_done(&l->doh);
    drop(l);
}

static void on_idle(struct timer *timer)
{
    close_line(LIST_OWNER(timer, struct line, idle));
}

/* HTTP/2 has its own talk; nothing else may come now. */
static void on_stream(struct stream *s, unsigned ready, void *arg)
{
    struct line *l = arg;
    uint8_t buf[512];
    size_t n;
    (void)ready;
    enum rc rc = stream_recv(s, buf, sizeof(buf), &n);
    if (rc == RC_OK)
        rc = l->doh.h2 ? doh_take(&l->doh, buf, n) : RC_PROTO;
    if (rc == RC_AGAIN && l->doh.out.n > 0) {
        struct iovec v = {l->doh.out.p, l->doh.out.n};
        if (stream_send(s, &v, 1, &n) != RC_OK || n < l->doh.out.n)
            rc = RC_LIMIT;
        l->doh.out.n = 0;
    }
    if (rc != RC_AGAIN)
        close_line(l);
}

void nameline_keep(struct nameservers *list, struct loop *loop, const struct nameline_key *key,
                   struct stream *s, struct doh *doh)
{
    struct line *l = key->path[0] != 0 && !list->stopped ? calloc(1, sizeof(*l)) : NULL;
    if (l != NULL) {
        *l = (struct line){.list = list,
                           .loop = loop,
                           .key = *key,
                           .stream = s,
                           .doh = *doh,
                           .epoch = uplink_epoch()};
        timer_init(loop, &l->idle, on_idle);
    }
    if (l == NULL || !timer_start(&l->idle, NAMELINE_IDLE_MS)) {
        stream_close(s);
        doh_done(doh);
        free(l);
        return;
    }
    *doh = (struct doh){.h2 = false};
    if (list->n_lines == NAMELINES_MAX)
        close_line(LIST_OWNER(list->lines.next, struct line, link));
    list_init(&l->link);
    list_append(&list->lines, &l->link);
    list->n_lines++;
    stream_want(s, STREAM_IN | STREAM_GONE, on_stream, l);
}

struct stream *nameline_take(struct nameservers *list, const struct nameline_key *key,
                             struct doh *ret_doh)
{
    /* the newest: the others may go */
    for (struct list *at = list->lines.prev; at != &list->lines; at = at->prev) {
        struct line *l = LIST_OWNER(at, struct line, link);
        if (l->epoch != uplink_epoch() || l->key.server != key->server || key->path[0] == 0 ||
            strcmp(l->key.path, key->path) != 0)
            continue;
        struct stream *s = l->stream;
        *ret_doh = l->doh;
        stream_want(s, 0, NULL, NULL);
        drop(l);
        return s;
    }
    return NULL;
}

void namelines_close(struct nameservers *list)
{
    while (!list_is_empty(&list->lines))
        close_line(LIST_OWNER(list->lines.next, struct line, link));
}
