/* core/floor/ws/ws_codec.c - libwebsockets as a codec. Contract in ws_codec.h. */
#include "core/floor/ws/ws_codec.h"

#include "core/floor/ws/lws_in.h"
#include "core/floor/ws/lws_os.h"
#include "core/loop.h"

#include <errno.h>
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(WS_PRE_BYTES >= LWS_PRE, "LWS writes its frame header before the payload");

enum {
    QUEUE_FIRST_BYTES = 256,
    CONTROL_BYTES = 128,   /* LWS's own buffer per connection: control frames only */
    WRITE_BYTES = 1 << 17, /* above every frame: LWS cuts none */
    SERVICE_TURNS = 4,
    RANDOM_BYTES = 512,
    LWS_ROOM_BYTES = 16384, /* a connection being made takes less than 8 KB */
};

static const char protocol_name[] = "ws";

/* ---- queue */

bool ws_queue_add(struct ws_queue *q, const void *data, size_t n)
{
    size_t have = ws_queue_bytes(q), cap = q->cap ? q->cap : QUEUE_FIRST_BYTES;
    uint8_t *p;

    if (!n)
        return true;
    if (n > UINT32_MAX / 4 - have)
        return false;
    if (q->at && q->end + n > q->cap) {
        memmove(q->p, q->p + q->at, have);
        q->at = 0;
        q->end = (uint32_t)have;
    }
    while (cap < q->end + n)
        cap *= 2;
    if (cap != q->cap) {
        p = realloc(q->p, cap);
        if (!p)
            return false;
        q->p = p;
        q->cap = (uint32_t)cap;
    }
    memcpy(q->p + q->end, data, n);
    q->end += (uint32_t)n;
    return true;
}

void ws_queue_drop(struct ws_queue *q, size_t n)
{
    q->at += (uint32_t)n;
    if (q->at == q->end)
        ws_queue_done(q);
}

size_t ws_queue_take(struct ws_queue *q, void *buf, size_t cap)
{
    size_t n = ws_queue_bytes(q) < cap ? ws_queue_bytes(q) : cap;

    if (!n)
        return 0;
    memcpy(buf, q->p + q->at, n);
    ws_queue_drop(q, n);
    return n;
}

void ws_queue_done(struct ws_queue *q)
{
    free(q->p);
    *q = (struct ws_queue){0};
}

/* ---- what LWS calls */

static void deliver(struct ws_codec *c, const uint8_t *p, size_t n)
{
    size_t room = c->dst_cap - c->dst_n;
    size_t now = n < room ? n : room;

    if (now) {
        memmove(c->dst + c->dst_n, p, now); /* p may lie further on in dst itself */
        c->dst_n += now;
    }
    if (!ws_queue_add(&c->in, p + now, n - now))
        c->no_memory = true;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    struct ws_codec *c = lws_get_opaque_user_data(wsi);

    (void)user;
    if (!c)
        return 0;
    switch (reason) {
    case LWS_CALLBACK_CONNECTING:
        c->number = (int)(intptr_t)in;
        lws_os_bind(c->number, c);
        break;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
    case LWS_CALLBACK_ESTABLISHED:
        c->up = true;
        break;
    case LWS_CALLBACK_CLIENT_RECEIVE:
    case LWS_CALLBACK_RECEIVE:
        if (len)
            deliver(c, in, len);
        break;
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
        c->got_pong = true;
        break;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        c->got_close = true;
        if (len >= 2)
            c->close_code = (uint16_t)(((const uint8_t *)in)[0] << 8 | ((const uint8_t *)in)[1]);
        break;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        c->why = "the node's Sec-WebSocket-Accept is not the answer to our key";
        break;
    case LWS_CALLBACK_HTTP: /* a server of ours serves nothing else */
    case LWS_CALLBACK_RAW_ADOPT:
    case LWS_CALLBACK_RAW_RX:
        return -1;
    default:
        break;
    }
    return 0;
}

const struct lws_protocols *ws_codec_protocols(void)
{
    static const struct lws_protocols protocols[] = {
        {.name = protocol_name,
         .callback = on_event,
         .rx_buffer_size = CONTROL_BYTES,
         .tx_packet_size = WRITE_BYTES},
        LWS_PROTOCOL_LIST_TERM,
    };

    return protocols;
}

void ws_codec_on_io(struct lws *wsi, unsigned flags)
{
    struct ws_codec *c = lws_get_opaque_user_data(wsi);

    if (c && (flags & LWS_EV_WRITE))
        c->wants_out = (flags & LWS_EV_START) != 0;
}

static ssize_t on_recv(void *stream, void *buf, size_t n)
{
    struct ws_codec *c = stream;

    if (!c->head_n) {
        errno = EAGAIN;
        return -1;
    }
    if (n > c->head_n)
        n = c->head_n;
    memcpy(buf, c->head, n);
    c->head += n;
    c->head_n -= n;
    return (ssize_t)n;
}

/* The value that only LWS knows, out of the head that it would have sent. */
static void catch_key(struct ws_codec *c, const void *head, size_t n)
{
    static const char *const names[] = {"\r\nSec-WebSocket-Key: ", "\r\nSec-WebSocket-Accept: "};

    for (size_t i = 0; i < 2; i++) {
        size_t name_n = strlen(names[i]), len;
        const char *p = memmem(head, n, names[i], name_n), *end;

        if (!p)
            continue;
        p += name_n;
        end = memchr(p, '\r', n - (size_t)(p - (const char *)head));
        len = end ? (size_t)(end - p) : 0;
        if (len && len < sizeof(c->key)) {
            memcpy(c->key, p, len);
            c->key[len] = '\0';
        }
    }
}

static ssize_t on_send(void *stream, const void *buf, size_t n)
{
    struct ws_codec *c = stream;

    if (!c->up) {
        catch_key(c, buf, n);
    } else if (c->framing) {
        c->frame = buf;
        c->frame_n = n;
    } else if (!ws_queue_add(&c->out, buf, n)) {
        c->no_memory = true;
        errno = ENOMEM;
        return -1;
    }
    return (ssize_t)n;
}

static void on_closed(void *stream)
{
    ((struct ws_codec *)stream)->wsi = NULL;
}

/* A mask key is four bytes and a frame may be small: one call of the kernel serves many. */
static void on_random(void *buf, size_t n)
{
    static uint8_t pool[RANDOM_BYTES];
    static size_t left;

    if (n > sizeof(pool)) {
        loop_random(buf, n);
        return;
    }
    if (n > left) {
        loop_random(pool, sizeof(pool));
        left = sizeof(pool);
    }
    left -= n;
    memcpy(buf, pool + left, n);
    memset(pool + left, 0, n); /* nobody finds a used key here */
}

static const struct lws_os_ops os_ops = {
    .recv = on_recv, .send = on_send, .closed = on_closed, .random = on_random};

void ws_codec_init(void)
{
    lws_os_init(&os_ops);
}

void ws_codec_exit(void)
{
    lws_os_init(NULL);
}

/* ---- our calls */

static void service(struct ws_codec *c, short events)
{
    struct pollfd p = {.fd = c->number, .events = POLLIN | POLLOUT, .revents = events};

    lws_service_fd(lws_get_context(c->wsi), &p);
}

/* LWS does not survive an allocation that fails while it makes a connection (it frees what is still
 * linked). So the memory must be there before: a freed block of more than all that it takes. */
static bool has_room(void)
{
    void *volatile room = malloc(LWS_ROOM_BYTES); /* volatile: or the compiler drops the pair */

    free(room);
    return room != NULL;
}

enum rc ws_codec_connect(struct ws_codec *c, struct lws_context *cx, struct lws_vhost *vh)
{
    struct lws_client_connect_info info = {
        .context = cx,
        .vhost = vh,
        .address = "+@ws", /* taken for a unix socket: no name is resolved */
        .path = "/",
        .host = "ws",
        .local_protocol_name = protocol_name, /* protocol NULL: no subprotocol is asked */
        .retry_and_idle_policy = lws_in_no_pings(),
        .opaque_user_data = c,
    };

    if (!has_room())
        return RC_NOMEM;
    c->wsi = lws_client_connect_via_info(&info);
    for (int i = 0; i < SERVICE_TURNS && c->wsi && !c->key[0]; i++)
        service(c, POLLOUT);
    if (c->wsi && c->key[0])
        return RC_OK;
    ws_codec_done(c);
    return RC_NOMEM;
}

enum rc ws_codec_answered(struct ws_codec *c, const char *accept)
{
    char head[192];
    int n = snprintf(head, sizeof(head),
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                     accept);

    if (n < 0 || (size_t)n >= sizeof(head) || !c->wsi)
        return RC_PROTO;
    if (!has_room())
        return RC_NOMEM;
    c->head = (const uint8_t *)head;
    c->head_n = (size_t)n;
    service(c, POLLIN);
    c->head = NULL;
    c->head_n = 0;
    return c->up && c->wsi ? RC_OK : RC_PROTO;
}

enum rc ws_codec_accept(struct ws_codec *c, struct lws_vhost *vh, const char *key)
{
    lws_adopt_desc_t info = {.vh = vh, .type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP, .opaque = c};
    char head[256];
    int n = snprintf(head, sizeof(head),
                     "GET / HTTP/1.1\r\nHost: ws\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
                     key);

    if (n < 0 || (size_t)n >= sizeof(head))
        return RC_PROTO;
    if (!has_room())
        return RC_NOMEM;
    c->number = lws_os_fd(c);
    if (c->number < 0)
        return errno == EMFILE ? RC_LIMIT : RC_NOMEM;
    info.fd.sockfd = c->number;
    c->head = (const uint8_t *)head;
    c->head_n = (size_t)n;
    c->wsi = lws_adopt_descriptor_vhost_via_info(&info);
    if (c->wsi)
        service(c, POLLIN);
    c->head = NULL;
    c->head_n = 0;
    if (c->wsi && c->up && c->key[0])
        return RC_OK;
    ws_codec_done(c);
    return RC_NOMEM;
}

/* Ends the LWS connection at once; the queues stay. */
static void stop_lws(struct ws_codec *c)
{
    struct lws *wsi = c->wsi;

    if (!wsi)
        return;
    lws_os_bind(c->number, NULL); /* no call back from here on */
    lws_set_opaque_user_data(wsi, NULL);
    c->wsi = NULL;
    c->wants_out = false;
    lws_in_kill(wsi);
}

enum rc ws_codec_feed(struct ws_codec *c, uint8_t *buf, size_t n, void *dst, size_t cap,
                      size_t *ret_n)
{
    bool fine;

    *ret_n = 0;
    if (c->got_close) /* what comes after a Close is nobody's */
        return RC_OK;
    if (!c->wsi)
        return RC_PROTO;
    c->dst = dst;
    c->dst_cap = cap;
    c->dst_n = 0;
    fine = lws_in_feed(c->wsi, buf, n);
    *ret_n = c->dst_n;
    c->dst = NULL;
    c->dst_cap = c->dst_n = 0;
    if (!c->no_memory && (fine || c->got_close))
        return RC_OK;
    ws_codec_service(c); /* the Close that says why; its answer is not waited for */
    stop_lws(c);
    return c->no_memory ? RC_NOMEM : RC_PROTO;
}

const char *ws_codec_why(enum rc rc)
{
    return rc == RC_NOMEM ? "no memory" : "the peer broke the WebSocket protocol";
}

void ws_codec_service(struct ws_codec *c)
{
    for (int i = 0; i < SERVICE_TURNS && c->wsi && c->wants_out && !ws_queue_bytes(&c->out); i++) {
        c->wants_out = false;
        service(c, POLLOUT);
    }
}

enum rc ws_codec_frame(struct ws_codec *c, uint8_t *payload, size_t n, const uint8_t **ret_frame,
                       size_t *ret_n)
{
    int done;

    if (!c->wsi)
        return RC_RESET;
    c->framing = true;
    c->frame = NULL;
    done = lws_write(c->wsi, payload, n, LWS_WRITE_BINARY);
    c->framing = false;
    if (done < 0 || !c->frame)
        return RC_NOMEM;
    *ret_frame = c->frame;
    *ret_n = c->frame_n;
    return RC_OK;
}

enum rc ws_codec_ping(struct ws_codec *c)
{
    uint8_t room[LWS_PRE + 8] = {0};

    return c->wsi && lws_write(c->wsi, room + LWS_PRE, 0, LWS_WRITE_PING) >= 0 ? RC_OK : RC_NOMEM;
}

bool ws_codec_is_between(const struct ws_codec *c)
{
    return !c->wsi || lws_in_is_between(c->wsi);
}

void ws_codec_done(struct ws_codec *c)
{
    stop_lws(c);
    ws_queue_done(&c->in);
    ws_queue_done(&c->out);
}
