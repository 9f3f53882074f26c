/* listeners/tungo/offload.c - see offload.h. */
#include "listeners/tungo/offload.h"
#include "core/wire/ip.h"
#include "listeners/tungo/device_io.h"
#include "listeners/tungo/inside.h"
#include "listeners/tungo/netstack.h"
#include "listeners/tungo/outflow.h"
#include "lwip/pbuf.h"
#include "lwip/priv/tcp_priv.h"

/* --- the two sizes of a segment */

/* The largest multiple of the real MSS that fits a packet with its headers. */
static uint16_t raised(uint16_t mss, bool ip6)
{
    unsigned most = PACKET_BYTES_MAX - TCP_HEADER_BYTES;

    most -= ip6 ? IP6_HEADER_BYTES : IP4_HEADER_BYTES;
    return (uint16_t)(most > mss ? most - most % mss : mss);
}

static bool is_ip6(const struct tungo_flow *f)
{
    return f->entry.key.family == AF_INET6;
}

void offload_raise_mss(struct tungo_flow *f)
{
    struct tcp_pcb *pcb = f->pcb;

    f->mss = pcb->mss < MSS_MIN ? MSS_MIN : pcb->mss;
    f->raised_mss = raised(f->mss, is_ip6(f));
    pcb->mss = f->raised_mss;
}

void offload_keep_mss(struct tungo_flow *f)
{
    f->pcb->mss = f->raised_mss;
}

void offload_shrink_mss(struct tungo_flow *f, uint32_t mtu)
{
    unsigned headers = TCP_HEADER_BYTES + (is_ip6(f) ? IP6_HEADER_BYTES : IP4_HEADER_BYTES);
    /* a router that does not say how much (RFC 1191 5) means half, at most */
    unsigned mss = mtu > headers ? mtu - headers : f->mss / 2u, least;

    least = (is_ip6(f) ? IP6_MTU_LEAST : IP4_MTU_LEAST) - headers;
    if (mss < least)
        mss = least;
    if (mss >= f->mss)
        return;
    f->mss = (uint16_t)mss;
    /* raised_mss stays: what is unacked was cut by it and may be sent again, and lwIP wraps its u16
     * lengths on a segment longer than its MSS. The last piece of a super-segment is short, nothing
     * worse. */
    outflow_shrunk(f);
}

/* --- one packet of lwIP */

/* Completes the headers lwIP wrote: don't fragment, header checksum, pseudo-header sum. */
static void finish_headers(uint8_t *ip, size_t l4, size_t bytes)
{
    if (packet_version(ip) == 4) {
        packet_wr16(ip + IP4_AT_TOTAL, (unsigned)bytes);
        packet_wr16(ip + IP4_AT_FRAG, IP4_DF);
        memset(ip + IP4_AT_SUM, 0, 2);
        uint16_t sum = (uint16_t)~cksum_fold(cksum_add(0, ip, IP4_HEADER_BYTES));
        memcpy(ip + IP4_AT_SUM, &sum, sizeof sum);
    } else {
        packet_wr16(ip + IP6_AT_PAYLOAD, (unsigned)(bytes - IP6_HEADER_BYTES));
    }
    uint16_t pseudo = cksum_fold(cksum_pseudo(ip, IPPROTO_TCP, bytes - l4));
    memcpy(ip + l4 + TCP_AT_SUM, &pseudo, sizeof pseudo);
}

/* The device cannot cut: we do. v: the headers, then the payload in pieces. */
static bool cut_and_write(struct tungo *t, const struct iovec *v, int nv, size_t l4, size_t mss)
{
    uint8_t head[IP6_HEADER_BYTES + 60];
    size_t headers = v[0].iov_len, at = 0, left = 0;
    struct virtio_net_hdr vh = tun_vnet(false, true, l4, headers, 0);
    bool ok = true;
    int i = 1;

    BUG_ON(headers > sizeof head);
    memcpy(head, v[0].iov_base, headers);
    uint8_t flags = head[l4 + TCP_AT_FLAGS];
    uint32_t seq = packet_rd32(head + l4 + TCP_AT_SEQ);
    for (int k = 1; k < nv; k++)
        left += v[k].iov_len;
    while (left) {
        struct iovec out[64] = {{head, headers}};
        size_t n = 0;
        int no = 1;
        while (n < mss && i < nv && no < 64) {
            size_t take = LWIP_MIN(mss - n, v[i].iov_len - at);
            out[no++] = (struct iovec){(char *)v[i].iov_base + at, take};
            n += take;
            at += take;
            if (at == v[i].iov_len) {
                i++;
                at = 0;
            }
        }
        left -= n;
        packet_wr32(head + l4 + TCP_AT_SEQ, seq);
        head[l4 + TCP_AT_FLAGS] = left ? (uint8_t)(flags & ~(TCPFLAG_FIN | TCPFLAG_PSH)) : flags;
        finish_headers(head, l4, headers + n);
        ok = tun_write(t, out, no, &vh) && ok;
        seq += (uint32_t)n;
    }
    return ok;
}

/* The pieces of p; more than fit are copied into block. -1: no room even so. */
static int pieces(struct pbuf *p, size_t headers, struct iovec *v, struct blocks *blocks,
                  void **ret_block)
{
    int n = 0;

    v[n++] = (struct iovec){p->payload, headers};
    if (p->len > headers)
        v[n++] = (struct iovec){(uint8_t *)p->payload + headers, p->len - headers};
    for (struct pbuf *q = p->next; q; q = q->next) {
        if (n == TUN_IOV_MAX) {
            *ret_block = blocks_get(blocks);
            if (!*ret_block)
                return -1;
            size_t rest = p->tot_len - headers;
            pbuf_copy_partial(p, *ret_block, (u16_t)rest, (u16_t)headers);
            v[1] = (struct iovec){*ret_block, rest};
            return 2;
        }
        if (q->len)
            v[n++] = (struct iovec){q->payload, q->len};
    }
    return n;
}

bool offload_write(struct tungo *t, const struct iovec *v, int nv, size_t l4, size_t payload,
                   size_t mss)
{
    uint8_t *ip = v[0].iov_base;
    size_t headers = v[0].iov_len;

    if (mss && !tungo_caps(t)->tso)
        return cut_and_write(t, v, nv, l4, mss);
    struct virtio_net_hdr vh = tun_vnet(packet_version(ip) == 6, true, l4, headers, mss);
    finish_headers(ip, l4, headers + payload);
    return tun_write(t, v, nv, &vh);
}

bool offload_send(struct tungo *t, struct tungo_flow *f, struct pbuf *p)
{
    static struct iovec v[TUN_IOV_MAX]; /* lwIP is not re-entered */
    uint8_t *ip = p->payload;
    size_t l4 = packet_version(ip) == 6 ? IP6_HEADER_BYTES : IP4_HEADER_BYTES;
    size_t headers = l4 + (size_t)(ip[l4 + TCP_AT_DOFF] >> 4) * 4;
    size_t mss = f && p->tot_len - headers > f->mss ? f->mss : 0;
    void *block = NULL;
    int n = pieces(p, headers, v, &t->net->blocks, &block);

    if (n < 0)
        return false;
    if (f && (ip[l4 + TCP_AT_FLAGS] & TCPFLAG_ACK))
        f->acked_to = packet_rd32(ip + l4 + TCP_AT_ACK);
    bool ok = offload_write(t, v, n, l4, p->tot_len - headers, mss);
    if (block)
        blocks_put(&t->net->blocks, block);
    return ok;
}
