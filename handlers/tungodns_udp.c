/* handlers/tungodns_udp.c - a client that asks by datagrams, as the far end of its flow: what it
 * sends is answered here or passed on, what comes back goes to it.
 *
 *   listener -> send() -> question? -> answered, asked ... -> queue -> recv() -> listener
 *                      -> passed on -> way out of its route -> (remembered) -> queue
 *
 * With names_rule each question's name decides its own route, so a flow may have several ways out.
 */
#include "core/dgram.h"
#include "core/stream.h"
#include "handlers/report.h"
#include "handlers/tungodns_inside.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WAYS_MAX = 4,
    TURN_MAX = 32, /* datagrams that are read from a way in one turn */
    WAITING_MAX = 64,
    WAITING_MAX_BYTES = 256 * 1024, /* in a queue */
    HELD_MAX_BYTES = 64 * 1024,     /* for one way that is dialled */
    HELD_ALL_MAX_BYTES = 8 << 20,   /* for those of all flows */
    ROUTE_BYTES = 200
};

struct message {
    struct message *next;
    struct share share; /* of what is held */
    size_t n;
    uint8_t data[];
};

struct queue {
    struct message *first, **end;
    size_t count, bytes;
};

struct dnsudp;
struct way {
    struct dnsudp *owner;
    bool used;
    uint32_t route;
    uint64_t used_ms;
    struct dial *dial; /* until it is there */
    struct queue held; /* meanwhile */
    struct dgram *dgram;
};

struct dnsudp {
    struct dgram dgram;
    struct dnsflow flow;
    struct queue down;
    struct way ways[WAYS_MAX];
    enum rc trouble; /* RC_OK: none */
    char *route;     /* the owner's; NULL: gone */
};

/* ---------------------------------------------------------------- queues */

/* NULL: no room, or no memory. */
static struct message *queue_put(struct queue *q, const uint8_t *data, size_t n, size_t most)
{
    if (q->count == WAITING_MAX || q->bytes + n > most)
        return NULL;
    struct message *m = malloc(sizeof *m + n);
    if (!m)
        return NULL;
    *m = (struct message){.n = n};
    if (n > 0)
        memcpy(m->data, data, n);
    if (!q->first)
        q->end = &q->first;
    *q->end = m;
    q->end = &m->next;
    q->count++;
    q->bytes += n;
    return m;
}

static struct message *queue_take(struct queue *q) /* NULL: empty; to be freed */
{
    struct message *m = q->first;

    if (m) {
        q->first = m->next;
        q->count--;
        q->bytes -= m->n;
    }
    return m;
}

static void queue_clear(struct queue *q)
{
    struct message *m;

    while ((m = queue_take(q)) != NULL)
        free(m);
}

/* ---------------------------------------------------------------- down */

static void say(struct dnsflow *f, const uint8_t *answer, size_t n)
{
    struct dnsudp *u = LIST_OWNER(f, struct dnsudp, flow);

    if (!queue_put(&u->down, answer, n, WAITING_MAX_BYTES))
        u->dgram.dropped++;
    dgram_wake(&u->dgram);
}

/* For a way that is dialled: how long that takes is the far end's choice. */
static bool hold(struct way *w, const uint8_t *data, size_t n)
{
    const struct addr *client = &w->owner->flow.client;
    struct tungodns *d = w->owner->flow.dns;
    struct message *m = NULL;

    if (shares_may(shares_of(&d->held, client), d->held_bytes, HELD_ALL_MAX_BYTES))
        m = queue_put(&w->held, data, n, HELD_MAX_BYTES);
    if (!m)
        return false;
    d->held_bytes += sizeof *m + n;
    (void)shares_add(&d->held, &m->share, client, sizeof *m + n); /* else it is nobody's */
    return true;
}

static struct message *take_held(struct way *w) /* as queue_take() */
{
    struct message *m = queue_take(&w->held);

    if (m) {
        w->owner->flow.dns->held_bytes -= sizeof *m + m->n;
        shares_remove(&w->owner->flow.dns->held, &m->share);
    }
    return m;
}

static void way_close(struct way *w)
{
    struct message *m;

    if (w->dial)
        dial_cancel(w->dial);
    dgram_close(w->dgram);
    while ((m = take_held(w)) != NULL)
        free(m);
    *w = (struct way){.owner = w->owner};
}

/* The client hears of it, as from any server. */
static void have_trouble(struct dnsudp *u, enum rc why)
{
    u->trouble = why;
    dgram_wake(&u->dgram);
}

static void on_answers(struct dgram *d, unsigned ready, void *arg)
{
    static uint8_t buf[DGRAM_MAX_BYTES]; /* one loop a process */
    struct way *w = arg;
    struct dnsudp *u = w->owner;
    struct target from;
    enum rc why, rc = RC_AGAIN;
    size_t n;

    (void)ready;
    for (int i = 0; i < TURN_MAX; i++) {
        rc = dgram_recv(d, buf, sizeof buf, &n, &from);
        if (rc != RC_OK)
            break;
        dnsflow_answer(&u->flow, buf, n);
        say(&u->flow, buf, n);
    }
    if ((rc == RC_OK || rc == RC_AGAIN) && dgram_trouble(d, &from, &why) == RC_OK)
        have_trouble(u, why);
    if (rc != RC_OK && rc != RC_AGAIN) {
        have_trouble(u, rc);
        way_close(w); /* the next question makes a new one */
    }
}

/* ---------------------------------------------------------------- up */

static void way_send(struct way *w, const uint8_t *data, size_t n)
{
    enum rc rc = dgram_send(w->dgram, &w->owner->flow.where, data, n);

    if (rc != RC_OK)
        w->owner->dgram.dropped++;
    if (rc != RC_OK && rc != RC_AGAIN)
        dgram_wake(w->dgram); /* it says so from the loop */
}

static void on_way_open(struct dgram *d, unsigned ready, void *arg)
{
    struct way *w = arg;
    struct message *m;
    enum rc rc = dgram_open(d);

    (void)ready;
    if (rc == RC_AGAIN) {
        dgram_want(d, STREAM_OPEN, on_way_open, w);
        return;
    }
    if (rc != RC_OK) {
        have_trouble(w->owner, rc);
        way_close(w);
        return;
    }
    while ((m = take_held(w)) != NULL) {
        way_send(w, m->data, m->n);
        free(m);
    }
    dgram_want(d, STREAM_IN, on_answers, w);
}

/* For a line about one question; the flow's own is its owner's. */
static struct report report_of(const struct dnsudp *u, const struct target *to)
{
    const struct handler_setup *s = &u->flow.dns->setup;
    struct report r;

    report_init(&r, s->service, "tungo", "udp", &u->flow.client, loop_now_ms(s->loop));
    r.target = *to;
    return r;
}

static void on_dialled(void *arg, struct dgram *d, const struct dial_result *res)
{
    struct way *w = arg;
    struct dnsudp *u = w->owner;

    w->dial = NULL;
    if (u->route)
        memcpy(u->route, res->route, ROUTE_BYTES);
    if (d) {
        struct report r = report_of(u, &u->flow.where);

        memcpy(r.route, res->route, sizeof r.route);
        if (res->dns_tcp)
            report_dns_over_tcp(&r, &u->flow.dns->told_dns_tcp);
        w->dgram = d;
        on_way_open(d, 0, w);
        return;
    }
    struct report r = report_of(u, &u->flow.where);
    report_failed(&r, res->rc, res->diag.text, r.started_ms);
    have_trouble(u, res->rc);
    way_close(w);
}

/* That of the route, or a new one: then the one that was not used for the longest time makes room.
 */
static struct way *way_of(struct dnsudp *u, uint32_t route)
{
    struct way *oldest = &u->ways[0];

    for (int i = 0; i < WAYS_MAX; i++)
        if (u->ways[i].used && u->ways[i].route == route)
            return &u->ways[i];
    for (int i = 0; i < WAYS_MAX && oldest->used; i++)
        if (!u->ways[i].used || u->ways[i].used_ms < oldest->used_ms)
            oldest = &u->ways[i];
    way_close(oldest);
    *oldest = (struct way){.owner = u, .used = true, .route = route};
    return oldest;
}

static void way_dial(struct way *w, const struct target *seen)
{
    struct dnsflow *f = &w->owner->flow;
    struct dial_req req = {.target = f->where,
                           .seen = *seen,
                           .client = f->client,
                           .dest = f->server,
                           .by_name = target_is_name(&f->where)};

    w->dial = router_dial_dgram(f->dns->setup.router, &req, on_dialled, w);
    if (!w->dial) {
        have_trouble(w->owner, RC_NOMEM);
        way_close(w);
    }
}

/* To where it was sent, by the route that the question's name or the server has. */
static void pass(struct dnsudp *u, const uint8_t *data, size_t n, const struct dnsask *a)
{
    struct dnsflow *f = &u->flow;
    const struct handler_setup *s = &f->dns->setup;
    struct target seen = dnsflow_seen(f, a ? &a->msg : NULL);
    struct udp_route route;
    struct diag diag = {.rc = RC_OK};

    enum rc rc = s->bypassed && s->bypassed(s->bypassed_arg, "udp", &seen)
                     ? diag_set(&diag, RC_DENIED, "bypass")
                     : router_udp_route(s->router, &seen, &route, &diag);
    if (rc != RC_OK) {
        struct report r = report_of(u, &seen);
        report_failed(&r, rc, diag.text, r.started_ms);
        have_trouble(u, rc);
        return;
    }
    struct way *w = way_of(u, route.id);
    w->used_ms = loop_now_ms(s->loop);
    if (w->dgram && w->dgram->opened) {
        way_send(w, data, n);
        return;
    }
    if (!hold(w, data, n))
        u->dgram.dropped++;
    if (!w->dial && !w->dgram)
        way_dial(w, &seen);
}

/* ---------------------------------------------------------------- the flow */

static enum rc dns_send(struct dgram *d, const struct target *to, const void *data, size_t n)
{
    static uint8_t renamed[DGRAM_MAX_BYTES]; /* one loop a process */
    struct dnsudp *u = (struct dnsudp *)d;
    struct dnsask *a;

    (void)to;
    if (!u->flow.dns)
        return RC_CANCELED;
    if (dnsflow_question(&u->flow, data, n, &a) != DNSFATE_PASS)
        return RC_OK;
    if (a && a->msg.id != a->client_id) {
        memcpy(renamed, data, n);
        dns_set_id(renamed, a->msg.id);
        data = renamed;
    }
    pass(u, data, n, a);
    return RC_OK;
}

static enum rc dns_recv(struct dgram *d, void *buf, size_t cap, size_t *ret_n,
                        struct target *ret_from)
{
    struct dnsudp *u = (struct dnsudp *)d;
    struct message *m = queue_take(&u->down);

    if (!m)
        return u->flow.dns ? RC_AGAIN : RC_CANCELED;
    *ret_n = m->n < cap ? m->n : cap;
    memcpy(buf, m->data, *ret_n);
    target_from_addr(ret_from, &u->flow.server);
    free(m);
    return RC_OK;
}

static unsigned dns_ready(struct dgram *d, unsigned wish)
{
    const struct dnsudp *u = (const struct dnsudp *)d;
    bool in = u->down.first || u->trouble != RC_OK || !u->flow.dns;

    return wish & (STREAM_OUT | (in ? STREAM_IN : 0u));
}

static enum rc dns_trouble(struct dgram *d, struct target *ret_about, enum rc *ret_why)
{
    struct dnsudp *u = (struct dnsudp *)d;

    if (u->trouble == RC_OK)
        return RC_AGAIN;
    target_from_addr(ret_about, &u->flow.server);
    *ret_why = u->trouble;
    u->trouble = RC_OK;
    return RC_OK;
}

/* Of what was used last: so the device's table knows questions that come back in. */
static enum rc dns_local(struct dgram *d, struct addr *ret_addr)
{
    const struct dnsudp *u = (const struct dnsudp *)d;
    const struct way *last = NULL;
    struct addr local;

    for (int i = 0; i < WAYS_MAX; i++) {
        const struct way *w = &u->ways[i];
        if (w->dgram && (!last || w->used_ms > last->used_ms) &&
            dgram_local(w->dgram, &local) == RC_OK) {
            last = w;
            *ret_addr = local;
        }
    }
    return last ? RC_OK : RC_UNSUPPORTED;
}

static void let_go(struct dnsudp *u)
{
    if (!u->flow.dns)
        return;
    for (int i = 0; i < WAYS_MAX; i++)
        way_close(&u->ways[i]);
    dnsflow_done(&u->flow);
    u->flow.dns = NULL;
    u->route = NULL;
}

static void dns_destroy(struct dgram *d)
{
    struct dnsudp *u = (struct dnsudp *)d;

    let_go(u);
    queue_clear(&u->down);
}

static void end(struct dnsflow *f)
{
    struct dnsudp *u = LIST_OWNER(f, struct dnsudp, flow);

    let_go(u);
    dgram_wake(&u->dgram);
}

static const struct dgram_type type = {
    .name = "dns",
    .send = dns_send,
    .recv = dns_recv,
    .ready = dns_ready,
    .local = dns_local,
    .trouble = dns_trouble,
    .destroy = dns_destroy,
};

struct dgram *tungodns_dgram(struct tungodns *d, const struct addr *client, const struct addr *dst,
                             char *route)
{
    struct dnsudp *u = calloc(1, sizeof *u);

    if (!u)
        return NULL;
    dgram_init(&u->dgram, &type, d->setup.loop, DGRAM_FIXED);
    dnsflow_init(&u->flow, d, client, dst, false);
    u->flow.say = say;
    u->flow.end = end;
    u->route = route;
    for (int i = 0; i < WAYS_MAX; i++)
        u->ways[i].owner = u;
    return &u->dgram;
}
