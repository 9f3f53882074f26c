/* chain/doh.c - the contract, and HTTP/1.1. Answers come with a length, in chunks, or to the end of
 * the stream (RFC 9112 section 6).
 */
#include "chain/doh.h"
#include "core/hex.h"
#include "core/wire/dns.h"
#include "core/wire/http1.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    IN_MAX_BYTES = 2 * DOH_BYTES_MAX + HTTP1_HEAD_MAX_BYTES, /* chunks cost some, too */
    CHUNK_LINE_MAX = 64
};

enum rc doh_add(struct doh_bytes *b, const void *data, size_t n, size_t max)
{
    if (n > max || b->n > max - n)
        return RC_LIMIT;
    if (b->n + n > b->cap) {
        size_t cap = b->cap > 0 ? b->cap : 1024;
        while (cap < b->n + n)
            cap *= 2;
        uint8_t *p = realloc(b->p, cap);
        if (p == NULL)
            return RC_NOMEM;
        b->p = p;
        b->cap = cap;
    }
    if (n > 0)
        memcpy(b->p + b->n, data, n);
    b->n += n;
    return RC_OK;
}

static enum rc http1_begin(struct doh *d, const struct doh_cfg *cfg)
{
    char head[1024];
    int n = snprintf(head, sizeof(head),
                     "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/dns-message\r\n"
                     "Accept: application/dns-message\r\nContent-Length: %zu\r\n\r\n",
                     cfg->path, cfg->authority, cfg->n);
    if (n < 0 || (size_t)n >= sizeof(head))
        return RC_LIMIT;
    enum rc rc = doh_add(&d->out, head, (size_t)n, DOH_BYTES_MAX);
    return rc == RC_OK ? doh_add(&d->out, cfg->query, cfg->n, DOH_BYTES_MAX) : rc;
}

enum rc doh_begin(struct doh *d, const struct doh_cfg *cfg)
{
    d->h2 = cfg->h2;
    d->out.n = d->block.n = d->body.n = 0;
    if (!d->h2)
        d->in.n = d->scanned = 0;
    d->answer = NULL;
    d->answered = d->block_open = d->reusable = false;
    return cfg->h2 ? doh_h2_begin(d, cfg) : http1_begin(d, cfg);
}

uint8_t *doh_give(struct doh *d)
{
    struct doh_bytes *b = d->h2 ? &d->body : &d->in;
    uint8_t *p = b->p;
    *b = (struct doh_bytes){NULL, 0, 0};
    return p;
}

void doh_done(struct doh *d)
{
    free(d->out.p);
    free(d->in.p);
    free(d->block.p);
    free(d->body.p);
    *d = (struct doh){.h2 = false};
}

/* ---------------------------------------------------------------- HTTP/1.1 answers */

/* The size line at `at`. RC_AGAIN: not whole. */
static enum rc chunk_size(const uint8_t *p, size_t n, size_t *at, size_t *ret_size)
{
    size_t size = 0, i = *at;
    int digits = 0;
    for (; i < n; i++, digits++) {
        int v = hex_digit((char)p[i]);
        if (v < 0)
            break;
        size = size * 16 + (unsigned)v;
        if (digits == 5)
            return RC_PROTO;
    }
    while (i < n && i - *at < CHUNK_LINE_MAX && p[i] != '\n') /* extensions mean nothing */
        i++;
    if (i == n && i - *at < CHUNK_LINE_MAX)
        return RC_AGAIN;
    if (i - *at >= CHUNK_LINE_MAX || digits == 0)
        return RC_PROTO;
    *at = i + 1;
    *ret_size = size;
    return RC_OK;
}

/* The chunks from p on, joined at p once the last one is there. */
static enum rc join_chunks(uint8_t *p, size_t n, bool join, size_t *ret_n)
{
    size_t at = 0, to = 0, size;
    for (;;) {
        enum rc rc = chunk_size(p, n, &at, &size);
        if (rc != RC_OK)
            return rc;
        if (size == 0)
            break;
        if (size > n - at || n - at - size < 2)
            return size > DNS_MESSAGE_MAX ? RC_PROTO : RC_AGAIN;
        if (p[at + size] != '\r' || p[at + size + 1] != '\n')
            return RC_PROTO;
        if (join)
            memmove(p + to, p + at, size);
        to += size;
        at += size + 2;
    }
    *ret_n = to;
    return RC_OK;
}

static enum rc find_length(const struct http1_field *f, size_t *ret_n)
{
    size_t n = 0;
    if (f->value.n == 0 || f->value.n > 5)
        return RC_PROTO;
    for (size_t i = 0; i < f->value.n; i++) {
        if (f->value.p[i] < '0' || f->value.p[i] > '9')
            return RC_PROTO;
        n = n * 10 + (size_t)(f->value.p[i] - '0');
    }
    *ret_n = n;
    return RC_OK;
}

static enum rc body_of(struct doh *d, const struct http1_head *head, size_t used, bool ended,
                       size_t *ret_n)
{
    const struct http1_field *length = http1_find(head, "Content-Length", NULL);
    size_t left = d->in.n - used;
    if (http1_has_token(head, "Transfer-Encoding", "chunked")) {
        enum rc rc = join_chunks(d->in.p + used, left, false, ret_n);
        return rc == RC_OK ? join_chunks(d->in.p + used, left, true, ret_n) : rc;
    }
    if (length != NULL) {
        enum rc rc = find_length(length, ret_n);
        return rc != RC_OK ? rc : left < *ret_n ? RC_AGAIN : RC_OK;
    }
    *ret_n = left;
    return ended ? RC_OK : RC_AGAIN;
}

static enum rc http1_look(struct doh *d, bool ended)
{
    struct http1_head head;
    size_t used, n;
    enum rc rc = http1_parse_response((const char *)d->in.p, d->in.n, &d->scanned, &head, &used);
    if (rc == RC_AGAIN)
        return rc;
    if (rc != RC_OK)
        return diag_set(&d->diag, RC_PROTO, "its answer is not HTTP");
    if (head.status != 200)
        return diag_set(&d->diag, RC_PROTO, "HTTP status %u", head.status);
    rc = body_of(d, &head, used, ended, &n);
    if (rc == RC_AGAIN)
        return rc;
    if (rc != RC_OK || n < DNS_HEAD_BYTES || n > DNS_MESSAGE_MAX)
        return diag_set(&d->diag, RC_PROTO, "an HTTP answer that can't be DNS");
    d->answer = d->in.p + used;
    d->answer_n = n;
    d->reusable = head.minor > 0 && !http1_has_token(&head, "Connection", "close") &&
                  d->in.n == used + n && http1_find(&head, "Transfer-Encoding", NULL) == NULL &&
                  !ended;
    return RC_OK;
}

enum rc doh_take(struct doh *d, const void *data, size_t n)
{
    enum rc rc = doh_add(&d->in, data, n, IN_MAX_BYTES);
    if (rc != RC_OK)
        return diag_set(&d->diag, rc, "its answer is too long");
    return d->h2 ? doh_h2_take(d) : http1_look(d, false);
}

enum rc doh_ended(struct doh *d)
{
    enum rc rc = d->h2 ? RC_AGAIN : http1_look(d, true);
    return rc == RC_AGAIN
               ? diag_set(&d->diag, RC_RESET, "it closed the connection without an answer")
               : rc;
}
