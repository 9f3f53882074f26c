/* chain/exchange.c - see the header. A question goes through a router: its own, whose chain is the
 * nameserver's, or the asking service's.
 */
#include "chain/exchange.h"
#include "chain/router.h"
#include "core/dgram.h"
#include "core/floor/tls.h"
#include "core/stream.h"
#include <stdlib.h>
#include <string.h>

enum {
    AGAIN_MS = 1000, /* first wait for a UDP answer, doubled each time */
    TURN_MAX = 64,   /* datagrams looked at in one turn */
    IN_FIRST_BYTES = 2048,
    IN_MAX_BYTES = 2 + DNS_MESSAGE_MAX,
    HTTPS_PORT = 443
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
        count_lies(e, e->dgram->dropped); /* of other sources, mostly */
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

static void finish(struct exchange *e, enum rc rc, uint8_t *answer, size_t n)
{
    exchange_fn *done = e->done;
    void *arg = e->arg;
    e->over = true;
    if (rc != RC_OK && e->cut != NULL) {
        rc = RC_OK;
        answer = e->cut;
        n = e->cut_n;
    }
    if (rc != RC_OK) {
        (void)diag_set(&e->diag, rc, "%s", rc == RC_TIMEOUT ? "no answer in time" : rc_name(rc));
        nameserver_failed(e->server, rc, e->diag.text);
    } else {
        dns_set_id(answer, e->id);
    }
    exchange_cancel(e); /* its memory stays for this turn */
    done(arg, rc, answer, n);
}

/* why: the words of whoever failed, if there are any. */
static void fail(struct exchange *e, enum rc rc, const struct diag *why)
{
    if (why != NULL && why->rc != RC_OK && e->diag.rc == RC_OK)
        e->diag = *why;
    finish(e, rc, NULL, 0);
}

void exchange_end(struct exchange *e, enum rc rc)
{
    finish(e, rc, NULL, 0);
}

static void on_deadline(struct timer *timer)
{
    finish(LIST_OWNER(timer, struct exchange, deadline), RC_TIMEOUT, NULL, 0);
}

/* ---------------------------------------------------------------- answers */

/* Is this the answer to what was asked? */
static bool is_ours(struct exchange *e, const void *buf, size_t n)
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
        finish(e, RC_OK, buf, n);
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
        finish(e, RC_NOMEM, NULL, 0);
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
        } else if (is_ours(e, buf, n)) {
            take_datagram(e, buf, n);
            return;
        }
    }
    if (rc == RC_AGAIN && dgram_trouble(d, &about, &why) == RC_OK)
        rc = diag_set(&e->diag, why, "its port answers: %s", rc_name(why));
    if (rc != RC_OK && rc != RC_AGAIN)
        fail(e, rc, &d->diag);
}

static bool send_datagram(struct exchange *e)
{
    enum rc rc = dgram_send(e->dgram, &e->server->target, e->out + 2, e->out_n - 2);
    return rc == RC_OK || rc == RC_AGAIN;
}

static void on_again(struct timer *timer)
{
    struct exchange *e = LIST_OWNER(timer, struct exchange, again);
    e->again_ms *= 2;
    (void)timer_start(&e->again, e->again_ms);
    if (!send_datagram(e))
        fail(e, RC_SYS, &e->dgram->diag);
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
            finish(e, RC_NOMEM, NULL, 0);
        return;
    }
    e->dgram = d;
    if (res->rc != RC_OK) {
        fail(e, res->rc, &res->diag);
        return;
    }
    e->server->over_tcp = false;
    if (!send_datagram(e)) {
        fail(e, RC_SYS, &d->diag);
        return;
    }
    dgram_want(d, STREAM_IN, on_dgram, e);
    e->again_ms = AGAIN_MS;
    (void)timer_start(&e->again, e->again_ms);
}

/* ---------------------------------------------------------------- streams */

static bool is_https(const struct exchange *e)
{
    return e->server->scheme == NAMESERVER_HTTPS;
}

static enum rc begin_https(struct exchange *e)
{
    char host[TARGET_TEXT_MAX];
    const char *alpn = NULL;
    struct target t = e->server->target;
    (void)target_format(&t, host, sizeof(host));
    if (t.addr.port == HTTPS_PORT)
        host[strlen(host) - strlen(":443")] = 0;
    (void)stream_query(e->stream, QUERY_ALPN, &alpn);
    struct doh_cfg cfg = {.h2 = alpn != NULL && strcmp(alpn, "h2") == 0,
                          .authority = host,
                          .path = e->server->path,
                          .query = e->out + 2,
                          .n = e->out_n - 2};
    return doh_begin(&e->doh, &cfg);
}

static enum rc open_stream(struct exchange *e)
{
    if (stream_is_open(e->stream))
        return RC_OK;
    enum rc rc = stream_open(e->stream);
    return rc == RC_OK && is_https(e) ? begin_https(e) : rc;
}

static enum rc flush(struct exchange *e)
{
    enum rc rc = RC_OK;
    uint8_t *out = is_https(e) ? e->doh.out.p : e->out;
    size_t out_n = is_https(e) ? e->doh.out.n : e->out_n;
    while (rc == RC_OK && e->out_sent < out_n) {
        struct iovec v = {out + e->out_sent, out_n - e->out_sent};
        size_t n;
        rc = stream_send(e->stream, &v, 1, &n);
        if (rc == RC_OK)
            e->out_sent += n;
    }
    return rc;
}

/* The answer is whole: it is over. */
static enum rc look(struct exchange *e, uint8_t *answer, size_t n)
{
    if (!is_ours(e, answer, n))
        return diag_set(&e->diag, RC_PROTO, "an answer to another question");
    finish(e, RC_OK, answer, n);
    return RC_OK;
}

/* Both: RC_OK when something came, RC_AGAIN when nothing is there. */
static enum rc read_framed(struct exchange *e)
{
    struct slice msg;
    size_t n;
    if (e->in_n == e->in_cap) {
        size_t cap = e->in_cap > 0 ? 2 * e->in_cap : IN_FIRST_BYTES;
        uint8_t *in = e->in_cap < IN_MAX_BYTES ? realloc(e->in, cap) : NULL;
        if (in == NULL)
            return RC_LIMIT;
        e->in = in;
        e->in_cap = cap;
    }
    enum rc rc = stream_recv(e->stream, e->in + e->in_n, e->in_cap - e->in_n, &n);
    if (rc != RC_OK)
        return rc;
    e->in_n += n;
    rc = dns_frame(e->in, e->in_n, &msg);
    if (rc == RC_AGAIN)
        return RC_OK;
    return rc == RC_OK ? look(e, e->in + 2, msg.n) : rc;
}

static enum rc read_https(struct exchange *e)
{
    static uint8_t buf[16384]; /* one loop a process */
    size_t n;
    enum rc rc = stream_recv(e->stream, buf, sizeof(buf), &n);
    if (rc == RC_AGAIN)
        return rc;
    if (rc == RC_OK)
        rc = doh_take(&e->doh, buf, n);
    else if (rc == RC_EOF)
        rc = doh_ended(&e->doh);
    if (rc == RC_AGAIN)
        return RC_OK;
    if (rc != RC_OK)
        return diag_set(&e->diag, rc, "%s", e->doh.diag.text);
    return look(e, e->doh.answer, e->doh.answer_n);
}

static void on_stream(struct stream *s, unsigned ready, void *arg)
{
    struct exchange *e = arg;
    (void)ready;
    enum rc rc = open_stream(e);
    if (rc == RC_AGAIN) {
        stream_want(s, STREAM_OPEN, on_stream, e);
        return;
    }
    for (int i = 0; rc == RC_OK && i < TURN_MAX; i++) {
        rc = flush(e);
        if (rc == RC_AGAIN) {
            stream_want(s, STREAM_OUT, on_stream, e);
            return;
        }
        if (rc == RC_OK)
            rc = is_https(e) ? read_https(e) : read_framed(e);
        if (e->over)
            return;
    }
    if (rc == RC_OK || rc == RC_AGAIN)
        stream_want(s, STREAM_IN, on_stream, e);
    else if (rc == RC_EOF)
        fail(e, RC_RESET, &(struct diag){RC_RESET, "it closed the connection without an answer"});
    else
        fail(e, rc, stream_diag(s));
}

static void on_dialled(void *arg, struct stream *s, const struct dial_result *res)
{
    struct exchange *e = arg;
    char name[TARGET_TEXT_MAX];
    e->dial = NULL;
    e->stream = s;
    if (res->rc != RC_OK) {
        fail(e, res->rc, &res->diag);
        return;
    }
    if (e->server->tls != NULL) {
        (void)target_format_host(&e->server->target, name, sizeof(name));
        struct layer *l = tls_client_layer(e->server->tls, name, e->server->text);
        if (l == NULL) {
            finish(e, RC_NOMEM, NULL, 0);
            return;
        }
        stream_push(s, l);
    }
    on_stream(s, 0, e);
}

/* ---------------------------------------------------------------- the start */

static bool begin(struct exchange *e)
{
    struct router *r = e->own != NULL ? e->own : e->cfg.router;
    struct dial_req req = {
        .target = e->server->target, .seen = e->seen, .one = true, .udp_only = true};
    e->dial = e->by_stream ? router_dial(r, &req, on_dialled, e)
                           : router_dial_dgram(r, &req, on_dialled_dgram, e);
    return e->dial != NULL;
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
