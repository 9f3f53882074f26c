/* configs/dump.c - the growing text of a dump, and `-O json`. */
#include "configs/dump.h"
#include "configs/scalar.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void dump_done(struct dump *d)
{
    free(d->text);
    *d = (struct dump){0};
}

void dump_bytes(struct dump *d, const char *s, size_t n)
{
    if (d->nomem || n == 0)
        return;
    if (d->cap - d->len <= n) {
        size_t cap = (d->len + n + 1) * 2;
        char *more = realloc(d->text, cap);
        if (!more) {
            d->nomem = true;
            return;
        }
        d->text = more;
        d->cap = cap;
    }
    memcpy(d->text + d->len, s, n);
    d->len += n;
    d->text[d->len] = 0;
    d->fresh = s[n - 1] == '\n';
}

void dump_puts(struct dump *d, const char *s)
{
    dump_bytes(d, s, strlen(s));
}

void dump_indent(struct dump *d, unsigned blanks)
{
    static const char some[] = "                                ";
    for (; blanks > sizeof some - 1; blanks -= (unsigned)sizeof some - 1)
        dump_bytes(d, some, sizeof some - 1);
    dump_bytes(d, some, blanks);
}

/* Merge sort: stable, and without a context argument that the C library's sort lacks. */
static void sort(const struct value **v, const struct value **spare, size_t n, dump_order *order)
{
    if (n < 2)
        return;
    size_t half = n / 2, a = 0, b = half, out = 0;
    sort(v, spare, half, order);
    sort(v + half, spare, n - half, order);
    while (a < half && b < n)
        spare[out++] = order(v[b]->key, v[a]->key) < 0 ? v[b++] : v[a++];
    while (a < half)
        spare[out++] = v[a++];
    memcpy(v, spare, out * sizeof *v);
}

const struct value **dump_sorted(struct dump *d, const struct value *map, dump_order *order)
{
    const struct value **v = calloc(map->n * 2 + 1, sizeof *v);
    if (!v) {
        d->nomem = true;
        return NULL;
    }
    size_t n = 0;
    value_each(item, map) v[n++] = item;
    if (!(map->flags & VALUE_FIELDS))
        sort(v, v + n, n, order);
    return v;
}

/* ---- JSON ---- */

/* The length of a well-formed UTF-8 sequence at s, or 0. */
static size_t utf8_len(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xC2 && s[0] <= 0xDF)
        return (s[1] & 0xC0) == 0x80 ? 2 : 0;
    if (s[0] >= 0xE0 && s[0] <= 0xEF) {
        bool good = (s[1] & 0xC0) == 0x80 && (s[2] & 0xC0) == 0x80 &&
                    !(s[0] == 0xE0 && s[1] < 0xA0) && !(s[0] == 0xED && s[1] > 0x9F);
        return good ? 3 : 0;
    }
    if (s[0] >= 0xF0 && s[0] <= 0xF4) {
        bool good = (s[1] & 0xC0) == 0x80 && (s[2] & 0xC0) == 0x80 && (s[3] & 0xC0) == 0x80 &&
                    !(s[0] == 0xF0 && s[1] < 0x90) && !(s[0] == 0xF4 && s[1] > 0x8F);
        return good ? 4 : 0;
    }
    return 0;
}

static void json_string(struct dump *d, const char *s)
{
    dump_puts(d, "\"");
    while (*s) {
        static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
        unsigned char c = (unsigned char)*s;
        const char *known = strchr(from, c);
        size_t len = utf8_len(s);
        char esc[8];
        if (known) {
            (void)snprintf(esc, sizeof esc, "\\%c", to[known - from]);
            dump_puts(d, esc);
        } else if (c < 0x20 || c == '<' || c == '>' || c == '&') {
            (void)snprintf(esc, sizeof esc, "\\u%04x", c);
            dump_puts(d, esc);
        } else if (len == 0) {
            dump_puts(d, "\\ufffd");
            len = 1;
        } else if (strncmp(s, "\xE2\x80\xA8", 3) == 0 || strncmp(s, "\xE2\x80\xA9", 3) == 0) {
            dump_puts(d, s[2] == '\xA8' ? "\\u2028" : "\\u2029");
        } else {
            dump_bytes(d, s, len);
        }
        s += len ? len : 1;
    }
    dump_puts(d, "\"");
}

static void json_value(struct dump *d, const struct value *v, unsigned indent);

static void json_items(struct dump *d, const struct value *v, unsigned indent)
{
    bool is_map = v->kind == VALUE_MAP;
    if (v->n == 0) {
        dump_puts(d, is_map ? "{}" : (v->flags & VALUE_ABSENT) ? "null" : "[]");
        return;
    }
    const struct value **items = NULL, *item = v->first;
    if (is_map && !(items = dump_sorted(d, v, strcmp)))
        return;
    dump_puts(d, is_map ? "{" : "[");
    for (size_t i = 0; i < v->n; i++) {
        dump_puts(d, i ? ",\n" : "\n");
        dump_indent(d, indent + 2);
        if (is_map) {
            json_string(d, items[i]->key);
            dump_puts(d, ": ");
        }
        json_value(d, is_map ? items[i] : item, indent + 2);
        item = item->next;
    }
    dump_puts(d, "\n");
    dump_indent(d, indent);
    dump_puts(d, is_map ? "}" : "]");
    free(items);
}

static void json_value(struct dump *d, const struct value *v, unsigned indent)
{
    char buf[SCALAR_TEXT_MAX];
    switch (v->kind) {
    case VALUE_NULL:
        dump_puts(d, "null");
        break;
    case VALUE_BOOL:
        dump_puts(d, v->num ? "true" : "false");
        break;
    case VALUE_INT:
    case VALUE_DURATION:
        (void)snprintf(buf, sizeof buf, "%lld", (long long)v->num);
        dump_puts(d, buf);
        break;
    case VALUE_UINT:
        (void)snprintf(buf, sizeof buf, "%llu", (unsigned long long)v->num);
        dump_puts(d, buf);
        break;
    case VALUE_FLOAT:
        scalar_format_float(v->real, FLOAT_JSON, buf);
        dump_puts(d, strstr(buf, "inf") || strstr(buf, "nan") ? "null" : buf);
        break;
    case VALUE_TIME:
    case VALUE_STRING:
        json_string(d, v->text);
        break;
    case VALUE_LIST:
    case VALUE_MAP:
        json_items(d, v, indent);
        break;
    }
}

enum rc dump_json(struct dump *d, const struct value *config)
{
    json_value(d, config, 0);
    dump_puts(d, "\n");
    return d->nomem ? RC_NOMEM : RC_OK;
}
