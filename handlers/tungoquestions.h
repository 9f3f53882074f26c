/* handlers/tungoquestions.h - the questions of one DNS connection that is passed on (RFC 7766),
 * watched while their bytes pass: where one goes another way than those before it, reading ends,
 * and the owner may decide anew.
 *
 *   ... a.test A | a.test AAAA | b.test A ...        what is behind the last bar is kept
 *                              ^ EOF for whoever reads, when what was asked before is answered
 *
 * Bytes are never changed. A question is kept until it is whole (4 KiB), so nothing of it is told
 * to somebody whom it does not concern. What is no question ends the watch: all passes.
 *
 * A layer of the client's stream, on top of what was read ahead; the stream owns it. Once reading
 * has ended so, an end of writing is not passed on to the client.
 */
#ifndef HANDLERS_TUNGOQUESTIONS_H
#define HANDLERS_TUNGOQUESTIONS_H

#include "core/stream.h"
#include "sniff/sniff.h"

struct tungoquestions_cfg {
    /* Does this question go where the first one went? Asked within a read; must not end the stream.
     */
    bool (*same_way)(void *arg, const struct sniffed *found);
    /* From the loop, when a question goes another way: answers to those before it may still be on
     * their way. */
    void (*on_next)(void *arg);
    void *arg;
};

struct layer *tungoquestions_layer(struct loop *loop,
                                   const struct tungoquestions_cfg *cfg); /* NULL: no memory */

/* Is a question there that goes another way, with the client still to be answered? Who then calls
 * tungoquestions_next() gets what sniff_dns_stream() says of it, and may read on from it. */
bool tungoquestions_has_next(const struct layer *l);
void tungoquestions_next(struct layer *l, struct sniffed *ret_found);

#endif
