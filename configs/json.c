/* configs/json.c - JSON text to a raw tree, with places. A strict reader of RFC 8259: no comments,
 * no trailing commas.
 *
 * Numbers are floats as in GOST (gost-config.md 3.1: that is why `-O` prints 1e+06), of the same
 * key the last one counts.
 */
#include "configs/scalar.h"
#include "configs/source.h"
#include "core/hex.h"
#include <ctype.h>
#include <string.h>

struct reader {
    const struct source *src;
    const char *text, *at, *end;
    const char *counted; /* up to where line and column are known */
    unsigned line, column;
    size_t values;
    enum rc rc;
};

/* Line and column are counted on from the last place asked for. */
static struct place place_at(struct reader *r, const char *where)
{
    if (where < r->counted) {
        r->counted = r->text;
        r->line = r->column = 1;
    }
    for (; r->counted < where; r->counted++) {
        r->column++;
        if (*r->counted == '\n') {
            r->line++;
            r->column = 1;
        }
    }
    return (struct place){r->src->name, NULL, r->line, r->column};
}

static void *fail(struct reader *r, const char *where, const char *what)
{
    struct place at = place_at(r, where);
    if (r->rc == RC_OK)
        problems_add(r->src->problems, PROBLEM_FATAL, &at, "%s", what);
    r->rc = RC_INVALID;
    return NULL;
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && strchr(" \t\r\n", *r->at) && *r->at)
        r->at++;
}

static bool skip_char(struct reader *r, char c)
{
    skip_blanks(r);
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

/* Four hex digits; -1: they are not. */
static int32_t read_hex4(struct reader *r)
{
    int32_t n = 0;
    if (r->end - r->at < 4)
        return -1;
    for (int i = 0; i < 4; i++, r->at++) {
        int digit = hex_digit(*r->at);
        if (digit < 0)
            return -1;
        n = n * 16 + digit;
    }
    return n;
}

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* After "\u": one code point, of a surrogate pair both halves. -1: bad. */
static int32_t read_unicode(struct reader *r)
{
    int32_t c = read_hex4(r);
    if (c < 0xD800 || c > 0xDFFF)
        return c;
    if (c < 0xDC00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
        r->at += 2;
        int32_t low = read_hex4(r);
        if (low >= 0xDC00 && low <= 0xDFFF)
            return 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    return 0xFFFD;
}

static const char *read_string(struct reader *r)
{
    const char *start = r->at++; /* the quote */
    const char *close = r->at;
    while (close < r->end && *close != '"')
        close += 1 + (*close == '\\');
    if (close >= r->end)
        return fail(r, start, "a string without end");
    char *out = tree_alloc(r->src->tree, (size_t)(close - r->at) + 1);
    size_t n = 0;
    while (out && r->at < close) {
        unsigned char c = (unsigned char)*r->at++;
        if (c < 0x20)
            return fail(r, r->at - 1, "a control character in a string");
        if (c != '\\') {
            out[n++] = (char)c;
            continue;
        }
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        const char *known = strchr(from, *r->at);
        if (*r->at == 'u') {
            r->at++;
            int32_t code = read_unicode(r);
            if (code <= 0)
                return fail(r, r->at, "a bad \\u escape");
            n += put_utf8(out + n, (uint32_t)code);
        } else if (known && *r->at) {
            out[n++] = to[known - from];
            r->at++;
        } else {
            return fail(r, r->at, "a bad escape in a string");
        }
    }
    r->at = close + 1;
    return out;
}

static struct value *read_value(struct reader *r, unsigned depth);

static struct value *read_list(struct reader *r, unsigned depth)
{
    struct place at = place_at(r, r->at++);
    struct value *list = value_new(r->src->tree, VALUE_LIST, &at);
    if (skip_char(r, ']'))
        return list;
    do {
        struct value *item = read_value(r, depth + 1);
        if (!item)
            return NULL;
        value_append(list, item);
    } while (skip_char(r, ','));
    return skip_char(r, ']') ? list : fail(r, r->at, "expected , or ]");
}

static struct value *read_map(struct reader *r, unsigned depth)
{
    struct place at = place_at(r, r->at++);
    struct value *map = value_new(r->src->tree, VALUE_MAP, &at);
    if (skip_char(r, '}'))
        return map;
    do {
        skip_blanks(r);
        const char *start = r->at;
        if (r->at == r->end || *r->at != '"')
            return fail(r, r->at, "expected a key in double quotes");
        struct place key_at = place_at(r, start);
        const char *text = read_string(r), *key = text;
        if (!text)
            return NULL;
        if (!skip_char(r, ':'))
            return fail(r, r->at, "expected :");
        if (!r->src->keep_case) {
            char *folded = tree_text(r->src->tree, text, strlen(text));
            for (char *c = folded; c && *c; c++)
                *c = (char)tolower((unsigned char)*c);
            key = folded;
        }
        struct value *item = read_value(r, depth + 1);
        if (!item || !key)
            return NULL;
        if (map && map->n >= SOURCE_KEYS_MAX)
            return fail(r, start, "too many keys in one map");
        if (value_get(map, key))
            problems_add(r->src->problems, PROBLEM_WARNING, &key_at,
                         "key \"%s\" is there twice; this one counts", text);
        item->place = key_at;
        item->key_text = text;
        value_put(map, key, item);
    } while (skip_char(r, ','));
    return skip_char(r, '}') ? map : fail(r, r->at, "expected , or }");
}

static struct value *read_number(struct reader *r, const struct place *at)
{
    const char *start = r->at;
    while (r->at < r->end && strchr("+-.eE0123456789", *r->at) && *r->at)
        r->at++;
    size_t len = (size_t)(r->at - start);
    const char *digits = start + (*start == '-');
    double real = 0;
    char *text = tree_text(r->src->tree, start, len);
    if (!text)
        return NULL;
    bool good = isdigit((unsigned char)*digits) &&
                !(digits[0] == '0' && isdigit((unsigned char)digits[1])) && r->at[-1] != '.' &&
                !strstr(text, ".e") && !strstr(text, ".E") && scalar_parse_float(text, &real);
    if (!good)
        return fail(r, start, "not a number");
    struct value *v = value_new(r->src->tree, VALUE_FLOAT, at);
    if (v) {
        v->real = real;
        v->text = text;
    }
    return v;
}

static bool skip_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        return false;
    r->at += len;
    return true;
}

static struct value *read_value(struct reader *r, unsigned depth)
{
    skip_blanks(r);
    if (r->at == r->end)
        return fail(r, r->at, "the text ends too early");
    if (depth > SOURCE_DEPTH_MAX || ++r->values > SOURCE_VALUES_MAX)
        return fail(r, r->at, depth > SOURCE_DEPTH_MAX ? "nested too deeply" : "too many values");
    if (*r->at == '{')
        return read_map(r, depth);
    if (*r->at == '[')
        return read_list(r, depth);
    struct place at = place_at(r, r->at);
    if (*r->at == '"') {
        const char *text = read_string(r);
        return text ? value_string(r->src->tree, text, &at) : NULL;
    }
    if (skip_word(r, "null"))
        return value_new(r->src->tree, VALUE_NULL, &at);
    if (skip_word(r, "true"))
        return value_int(r->src->tree, VALUE_BOOL, true, &at);
    if (skip_word(r, "false"))
        return value_int(r->src->tree, VALUE_BOOL, false, &at);
    if (*r->at == '-' || isdigit((unsigned char)*r->at))
        return read_number(r, &at);
    return fail(r, r->at, "not JSON");
}

enum rc json_parse(const struct source *src, const char *text, size_t len, struct value **ret_v)
{
    /* a copy with an end mark: nothing below may read past it */
    char *copy = tree_text(src->tree, text, len);
    if (!copy)
        return RC_NOMEM;
    struct reader r = {.src = src,
                       .text = copy,
                       .at = copy,
                       .end = copy + len,
                       .counted = copy,
                       .line = 1,
                       .column = 1};
    if (len >= 3 && memcmp(copy, "\xEF\xBB\xBF", 3) == 0)
        r.at += 3;
    struct value *v = read_value(&r, 0);
    skip_blanks(&r);
    if (v && r.at != r.end)
        v = fail(&r, r.at, "something follows the JSON value");
    if (r.rc == RC_OK && (!v || !tree_ok(src->tree)))
        r.rc = RC_NOMEM;
    if (r.rc == RC_OK)
        *ret_v = v;
    return r.rc;
}
