/* sniff/quic.h - the ClientHello in the first datagrams of a QUIC connection.
 *
 * A client's Initial packets are encrypted with keys that anybody can derive from their own header:
 * they are opened, and the hello is put together from CRYPTO frames that may come in any order,
 * over several packets and datagrams. Versions 1 and 2. RFC 9000 17.2, 19; 9001 5; 9369 3;
 * wire-protocols.md 8.5.
 *
 * Pure: no I/O; the memory is the caller's. Packets of another connection on the same addresses,
 * 0-RTT and damaged packets behind a good one are passed over. The result does not depend on
 * the order of undamaged datagrams, nor on how frames are spread over packets.
 */
#ifndef SNIFF_QUIC_H
#define SNIFF_QUIC_H

#include "sniff/quic_packet.h"
#include "sniff/sniff.h"
#include "sniff/tls.h"

struct quic_hello {
    uint32_t version; /* 0: no Initial was opened yet */
    uint8_t dcid[QUIC_CID_MAX_BYTES];
    size_t n_dcid;
    struct quic_keys keys;
    size_t n; /* bytes of the hello without a gap */
    uint8_t known[TLS_HELLO_MAX_BYTES / 8];
    uint8_t bytes[TLS_HELLO_MAX_BYTES];
    uint8_t plain[QUIC_PACKET_MAX_BYTES]; /* the packet that is being read */
};

void quic_hello_start(struct quic_hello *q);
/* RC_AGAIN: more datagrams. RC_PROTO: no QUIC that we know, or no ClientHello in it. After either
 * final answer q must be started anew. */
enum rc quic_hello_add(struct quic_hello *q, const void *datagram, size_t n,
                       struct sniffed *ret_found);

/* Would a client begin a connection so, be it in a version that we can't open? */
bool quic_is_beginning(const void *datagram, size_t n);

#endif
