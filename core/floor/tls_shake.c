/* core/floor/tls_shake.c - the handshake of a TLS connection: trust, tickets, the steps. See
 * tls_layer.h; wire-protocols.md 3.2, 3.3. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include "core/floor/tls_layer.h"
#include "core/floor/tls_reason.h"
#include "core/secret.h"
#include <mbedtls/error.h>
#include <mbedtls/platform.h>
#include <string.h>

/* mbedTLS's, not in its public headers. */
void mbedtls_ssl_handshake_free(mbedtls_ssl_context *ssl);
void mbedtls_ssl_transform_free(mbedtls_ssl_transform *transform);
void mbedtls_ssl_set_outbound_transform(mbedtls_ssl_context *ssl, mbedtls_ssl_transform *transform);

/* ---------------------------------------------------------------- tickets */

static uint64_t now_ms(const struct tls *t)
{
    return loop_now_ms(stream_loop(t->layer.stream));
}

void tls_keep_ticket(struct tls *t)
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
        return tls_fail_code(t, ret);
    mbedtls_ssl_set_bio(&t->ssl, t, tls_bio_send, tls_bio_recv, NULL);
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

    if (!tls_bytes_room(&t->raw, TLS_SIZE_READ, TLS_WIRE_MAX))
        return layer_fail(&t->layer, RC_NOMEM, "no memory");
    rc = layer_recv(t->layer.below, t->raw.p, TLS_WIRE_MAX, &n);
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

enum rc tls_open(struct layer *l)
{
    struct tls *t = (struct tls *)l;
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
    t->starved = t->choked = false;
    ret = shake(t);
    if (ret == 0) {
        t->up = true;
        if (t->full)
            t->ctx->full++;
        else
            t->ctx->resumed++;
        if (!t->ctx->server && t->ssl.tls_version == MBEDTLS_SSL_VERSION_TLS1_2)
            tls_keep_ticket(t);
        if (t->ctx->shown)
            tls_show(t->ctx, &t->ssl, t->name);
        slim(t);
        /* our last flight leaves with the owner's first bytes, at the end of the turn */
        rc = RC_OK;
    } else if (ret == MBEDTLS_ERR_SSL_WANT_READ) {
        rc = tls_flush(t);
        if (rc == RC_OK)
            rc = RC_AGAIN;
    } else {
        rc = t->below_rc != RC_OK ? tls_fail_below(t) : tls_fail_code(t, ret);
        (void)tls_flush(t); /* our alert */
    }
    tls_settle(t);
    return rc;
}
