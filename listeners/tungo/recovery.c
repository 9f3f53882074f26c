/* listeners/tungo/recovery.c - see recovery.h. */
#include "listeners/tungo/recovery.h"
#include "listeners/tungo/flow.h"
#include "lwip/priv/tcp_priv.h"

enum { CWND_OPEN = 0x3fffffff }; /* lwIP still adds to it */

static void open_wide(struct tcp_pcb *pcb)
{
    pcb->cwnd = CWND_OPEN;
    pcb->ssthresh = CWND_OPEN;
}

void recovery_before_input(struct tungo_flow *f, const struct packet *p)
{
    (void)f;
    (void)p; /* without holes to keep there is nothing to read */
}

void recovery_after_input(struct tungo_flow *f)
{
    struct tcp_pcb *pcb = f->pcb;

    if (pcb->state < ESTABLISHED)
        return;
    bool was_shut = pcb->cwnd < pcb->snd_wnd;
    open_wide(pcb);
    if (was_shut && pcb->unsent)
        tcp_output(pcb);
}

void recovery_after_tick(struct tungo_flow *f)
{
    /* after its timeout lwIP goes on with one segment and waits for it: that much patience stays */
    (void)f;
}

uint32_t recovery_limit(const struct tungo_flow *f)
{
    (void)f;
    return UINT32_MAX;
}
