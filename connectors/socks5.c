/* connectors/socks5.c - the socks5 connector: options, credentials, which way UDP goes.
 * wire-protocols.md section 4, gost-config.md 10.3. The floors are socks5_greet.c and
 * socks5_request.c.
 *
 * UDP goes by UDP-TUN (0xF3), which only GOST's servers know; a node that refuses it is asked for
 * an ordinary UDP association from then on, for ten minutes, as with relay=udp.
 */
#include "connectors/connector.h"
#include "connectors/mux_options.h"
#include "connectors/socks5_node.h"
#include "core/floor/framed.h"
#include "core/floor/tls.h"
#include "core/stream.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { UDPTUN_AGAIN_MS = 600000 };

struct cfg {
    int64_t timeout_ms, udp_timeout_ms, udp_buffer;
    bool notls;
    char *relay;
    struct mux_ignored mux;
};

static const struct option options[] = {
    {.key = "timeout",
     .type = OPTION_DURATION,
     .offset = offsetof(struct cfg, timeout_ms),
     .def = "0",
     .help = "time for the exchange with the node; 0: only dialTimeout"},
    {.key = "notls",
     .type = OPTION_BOOL,
     .offset = offsetof(struct cfg, notls),
     .def = "false",
     .help = "do not offer GOST's TLS methods 0x80 and 0x82"},
    {.key = "relay",
     .type = OPTION_STRING,
     .offset = offsetof(struct cfg, relay),
     .help = "udp: standard UDP ASSOCIATE at once instead of GOST's UDP-TUN"},
    {.key = "udp.bufferSize",
     .aliases = "udpBufferSize",
     .type = OPTION_SIZE,
     .flags = OPTION_NOOP,
     .offset = offsetof(struct cfg, udp_buffer),
     .def = "4096",
     .help = "accepted: datagrams of any size are carried"},
    {.key = "udp.timeout",
     .type = OPTION_DURATION,
     .flags = OPTION_NOOP,
     .offset = offsetof(struct cfg, udp_timeout_ms),
     .def = "0",
     .help = "accepted: the service's udpTimeout ends idle flows"},
    MUX_IGNORED_OPTIONS(struct cfg, mux),
    OPTION_END};

struct socks5_node *socks5_node_ref(struct socks5_node *n)
{
    n->refs++;
    return n;
}

void socks5_node_unref(struct socks5_node *n)
{
    if (n == NULL || --n->refs > 0)
        return;
    if (n->tls != NULL)
        tls_ctx_unref(n->tls);
    credentials_done(&n->auth);
    free(n->host);
    free(n);
}

static enum rc init(struct connector *c, const struct connector_setup *setup, struct diag *diag)
{
    const struct cfg *cfg = c->cfg;
    struct socks5_node *n = calloc(1, sizeof(*n));
    c->state = n;
    if (n == NULL)
        return diag_set(diag, RC_NOMEM, "node %s: no memory", setup->node_name);
    n->refs = 1;
    n->loop = setup->loop;
    n->timeout_ms = cfg->timeout_ms;
    n->host = strdup(setup->node_host);
    if (n->host == NULL)
        return diag_set(diag, RC_NOMEM, "node %s: no memory", setup->node_name);
    enum rc rc = credentials_init(&n->auth, setup, diag);
    if (rc != RC_OK || cfg->notls)
        return rc;
    struct diag why = {.rc = RC_OK};
    rc = tls_client_new(setup->tls, &n->tls, &why);
    return rc == RC_OK
               ? rc
               : diag_set(diag, rc, "node %s: connector tls: %s", setup->node_name, why.text);
}

static enum rc greet(struct connector *c, struct stream *s)
{
    return socks5_greet(c->state, s);
}

static enum rc push(struct connector *c, struct stream *s, const struct target *t)
{
    return socks5_push(c->state, s, SOCKS5_CONNECT, t, false);
}

/* An ordinary association instead of UDP-TUN? */
static bool associates(const struct connector *c)
{
    const struct cfg *cfg = c->cfg;
    const struct socks5_node *n = c->state;
    bool refused = n->refused_ms != 0 && loop_now_ms(n->loop) - n->refused_ms < UDPTUN_AGAIN_MS;
    return (cfg->relay != NULL && strcasecmp(cfg->relay, "udp") == 0) || refused;
}

/* UDP-TUN has no word for an empty datagram that GOST's servers would not stumble over
 * (wire-protocols.md 4.6). */
static unsigned udp(const struct connector *c)
{
    return CONNECTOR_UDP_ANY | (associates(c) ? 0 : CONNECTOR_UDP_PLAIN);
}

static enum rc dgram_plain(struct connector *c, struct stream *s, const struct sockopts *so,
                           struct dgram **ret_d)
{
    return socks5_udp_dgram(c->state, s, so, ret_d);
}

static enum rc dgram(struct connector *c, struct stream *s, const struct target *t,
                     const struct sockopts *so, struct dgram **ret_d)
{
    struct socks5_node *n = c->state;
    bool associate = associates(c);
    (void)t;
    if (associate && so == NULL) {
        /* Its datagrams would leave from here, around the hops before. */
        stream_close(s);
        return RC_DENIED;
    }
    if (associate)
        return socks5_udp_dgram(n, s, so, ret_d);
    struct target any = {.name = ""};
    enum rc rc = socks5_push(n, s, SOCKS5_UDP_TUN, &any, so != NULL);
    if (rc != RC_OK) {
        stream_close(s);
        return rc;
    }
    struct dgram *d = framed_dgram(s, &(struct framed_cfg){.framing = FRAMING_UDPTUN});
    if (d == NULL)
        return RC_NOMEM;
    *ret_d = d;
    return RC_OK;
}

static void done(struct connector *c)
{
    socks5_node_unref(c->state);
    c->state = NULL;
}

const struct connector_type connector_socks5 = {
    .name = "socks5",
    .aliases = "socks",
    .flags = CONNECTOR_UDP_ANY,
    .options = options,
    .cfg_bytes = sizeof(struct cfg),
    .init = init,
    .greet = greet,
    .push = push,
    .dgram = dgram,
    .dgram_plain = dgram_plain,
    .udp = udp,
    .done = done,
};
