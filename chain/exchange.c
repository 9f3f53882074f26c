/* chain/exchange.c - see the header: its life, and datagrams. A question goes through a router: its
 * own, whose chain is the nameserver's, or the asking service's.
 */
#include "chain/exchange.h"
#include "chain/router.h"
#include "core/dgram.h"
#include "core/stream.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    AGAIN_MS = 600, /* first wait for a UDP answer, doubled each time: four within 5 s */
    KEPT_MS = 1000, /* for an answer over a kept connection */
    TURN_MAX = 64   /* datagrams looked at in one turn */
};

static bool begin(struct exchange *e);

/* ---------------------------------------------------------------- the end */

static void tell(struct exchange *e, enum nameserver_news news)
{
    const struct nameservers *list = e->cfg.list;
    if (list->tell != NULL)
        list->tell(list->tell_arg, e->server, news);
}

static void count_lies(struct exchange *e, uint64_t n)
{
    uint64_t next = 1;
    while (next <= e->server->lies)
        next *= 10;
    e->server->lies += n;
    if (e->server->lies >= next)
        tell(e, NAMESERVER_LIED);
}

static void let_go(struct exchange *e)
{
    if (e->dial != NULL)
        dial_cancel(e->dial);
    e->dial = NULL;
    stream_close(e->stream);
    e->stream = NULL;
    if (e->dgram != NULL)
        count_lies(e, e->dgram->strangers);
    dgram_close(e->dgram);
    e->dgram = NULL;
    timer_stop(&e->again);
}

static void free_exchange(void *obj)
{
    struct exchange *e = obj;
    router_free(e->own);
    nameservers_unref(e->cfg.list);
    free(e->out);
    free(e->in);
    free(e->cut);
    doh_done(&e->doh);
    free(e);
}

void exchange_cancel(struct exchange *e)
{
    if (e == NULL)
        return;
    let_go(e);
    timer_stop(&e->deadline);
    list_remove(&e->link);
    loop_free_later(e->cfg.loop, &e->deferred, free_exchange, e);
}

/* Whoever gets it reads all of it: what is cut inside a record, or has names that go in circles,
 * is not for passing on. Whole messages without a question, and cut ones, were looked at. */
static bool is_sound(const void *buf, size_t n)
{
    struct dns_msg m;
    struct dns_walk w;
    struct dns_record r;
    if (dns_parse(buf, n, &m) != RC_OK || (m.flags & DNS_TC) != 0)
        return true;
    enum rc rc = dns_walk_start(&w, buf, n, &m);
    while (rc == RC_OK)
        rc = dns_walk_next(&w, &r);
    return rc == RC_EOF;
}

void exchange_finish(struct exchange *e, enum rc rc, uint8_t *answer, size_t n)
{
    exchange_fn *done = e->done;
    void *arg = e->arg;
    e->over = true;
    if (rc == RC_OK && !is_sound(answer, n))
        rc = diag_set(&e->diag, RC_PROTO, "malformed answer");
    if (rc != RC_OK && e->cut != NULL) {
        rc = RC_OK;
        answer = e->cut;
        n = e->cut_n;
    }
    if (rc != RC_OK) {
        (void)diag_set(&e->diag, rc, "%s", rc == RC_TIMEOUT ? "no answer in time" : rc_name(rc));
        nameserver_failed(e->server, rc, e->diag.text);
        answer = NULL;
        n = 0;
    } else {
        dns_set_id(answer, e->id);
    }
    exchange_cancel(e); /* its memory stays for this turn */
    done(arg, rc, answer, n);
}

/* A kept connection that turns out to be dead, or odd, says nothing about the server. */
static void ask_anew(struct exchange *e)
{
    let_go(e);
    doh_done(&e->doh);
    e->kept = false;
    e->fresh = true;
    e->in_n = e->out_sent = 0;
    e->diag.rc = RC_OK;
    if (!begin(e))
        exchange_finish(e, RC_NOMEM, NULL, 0);
}

void exchange_fail(struct exchange *e, enum rc rc, const struct diag *why)
{
    if (e->kept) {
        ask_anew(e);
        return;
    }
    if (why != NULL && why->rc != RC_OK && e->diag.rc == RC_OK)
        e->diag = *why;
    exchange_finish(e, rc, NULL, 0);
}

void exchange_end(struct exchange *e, enum rc rc)
{
    exchange_finish(e, rc, NULL, 0);
}

static void on_deadline(struct timer *timer)
{
    exchange_finish(LIST_OWNER(timer, struct exchange, deadline), RC_TIMEOUT, NULL, 0);
}

/* ---------------------------------------------------------------- answers */

/* Is this the answer to what was asked? */
bool exchange_is_ours(struct exchange *e, const void *buf, size_t n)
{
    struct dns_msg m;
    if (dns_parse(buf, n, &m) == RC_OK && (m.flags & DNS_QR) != 0 && m.id == e->question.id &&
        dns_same_question(&m, &e->question))
        return true;
    /* A server that can't even read the question may leave it out. */
    const uint8_t *p = buf;
    if (n == DNS_HEAD_BYTES && (p[2] & 0x80) != 0 && (p[3] & DNS_RCODE) != 0 &&
        (p[0] << 8 | p[1]) == e->question.id)
        return true;
    count_lies(e, 1);
    return false;
}

/* An association hears everybody. Who asked for a name can't tell. */
static bool is_from_server(const struct exchange *e, const struct target *from)
{
    const struct target *server = &e->server->target;
    return (e->dgram->flags & DGRAM_FIXED) != 0 || target_is_name(from) || target_is_name(server) ||
           from->addr.family == 0 || addr_equal(&from->addr, &server->addr);
}

static void take_datagram(struct exchange *e, uint8_t *buf, size_t n)
{
    if ((buf[2] & DNS_TC >> 8) == 0) {
        exchange_finish(e, RC_OK, buf, n);
        return;
    }
    e->cut = malloc(n);
    if (e->cut != NULL) {
        memcpy(e->cut, buf, n);
        e->cut_n = n;
    }
    let_go(e);
    e->by_stream = true;
    if (!begin(e))
        exchange_finish(e, RC_NOMEM, NULL, 0);
}

static void on_dgram(struct dgram *d, unsigned ready, void *arg)
{
    struct exchange *e = arg;
    static uint8_t buf[DGRAM_MAX_BYTES]; /* one loop a process */
    struct target from, about;
    size_t n;
    enum rc why, rc = RC_AGAIN;
    (void)ready;
    for (int i = 0; i < TURN_MAX; i++) {
        rc = dgram_recv(d, buf, sizeof(buf), &n, &from);
        if (rc != RC_OK)
            break;
        if (!is_from_server(e, &from)) {
            count_lies(e, 1);
        } else if (exchange_is_ours(e, buf, n)) {
            take_datagram(e, buf, n);
            return;
        }
    }
    if (rc == RC_AGAIN && dgram_trouble(d, &about, &why) == RC_OK)
        rc =
            diag_set(&e->diag, why, why == RC_REFUSED ? "its port answers: %s" : "no way to it: %s",
                     rc_name(why));
    if (rc != RC_OK && rc != RC_AGAIN)
        exchange_fail(e, rc, &d->diag);
}

static bool send_datagram(struct exchange *e)
{
    enum rc rc = dgram_send(e->dgram, &e->server->target, e->out + 2, e->out_n - 2);
    return rc == RC_OK || rc == RC_AGAIN;
}

static void on_again(struct timer *timer)
{
    struct exchange *e = LIST_OWNER(timer, struct exchange, again);
    if (e->kept) {
        ask_anew(e);
        return;
    }
    e->again_ms *= 2;
    (void)timer_start(&e->again, e->again_ms);
    if (!send_datagram(e))
        exchange_fail(e, RC_SYS, &e->dgram->diag);
}

static void on_dialled_dgram(void *arg, struct dgram *d, const struct dial_result *res)
{
    struct exchange *e = arg;
    e->dial = NULL;
    if (res->rc == RC_UNSUPPORTED) { /* no UDP that way: the same server over TCP */
        e->by_stream = true;
        if (!e->server->over_tcp)
            tell(e, NAMESERVER_OVER_TCP);
        e->server->over_tcp = true;
        if (!begin(e))
            exchange_finish(e, RC_NOMEM, NULL, 0);
        return;
    }
    e->dgram = d;
    if (res->rc != RC_OK) {
        exchange_fail(e, res->rc, &res->diag);
        return;
    }
    e->server->over_tcp = false;
    if (!send_datagram(e)) {
        exchange_fail(e, RC_SYS, &d->diag);
        return;
    }
    dgram_want(d, STREAM_IN, on_dgram, e);
    e->again_ms = AGAIN_MS;
    (void)timer_start(&e->again, e->again_ms);
}

/* ---------------------------------------------------------------- the start */

static bool begin(struct exchange *e)
{
    struct router *r = e->own != NULL ? e->own : e->cfg.router;
    struct dial_req req = {
        .target = e->server->target, .seen = e->seen, .one = true, .udp_only = true};
    if (e->by_stream && !e->fresh && exchange_use_kept(e)) {
        (void)timer_start(&e->again, KEPT_MS); /* without memory the deadline ends it */
        return true;
    }
    e->dial = e->by_stream ? router_dial(r, &req, exchange_dialled, e)
                           : router_dial_dgram(r, &req, on_dialled_dgram, e);
    return e->dial != NULL;
}

/* Who makes the connection; a text that does not fit is nobody's. */
static void make_key(struct exchange *e, const struct sockopts *so)
{
    static const struct sockopts none;
    so = so != NULL ? so : &none;
    e->key.server = e->server;
    int n = e->cfg.router != NULL
                ? snprintf(e->key.path, sizeof(e->key.path), "%p", (void *)e->cfg.router)
                : snprintf(e->key.path, sizeof(e->key.path), "%s|%u|%s",
                           so->interface != NULL ? so->interface : "", so->mark,
                           so->netns != NULL ? so->netns : "");
    bool ruled = e->seen.name[0] != 0 || e->seen.addr.family != 0; /* it may go another way */
    if (n < 0 || (size_t)n >= sizeof(e->key.path) || ruled)
        e->key.path[0] = 0;
}

static bool set_up(struct exchange *e)
{
    const struct exchange_cfg *cfg = &e->cfg;
    if (cfg->n > DNS_MESSAGE_MAX || dns_parse_query(cfg->query, cfg->n, &e->question) != RC_OK)
        return false;
    e->out = malloc(2 + cfg->n);
    if (e->out == NULL)
        return false;
    e->out_n = 2 + cfg->n;
    e->out[0] = (uint8_t)(cfg->n >> 8);
    e->out[1] = (uint8_t)(cfg->n & 0xff);
    memcpy(e->out + 2, cfg->query, cfg->n);
    e->id = e->question.id;
    loop_random(&e->question.id, sizeof(e->question.id));
    dns_set_id(e->out + 2, e->question.id);
    e->cfg.query = NULL;
    if (cfg->router == NULL) {
        struct router_cfg rc = {.loop = cfg->loop,
                                .service = "resolver",
                                .chain = e->server->chain,
                                .dial_timeout_ms = e->server->timeout_ms};
        if (cfg->so != NULL)
            rc.so = *cfg->so;
        e->own = router_new(&rc);
        if (e->own == NULL)
            return false;
    }
    make_key(e, cfg->so);
    e->cfg.so = NULL;
    return timer_start(&e->deadline, e->server->timeout_ms) && begin(e);
}

struct exchange *exchange_new(const struct exchange_cfg *cfg, exchange_fn *done, void *arg)
{
    struct exchange *e = cfg->list->stopped ? NULL : calloc(1, sizeof(*e));
    if (e == NULL)
        return NULL;
    e->cfg = *cfg;
    e->seen = cfg->seen != NULL ? *cfg->seen : (struct target){.name = ""};
    e->cfg.seen = NULL;
    e->server = &cfg->list->v[cfg->server];
    e->done = done;
    e->arg = arg;
    e->by_stream = e->server->scheme != NAMESERVER_UDP;
    (void)nameservers_ref(cfg->list);
    list_append(&cfg->list->exchanges, (list_init(&e->link), &e->link));
    timer_init(cfg->loop, &e->deadline, on_deadline);
    timer_init(cfg->loop, &e->again, on_again);
    e->server->asked++;
    if (set_up(e))
        return e;
    exchange_cancel(e);
    return NULL;
}
