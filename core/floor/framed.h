/* core/floor/framed.h - datagrams on a stream: relay's `len payload` with one agreed target, and
 * UDP-TUN frames with an address each (socks5 0xF3, relay associations, http's udp mode). Both ends
 * use it. wire-protocols.md 1.6, 1.7, 4.6.
 *
 * The stream is taken; opening the flow opens the stream. A frame that the stream has no room for
 * is dropped (RC_AGAIN); one that was begun is kept and finished. A frame with a name that can't be
 * one is stepped over; empty UDP-TUN messages are not sent: GOST's reader would lose its place. The
 * end of the stream is the end of the flow (RC_EOF).
 */
#ifndef CORE_FLOOR_FRAMED_H
#define CORE_FLOOR_FRAMED_H

#include "core/dgram.h"

struct stream;

enum framing {
    FRAMING_LEN,   /* len(2) payload */
    FRAMING_UDPTUN /* len(2) 0xff atyp addr port payload */
};
struct framed_cfg {
    enum framing framing;
    const struct target *fixed; /* the one target (with FRAMING_LEN always); copied. NULL: any */
};
/* NULL: no memory (s is closed). */
struct dgram *framed_dgram(struct stream *s, const struct framed_cfg *cfg);

#endif
