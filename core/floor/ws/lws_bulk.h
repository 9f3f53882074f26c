/* core/floor/ws/lws_bulk.h - ws payload in blocks instead of byte by byte, both roles.
 *
 * Stands in front of LWS's two byte parsers: they are compiled as *_stock (deps/build.sh), and
 * lws_bulk.c takes their names. Headers, control frames and empty frames still go to LWS one byte
 * at a time; the payload of data frames is unmasked where it lies and handed up in one piece. Seen
 * by LWS's sources too (the mask patch calls lws_ws_mask).
 */
#ifndef CORE_FLOOR_WS_LWS_BULK_H
#define CORE_FLOOR_WS_LWS_BULK_H

#include <stddef.h>
#include <stdint.h>

struct lws;

/* XOR n bytes with a mask key that starts at its first byte (RFC 6455, 5.3). */
void lws_ws_mask(uint8_t *p, size_t n, const uint8_t key[4]);

int lws_parse_ws_stock(struct lws *wsi, uint8_t **buf, size_t len);
int lws_ws_handshake_client_stock(struct lws *wsi, uint8_t **buf, size_t len);

#endif
