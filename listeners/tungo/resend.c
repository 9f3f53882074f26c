/* listeners/tungo/resend.c - see resend.h. */
#include "listeners/tungo/resend.h"
#include "core/wire/ip.h"
#include "listeners/tungo/device_io.h"
#include "listeners/tungo/flow.h"
#include "listeners/tungo/netstack.h"
#include "listeners/tungo/offload.h"
#include "listeners/tungo/seq.h"
#include "lwip/priv/tcp_priv.h"

static uint32_t seq_of(const struct tcp_seg *s)
{
    return lwip_ntohl(s->tcphdr->seqno);
}

static const struct tcp_seg *segment_with(const struct tcp_pcb *pcb, struct resend_at *at,
                                          uint32_t seq)
{
    const struct tcp_seg *s = at->segment;

    if (!s || !seq_le(seq_of(s), seq))
        s = pcb->unacked;
    while (s && seq_le(seq_of(s) + TCP_TCPLEN(s), seq))
        s = s->next;
    at->segment = s;
    return s && seq_le(seq_of(s), seq) ? s : NULL;
}

/* Bytes [off, off + len) of s's payload as pieces; returns how many pieces, and adds up the bytes.
 */
static int pieces(const struct tcp_seg *s, uint32_t off, uint32_t len, struct iovec *v, int most,
                  uint32_t *ret_bytes)
{
    int n = 0;

    for (struct pbuf *p = s->p; p && len && n < most; p = p->next) {
        uint8_t *at = p->payload, *end = at + p->len;
        if (p == s->p) /* lwIP leaves the payload at whatever header it wrote last */
            at = (uint8_t *)s->tcphdr + TCPH_HDRLEN_BYTES(s->tcphdr);
        if (at >= end)
            continue;
        uint32_t here = (uint32_t)(end - at);
        if (off >= here) {
            off -= here;
            continue;
        }
        at += off;
        here = LWIP_MIN(here - off, len);
        off = 0;
        v[n++] = (struct iovec){at, here};
        len -= here;
        *ret_bytes += here;
    }
    return n;
}

/* IP and TCP header of a segment from seq on; the device completes the checksum. */
static size_t put_headers(struct tungo_flow *f, uint8_t *ip, uint32_t seq, uint8_t flags,
                          size_t payload)
{
    struct tcp_pcb *pcb = f->pcb;
    struct addr src = flow_target(f), dst = flow_client(f);
    struct ip_fields fields = {
        .src = &src,
        .dst = &dst,
        .proto = IPPROTO_TCP,
        .ttl = pcb->ttl,
        .tos = pcb->tos,
    };
    size_t l4 = packet_put_ip(ip, &fields, TCP_HEADER_BYTES + payload);
    uint8_t *tcp = ip + l4;

    packet_wr16(tcp + TCP_AT_SRC, src.port);
    packet_wr16(tcp + TCP_AT_DST, dst.port);
    packet_wr32(tcp + TCP_AT_SEQ, seq);
    packet_wr32(tcp + TCP_AT_ACK, pcb->rcv_nxt);
    tcp[TCP_AT_DOFF] = TCP_HEADER_BYTES / 4 << 4;
    tcp[TCP_AT_FLAGS] = flags;
    packet_wr16(tcp + TCP_AT_WINDOW, TCPWND_MIN16(RCV_WND_SCALE(pcb, pcb->rcv_ann_wnd)));
    memset(tcp + TCP_AT_SUM, 0, 4); /* and the urgent pointer */
    pcb->rcv_ann_right_edge = pcb->rcv_nxt + pcb->rcv_ann_wnd;
    return l4;
}

uint32_t resend(struct tungo_flow *f, struct resend_at *at, uint32_t seq, uint32_t len)
{
    static struct iovec v[TUN_IOV_MAX];
    uint8_t head[IP6_HEADER_BYTES + TCP_HEADER_BYTES], flags = TCPFLAG_ACK | TCPFLAG_PSH;
    const struct tcp_seg *s = segment_with(f->pcb, at, seq);
    uint32_t bytes = 0;

    if (!s)
        return 0;
    int n =
        pieces(s, seq - seq_of(s), LWIP_MIN(len, f->raised_mss), v + 1, TUN_IOV_MAX - 1, &bytes);
    bool fin =
        (TCPH_FLAGS(s->tcphdr) & TCP_FIN) && bytes < len && seq + bytes == seq_of(s) + s->len;
    if (fin)
        flags |= TCPFLAG_FIN;
    if (!bytes && !fin)
        return 0;
    size_t l4 = put_headers(f, head, seq, flags, bytes);
    v[0] = (struct iovec){head, l4 + TCP_HEADER_BYTES};
    f->acked_to = f->pcb->rcv_nxt;
    (void)offload_write(f->ns->tungo, v, n + 1, l4, bytes, bytes > f->mss ? f->mss : 0);
    return bytes + fin;
}
