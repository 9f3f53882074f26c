/* core/wire/relay.h - the relay protocol, version 1: request, response, features, and the framing
 * of datagrams on a CONNECT+UDP stream. Source: wire-protocols.md section 1.
 *
 * Pure: no I/O, no allocation; slices point into the input. Parsers are incremental: RC_AGAIN until
 * the message is whole, RC_PROTO when it is wrong; *ret_used is the length of the message, what
 * follows belongs to the next layer.
 */
#ifndef CORE_WIRE_RELAY_H
#define CORE_WIRE_RELAY_H

#include "core/addr.h"
#include "core/rc.h"
#include "core/wire/cursor.h"

enum relay_cmd { RELAY_CONNECT = 1, RELAY_BIND = 2, RELAY_ASSOCIATE = 3 };

enum relay_status {
    RELAY_OK = 0,
    RELAY_BAD_REQUEST = 1,
    RELAY_UNAUTHORIZED = 2,
    RELAY_FORBIDDEN = 3,
    RELAY_TIMEOUT = 4,
    RELAY_SERVICE_UNAVAILABLE = 5,
    RELAY_HOST_UNREACHABLE = 6,
    RELAY_NETWORK_UNREACHABLE = 7,
    RELAY_INTERNAL_ERROR = 8
};

enum relay_network { RELAY_NET_TCP = 0, RELAY_NET_UDP = 1, RELAY_NET_IP = 2, RELAY_NET_UNIX = 16 };

enum {
    RELAY_HEAD_BYTES = 4,
    RELAY_MESSAGE_MAX_BYTES = 4 + 65535,
    /* The longest request that relay_format_request() writes: auth, network, addr. */
    RELAY_REQUEST_MAX_BYTES = 4 + (3 + 2 + 255 + 255) + (3 + 2) + (3 + 259),
    RELAY_RESPONSE_MAX_BYTES = 4 + (3 + 259),
    RELAY_TUNNEL_ID_BYTES = 20,
    RELAY_DGRAM_HEAD_BYTES = 2
};

struct relay_request {
    uint8_t cmd;             /* low nibble as it came; 0 is served as CONNECT */
    bool udp;                /* UDP flag, or network feature 1 */
    bool has_auth;           /* the last auth feature */
    struct slice user, pass; /* at most 255 bytes each */
    bool has_network;
    uint16_t network;
    bool has_addr;
    uint8_t atyp;
    struct target target; /* empty name and no address: wildcard, or "the server knows" */
    bool has_tunnel;
    uint8_t tunnel[RELAY_TUNNEL_ID_BYTES];
};

struct relay_response {
    uint8_t status;
    bool has_addr;
    uint8_t atyp;
    struct target addr; /* BIND and association: what the server bound */
};

enum rc relay_parse_request(const void *buf, size_t len, struct relay_request *ret_req,
                            size_t *ret_used);
enum rc relay_parse_response(const void *buf, size_t len, struct relay_response *ret_resp,
                             size_t *ret_used);

/* Features go in the order in which GOST's client sends them (wire-protocols 1.2): CONNECT network,
 * auth, addr; BIND auth, network, addr. For udp the flag is set and network is 1. RC_LIMIT: no
 * room; RC_INVALID: user or password over 255 bytes. */
enum rc relay_format_request(const struct relay_request *req, void *buf, size_t cap, size_t *ret_n);
/* addr: NULL for none. */
enum rc relay_format_response(enum relay_status status, const struct target *addr, void *buf,
                              size_t cap, size_t *ret_n);

/* One datagram of a CONNECT+UDP stream: len(2) payload. */
enum rc relay_parse_dgram(const void *buf, size_t len, struct slice *ret_payload, size_t *ret_used);
void relay_format_dgram_head(uint16_t payload_bytes, uint8_t ret_head[static 2]);

/* The word for a status ("network unreachable"), for logs and reasons. */
const char *relay_status_text(unsigned status);

#endif
