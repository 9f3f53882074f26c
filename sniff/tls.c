/* sniff/tls.c - see tls.h. */
#include "sniff/tls.h"
#include "core/addr.h"
#include <string.h>

enum {
    RECORD_HEADER_BYTES = 5,
    RECORD_HANDSHAKE = 22,
    RECORD_MAX_BYTES = 16384,
    HANDSHAKE_HEADER_BYTES = 4,
    CLIENT_HELLO = 1,
    SESSION_ID_MAX_BYTES = 32,
    EXT_SERVER_NAME = 0,
    EXT_ALPN = 16,
    EXT_SUPPORTED_VERSIONS = 43,
    EXT_ECH = 0xfe0d,
    EXT_ESNI = 0xffce,
    NAME_TYPE_HOST = 0
};

/* The bytes of a message wherever they lie: in one piece, or behind the headers of several records.
 * left counts message bytes; p never moves further than they reach, which whoever made the reader
 * has checked. Copies read on independently. */
struct hello_rd {
    const uint8_t *p;
    size_t in_record; /* message bytes before the next record header */
    size_t left;
};

static void skip_some(struct hello_rd *r, size_t n)
{
    while (n > 0) {
        if (r->in_record == 0) {
            r->in_record = (size_t)(r->p[3] << 8 | r->p[4]);
            r->p += RECORD_HEADER_BYTES;
        }
        size_t step = n < r->in_record ? n : r->in_record;
        r->p += step;
        r->in_record -= step;
        r->left -= step;
        n -= step;
    }
}

/* buf NULL: the bytes are skipped. */
static bool get(struct hello_rd *r, void *buf, size_t n)
{
    uint8_t *out = buf;

    if (r->left < n)
        return false;
    while (out && n > 0) {
        if (r->in_record == 0) {
            r->in_record = (size_t)(r->p[3] << 8 | r->p[4]);
            r->p += RECORD_HEADER_BYTES;
        }
        size_t step = n < r->in_record ? n : r->in_record;
        memcpy(out, r->p, step);
        skip_some(r, step);
        out += step;
        n -= step;
    }
    skip_some(r, n);
    return true;
}

static bool get_u8(struct hello_rd *r, size_t *ret_v)
{
    uint8_t b;

    if (!get(r, &b, 1))
        return false;
    *ret_v = b;
    return true;
}

static bool get_u16(struct hello_rd *r, size_t *ret_v)
{
    uint8_t b[2];

    if (!get(r, b, sizeof b))
        return false;
    *ret_v = (size_t)(b[0] << 8 | b[1]);
    return true;
}

/* The next n bytes as a reader of their own. */
static bool get_part(struct hello_rd *r, size_t n, struct hello_rd *ret_part)
{
    if (r->left < n)
        return false;
    *ret_part = *r;
    ret_part->left = n;
    return get(r, NULL, n);
}

static bool get_part_u8(struct hello_rd *r, struct hello_rd *ret_part)
{
    size_t n;
    return get_u8(r, &n) && get_part(r, n, ret_part);
}

static bool get_part_u16(struct hello_rd *r, struct hello_rd *ret_part)
{
    size_t n;
    return get_u16(r, &n) && get_part(r, n, ret_part);
}

/* 0x0a0a, 0x1a1a ... 0xfafa: said to keep others tolerant (RFC 8701) */
static bool is_grease(size_t v)
{
    return (v & 0x0f0f) == 0x0a0a && (v >> 8) == (v & 0xff);
}

/* --- extensions */

static bool read_name(struct hello_rd part, struct tls_hello *h)
{
    struct addr ip;
    size_t n = part.left;

    if (n == 0 || n > TLS_NAME_MAX_BYTES)
        return false;
    (void)get(&part, h->name, n); /* it has n */
    h->name[n] = '\0';
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)h->name[i];
        if (c <= 0x20 || c >= 0x7f)
            return false;
    }
    if (addr_parse_ip(h->name, n, &ip))
        h->name[0] = '\0';
    return true;
}

static bool read_server_name(struct hello_rd ext, struct tls_hello *h)
{
    struct hello_rd list, name;
    bool found = false;
    size_t type;

    if (!get_part_u16(&ext, &list) || ext.left > 0 || list.left == 0)
        return false;
    while (list.left > 0) {
        if (!get_u8(&list, &type) || !get_part_u16(&list, &name))
            return false;
        if (type != NAME_TYPE_HOST || found)
            continue;
        found = true;
        if (!read_name(name, h))
            return false;
    }
    return true;
}

static void add_alpn(struct hello_rd part, struct tls_hello *h)
{
    size_t at = strlen(h->alpn), n = part.left;

    if (at + n + 2 > sizeof h->alpn)
        return;
    if (at > 0)
        h->alpn[at++] = ',';
    (void)get(&part, h->alpn + at, n); /* it has n */
    h->alpn[at + n] = '\0';
    for (size_t i = at; i < at + n; i++)
        if (h->alpn[i] < 0x20 || h->alpn[i] == 0x7f)
            h->alpn[i] = '?'; /* the text goes into logs */
}

static bool read_alpn(struct hello_rd ext, struct tls_hello *h)
{
    struct hello_rd list, protocol, look;
    size_t grease = 0;

    if (!get_part_u16(&ext, &list) || ext.left > 0)
        return false;
    while (list.left > 0) {
        if (!get_part_u8(&list, &protocol) || protocol.left == 0)
            return false;
        look = protocol;
        if (protocol.left != 2 || !get_u16(&look, &grease) || !is_grease(grease))
            add_alpn(protocol, h);
    }
    return true;
}

static bool read_versions(struct hello_rd ext, struct tls_hello *h)
{
    struct hello_rd list;
    size_t version;

    if (!get_part_u8(&ext, &list) || ext.left > 0)
        return false;
    while (list.left > 0) {
        if (!get_u16(&list, &version))
            return false;
        if (!is_grease(version) && h->n_versions < TLS_VERSIONS_MAX)
            h->versions[h->n_versions++] = (uint16_t)version;
    }
    return true;
}

/* Of each kind the first counts. */
static bool read_extensions(struct hello_rd *r, struct tls_hello *h)
{
    struct hello_rd ext;
    bool name = false, alpn = false, versions = false, ok = true;
    size_t type;

    while (ok && r->left > 0) {
        if (!get_u16(r, &type) || !get_part_u16(r, &ext))
            return false;
        if (type == EXT_SERVER_NAME && !name)
            ok = name = read_server_name(ext, h);
        else if (type == EXT_ALPN && !alpn)
            ok = alpn = read_alpn(ext, h);
        else if (type == EXT_SUPPORTED_VERSIONS && !versions)
            ok = versions = read_versions(ext, h);
        else if (type == EXT_ECH || type == EXT_ESNI)
            h->ech = true;
    }
    return ok;
}

/* --- the message */

/* r: the body of the message, all of it there. */
static enum rc read_body(struct hello_rd r, struct tls_hello *ret_hello)
{
    struct tls_hello h = {.n_versions = 0};
    struct hello_rd part;

    if (!get(&r, NULL, 2 + 32)) /* version, random */
        return RC_PROTO;
    if (!get_part_u8(&r, &part) || part.left > SESSION_ID_MAX_BYTES)
        return RC_PROTO;
    if (!get_part_u16(&r, &part) || part.left < 2 || part.left % 2 != 0) /* ciphers */
        return RC_PROTO;
    if (!get_part_u8(&r, &part) || part.left < 1) /* compression */
        return RC_PROTO;
    if (r.left > 0 && (!get_part_u16(&r, &part) || r.left > 0 || !read_extensions(&part, &h)))
        return RC_PROTO;
    *ret_hello = h;
    return RC_OK;
}

/* The message header, of which n bytes are there. RC_OK: ret_bytes is the length with header. */
static enum rc check_header(const uint8_t *header, size_t n, size_t *ret_bytes)
{
    if (n > 0 && header[0] != CLIENT_HELLO)
        return RC_PROTO;
    if (n < HANDSHAKE_HEADER_BYTES)
        return RC_AGAIN;
    size_t body = (size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3];
    if (body + HANDSHAKE_HEADER_BYTES > TLS_HELLO_MAX_BYTES)
        return RC_PROTO;
    *ret_bytes = body + HANDSHAKE_HEADER_BYTES;
    return RC_OK;
}

enum rc tls_hello_message(const void *buf, size_t n, struct tls_hello *ret_hello, size_t *ret_used)
{
    struct hello_rd r = {.p = buf};
    size_t bytes;
    enum rc rc = check_header(buf, n, &bytes);

    if (rc != RC_OK || n < bytes)
        return rc != RC_OK ? rc : RC_AGAIN;
    r.left = r.in_record = bytes;
    (void)get(&r, NULL, HANDSHAKE_HEADER_BYTES);
    rc = read_body(r, ret_hello);
    if (rc == RC_OK)
        *ret_used = bytes;
    return rc;
}

/* The first bytes of a record header, as far as they are there. RC_OK: ret_body is its length. */
static enum rc check_record(const uint8_t *p, size_t n, size_t *ret_body)
{
    if ((n > 0 && p[0] != RECORD_HANDSHAKE) || (n > 1 && p[1] != 3))
        return RC_PROTO;
    if (n < RECORD_HEADER_BYTES)
        return RC_AGAIN;
    *ret_body = (size_t)(p[3] << 8 | p[4]);
    return *ret_body >= 1 && *ret_body <= RECORD_MAX_BYTES ? RC_OK : RC_PROTO;
}

enum rc tls_hello_records(const void *buf, size_t n, struct tls_hello *ret_hello, size_t *ret_used)
{
    const uint8_t *p = buf, *end = n > 0 ? p + n : p;
    uint8_t header[HANDSHAKE_HEADER_BYTES];
    size_t have = 0, bytes = TLS_HELLO_MAX_BYTES; /* of the message */

    while (have < bytes) {
        size_t body;
        enum rc rc = check_record(p, (size_t)(end - p), &body);
        if (rc != RC_OK)
            return rc;
        p += RECORD_HEADER_BYTES;
        size_t there = (size_t)(end - p) < body ? (size_t)(end - p) : body;
        size_t known = have < sizeof header ? have : sizeof header;
        for (size_t i = 0; i < there && known < sizeof header; i++)
            header[known++] = p[i];
        rc = check_header(header, known, &bytes);
        if (rc != RC_OK && rc != RC_AGAIN)
            return rc;
        if (there < body)
            return RC_AGAIN;
        have += body;
        p += body;
    }
    struct hello_rd r = {.p = buf, .left = bytes};
    (void)get(&r, NULL, HANDSHAKE_HEADER_BYTES);
    enum rc rc = read_body(r, ret_hello);
    if (rc == RC_OK)
        *ret_used = (size_t)(p - (const uint8_t *)buf);
    return rc;
}
