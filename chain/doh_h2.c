/* chain/doh_h2.c - as much of HTTP/2 (RFC 9113) and HPACK (RFC 7541) as a POST and its answer need:
 * one stream at a time, no push, no dynamic table; an answer fits into a stream's first window, and
 * the connection's is opened anew with each question. Of the answer's head only :status is read,
 * which comes first.
 */
#include "chain/doh.h"
#include "core/wire/cursor.h"
#include "core/wire/dns.h"
#include <stdio.h>
#include <string.h>

enum {
    FRAME_HEAD_BYTES = 9,
    FRAME_MAX_BYTES = 16384, /* what we leave it at */
    BLOCK_MAX_BYTES = 16384,
    DATA = 0,
    HEADERS = 1,
    RST_STREAM = 3,
    SETTINGS = 4,
    PUSH_PROMISE = 5,
    PING = 6,
    GOAWAY = 7,
    CONTINUATION = 9,
    ACK = 1,
    END_STREAM = 1,
    END_HEADERS = 4,
    PADDED = 8,
    PRIORITY = 0x20,
    WINDOW_UPDATE = 8,
    STREAM_LAST = 1 << 30,
    STATUS_FIRST = 8,
    STATUS_LAST = 14 /* the static table's :status 200 .. 500 */
};

static enum rc put_frame(struct doh *d, uint8_t type, uint8_t flags, uint32_t stream,
                         const void *payload, size_t n)
{
    uint8_t head[FRAME_HEAD_BYTES] = {(uint8_t)(n >> 16),
                                      (uint8_t)(n >> 8),
                                      (uint8_t)n,
                                      type,
                                      flags,
                                      (uint8_t)(stream >> 24),
                                      (uint8_t)(stream >> 16),
                                      (uint8_t)(stream >> 8),
                                      (uint8_t)stream};
    enum rc rc = doh_add(&d->out, head, sizeof(head), DOH_BYTES_MAX);
    return rc == RC_OK ? doh_add(&d->out, payload, n, DOH_BYTES_MAX) : rc;
}

/* ---------------------------------------------------------------- the request */

/* A field with a name of the static table, not indexed, its value not coded. */
static bool put_field(struct doh_bytes *b, unsigned name, const char *value)
{
    uint8_t head[8];
    size_t n = 0, len = strlen(value);
    if (name < 15) {
        head[n++] = (uint8_t)name;
    } else {
        head[n++] = 15;
        head[n++] = (uint8_t)(name - 15); /* below 128 */
    }
    if (len < 127) {
        head[n++] = (uint8_t)len;
    } else {
        size_t rest = len - 127;
        head[n++] = 127;
        for (; rest >= 128; rest /= 128)
            head[n++] = (uint8_t)(rest % 128 + 128);
        head[n++] = (uint8_t)rest;
    }
    return len <= 1024 && doh_add(b, head, n, FRAME_MAX_BYTES) == RC_OK &&
           doh_add(b, value, len, FRAME_MAX_BYTES) == RC_OK;
}

enum rc doh_h2_begin(struct doh *d, const struct doh_cfg *cfg)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    static const uint8_t settings[] = {0, 1, 0, 0, 0, 0,  /* HEADER_TABLE_SIZE 0 */
                                       0, 2, 0, 0, 0, 0}; /* ENABLE_PUSH 0 */
    static const uint8_t post_https[] = {0x83, 0x87};
    char length[24];
    if (cfg->n > FRAME_MAX_BYTES)
        return RC_LIMIT;
    (void)snprintf(length, sizeof(length), "%zu", cfg->n);
    const uint32_t stream = d->stream == 0 ? 1 : d->stream + 2;
    const uint8_t room[] = {(uint8_t)(d->taken >> 24), (uint8_t)(d->taken >> 16),
                            (uint8_t)(d->taken >> 8), (uint8_t)d->taken};
    bool ok =
        doh_add(&d->block, post_https, sizeof(post_https), BLOCK_MAX_BYTES) == RC_OK &&
        put_field(&d->block, 4, cfg->path) && put_field(&d->block, 1, cfg->authority) &&
        put_field(&d->block, 31, "application/dns-message") &&
        put_field(&d->block, 19, "application/dns-message") && put_field(&d->block, 28, length) &&
        (stream > 1 || (doh_add(&d->out, preface, sizeof(preface) - 1, DOH_BYTES_MAX) == RC_OK &&
                        put_frame(d, SETTINGS, 0, 0, settings, sizeof(settings)) == RC_OK)) &&
        (d->taken == 0 || put_frame(d, WINDOW_UPDATE, 0, 0, room, sizeof(room)) == RC_OK) &&
        put_frame(d, HEADERS, END_HEADERS, stream, d->block.p, d->block.n) == RC_OK &&
        put_frame(d, DATA, END_STREAM, stream, cfg->query, cfg->n) == RC_OK;
    d->block.n = 0;
    d->stream = stream;
    d->taken = 0;
    return ok ? RC_OK : RC_NOMEM;
}

/* ---------------------------------------------------------------- the answer's head */

/* A Huffman-coded digit: 0 to 2 have five bits, 3 to 9 six (RFC 7541 appendix B). */
static bool huffman_digit(unsigned bits, unsigned *at, unsigned *ret_digit)
{
    unsigned five = bits >> (27 - *at) & 0x1f, six = bits >> (26 - *at) & 0x3f;
    *ret_digit = five < 3 ? five : six - 0x19 + 3;
    *at += five < 3 ? 5 : 6;
    return five < 3 || (six >= 0x19 && six <= 0x1f);
}

static enum rc status_text(struct rd *c, unsigned *ret_status)
{
    uint8_t head, v[3];
    unsigned digit[3], at = 0;
    if (!rd_u8(c, &head) || (head & 0x7f) > 3 || (head & 0x7f) == 0)
        return RC_PROTO;
    size_t n = head & 0x7f;
    if (!rd_bytes(c, v, n) || ((head & 0x80) == 0 && n != 3))
        return RC_PROTO;
    unsigned bits = (unsigned)v[0] << 24 | (n > 1 ? (unsigned)v[1] << 16 : 0xff0000u) |
                    (n > 2 ? (unsigned)v[2] << 8 : 0xff00u) | 0xffu;
    for (int i = 0; i < 3; i++) {
        if ((head & 0x80) == 0) {
            digit[i] = (unsigned)v[i] - '0';
            if (digit[i] > 9)
                return RC_PROTO;
        } else if (!huffman_digit(bits, &at, &digit[i])) {
            return RC_PROTO;
        }
    }
    *ret_status = digit[0] * 100 + digit[1] * 10 + digit[2];
    return RC_OK;
}

static enum rc read_status(const struct doh_bytes *block, unsigned *ret_status)
{
    static const uint16_t known[] = {200, 204, 206, 304, 400, 404, 500};
    struct rd c = rd_init(block->p, block->n);
    uint8_t b;
    do {
        if (!rd_u8(&c, &b))
            return RC_PROTO;
    } while ((b & 0xe0) == 0x20 && (b & 0x1f) != 0x1f); /* a new size of the table: 0 to 30 */
    if (b >= 0x80) {
        if ((b & 0x7f) < STATUS_FIRST || (b & 0x7f) > STATUS_LAST)
            return RC_PROTO;
        *ret_status = known[(b & 0x7f) - STATUS_FIRST];
        return RC_OK;
    }
    unsigned name = (b & 0xc0) == 0x40 ? b & 0x3f : b & 0x0f;
    if (name < STATUS_FIRST || name > STATUS_LAST)
        return RC_PROTO;
    return status_text(&c, ret_status);
}

static enum rc on_block(struct doh *d)
{
    unsigned status;
    d->block_open = false;
    if (d->answered) /* trailers */
        return RC_OK;
    if (read_status(&d->block, &status) != RC_OK)
        return diag_set(&d->diag, RC_PROTO, "an HTTP/2 head without a status");
    d->block.n = 0;
    if (status >= 100 && status < 200)
        return RC_OK;
    d->answered = true;
    return status == 200 ? RC_OK : diag_set(&d->diag, RC_PROTO, "HTTP status %u", status);
}

/* ---------------------------------------------------------------- frames */

struct frame {
    uint8_t type, flags;
    uint32_t stream;
    const uint8_t *p;
    size_t n;
};

static bool strip(struct frame *f)
{
    size_t pad = 0, lead = (f->type == HEADERS && (f->flags & PRIORITY) != 0) ? 5 : 0;
    if ((f->flags & PADDED) != 0) {
        if (f->n == 0)
            return false;
        pad = f->p[0];
        lead++;
    }
    if (lead + pad > f->n)
        return false;
    f->p += lead;
    f->n -= lead + pad;
    return true;
}

static enum rc malformed(struct doh *d)
{
    return diag_set(&d->diag, RC_PROTO, "its HTTP/2 is malformed");
}

/* RC_OK: go on with the next one. */
static enum rc on_head_frame(struct doh *d, struct frame *f)
{
    bool more = f->type == CONTINUATION;
    if (f->stream != d->stream || d->reusable || more != d->block_open || (!more && !strip(f)))
        return malformed(d);
    d->block_open = true;
    d->block_ends = more ? d->block_ends : (f->flags & END_STREAM) != 0;
    if (doh_add(&d->block, f->p, f->n, BLOCK_MAX_BYTES) != RC_OK)
        return diag_set(&d->diag, RC_LIMIT, "its HTTP/2 head is too long");
    return (f->flags & END_HEADERS) != 0 ? on_block(d) : RC_OK;
}

/* What the server still answers, it answers. */
static enum rc on_goaway(struct doh *d, const struct frame *f)
{
    struct rd c = rd_init(f->p, f->n);
    uint16_t high, low, error_high, error_low;
    if (!rd_u16(&c, &high) || !rd_u16(&c, &low) || !rd_u16(&c, &error_high) ||
        !rd_u16(&c, &error_low))
        return malformed(d);
    uint32_t last = ((uint32_t)high << 16 | low) & INT32_MAX;
    if (d->reusable || last < d->stream || error_high != 0 || error_low != 0)
        return diag_set(&d->diag, RC_RESET, "HTTP/2 error %u of the server", error_low);
    d->leaving = true;
    return RC_OK;
}

static enum rc on_frame(struct doh *d, struct frame *f)
{
    if (d->block_open && f->type != CONTINUATION)
        return malformed(d);
    switch (f->type) {
    case HEADERS:
    case CONTINUATION:
        return on_head_frame(d, f);
    case DATA:
        d->taken += (uint32_t)f->n;
        if (f->stream != d->stream || d->reusable || !d->answered || !strip(f) ||
            doh_add(&d->body, f->p, f->n, DNS_MESSAGE_MAX) != RC_OK)
            return malformed(d);
        return RC_OK;
    case SETTINGS:
        if ((f->flags & ACK) != 0)
            return RC_OK;
        return put_frame(d, SETTINGS, ACK, 0, NULL, 0);
    case PING:
        if (f->n != 8)
            return malformed(d);
        return (f->flags & ACK) != 0 ? RC_OK : put_frame(d, PING, ACK, 0, f->p, f->n);
    case RST_STREAM:
        if (f->n != 4)
            return malformed(d);
        if (f->stream != d->stream || d->reusable) /* of a question that was answered */
            return RC_OK;
        return diag_set(&d->diag, RC_RESET, "HTTP/2 error %u of the server", f->p[3]);
    case GOAWAY:
        return on_goaway(d, f);
    case PUSH_PROMISE:
        return malformed(d);
    default: /* PRIORITY, WINDOW_UPDATE, and those that nobody knows */
        return RC_OK;
    }
}

static enum rc look_at_end(struct doh *d)
{
    if (!d->answered || d->body.n < DNS_HEAD_BYTES)
        return diag_set(&d->diag, RC_PROTO, "an HTTP answer that can't be DNS");
    d->answer = d->body.p;
    d->answer_n = d->body.n;
    d->reusable = !d->leaving && d->stream < STREAM_LAST;
    return RC_OK;
}

enum rc doh_h2_take(struct doh *d)
{
    size_t at = 0;
    enum rc rc = RC_AGAIN;
    while (rc == RC_AGAIN && d->in.n - at >= FRAME_HEAD_BYTES) {
        const uint8_t *p = d->in.p + at;
        struct frame f = {.type = p[3],
                          .flags = p[4],
                          .stream = (uint32_t)(p[5] & 0x7f) << 24 | (uint32_t)p[6] << 16 |
                                    (uint32_t)p[7] << 8 | p[8],
                          .p = p + FRAME_HEAD_BYTES,
                          .n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2]};
        if (f.n > FRAME_MAX_BYTES)
            return malformed(d);
        if (d->in.n - at - FRAME_HEAD_BYTES < f.n)
            break;
        at += FRAME_HEAD_BYTES + f.n;
        bool head = f.type == HEADERS || f.type == CONTINUATION;
        bool ends = f.type == DATA && (f.flags & END_STREAM) != 0;
        rc = on_frame(d, &f);
        if (rc != RC_OK)
            return diag_set(&d->diag, rc, "no room for HTTP/2");
        ends = ends || (head && !d->block_open && d->block_ends && d->answered);
        rc = ends ? look_at_end(d) : RC_AGAIN;
    }
    if (at > 0) {
        memmove(d->in.p, d->in.p + at, d->in.n - at);
        d->in.n -= at;
    }
    return rc;
}
