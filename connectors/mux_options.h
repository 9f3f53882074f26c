/* connectors/mux_options.h - the mux.* keys that GOST documents for relay and socks5: they only
 * matter for remote binds (rtcp, rudp) and are accepted without effect here. gost-config.md 10.3.
 */
#ifndef CONNECTORS_MUX_OPTIONS_H
#define CONNECTORS_MUX_OPTIONS_H

#include "core/option.h"

struct mux_ignored {
    int64_t number, duration;
    bool yes;
};

#define MUX_IGNORED(owner, m, k, t, field)                                                         \
    {                                                                                              \
        .key = "mux." k, .type = t, .flags = OPTION_NOOP, .offset = offsetof(owner, m.field),      \
        .help = "accepted: only remote binds use it"                                               \
    }

#define MUX_IGNORED_OPTIONS(owner, m)                                                              \
    MUX_IGNORED(owner, m, "version", OPTION_INT, number),                                          \
        MUX_IGNORED(owner, m, "keepaliveDisabled", OPTION_BOOL, yes),                              \
        MUX_IGNORED(owner, m, "keepaliveInterval", OPTION_DURATION, duration),                     \
        MUX_IGNORED(owner, m, "keepaliveTimeout", OPTION_DURATION, duration),                      \
        MUX_IGNORED(owner, m, "maxFrameSize", OPTION_INT, number),                                 \
        MUX_IGNORED(owner, m, "maxReceiveBuffer", OPTION_INT, number),                             \
        MUX_IGNORED(owner, m, "maxStreamBuffer", OPTION_INT, number)

#endif
