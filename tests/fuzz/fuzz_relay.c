/* tests/fuzz/fuzz_relay.c - relay messages: first byte says which one. What decodes must need all
 * of its bytes, and what we format from it must decode to the same. */
#include "core/wire/relay.h"
#include <stdlib.h>

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool slices_equal(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static void check_request(const uint8_t *buf, size_t len)
{
    struct relay_request r, again;
    uint8_t out[RELAY_REQUEST_MAX_BYTES];
    size_t used, n, cut;
    if (relay_parse_request(buf, len, &r, &used) != RC_OK)
        return;
    MUST(used <= len && used >= RELAY_HEAD_BYTES);
    MUST(relay_parse_request(buf, used - 1, &again, &cut) == RC_AGAIN);
    MUST(relay_format_request(&r, out, sizeof out, &n) == RC_OK);
    MUST(relay_parse_request(out, n, &again, &cut) == RC_OK && cut == n);
    MUST(again.cmd == r.cmd && again.udp == r.udp && again.has_auth == r.has_auth &&
         again.has_addr == r.has_addr);
    MUST(!r.has_auth || (slices_equal(again.user, r.user) && slices_equal(again.pass, r.pass)));
    MUST(!r.has_addr || target_equal(&again.target, &r.target));
}

static void check_response(const uint8_t *buf, size_t len)
{
    struct relay_response r, again;
    uint8_t out[RELAY_RESPONSE_MAX_BYTES];
    size_t used, n, cut;
    if (relay_parse_response(buf, len, &r, &used) != RC_OK)
        return;
    MUST(used <= len && used >= RELAY_HEAD_BYTES);
    MUST(relay_format_response(r.status, r.has_addr ? &r.addr : NULL, out, sizeof out, &n) ==
         RC_OK);
    MUST(relay_parse_response(out, n, &again, &cut) == RC_OK && cut == n);
    MUST(again.status == r.status && again.has_addr == r.has_addr);
    MUST(!r.has_addr || target_equal(&again.addr, &r.addr));
    MUST(relay_status_text(r.status) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice payload;
    size_t used;
    if (size == 0)
        return 0;
    switch (data[0] % 3) {
    case 0:
        check_request(data + 1, size - 1);
        break;
    case 1:
        check_response(data + 1, size - 1);
        break;
    case 2:
        if (relay_parse_dgram(data + 1, size - 1, &payload, &used) == RC_OK)
            MUST(used == payload.n + 2 && used <= size - 1);
        break;
    }
    return 0;
}
