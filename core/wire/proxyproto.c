/* core/wire/proxyproto.c - the PROXY protocol's header. Contract in core/wire/proxyproto.h.
 *
 * One byte at a time, whichever version: the first byte tells which. A version 2 header is its head
 * (signature, command, family, length), then a block of that length: addresses, then TLVs, of which
 * only the checksum is looked at (proxy-protocol.txt 2.2.2).
 */
#include "core/wire/proxyproto.h"
#include "core/wire/cursor.h"
#include <stdio.h>

enum {
    ST_SIGNATURE,
    ST_LINE,      /* version 1, up to its CRLF */
    ST_HEAD,      /* version 2: what follows the signature */
    ST_ADDRESSES, /* kept */
    ST_SKIP,      /* an address of no use to us, or a block without meaning */
    ST_TLV,
    ST_VALUE,
    ST_CHECKSUM,
    ST_END
};

enum {
    SIGNATURE_BYTES = 12,
    INET_BYTES = 12,
    INET6_BYTES = 36,
    UNIX_BYTES = 216,
    TLV_BYTES = 3,
    TLV_CRC32C = 3,
    COMMAND_LOCAL = 0x20,
    COMMAND_PROXY = 0x21,
    FAMILY_INET = 1,
    FAMILY_INET6 = 2,
    FAMILY_UNIX = 3,
    TRANSPORT_STREAM = 1,
    TRANSPORT_DGRAM = 2
};

static const char line_start[] = "PROXY ";
static const uint8_t signature[SIGNATURE_BYTES] = "\r\n\r\n\0\r\nQUIT\n";

/* CRC32c (RFC 3309), reflected, four bits a step. */
static uint32_t crc_add(uint32_t crc, uint8_t byte)
{
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
                                       0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                       0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};

    crc ^= byte;
    crc = crc >> 4 ^ table[crc & 15];
    return crc >> 4 ^ table[crc & 15];
}

void proxyproto_init(struct proxyproto *p)
{
    *p = (struct proxyproto){.outcome = PROXYPROTO_NONE, .state = ST_SIGNATURE, .crc = UINT32_MAX};
}

bool proxyproto_is_header(const struct proxyproto *p)
{
    return p->state != ST_SIGNATURE && (p->state != ST_END || p->outcome != PROXYPROTO_NONE);
}

static enum rc bad(struct proxyproto *p, const char *why)
{
    p->outcome = PROXYPROTO_NOBODY;
    p->state = ST_END;
    p->why = why;
    return RC_PROTO;
}

static enum rc done(struct proxyproto *p, enum proxyproto_outcome outcome)
{
    p->outcome = outcome;
    p->state = ST_END;
    return RC_OK;
}

/* ---------------------------------------------------------------- version 1 */

/* The next word: up to one blank, which is stepped over, or the end. */
static struct slice read_word(struct rd *c)
{
    struct slice word;
    const uint8_t *blank = rd_left(c) > 0 ? memchr(c->p, ' ', rd_left(c)) : NULL;

    (void)rd_slice(c, blank ? (size_t)(blank - c->p) : rd_left(c), &word); /* they are there */
    (void)rd_skip(c, blank != NULL);
    return word;
}

static bool parse_ip(struct slice word, uint8_t family, struct addr *ret_a)
{
    for (size_t i = 0; i < word.n; i++) /* no zones, nothing that ends a text early */
        if (!memchr("0123456789abcdefABCDEF.:", word.p[i], 24))
            return false;
    /* addr_parse_ip() may make IPv4 of a mapped address: the text tells which it is */
    bool is_v6 = word.n > 0 && memchr(word.p, ':', word.n) != NULL;
    return is_v6 == (family == AF_INET6) && addr_parse_ip(word.p, word.n, ret_a);
}

static bool parse_port(struct slice word, uint16_t *ret_port)
{
    uint32_t port = 0;

    if (word.n == 0 || word.n > 5 || (word.n > 1 && word.p[0] == '0'))
        return false;
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] < '0' || word.p[i] > '9')
            return false;
        port = port * 10 + (uint32_t)(word.p[i] - '0');
    }
    *ret_port = (uint16_t)port;
    return port <= UINT16_MAX;
}

static enum rc parse_line(struct proxyproto *p)
{
    struct rd c = rd_init(p->kept + sizeof line_start - 1, p->n_kept - (sizeof line_start - 1) - 2);
    struct slice family = read_word(&c);
    bool is_v6 = slice_equal(family, "TCP6");
    uint16_t from, to;

    if (slice_equal(family, "UNKNOWN"))
        return done(p, PROXYPROTO_NOBODY);
    if (!is_v6 && !slice_equal(family, "TCP4"))
        return bad(p, "the family is none of TCP4, TCP6 and UNKNOWN");
    struct slice source = read_word(&c), dest = read_word(&c), from_text = read_word(&c);
    struct slice to_text = {(const char *)c.p, rd_left(&c)};
    if (!parse_ip(source, is_v6 ? AF_INET6 : AF_INET, &p->source))
        return bad(p, "the source address is not one of its family");
    if (!parse_ip(dest, is_v6 ? AF_INET6 : AF_INET, &p->dest))
        return bad(p, "the destination address is not one of its family");
    if (!parse_port(from_text, &from))
        return bad(p, "the source port is not a number up to 65535");
    if (!parse_port(to_text, &to))
        return bad(p, "the destination port is not a number up to 65535 that ends the line");
    p->source.port = from;
    p->dest.port = to;
    p->source = addr_unmap(p->source);
    p->dest = addr_unmap(p->dest);
    return done(p, PROXYPROTO_ANNOUNCED);
}

static enum rc on_line(struct proxyproto *p, uint8_t byte)
{
    p->kept[p->n_kept++] = byte;
    if (byte == '\n')
        return p->kept[p->n_kept - 2] == '\r' ? parse_line(p)
                                              : bad(p, "the line does not end with CR LF");
    if (p->n_kept == sizeof p->kept)
        return bad(p, "the line is longer than 107 bytes");
    return RC_AGAIN;
}

/* ---------------------------------------------------------------- version 2 */

/* The next TLV begins, or the block ends. */
static enum rc next_tlv(struct proxyproto *p)
{
    p->state = ST_TLV;
    p->n_tlv = 0;
    if (p->left > 0)
        return p->left < TLV_BYTES ? bad(p, "the last TLV is cut") : RC_AGAIN;
    if (p->has_crc && ~p->crc != p->crc_told)
        return bad(p, "its checksum is wrong");
    return done(p, p->source.family ? PROXYPROTO_ANNOUNCED : PROXYPROTO_NOBODY);
}

static enum rc on_tlv_head(struct proxyproto *p)
{
    p->need = (uint32_t)p->tlv[1] << 8 | p->tlv[2];
    p->state = ST_VALUE;
    if (p->need > p->left)
        return bad(p, "a TLV is longer than the header");
    if (p->tlv[0] == TLV_CRC32C) {
        if (p->need != 4 || p->has_crc)
            return bad(p, "its checksum is not one of four bytes");
        p->has_crc = true;
        p->state = ST_CHECKSUM;
    }
    return p->need > 0 ? RC_AGAIN : next_tlv(p);
}

/* A block or a part of it of which nothing is kept; then TLVs, unless it goes to the end. */
static enum rc skip(struct proxyproto *p, uint32_t n)
{
    p->state = ST_SKIP;
    p->need = n;
    return p->left > 0 ? RC_AGAIN : done(p, PROXYPROTO_NOBODY);
}

static enum rc on_head(struct proxyproto *p)
{
    uint8_t command = p->kept[SIGNATURE_BYTES], family = p->kept[SIGNATURE_BYTES + 1] >> 4,
            transport = p->kept[SIGNATURE_BYTES + 1] & 15;
    static const uint32_t need[] = {0, INET_BYTES, INET6_BYTES, UNIX_BYTES};

    p->left = (uint32_t)p->kept[SIGNATURE_BYTES + 2] << 8 | p->kept[SIGNATURE_BYTES + 3];
    if (command == COMMAND_LOCAL) /* the block is to be discarded, family and all */
        return skip(p, p->left);
    if (command != COMMAND_PROXY)
        return bad(p, command >> 4 == 2 ? "the command is neither LOCAL nor PROXY"
                                        : "the version is not 2");
    if (family > FAMILY_UNIX || transport > TRANSPORT_DGRAM)
        return bad(p, "the family or the transport is unknown");
    if (family == 0 || transport == 0)
        return skip(p, p->left);
    if (need[family] > p->left)
        return bad(p, "its length is too short for its addresses");
    if (family == FAMILY_UNIX)
        return skip(p, UNIX_BYTES);
    p->need = need[family];
    p->state = ST_ADDRESSES;
    return RC_AGAIN;
}

static void read_addresses(struct proxyproto *p)
{
    const uint8_t *v = p->kept + PROXYPROTO_HEAD_BYTES;
    struct rd ports;

    if (p->n_kept == PROXYPROTO_HEAD_BYTES + INET_BYTES) {
        ports = rd_init(v + 8, 4);
        p->source = addr_v4(v, 0);
        p->dest = addr_v4(v + 4, 0);
    } else {
        ports = rd_init(v + 32, 4);
        p->source = addr_unmap(addr_v6(v, 0));
        p->dest = addr_unmap(addr_v6(v + 16, 0));
    }
    (void)rd_u16(&ports, &p->source.port); /* both are there */
    (void)rd_u16(&ports, &p->dest.port);
}

static enum rc on_block(struct proxyproto *p, uint8_t byte)
{
    p->crc = crc_add(p->crc, p->state == ST_CHECKSUM ? 0 : byte);
    p->left--;
    if (p->state == ST_TLV) {
        p->tlv[p->n_tlv++] = byte;
        return p->n_tlv == TLV_BYTES ? on_tlv_head(p) : RC_AGAIN;
    }
    if (p->state == ST_ADDRESSES)
        p->kept[p->n_kept++] = byte;
    if (p->state == ST_CHECKSUM)
        p->crc_told = p->crc_told << 8 | byte;
    if (--p->need > 0)
        return RC_AGAIN;
    if (p->state == ST_ADDRESSES)
        read_addresses(p);
    return next_tlv(p);
}

/* ---------------------------------------------------------------- both */

static enum rc on_signature(struct proxyproto *p, uint8_t byte)
{
    bool is_line = (p->n_kept > 0 ? p->kept[0] : byte) == (uint8_t)line_start[0];

    p->kept[p->n_kept++] = byte;
    if (is_line && p->n_kept == sizeof line_start - 1)
        p->state = ST_LINE;
    if (!is_line && p->n_kept == SIGNATURE_BYTES)
        p->state = ST_HEAD;
    return RC_AGAIN;
}

/* May this byte stand here in one of the two signatures? */
static bool fits(const struct proxyproto *p, uint8_t byte)
{
    size_t at = p->n_kept;

    if (at == 0)
        return byte == (uint8_t)line_start[0] || byte == signature[0];
    return byte == (p->kept[0] == signature[0] ? signature[at] : (uint8_t)line_start[at]);
}

static enum rc on_byte(struct proxyproto *p, uint8_t byte)
{
    if (p->state == ST_SIGNATURE)
        return on_signature(p, byte);
    if (p->state == ST_LINE)
        return on_line(p, byte);
    if (p->state != ST_HEAD)
        return on_block(p, byte);
    p->kept[p->n_kept++] = byte;
    if (p->n_kept < PROXYPROTO_HEAD_BYTES)
        return RC_AGAIN;
    for (size_t i = 0; i < PROXYPROTO_HEAD_BYTES; i++)
        p->crc = crc_add(p->crc, p->kept[i]);
    return on_head(p);
}

enum rc proxyproto_feed(struct proxyproto *p, const void *buf, size_t n, size_t *ret_used)
{
    const uint8_t *bytes = buf;
    enum rc rc = RC_AGAIN;
    size_t i = 0;

    while (i < n && rc == RC_AGAIN) {
        if (p->state == ST_SIGNATURE && !fits(p, bytes[i]))
            rc = done(p, PROXYPROTO_NONE);
        else
            rc = on_byte(p, bytes[i++]);
    }
    *ret_used = i;
    return rc;
}

/* ---------------------------------------------------------------- sending */

static size_t format_line(const struct addr *source, const struct addr *dest, char *buf, size_t cap)
{
    char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];
    int n;

    if (source)
        n = snprintf(buf, cap, "PROXY TCP%c %s %s %u %u\r\n", source->family == AF_INET ? '4' : '6',
                     addr_format_ip(source, from, sizeof from), addr_format_ip(dest, to, sizeof to),
                     source->port, dest->port);
    else
        n = snprintf(buf, cap, "PROXY UNKNOWN\r\n");
    BUG_ON(n <= 0 || (size_t)n > PROXYPROTO_LINE_MAX_BYTES);
    return (size_t)n;
}

size_t proxyproto_format(int64_t version, const struct addr *source, const struct addr *dest,
                         uint8_t ret_buf[static PROXYPROTO_LINE_MAX_BYTES])
{
    struct addr from = addr_unmap(*source), to = addr_unmap(*dest);
    bool known = from.family != 0 && from.family == to.family;
    size_t ip_bytes = addr_ip_bytes(&from);
    char line[PROXYPROTO_LINE_MAX_BYTES + 1];

    from.scope = to.scope = 0; /* of this machine, nobody else's */
    if (version == 1) {
        size_t n = format_line(known ? &from : NULL, &to, line, sizeof line);
        memcpy(ret_buf, line, n);
        return n;
    }
    struct wr c = wr_init(ret_buf, PROXYPROTO_LINE_MAX_BYTES);
    bool ok = wr_bytes(&c, signature, sizeof signature);
    if (known)
        ok = ok && wr_u8(&c, COMMAND_PROXY) &&
             wr_u8(&c, (uint8_t)((from.family == AF_INET ? FAMILY_INET : FAMILY_INET6) << 4 |
                                 TRANSPORT_STREAM)) &&
             wr_u16(&c, (uint16_t)(2 * ip_bytes + 4)) && wr_bytes(&c, from.ip, ip_bytes) &&
             wr_bytes(&c, to.ip, ip_bytes) && wr_u16(&c, from.port) && wr_u16(&c, to.port);
    else
        ok = ok && wr_u8(&c, COMMAND_LOCAL) && wr_u8(&c, 0) && wr_u16(&c, 0);
    BUG_ON(!ok);
    return wr_used(&c);
}
