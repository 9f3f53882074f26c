/* core/wire/base64.c - base64. Contract in core/wire/base64.h. */
#include "core/wire/base64.h"
#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum rc base64_encode(const void *buf, size_t n, char *text, size_t cap, size_t *ret_n)
{
    const uint8_t *in = buf;
    char *out = text;

    if (n > SIZE_MAX / 2 || BASE64_TEXT_BYTES(n) >= cap)
        return RC_LIMIT;
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)in[i] << 16;
        if (left > 1)
            v |= (uint32_t)in[i + 1] << 8;
        if (left > 2)
            v |= in[i + 2];
        *out++ = alphabet[v >> 18];
        *out++ = alphabet[v >> 12 & 63];
        *out++ = left > 1 ? alphabet[v >> 6 & 63] : '=';
        *out++ = left > 2 ? alphabet[v & 63] : '=';
    }
    *out = '\0';
    *ret_n = (size_t)(out - text);
    return RC_OK;
}

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    if (c == '/' || c == '_')
        return 63;
    return -1;
}

enum rc base64_decode(const char *text, size_t len, void *buf, size_t cap, size_t *ret_n)
{
    uint8_t *out = buf;
    size_t n = 0;
    uint32_t bits = 0, held = 0;

    if (len > 0 && len % 4 == 0 && text[len - 1] == '=')
        len -= text[len - 2] == '=' ? 2 : 1;
    if (len % 4 == 1)
        return RC_INVALID;
    for (size_t i = 0; i < len; i++) {
        int d = digit(text[i]);
        if (d < 0)
            return RC_INVALID;
        bits = bits << 6 | (uint32_t)d;
        held += 6;
        if (held >= 8) {
            held -= 8;
            if (n >= cap)
                return RC_LIMIT;
            out[n++] = (uint8_t)(bits >> held & 0xff);
        }
    }
    *ret_n = n;
    return RC_OK;
}
