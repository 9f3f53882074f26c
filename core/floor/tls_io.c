/* core/floor/tls_io.c - a TLS connection's bytes from and to the floor below, and how it fails. See
 * tls_layer.h. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include "core/floor/tls_layer.h"
#include "core/floor/tls_reason.h"
#include <mbedtls/error.h>
#include <string.h>

enum { FILLS_MAX = 16 /* reads below in one call: others want their share of the turn */ };

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

/* What the user can do about an alert that a server sent; "": nothing that we know. */
static const char *way_out(const struct tls *t, int alert)
{
    if (mbedtls_ssl_conf_get_endpoint(t->ssl.conf) != MBEDTLS_SSL_IS_CLIENT)
        return "";
    switch (alert) {
    case MBEDTLS_SSL_ALERT_MSG_CERT_REQUIRED:
        return ": set cert= and key=";
    case MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA:
        return ": the server does not trust our cert=";
    case MBEDTLS_SSL_ALERT_MSG_UNRECOGNIZED_NAME:
        return ": set serverName=";
    default:
        return "";
    }
}

/* Ends both directions with mbedTLS's code as the reason. */
enum rc tls_fail_code(struct tls *t, int code)
{
    int alert = alert_of(t, code);
    const char *name = alert >= 0 ? tls_alert_name((unsigned)alert) : NULL;
    enum rc rc = RC_PROTO;
    char text[160];

    if (alert >= 0) {
        rc = tls_alert_rc((unsigned)alert);
        if (name)
            layer_fail(&t->layer, rc, "peer sent alert %s%s", name, way_out(t, alert));
        else
            layer_fail(&t->layer, rc, "peer sent alert %d", alert);
    } else if (code == MBEDTLS_ERR_SSL_ALLOC_FAILED || code == MBEDTLS_ERR_X509_ALLOC_FAILED) {
        rc = layer_fail(&t->layer, RC_NOMEM, "no memory");
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
enum rc tls_fail_below(struct tls *t)
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

    return room < TLS_WIRE_MAX ? TLS_WIRE_MAX : room > TLS_READ_BYTES ? TLS_READ_BYTES : room;
}

int tls_bio_recv(void *arg, unsigned char *buf, size_t cap)
{
    struct tls *t = arg;
    size_t n = tls_bytes_n(&t->raw), want = read_size(t);
    enum rc rc = RC_AGAIN;

    if (n == 0) {
        t->starved = true; /* unless the read below brings something */
        if (tls_bytes_n(&t->out) > 2 * TLS_SEND_GATE)
            t->choked = true;
        else if (t->fills == FILLS_MAX || (t->got > 0 && t->cap - t->got < TLS_WIRE_MAX))
            rc = RC_AGAIN; /* our turn is over, or not much room is left */
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
int tls_bio_send(void *arg, const unsigned char *buf, size_t n)
{
    struct tls *t = arg;

    if (!tls_bytes_room(&t->out, TLS_SIZE_SEND, n))
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    memcpy(t->out.p + t->out.w, buf, n);
    t->out.w += n;
    return (int)n;
}

/* The floor below takes nothing more. When the peer hung up on us it may have said why: words that
 * are worth more than "reset by peer". What else it said is lost with the connection. */
static void explain(struct tls *t)
{
    struct diag *diag = stream_diag(t->layer.stream);
    unsigned char lost[512];
    int ret;

    if (!t->up || t->ended != RC_OK || !tls_begin(t))
        return;
    t->cap = TLS_READ_BYTES;
    t->got = 0;
    t->fills = 0;
    do
        ret = mbedtls_ssl_read(&t->ssl, lost, sizeof(lost));
    while (ret > 0);
    if (ret == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) {
        diag->rc = RC_OK; /* instead of what the floor below said */
        tls_fail_code(t, ret);
    }
}

enum rc tls_flush(struct tls *t)
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
            explain(t);
            return t->broken;
        }
        t->out.r += n;
    }
    return RC_OK;
}

bool tls_begin(struct tls *t)
{
    return tls_unpark(&t->ssl, &t->parked);
}

/* The end of every call: gives back all memory that need not be kept. */
void tls_settle(struct tls *t)
{
    tls_bytes_settle(&t->raw);
    tls_bytes_settle(&t->plain);
    tls_bytes_settle(&t->out);
    tls_park(&t->ssl, &t->parked);
    if (tls_bytes_n(&t->plain) > 0 || tls_bytes_n(&t->out) > 0)
        layer_wake(&t->layer);
}
