/* core/floor/ws/lws_in.h - the few things that LWS's public functions don't offer: bytes that were
 * read elsewhere go in, and a connection ends at once. Implemented in lws_bulk.c, which is compiled
 * like a source of LWS. Private to the ws floor.
 */
#ifndef CORE_FLOOR_WS_LWS_IN_H
#define CORE_FLOOR_WS_LWS_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lws;
struct lws_retry_bo;

/* An upgraded connection reads buf (changed in place). false: it ended, or goes on only to send a
 * Close. LWS's RECEIVE callbacks come from here. */
bool lws_in_feed(struct lws *wsi, uint8_t *buf, size_t n);

/* Neither inside a frame nor inside a fragmented message. */
bool lws_in_is_between(const struct lws *wsi);

/* Ends and frees it now, without a word to the peer. Never from one of its own callbacks. */
void lws_in_kill(struct lws *wsi);

/* The idle policy that makes LWS send no pings of its own (its default: every 300 s). */
const struct lws_retry_bo *lws_in_no_pings(void);

#endif
