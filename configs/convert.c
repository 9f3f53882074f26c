/* configs/convert.c - values to option types. */
#include "configs/convert.h"
#include "configs/scalar.h"
#include "core/addr.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool refuse(struct convert *c, const char *want)
{
    const struct value *v = c->v;
    bool is_map = c->o->type == OPTION_MAP; /* header fields may be secrets */
    bool shown = v->kind == VALUE_STRING && strlen(v->text) <= 60 && !is_map;
    problems_add(c->problems, PROBLEM_REFUSE, &v->place, "%s: expected %s%s%s%s",
                 v->key_text ? v->key_text : c->o->key, want, shown ? ", got \"" : "",
                 shown ? v->text : "", shown ? "\"" : "");
    c->rc = RC_INVALID;
    return false;
}

static bool no_memory(struct convert *c)
{
    c->rc = RC_NOMEM;
    return false;
}

static bool in_bounds(struct convert *c, int64_t n, const char *unit)
{
    const struct option *o = c->o;
    char want[96];
    bool unbounded = o->min == 0 && o->max == 0;
    bool may_be_negative =
        o->type == OPTION_INT || (o->flags & (OPTION_SIGNED | OPTION_NOOP | OPTION_LATER)) != 0;
    if (unbounded && n < 0 && !may_be_negative)
        return refuse(c,
                      o->type == OPTION_SIZE ? "a size, not below 0" : "a duration, not below 0");
    if (unbounded || (n >= o->min && n <= o->max))
        return true;
    (void)snprintf(want, sizeof want, "%lld to %lld%s", (long long)o->min, (long long)o->max, unit);
    return refuse(c, want);
}

static bool is_whole(const struct value *v, int64_t *ret)
{
    if (v->kind == VALUE_INT || v->kind == VALUE_BOOL) {
        *ret = v->num;
        return true;
    }
    if (v->kind == VALUE_FLOAT && floor(v->real) == v->real && fabs(v->real) < 9e15) {
        *ret = (int64_t)v->real;
        return true;
    }
    return v->kind == VALUE_STRING && scalar_parse_decimal(v->text, ret);
}

static bool to_int(struct convert *c, int64_t *ret)
{
    return is_whole(c->v, ret) ? in_bounds(c, *ret, "") : refuse(c, "an integer");
}

static bool to_bool(struct convert *c, bool *ret)
{
    int64_t n;
    if (c->v->kind == VALUE_STRING && scalar_parse_bool(c->v->text, ret))
        return true;
    if (c->v->kind == VALUE_STRING || !is_whole(c->v, &n))
        return refuse(c, "true or false");
    *ret = n != 0;
    return true;
}

static bool to_duration(struct convert *c, int64_t *ret_ms)
{
    int64_t ns = 0, seconds = 0;
    const struct value *v = c->v;
    bool good = true;
    if (v->kind == VALUE_DURATION)
        ns = v->num;
    else if (v->kind == VALUE_FLOAT)
        good = fabs(v->real) < 9e9 && ((ns = (int64_t)(v->real * 1e9)), true);
    else if (v->kind != VALUE_STRING || !scalar_parse_duration(v->text, &ns))
        good = v->kind != VALUE_BOOL && is_whole(v, &seconds) &&
               !__builtin_mul_overflow(seconds, 1000000000, &ns);
    if (!good)
        return refuse(c, "a duration such as 30s");
    *ret_ms = ns / 1000000 + (ns > 0 && ns % 1000000 != 0);
    return in_bounds(c, *ret_ms, " ms");
}

/* "4096", "64KB", "1MiB": digits and perhaps a unit, all of them powers of 1024. */
static bool parse_size(const char *text, int64_t *ret)
{
    static const char units[] = "KMGT";
    char number[20];
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits >= sizeof number)
        return false;
    (void)snprintf(number, sizeof number, "%.*s", (int)digits, text);
    int64_t n;
    const char *unit = text + digits;
    if (!scalar_parse_decimal(number, &n))
        return false;
    const char *found = *unit ? strchr(units, toupper((unsigned char)*unit)) : NULL;
    for (const char *u = units; found && u <= found; u++) {
        if (__builtin_mul_overflow(n, 1024, &n))
            return false;
    }
    unit += found != NULL;
    if (*unit && strcasecmp(unit, "B") != 0 && !(found && strcasecmp(unit, "iB") == 0))
        return false;
    *ret = n;
    return true;
}

static bool to_size(struct convert *c, int64_t *ret)
{
    bool good = c->v->kind == VALUE_STRING ? parse_size(c->v->text, ret)
                                           : c->v->kind != VALUE_BOOL && is_whole(c->v, ret);
    return good ? in_bounds(c, *ret, " bytes") : refuse(c, "a size such as 4096 or 64KB");
}

/* A scalar as text, heap. NULL: it is none (told), or no memory. */
static char *text_of(struct convert *c, const struct value *v)
{
    char buf[SCALAR_TEXT_MAX];
    const char *text = buf;
    switch (v->kind) {
    case VALUE_STRING:
    case VALUE_TIME:
        text = v->text;
        break;
    case VALUE_BOOL:
        text = v->num ? "true" : "false";
        break;
    case VALUE_INT:
        (void)snprintf(buf, sizeof buf, "%lld", (long long)v->num);
        break;
    case VALUE_UINT:
        (void)snprintf(buf, sizeof buf, "%llu", (unsigned long long)v->num);
        break;
    case VALUE_FLOAT:
        scalar_format_float(v->real, FLOAT_FULL, buf);
        break;
    case VALUE_DURATION:
        scalar_format_duration(v->num, buf);
        break;
    case VALUE_NULL:
    case VALUE_LIST:
    case VALUE_MAP:
        (void)refuse(c, "a text");
        return NULL;
    }
    char *copy = strdup(text);
    if (!copy)
        (void)no_memory(c);
    return copy;
}

/* Takes text; NULL is a failure told before. */
static bool list_add(struct convert *c, struct strlist *list, char *text)
{
    if (!text)
        return false;
    char **v = realloc(list->v, (list->n + 1) * sizeof *v);
    if (!v) {
        free(text);
        return no_memory(c);
    }
    list->v = v;
    v[list->n++] = text;
    return true;
}

static char *copy_text(struct convert *c, const char *s, size_t len)
{
    char *copy = strndup(s, len);
    if (!copy)
        (void)no_memory(c);
    return copy;
}

/* Items between commas, blanks around them and empty ones left out. */
static bool split_text(struct convert *c, const char *text, struct strlist *list)
{
    while (*text) {
        size_t len = strcspn(text, ","), start = strspn(text, " \t"), end = len;
        while (end > start && isspace((unsigned char)text[end - 1]))
            end--;
        if (end > start && !list_add(c, list, copy_text(c, text + start, end - start)))
            return false;
        text += len + (text[len] == ',');
    }
    return true;
}

static bool to_list(struct convert *c, struct strlist *list, bool split)
{
    if (c->v->kind == VALUE_LIST) {
        value_each(item, c->v)
        {
            if (item->kind != VALUE_NULL && !list_add(c, list, text_of(c, item)))
                return false;
        }
        return true;
    }
    char *text = text_of(c, c->v);
    if (!text)
        return false;
    if (!split && *text)
        return list_add(c, list, text);
    bool good = split_text(c, text, list);
    free(text);
    return good;
}

static bool to_nets(struct convert *c, struct netlist *nets)
{
    struct strlist list = {0};
    bool good = to_list(c, &list, true);
    nets->v = good ? calloc(list.n + 1, sizeof *nets->v) : NULL;
    if (good && !nets->v)
        good = no_memory(c);
    for (size_t i = 0; i < list.n; i++) {
        if (good && strchr(list.v[i], '/') &&
            cidr_parse(list.v[i], strlen(list.v[i]), &nets->v[nets->n]))
            nets->n++;
        else if (good)
            good = refuse(c, "addresses with their prefix, such as 192.168.123.1/24");
        free(list.v[i]);
    }
    free(list.v);
    return good;
}

static bool to_map(struct convert *c, struct strmap *map)
{
    if (c->v->kind != VALUE_MAP)
        return refuse(c, "a map");
    map->keys = calloc(c->v->n + 1, sizeof *map->keys);
    map->values = calloc(c->v->n + 1, sizeof *map->values);
    if (!map->keys || !map->values)
        return no_memory(c);
    value_each(item, c->v)
    {
        size_t i = map->n++;
        map->keys[i] = copy_text(c, item->key_text, strlen(item->key_text));
        map->values[i] = map->keys[i] ? text_of(c, item) : NULL;
        if (!map->values[i])
            return false;
    }
    return true;
}

static bool to_enum(struct convert *c, int *ret)
{
    char want[160];
    char *text = text_of(c, c->v);
    if (!text)
        return false;
    bool found = false;
    const char *words = c->o->values;
    for (int i = 0; *words && !found; i++) {
        size_t len = strcspn(words, "|");
        found = strlen(text) == len && strncasecmp(words, text, len) == 0;
        if (found)
            *ret = i;
        words += len + (words[len] == '|');
    }
    free(text);
    (void)snprintf(want, sizeof want, "one of %s", c->o->values);
    return found || refuse(c, want);
}

size_t convert_bytes(enum option_type type)
{
    static const size_t bytes[] = {
        [OPTION_STRING] = sizeof(char *),
        [OPTION_INT] = sizeof(int64_t),
        [OPTION_BOOL] = sizeof(bool),
        [OPTION_DURATION] = sizeof(int64_t),
        [OPTION_SIZE] = sizeof(int64_t),
        [OPTION_LIST] = sizeof(struct strlist),
        [OPTION_LINES] = sizeof(struct strlist),
        [OPTION_MAP] = sizeof(struct strmap),
        [OPTION_NETS] = sizeof(struct netlist),
        [OPTION_ENUM] = sizeof(int),
    };
    return bytes[type];
}

bool convert_field(struct convert *c, union field *to)
{
    switch (c->o->type) {
    case OPTION_STRING:
        to->text = text_of(c, c->v);
        return to->text != NULL;
    case OPTION_INT:
        return to_int(c, &to->num);
    case OPTION_BOOL:
        return to_bool(c, &to->yes);
    case OPTION_DURATION:
        return to_duration(c, &to->num);
    case OPTION_SIZE:
        return to_size(c, &to->num);
    case OPTION_LIST:
        return to_list(c, &to->list, true);
    case OPTION_LINES:
        return to_list(c, &to->list, false);
    case OPTION_MAP:
        return to_map(c, &to->map);
    case OPTION_NETS:
        return to_nets(c, &to->nets);
    case OPTION_ENUM:
        return to_enum(c, &to->word);
    }
    return false;
}
