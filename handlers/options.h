/* handlers/options.h - the options that most handlers share (gost-config.md 9), as rows for a
 * plug-in's table. Its option struct embeds struct common_options under the name `common`.
 */
#ifndef HANDLERS_OPTIONS_H
#define HANDLERS_OPTIONS_H

#include "core/option.h"

struct common_options {
    int64_t read_timeout_ms; /* for a complete request */
    int64_t ignored_ms, ignored_number;
    bool ignored;
    char *hash, *mitm_cert, *mitm_key, *mitm_ca_cert, *mitm_ca_key, *mitm_alpn, *mitm_bypass,
        *scope;
};

#define HANDLER_ROW(STRUCT, KEY, TYPE, FLAGS, FIELD, HELP)                                         \
    {                                                                                              \
        .key = KEY, .type = TYPE, .flags = FLAGS, .offset = offsetof(struct STRUCT, common.FIELD), \
        .help = HELP                                                                               \
    }

#define HANDLER_READ_TIMEOUT(STRUCT)                                                               \
    {                                                                                              \
        .key = "readTimeout", .type = OPTION_DURATION,                                             \
        .offset = offsetof(struct STRUCT, common.read_timeout_ms), .def = "15s",                   \
        .max = UINT32_MAX, .help = "time for a complete request"                                   \
    }

#define HANDLER_OPTIONS(S)                                                                         \
    HANDLER_READ_TIMEOUT(S),                                                                       \
        HANDLER_ROW(S, "sniffing", OPTION_BOOL, OPTION_LATER, ignored,                             \
                    "find the name in the first bytes"),                                           \
        HANDLER_ROW(S, "sniffing.timeout", OPTION_DURATION, OPTION_LATER, ignored_ms,              \
                    "wait for the first bytes"),                                                   \
        HANDLER_ROW(S, "sniffing.websocket", OPTION_BOOL, OPTION_NOOP, ignored,                    \
                    "look into websockets"),                                                       \
        HANDLER_ROW(S, "sniffing.websocket.sampleRate", OPTION_INT, OPTION_NOOP, ignored_number,   \
                    "websocket frames recorded per second"),                                       \
        HANDLER_ROW(S, "sniffing.fallback", OPTION_BOOL, OPTION_LATER, ignored,                    \
                    "dial the address when the name fails"),                                       \
        HANDLER_ROW(S, "mitm.certFile", OPTION_STRING, OPTION_LATER, mitm_cert,                    \
                    "TLS interception: certificate"),                                              \
        HANDLER_ROW(S, "mitm.keyFile", OPTION_STRING, OPTION_LATER, mitm_key,                      \
                    "TLS interception: key"),                                                      \
        HANDLER_ROW(S, "mitm.caCertFile", OPTION_STRING, OPTION_LATER, mitm_ca_cert,               \
                    "TLS interception: CA certificate"),                                           \
        HANDLER_ROW(S, "mitm.caKeyFile", OPTION_STRING, OPTION_LATER, mitm_ca_key,                 \
                    "TLS interception: CA key"),                                                   \
        HANDLER_ROW(S, "mitm.alpn", OPTION_STRING, OPTION_LATER, mitm_alpn,                        \
                    "TLS interception: ALPN"),                                                     \
        HANDLER_ROW(S, "mitm.bypass", OPTION_STRING, OPTION_LATER, mitm_bypass,                    \
                    "TLS interception: names left alone"),                                         \
        HANDLER_ROW(S, "hash", OPTION_STRING, OPTION_LATER, hash,                                  \
                    "what the hash strategy goes by; here always the client"),                     \
        HANDLER_ROW(S, "skipauth", OPTION_BOOL, OPTION_LATER, ignored,                             \
                    "no authentication for local clients"),                                        \
        HANDLER_ROW(S, "observePeriod", OPTION_DURATION, OPTION_NOOP, ignored_ms,                  \
                    "period of statistics"),                                                       \
        HANDLER_ROW(S, "observer.period", OPTION_DURATION, OPTION_NOOP, ignored_ms,                \
                    "period of statistics"),                                                       \
        HANDLER_ROW(S, "observer.resetTraffic", OPTION_BOOL, OPTION_NOOP, ignored,                 \
                    "reset statistics after each report"),                                         \
        HANDLER_ROW(S, "limiter.refreshInterval", OPTION_DURATION, OPTION_NOOP, ignored_ms,        \
                    "traffic limiter"),                                                            \
        HANDLER_ROW(S, "limiter.cleanupInterval", OPTION_DURATION, OPTION_NOOP, ignored_ms,        \
                    "traffic limiter"),                                                            \
        HANDLER_ROW(S, "limiter.scope", OPTION_STRING, OPTION_NOOP, scope, "traffic limiter")

/* GOST's readers lose what is glued to a reply (wire-protocols 4.3). */
#define HANDLER_REPLY_GRACE(STRUCT, FIELD)                                                         \
    {                                                                                              \
        .key = "socks.replyGrace", .aliases = "replyGrace", .type = OPTION_DURATION,               \
        .flags = OPTION_OURS, .offset = offsetof(struct STRUCT, FIELD), .def = "20ms",             \
        .max = 1000, .help = "silence behind a reply on a plain socket"                            \
    }

#define HANDLER_UDP_BUFFER(STRUCT, FIELD)                                                          \
    {                                                                                              \
        .key = "udp.bufferSize", .aliases = "udpBufferSize", .type = OPTION_SIZE,                  \
        .offset = offsetof(struct STRUCT, FIELD), .def = "65535", .min = 512, .max = 65535,        \
        .help = "largest datagram"                                                                 \
    }

#endif
