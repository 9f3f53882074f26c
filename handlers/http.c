/* handlers/http.c - the HTTP proxy: CONNECT, plain forward requests, datagrams (X-Gost-Protocol:
 * udp). RFC 9110, 9112; wire-protocols.md 5.3, gost-config.md 9.
 *
 * The 200 of a CONNECT leaves alone (GOST's client loses what is glued to it). Answers of our own
 * end the connection.
 */
#include "core/secret.h"
#include "core/wire/http1.h"
#include "handlers/conn.h"
#include "handlers/httpforward.h"
#include "handlers/proxyoptions.h"
#include "handlers/types.h"
#include "handlers/udptunnel.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { REPLY_MAX_BYTES = 4096, NEXT_REQUEST_MS = 60000, DEFAULT_PORT = 80 };

struct http_front {
    struct front front;
    const struct proxy_options *cfg;
    unsigned probe_status; /* 0: no probe resistance */
};

struct http_conn {
    struct conn conn;
    struct httpforward_request req; /* of a plain request; head NULL: none */
    struct httpforward *forward;
    struct udp_tunnel *tunnel;
    size_t scanned;
    bool is_connect;
};

static const struct http_front *front_of(const struct conn *c)
{
    return (const struct http_front *)c->front;
}

/* ---------------------------------------------------------------- our own answers */

static bool write_head(struct wr *w, const struct conn *c, unsigned status, const char *reason)
{
    const struct strmap *more = &front_of(c)->cfg->header;
    char line[160];
    snprintf(line, sizeof line, "HTTP/1.1 %u %s\r\n", status, reason);
    bool ok = wr_text(w, line);
    for (size_t i = 0; ok && i < more->n; i++)
        ok = wr_text(w, more->keys[i]) && wr_text(w, ": ") && wr_text(w, more->values[i]) &&
             wr_text(w, "\r\n");
    return ok;
}

static void answer(struct conn *c, unsigned status, const char *fields, enum rc rc,
                   const char *reason)
{
    char reply[REPLY_MAX_BYTES], code[40];
    struct wr w = wr_init(reply, sizeof reply);
    const char *words = http1_reason(status);
    snprintf(code, sizeof code, "status code %u", status);
    if (write_head(&w, c, status, words ? words : code) && wr_text(&w, "Connection: close\r\n") &&
        wr_text(&w, fields) && wr_text(&w, "Content-Length: 0\r\n\r\n"))
        conn_refuse(c, reply, wr_used(&w), rc, reason);
    else
        conn_drop(c, rc, reason);
}

static void answer_as_proxy(struct conn *c, unsigned status, enum rc rc, const char *reason)
{
    char fields[256] = "";
    snprintf(fields, sizeof fields, "Proxy-Agent: %s\r\n", front_of(c)->cfg->agent);
    answer(c, status, fields, rc, reason);
}

static void forward_failed(struct conn *c, enum rc rc, const char *reason)
{
    answer_as_proxy(c, 503, rc, reason);
}

/* ---------------------------------------------------------------- who is asking */

static bool is_knocking(const struct conn *c, struct slice host)
{
    const char *p = front_of(c)->cfg->knock;
    while (p && *p) {
        size_t n = strcspn(p, ",");
        if (host.n > 0 && host.n == n && strncasecmp(p, host.p, n) == 0)
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

static void answer_stranger(struct conn *c, const struct http1_head *h, struct slice host)
{
    const struct http_front *f = front_of(c);
    char fields[256];
    bool keep = http1_has_token(h, "Proxy-Connection", "keep-alive");
    static const char why[] = "unknown user or wrong password";
    if (f->probe_status && !is_knocking(c, host)) {
        answer(c, f->probe_status, "", RC_AUTH, why);
        return;
    }
    snprintf(fields, sizeof fields, "Proxy-Authenticate: Basic realm=\"%s\"\r\n%s", f->cfg->realm,
             keep ? "Proxy-Connection: close\r\n" : "");
    answer(c, 407, fields, RC_AUTH, why);
}

static bool is_known(struct conn *c, const struct http1_head *h)
{
    const struct http1_field *f = http1_find(h, "Proxy-Authorization", NULL);
    struct slice user = {NULL, 0}, pass = {NULL, 0};
    char plain[1024];
    if (f && http1_parse_basic(f->value, plain, sizeof plain, &user, &pass) != RC_OK)
        user.n = pass.n = 0;
    bool known = conn_auth(c, user, pass);
    secret_wipe(plain, sizeof plain);
    return known;
}

/* ---------------------------------------------------------------- what is asked for */

static void begin_udp(struct conn *c)
{
    static const char ok[] = "Content-Length: 0\r\n\r\n";
    char reply[REPLY_MAX_BYTES];
    struct wr w = wr_init(reply, sizeof reply);
    struct udp_tunnel_cfg cfg = {.max_bytes = (size_t)front_of(c)->cfg->udp_buffer_bytes};
    if (!front_of(c)->cfg->udp) {
        answer_as_proxy(c, 403, RC_DENIED, "UDP is not enabled");
        return;
    }
    c->report.network = "udp";
    if (write_head(&w, c, 200, "OK") && wr_text(&w, ok))
        udp_tunnel_on_stream(c, &cfg, FRAMING_UDPTUN, reply, wr_used(&w),
                             &((struct http_conn *)c)->tunnel);
    else
        conn_drop(c, RC_LIMIT, "the configured header fields are too long");
}

static void begin_request(struct conn *c, const struct http1_head *h,
                          const struct http1_authority *a)
{
    struct http_conn *w = (struct http_conn *)c;
    struct target t;
    bool plain = !w->is_connect;

    if (slice_equal(h->method, "PRI") || a->host.n == 0 || a->https ||
        !target_set_host(&t, a->host.p, a->host.n, a->port ? a->port : DEFAULT_PORT)) {
        answer_as_proxy(c, 400, RC_PROTO, "not a proxy request");
        return;
    }
    c->report.target = t;
    if (conn_bypassed(c, "tcp", &t)) {
        answer_as_proxy(c, 403, RC_DENIED, "bypass");
        return;
    }
    enum rc rc = plain ? httpforward_prepare(h, a, &w->req) : RC_OK;
    if (rc != RC_OK)
        answer_as_proxy(c, rc == RC_PROTO ? 400 : 503, rc, "the request can't be passed on");
}

static void take_request(struct conn *c, const struct http1_head *h, size_t used)
{
    struct http_conn *w = (struct http_conn *)c;
    struct http1_authority a = {.port = 0};
    enum rc rc = http1_authority(h, &a);
    bool udp = http1_has_token(h, "X-Gost-Protocol", "udp");

    w->is_connect = slice_equal(h->method, "CONNECT");
    if (!is_known(c, h))
        answer_stranger(c, h, a.host);
    else if (rc != RC_OK)
        answer_as_proxy(c, 400, rc, "bad authority");
    else if (udp && w->is_connect) {
        conn_consume(c, used);
        begin_udp(c);
    } else {
        begin_request(c, h, &a);
    }
    if (c->state != CONN_REQUEST) /* answered */
        return;
    conn_consume(c, used);
    c->impatient = !w->is_connect;
    struct target t = c->report.target;
    c->verbatim = !w->is_connect;
    conn_dial(c, &t);
}

static void step(struct conn *c)
{
    struct http_conn *w = (struct http_conn *)c;
    size_t used;

    size_t blank = 0; /* empty lines before a request (RFC 9112 2.2) */
    while (blank < c->in_len && (c->in[blank] == '\r' || c->in[blank] == '\n'))
        blank++;
    if (blank > 0) {
        conn_consume(c, blank);
        w->scanned = 0;
    }
    struct http1_head *h = malloc(sizeof *h);
    if (!h) {
        conn_drop(c, RC_NOMEM, "no memory for a request");
        return;
    }
    enum rc rc = http1_parse_request(c->in, c->in_len, &w->scanned, h, &used);
    if (rc == RC_OK) {
        w->scanned = 0;
        take_request(c, h, used);
    } else if (rc == RC_LIMIT) {
        answer_as_proxy(c, 431, RC_PROTO, "the request's head is too long");
    } else if (rc != RC_AGAIN) {
        answer_as_proxy(c, 400, rc, "not an HTTP request");
    }
    free(h);
}

static void next_request(struct conn *c)
{
    struct http_conn *w = (struct http_conn *)c;
    w->scanned = 0;
    report_init(&c->report, c->report.service, c->report.handler, "tcp", &c->report.client,
                loop_now_ms(conn_loop(c)));
    conn_next_request(c, NEXT_REQUEST_MS);
}

static void dialled(struct conn *c, enum rc rc, const char *reason)
{
    struct http_conn *w = (struct http_conn *)c;
    const struct proxy_options *o = front_of(c)->cfg;
    char reply[REPLY_MAX_BYTES];
    struct wr out = wr_init(reply, sizeof reply);

    if (rc != RC_OK) {
        answer_as_proxy(c, 503, rc, reason);
        return;
    }
    if (!w->is_connect) {
        httpforward_start(c, &w->req, c->front->header_ms, next_request, forward_failed,
                          &w->forward);
        return;
    }
    if (write_head(&out, c, 200, "Connection established") && wr_text(&out, "Proxy-Agent: ") &&
        wr_text(&out, o->agent) && wr_text(&out, "\r\n\r\n"))
        conn_splice(c, reply, wr_used(&out));
    else
        conn_drop(c, RC_LIMIT, "the configured header fields are too long");
}

static void conn_gone(struct conn *c)
{
    struct http_conn *w = (struct http_conn *)c;
    httpforward_free(w->forward);
    udp_tunnel_free(w->tunnel);
    free(w->req.head);
}

static const struct conn_ops ops = {
    .bytes = sizeof(struct http_conn),
    .in_max = HTTP1_HEAD_MAX_BYTES,
    .step = step,
    .dialled = dialled,
    .done = conn_gone,
};

/* ---------------------------------------------------------------- the plug-in */

static enum rc read_probe(struct http_front *f, const char *text, struct diag *diag)
{
    unsigned status;
    char extra;
    if (!text || !*text)
        return RC_OK;
    if (sscanf(text, "code:%3u%c", &status, &extra) != 1 || status < 100)
        return diag_set(diag, RC_INVALID, "probeResist: only code:N is served, not \"%s\"", text);
    f->probe_status = status;
    return RC_OK;
}

/* The answers' fields come from the configuration: what would break a head is refused here. */
static enum rc check_fields(const struct proxy_options *o, struct diag *diag)
{
    for (size_t i = 0; i < o->header.n; i++)
        if (!http1_is_token(slice_of(o->header.keys[i])) ||
            !http1_is_value(slice_of(o->header.values[i])))
            return diag_set(diag, RC_INVALID, "header: \"%s\" can't be a field", o->header.keys[i]);
    if (!http1_is_value(slice_of(o->agent)) || !http1_is_value(slice_of(o->realm)) ||
        strlen(o->agent) > 100 || strlen(o->realm) > 100 || strchr(o->realm, '"'))
        return diag_set(diag, RC_INVALID, "proxyAgent or authBasicRealm can't be in a field");
    return RC_OK;
}

static enum rc init(struct handler *h, const struct handler_setup *setup, struct diag *diag)
{
    struct http_front *f = calloc(1, sizeof *f);
    if (!f)
        return diag_set(diag, RC_NOMEM, "no memory");
    f->cfg = h->cfg;
    front_init(&f->front, setup, "http", f->cfg->common.read_timeout_ms);
    f->front.idle_ms = (uint32_t)f->cfg->idle_ms;
    f->front.reply_grace_ms = (uint32_t)f->cfg->reply_grace_ms;
    h->state = f;
    enum rc rc = read_probe(f, f->cfg->probe, diag);
    return rc == RC_OK ? check_fields(f->cfg, diag) : rc;
}

static void serve(struct handler *h, struct stream *s, const struct client_info *info)
{
    conn_serve(h->state, &ops, s, info);
}

const struct handler_type handler_http = {
    .name = "http",
    .options = http_options,
    .cfg_bytes = sizeof(struct proxy_options),
    .init = init,
    .serve = serve,
    .done = front_done,
    .explain = proxy_explain,
};
