/* handlers/tungodns_watch.c - DNS over TCP that is passed on: its answers are read while their
 * bytes pass, for the map of names. RFC 7766: messages with a length in front, in any order.
 *
 * A layer of the client's stream that changes and keeps back nothing: what the floor below has
 * taken or given is looked at afterwards. An answer counts when its question was seen (the newest
 * 16 to A or AAAA). Longer messages than what is kept are skipped; where either side says what is
 * no DNS, nothing is looked at any more.
 */
#include "core/stream.h"
#include "handlers/tungodns_inside.h"
#include <stdlib.h>
#include <string.h>

enum { ASKED_MAX = 16, QUESTION_BYTES = 2048, ANSWER_BYTES = 16 * 1024, PEEK_MAX = 64 };

/* One direction, cut into messages. */
struct frames {
    size_t max_bytes;
    uint8_t head[2];
    unsigned n_head;
    uint8_t *buf; /* NULL: the message is skipped */
    size_t n, left;
};

struct watch {
    struct layer layer;
    struct tungodns *dns;
    struct addr who;
    struct frames up, down;
    struct dns_msg asked[ASKED_MAX]; /* a ring; n_questions 0: free */
    unsigned next;
    void *room; /* lent to whoever writes */
    bool off;
};

static void frame_reset(struct frames *f)
{
    free(f->buf);
    *f = (struct frames){.max_bytes = f->max_bytes};
}

static void end(struct watch *w)
{
    w->off = true;
    frame_reset(&w->up);
    frame_reset(&w->down);
}

static void hear_question(struct watch *w, const uint8_t *p, size_t n)
{
    struct dns_msg m;

    if (dns_parse(p, n, &m) != RC_OK)
        end(w);
    else if ((m.type == DNS_A || m.type == DNS_AAAA) && (m.flags & (DNS_QR | DNS_OPCODE)) == 0)
        w->asked[w->next++ % ASKED_MAX] = m;
}

static void hear_answer(struct watch *w, const uint8_t *p, size_t n)
{
    struct dns_msg m;

    if (dns_parse(p, n, &m) != RC_OK) {
        end(w);
        return;
    }
    for (unsigned i = 0; i < ASKED_MAX && (m.flags & DNS_QR); i++) {
        struct dns_msg *a = &w->asked[i];
        if (a->n_questions == 0 || a->id != m.id || !dns_same_question(a, &m))
            continue;
        a->n_questions = 0;
        (void)dnsmap_learn(w->dns->map, &w->who, p, n, loop_now_ms(w->dns->setup.loop));
        return;
    }
}

static void hear(struct watch *w, struct frames *f)
{
    if (!f->buf)
        return;
    if (f == &w->up)
        hear_question(w, f->buf, f->n);
    else
        hear_answer(w, f->buf, f->n);
}

static void look(struct watch *w, struct frames *f, const uint8_t *p, size_t n)
{
    while (n > 0 && !w->off) {
        if (f->n_head < 2) {
            f->head[f->n_head++] = *p++;
            n--;
            f->left = (size_t)f->head[0] << 8 | f->head[1];
            if (f->n_head == 2 && f->left < DNS_HEAD_BYTES)
                end(w);
            else if (f->n_head == 2 && f->left <= f->max_bytes)
                f->buf = malloc(f->left); /* without memory it is skipped */
            continue;
        }
        size_t some = n < f->left ? n : f->left;
        if (f->buf)
            memcpy(f->buf + f->n, p, some);
        f->n += some;
        f->left -= some;
        p += some;
        n -= some;
        if (f->left > 0)
            continue;
        hear(w, f);
        frame_reset(f);
    }
}

static void look_at_all(struct watch *w, struct frames *f, const struct iovec *v, int nv, size_t n)
{
    for (int i = 0; i < nv && n > 0; i++) {
        size_t some = n < v[i].iov_len ? n : v[i].iov_len;
        look(w, f, v[i].iov_base, some);
        n -= some;
    }
}

/* ---------------------------------------------------------------- the layer */

static enum rc watch_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n)
{
    struct watch *w = (struct watch *)l;
    enum rc rc = layer_recv(l->below, buf, cap, ret_n);

    if (rc == RC_OK)
        look(w, &w->up, buf, *ret_n);
    return rc;
}

static enum rc watch_send(struct layer *l, const struct iovec *v, int nv, size_t *ret_n)
{
    struct watch *w = (struct watch *)l;
    enum rc rc = layer_send(l->below, v, nv, ret_n);

    if (rc == RC_OK)
        look_at_all(w, &w->down, v, nv, *ret_n);
    return rc;
}

static enum rc watch_peek(struct layer *l, struct iovec *v, int cap, int *ret_n)
{
    return layer_peek(l->below, v, cap, ret_n);
}

static enum rc watch_consume(struct layer *l, size_t n)
{
    struct watch *w = (struct watch *)l;
    struct iovec v[PEEK_MAX];
    int nv;

    if (!w->off && layer_peek(l->below, v, PEEK_MAX, &nv) == RC_OK)
        look_at_all(w, &w->up, v, nv, n);
    return layer_consume(l->below, n);
}

static enum rc watch_reserve(struct layer *l, size_t want, struct iovec *ret_v)
{
    struct watch *w = (struct watch *)l;
    enum rc rc =
        l->below->type->reserve ? l->below->type->reserve(l->below, want, ret_v) : RC_UNSUPPORTED;

    if (rc == RC_OK)
        w->room = ret_v->iov_base;
    return rc;
}

static enum rc watch_commit(struct layer *l, size_t n)
{
    struct watch *w = (struct watch *)l;

    look(w, &w->down, w->room, n); /* before the room goes back; nobody reads the map meanwhile */
    return l->below->type->commit(l->below, n);
}

static void watch_destroy(struct layer *l, bool aborting)
{
    (void)aborting;
    end((struct watch *)l);
}

static const struct layer_type watch_type = {
    .name = "answers",
    .recv = watch_recv,
    .send = watch_send,
    .peek = watch_peek,
    .consume = watch_consume,
    .reserve = watch_reserve,
    .commit = watch_commit,
    .destroy = watch_destroy,
};

void tungodns_watch(struct tungodns *d, struct stream *s, const struct addr *client,
                    const struct addr *dst)
{
    struct watch *w = d && d->map && tungodns_takes_udp(d, dst) ? calloc(1, sizeof *w) : NULL;

    if (!w)
        return;
    w->layer.type = &watch_type;
    w->layer.opened = true; /* there is nothing to open, and the stream stays open */
    w->dns = d;
    w->who = tungodns_who(d, client);
    w->up.max_bytes = QUESTION_BYTES;
    w->down.max_bytes = ANSWER_BYTES;
    stream_push(s, &w->layer);
}
