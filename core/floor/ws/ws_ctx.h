/* core/floor/ws/ws_ctx.h - what all ws floors of a process share, and what those of one dialer or
 * listener share. Private to the ws floor.
 */
#ifndef CORE_FLOOR_WS_WS_CTX_H
#define CORE_FLOOR_WS_WS_CTX_H

#include "core/floor/ws/ws.h"
#include "core/floor/ws/ws_codec.h"

struct ws_ctx {
    unsigned refs;
    bool is_client;
    struct loop *loop;
    struct lws_vhost *vhost;
    struct ws_cfg cfg; /* a copy; strings are never NULL but host */
    char *target;      /* client: the path, escaped */
};

struct lws_context *ws_ctx_lws(void);

/* A buffer for one message or one read, as long as the caller needs it: a few are kept for the
 * whole process, so that a flow at rest has none. NULL: no memory. */
enum { WS_SCRATCH_BYTES = 65536 };
struct ws_scratch {
    struct ws_scratch *next;
    uint8_t pre[WS_PRE_BYTES]; /* room for a frame's header */
    uint8_t buf[WS_SCRATCH_BYTES];
};
struct ws_scratch *ws_scratch_take(void);
void ws_scratch_give(struct ws_scratch *s); /* NULL is fine */

#endif
