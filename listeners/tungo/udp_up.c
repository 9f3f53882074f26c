/* listeners/tungo/udp_up.c - the way up of a datagram that has its association: equal ones of a
 * turn leave with one call.
 */
#include "core/stream.h"
#include "listeners/tungo/udp_inside.h"
#include <string.h>

/* A flow that is over says so with its next event, from the loop. */
static void send_now(struct tungo_udp *u, struct udp_dest *d, const struct addr *dst,
                     const uint8_t *data, size_t n, size_t segment)
{
    struct target to;

    target_from_addr(&to, dst);
    enum rc rc = n > segment ? dgram_send_burst(d->dgram, &to, data, n, segment)
                             : dgram_send(d->dgram, &to, data, n);
    if (rc == RC_OK)
        return;
    u->lost_up += udp_pieces(n, segment);
    if (rc != RC_AGAIN)
        dgram_wake(d->dgram);
}

void udp_flush_up(struct tungo_udp *u)
{
    struct udp_burst *b = &u->burst;
    struct udp_dest *d = b->dest;

    if (!d)
        return;
    b->dest = NULL;
    job_cancel(&u->flush);
    send_now(u, d, &b->dst, u->burst_buf, b->n, b->segment);
}

void udp_on_flush(struct job *job)
{
    udp_flush_up((struct tungo_udp *)((char *)job - offsetof(struct tungo_udp, flush)));
}

static bool joins(const struct udp_burst *b, const struct udp_dest *d, const struct addr *dst,
                  size_t n)
{
    return b->dest == d && n > 0 && n <= b->segment && b->n + n <= UDP_BURST_BYTES &&
           b->n / b->segment < UDP_BURST_SEGMENTS && addr_equal(&b->dst, dst);
}

void udp_send_up(struct tungo_udp *u, struct udp_dest *d, const struct addr *dst,
                 const uint8_t *data, size_t n, size_t segment)
{
    struct udp_burst *b = &u->burst;

    u->up += udp_pieces(n, segment);
    d->up_bytes += n;
    bool one = segment >= n;
    if (b->dest && !(one && joins(b, d, dst, n)))
        udp_flush_up(u);
    if (!one || n == 0 || n > UDP_BURST_BYTES / 2 || !d->dgram->type->send_burst) {
        send_now(u, d, dst, data, n, segment);
        return;
    }
    if (!b->dest) {
        *b = (struct udp_burst){.dest = d, .dst = *dst, .segment = n};
        job_post(u->setup.loop, &u->flush);
    }
    memcpy(u->burst_buf + b->n, data, n);
    b->n += n;
    if (n < b->segment) /* a shorter one is the last */
        udp_flush_up(u);
}
