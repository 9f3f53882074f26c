/* core/floor/tls_layer.h - one TLS connection: what tls.c (data and events), tls_shake.c
 * (handshake) and tls_io.c (bytes below, failures) share. Everybody else sees core/floor/tls.h.
 *
 * Out: bytes of the owner wait in `plain` until they fill a record or the turn ends; records wait
 * in `out` and leave in one piece, when the owner's event is over (needs/run) or when TLS_SEND_GATE
 * bytes wait. In: one read below brings many records, which mbedTLS decrypts one after the other
 * into the caller's buffer; what the caller had no room for stays in `raw`. All buffers are lent
 * (tls_buf.h): a connection that rests holds its keys and little else.
 */
#ifndef CORE_FLOOR_TLS_LAYER_H
#define CORE_FLOOR_TLS_LAYER_H

#include "core/floor/tls_buf.h"
#include "core/floor/tls_ctx.h"

enum { TLS_WIRE_MAX = 16384 + 512 /* a record of ciphertext with its header */ };

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
    unsigned updates;    /* of the peer's keys since its last bytes */
    enum rc below_rc;    /* why the floor below gave nothing */
    bool starved;        /* bio_recv had nothing: mbedTLS's WANT_READ means it */
    bool choked;         /* too much waits to be sent: no reading meanwhile */
    enum rc ended;       /* what recv says from now on */
    enum rc broken;      /* what send says from now on */
    bool up, set_up;     /* mbedTLS has its context; the handshake is over */
    bool full;           /* this handshake showed a certificate */
    bool said_bye, shut; /* our close_notify is written; nothing more is taken */
};

/* tls_io.c */
int tls_bio_recv(void *arg, unsigned char *buf, size_t cap);
int tls_bio_send(void *arg, const unsigned char *buf, size_t n);
enum rc tls_flush(struct tls *t);               /* sends `out`; RC_OK: all of it */
bool tls_begin(struct tls *t);                  /* before mbedTLS is called; false: no memory */
void tls_settle(struct tls *t);                 /* the end of every call: gives memory back */
enum rc tls_fail_code(struct tls *t, int code); /* ends both directions with mbedTLS's code */
enum rc tls_fail_below(struct tls *t);          /* why nothing came from below */

/* tls_rekey.c. mbedTLS calls it unexpected: is what it has just refused a good KeyUpdate? Then the
 * second one obeys and answers it. Ours is said by the third, before a record is made with a key
 * that has made tls_rekey_records of them. Both return mbedTLS's code. */
bool tls_is_key_update(const struct tls *t);
int tls_on_key_update(struct tls *t);
int tls_rekey_in_time(struct tls *t);
extern uint64_t tls_rekey_records; /* set by tests only */

/* tls_shake.c */
enum rc tls_open(struct layer *l);
void tls_keep_ticket(struct tls *t);

#endif
