/* listeners/tungo/fragment.h - IP fragments, both ways: datagrams put together from what the device
 * brings, and our answers cut where they exceed its MTU.
 *
 * No I/O and no lwIP: its reassembly chains pbufs of whole read buffers and knows no cap per
 * source. Here a datagram is one growing buffer and a bitmap of the 8-byte units that came. RFC
 * 791, 815, 8200 4.5, 5722 (overlap ends the datagram), 6946 (atomic fragments).
 */
#ifndef LISTENERS_TUNGO_FRAGMENT_H
#define LISTENERS_TUNGO_FRAGMENT_H

#include "core/addr.h"
#include "core/wire/ip.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- together. Owner: the listener, one per device. Memory: at most FRAGMENT_DATAGRAMS times
 * 66 KB, only while fragments wait. */
enum {
    FRAGMENT_DATAGRAMS = 64,
    FRAGMENT_PER_SOURCE = 16, /* of them, of one client (core/shares.h); its oldest goes; when all
                                 are used: the oldest of the one that has most */
    FRAGMENT_WAIT_MS = 30000,
    FRAGMENT_HEADER_MAX = 128 /* IP header with what stands before the fragment header */
};

struct reassembly;

enum reassembly_result {
    REASSEMBLY_HELD,
    REASSEMBLY_DONE, /* *ret_ip, *ret_n: the whole packet, to be given to the gate again */
    REASSEMBLY_DROP  /* malformed, overlapping, or beyond a cap; counted */
};

struct reassembly *reassembly_new(void); /* NULL: no memory */
void reassembly_free(struct reassembly *r);
/* One fragment: n bytes at ip as gate_check() passed them (GATE_FRAGMENT), l4 being the offset of
 * the payload (v4) or of the fragment header (v6). What DONE returns is writable, has a spare byte
 * behind it and lives until the next call. */
enum reassembly_result reassembly_add(struct reassembly *r, const uint8_t *ip, size_t n, size_t l4,
                                      uint64_t now_ms, uint8_t **ret_ip, size_t *ret_n);
/* Drops what waited too long. Called by add too; from a timer it only frees memory sooner. Returns
 * when to call again, 0: nothing waits. */
uint64_t reassembly_expire(struct reassembly *r, uint64_t now_ms);
size_t reassembly_waiting(const struct reassembly *r);
uint64_t reassembly_dropped(const struct reassembly *r); /* datagrams and fragments */

/* --- apart. A cutter yields the headers of the fragments of one packet, payload stays where it is:
 *   fragment_cut_start(&c, ip, payload_bytes, mtu, id);
 *   while (fragment_cut_next(&c)) write({c.header, c.header_bytes}, {payload + c.at, c.n});
 */
struct fragment_cut {
    uint8_t header[IP6_HEADER_BYTES + 8];
    size_t header_bytes;
    size_t at, n; /* the piece of the payload behind it */
    size_t payload_bytes, step;
    uint32_t id;
};
/* ip: a header without options or extensions (20 or 40 bytes); payload: all behind it, with the
 * checksum of the upper layer complete. false: the MTU has no room for 8 bytes of payload. */
bool fragment_cut_start(struct fragment_cut *c, const uint8_t *ip, size_t payload_bytes, size_t mtu,
                        uint32_t id);
bool fragment_cut_next(struct fragment_cut *c); /* false: all were yielded */

#endif
