/* handlers/udpflows.c - the datagram flows of one client. Contract in handlers/udpflows.h.
 *
 * Who may hold a flow when it dies: its dial (canceled), its dgram's events (closed). All flows
 * hang off one struct udp_flows and go with it; their memory goes at the end of the turn.
 */
#include "handlers/udpflows.h"
#include "chain/dial.h"
#include "chain/router.h"
#include "core/dgram.h"
#include "core/stream.h"
#include "core/wire/dns.h"
#include "handlers/conn.h"
#include <stdlib.h>

enum {
    FLOWS_MAX = 64,
    PARKED_MAX_BYTES = 128 * 1024,
    PARKED_MAX = 64,
    TURN_MAX = 64, /* replies taken from one flow in one turn */
    FLOW_IDLE_MS = 60000,
    SWEEP_MS = 15000
};

/* A datagram that waits for its flow to open. */
struct parked {
    struct parked *next;
    struct target to;
    size_t n;
    uint8_t data[];
};

struct flow {
    struct udp_flows *owner;
    struct flow *next;
    uint32_t route;
    struct target dest; /* empty: any */
    struct dgram *d;    /* NULL: being dialled */
    struct dial *dial;
    struct parked *parked;
    uint64_t used_ms;
    bool adopted;
    struct deferred deferred;
};

struct udp_flows {
    struct udp_flows_cfg cfg;
    struct loop *loop;
    struct flow *flows;
    unsigned n_flows, n_parked;
    size_t parked_bytes;
    struct timer sweep;
    struct target last; /* the route of the last datagram: most go where the one before went */
    struct udp_route last_route;
    bool has_last;
    bool over;
    struct deferred deferred;
};

/* ---------------------------------------------------------------- parked datagrams */

static void park(struct udp_flows *f, struct parked **list, const struct target *to,
                 const void *data, size_t n)
{
    struct parked *p = NULL;
    if (f->n_parked < PARKED_MAX && f->parked_bytes + n <= PARKED_MAX_BYTES)
        p = malloc(sizeof *p + n);
    if (!p)
        return; /* dropped */
    p->next = NULL;
    p->to = *to;
    p->n = n;
    if (n > 0)
        memcpy(p->data, data, n);
    f->n_parked++;
    f->parked_bytes += n;
    while (*list)
        list = &(*list)->next;
    *list = p;
}

static struct parked *unpark(struct udp_flows *f, struct parked **list)
{
    struct parked *p = *list;
    if (p) {
        *list = p->next;
        f->n_parked--;
        f->parked_bytes -= p->n;
    }
    return p;
}

static void drop_parked(struct udp_flows *f, struct parked **list)
{
    for (struct parked *p; (p = unpark(f, list));)
        free(p);
}

static void send_parked(struct udp_flows *f, struct parked **list)
{
    for (struct parked *p; (p = unpark(f, list)); free(p))
        udp_flows_send(f, &p->to, p->data, p->n);
}

/* ---------------------------------------------------------------- flows */

static void flow_free(struct flow *w)
{
    struct udp_flows *f = w->owner;
    struct flow **at = &f->flows;
    drop_parked(f, &w->parked);
    if (w->dial)
        dial_cancel(w->dial);
    dgram_close(w->d);
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    f->n_flows--;
    loop_free_later(f->loop, &w->deferred, free, w);
}

static void flow_lost(struct flow *w, enum rc rc)
{
    struct udp_flows *f = w->owner;
    char reason[sizeof w->d->diag.text];
    bool tell = w->adopted && f->cfg.on_lost;
    memcpy(reason, w->d->diag.text, sizeof reason);
    flow_free(w);
    if (tell)
        f->cfg.on_lost(f->cfg.arg, rc, reason);
}

static bool is_empty(const struct target *t)
{
    return !t->name[0] && t->addr.family == 0;
}

static void on_dgram(struct dgram *d, unsigned ready, void *arg)
{
    static uint8_t buf[DGRAM_MAX_BYTES]; /* of the one thread; used only inside this call */
    struct flow *w = arg;
    struct udp_flows *f = w->owner;
    struct target from;
    size_t n;
    enum rc rc = RC_OK;

    (void)ready;
    for (int i = 0; i < TURN_MAX && !f->over; i++) {
        rc = dgram_recv(d, buf, sizeof buf, &n, &from);
        if (rc != RC_OK)
            break;
        w->used_ms = loop_now_ms(f->loop);
        if (n <= f->cfg.max_bytes)
            f->cfg.on_reply(f->cfg.arg, &from, buf, n);
    }
    if (f->over)
        return;
    if (rc != RC_OK && rc != RC_AGAIN)
        flow_lost(w, rc);
}

static void send_now(struct flow *w, const struct target *to, const void *data, size_t n)
{
    struct udp_flows *f = w->owner;
    w->used_ms = loop_now_ms(f->loop);
    if (target_is_name(to) && !(w->d->flags & (DGRAM_FIXED | DGRAM_NAMES)))
        return; /* a bound socket knows addresses only */

    enum rc rc = dgram_send(w->d, to, data, n); /* RC_AGAIN: it counted the drop */
    if (rc != RC_OK && rc != RC_AGAIN)
        flow_lost(w, rc);
}

static struct flow *flow_new(struct udp_flows *f, uint32_t route, const struct target *dest)
{
    struct flow *w = f->flows, *oldest = NULL;
    for (; w; w = w->next)
        if (!w->adopted && (!oldest || w->used_ms < oldest->used_ms))
            oldest = w;
    if (f->n_flows == FLOWS_MAX && oldest)
        flow_free(oldest);
    w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->owner = f;
    w->route = route;
    w->dest = *dest;
    w->used_ms = loop_now_ms(f->loop);
    w->next = f->flows;
    f->flows = w;
    f->n_flows++;
    return w;
}

/* The way of a datagram, or nothing when a rule or the chain is against it. */
static bool find_route(struct udp_flows *f, const struct target *to)
{
    const struct handler_setup *s = &f->cfg.front->setup;
    struct diag diag = {.rc = RC_OK};
    if (f->has_last && target_equal(&f->last, to))
        return true;
    f->has_last = false;
    if ((s->bypassed && s->bypassed(s->bypassed_arg, "udp", to)) ||
        router_udp_route(s->router, to, &f->last_route, &diag) != RC_OK)
        return false;
    f->last = *to;
    f->has_last = true;
    return true;
}

/* Questions that wait for a way that is not to be had: who asked shall not wait. */
static void tell_askers(struct flow *w)
{
    struct udp_flows *f = w->owner;
    uint8_t answer[DNS_FAILURE_MAX_BYTES];
    size_t n;
    for (const struct parked *p = w->parked; p && !f->over; p = p->next)
        if (target_is_dns(&p->to) &&
            dns_format_failure(p->data, p->n, answer, sizeof answer, &n) == RC_OK)
            f->cfg.on_reply(f->cfg.arg, &p->to, answer, n);
}

/* No node serves every destination: what waits goes by a flow per destination, if there are such.
 */
static void go_apart(struct flow *w)
{
    struct udp_flows *f = w->owner;
    struct parked *list = w->parked;
    w->parked = NULL;
    flow_free(w);
    f->has_last = false;
    for (struct parked *p; (p = unpark(f, &list)); free(p)) {
        if (find_route(f, &p->to) && f->last_route.fixed)
            udp_flows_send(f, &p->to, p->data, p->n);
    }
}

static void on_dialled(void *arg, struct dgram *d, const struct dial_result *res)
{
    struct flow *w = arg;
    w->dial = NULL;
    if (res->rc == RC_UNSUPPORTED && is_empty(&w->dest)) {
        go_apart(w);
        return;
    }
    if (res->rc != RC_OK) {
        tell_askers(w);
        flow_free(w); /* what waits is dropped; a later datagram tries again */
        return;
    }
    w->d = d;
    dgram_want(d, STREAM_IN, on_dgram, w);
    send_parked(w->owner, &w->parked);
}

/* By the route that was found last. apart: by a flow of this destination, whatever the route is. */
static struct flow *find_flow(struct udp_flows *f, const struct target *to, bool apart)
{
    const struct udp_route *route = &f->last_route;
    const bool fixed = route->fixed || apart;
    const struct target any = {.name = ""};
    for (struct flow *w = f->flows; w; w = w->next) {
        if (is_empty(&w->dest) ? !fixed && w->route == route->id : target_equal(&w->dest, to))
            return w;
    }
    struct flow *w = flow_new(f, route->id, fixed ? to : &any);
    if (!w)
        return NULL;
    struct dial_req req = {
        .target = w->dest, .seen = *to, .client = f->cfg.client, .dest = f->cfg.dest};
    w->dial = router_dial_dgram(f->cfg.front->setup.router, &req, on_dialled, w);
    if (w->dial)
        return w;
    flow_free(w);
    return NULL;
}

void udp_flows_send(struct udp_flows *f, const struct target *to, const void *data, size_t n)
{
    struct flow *w = NULL;

    if (n > f->cfg.max_bytes)
        return;
    if (f->cfg.single)
        w = f->flows;
    else if (find_route(f, to))
        w = find_flow(f, to, n == 0 && f->last_route.empty_apart);
    if (w && w->d)
        send_now(w, to, data, n);
    else if (w)
        park(f, &w->parked, to, data, n);
}

/* ---------------------------------------------------------------- birth and end */

static void on_sweep(struct timer *t)
{
    struct udp_flows *f = (struct udp_flows *)((char *)t - offsetof(struct udp_flows, sweep));
    uint64_t now = loop_now_ms(f->loop);
    f->has_last = false; /* rules and routes may have changed */
    for (struct flow *w = f->flows, *next; w; w = next) {
        next = w->next;
        if (!w->adopted && !w->dial && !is_empty(&w->dest) && now - w->used_ms > FLOW_IDLE_MS)
            flow_free(w);
    }
    (void)timer_start(t, SWEEP_MS); /* without memory for it nothing expires: the caps hold */
}

struct udp_flows *udp_flows_new(const struct udp_flows_cfg *cfg)
{
    struct udp_flows *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->cfg = *cfg;
    f->loop = cfg->front->setup.loop;
    timer_init(f->loop, &f->sweep, on_sweep);
    (void)timer_start(&f->sweep, SWEEP_MS);
    return f;
}

void udp_flows_free(struct udp_flows *f)
{
    if (!f || f->over)
        return;
    f->over = true;
    timer_stop(&f->sweep);
    while (f->flows)
        flow_free(f->flows);
    loop_free_later(f->loop, &f->deferred, free, f);
}

enum rc udp_flows_adopt(struct udp_flows *f, struct dgram *d, const struct target *to)
{
    struct udp_route route = {.id = 0};
    struct diag diag = {.rc = RC_OK};
    if (!f->cfg.single)
        (void)router_udp_route(f->cfg.front->setup.router, to, &route, &diag); /* was dialled */
    struct flow *w = flow_new(f, route.id, to);
    if (!w) {
        dgram_close(d);
        return RC_NOMEM;
    }
    w->adopted = true;
    w->d = d;
    dgram_want(d, STREAM_IN, on_dgram, w);
    return RC_OK;
}
