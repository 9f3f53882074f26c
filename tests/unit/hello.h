/* tests/unit/hello.h - makes TLS ClientHellos: the message, and the records that carry it. */
#ifndef TESTS_UNIT_HELLO_H
#define TESTS_UNIT_HELLO_H

#include "core/wire/cursor.h"
#include <stdlib.h>

struct hello {
    const char *name, *second_name; /* NULL: none */
    const char *alpn;               /* one protocol, or NULL */
    size_t pad;                     /* bytes of a padding extension, 0: none */
    bool ech, grease;
};

static inline void hello_put(bool ok)
{
    if (!ok)
        abort();
}

static inline void hello_ext(struct wr *w, unsigned type, const void *data, size_t n)
{
    hello_put(wr_u16(w, (uint16_t)type) && wr_u16(w, (uint16_t)n) && wr_bytes(w, data, n));
}

static inline void hello_name(struct wr *w, const char *name)
{
    uint8_t ext[300];
    size_t n = strlen(name);
    struct wr e = wr_init(ext, sizeof ext);

    hello_put(wr_u16(&e, (uint16_t)(n + 3)) && wr_u8(&e, 0) && wr_u16(&e, (uint16_t)n) &&
              wr_bytes(&e, name, n));
    hello_ext(w, 0, ext, wr_used(&e));
}

/* The handshake message; returns its length. */
static inline size_t hello_message(const struct hello *h, uint8_t *buf, size_t cap)
{
    static const uint8_t random[32] = {1, 2, 3};
    static const uint8_t zeros[65535];
    struct wr w = wr_init(buf, cap);

    hello_put(wr_bytes(&w, "\x01\0\0\0\x03\x03", 6) && wr_bytes(&w, random, 32) && wr_u8(&w, 32) &&
              wr_bytes(&w, random, 32));
    if (h->grease)
        hello_put(wr_u16(&w, 4) && wr_u16(&w, 0x1a1a) && wr_u16(&w, 0x1301));
    else
        hello_put(wr_u16(&w, 2) && wr_u16(&w, 0x1301));
    hello_put(wr_u8(&w, 1) && wr_u8(&w, 0));
    size_t at = wr_used(&w);
    hello_put(wr_u16(&w, 0));
    if (h->grease) {
        hello_ext(&w, 0x2a2a, NULL, 0);
        hello_ext(&w, 0xfafa, zeros, 1);
    }
    if (h->pad > 0)
        hello_ext(&w, 21, zeros, h->pad);
    if (h->name)
        hello_name(&w, h->name);
    if (h->second_name)
        hello_name(&w, h->second_name);
    if (h->alpn) {
        uint8_t ext[64];
        struct wr e = wr_init(ext, sizeof ext);
        size_t n = strlen(h->alpn);
        hello_put(wr_u16(&e, (uint16_t)(n + 1 + (h->grease ? 3 : 0))) &&
                  (!h->grease || wr_bytes(&e, "\x02\x3a\x3a", 3)) && wr_u8(&e, (uint8_t)n) &&
                  wr_bytes(&e, h->alpn, n));
        hello_ext(&w, 16, ext, wr_used(&e));
    }
    if (h->ech)
        hello_ext(&w, 0xfe0d, zeros, 40);
    hello_ext(&w, 43, "\x02\x03\x04", 3);
    size_t all = wr_used(&w), ext = all - at - 2, body = all - 4;
    buf[at] = (uint8_t)(ext >> 8);
    buf[at + 1] = (uint8_t)ext;
    buf[1] = (uint8_t)(body >> 16);
    buf[2] = (uint8_t)(body >> 8);
    buf[3] = (uint8_t)body;
    return all;
}

/* The message in records of at most `record` bytes. */
static inline size_t hello_records(const uint8_t *msg, size_t n, size_t record, uint8_t *buf,
                                   size_t cap)
{
    struct wr w = wr_init(buf, cap);

    while (n > 0) {
        size_t part = n < record ? n : record;
        hello_put(wr_u8(&w, 22) && wr_u16(&w, 0x0301) && wr_u16(&w, (uint16_t)part) &&
                  wr_bytes(&w, msg, part));
        msg += part;
        n -= part;
    }
    return wr_used(&w);
}

#endif
