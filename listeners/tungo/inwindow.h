/* listeners/tungo/inwindow.h - how large a receive window a client is offered: small at first, more
 * while that is what slows it down, less while the other side does not take what came.
 *
 * Pure; times are microseconds of the caller's clock. A window that fills in hardly more than a
 * round trip is too small; one of which half lies unread is too large.
 */
#ifndef LISTENERS_TUNGO_INWINDOW_H
#define LISTENERS_TUNGO_INWINDOW_H

#include <stdint.h>

enum {
    INWINDOW_FIRST_BYTES = 256 << 10,
    INWINDOW_NEAR_BYTES = 1 << 20, /* the largest for round trips below INWINDOW_FAR_US: it stays
                                      in the cache */
    INWINDOW_FAR_US = 10000,
};

struct inwindow {
    uint32_t bytes, first, most;
    uint32_t mark; /* the round ends when this sequence number has come */
    uint64_t mark_us, rtt_us;
};

/* first == most: it stays so. rcv_nxt: the first byte of the client. */
void inwindow_init(struct inwindow *w, uint32_t first, uint32_t most, uint32_t rcv_nxt,
                   uint64_t now_us);
/* The handshake took so long; before the first byte. */
void inwindow_set_rtt(struct inwindow *w, uint64_t rtt_us);
/* Bytes were consumed: everything before rcv_nxt has come, unread of it were not consumed yet. */
void inwindow_consumed(struct inwindow *w, uint32_t rcv_nxt, uint32_t unread, uint64_t now_us);

#endif
