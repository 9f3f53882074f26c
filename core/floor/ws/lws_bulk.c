/* core/floor/ws/lws_bulk.c - ws payload in blocks: see lws_bulk.h. Compiled like a source of LWS
 * (its private headers, its renamed calls). */
#include "private-lib-core.h"

#include <stdbool.h>

#include "core/floor/ws/lws_bulk.h"
#include "core/floor/ws/lws_in.h"

int lws_parse_ws(struct lws *wsi, uint8_t **buf, size_t len);
int lws_ws_handshake_client(struct lws *wsi, uint8_t **buf, size_t len);

typedef int parser_fn(struct lws *wsi, uint8_t **buf, size_t len);

/* Several words at once, at any address. */
typedef uint64_t lanes __attribute__((vector_size(32), aligned(1), may_alias));

void lws_ws_mask(uint8_t *p, size_t n, const uint8_t key[4])
{
    uint32_t half;
    uint64_t word, wide;

    memcpy(&half, key, sizeof(half));
    wide = (uint64_t)half << 32 | half;
    for (; n >= 2 * sizeof(lanes); p += 2 * sizeof(lanes), n -= 2 * sizeof(lanes)) {
        lanes *at = (lanes *)p;

        at[0] ^= wide;
        at[1] ^= wide;
    }
    for (; n >= sizeof(word); p += sizeof(word), n -= sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        word ^= wide;
        memcpy(p, &word, sizeof(word));
    }
    for (size_t i = 0; i < n; i++)
        p[i] ^= key[i & 3];
}

/* Payload of a data frame that LWS would look at byte by byte without any effect. */
static bool is_plain_payload(struct lws *wsi)
{
    const struct _lws_websocket_related *ws = wsi->ws;

    return ws && wsi->lws_rx_parse_state == LWS_RXPS_WS_FRAME_PAYLOAD && !(ws->opcode & 8) &&
           !ws->rx_ubuf_head && !ws->check_utf8 && !lws_is_flowcontrolled(wsi);
}

static void unmask(struct _lws_websocket_related *ws, uint8_t *p, size_t n)
{
    uint8_t key[4];

    if (!ws->this_frame_masked || ws->all_zero_nonce)
        return;
    for (unsigned i = 0; i < sizeof(key); i++) /* a frame may come in several reads */
        key[i] = ws->mask[(ws->mask_idx + i) & 3];
    lws_ws_mask(p, n, key);
    ws->mask_idx = (uint8_t)((ws->mask_idx + n) & 3);
}

/* Bytes taken; 0: not payload, LWS must see the next byte; -1: close. */
static ssize_t take_block(struct lws *wsi, uint8_t *p, size_t n)
{
    struct _lws_websocket_related *ws = wsi->ws;
    enum lws_callback_reasons reason =
        lwsi_role_client(wsi) ? LWS_CALLBACK_CLIENT_RECEIVE : LWS_CALLBACK_RECEIVE;

    if (!is_plain_payload(wsi))
        return 0;
    if (n > ws->rx_packet_length)
        n = ws->rx_packet_length;
    unmask(ws, p, n);
    ws->rx_packet_length -= n;
    if (!ws->rx_packet_length)
        wsi->lws_rx_parse_state = LWS_RXPS_NEW;
    if (!wsi->wsistate_pre_close && lwsi_state(wsi) == LRS_ESTABLISHED &&
        user_callback_handle_rxflow(wsi->a.protocol->callback, wsi, reason, wsi->user_space, p, n))
        return -1;
    ws->first_fragment = 0;
    return (ssize_t)n;
}

/* What a byte of a frame's head may not say, and LWS lets pass. NULL: fine.
 * RFC 6455, 5.1: a client masks every frame, a server none. 5.2: reserved bits belong to
 * extensions, of which there are none; LWS's server, built without them, still takes the first. */
static const char *violation(struct lws *wsi, uint8_t byte)
{
    bool masked = byte & 0x80, from_server = lwsi_role_client(wsi);

    if (!wsi->ws || lwsi_state(wsi) != LRS_ESTABLISHED)
        return NULL;
    if (wsi->lws_rx_parse_state == LWS_RXPS_NEW && (byte & 0x70))
        return "rsv bits";
    if (wsi->lws_rx_parse_state == LWS_RXPS_04_FRAME_HDR_LEN && masked == from_server)
        return "bad MASK";
    return NULL;
}

/* LWS names the reason of a Close only for some violations. */
static void name_violation(struct lws *wsi, const char *why)
{
    uint8_t text[16];
    size_t n = strlen(why);

    if (!wsi->ws || lwsi_state(wsi) != LRS_ESTABLISHED || wsi->ws->close_in_ping_buffer_len ||
        n > sizeof(text))
        return;
    memcpy(text, why, n);
    lws_close_reason(wsi, LWS_CLOSE_STATUS_PROTOCOL_ERR, text, n);
}

static int feed(struct lws *wsi, uint8_t **buf, size_t len, parser_fn *stock)
{
    uint8_t *end = *buf + len;

    while (*buf < end) {
        uint8_t *was = *buf;
        ssize_t n = take_block(wsi, was, (size_t)(end - was));
        const char *why;
        int ret;

        if (n < 0)
            return -1;
        *buf += n;
        if (n)
            continue;
        why = violation(wsi, *was);
        if (why) {
            name_violation(wsi, why);
            return -1;
        }
        ret = stock(wsi, buf, 1);
        if (ret < 0)
            name_violation(wsi, "");
        if (ret)
            return ret;
        if (*buf == was) /* still the request's head, or held back by flow control */
            break;
    }
    return 0;
}

int lws_parse_ws(struct lws *wsi, uint8_t **buf, size_t len)
{
    return feed(wsi, buf, len, lws_parse_ws_stock);
}

/* LWS asks here for a server's wsi too and then calls lws_parse_ws() with the old length. */
int lws_ws_handshake_client(struct lws *wsi, uint8_t **buf, size_t len)
{
    if (!lwsi_role_client(wsi))
        return lws_ws_handshake_client_stock(wsi, buf, len);
    return feed(wsi, buf, len, lws_ws_handshake_client_stock);
}

/* ---- lws_in.h ---- */

bool lws_in_feed(struct lws *wsi, uint8_t *buf, size_t n)
{
    return lws_read_h1(wsi, buf, n) >= 0;
}

bool lws_in_is_between(const struct lws *wsi)
{
    return !wsi->ws || (wsi->lws_rx_parse_state == LWS_RXPS_NEW && !wsi->ws->continuation_possible);
}

void lws_in_kill(struct lws *wsi)
{
    wsi->socket_is_permanently_unusable = 1; /* else LWS would say good-bye first, and wait */
    lws_close_free_wsi(wsi, LWS_CLOSE_STATUS_NOSTATUS, __func__);
}

const struct lws_retry_bo *lws_in_no_pings(void)
{
    static const lws_retry_bo_t policy = {.secs_since_valid_ping = 1}; /* no hang-up: no timer */

    return &policy;
}
