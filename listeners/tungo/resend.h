/* listeners/tungo/resend.h - bytes that lwIP keeps until they are acknowledged, sent once more.
 *
 * By reference, with a header of our own: any multiple of the real MSS out of lwIP's
 * super-segments, so that a small hole costs a small packet and a long one a single write.
 */
#ifndef LISTENERS_TUNGO_RESEND_H
#define LISTENERS_TUNGO_RESEND_H

#include <stdint.h>

struct tcp_seg;
struct tungo_flow;

/* Where the search for bytes begins: with many small segments each one would be a walk over all of
 * them. Starts zeroed; of no use any more once lwIP was given a packet of the flow. */
struct resend_at {
    const struct tcp_seg *segment;
};

/* Sends len bytes from seq on, or as many as one segment of lwIP's holds; the FIN counts as one.
 * Returns how many (also when the device did not take them: they are lost on the way), 0: lwIP does
 * not have them. f has a pcb. */
uint32_t resend(struct tungo_flow *f, struct resend_at *at, uint32_t seq, uint32_t len);

#endif
