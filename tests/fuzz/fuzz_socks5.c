/* tests/fuzz/fuzz_socks5.c - SOCKS5 units: the first byte says which one. */
#include "core/wire/socks5.h"
#include <stdlib.h>

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_greeting(const uint8_t *buf, size_t len)
{
    struct slice methods;
    uint8_t out[SOCKS5_GREETING_MAX_BYTES];
    size_t used, n;
    if (socks5_parse_greeting(buf, len, &methods, &used) != RC_OK)
        return;
    MUST(used <= len && methods.n == used - 2 && methods.n > 0);
    MUST(socks5_offers(methods, (uint8_t)methods.p[0]));
    MUST(socks5_format_greeting((const uint8_t *)methods.p, (uint8_t)methods.n, out, sizeof out,
                                &n) == RC_OK);
    MUST(n == used && memcmp(out, buf, n) == 0);
}

static void check_auth(const uint8_t *buf, size_t len)
{
    struct slice user, pass;
    uint8_t out[SOCKS5_AUTH_MAX_BYTES];
    size_t used, n;
    if (socks5_parse_auth(buf, len, &user, &pass, &used) != RC_OK)
        return;
    MUST(used <= len && socks5_parse_auth(buf, used - 1, &user, &pass, &n) == RC_AGAIN);
    MUST(socks5_format_auth(user, pass, out, sizeof out, &n) == RC_OK);
    MUST(n == used && memcmp(out, buf, n) == 0);
}

static void check_message(const uint8_t *buf, size_t len)
{
    struct socks5_message m, again;
    uint8_t out[SOCKS5_MESSAGE_MAX_BYTES];
    size_t used, n, cut;
    if (socks5_parse_message(buf, len, &m, &used) != RC_OK)
        return;
    MUST(used <= len && socks5_parse_message(buf, used - 1, &again, &cut) == RC_AGAIN);
    if (!m.valid)
        return;
    MUST(socks5_format_message(m.code, &m.target, out, sizeof out, &n) == RC_OK);
    MUST(socks5_parse_message(out, n, &again, &cut) == RC_OK && cut == n);
    MUST(again.code == m.code && target_equal(&again.target, &m.target));
    MUST((socks5_rep_to_rc(m.code) == RC_OK) == (m.code == 0) && socks5_rep_text(m.code) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t method;
    size_t used;
    if (size == 0)
        return 0;
    switch (data[0] % 5) {
    case 0:
        check_greeting(data + 1, size - 1);
        break;
    case 1:
        check_auth(data + 1, size - 1);
        break;
    case 2:
        check_message(data + 1, size - 1);
        break;
    case 3:
        if (socks5_parse_method(data + 1, size - 1, &method, &used) == RC_OK)
            MUST(used == 2);
        break;
    case 4:
        if (socks5_parse_auth_reply(data + 1, size - 1, &used) == RC_OK)
            MUST(used == 2);
        break;
    }
    return 0;
}
