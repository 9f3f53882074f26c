/* listeners/tungo/offload.h - super-segments: what lets one write carry 64 KB to the client.
 *
 * lwIP is told a larger MSS than the client's (a multiple of it below 64 KB), so its segments are
 * super-segments; the virtio header carries the real one and the kernel cuts (where the device
 * cannot, the cutting is done here). lwIP takes an MSS option from any segment, so the raised value
 * is put back after every tcp_input.
 */
#ifndef LISTENERS_TUNGO_OFFLOAD_H
#define LISTENERS_TUNGO_OFFLOAD_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct pbuf;
struct tungo;
struct tungo_flow;

enum {
    MSS_MIN = 88,        /* a SYN may say 1; Linux never offers less than this */
    IP4_MTU_LEAST = 576, /* smaller links exist on paper only (RFC 791), in lies elsewhere */
    IP6_MTU_LEAST = 1280,
};

/* The pcb is new: clamps the client's MSS, keeps it and raises lwIP's. */
void offload_raise_mss(struct tungo_flow *f);
void offload_keep_mss(struct tungo_flow *f); /* after every tcp_input, before any tcp_write */
/* A link on the way carries only `mtu` bytes (0: fewer than until now): the real MSS shrinks, and
 * what is on its way is sent again. */
void offload_shrink_mss(struct tungo_flow *f, uint32_t mtu);

/* An IP packet of lwIP (header in the first pbuf) to the device. f: NULL for a reset without flow.
 * false: lost. */
bool offload_send(struct tungo *t, struct tungo_flow *f, struct pbuf *p);
/* The same in pieces: v[0] are the headers, TCP's at l4, and are completed in place; payload bytes
 * follow. mss: of the pieces it is to be cut into, 0: whole. */
bool offload_write(struct tungo *t, const struct iovec *v, int nv, size_t l4, size_t payload,
                   size_t mss);

#endif
