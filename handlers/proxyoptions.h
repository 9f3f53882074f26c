/* handlers/proxyoptions.h - the options of http, socks4, socks5 and of auto, which is all three:
 * one struct, four tables. gost-config.md 9.
 */
#ifndef HANDLERS_PROXYOPTIONS_H
#define HANDLERS_PROXYOPTIONS_H

#include "handlers/handler.h"
#include "handlers/options.h"

struct proxy_options {
    struct common_options common;
    int64_t reply_grace_ms;
    bool udp, ignored;
    int64_t udp_buffer_bytes;
    /* socks5 */
    bool notls, bind;
    int64_t port_min, port_max, mux_number, mux_ms;
    char *public_addr, *mux_type;
    /* http */
    bool keepalive, compression;
    int64_t idle_ms;
    char *realm, *agent, *probe, *knock;
    struct strmap header;
};

extern const struct option socks4_options[], socks5_options[], http_options[], auto_options[];
/* Of all four: is UDP served? */
void proxy_explain(const void *cfg, const struct handler_question *q, struct handler_plan *ret_p);

#endif
