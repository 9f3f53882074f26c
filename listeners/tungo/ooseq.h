/* listeners/tungo/ooseq.h - what came behind a gap: the segments that lwIP keeps out of order.
 *
 * lwIP walks its list of them for every segment that comes, and on a link that loses there is a gap
 * for as long as the flow lives. So neighbours in that list are joined: what it walks then is as
 * long as there are gaps. A joined segment must not be cut by a copy of a part of it (lwIP would
 * throw the rest away, which the client was told had come): such copies are kept from lwIP.
 *
 * Owner: the pcb owns the segments; no state here but a count in the flow. For flows with a pcb.
 */
#ifndef LISTENERS_TUNGO_OOSEQ_H
#define LISTENERS_TUNGO_OOSEQ_H

#include <stdbool.h>

struct packet;
struct tungo_flow;

enum {
    OOSEQ_MAX = 4096, /* list entries, joined ones are one: more are small segments far apart, or
                         smaller than any link's, sent on purpose */
    OOSEQ_JOIN_BYTES = 64, /* smaller ones stay apart: a joined one, which has up to 64 KB, is
                              walked for each addition */
};

/* May lwIP see these bytes? No: an honest client does not send that, and lwIP would break over it,
 * or over how many there are. */
bool ooseq_refuses(struct tungo_flow *f, const struct packet *p);
/* Did all of p's bytes come before, behind a gap? */
bool ooseq_has(const struct tungo_flow *f, const struct packet *p);
/* Bytes behind a gap, or into one? */
bool ooseq_is_near_gap(const struct tungo_flow *f, const struct packet *p);
/* After lwIP had a segment with bytes. */
void ooseq_join(struct tungo_flow *f);

#endif
