/* tests/fuzz/fuzz_udptun.c - a stream of UDP-TUN frames, cut as the input says, and SOCKS5 UDP
 * datagrams. */
#include "core/wire/udptun.h"
#include <stdlib.h>

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_frame(const uint8_t *frame, size_t used)
{
    uint8_t out[UDPTUN_FRAME_MAX_BYTES];
    struct udptun_frame f, again;
    size_t n, cut;
    MUST(udptun_parse(frame, used, &f, &cut) == RC_OK && cut == used);
    MUST(f.payload.n == f.len);
    for (size_t k = 0; k < used; k += used / 8 + 1)
        MUST(udptun_parse(frame, k, &again, &cut) == RC_AGAIN);
    if (!f.valid)
        return;
    MUST(udptun_format_head(&f.target, f.len, out, sizeof out, &n) == RC_OK);
    if (f.len > 0)
        memcpy(out + n, f.payload.p, f.len);
    MUST(udptun_parse(out, n + f.len, &again, &cut) == RC_OK && cut == n + f.len && again.valid);
    MUST(target_equal(&again.target, &f.target));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct udptun_frame f;
    struct slice payload;
    struct target t;
    uint8_t atyp, head[UDPTUN_HEAD_MAX_BYTES];
    size_t pos = 0, used, n;

    while (pos < size && udptun_parse(data + pos, size - pos, &f, &used) == RC_OK) {
        MUST(used > 0 && used <= size - pos);
        check_frame(data + pos, used);
        pos += used;
    }
    if (socks5_udp_parse(data, size, &t, &atyp, &payload) == RC_OK) {
        MUST(payload.n < size);
        MUST(socks5_udp_format_head(&t, head, sizeof head, &n) == RC_OK);
    }
    return 0;
}
