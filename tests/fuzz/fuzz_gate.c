/* The gate: input is [vnet flags:1][gso type:1][gso size:2][packet]. Whatever passes must have its
 * places inside of the packet, and a packet cut to p.bytes must get the same verdict. */
#include "core/wire/ip.h"
#include "listeners/tungo/gate.h"
#include <stdlib.h>

static void check(const struct packet *p, enum gate_verdict v, size_t n)
{
    if (p->bytes > n || p->l4 > p->bytes)
        abort();
    if (v == GATE_FRAGMENT)
        return;
    if (p->payload > p->bytes || p->payload < p->l4 + UDP_HEADER_BYTES)
        abort();
    if (p->sack && ((size_t)p->sack + p->sack_blocks * 8u > p->payload || p->sack < p->l4 + 22))
        abort();
    if (addr_is_multicast(&p->dst) || addr_is_loopback(&p->src))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cidr own;
    struct gate_cfg cfg = {&own, 1};
    struct virtio_net_hdr vh = {0};
    struct packet p, again;

    if (n < 4 || !cidr_parse("192.168.123.1/24", 16, &own))
        return 0;
    vh.flags = data[0];
    vh.gso_type = data[1];
    vh.gso_size = packet_rd16(data + 2);
    data += 4;
    n -= 4;
    uint8_t *exact = malloc(n ? n : 1);
    memcpy(exact, data, n);
    enum gate_verdict v = gate_check(&cfg, exact, n, data[-4] & 0x80 ? NULL : &vh, &p);
    if (v != GATE_DROP) {
        check(&p, v, n);
        if (v != GATE_UDP && /* UDP may end before its IP packet */
            gate_check(&cfg, exact, p.bytes, data[-4] & 0x80 ? NULL : &vh, &again) != v)
            abort();
    } else if (p.why == DROP_NONE || p.why >= DROP_REASONS) {
        abort();
    }
    free(exact);
    return 0;
}
