/* chain/doh.h - DNS over HTTPS (RFC 8484) on one connection: POSTs and their answers, one
 * after another, by HTTP/1.1 or by HTTP/2 (RFC 9113), as ALPN chose.
 *
 * Without I/O: `out` is to be sent, doh_take() eats what came. Owner: an exchange. Bounded: an
 * answer of 65,535 bytes, 16 KiB of head, 64 KiB to send.
 */
#ifndef CHAIN_DOH_H
#define CHAIN_DOH_H

#include "core/rc.h"
#include <stdint.h>

struct doh_bytes {
    uint8_t *p;
    size_t n, cap;
};

struct doh {
    bool h2;
    struct doh_bytes out; /* the owner counts what it has sent; more may come behind it */
    uint8_t *answer;      /* when doh_take() or doh_ended() said RC_OK; lives until doh_done() */
    size_t answer_n;
    struct diag diag;    /* why it can't go on */
    struct doh_bytes in; /* HTTP/1.1: all that came; HTTP/2: what is no whole frame yet */
    size_t scanned;
    struct doh_bytes block, body; /* HTTP/2: the head and the answer so far */
    bool block_open, block_ends, answered;
    bool leaving;    /* HTTP/2: the server takes no more questions */
    bool reusable;   /* after an answer: doh_begin() may be called once more */
    uint32_t stream; /* HTTP/2: of the question; 0: none yet */
    uint32_t taken;  /* HTTP/2: bytes of answers since the window was last opened */
};

struct doh_cfg {
    bool h2;
    const char *authority, *path; /* "dns.example:8443", "/dns-query" */
    const void *query;
    size_t n;
};

/* d is zeroed, or reusable: then h2 is as before. RC_NOMEM; RC_LIMIT: a question too long. */
enum rc doh_begin(struct doh *d, const struct doh_cfg *cfg);
/* RC_AGAIN: more is needed, and `out` may have grown; RC_OK: the answer is there; else it failed.
 * Between two questions HTTP/2 only ever says RC_AGAIN, or fails. */
enum rc doh_take(struct doh *d, const void *data, size_t n);
enum rc doh_ended(struct doh *d); /* the server ended the stream: RC_OK or a failure */
/* The memory in which the answer lies: the caller's from now on. */
uint8_t *doh_give(struct doh *d);
void doh_done(struct doh *d); /* fine when zeroed */

/* --- between doh.c and doh_h2.c */
enum { DOH_BYTES_MAX = 1 << 16 };
enum rc doh_add(struct doh_bytes *b, const void *data, size_t n, size_t max); /* RC_LIMIT */
enum rc doh_h2_begin(struct doh *d, const struct doh_cfg *cfg);
enum rc doh_h2_take(struct doh *d);

#endif
