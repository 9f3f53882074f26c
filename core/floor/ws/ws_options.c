/* core/floor/ws/ws_options.c - the options of a ws dialer and a ws listener. wire-protocols.md 2.1.
 */
#include "core/floor/ws/ws.h"

#define AT(field) offsetof(struct ws_cfg, field)

/* GOST's [N] keys of the socket below. Whoever applies them takes the flag away. */
#define TCP_OPTIONS(prefix)                                                                        \
    {prefix "keepalive",                                                                           \
     NULL,                                                                                         \
     OPTION_BOOL,                                                                                  \
     OPTION_LATER,                                                                                 \
     AT(tcp_keepalive),                                                                            \
     "false",                                                                                      \
     NULL,                                                                                         \
     0,                                                                                            \
     0,                                                                                            \
     "TCP keepalive probes with the values below"},                                                \
        {prefix "keepalive.idle",                                                                  \
         NULL,                                                                                     \
         OPTION_DURATION,                                                                          \
         OPTION_LATER,                                                                             \
         AT(tcp_idle_ms),                                                                          \
         "15s",                                                                                    \
         NULL,                                                                                     \
         0,                                                                                        \
         0,                                                                                        \
         "silence before the first TCP keepalive probe"},                                          \
        {prefix "keepalive.interval",                                                              \
         NULL,                                                                                     \
         OPTION_DURATION,                                                                          \
         OPTION_LATER,                                                                             \
         AT(tcp_interval_ms),                                                                      \
         "15s",                                                                                    \
         NULL,                                                                                     \
         0,                                                                                        \
         0,                                                                                        \
         "time between TCP keepalive probes"},                                                     \
    {                                                                                              \
        prefix "keepalive.count", NULL, OPTION_INT, OPTION_LATER, AT(tcp_count), "9", NULL, 0,     \
            127, "probes without an answer that end a connection"                                  \
    }

const struct option ws_dialer_options[] = {
    {"ws.path", "path", OPTION_STRING, 0, AT(path), "/ws", NULL, 0, 0,
     "URL path of the upgrade; percent-escaped, so a '?' begins no query"},
    {"ws.host", "host", OPTION_STRING, 0, AT(host), NULL, NULL, 0, 0,
     "Host header; default: the node's address as written. Does not change the SNI"},
    {"ws.header", "header", OPTION_MAP, 0, AT(header), NULL, NULL, 0, 0, "more request headers"},
    {"ws.handshakeTimeout", "handshakeTimeout", OPTION_DURATION, 0, AT(handshake_ms), "0s", NULL, 0,
     0, "time for the upgrade; 0: the deadline of the dial"},
    {"ws.readHeaderTimeout", "readHeaderTimeout", OPTION_DURATION, OPTION_NOOP, AT(read_header_ms),
     "0s", NULL, 0, 0, "no effect in a dialer"},
    {"ws.readBufferSize", "readBufferSize", OPTION_SIZE, OPTION_NOOP, AT(read_buffer), NULL, NULL,
     0, 0, "no effect: buffers are shared"},
    {"ws.writeBufferSize", "writeBufferSize", OPTION_SIZE, OPTION_NOOP, AT(write_buffer), NULL,
     NULL, 0, 0, "no effect: one write is one frame"},
    {"ws.enableCompression", "enableCompression", OPTION_BOOL, OPTION_NOOP, AT(compression),
     "false", NULL, 0, 0, "accepted; compression is never offered"},
    {"ws.keepalive", "keepalive", OPTION_BOOL, 0, AT(keepalive), "false", NULL, 0, 0,
     "send pings; the connection ends when none is answered for twice their interval"},
    {"ttl", "keepalive.interval", OPTION_DURATION, 0, AT(ping_ms), "15s", NULL, 0, 0,
     "time between pings"},
    TCP_OPTIONS("tcp."),
    OPTION_END};

const struct option ws_listener_options[] = {
    {"ws.path", "path", OPTION_STRING, 0, AT(path), "/ws", NULL, 0, 0,
     "URL path that upgrades; one that ends in '/' stands for all below it"},
    {"ws.header", "header", OPTION_MAP, 0, AT(header), NULL, NULL, 0, 0, "more response headers"},
    {"ws.handshakeTimeout", "handshakeTimeout", OPTION_DURATION, 0, AT(handshake_ms), "0s", NULL, 0,
     0, "time for the whole upgrade; 0: the handler's deadline"},
    {"ws.readHeaderTimeout", "readHeaderTimeout", OPTION_DURATION, 0, AT(read_header_ms), "0s",
     NULL, 0, 0, "time for the request head; 0: the handler's deadline"},
    {"ws.readBufferSize", "readBufferSize", OPTION_SIZE, OPTION_NOOP, AT(read_buffer), NULL, NULL,
     0, 0, "no effect: buffers are shared"},
    {"ws.writeBufferSize", "writeBufferSize", OPTION_SIZE, OPTION_NOOP, AT(write_buffer), NULL,
     NULL, 0, 0, "no effect: one write is one frame"},
    {"ws.enableCompression", "enableCompression", OPTION_BOOL, OPTION_NOOP, AT(compression),
     "false", NULL, 0, 0, "accepted; a client's offer is not taken up"},
    {"ws.backlog", "backlog", OPTION_INT, OPTION_NOOP, AT(backlog), "128", NULL, 0, 0,
     "no effect: there is no queue of upgraded connections"},
    TCP_OPTIONS(""),
    {"mptcp", NULL, OPTION_BOOL, OPTION_LATER, AT(mptcp), "false", NULL, 0, 0, "multipath TCP"},
    OPTION_END};
