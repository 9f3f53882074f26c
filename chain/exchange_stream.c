/* chain/exchange_stream.c - an exchange over a connection: framed, or HTTPS; one that was kept
 * first. See exchange.h.
 */
#include "chain/exchange.h"
#include "chain/nameline.h"
#include "chain/router.h"
#include "core/floor/tls.h"
#include "core/stream.h"
#include <stdlib.h>
#include <string.h>

enum {
    TURN_MAX = 64, /* reads in one turn */
    IN_FIRST_BYTES = 2048,
    IN_MAX_BYTES = 2 + DNS_MESSAGE_MAX,
    HTTPS_PORT = 443
};

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

/* The answer is whole: it is over. clean: nothing else came, the connection may be kept. */
static enum rc look(struct exchange *e, uint8_t *answer, size_t n, bool clean)
{
    if (!exchange_is_ours(e, answer, n))
        return diag_set(&e->diag, RC_PROTO, "an answer to another question");
    if (clean && flush(e) == RC_OK) {
        struct stream *s = e->stream;
        e->stream = NULL;
        e->doh.out.n = 0;
        nameline_keep(e->cfg.list, e->cfg.loop, &e->key, s, &e->doh);
    }
    exchange_finish(e, RC_OK, answer, n);
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
    return rc == RC_OK ? look(e, e->in + 2, msg.n, e->in_n == 2 + msg.n) : rc;
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
    uint8_t *answer = e->doh.answer;
    free(e->in);
    e->in = doh_give(&e->doh);
    return look(e, answer, e->doh.answer_n, e->doh.reusable);
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
        exchange_fail(e, RC_RESET,
                      &(struct diag){RC_RESET, "it closed the connection without an answer"});
    else
        exchange_fail(e, rc, stream_diag(s));
}

bool exchange_use_kept(struct exchange *e)
{
    e->stream = nameline_take(e->cfg.list, &e->key, &e->doh);
    if (e->stream == NULL)
        return false;
    if (is_https(e) && begin_https(e) != RC_OK) {
        stream_close(e->stream);
        e->stream = NULL;
        doh_done(&e->doh);
        return false;
    }
    e->kept = true;
    stream_want(e->stream, STREAM_OUT, on_stream, e); /* done() never comes from inside here */
    return true;
}

void exchange_dialled(void *arg, struct stream *s, const struct dial_result *res)
{
    struct exchange *e = arg;
    char name[TARGET_TEXT_MAX];
    e->dial = NULL;
    e->stream = s;
    if (res->rc != RC_OK) {
        exchange_fail(e, res->rc, &res->diag);
        return;
    }
    if (e->server->tls != NULL) {
        (void)target_format_host(&e->server->target, name, sizeof(name));
        struct layer *l = tls_client_layer(e->server->tls, name, e->server->text);
        if (l == NULL) {
            exchange_finish(e, RC_NOMEM, NULL, 0);
            return;
        }
        stream_push(s, l);
    }
    on_stream(s, 0, e);
}
