/* core/floor/tls.c - TLS as a floor: data, ends and events. Contract in core/floor/tls.h, insides
 * in tls_layer.h. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include "core/floor/tls_layer.h"
#include <mbedtls/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct tls *of(struct layer *l)
{
    return (struct tls *)l;
}

/* ---------------------------------------------------------------- data */

/* A code of mbedtls_ssl_read() that is not bytes, as a result. */
static enum rc read_verdict(struct tls *t, int ret)
{
    if (t->below_rc != RC_OK)
        return tls_fail_below(t);
    switch (ret) {
    case MBEDTLS_ERR_SSL_WANT_READ:
        return RC_AGAIN;
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return t->ended = RC_EOF;
    default:
        tls_fail_code(t, ret);
        (void)tls_flush(t); /* the alert that tells the peer */
        return t->ended;
    }
}

static enum rc tls_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n)
{
    struct tls *t = of(l);
    enum rc rc = RC_OK;

    if (t->ended != RC_OK)
        return t->ended;
    if (!tls_begin(t))
        return t->ended = layer_fail(l, RC_NOMEM, "no memory");
    if (t->choked && tls_flush(t) != RC_OK && t->broken == RC_OK) {
        tls_settle(t);
        return RC_AGAIN;
    }
    t->cap = cap;
    t->got = 0;
    t->fills = 0;
    t->choked = false;
    while (t->got < cap && rc == RC_OK) {
        int ret;

        t->starved = false;
        ret = mbedtls_ssl_read(&t->ssl, (unsigned char *)buf + t->got, cap - t->got);
        if (ret == MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE && tls_is_key_update(t)) {
            ret = tls_on_key_update(t);
            if (ret)
                rc = read_verdict(t, ret);
            continue;
        }
        if (ret > 0)
            t->updates = 0;
        if (ret > 0)
            t->got += (size_t)ret;
        else if (ret == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
            tls_keep_ticket(t);
        else if (ret != MBEDTLS_ERR_SSL_WANT_READ || t->starved)
            rc = read_verdict(t, ret); /* else: a ticket came, mbedTLS must only be called again */
    }
    tls_settle(t);
    if (t->got == 0)
        return rc;
    *ret_n = t->got;
    return RC_OK;
}

/* Makes one record of at most n bytes. 0: the connection is broken. */
static size_t seal(struct tls *t, const void *data, size_t n)
{
    int ret = tls_rekey_in_time(t);

    if (!ret)
        ret = mbedtls_ssl_write(&t->ssl, data, n);
    if (ret == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) { /* it is said here or by a read */
        tls_keep_ticket(t);
        ret = mbedtls_ssl_write(&t->ssl, data, n);
    }
    if (ret > 0)
        return (size_t)ret;
    tls_fail_code(t, ret);
    return 0;
}

static enum rc seal_plain(struct tls *t)
{
    while (tls_bytes_n(&t->plain) > 0) {
        size_t n = seal(t, t->plain.p + t->plain.r, tls_bytes_n(&t->plain));

        if (n == 0)
            return t->broken;
        t->plain.r += n;
    }
    t->plain.r = t->plain.w = 0;
    return RC_OK;
}

/* Is there room for another record? */
static bool gate_is_open(struct tls *t)
{
    if (tls_bytes_n(&t->out) >= TLS_SEND_GATE)
        (void)tls_flush(t);
    return t->broken == RC_OK && tls_bytes_n(&t->out) < TLS_SEND_GATE;
}

/* Takes a part of piece: a whole record straight from it, or what fits into the record that waits
 * in `plain`. 0: t->broken. */
static size_t take(struct tls *t, const uint8_t *piece, size_t n, size_t record)
{
    size_t waits = tls_bytes_n(&t->plain);

    if (waits == 0 && n >= record)
        return seal(t, piece, record);
    if (!tls_bytes_room(&t->plain, TLS_SIZE_RECORD, record - waits)) {
        t->broken = layer_fail(&t->layer, RC_NOMEM, "no memory");
        return 0;
    }
    if (n > record - waits)
        n = record - waits;
    memcpy(t->plain.p + t->plain.w, piece, n);
    t->plain.w += n;
    if (tls_bytes_n(&t->plain) == record && seal_plain(t) != RC_OK)
        return 0;
    return n;
}

static enum rc tls_send(struct layer *l, const struct iovec *v, int nv, size_t *ret_n)
{
    struct tls *t = of(l);
    size_t total = 0, record;
    int payload;

    if (t->broken != RC_OK)
        return t->broken;
    if (t->shut)
        return layer_fail(l, RC_INVALID, "bytes after the end of writing");
    if (!tls_begin(t))
        return t->broken = layer_fail(l, RC_NOMEM, "no memory");
    payload = mbedtls_ssl_get_max_out_record_payload(&t->ssl);
    record = payload > 0 && payload <= 16384 ? (size_t)payload : 4096;
    for (int i = 0; i < nv; i++) {
        size_t done = 0;

        while (done < v[i].iov_len && gate_is_open(t)) {
            size_t n = take(t, (const uint8_t *)v[i].iov_base + done, v[i].iov_len - done, record);

            if (n == 0)
                break;
            done += n;
        }
        total += done;
        if (done < v[i].iov_len)
            break;
    }
    tls_settle(t);
    if (total > 0) {
        *ret_n = total;
        return RC_OK;
    }
    return t->broken != RC_OK ? t->broken : RC_AGAIN;
}

/* close_notify behind all that was taken. */
static enum rc say_bye(struct tls *t)
{
    enum rc rc;
    int ret;

    if (t->said_bye)
        return RC_OK;
    if (!tls_begin(t))
        return RC_NOMEM;
    rc = seal_plain(t);
    if (rc != RC_OK)
        return rc;
    ret = mbedtls_ssl_close_notify(&t->ssl);
    if (ret)
        return tls_fail_code(t, ret);
    t->said_bye = true;
    return RC_OK;
}

/* The floor below stays open for writing (alerts, tickets' answers): close_notify says it all, and
 * peers such as GOST do the same (wire-protocols.md 1.11). */
static enum rc tls_shut(struct layer *l)
{
    struct tls *t = of(l);
    enum rc rc;

    if (t->broken != RC_OK)
        return t->broken;
    t->shut = true;
    rc = say_bye(t);
    if (rc == RC_OK)
        rc = tls_flush(t);
    tls_settle(t);
    return rc;
}

static void tls_leave(struct layer *l)
{
    struct tls *t = of(l);

    if (t->up && t->broken == RC_OK) {
        t->shut = true;
        (void)say_bye(t);
        (void)tls_flush(t);
        tls_settle(t);
    }
}

/* ---------------------------------------------------------------- events */

static unsigned tls_wants(const struct layer *l, unsigned wish)
{
    const struct tls *t = (const struct tls *)l;

    if (wish == STREAM_IN && t->choked)
        return STREAM_OUT;
    return wish == STREAM_OUT ? STREAM_OUT : STREAM_IN;
}

static bool tls_pending(const struct layer *l, unsigned wish)
{
    const struct tls *t = (const struct tls *)l;

    if (wish == STREAM_OUT) {
        if (!t->up)
            return false;
        if (t->broken != RC_OK)
            return true;
        return t->shut ? t->said_bye && tls_bytes_n(&t->out) == 0
                       : tls_bytes_n(&t->out) < TLS_SEND_GATE;
    }
    if (t->ended != RC_OK)
        return true;
    if (t->choked)
        return tls_bytes_n(&t->out) == 0;
    return mbedtls_ssl_get_bytes_avail(&t->ssl) > 0 || tls_bytes_n(&t->raw) > 0;
}

static unsigned tls_needs(const struct layer *l)
{
    const struct tls *t = (const struct tls *)l;

    if (t->broken != RC_OK || (tls_bytes_n(&t->plain) == 0 && tls_bytes_n(&t->out) == 0))
        return 0;
    return STREAM_OUT;
}

static void tls_run(struct layer *l)
{
    struct tls *t = of(l);

    if (tls_bytes_n(&t->plain) > 0 && (!tls_begin(t) || seal_plain(t) != RC_OK))
        t->broken = t->broken != RC_OK ? t->broken : RC_NOMEM;
    (void)tls_flush(t);
    tls_settle(t);
}

static enum rc tls_query(struct layer *l, enum layer_query q, void *ret_value)
{
    struct tls *t = of(l);

    switch (q) {
    case QUERY_SECURE:
        *(bool *)ret_value = true;
        return RC_OK;
    case QUERY_ALPN:
        *(const char **)ret_value = t->up ? mbedtls_ssl_get_alpn_protocol(&t->ssl) : NULL;
        return RC_OK;
    case QUERY_FD: /* bytes must not pass us by */
        return RC_AGAIN;
    case QUERY_EXPEDITE:
        if (t->up && t->broken == RC_OK)
            tls_run(l);
        return RC_UNSUPPORTED; /* the floors below too */
    case QUERY_LOCAL_ADDR:
    case QUERY_PEER_ADDR:
    case QUERY_BOUND_ADDR:
    case QUERY_CONFIRMED:
    case QUERY_SOCKET:
        break;
    }
    return RC_UNSUPPORTED;
}

/* ---------------------------------------------------------------- birth and death */

static void tls_destroy(struct layer *l, bool aborting)
{
    struct tls *t = of(l);

    (void)aborting;
    tls_bytes_done(&t->raw);
    tls_bytes_done(&t->plain);
    tls_bytes_done(&t->out);
    tls_park_all(&t->ssl, &t->parked);
    mbedtls_ssl_free(&t->ssl);
    tls_ctx_unref(t->ctx);
    free(t->name);
    free(t->session_key);
}

static const struct layer_type tls_type = {
    .name = "tls",
    .flags = LAYER_SECURE,
    .open = tls_open,
    .recv = tls_recv,
    .send = tls_send,
    .shut = tls_shut,
    .leave = tls_leave,
    .wants = tls_wants,
    .pending = tls_pending,
    .needs = tls_needs,
    .run = tls_run,
    .query = tls_query,
    .destroy = tls_destroy,
};

static struct tls *tls_new(struct tls_ctx *ctx)
{
    struct tls *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->layer.type = &tls_type;
    t->ctx = tls_ctx_ref(ctx);
    mbedtls_ssl_init(&t->ssl);
    return t;
}

/* What is sent and checked: the configured name or the node's, without the dot of the root. */
static char *copy_name(const char *name)
{
    size_t n = strlen(name);

    if (n > 0 && name[n - 1] == '.')
        n--;
    return n <= TLS_NAME_MAX ? strndup(name, n) : NULL;
}

struct layer *tls_client_layer(struct tls_ctx *ctx, const char *name, const char *session_key)
{
    struct tls *t = tls_new(ctx);

    if (!t)
        return NULL;
    if (ctx->server_name)
        name = ctx->server_name;
    t->name = copy_name(name ? name : "");
    if (t->name && session_key) { /* a ticket is for one node and one name */
        size_t n = strlen(session_key) + strlen(t->name) + 2;

        t->session_key = malloc(n);
        if (t->session_key)
            snprintf(t->session_key, n, "%s %s", session_key, t->name);
    }
    if (!t->name || (session_key && !t->session_key)) {
        tls_destroy(&t->layer, true);
        free(t);
        return NULL;
    }
    return &t->layer;
}

struct layer *tls_server_layer(struct tls_ctx *ctx)
{
    struct tls *t = tls_new(ctx);

    return t ? &t->layer : NULL;
}
