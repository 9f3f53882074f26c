/* tests/fuzz/fuzz_socks4.c - SOCKS4 requests and replies. */
#include "core/wire/socks4.h"
#include <stdlib.h>

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct socks4_request r, again;
    uint8_t out[SOCKS4_REQUEST_MAX_BYTES], code;
    size_t used, n, cut;

    if (socks4_parse_request(data, size, &r, &used) == RC_OK) {
        MUST(used <= size && socks4_parse_request(data, used - 1, &again, &cut) == RC_AGAIN);
        MUST(socks4_format_request(&r, out, sizeof out, &n) == RC_OK);
        MUST(socks4_parse_request(out, n, &again, &cut) == RC_OK && cut == n);
        MUST(again.cmd == r.cmd && target_equal(&again.target, &r.target));
        MUST(again.user.n == r.user.n);
    }
    if (socks4_parse_reply(data, size, &code, &used) == RC_OK)
        MUST(used == SOCKS4_REPLY_BYTES && code == data[1]);
    return 0;
}
