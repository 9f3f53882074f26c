/* tests/unit/vectors.h - reads tests/vectors/NAME.txt (format at the top of each) and runs a
 * decoder over every vector: whole, at every truncation, and grown byte by byte.
 *
 * A decoder gets bytes and answers with a result, the bytes used, and "key=value" pairs; those that
 * the vector expects are compared. Truncations live in buffers of exactly their size, so that a
 * sanitizer sees a read past the end.
 */
#ifndef TESTS_UNIT_VECTORS_H
#define TESTS_UNIT_VECTORS_H

#include "core/rc.h"
#include "core/wire/cursor.h"
#include "run.h"
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { VECTOR_LINE_MAX = 16384, VECTOR_BYTES_MAX = 4096, PAIRS_MAX = 2048 };

struct vector {
    char name[128], dir[16], expect[1024];
    uint8_t bytes[VECTOR_BYTES_MAX];
    size_t n;
};

/* "key=value;" in a row. */
struct pairs {
    char text[PAIRS_MAX];
    size_t n;
};

typedef enum rc vector_decode_fn(const struct vector *v, const uint8_t *buf, size_t len,
                                 struct pairs *out, size_t *ret_used);
/* Given a vector that decodes: the bytes that our formatter makes of it; false: not for this one.
 */
typedef bool vector_encode_fn(const struct vector *v, uint8_t *buf, size_t cap, size_t *ret_n);
typedef bool vector_pick_fn(const struct vector *v);

static inline void pairs_add(struct pairs *p, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static inline void pairs_add(struct pairs *p, const char *key, const char *fmt, ...)
{
    va_list ap;
    p->n += (size_t)snprintf(p->text + p->n, sizeof p->text - p->n, ";%s=", key);
    ck_assert_uint_lt(p->n, sizeof p->text);
    va_start(ap, fmt);
    p->n += (size_t)vsnprintf(p->text + p->n, sizeof p->text - p->n, fmt, ap);
    va_end(ap);
    ck_assert_uint_lt(p->n, sizeof p->text);
}

/* Bytes outside the vectors' safe set make the value hex:... */
static inline void pairs_bytes(struct pairs *p, const char *key, const void *bytes, size_t n)
{
    static const char safe[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/+*@,=-";
    const unsigned char *b = bytes;
    char text[PAIRS_MAX / 2] = "";
    bool plain = n < sizeof text;
    for (size_t i = 0; i < n; i++)
        plain = plain && b[i] && strchr(safe, b[i]);
    if (plain) {
        if (n > 0)
            memcpy(text, b, n);
        pairs_add(p, key, "%s", text);
        return;
    }
    for (size_t i = 0; i < n && 2 * i + 2 < sizeof text; i++)
        snprintf(text + 2 * i, 3, "%02x", b[i]);
    pairs_add(p, key, "hex:%s", text);
}

static inline bool vector_parse(char *line, struct vector *v)
{
    char *field[5], *p = line;
    if (line[0] == '#' || line[0] == '\n')
        return false;
    for (int i = 0; i < 5; i++) {
        field[i] = p;
        p = i < 4 ? strstr(p, " | ") : p + strlen(p);
        ck_assert_msg(p != NULL, "bad vector line %s", line);
        if (i < 4) {
            *p = '\0';
            p += 3;
        }
    }
    snprintf(v->name, sizeof v->name, "%s", field[0]);
    snprintf(v->dir, sizeof v->dir, "%s", field[1]);
    snprintf(v->expect, sizeof v->expect, "%s", field[3]);
    v->n = strcmp(field[2], "-") == 0 ? 0 : strlen(field[2]) / 2;
    ck_assert_uint_le(v->n, sizeof v->bytes);
    for (size_t i = 0; i < v->n; i++) {
        unsigned byte = 0;
        ck_assert_int_eq(sscanf(field[2] + 2 * i, "%2x", &byte), 1);
        v->bytes[i] = (uint8_t)byte;
    }
    return true;
}

/* A value up to ';' or the end, as bytes: hex:... is unpacked. */
static inline size_t value_bytes(const char *text, uint8_t *ret_bytes, size_t cap)
{
    size_t len = strcspn(text, ";"), n = 0;
    if (len < 4 || strncmp(text, "hex:", 4) != 0) {
        ck_assert_uint_le(len, cap);
        memcpy(ret_bytes, text, len);
        return len;
    }
    for (size_t i = 4; i + 1 < len; i += 2) {
        unsigned byte = 0;
        ck_assert_int_eq(sscanf(text + i, "%2x", &byte), 1);
        ck_assert_uint_lt(n, cap);
        ret_bytes[n++] = (uint8_t)byte;
    }
    return n;
}

/* Each pair that the vector expects must be among those that the decoder gave. */
static inline void vector_compare(const struct vector *v, const struct pairs *got)
{
    for (const char *p = strchr(v->expect, ';'); p; p = strchr(p + 1, ';')) {
        char key[64];
        uint8_t want[PAIRS_MAX], have[PAIRS_MAX];
        int key_len = (int)strcspn(p, "=");
        snprintf(key, sizeof key, "%.*s=", key_len, p);
        const char *at = strstr(got->text, key);
        ck_assert_msg(at != NULL, "%s: no %s in %s", v->name, key + 1, got->text);
        size_t n_want = value_bytes(p + key_len + 1, want, sizeof want);
        size_t n_have = value_bytes(at + strlen(key), have, sizeof have);
        ck_assert_msg(n_want == n_have && memcmp(want, have, n_want) == 0, "%s: want %s, got %s",
                      v->name, v->expect, got->text);
    }
}

static inline void vector_truncations(const struct vector *v, vector_decode_fn *decode, bool ok,
                                      size_t used)
{
    for (size_t n = 0; n < (ok ? used : v->n); n++) {
        uint8_t *exact = malloc(n > 0 ? n : 1);
        struct pairs out = {.n = 0};
        size_t part = 0;
        ck_assert(exact != NULL);
        if (n > 0)
            memcpy(exact, v->bytes, n);
        enum rc rc = decode(v, exact, n, &out, &part);
        if (ok)
            ck_assert_msg(rc == RC_AGAIN, "%s cut at %zu of %zu: rc %d", v->name, n, used, (int)rc);
        else
            ck_assert_msg(rc != RC_OK, "%s cut at %zu decodes", v->name, n);
        free(exact);
    }
}

static inline void vector_check(const struct vector *v, vector_decode_fn *decode,
                                vector_encode_fn *encode)
{
    struct pairs out = {.n = 0};
    size_t used = 0;
    enum rc rc = decode(v, v->bytes, v->n, &out, &used);
    bool ok = strncmp(v->expect, "ok", 2) == 0, more = strncmp(v->expect, "more", 4) == 0;

    if (ok) {
        ck_assert_msg(rc == RC_OK, "%s: rc %d", v->name, (int)rc);
        ck_assert_uint_le(used, v->n);
        pairs_add(&out, "consumed", "%zu", used);
        vector_compare(v, &out);
    } else {
        ck_assert_msg(more ? rc == RC_AGAIN : rc != RC_OK && rc != RC_AGAIN, "%s: rc %d", v->name,
                      (int)rc);
    }
    /* A datagram is whole or wrong: cutting its payload makes another good one. */
    if (strncmp(v->dir, "dgram", 5) != 0)
        vector_truncations(v, decode, ok, used);
    if (ok && encode) {
        uint8_t again[VECTOR_BYTES_MAX];
        size_t n = 0;
        if (encode(v, again, sizeof again, &n)) {
            ck_assert_msg(n == used && memcmp(again, v->bytes, n) == 0,
                          "%s: %zu bytes encoded, %zu decoded, or they differ", v->name, n, used);
        }
    }
}

/* Runs all vectors of the file that pick() takes (NULL: all); returns how many. */
static inline unsigned vectors_run(const char *file, vector_pick_fn *pick, vector_decode_fn *decode,
                                   vector_encode_fn *encode)
{
    static char line[VECTOR_LINE_MAX];
    static struct vector v;
    char path[256];
    unsigned n = 0;

    snprintf(path, sizeof path, "tests/vectors/%s", file);
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s: run the tests from the top of the tree", path);
    while (fgets(line, sizeof line, f)) {
        if (!vector_parse(line, &v) || (pick && !pick(&v)))
            continue;
        vector_check(&v, decode, encode);
        n++;
    }
    fclose(f);
    return n;
}

static inline bool vector_is(const struct vector *v, const char *prefix)
{
    return strncmp(v->name, prefix, strlen(prefix)) == 0;
}

/* The unit of a recorded line: rec.EXCHANGE.STEP.UNIT */
static inline bool vector_unit(const struct vector *v, const char *unit)
{
    const char *dot = strrchr(v->name, '.');
    return vector_is(v, "rec.") && dot && strcmp(dot + 1, unit) == 0;
}

static inline bool vector_c2s(const struct vector *v)
{
    return strcmp(v->dir, "c2s") == 0;
}

/* A Check program with one case per test function, ended by NULL. */
static inline int vectors_main(const char *name, const TTest *const *tests)
{
    Suite *suite = suite_create(name);
    TCase *tc = tcase_create(name);
    for (; *tests; tests++)
        tcase_add_test(tc, *tests);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

#endif
