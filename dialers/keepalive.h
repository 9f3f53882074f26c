/* dialers/keepalive.h - the TCP keepalive options that tcp, tls, ws and wss share.
 * gost-config.md 10.2; the numbers are those of Go's net.KeepAliveConfig.
 */
#ifndef DIALERS_KEEPALIVE_H
#define DIALERS_KEEPALIVE_H

#include "core/option.h"

struct stream;

struct keepalive_cfg {
    bool on;
    int64_t idle_ms, interval_ms, count;
};

/* Rows of an option table for a struct owner with a keepalive_cfg as member `m`; prefix: "" or
 * "tcp.". */
#define KEEPALIVE_OPTIONS(owner, m, prefix)                                                        \
    {.key = prefix "keepalive",                                                                    \
     .type = OPTION_BOOL,                                                                          \
     .offset = offsetof(owner, m.on),                                                              \
     .def = "false",                                                                               \
     .help = "TCP keepalive probes on the connection to the node"},                                \
        {.key = prefix "keepalive.idle",                                                           \
         .type = OPTION_DURATION,                                                                  \
         .offset = offsetof(owner, m.idle_ms),                                                     \
         .def = "15s",                                                                             \
         .min = 1000,                                                                              \
         .max = 32767000,                                                                          \
         .help = "silence before the first probe"},                                                \
        {.key = prefix "keepalive.interval",                                                       \
         .type = OPTION_DURATION,                                                                  \
         .offset = offsetof(owner, m.interval_ms),                                                 \
         .def = "15s",                                                                             \
         .min = 1000,                                                                              \
         .max = 32767000,                                                                          \
         .help = "time between probes"},                                                           \
    {                                                                                              \
        .key = prefix "keepalive.count", .type = OPTION_INT, .offset = offsetof(owner, m.count),   \
        .def = "9", .min = 1, .max = 127,                                                          \
        .help = "probes without an answer until the connection is dead"                            \
    }

/* Sets them on the socket at the bottom of s, if that is all of s (a later hop has none). */
void keepalive_apply(const struct keepalive_cfg *cfg, struct stream *s);

#endif
