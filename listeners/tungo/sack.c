/* listeners/tungo/sack.c - see sack.h. */
#include "listeners/tungo/sack.h"
#include "core/wire/ip.h"
#include "listeners/tungo/gate.h"

void sack_read(const struct packet *p, struct sack_news *ret_news)
{
    const uint8_t *tcp = p->ip + p->l4, *at = p->ip + p->sack;
    struct sack_news *s = ret_news;

    s->is_ack = (p->tcp_flags & (TCPFLAG_ACK | TCPFLAG_RST | TCPFLAG_SYN)) == TCPFLAG_ACK;
    s->seq = packet_rd32(tcp + TCP_AT_SEQ);
    s->ack = packet_rd32(tcp + TCP_AT_ACK);
    s->window = packet_rd16(tcp + TCP_AT_WINDOW);
    s->n = 0;
    if (!s->is_ack || !p->sack)
        return;
    for (; s->n < p->sack_blocks && s->n < SACK_BLOCKS_MAX; s->n++, at += 8)
        s->block[s->n] = (struct sack_block){packet_rd32(at), packet_rd32(at + 4)};
}
