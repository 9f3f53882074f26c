/* chain/exchange.c - see the header. A question goes through a router: its own, whose chain is the
 * nameserver's, or the asking service's.
 */
#include "chain/exchange.h"
#include "chain/router.h"
#include "core/dgram.h"
#include "core/floor/tls.h"
#include "core/stream.h"
#include "core/wire/http1.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    AGAIN_MS = 1000, /* first wait for a UDP answer, doubled each time */
    TURN_MAX = 64,   /* datagrams looked at in one turn */
    IN_FIRST_BYTES = 2048,
    IN_MAX_BYTES = 2 + DNS_MESSAGE_MAX + HTTP1_HEAD_MAX_BYTES
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

static enum rc http_answer(struct exchange *e, struct slice *ret_msg)
{
    struct http1_head head;
    size_t used;
    enum rc rc = http1_parse_response((const char *)e->in, e->in_n, &e->http_scanned, &head, &used);
    if (rc != RC_OK)
        return rc;
    const struct http1_field *length = http1_find(&head, "Content-Length", NULL);
    if (head.status != 200)
        return diag_set(&e->diag, RC_PROTO, "HTTP status %u", head.status);
    if (length == NULL || length->value.n == 0 || length->value.n > 5)
        return diag_set(&e->diag, RC_PROTO, "an HTTP answer without a length");
    size_t n = 0;
    for (size_t i = 0; i < length->value.n; i++) {
        if (length->value.p[i] < '0' || length->value.p[i] > '9')
            return RC_PROTO;
        n = n * 10 + (size_t)(length->value.p[i] - '0');
    }
    if (n < DNS_HEAD_BYTES || n > DNS_MESSAGE_MAX)
        return RC_PROTO;
    if (e->in_n - used < n)
        return RC_AGAIN;
    *ret_msg = (struct slice){(const char *)e->in + used, n};
    return RC_OK;
}

/* RC_OK: it is over. */
static enum rc look(struct exchange *e)
{
    struct slice msg;
    enum rc rc = e->server->scheme == NAMESERVER_HTTPS ? http_answer(e, &msg)
                                                       : dns_frame(e->in, e->in_n, &msg);
    if (rc != RC_OK)
        return rc;
    if (!is_ours(e, msg.p, msg.n))
        return diag_set(&e->diag, RC_PROTO, "an answer to another question");
    finish(e, RC_OK, e->in + (msg.p - (const char *)e->in), msg.n);
    return RC_OK;
}

static enum rc read_more(struct exchange *e)
{
    if (e->in_n == e->in_cap) {
        size_t cap = e->in_cap > 0 ? 2 * e->in_cap : IN_FIRST_BYTES;
        uint8_t *in = e->in_cap < IN_MAX_BYTES ? realloc(e->in, cap) : NULL;
        if (in == NULL)
            return RC_LIMIT;
        e->in = in;
        e->in_cap = cap;
    }
    size_t n;
    enum rc rc = stream_recv(e->stream, e->in + e->in_n, e->in_cap - e->in_n, &n);
    if (rc == RC_OK)
        e->in_n += n;
    return rc;
}

static void on_stream(struct stream *s, unsigned ready, void *arg)
{
    struct exchange *e = arg;
    (void)ready;
    enum rc rc = RC_OK;
    if (!stream_is_open(s)) {
        rc = stream_open(s);
        if (rc == RC_AGAIN) {
            stream_want(s, STREAM_OPEN, on_stream, e);
            return;
        }
    }
    while (rc == RC_OK && e->out_sent < e->out_n) {
        struct iovec v = {e->out + e->out_sent, e->out_n - e->out_sent};
        size_t n;
        rc = stream_send(s, &v, 1, &n);
        if (rc == RC_OK)
            e->out_sent += n;
    }
    if (rc == RC_AGAIN) {
        stream_want(s, STREAM_OUT, on_stream, e);
        return;
    }
    while (rc == RC_OK) {
        rc = read_more(e);
        if (rc != RC_OK)
            break;
        enum rc seen = look(e);
        if (seen == RC_OK)
            return;
        if (seen != RC_AGAIN)
            rc = seen;
    }
    if (rc == RC_AGAIN)
        stream_want(s, STREAM_IN, on_stream, e);
    else if (rc == RC_EOF)
        fail(e, RC_RESET, &(struct diag){RC_RESET, "it closed the connection without an answer"});
    else
        fail(e, rc, stream_diag(s));
}

/* The framed message becomes an HTTP request. */
static bool make_request(struct exchange *e)
{
    char host[TARGET_TEXT_MAX], head[1024];
    size_t n = e->out_n - 2;
    (void)target_format_host(&e->server->target, host, sizeof(host));
    bool v6 = e->server->target.addr.family == AF_INET6;
    int len =
        snprintf(head, sizeof(head),
                 "POST %s HTTP/1.1\r\nHost: %s%s%s\r\nContent-Type: application/dns-message\r\n"
                 "Accept: application/dns-message\r\nContent-Length: %zu\r\n"
                 "Connection: close\r\n\r\n",
                 e->server->path, v6 ? "[" : "", host, v6 ? "]" : "", n);
    if (len < 0 || (size_t)len >= sizeof(head))
        return false;
    uint8_t *out = malloc((size_t)len + n);
    if (out == NULL)
        return false;
    memcpy(out, head, (size_t)len);
    memcpy(out + len, e->out + 2, n);
    free(e->out);
    e->out = out;
    e->out_n = (size_t)len + n;
    return true;
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
        if (l == NULL || (e->server->scheme == NAMESERVER_HTTPS && !make_request(e))) {
            if (l != NULL)
                stream_push(s, l);
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
    struct dial_req req = {.target = e->server->target, .one = true, .udp_only = true};
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
