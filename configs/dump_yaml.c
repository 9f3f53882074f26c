/* configs/dump_yaml.c - `-O yaml`: 2 blanks of indent, quotes only where YAML would read something
 * else, text with line feeds as a block. The rules are those of GOST's YAML writer, seen in the
 * vectors.
 */
#include "configs/dump.h"
#include "configs/scalar.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum style { STYLE_PLAIN, STYLE_SINGLE, STYLE_DOUBLE, STYLE_BLOCK };

/* One code point; 0xFFFFFFFF and length 1 when it is no UTF-8. */
static uint32_t utf8_next(const char *text, size_t *ret_len)
{
    const unsigned char *s = (const unsigned char *)text;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80   ? 1
                 : s[0] < 0xC0 ? 0
                 : s[0] < 0xE0 ? 2
                 : s[0] < 0xF0 ? 3
                 : s[0] < 0xF8 ? 4
                               : 0;
    uint32_t c = len == 1 ? s[0] : len == 0 ? 0 : s[0] & (0xFFu >> (len + 1));
    *ret_len = 1;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return UINT32_MAX;
        c = c << 6 | (s[i] & 0x3F);
    }
    if (len == 0 || c < least[len] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return UINT32_MAX;
    *ret_len = len;
    return c;
}

static bool is_printable(uint32_t c)
{
    return c == '\n' || (c >= 0x20 && c <= 0x7E) || (c >= 0xA0 && c < 0xD800) ||
           (c >= 0xE000 && c <= 0xFFFD && c != 0xFEFF);
}

/* yes, off, Y ... were booleans in YAML 1.1; 1:30 was a number. */
static bool was_yaml11(const char *s)
{
    static const char *const words[] = {"y", "Y", "yes", "Yes", "YES", "on",  "On",  "ON",
                                        "n", "N", "no",  "No",  "NO",  "off", "Off", "OFF"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(s, words[i]) == 0)
            return true;
    }
    s += *s == '-' || *s == '+';
    if (!isdigit((unsigned char)*s))
        return false;
    s += strspn(s, "0123456789_");
    if (*s != ':')
        return false;
    while (*s == ':') {
        size_t digits = strspn(s + 1, "0123456789");
        if (digits == 0 || digits > 2 || (digits == 2 && s[1] > '5'))
            return false;
        s += 1 + digits;
    }
    if (*s == '.')
        s += 1 + strspn(s + 1, "0123456789_");
    return *s == 0;
}

static bool is_blank_or_end(char c)
{
    return c == 0 || c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Does some character have a meaning in block context? */
static bool has_indicator(const char *s)
{
    if (strncmp(s, "---", 3) == 0 || strncmp(s, "...", 3) == 0 || strchr("#,[]{}&*!|>'\"%@`", *s))
        return true;
    if (strchr("?:-", *s) && is_blank_or_end(s[1]))
        return true;
    for (const char *c = s + 1; *s && *c; c++) {
        if ((*c == ':' && is_blank_or_end(c[1])) || (*c == '#' && is_blank_or_end(c[-1])))
            return true;
    }
    return false;
}

/* Line ends other than \n are always escaped. */
static enum style style_of(const char *s, bool is_key)
{
    bool special = false, space_break = false;
    uint32_t before = 0;
    size_t len = strlen(s), n;
    for (size_t i = 0; i < len; i += n) {
        uint32_t c = utf8_next(s + i, &n);
        special = special || (c != '\t' && !is_printable(c)) || c == 0x2028 || c == 0x2029;
        space_break = space_break || (c == '\n' && before == ' ');
        before = c;
    }
    if (len == 0 || special || space_break)
        return STYLE_DOUBLE;
    if (strchr(s, '\n'))
        return is_key || s[len - 1] == ' ' ? STYLE_DOUBLE : STYLE_BLOCK;
    int64_t num;
    double real;
    char buf[SCALAR_TEXT_MAX];
    if (scalar_resolve(s, &num, &real, buf) != VALUE_STRING || was_yaml11(s) || strchr(s, '\t'))
        return STYLE_DOUBLE;
    if (s[0] == ' ' || s[len - 1] == ' ' || has_indicator(s))
        return STYLE_SINGLE;
    return STYLE_PLAIN;
}

static void write_double(struct dump *d, const char *s)
{
    static const char from[] = "\a\b\t\n\v\f\r\x1B\"\\", to[] = "abtnvfre\"\\";
    size_t n;
    dump_puts(d, "\"");
    for (; *s; s += n) {
        uint32_t c = utf8_next(s, &n);
        const char *known = c < 0x80 ? strchr(from, (int)c) : NULL;
        char esc[16];
        if (known)
            (void)snprintf(esc, sizeof esc, "\\%c", to[known - from]);
        else if (c == 0x85 || c == 0xA0)
            (void)snprintf(esc, sizeof esc, "\\%c", c == 0x85 ? 'N' : '_');
        else if (c == 0x2028 || c == 0x2029)
            (void)snprintf(esc, sizeof esc, "\\%c", c == 0x2028 ? 'L' : 'P');
        else if (!is_printable(c))
            (void)snprintf(esc, sizeof esc,
                           c < 0x100     ? "\\x%02X"
                           : c < 0x10000 ? "\\u%04X"
                                         : "\\U%08X",
                           c);
        else {
            dump_bytes(d, s, n);
            continue;
        }
        dump_puts(d, esc);
    }
    dump_puts(d, "\"");
}

static void write_single(struct dump *d, const char *s)
{
    dump_puts(d, "'");
    for (; *s; s++)
        dump_bytes(d, *s == '\'' ? "''" : s, *s == '\'' ? 2 : 1);
    dump_puts(d, "'");
}

static void new_line(struct dump *d, unsigned indent)
{
    if (d->len && !d->fresh)
        dump_puts(d, "\n");
    dump_indent(d, indent);
}

/* A literal block. A leading line feed ends the header line itself: GOST's writer does so too. A
 * leading tab needs the indentation said as a leading blank does, or no reader takes it. */
static void write_block(struct dump *d, const char *s, unsigned indent)
{
    size_t len = strlen(s);
    bool starts_blank = s[0] == ' ' || s[0] == '\t' || s[0] == '\n';
    dump_puts(d, starts_blank ? "|2" : "|");
    if (s[len - 1] != '\n')
        dump_puts(d, "-");
    else if (len == 1 || s[len - 2] == '\n')
        dump_puts(d, "+");
    bool breaks = true;
    for (; *s; s++) {
        if (*s == '\n') {
            dump_puts(d, "\n");
            breaks = true;
            continue;
        }
        if (breaks)
            new_line(d, indent);
        breaks = false;
        dump_bytes(d, s, 1);
    }
}

static bool is_utf8(const char *s)
{
    size_t n;
    for (; *s; s += n) {
        if (utf8_next(s, &n) == UINT32_MAX)
            return false;
    }
    return true;
}

static void write_binary(struct dump *d, const char *s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = strlen(s);
    dump_puts(d, "!!binary ");
    for (size_t i = 0; i < len; i += 3) {
        unsigned a = (unsigned char)s[i], b = i + 1 < len ? (unsigned char)s[i + 1] : 0,
                 c = i + 2 < len ? (unsigned char)s[i + 2] : 0;
        char out[4] = {digits[a >> 2], digits[(a & 3) << 4 | b >> 4],
                       digits[(b & 15) << 2 | c >> 6], digits[c & 63]};
        if (i + 2 >= len)
            out[3] = '=';
        if (i + 1 >= len)
            out[2] = '=';
        dump_bytes(d, out, 4);
    }
}

static void write_text(struct dump *d, const char *s, unsigned indent, bool is_key)
{
    if (!is_utf8(s)) {
        write_binary(d, s);
        return;
    }
    switch (style_of(s, is_key)) {
    case STYLE_PLAIN:
        dump_puts(d, s);
        break;
    case STYLE_SINGLE:
        write_single(d, s);
        break;
    case STYLE_DOUBLE:
        write_double(d, s);
        break;
    case STYLE_BLOCK:
        write_block(d, s, indent);
        break;
    }
}

/* The order of keys: numbers inside by their value, other signs before letters. */
static int natural_order(const char *a, const char *b)
{
    bool digits = false;
    size_t i = 0;
    for (; a[i] && a[i] == b[i]; i++)
        digits = isdigit((unsigned char)a[i]);
    unsigned char ca = (unsigned char)a[i], cb = (unsigned char)b[i];
    if (!ca || !cb)
        return ca ? 1 : cb ? -1 : 0;
    bool letter_a = isalpha(ca) || ca >= 0x80, letter_b = isalpha(cb) || cb >= 0x80;
    if (letter_a && letter_b)
        return ca < cb ? -1 : 1;
    if (letter_a || letter_b)
        return (digits ? letter_a : letter_b) ? -1 : 1;
    uint64_t na = 0, nb = 0;
    if (ca == '0' || cb == '0') { /* zeros inside a number count, leading ones don't */
        for (size_t j = i; j > 0 && isdigit((unsigned char)a[j - 1]); j--) {
            if (a[j - 1] != '0') {
                na = nb = 1;
                break;
            }
        }
    }
    size_t ia = i, ib = i;
    for (; isdigit((unsigned char)a[ia]); ia++)
        na = na * 10 + (uint64_t)(a[ia] - '0');
    for (; isdigit((unsigned char)b[ib]); ib++)
        nb = nb * 10 + (uint64_t)(b[ib] - '0');
    if (na != nb)
        return na < nb ? -1 : 1;
    if (ia != ib)
        return ia < ib ? -1 : 1;
    return ca < cb ? -1 : 1;
}

/* indent is that of the line on which the value starts; inline_first: the first line of a map or
 * list goes on where the text stands (after "- "). */
static void write_value(struct dump *d, const struct value *v, unsigned indent);

static void write_map(struct dump *d, const struct value *map, unsigned indent, bool inline_first)
{
    const struct value **items = dump_sorted(d, map, natural_order);
    for (size_t i = 0; items && i < map->n; i++) {
        if (i > 0 || !inline_first)
            new_line(d, indent);
        write_text(d, items[i]->key, indent, true);
        dump_puts(d, ":");
        bool nested = items[i]->n > 0;
        if (!nested)
            dump_puts(d, " ");
        if (items[i]->kind == VALUE_MAP && nested)
            write_map(d, items[i], indent + 2, false);
        else
            write_value(d, items[i], indent);
    }
    free(items);
}

static void write_list(struct dump *d, const struct value *list, unsigned indent, bool inline_first)
{
    bool first = inline_first;
    value_each(item, list)
    {
        if (!first)
            new_line(d, indent);
        first = false;
        dump_puts(d, "- ");
        if (item->kind == VALUE_MAP && item->n > 0)
            write_map(d, item, indent + 2, true);
        else if (item->kind == VALUE_LIST && item->n > 0)
            write_list(d, item, indent + 2, true);
        else
            write_value(d, item, indent);
    }
}

static void write_value(struct dump *d, const struct value *v, unsigned indent)
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
        (void)snprintf(buf, sizeof buf, "%lld", (long long)v->num);
        dump_puts(d, buf);
        break;
    case VALUE_UINT:
        (void)snprintf(buf, sizeof buf, "%llu", (unsigned long long)v->num);
        dump_puts(d, buf);
        break;
    case VALUE_FLOAT:
        dump_puts(d, scalar_format_float(v->real, FLOAT_YAML, buf));
        break;
    case VALUE_DURATION:
        dump_puts(d, scalar_format_duration(v->num, buf));
        break;
    case VALUE_TIME:
        dump_puts(d, v->text);
        break;
    case VALUE_STRING:
        write_text(d, v->text, indent + 2, false);
        break;
    case VALUE_LIST:
        if (v->n == 0)
            dump_puts(d, "[]");
        else
            write_list(d, v, indent + 2, false);
        break;
    case VALUE_MAP:
        if (v->n == 0)
            dump_puts(d, "{}");
        break;
    }
}

enum rc dump_yaml(struct dump *d, const struct value *config)
{
    write_map(d, config, 0, false);
    if (!d->fresh)
        dump_puts(d, "\n");
    return d->nomem ? RC_NOMEM : RC_OK;
}
