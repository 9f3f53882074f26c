/* handlers/tungodns_ask.c - the open questions of a flow: asked of the service's resolver, of the
 * server that was meant over TCP, or passed on and only remembered.
 */
#include "chain/nameserver.h"
#include "core/log.h"
#include "handlers/tungodns_inside.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEEP_MAX_S = 86400 };

struct dnsask *dnsask_new(struct dnsflow *f, const struct dns_msg *msg, const uint8_t *query,
                          size_t query_n)
{
    struct tungodns *d = f->dns;
    bool full = !shares_may(shares_of(&d->asks, &f->client), d->n_asks, d->asks_max);

    if (full && f->n_asks == 0)
        return NULL;
    if (full || f->n_asks >= DNSASKS_PER_FLOW) {
        struct dnsask *oldest = LIST_OWNER(f->asks.next, struct dnsask, link);
        if (oldest->exchange)
            return NULL;
        dnsask_end(oldest);
    }
    struct dnsask *a = malloc(sizeof *a + query_n);
    if (!a)
        return NULL;
    *a = (struct dnsask){.flow = f, .client_id = msg->id, .msg = *msg, .n = query_n};
    if (!shares_add(&d->asks, &a->share, &f->client, 1)) {
        free(a);
        return NULL;
    }
    if (query_n > 0)
        memcpy(a->query, query, query_n);
    list_init(&a->by_id);
    list_init(&a->link);
    list_append(&f->asks, &a->link);
    f->n_asks++;
    d->n_asks++;
    return a;
}

void dnsask_end(struct dnsask *a)
{
    if (a->exchange)
        a->flow->dns->n_exchanges--;
    exchange_cancel(a->exchange);
    list_remove(&a->by_id);
    list_remove(&a->link);
    shares_remove(&a->flow->dns->asks, &a->share);
    a->flow->n_asks--;
    a->flow->dns->n_asks--;
    free(a);
}

struct target dnsflow_seen(const struct dnsflow *f, const struct dns_msg *msg)
{
    struct target t = {.name = ""};

    if (!msg || !f->dns->names_rule ||
        !target_set_host(&t, msg->name, strlen(msg->name), f->server.port) || !target_is_name(&t))
        return f->where;
    t.addr = f->where.addr;
    return t;
}

/* ---------------------------------------------------------------- what answers teach */

void dnsask_learn(struct dnsask *a, const uint8_t *answer, size_t n, int64_t ttl_ms)
{
    struct tungodns *d = a->flow->dns;
    uint64_t now_ms = loop_now_ms(d->setup.loop);
    struct answer_key key = {&a->msg, a->bits, &a->flow->who};
    struct dns_msg m;
    uint32_t ttl_s;

    if (dns_parse(answer, n, &m) != RC_OK || (m.flags & DNS_TC) != 0)
        return;
    if (d->map)
        (void)dnsmap_learn(d->map, &a->flow->who, answer, n, now_ms);
    unsigned rcode = m.flags & DNS_RCODE;
    if (!d->answers || !a->keep || ttl_ms < 0 || (rcode != DNS_NOERROR && rcode != DNS_NXDOMAIN) ||
        !dns_lifetime(answer, n, &m, &ttl_s))
        return;
    uint64_t keep_s = ttl_s < KEEP_MAX_S ? ttl_s : KEEP_MAX_S;
    answers_put(d->answers, &key, now_ms, answer, n,
                ttl_ms > 0 ? (uint64_t)ttl_ms : keep_s * UINT64_C(1000));
}

struct dnsask *dnsflow_passed(struct dnsflow *f, const struct dns_msg *m)
{
    for (struct list *l = f->asks.next; l != &f->asks; l = l->next) {
        struct dnsask *a = LIST_OWNER(l, struct dnsask, link);
        if (!a->exchange && a->msg.id == m->id && dns_same_question(&a->msg, m))
            return a;
    }
    return NULL;
}

void dnsflow_answer(struct dnsflow *f, uint8_t *answer, size_t n)
{
    struct dns_msg m;

    if (dns_parse(answer, n, &m) != RC_OK || (m.flags & DNS_QR) == 0)
        return;
    struct dnsask *a = dnsflow_passed(f, &m);
    if (!a) {
        f->dns->stats.strange++;
        return;
    }
    dnsask_learn(a, answer, n, 0);
    dns_set_id(answer, a->client_id);
    dnsask_end(a);
}

static struct list *slot_of(struct tungodns *d, uint16_t id)
{
    return &d->by_id[id % DNSASKS_SLOTS];
}

bool dnsask_is_ours(struct tungodns *d, const struct addr *server, const struct dns_msg *msg)
{
    const struct list *slot = slot_of(d, msg->id);

    for (struct list *l = slot->next; l != slot; l = l->next) {
        const struct exchange *e = LIST_OWNER(l, struct dnsask, by_id)->exchange;
        if (e->question.id == msg->id && dns_same_question(&e->question, msg) &&
            (target_is_name(&e->server->target) || addr_equal(&e->server->target.addr, server)))
            return true;
    }
    return false;
}

/* ---------------------------------------------------------------- asking */

/* The flow may be over afterwards, but not its memory in this turn. */
static void finish(struct dnsask *a, uint8_t *answer, size_t n)
{
    struct dnsflow *f = a->flow;
    size_t max_bytes = a->max_bytes;

    dnsask_end(a);
    dnsflow_say(f, answer, n, max_bytes);
    if (f->dns && f->asked)
        f->asked(f);
}

static void finish_with(struct dnsask *a, enum dns_rcode rcode)
{
    uint8_t buf[DNS_HEAD_BYTES + DNS_NAME_WIRE_MAX + 4];
    size_t n;

    if (dns_format_answer(a->query, &a->msg, rcode, NULL, 0, 0, buf, sizeof buf, &n) == RC_OK)
        finish(a, buf, n);
    else
        dnsask_end(a);
}

/* Does the resolver want this server to be asked about that family? */
static bool is_wanted(const struct nameserver *s, uint16_t type)
{
    return !(s->v4_only && type == DNS_AAAA) && !(s->v6_only && type == DNS_A);
}

static void ask_next(struct dnsask *a);

static void on_exchange(void *arg, enum rc rc, const uint8_t *answer, size_t n)
{
    struct dnsask *a = arg;
    int64_t ttl_ms = a->list->v[a->server].ttl_ms;
    unsigned rcode = rc == RC_OK ? answer[3] & DNS_RCODE : DNS_SERVFAIL;

    a->exchange = NULL;
    a->flow->dns->n_exchanges--;
    list_remove(&a->by_id);
    bool said = rcode == DNS_NOERROR || rcode == DNS_NXDOMAIN;
    if (!said && a->server + 1 < a->list->n) {
        ask_next(a);
        return;
    }
    uint8_t *copy = rc == RC_OK ? malloc(n) : NULL;
    if (!copy) {
        finish_with(a, DNS_SERVFAIL);
        return;
    }
    memcpy(copy, answer, n);
    dnsask_learn(a, copy, n, ttl_ms);
    finish(a, copy, n);
    free(copy);
}

static void ask_next(struct dnsask *a)
{
    const struct handler_setup *s = &a->flow->dns->setup;
    bool origin = a->list == a->flow->origin;
    struct target seen = dnsflow_seen(a->flow, &a->msg);
    bool refused = true; /* by the resolver's `only` */

    while (++a->server < a->list->n) {
        if (!is_wanted(&a->list->v[a->server], a->msg.type))
            continue;
        refused = false;
        a->exchange = exchange_new(&(struct exchange_cfg){.loop = s->loop,
                                                          .list = a->list,
                                                          .server = a->server,
                                                          .router = origin ? s->router : NULL,
                                                          .so = router_sockopts(s->router),
                                                          .seen = origin ? &seen : NULL,
                                                          .query = a->query,
                                                          .n = a->n},
                                   on_exchange, a);
        if (!a->exchange)
            continue;
        a->flow->dns->n_exchanges++;
        list_append(slot_of(a->flow->dns, a->exchange->question.id), &a->by_id);
        return;
    }
    finish_with(a, refused ? DNS_NOERROR : DNS_SERVFAIL);
}

void dnsask_resolver(struct dnsask *a)
{
    a->list = router_nameservers(a->flow->dns->setup.router);
    a->server = -1;
    ask_next(a);
}

/* The server that was meant, as a list of one. */
static bool make_origin(struct dnsflow *f)
{
    char at[TARGET_TEXT_MAX], text[TARGET_TEXT_MAX + 8];

    if (f->origin)
        return true;
    (void)snprintf(text, sizeof text, "tcp://%s", target_format(&f->where, at, sizeof at));
    f->origin = nameservers_new();
    return f->origin &&
           nameservers_add(f->origin, &(struct nameserver_cfg){.addr = text}, NULL) == RC_OK;
}

void dnsask_origin(struct dnsask *a)
{
    struct dnsflow *f = a->flow;
    const struct handler_setup *s = &f->dns->setup;
    struct target seen = dnsflow_seen(f, &a->msg);

    if (s->bypassed && s->bypassed(s->bypassed_arg, f->tcp ? "tcp" : "udp", &seen)) {
        finish_with(a, DNS_REFUSED);
        return;
    }
    if (!make_origin(f)) {
        finish_with(a, DNS_SERVFAIL);
        return;
    }
    a->list = f->origin;
    a->server = -1;
    ask_next(a);
}
