/* Any packet through the gate to ICMP: echo answered in place, notes parsed, errors built about it.
 * What leaves must have right checksums and be a packet. */
#include "core/wire/ip.h"
#include "listeners/tungo/gate.h"
#include "listeners/tungo/icmp.h"
#include <stdlib.h>

static const struct tun_caps caps = {.mtu = 1280};

const struct tun_caps *tungo_caps(const struct tungo *t)
{
    (void)t;
    return &caps;
}

bool tun_write(struct tungo *t, const struct iovec *v, int nv, const struct virtio_net_hdr *vh)
{
    uint8_t out[1280];
    size_t n = 0;

    (void)t;
    if (vh || nv < 1)
        abort();
    for (int i = 0; i < nv; i++) {
        if (v[i].iov_len > sizeof(out) - n)
            abort();
        memcpy(out + n, v[i].iov_base, v[i].iov_len);
        n += v[i].iov_len;
    }
    if (packet_version(out) == 4 && (packet_rd16(out + IP4_AT_TOTAL) != n || !cksum_ip4_ok(out)))
        abort();
    if (packet_version(out) == 6 && 40 + (size_t)packet_rd16(out + IP6_AT_PAYLOAD) != n)
        abort();
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t error[ICMP_ERROR_BYTES];
    struct virtio_net_hdr vouched = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};
    struct gate_cfg cfg = {.own = NULL};
    struct icmp_note note;
    struct packet p;
    struct icmp ic;
    size_t len;

    if (n == 0 || n > 65535)
        return 0;
    uint8_t *copy = malloc(n + 1); /* the gate's rule: one spare byte */
    if (!copy)
        return 0;
    memcpy(copy, data, n);
    icmp_init(&ic, NULL);
    if (icmp_error_build(error, copy, n, (enum rc)(n % RC_SYS), &len) &&
        (len > sizeof(error) || len < 28))
        abort();
    if (icmp_too_big_build(error, copy, n, 1280, &len) && len > sizeof(error))
        abort();
    if (icmp_expired_build(error, copy, n, NULL, &len) && (len > sizeof(error) || len < 28))
        abort();
    if (packet_version(copy) == 4 && n >= 20 && (copy[0] & 15) * 4u <= n && (copy[0] & 15) > 4) {
        memset(copy + IP4_AT_SUM, 0, 2); /* the fuzzer can't guess it */
        uint16_t sum = (uint16_t)~cksum_fold(cksum_add(0, copy, (copy[0] & 15) * 4u));
        memcpy(copy + IP4_AT_SUM, &sum, sizeof(sum));
    }
    if (gate_check(&cfg, copy, n, &vouched, &p) == GATE_ICMP) {
        (void)icmp_note_parse(&p, &note);
        (void)icmp_packet(&ic, &p);
        icmp_refuse(&ic, p.ip, p.bytes, RC_REFUSED, 1);
    }
    free(copy);
    return 0;
}
