/* core/floor/mem.h - two bottom floors joined in memory: the wire of unit tests and of nothing
 * else.
 *
 * Each direction is a bounded buffer. A seed makes the wire nasty: every recv and send moves a
 * random part, down to one byte, and sometimes answers RC_AGAIN although there is something (an
 * event follows).
 */
#ifndef CORE_FLOOR_MEM_H
#define CORE_FLOOR_MEM_H

#include "core/stream.h"

struct mem_cfg {
    size_t cap_bytes; /* per direction; 0: 65536 */
    uint32_t seed;    /* 0: whole pieces */
};
/* false: no memory. Both floors belong to the caller until pushed. */
bool mem_pair(struct loop *loop, const struct mem_cfg *cfg, struct layer **ret_a,
              struct layer **ret_b);

#endif
