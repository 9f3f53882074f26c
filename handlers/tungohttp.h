/* handlers/tungohttp.h - the requests of one HTTP connection, watched while their bytes pass: where
 * one asks for another host than those before it, reading ends, and the owner may decide anew.
 *
 *   ... GET /b Host: a | GET /c Host: b ...        what is behind the bar is kept
 *                      ^ EOF for whoever reads
 *
 * Bytes are never changed. Heads are kept until they are whole (16 KiB), bodies pass as they are,
 * without a copy where they have a length. After an upgrade, a CONNECT, or what is no HTTP/1 any
 * more nothing is watched: all passes. RFC 9112; gost-config.md 5.2.
 *
 * A layer of the client's stream, on top of what was read ahead; the stream owns it. Once reading
 * has ended so, an end of writing is not passed on to the client.
 */
#ifndef HANDLERS_TUNGOHTTP_H
#define HANDLERS_TUNGOHTTP_H

#include "core/stream.h"
#include "sniff/sniff.h"

/* on_next is called from the loop when reading ends so: the answers to what was asked before may
 * still be on their way. NULL: no memory. */
typedef void tungohttp_fn(void *arg);
struct layer *tungohttp_layer(struct loop *loop, tungohttp_fn *on_next, void *arg);

/* Has reading ended at a request for another host, with the client still to be answered? Who then
 * calls tungohttp_next() gets what it says about where to, as sniff_stream() would, and may read on
 * from it. */
bool tungohttp_has_next(const struct layer *l);
void tungohttp_next(struct layer *l, struct sniffed *ret_found);

#endif
