/* sniff/quic.c - see quic.h. */
#include "sniff/quic.h"

enum {
    FRAME_PADDING = 0x00,
    FRAME_PING = 0x01,
    FRAME_ACK = 0x02,
    FRAME_ACK_ECN = 0x03,
    FRAME_CRYPTO = 0x06,
    DATAGRAM_MIN_BYTES = 1200 /* of a client's first: RFC 9000 14.1 */
};

void quic_hello_start(struct quic_hello *q)
{
    q->version = 0;
    q->n = 0;
    memset(q->known, 0, sizeof q->known);
}

/* --- the hello, in pieces */

static bool is_known(const struct quic_hello *q, size_t at)
{
    return q->known[at / 8] & 1U << at % 8;
}

static enum rc take_piece(struct quic_hello *q, uint64_t offset, struct slice data)
{
    if (offset > sizeof q->bytes || data.n > sizeof q->bytes - offset)
        return RC_PROTO;
    for (size_t i = 0; i < data.n; i++) {
        size_t at = (size_t)offset + i;
        if (is_known(q, at))
            continue;
        q->known[at / 8] |= (uint8_t)(1U << at % 8);
        q->bytes[at] = (uint8_t)data.p[i];
    }
    while (q->n < sizeof q->bytes && is_known(q, q->n))
        q->n++;
    return RC_OK;
}

/* --- frames */

static bool skip_ack(struct rd *c, bool ecn)
{
    uint64_t v, ranges;

    if (!quic_varint(c, &v) || !quic_varint(c, &v) || !quic_varint(c, &ranges) ||
        !quic_varint(c, &v))
        return false;
    for (; ranges > 0; ranges--)
        if (!quic_varint(c, &v) || !quic_varint(c, &v))
            return false;
    return !ecn || (quic_varint(c, &v) && quic_varint(c, &v) && quic_varint(c, &v));
}

static enum rc read_crypto(struct quic_hello *q, struct rd *c)
{
    uint64_t offset, n;
    struct slice data;

    if (!quic_varint(c, &offset) || !quic_varint(c, &n) || n > rd_left(c) ||
        !rd_slice(c, (size_t)n, &data))
        return RC_PROTO;
    return take_piece(q, offset, data);
}

/* Anything else has no place in a client's first packets, or ends the connection. */
static enum rc read_frames(struct quic_hello *q, size_t n)
{
    struct rd c = rd_init(q->plain, n);
    enum rc rc = RC_OK;
    uint64_t type;

    while (rc == RC_OK && rd_left(&c) > 0) {
        if (!quic_varint(&c, &type))
            return RC_PROTO;
        if (type == FRAME_CRYPTO)
            rc = read_crypto(q, &c);
        else if (type == FRAME_ACK || type == FRAME_ACK_ECN)
            rc = skip_ack(&c, type == FRAME_ACK_ECN) ? RC_OK : RC_PROTO;
        else if (type != FRAME_PADDING && type != FRAME_PING)
            rc = RC_PROTO;
    }
    return rc;
}

/* --- packets */

static bool same_connection(const struct quic_hello *q, const struct quic_packet *p)
{
    return q->version == p->version && q->n_dcid == p->dcid.n &&
           memcmp(q->dcid, p->dcid.p, q->n_dcid) == 0;
}

/* RC_AGAIN: it says nothing to us. */
static enum rc read_initial(struct quic_hello *q, const struct quic_packet *p)
{
    struct quic_keys keys;
    size_t n;

    if (q->version && !same_connection(q, p))
        return RC_AGAIN;
    if (q->version)
        keys = q->keys;
    else if (!quic_client_keys(p->version, p->dcid, &keys))
        return RC_PROTO;
    enum rc rc = quic_packet_open(p, &keys, q->plain, sizeof q->plain, &n);
    if (rc != RC_OK)
        return q->version ? RC_AGAIN : RC_PROTO;
    if (!q->version) {
        q->version = p->version;
        q->keys = keys;
        q->n_dcid = p->dcid.n;
        memcpy(q->dcid, p->dcid.p, p->dcid.n);
    }
    return read_frames(q, n);
}

static enum rc read_hello(const struct quic_hello *q, struct sniffed *ret_found)
{
    struct tls_hello hello;
    size_t used;
    enum rc rc = tls_hello_message(q->bytes, q->n, &hello, &used);

    if (rc != RC_OK)
        return rc;
    *ret_found = (struct sniffed){.proto = SNIFF_QUIC, .outer = hello.ech};
    sniffed_set_name(ret_found, hello.name, 443);
    return RC_OK;
}

enum rc quic_hello_add(struct quic_hello *q, const void *datagram, size_t n,
                       struct sniffed *ret_found)
{
    const uint8_t *at = datagram;
    struct quic_packet p;
    enum rc rc = quic_packet_parse(at, n, &p);

    if (rc != RC_OK && !q->version)
        return rc;
    while (rc == RC_OK) {
        if (p.type == QUIC_INITIAL)
            rc = read_initial(q, &p);
        if (rc != RC_OK && rc != RC_AGAIN)
            return rc;
        at += p.bytes;
        n -= p.bytes;
        rc = n > 0 ? quic_packet_parse(at, n, &p) : RC_EOF;
    }
    rc = read_hello(q, ret_found);
    if (rc == RC_AGAIN)
        *ret_found = (struct sniffed){.proto = SNIFF_QUIC};
    return rc;
}

bool quic_is_beginning(const void *datagram, size_t n)
{
    const uint8_t *b = datagram;
    struct quic_packet p;

    if (quic_packet_parse(datagram, n, &p) == RC_OK)
        return p.type == QUIC_INITIAL;
    return n >= DATAGRAM_MIN_BYTES && (b[0] & 0x80) && (b[1] || b[2] || b[3] || b[4] > 1) &&
           b[5] <= QUIC_CID_MAX_BYTES;
}
