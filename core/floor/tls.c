/* core/floor/tls.c - TLS as a floor: mbedTLS between the floor above and layer_recv/layer_send
 * below. Contract in core/floor/tls.h; what connections share is tls_ctx.c.
 *
 * Out: bytes of the owner wait in `plain` until they fill a record or the turn ends; records wait
 * in `out` and leave in one piece, when the owner's event is over (needs/run) or when TLS_SEND_GATE
 * bytes wait. In: one read below brings many records, which mbedTLS decrypts one after the other
 * into the caller's buffer; what the caller had no room for stays in `raw`. All buffers are lent
 * (tls_buf.h): a connection that rests holds its keys and nothing else.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include "core/floor/tls_buf.h"
#include "core/floor/tls_ctx.h"
#include "core/floor/tls_reason.h"
#include "core/secret.h"
#include <mbedtls/error.h>
#include <mbedtls/platform.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RECORD_MAX = 16384 + 512, /* of ciphertext, with header */
    FILLS_MAX = 16            /* reads below in one call: others want their share of the turn */
};

struct tls {
    struct layer layer;
    struct tls_ctx *ctx;
    mbedtls_ssl_context ssl;
    struct tls_parked parked;
    struct tls_bytes raw, plain, out;
    char *name;        /* client: sent and checked; may be an address, which is only checked */
    char *session_key; /* client: where tickets are kept; NULL: nowhere */

    size_t cap, got;     /* of the recv under way */
    unsigned fills;      /* ditto: reads below so far */
    enum rc below_rc;    /* why the floor below gave nothing */
    bool starved;        /* bio_recv had nothing: mbedTLS's WANT_READ means it */
    bool yielded;        /* there may be more below, but it was our turn's end */
    bool choked;         /* too much waits to be sent: no reading meanwhile */
    enum rc ended;       /* what recv says from now on */
    enum rc broken;      /* what send says from now on */
    bool up, set_up;     /* mbedTLS has its context; the handshake is over */
    bool full;           /* this handshake showed a certificate */
    bool said_bye, shut; /* our close_notify is written; nothing more is taken */
};

static struct tls *of(struct layer *l)
{
    return (struct tls *)l;
}

/* mbedTLS's, not in its public headers. */
void mbedtls_ssl_handshake_free(mbedtls_ssl_context *ssl);
void mbedtls_ssl_transform_free(mbedtls_ssl_transform *transform);
void mbedtls_ssl_set_outbound_transform(mbedtls_ssl_context *ssl, mbedtls_ssl_transform *transform);

/* ---------------------------------------------------------------- words for failures */

/* The number of the alert that ended the connection with code; -1: it was none. A client that
 * refuses our certificate may say so before it encrypts, which to mbedTLS is a damaged record. */
static int alert_of(const struct tls *t, int code)
{
    const unsigned char *h = t->ssl.in_buf ? t->ssl.in_hdr : NULL;

    if (h && code == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        return t->ssl.in_msg[1];
    if (h && code == MBEDTLS_ERR_SSL_INVALID_MAC && !t->up && h[0] == MBEDTLS_SSL_MSG_ALERT &&
        h[3] == 0 && h[4] == 2)
        return h[6];
    return -1;
}

/* Ends both directions with mbedTLS's code as the reason. */
static enum rc fail_code(struct tls *t, int code)
{
    int alert = alert_of(t, code);
    const char *name = alert >= 0 ? tls_alert_name((unsigned)alert) : NULL;
    enum rc rc = RC_PROTO;
    char text[160];

    if (alert >= 0) {
        rc = tls_alert_rc((unsigned)alert);
        if (name)
            layer_fail(&t->layer, rc, "peer sent alert %s", name);
        else
            layer_fail(&t->layer, rc, "peer sent alert %d", alert);
    } else if (code == MBEDTLS_ERR_SSL_ALLOC_FAILED || code == MBEDTLS_ERR_X509_ALLOC_FAILED) {
        rc = layer_fail(&t->layer, RC_NOMEM, "out of memory");
    } else {
        if (code == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED || code == MBEDTLS_ERR_X509_FATAL_ERROR ||
            code == MBEDTLS_ERR_SSL_BAD_CERTIFICATE ||
            code == MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE)
            rc = RC_CERT;
        else if (code == MBEDTLS_ERR_SSL_UNRECOGNIZED_NAME)
            rc = RC_DENIED;
        tls_code_reason(code, text, sizeof(text));
        layer_fail(&t->layer, rc, "%s", text);
    }
    t->ended = t->broken = rc;
    return rc;
}

/* The floor below ended or failed while mbedTLS wanted bytes. */
static enum rc fail_below(struct tls *t)
{
    if (t->below_rc != RC_EOF)
        t->ended = t->below_rc;
    else if (!t->up)
        t->ended = layer_fail(&t->layer, RC_PROTO, "peer closed during the handshake");
    else if (t->ssl.in_left > 0 || t->ssl.badmac_seen_or_in_hsfraglen > 0)
        t->ended = layer_fail(&t->layer, RC_RESET, "connection ended inside a record");
    else
        t->ended = RC_EOF; /* without close_notify: as GOST, which does not care */
    return t->ended;
}

/* ---------------------------------------------------------------- bytes from and to below */

/* How much one read below may bring: no more than the caller has room for, so that little must be
 * kept. */
static size_t read_size(const struct tls *t)
{
    size_t room = t->cap - t->got;

    return room < RECORD_MAX ? RECORD_MAX : room > TLS_READ_BYTES ? TLS_READ_BYTES : room;
}

static int bio_recv(void *arg, unsigned char *buf, size_t cap)
{
    struct tls *t = arg;
    size_t n = tls_bytes_n(&t->raw), want = read_size(t);
    enum rc rc = RC_AGAIN;

    if (n == 0) {
        t->starved = true; /* unless the read below brings something */
        if (tls_bytes_n(&t->out) > 2 * TLS_SEND_GATE)
            t->choked = true;
        else if (t->fills == FILLS_MAX || (t->got > 0 && t->cap - t->got < RECORD_MAX))
            t->yielded = true; /* our turn is over, or not much room is left */
        else if (!tls_bytes_room(&t->raw, TLS_SIZE_READ, want))
            return MBEDTLS_ERR_SSL_ALLOC_FAILED;
        else
            rc = layer_recv(t->layer.below, t->raw.p, want, &n);
        if (rc == RC_AGAIN)
            return MBEDTLS_ERR_SSL_WANT_READ;
        if (rc != RC_OK) {
            t->below_rc = rc;
            return MBEDTLS_ERR_SSL_CONN_EOF;
        }
        t->starved = false;
        t->fills++;
        t->raw.r = 0;
        t->raw.w = n;
    }
    if (n > cap)
        n = cap;
    memcpy(buf, t->raw.p + t->raw.r, n);
    t->raw.r += n;
    return (int)n;
}

/* Takes everything: who writes looks at the gate first, who reads is choked. */
static int bio_send(void *arg, const unsigned char *buf, size_t n)
{
    struct tls *t = arg;

    if (!tls_bytes_room(&t->out, TLS_SIZE_SEND, n))
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    memcpy(t->out.p + t->out.w, buf, n);
    t->out.w += n;
    return (int)n;
}

/* Sends what waits in `out`. RC_OK: all of it. */
static enum rc flush(struct tls *t)
{
    while (tls_bytes_n(&t->out) > 0) {
        struct iovec v = {.iov_base = t->out.p + t->out.r, .iov_len = tls_bytes_n(&t->out)};
        size_t n = 0;
        enum rc rc = layer_send(t->layer.below, &v, 1, &n);

        if (rc == RC_AGAIN)
            return RC_AGAIN;
        if (rc != RC_OK) {
            t->broken = rc;
            tls_bytes_done(&t->out);
            return rc;
        }
        t->out.r += n;
    }
    return RC_OK;
}

static bool begin(struct tls *t)
{
    return tls_unpark(&t->ssl, &t->parked);
}

/* The end of every call: gives back all memory that need not be kept. */
static void settle(struct tls *t)
{
    tls_bytes_settle(&t->raw);
    tls_bytes_settle(&t->plain);
    tls_bytes_settle(&t->out);
    tls_park(&t->ssl, &t->parked);
    if (tls_bytes_n(&t->plain) > 0 || tls_bytes_n(&t->out) > 0)
        layer_wake(&t->layer);
}

/* ---------------------------------------------------------------- tickets */

static uint64_t now_ms(const struct tls *t)
{
    return loop_now_ms(stream_loop(t->layer.stream));
}

static void keep_ticket(struct tls *t)
{
    const mbedtls_ssl_session *s = t->ssl.session;

    if (t->session_key && s && s->ticket && s->ticket_len > 0)
        tls_sessions_put(&t->ctx->sessions, t->session_key, s,
                         s->ticket_lifetime ? s->ticket_lifetime : 3600, now_ms(t));
}

static void use_ticket(struct tls *t)
{
    mbedtls_ssl_session s;

    if (!t->session_key)
        return;
    mbedtls_ssl_session_init(&s);
    if (tls_sessions_take(&t->ctx->sessions, t->session_key, now_ms(t), &s))
        (void)mbedtls_ssl_set_session(&t->ssl, &s); /* refused: a full handshake */
    mbedtls_ssl_session_free(&s);
}

/* ---------------------------------------------------------------- handshake */

static bool pin_matches(const struct tls_ctx *c, const mbedtls_x509_crt *crt)
{
    uint8_t pin[TLS_PIN_BYTES];
    bool found = false;

    tls_cert_pin(crt, pin);
    for (unsigned i = 0; i < c->n_pins; i++)
        found |= secret_equal(pin, sizeof(pin), c->pins[i], sizeof(c->pins[i]));
    return found;
}

static bool has_ip(const mbedtls_x509_crt *crt, const uint8_t *ip, size_t n)
{
    const mbedtls_x509_sequence *san = &crt->subject_alt_names;

    for (; san; san = san->next)
        if ((san->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) == MBEDTLS_X509_SAN_IP_ADDRESS &&
            san->buf.len == n && memcmp(san->buf.p, ip, n) == 0)
            return true;
    return false;
}

/* mbedTLS sends a TLS 1.3 client's alert in the clear although the server awaits it encrypted. */
static int refuse(struct tls *t, int ret)
{
    mbedtls_ssl_context *ssl = &t->ssl;

    if (!t->ctx->server && ssl->tls_version == MBEDTLS_SSL_VERSION_TLS1_3 && ssl->transform_in &&
        !ssl->transform_out)
        mbedtls_ssl_set_outbound_transform(ssl, ssl->transform_in);
    return ret;
}

/* Called by mbedTLS for each certificate of the peer's chain, the peer's own (depth 0) last. */
static int on_verify(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct tls *t = arg;
    const struct tls_ctx *c = t->ctx;
    uint8_t ip[16];
    size_t ip_n;
    char text[200];

    if (c->trust == TLS_TRUST_PIN) {
        *flags = 0;
        if (depth > 0 || pin_matches(c, crt))
            return 0;
        layer_fail(&t->layer, RC_CERT, "certificate has another key than the pin= one");
        return refuse(t, MBEDTLS_ERR_X509_FATAL_ERROR);
    }
    if (depth == 0 && c->trust == TLS_TRUST_CHAIN)
        *flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_CN_MISMATCH;
    if (depth == 0 && c->trust == TLS_TRUST_NAME) {
        ip_n = tls_name_ip(t->name, ip);
        if (ip_n > 0 && !has_ip(crt, ip, ip_n))
            *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    }
    if (*flags) {
        tls_cert_reason(crt, *flags, t->name, !c->server, text, sizeof(text));
        layer_fail(&t->layer, RC_CERT, "%s", text);
        return refuse(t, 0);
    }
    return 0;
}

static enum rc set_up(struct tls *t)
{
    uint8_t ip[16];
    const char *sni = t->name && tls_name_ip(t->name, ip) == 0 ? t->name : NULL;
    int ret = mbedtls_ssl_setup(&t->ssl, &t->ctx->conf);

    if (!ret && !t->ctx->server)
        ret = mbedtls_ssl_set_hostname(&t->ssl, sni);
    if (ret)
        return fail_code(t, ret);
    mbedtls_ssl_set_bio(&t->ssl, t, bio_send, bio_recv, NULL);
    mbedtls_ssl_set_verify(&t->ssl, on_verify, t);
    mbedtls_ssl_set_user_data_p(&t->ssl, t->ctx);
    if (!t->ctx->server)
        use_ticket(t);
    t->set_up = true;
    return RC_OK;
}

/* Lets go of what only the handshake needed. The peer's certificate was checked, and tickets need
 * not carry it. A TLS 1.3 client's struct must stay, emptied: later tickets pass through it. */
static void slim(struct tls *t)
{
    mbedtls_ssl_session *s = t->ssl.session;
    mbedtls_ssl_context *ssl = &t->ssl;

    if (s && s->peer_cert) {
        mbedtls_x509_crt_free(s->peer_cert);
        mbedtls_free(s->peer_cert);
        s->peer_cert = NULL;
    }
    if (!ssl->handshake) /* TLS 1.2: mbedTLS did it */
        return;
    mbedtls_ssl_handshake_free(ssl);
    mbedtls_ssl_transform_free(ssl->transform_negotiate);
    mbedtls_free(ssl->transform_negotiate);
    ssl->transform_negotiate = NULL;
    if (t->ctx->server) {
        mbedtls_free(ssl->handshake);
        ssl->handshake = NULL;
    }
}

/* A server keeps nothing for a client that has not said anything yet. */
static enum rc await_first_byte(struct tls *t)
{
    size_t n = 0;
    enum rc rc;

    if (!tls_bytes_room(&t->raw, TLS_SIZE_READ, RECORD_MAX))
        return layer_fail(&t->layer, RC_NOMEM, "out of memory");
    rc = layer_recv(t->layer.below, t->raw.p, RECORD_MAX, &n);
    if (rc == RC_OK)
        t->raw.w = n;
    else
        tls_bytes_done(&t->raw);
    if (rc == RC_EOF)
        rc = layer_fail(&t->layer, RC_PROTO, "peer closed before its hello");
    return rc;
}

/* What mbedTLS leaves out before its next step. */
static void before_step(struct tls *t)
{
    mbedtls_ssl_context *ssl = &t->ssl;
    int state = ssl->state;

    if (state == MBEDTLS_SSL_SERVER_CERTIFICATE)
        t->full = true; /* a resumed handshake passes it by */
    /* After its Finished a TLS 1.3 server writes with the final keys (RFC 8446 section 7.3): an
     * alert about the client's certificate could not be read otherwise. */
    if (t->ctx->server && ssl->transform_application &&
        (state == MBEDTLS_SSL_CLIENT_CERTIFICATE || state == MBEDTLS_SSL_CLIENT_FINISHED) &&
        ssl->transform_out != ssl->transform_application)
        mbedtls_ssl_set_outbound_transform(ssl, ssl->transform_application);
}

static int shake(struct tls *t)
{
    mbedtls_ssl_context *ssl = &t->ssl;
    int ret = 0;

    while (ret == 0 && ssl->state != MBEDTLS_SSL_HANDSHAKE_OVER) {
        before_step(t);
        ret = mbedtls_ssl_handshake_step(ssl);
        if (ret == MBEDTLS_ERR_SSL_WANT_READ && !t->starved)
            ret = 0;
    }
    if (ret == MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE &&
        ssl->tls_version == MBEDTLS_SSL_VERSION_TLS1_2) /* mbedTLS would only hang up */
        (void)mbedtls_ssl_send_alert_message(ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                             MBEDTLS_SSL_ALERT_MSG_BAD_CERT);
    return ret;
}

static enum rc tls_open(struct layer *l)
{
    struct tls *t = of(l);
    enum rc rc = RC_OK;
    int ret;

    if (t->ended != RC_OK)
        return t->ended;
    if (!t->set_up && t->ctx->server)
        rc = await_first_byte(t);
    if (rc == RC_OK && !t->set_up)
        rc = set_up(t);
    if (rc != RC_OK)
        return rc;

    t->cap = t->got = 0;
    t->fills = 0;
    t->starved = t->yielded = t->choked = false;
    ret = shake(t);
    if (ret == 0) {
        t->up = true;
        if (t->full)
            t->ctx->full++;
        else
            t->ctx->resumed++;
        if (!t->ctx->server && t->ssl.tls_version == MBEDTLS_SSL_VERSION_TLS1_2)
            keep_ticket(t);
        slim(t);
        /* our last flight leaves with the owner's first bytes, at the end of the turn */
        rc = RC_OK;
    } else if (ret == MBEDTLS_ERR_SSL_WANT_READ) {
        rc = flush(t);
        if (rc == RC_OK)
            rc = RC_AGAIN;
    } else {
        rc = t->below_rc != RC_OK ? fail_below(t) : fail_code(t, ret);
        (void)flush(t); /* our alert */
    }
    settle(t);
    return rc;
}

/* ---------------------------------------------------------------- data */

/* A code of mbedtls_ssl_read() that is not bytes, as a result. */
static enum rc read_verdict(struct tls *t, int ret)
{
    if (t->below_rc != RC_OK)
        return fail_below(t);
    switch (ret) {
    case MBEDTLS_ERR_SSL_WANT_READ:
        return RC_AGAIN;
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return t->ended = RC_EOF;
    default:
        fail_code(t, ret);
        (void)flush(t); /* the alert that tells the peer */
        return t->ended;
    }
}

static enum rc tls_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n)
{
    struct tls *t = of(l);
    enum rc rc = RC_OK;

    if (t->ended != RC_OK)
        return t->ended;
    if (!begin(t))
        return t->ended = layer_fail(l, RC_NOMEM, "out of memory");
    if (t->choked && flush(t) != RC_OK && t->broken == RC_OK) {
        settle(t);
        return RC_AGAIN;
    }
    t->cap = cap;
    t->got = 0;
    t->fills = 0;
    t->yielded = t->choked = false;
    while (t->got < cap && rc == RC_OK) {
        int ret;

        t->starved = false;
        ret = mbedtls_ssl_read(&t->ssl, (unsigned char *)buf + t->got, cap - t->got);
        if (ret > 0)
            t->got += (size_t)ret;
        else if (ret == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
            keep_ticket(t);
        else if (ret != MBEDTLS_ERR_SSL_WANT_READ || t->starved)
            rc = read_verdict(t, ret); /* else: a ticket came, mbedTLS must only be called again */
    }
    settle(t);
    if (t->got == 0)
        return rc;
    *ret_n = t->got;
    return RC_OK;
}

/* Makes one record of at most n bytes. 0: the connection is broken. */
static size_t seal(struct tls *t, const void *data, size_t n)
{
    int ret;

    do
        ret = mbedtls_ssl_write(&t->ssl, data, n);
    while (ret == MBEDTLS_ERR_SSL_WANT_READ || ret == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET);
    if (ret > 0)
        return (size_t)ret;
    fail_code(t, ret);
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
        (void)flush(t);
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
        t->broken = layer_fail(&t->layer, RC_NOMEM, "out of memory");
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
    if (!begin(t))
        return t->broken = layer_fail(l, RC_NOMEM, "out of memory");
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
    settle(t);
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
    if (!begin(t))
        return RC_NOMEM;
    rc = seal_plain(t);
    if (rc != RC_OK)
        return rc;
    ret = mbedtls_ssl_close_notify(&t->ssl);
    if (ret)
        return fail_code(t, ret);
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
        rc = flush(t);
    settle(t);
    return rc;
}

static void tls_leave(struct layer *l)
{
    struct tls *t = of(l);

    if (t->up && t->broken == RC_OK) {
        t->shut = true;
        (void)say_bye(t);
        (void)flush(t);
        settle(t);
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

    if (tls_bytes_n(&t->plain) > 0 && (!begin(t) || seal_plain(t) != RC_OK))
        t->broken = t->broken != RC_OK ? t->broken : RC_NOMEM;
    (void)flush(t);
    settle(t);
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
