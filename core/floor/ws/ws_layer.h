/* core/floor/ws/ws_layer.h - the layer of one WebSocket connection, shared by the two files that
 * make it: ws_upgrade.c (until it is up) and ws.c (from then on). Private to the ws floor.
 */
#ifndef CORE_FLOOR_WS_WS_LAYER_H
#define CORE_FLOOR_WS_WS_LAYER_H

#include "core/floor/ws/ws_ctx.h"

enum ws_state {
    ST_BEGIN,
    ST_REQUEST_SEND, /* client */
    ST_ANSWER_RECV,
    ST_REQUEST_RECV, /* server */
    ST_ANSWER_SEND,
    ST_UP,
};

/* A head that comes in pieces, and perhaps what rides behind it. */
struct ws_head_in {
    size_t n, cap, scanned, end;
    char bytes[];
};

struct ws {
    struct layer layer;
    struct ws_ctx *ctx;
    struct ws_codec codec;
    enum ws_state state;
    bool eof;      /* the floor below ended */
    bool shut;     /* we did */
    bool was_read; /* the owner has called recv since the last run() */
    bool ping_due;
    enum rc final; /* RC_OK: alive */
    const char *why;
    enum ws_verdict verdict; /* server */
    char *host;              /* client, until up */
    struct ws_head_in *head; /* until up */
    struct ws_scratch *tail; /* holds tail_p */
    const uint8_t *tail_p;   /* rest of a frame */
    size_t tail_n;
    struct ws_scratch *reserved;
    struct addr client; /* server: as a proxy in front says */
    struct timer timer; /* the upgrade's deadline, then the next ping */
    uint64_t pong_due_ms;
};

static inline struct ws *ws_of(struct layer *l)
{
    return (struct ws *)l;
}

/* From here on recv and send say so, behind what was received before. why: static. */
void ws_end(struct ws *w, enum rc rc, const char *why);
enum rc ws_report(struct ws *w); /* what ws_end() said, into the stream's diag */

/* RC_OK: everything that was promised is with the floor below. */
enum rc ws_flush(struct ws *w);

/* The layer's open(). */
enum rc ws_upgrade(struct layer *l);
/* Called by it when the connection is up: arms the pings. */
void ws_start_pings(struct ws *w);

#endif
