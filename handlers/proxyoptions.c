/* handlers/proxyoptions.c - the option tables of http, socks4, socks5 and auto. See the header. */
#include "handlers/proxyoptions.h"
#include <stdio.h>

/* Rows that several tables share are written once, as macros; the formatter would tear them apart.
 */
/* clang-format off */
#define AT(field) offsetof(struct proxy_options, field)
#define MUX(KEY, TYPE, FIELD) \
    {.key = "mux." KEY, .type = TYPE, .flags = OPTION_NOOP, .offset = AT(FIELD), .help = "of the multiplexed BIND"}

#define HTTP_ROWS \
    {.key = "idleTimeout", .type = OPTION_DURATION, .offset = AT(idle_ms), .max = UINT32_MAX, .help = "silence that ends a tunnel; 0: never"}, \
    {.key = "http.keepalive", .aliases = "keepalive", .type = OPTION_BOOL, .flags = OPTION_NOOP, .offset = AT(keepalive), .help = "the client's connection always serves several requests"}, \
    {.key = "http.compression", .aliases = "compression", .type = OPTION_BOOL, .flags = OPTION_NOOP, .offset = AT(compression), .help = "bodies are passed on as they are"}, \
    {.key = "http.header", .aliases = "header", .type = OPTION_MAP, .offset = AT(header), .help = "more fields in our own answers"}, \
    {.key = "probeResist", .aliases = "probe_resist", .type = OPTION_STRING, .offset = AT(probe), .help = "what strangers get instead of 407: code:N"}, \
    {.key = "knock", .type = OPTION_STRING, .offset = AT(knock), .help = "hosts whose requests get the 407 all the same"}, \
    {.key = "authBasicRealm", .type = OPTION_STRING, .offset = AT(realm), .def = "gost", .help = "realm of the 407"}, \
    {.key = "http.proxyAgent", .aliases = "proxyAgent", .type = OPTION_STRING, .offset = AT(agent), .def = "gost/3.0", .help = "Proxy-Agent of our answers"}

#define SOCKS5_ROWS \
    {.key = "notls", .type = OPTION_BOOL, .offset = AT(notls), .help = "don't choose the TLS methods"}, \
    {.key = "bind", .type = OPTION_BOOL, .offset = AT(bind), .help = "serve BIND"}, \
    {.key = "udp.bindRange.min", .aliases = "udp.minPort", .type = OPTION_INT, .offset = AT(port_min), .max = 65535, .help = "lowest port of UDP ASSOCIATE"}, \
    {.key = "udp.bindRange.max", .aliases = "udp.maxPort", .type = OPTION_INT, .offset = AT(port_max), .max = 65535, .help = "highest port of UDP ASSOCIATE"}, \
    {.key = "udp.resolveDomain", .aliases = "udpResolveDomain", .type = OPTION_BOOL, .flags = OPTION_NOOP, .offset = AT(ignored), .help = "addresses, not names, in replies"}, \
    {.key = "socks.publicAddr", .aliases = "publicAddr", .type = OPTION_STRING, .offset = AT(public_addr), .help = "address told to the client of UDP ASSOCIATE"}, \
    {.key = "comp", .type = OPTION_BOOL, .flags = OPTION_NOOP, .offset = AT(ignored), .help = "multiplexed BIND as GOST 2"}, \
    {.key = "tor", .aliases = "enableTor,socks5.tor", .type = OPTION_BOOL, .flags = OPTION_LATER, .offset = AT(ignored), .help = "Tor's RESOLVE commands"}, \
    MUX("version", OPTION_INT, mux_number), \
    MUX("type", OPTION_STRING, mux_type), \
    MUX("keepaliveDisabled", OPTION_BOOL, ignored), \
    MUX("keepaliveInterval", OPTION_DURATION, mux_ms), \
    MUX("keepaliveTimeout", OPTION_DURATION, mux_ms), \
    MUX("maxFrameSize", OPTION_SIZE, mux_number), \
    MUX("maxReceiveBuffer", OPTION_SIZE, mux_number), \
    MUX("maxStreamBuffer", OPTION_SIZE, mux_number)

#define UDP_ROWS \
    HANDLER_UDP_BUFFER(proxy_options, udp_buffer_bytes), \
    {.key = "udp", .type = OPTION_BOOL, .offset = AT(udp), .help = "serve UDP"}

#define SHARED_ROWS \
    HANDLER_OPTIONS(proxy_options), \
    HANDLER_REPLY_GRACE(proxy_options, reply_grace_ms)
/* clang-format on */

const struct option socks4_options[] = {SHARED_ROWS, OPTION_END};
const struct option socks5_options[] = {SHARED_ROWS, UDP_ROWS, SOCKS5_ROWS, OPTION_END};
const struct option http_options[] = {SHARED_ROWS, UDP_ROWS, HTTP_ROWS, OPTION_END};
const struct option auto_options[] = {SHARED_ROWS, UDP_ROWS, SOCKS5_ROWS, HTTP_ROWS, OPTION_END};

void proxy_explain(const void *cfg, const struct handler_question *q, struct handler_plan *ret_p)
{
    const struct proxy_options *o = cfg;

    if (q->network[0] == 'u' && !o->udp) {
        ret_p->rc = RC_UNSUPPORTED;
        (void)snprintf(ret_p->note, sizeof ret_p->note, "its clients get no UDP: no udp=true here");
    } else if (q->name) {
        (void)snprintf(ret_p->note, sizeof ret_p->note,
                       "names in the first bytes don't count: the client has said where to");
    }
}
