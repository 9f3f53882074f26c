/* handlers/socks5_udp.c - UDP of SOCKS5 clients: ASSOCIATE (RFC 1928 section 7) and GOST's UDP-TUN,
 * by the chain or on a port of this machine. wire-protocols.md 4.5, 4.6.
 */
#include "core/dgram.h"
#include "core/floor/udp.h"
#include "handlers/assoc.h"
#include "handlers/socks5_inside.h"
#include "handlers/udptunnel.h"

static void start_tun(struct conn *c, struct dgram *carrier, const struct target *target)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    uint8_t reply[SOCKS5_MESSAGE_MAX_BYTES];
    struct addr bound = {.family = 0};
    struct udp_tunnel_cfg cfg = {
        .max_bytes = (size_t)socks5_front_of(c)->cfg->udp_buffer_bytes,
        .single = s->bound,
        .carrier = carrier,
        .target = target,
    };
    if (carrier && dgram_local(carrier, &bound) != RC_OK)
        bound.family = 0;
    size_t n = socks5_success(&bound, reply);
    udp_tunnel_on_stream(c, &cfg, FRAMING_UDPTUN, reply, n, &s->tunnel);
}

/* The reply of UDP ASSOCIATE is out. */
static void run_association(struct conn *c)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    const struct target everywhere = {.name = ""};
    struct dgram *client = s->assoc;
    struct udp_tunnel_cfg cfg = {
        .max_bytes = (size_t)socks5_front_of(c)->cfg->udp_buffer_bytes,
        .carrier = c->then_arg,
        .target = &everywhere,
    };
    s->assoc = NULL;
    c->then_arg = NULL;
    udp_tunnel_on_dgram(c, &cfg, client, &s->tunnel);
}

static void start_association(struct conn *c, struct dgram *carrier)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    const struct proxy_options *o = socks5_front_of(c)->cfg;
    uint8_t reply[SOCKS5_MESSAGE_MAX_BYTES];
    struct diag diag = {.rc = RC_OK};
    struct addr bound;
    struct assoc_cfg cfg = {
        .loop = conn_loop(c),
        .netns = c->front->setup.netns,
        .local = addr_unmap(c->local),
        .peer = addr_unmap(c->report.client),
        .port_min = (uint16_t)o->port_min,
        .port_max = (uint16_t)o->port_max,
    };
    enum rc rc = assoc_open(&cfg, &s->assoc, &diag);
    if (rc == RC_OK)
        rc = dgram_local(s->assoc, &bound);
    if (rc != RC_OK) {
        dgram_close(carrier);
        socks5_refuse(c, SOCKS5_REP_FAILURE, rc, diag.text);
        return;
    }
    bound = socks5_reachable_addr(c, bound.port);
    c->then_arg = carrier;
    conn_reply(c, reply, socks5_success(&bound, reply), run_association);
}

void socks5_begin_udp(struct conn *c)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    const struct target everywhere = {.name = ""};
    struct udp_route route;
    struct diag diag = {.rc = RC_OK};

    c->report.network = "udp";
    enum rc rc = router_udp_route(c->front->setup.router, &everywhere, &route, &diag);
    if (rc != RC_OK)
        socks5_refuse(c, SOCKS5_REP_FAILURE, rc, diag.text);
    else if (!route.fixed)
        conn_dial_dgram(c, NULL);
    else if (s->tun) /* flows are dialled as destinations come up */
        start_tun(c, NULL, NULL);
    else
        start_association(c, NULL);
}

void socks5_begin_bound(struct conn *c, const struct target *t)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    const struct target everywhere = {.name = ""};
    struct diag diag = {.rc = RC_OK};
    struct addr at;
    bool any;
    int fd;
    struct sockopts so = {.netns = c->front->setup.netns};
    enum rc rc = socks5_own_place(t, &at, &any);
    if (rc == RC_OK)
        rc = os_bind_udp(&at, any, &so, &fd, &diag);
    struct dgram *d = rc == RC_OK ? udp_dgram_fd(conn_loop(c), fd) : NULL;
    if (!d) {
        socks5_refuse(c, SOCKS5_REP_FAILURE, rc == RC_OK ? RC_NOMEM : rc, diag.text);
        return;
    }
    s->bound = true;
    c->report.network = "udp";
    start_tun(c, d, &everywhere);
}

void socks5_dialled_dgram(struct conn *c, struct dgram *d, enum rc rc, const char *reason)
{
    const struct target everywhere = {.name = ""};
    if (rc != RC_OK)
        socks5_refuse(c, SOCKS5_REP_FAILURE, rc, reason);
    else if (((struct socks5_conn *)c)->tun)
        start_tun(c, d, &everywhere);
    else
        start_association(c, d);
}
