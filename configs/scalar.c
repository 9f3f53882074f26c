/* configs/scalar.c - single values as GOST reads and writes them. */
#include "configs/scalar.h"
#include "core/hex.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++) {
        if (strcmp(text, *words) == 0)
            return true;
    }
    return false;
}

bool scalar_parse_bool(const char *text, bool *ret)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True", NULL};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False", NULL};
    bool is_yes = is_one_of(text, yes);
    if (!is_yes && !is_one_of(text, no))
        return false;
    *ret = is_yes;
    return true;
}

/* Digits of one base up to the end, as an unsigned number. */
static bool parse_digits(const char *text, unsigned base, uint64_t *ret)
{
    uint64_t n = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        int digit = hex_digit(*text);
        if (digit < 0 || (unsigned)digit >= base || __builtin_mul_overflow(n, base, &n) ||
            __builtin_add_overflow(n, (unsigned)digit, &n))
            return false;
    }
    *ret = n;
    return true;
}

static bool parse_prefixed(const char *text, uint64_t *ret)
{
    if (text[0] != '0' || !text[1])
        return parse_digits(text, 10, ret);
    switch (text[1]) {
    case 'x':
    case 'X':
        return parse_digits(text + 2, 16, ret);
    case 'o':
    case 'O':
        return parse_digits(text + 2, 8, ret);
    case 'b':
    case 'B':
        return parse_digits(text + 2, 2, ret);
    default:
        return parse_digits(text + 1, 8, ret);
    }
}

static bool with_sign(bool negative, uint64_t n, int64_t *ret)
{
    if (n > (uint64_t)INT64_MAX + negative)
        return false;
    *ret = negative ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

bool scalar_parse_int(const char *text, int64_t *ret)
{
    bool negative = *text == '-';
    uint64_t n;
    return parse_prefixed(text + (negative || *text == '+'), &n) && with_sign(negative, n, ret);
}

bool scalar_parse_decimal(const char *text, int64_t *ret)
{
    bool negative = *text == '-';
    uint64_t n;
    return parse_digits(text + (negative || *text == '+'), 10, &n) && with_sign(negative, n, ret);
}

/* [-+]? (.digits | digits[.digits]) ([eE][-+]?digits)? */
static bool looks_like_float(const char *s)
{
    s += *s == '-' || *s == '+';
    size_t before = strspn(s, "0123456789");
    s += before;
    if (*s == '.') {
        size_t after = strspn(s + 1, "0123456789");
        if (before + after == 0)
            return false;
        s += 1 + after;
    } else if (before == 0) {
        return false;
    }
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '-' || *s == '+';
        size_t digits = strspn(s, "0123456789");
        if (digits == 0)
            return false;
        s += digits;
    }
    return *s == 0;
}

bool scalar_parse_float(const char *text, double *ret)
{
    if (!looks_like_float(text))
        return false;
    errno = 0;
    double d = strtod(text, NULL);
    if (errno == ERANGE && isinf(d))
        return false;
    *ret = d;
    return true;
}

bool scalar_parse_duration(const char *text, int64_t *ret_ns)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {
        {"ns", 1},           {"us", 1000},      {"\xc2\xb5s", 1000}, /* micro sign */
        {"\xce\xbcs", 1000},                                         /* greek mu */
        {"ms", 1000000},     {"s", 1000000000}, {"m", 60000000000},  {"h", 3600000000000},
    };
    bool negative = *text == '-';
    const char *s = text + (negative || *text == '+');
    uint64_t total = 0;
    if (strcmp(s, "0") == 0) {
        *ret_ns = 0;
        return true;
    }
    if (!*s)
        return false;
    while (*s) {
        uint64_t whole = 0;
        double fraction = 0, scale = 0.1;
        bool any = false;
        for (; isdigit((unsigned char)*s); s++, any = true) {
            if (__builtin_mul_overflow(whole, 10, &whole) ||
                __builtin_add_overflow(whole, (uint64_t)(*s - '0'), &whole))
                return false;
        }
        if (*s == '.') {
            for (s++; isdigit((unsigned char)*s); s++, any = true, scale /= 10)
                fraction += (*s - '0') * scale;
        }
        size_t len = strcspn(s, ".0123456789"), u = 0;
        while (u < sizeof units / sizeof *units &&
               (strlen(units[u].name) != len || memcmp(s, units[u].name, len) != 0))
            u++;
        if (!any || u == sizeof units / sizeof *units)
            return false;
        s += len;
        uint64_t ns = 0;
        if (__builtin_mul_overflow(whole, units[u].ns, &ns) ||
            __builtin_add_overflow(ns, (uint64_t)(fraction * (double)units[u].ns + 1e-6), &ns) ||
            __builtin_add_overflow(total, ns, &total))
            return false;
    }
    return with_sign(negative, total, ret_ns);
}

const char *scalar_format_duration(int64_t ns, char buf[SCALAR_TEXT_MAX])
{
    uint64_t n = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    const char *sign = ns < 0 ? "-" : "";
    char seconds[48];
    uint64_t unit = n < 1000 ? 1 : n < 1000000 ? 1000 : n < 1000000000 ? 1000000 : 1000000000;
    const char *name = n < 1000 ? "ns" : n < 1000000 ? "\xc2\xb5s" : n < 1000000000 ? "ms" : "s";
    if (n == 0)
        name = "s";
    uint64_t whole = unit == 1000000000 ? n / unit % 60 : n / unit;
    int width = unit == 1 ? 0 : unit == 1000 ? 3 : unit == 1000000 ? 6 : 9;
    int len = snprintf(seconds, sizeof seconds, "%llu.%0*llu", (unsigned long long)whole, width,
                       (unsigned long long)(n % unit));
    while (len > 0 && seconds[len - 1] == '0')
        len--;
    if (len > 0 && seconds[len - 1] == '.')
        len--;
    if (len == 0)
        len = 1; /* "0" */
    seconds[len] = 0;
    uint64_t minutes = n / 60000000000;
    if (minutes >= 60)
        (void)snprintf(buf, SCALAR_TEXT_MAX, "%s%lluh%llum%s%s", sign,
                       (unsigned long long)(minutes / 60), (unsigned long long)(minutes % 60),
                       seconds, name);
    else if (minutes)
        (void)snprintf(buf, SCALAR_TEXT_MAX, "%s%llum%s%s", sign, (unsigned long long)minutes,
                       seconds, name);
    else
        (void)snprintf(buf, SCALAR_TEXT_MAX, "%s%s%s", sign, seconds, name);
    return buf;
}

const char *scalar_format_float(double real, enum float_form form, char buf[SCALAR_TEXT_MAX])
{
    if (isnan(real) || isinf(real)) {
        (void)snprintf(buf, SCALAR_TEXT_MAX, "%s",
                       isnan(real) ? ".nan"
                       : real < 0  ? "-.inf"
                                   : ".inf");
        return buf;
    }
    int digits = 1;
    char text[64];
    for (; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*e", digits - 1, real);
        if (strtod(text, NULL) == real)
            break;
    }
    const char *e = strchr(text, 'e');
    int exp = e ? atoi(e + 1) : 0;
    bool scientific = form == FLOAT_YAML   ? exp < -4 || exp >= 6
                      : form == FLOAT_JSON ? real != 0 && (exp < -6 || exp >= 21)
                                           : false;
    if (scientific) {
        (void)snprintf(buf, SCALAR_TEXT_MAX, "%s", text);
        if (form == FLOAT_JSON && exp < 0 && exp > -10) { /* 1e-07 is 1e-7 there */
            char *zero = strstr(buf, "e-0");
            if (zero)
                memmove(zero + 2, zero + 3, strlen(zero + 3) + 1);
        }
        return buf;
    }
    int decimals = digits - 1 - exp;
    (void)snprintf(buf, SCALAR_TEXT_MAX, "%.*f", decimals > 0 ? decimals : 0, real);
    return buf;
}

/* YYYY-M-D, then perhaps [Tt]h:m:s[.fraction](Z|+hh:mm) or blank h:m:s[.fraction]. */
static bool parse_time(const char *s, char buf[SCALAR_TEXT_MAX])
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day, hour = 0, minute = 0, second = 0, n = 0;
    char fraction[16] = "", zone[8] = "Z";
    if (strspn(s, "0123456789") != 4 || s[4] != '-' || !isdigit((unsigned char)s[5]) ||
        sscanf(s, "%4d-%2d-%n", &year, &month, &n) != 2 || n == 0 || !isdigit((unsigned char)s[n]))
        return false;
    s += n;
    n = 0;
    if (sscanf(s, "%2d%n", &day, &n) != 1 || month < 1 || month > 12 || day < 1 ||
        day > days[month - 1] ||
        (month == 2 && day == 29 && (year % 4 != 0 || (year % 100 == 0 && year % 400 != 0))))
        return false;
    s += n;
    if (*s) {
        bool with_zone = *s == 'T' || *s == 't';
        if (!with_zone && *s != ' ')
            return false;
        s++;
        n = 0;
        if (!isdigit((unsigned char)*s) ||
            sscanf(s, "%2d:%2d:%2d%n", &hour, &minute, &second, &n) != 3 || hour < 0 || hour > 23 ||
            minute < 0 || minute > 59 || second < 0 || second > 59)
            return false;
        s += n;
        if (*s == '.') {
            size_t len = strspn(s + 1, "0123456789");
            if (len == 0 || len > 9)
                return false;
            (void)snprintf(fraction, sizeof fraction, ".%.*s", (int)len, s + 1);
            s += 1 + len;
            for (size_t i = strlen(fraction); i > 0 && (fraction[i - 1] == '0' || i == 1); i--)
                fraction[i - 1] = 0;
        }
        if (with_zone && *s == 'Z') {
            s++;
        } else if (with_zone && (*s == '+' || *s == '-') && strlen(s) == 6 && s[3] == ':' &&
                   strspn(s + 1, "0123456789") == 2 && strspn(s + 4, "0123456789") == 2) {
            (void)snprintf(zone, sizeof zone, "%s", strcmp(s + 1, "00:00") == 0 ? "Z" : s);
            s += 6;
        } else if (with_zone) {
            return false;
        }
        if (*s)
            return false;
    }
    (void)snprintf(buf, SCALAR_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d%s%s", year, month, day,
                   hour, minute, second, fraction, zone);
    return true;
}

static bool resolve_number(const char *text, enum value_kind *ret_kind, int64_t *ret_num,
                           double *ret_real)
{
    char plain[SCALAR_TEXT_MAX];
    size_t n = 0;
    for (const char *s = text; *s; s++) {
        if (*s == '_')
            continue;
        if (n + 1 >= sizeof plain)
            return false;
        plain[n++] = *s;
    }
    plain[n] = 0;
    uint64_t big;
    if (scalar_parse_int(plain, ret_num)) {
        *ret_kind = VALUE_INT;
    } else if (parse_prefixed(plain, &big)) {
        *ret_num = (int64_t)big;
        *ret_kind = VALUE_UINT;
    } else if (scalar_parse_float(plain, ret_real)) {
        *ret_kind = VALUE_FLOAT;
    } else {
        return false;
    }
    return true;
}

enum value_kind scalar_resolve(const char *text, int64_t *ret_num, double *ret_real,
                               char buf[SCALAR_TEXT_MAX])
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const yes[] = {"true", "True", "TRUE", NULL};
    static const char *const no[] = {"false", "False", "FALSE", NULL};
    static const char *const nan[] = {".nan", ".NaN", ".NAN", NULL};
    static const char *const inf[] = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf",
                                      "+.INF", "-.inf", "-.Inf", "-.INF", NULL};
    if (is_one_of(text, nulls))
        return VALUE_NULL;
    if (is_one_of(text, yes) || is_one_of(text, no)) {
        *ret_num = is_one_of(text, yes);
        return VALUE_BOOL;
    }
    if (is_one_of(text, nan) || is_one_of(text, inf)) {
        *ret_real = is_one_of(text, nan) ? NAN : *text == '-' ? -INFINITY : INFINITY;
        return VALUE_FLOAT;
    }
    enum value_kind kind = VALUE_STRING;
    if (*text == '.')
        return scalar_parse_float(text, ret_real) ? VALUE_FLOAT : VALUE_STRING;
    if (!isdigit((unsigned char)*text) && *text != '-' && *text != '+')
        return VALUE_STRING;
    if (parse_time(text, buf))
        return VALUE_TIME;
    return resolve_number(text, &kind, ret_num, ret_real) ? kind : VALUE_STRING;
}
