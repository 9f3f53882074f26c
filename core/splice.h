/* core/splice.h - move bytes both ways between two open streams until both directions ended.
 *
 * Owner: whoever called splice_start(). It gets exactly one done() call, from the loop, after which
 * both streams are gone (but for cfg->keep_a).
 *
 * Takes: both streams, also when splice_start() fails.
 *
 * Ends: both directions at EOF; an error on either side (the other side is reset, once what the
 * failed one said before has been moved); idle_ms without a byte; splice_stop().
 *
 * Costs: nothing in a direction whose source peeks or whose sink reserves; else one buffer, held
 * only while bytes wait.
 */
#ifndef CORE_SPLICE_H
#define CORE_SPLICE_H

#include "core/rc.h"
#include <stdbool.h>
#include <stdint.h>

struct stream;
struct splice;

struct splice_cfg {
    uint32_t idle_ms; /* 0: never */
    /* Silence that the second direction may keep after the first ended; 0: as idle_ms. */
    uint32_t half_open_ms;
    /* The same for what a failed side said, until the other has taken it; 0: 30 s. */
    uint32_t last_words_ms;
    bool keep_a; /* done() with RC_OK or RC_CANCELED leaves a open to the owner */
};

struct splice_result {
    uint64_t up_bytes, down_bytes; /* a to b, b to a */
    uint64_t duration_ms;
    /* RC_OK: both ended by EOF; RC_TIMEOUT, RC_CANCELED, or the failing side's reason. */
    struct diag diag;
    char side; /* 'a' or 'b': where it failed; 0: neither */
};
typedef void splice_done_fn(void *arg, const struct splice_result *res);

/* a is the client side, b the target side. NULL: no memory (both streams are then closed, done is
 * not called). */
struct splice *splice_start(struct stream *a, struct stream *b, const struct splice_cfg *cfg,
                            splice_done_fn *done, void *arg);
void splice_stop(struct splice *sp); /* done() comes later, from the loop, with RC_CANCELED */
/* Ends it at once: both streams are closed, done() is not called. NULL is fine. */
void splice_free(struct splice *sp);
void splice_bytes(const struct splice *sp, uint64_t *ret_up, uint64_t *ret_down);

#endif
