/* Fragments as hostile as can be, several in a row: input is a list of [length:2][l4:1][packet].
 * What comes together must be a packet whose headers agree with its length; and what we cut
 * ourselves must come together again. */
#include "listeners/tungo/fragment.h"
#include <stdlib.h>

static void check_done(const uint8_t *ip, size_t n)
{
    if (packet_version(ip) == 6) {
        if (IP6_HEADER_BYTES + (size_t)packet_rd16(ip + IP6_AT_PAYLOAD) != n)
            abort();
    } else if (packet_rd16(ip + IP4_AT_TOTAL) != n || !cksum_ip4_ok(ip)) {
        abort();
    }
}

static void cut_and_join(const uint8_t *data, size_t n)
{
    uint8_t header[40] = {0}, piece[48 + 1024];
    struct reassembly *r = reassembly_new();
    struct fragment_cut c;
    bool v6 = data[0] & 1;
    size_t base = v6 ? IP6_HEADER_BYTES : IP4_HEADER_BYTES, ret_n = 0;
    uint8_t *ret = NULL;
    enum reassembly_result last = REASSEMBLY_HELD;

    header[0] = v6 ? 0x60 : 0x45;
    if (r && fragment_cut_start(&c, header, n, 56 + data[0] * 4u, 5)) {
        while (fragment_cut_next(&c)) {
            memcpy(piece, c.header, c.header_bytes);
            memcpy(piece + c.header_bytes, data + c.at, c.n);
            last = reassembly_add(r, piece, c.header_bytes + c.n, base, 1, &ret, &ret_n);
        }
        bool whole = c.payload_bytes <= c.step && !v6; /* then it is no fragment at all */
        if (!whole &&
            (last != REASSEMBLY_DONE || ret_n != base + n || memcmp(ret + base, data, n) != 0))
            abort();
    }
    reassembly_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct reassembly *r = reassembly_new();
    uint64_t now = 1;

    if (!r)
        return 0;
    if (n > 0 && n < 60000)
        cut_and_join(data, n);
    while (n > 3) {
        size_t len = packet_rd16(data), l4 = data[2];
        data += 3;
        n -= 3;
        len = len < n ? len : n;
        uint8_t *copy = malloc(len ? len : 1), *ret = NULL;
        size_t ret_n = 0;
        if (copy) {
            memcpy(copy, data, len);
            if (reassembly_add(r, copy, len, l4, now, &ret, &ret_n) == REASSEMBLY_DONE)
                check_done(ret, ret_n);
        }
        free(copy);
        data += len;
        n -= len;
        now += len;
    }
    (void)reassembly_expire(r, now + FRAGMENT_WAIT_MS);
    if (reassembly_waiting(r) != 0)
        abort();
    reassembly_free(r);
    return 0;
}
