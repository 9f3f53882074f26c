/* core/floor/ws/ws_codec.h - one WebSocket connection of libwebsockets as a codec: bytes in, bytes
 * out. No streams, no waiting. Private to the ws floor.
 *
 * LWS makes and checks the keys of the upgrade, reads and writes frames, masks, answers pings and
 * Close. What it wants to send is caught here: a data frame lies where it was written
 * (ws_codec_frame), everything else is appended to `out`. So nothing of ours runs inside a call of
 * LWS, and LWS, which is not re-entrant, is never entered twice: ws over ws needs no care.
 *
 * Owner:   the layer; ws_codec_done() ends the LWS connection at once. Threads: the loop's.
 * Ends:    LWS may end a connection by itself (protocol error, Close answered): wsi is NULL then.
 */
#ifndef CORE_FLOOR_WS_WS_CODEC_H
#define CORE_FLOOR_WS_WS_CODEC_H

#include "core/floor/ws/ws_head.h"
#include "core/rc.h"
#include <stdint.h>

struct lws;
struct lws_context;
struct lws_protocols;
struct lws_vhost;

enum {
    WS_PRE_BYTES = 16,            /* room that LWS wants before a payload */
    WS_MESSAGE_BYTES = 65536 - 8, /* a full frame is four full TLS records */
};

/* Bytes that wait, in order. Invariant: at <= end <= cap; p == NULL: cap is 0. */
struct ws_queue {
    uint8_t *p;
    uint32_t at, end, cap;
};
bool ws_queue_add(struct ws_queue *q, const void *data, size_t n); /* false: no memory */
size_t ws_queue_take(struct ws_queue *q, void *buf, size_t cap);   /* frees what it emptied */
void ws_queue_drop(struct ws_queue *q, size_t n);
void ws_queue_done(struct ws_queue *q);
static inline size_t ws_queue_bytes(const struct ws_queue *q)
{
    return q->end - q->at;
}

struct ws_codec {
    struct lws *wsi; /* NULL: not begun, or ended by LWS */
    int number;      /* what stands for us in LWS's eyes (lws_os.h) */
    bool up;         /* upgraded */
    bool wants_out;  /* LWS asks for ws_codec_service() */
    bool got_close, got_pong;
    bool no_memory; /* a byte was lost: final */
    bool framing;
    uint16_t close_code;        /* of got_close; 0: it had none */
    char key[WS_KEY_MAX_BYTES]; /* client: the key LWS made; server: the accept it computed */
    const char *why;            /* the reason for not going up; static */
    const uint8_t *head;        /* what LWS reads next, during the upgrade */
    size_t head_n;
    const uint8_t *frame; /* caught */
    size_t frame_n;
    uint8_t *dst; /* where received payload goes first; the rest goes to `in` */
    size_t dst_cap, dst_n;
    struct ws_queue in, out;
};

/* Client: begins; `key` is set. RC_NOMEM, RC_LIMIT (LWS has no more numbers). */
enum rc ws_codec_connect(struct ws_codec *c, struct lws_context *cx, struct lws_vhost *vh);
/* Client: gives the peer's accept to LWS. RC_PROTO: why. */
enum rc ws_codec_answered(struct ws_codec *c, const char *accept);
/* Server: begins with the client's key; `key` becomes the accept. */
enum rc ws_codec_accept(struct ws_codec *c, struct lws_vhost *vh, const char *key);

/* Received bytes, changed in place; payload is copied to dst (which may be buf itself: payload is
 * never longer than its frames), what does not fit to `in`. RC_PROTO: the peer broke the protocol;
 * a Close that says so waits in `out`. */
enum rc ws_codec_feed(struct ws_codec *c, uint8_t *buf, size_t n, void *dst, size_t cap,
                      size_t *ret_n);
const char *ws_codec_why(enum rc rc); /* in words */
/* Lets LWS write what it wants to: a pong, a Close; at most one of them, 131 bytes. */
void ws_codec_service(struct ws_codec *c);
/* One binary message. payload has WS_PRE_BYTES before it and may be changed; *ret_frame lies
 * there. */
enum rc ws_codec_frame(struct ws_codec *c, uint8_t *payload, size_t n, const uint8_t **ret_frame,
                       size_t *ret_n);
enum rc ws_codec_ping(struct ws_codec *c); /* into `out` */
/* Is nothing of a message missing? */
bool ws_codec_is_between(const struct ws_codec *c);
void ws_codec_done(struct ws_codec *c); /* zeroed is fine, twice too */

/* ---- for ws_ctx.c */

const struct lws_protocols *ws_codec_protocols(void);
void ws_codec_init(void); /* before LWS's context is made */
void ws_codec_exit(void); /* after it is gone */
/* LWS's event loop asked for a change of the events of wsi. */
void ws_codec_on_io(struct lws *wsi, unsigned flags);

#endif
