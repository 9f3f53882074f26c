/* core/wire/cursor.h - bounded reading and writing of wire formats (big-endian).
 *
 * A cursor can't step out of its buffer: a call that does not fit answers false and moves nothing.
 * Values, no ownership; the bytes behind a slice belong to whoever gave the buffer.
 */
#ifndef CORE_WIRE_CURSOR_H
#define CORE_WIRE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Some bytes of somebody else's buffer; not terminated. */
struct slice {
    const char *p;
    size_t n;
};

static inline struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static inline bool slice_equal(struct slice s, const char *text)
{
    size_t n = strlen(text);
    return s.n == n && (n == 0 || memcmp(s.p, text, n) == 0);
}

/* ASCII letters without regard to case. */
static inline bool slice_equal_nocase(struct slice s, const char *text)
{
    size_t n = strlen(text);
    if (s.n != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char a = (unsigned char)s.p[i], b = (unsigned char)text[i];
        if (a >= 'A' && a <= 'Z')
            a = (unsigned char)(a + ('a' - 'A'));
        if (b >= 'A' && b <= 'Z')
            b = (unsigned char)(b + ('a' - 'A'));
        if (a != b)
            return false;
    }
    return true;
}

struct rd {
    const uint8_t *p, *end;
};

static inline struct rd rd_init(const void *buf, size_t n)
{
    const uint8_t *p = buf;
    return (struct rd){p, n > 0 ? p + n : p};
}

static inline size_t rd_left(const struct rd *c)
{
    return (size_t)(c->end - c->p);
}

static inline bool rd_u8(struct rd *c, uint8_t *ret_v)
{
    if (rd_left(c) < 1)
        return false;
    *ret_v = *c->p++;
    return true;
}

static inline bool rd_u16(struct rd *c, uint16_t *ret_v)
{
    if (rd_left(c) < 2)
        return false;
    *ret_v = (uint16_t)(c->p[0] << 8 | c->p[1]);
    c->p += 2;
    return true;
}

static inline bool rd_slice(struct rd *c, size_t n, struct slice *ret_s)
{
    if (rd_left(c) < n)
        return false;
    *ret_s = (struct slice){(const char *)c->p, n};
    if (n > 0)
        c->p += n;
    return true;
}

static inline bool rd_bytes(struct rd *c, void *buf, size_t n)
{
    if (rd_left(c) < n)
        return false;
    if (n > 0) {
        memcpy(buf, c->p, n);
        c->p += n;
    }
    return true;
}

static inline bool rd_skip(struct rd *c, size_t n)
{
    struct slice ignored;
    return rd_slice(c, n, &ignored);
}

struct wr {
    uint8_t *start, *p, *end;
};

static inline struct wr wr_init(void *buf, size_t cap)
{
    uint8_t *p = buf;
    return (struct wr){p, p, cap > 0 ? p + cap : p};
}

static inline size_t wr_used(const struct wr *c)
{
    return (size_t)(c->p - c->start);
}

static inline bool wr_bytes(struct wr *c, const void *buf, size_t n)
{
    if ((size_t)(c->end - c->p) < n)
        return false;
    if (n > 0) {
        memcpy(c->p, buf, n);
        c->p += n;
    }
    return true;
}

static inline bool wr_u8(struct wr *c, uint8_t v)
{
    return wr_bytes(c, &v, 1);
}

static inline bool wr_u16(struct wr *c, uint16_t v)
{
    const uint8_t be[2] = {(uint8_t)(v >> 8), (uint8_t)(v & 0xff)};
    return wr_bytes(c, be, 2);
}

static inline bool wr_slice(struct wr *c, struct slice s)
{
    return wr_bytes(c, s.p, s.n);
}

static inline bool wr_text(struct wr *c, const char *text)
{
    return wr_bytes(c, text, strlen(text));
}

#endif
