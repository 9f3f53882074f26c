/* core/floor/ws/ws.h - WebSocket as a floor, both ends, by libwebsockets over our own streams.
 * wire-protocols.md section 2.
 *
 * One write is one binary message; message borders mean nothing on receipt; half-close is the
 * half-close of the floor below, never a Close frame first. Pings are answered under back-pressure.
 * Owner: a ws_ctx belongs to its dialer or listener, layers hold a reference. Threads: the loop's;
 * the LWS context is one per process.
 */
#ifndef CORE_FLOOR_WS_WS_H
#define CORE_FLOOR_WS_WS_H

#include "core/option.h"
#include "core/stream.h"

struct ws_cfg {
    char *path;           /* "/ws" */
    char *host;           /* client: Host header; NULL: the node's address as written */
    struct strmap header; /* extra request or response headers */
    bool keepalive;       /* client: send pings */
    int64_t ping_ms;      /* client: every so often; dead after twice that without a pong */
    int64_t handshake_ms, read_header_ms;       /* 0: the deadline of whoever opens the stream */
    bool compression;                           /* accepted, never offered */
    int64_t backlog, read_buffer, write_buffer; /* accepted, no effect */
    /* For the socket below, so for the dialer or listener to apply; the floor has no socket. */
    bool tcp_keepalive, mptcp;
    int64_t tcp_idle_ms, tcp_interval_ms, tcp_count;
};
extern const struct option ws_dialer_options[];
extern const struct option ws_listener_options[];

/* A set of options prepared for many connections (a vhost of the one LWS context of the process).
 * Refcounted: layers hold a reference. What cfg says is copied. */
struct ws_ctx;
enum rc ws_client_new(struct loop *loop, const struct ws_cfg *cfg, struct ws_ctx **ret_ctx,
                      struct diag *diag);
enum rc ws_server_new(struct loop *loop, const struct ws_cfg *cfg, struct ws_ctx **ret_ctx,
                      struct diag *diag);
struct ws_ctx *ws_ctx_ref(struct ws_ctx *ctx);
void ws_ctx_unref(struct ws_ctx *ctx);
/* once, before the loop ends: lets go of the LWS context; all layers must be gone */
void ws_shutdown(void);

/* host: the Host header when the configuration names none ("node:443"). NULL: no memory. */
struct layer *ws_client_layer(struct ws_ctx *ctx, const char *host);
struct layer *ws_server_layer(struct ws_ctx *ctx);

#endif
