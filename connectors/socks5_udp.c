/* connectors/socks5_udp.c - a UDP association: datagrams to the address that the node bound, for as
 * long as the control connection lives. RFC 1928 section 7, wire-protocols.md 4.5.
 *
 * Datagrams of anybody but the node, and ones that can't be parsed, are dropped and counted. An
 * unspecified bound address means the node's own (GOST sends it so).
 */
#include "connectors/socks5_node.h"
#include "core/dgram.h"
#include "core/floor/udp.h"
#include "core/stream.h"
#include "core/wire/udptun.h"
#include <stdlib.h>
#include <string.h>

enum { PACKET_MAX_BYTES = 65507 };

struct assoc {
    struct dgram dgram;
    struct stream *control;
    struct dgram *udp;
    struct addr relay; /* where datagrams go */
    bool openable;     /* the control connection may get further */
};

/* One packet at a time is put together or taken apart, within one call. */
static unsigned char packet[PACKET_MAX_BYTES];

static void on_control(struct stream *s, unsigned ready, void *arg)
{
    struct assoc *a = arg;
    (void)ready;
    if (!a->dgram.opened) {
        a->openable = true;
        stream_want(s, 0, NULL, NULL);
        dgram_wake(&a->dgram);
        return;
    }
    /* Nothing is said here after the reply: what comes is dropped, its end is ours. */
    size_t n;
    enum rc rc = stream_recv(s, packet, sizeof(packet), &n);
    if (rc == RC_OK || rc == RC_AGAIN)
        return;
    stream_want(s, 0, NULL, NULL);
    (void)diag_set(&a->dgram.diag, rc == RC_EOF ? RC_RESET : rc,
                   "socks5: the control connection ended");
    dgram_wake(&a->dgram);
}

static void on_udp(struct dgram *udp, unsigned ready, void *arg)
{
    struct assoc *a = arg;
    (void)ready;
    dgram_want(udp, 0, NULL, NULL);
    dgram_wake(&a->dgram);
}

static enum rc find_relay(struct assoc *a)
{
    struct addr bound, peer;
    enum rc rc = stream_query(a->control, QUERY_BOUND_ADDR, &bound);
    if (rc != RC_OK)
        return diag_set(&a->dgram.diag, RC_PROTO, "socks5: the node named no UDP address");
    if (addr_is_wildcard(&bound)) {
        rc = stream_query(a->control, QUERY_PEER_ADDR, &peer);
        if (rc != RC_OK)
            return diag_set(&a->dgram.diag, RC_PROTO, "socks5: the node's UDP address is unknown");
        peer.port = bound.port;
        bound = peer;
    }
    a->relay = addr_unmap(bound);
    return RC_OK;
}

static enum rc assoc_open(struct dgram *d)
{
    struct assoc *a = (struct assoc *)d;
    enum rc rc = stream_open(a->control);
    if (rc == RC_AGAIN) {
        a->openable = false;
        stream_want(a->control, STREAM_OPEN, on_control, a);
        return rc;
    }
    if (rc != RC_OK)
        return diag_set(&d->diag, rc, "%s", stream_diag(a->control)->text);
    rc = find_relay(a);
    if (rc == RC_OK)
        stream_want(a->control, STREAM_IN, on_control, a);
    return rc;
}

static enum rc assoc_send(struct dgram *d, const struct target *to, const void *data, size_t n)
{
    struct assoc *a = (struct assoc *)d;
    struct target relay;
    size_t head;
    if (socks5_udp_format_head(to, packet, sizeof(packet), &head) != RC_OK ||
        n > sizeof(packet) - head)
        return RC_AGAIN;
    memcpy(packet + head, data, n);
    target_from_addr(&relay, &a->relay);
    return dgram_send(a->udp, &relay, packet, head + n);
}

static enum rc assoc_recv(struct dgram *d, void *buf, size_t cap, size_t *ret_n,
                          struct target *ret_from)
{
    struct assoc *a = (struct assoc *)d;
    for (;;) {
        struct target from, source;
        struct slice payload;
        uint8_t atyp;
        size_t n;
        enum rc rc = dgram_recv(a->udp, packet, sizeof(packet), &n, &from);
        if (rc != RC_OK)
            return rc;
        struct addr peer = addr_unmap(from.addr);
        if (!addr_equal(&peer, &a->relay) ||
            socks5_udp_parse(packet, n, &source, &atyp, &payload) != RC_OK) {
            d->dropped++;
            continue;
        }
        n = payload.n < cap ? payload.n : cap;
        if (n > 0)
            memcpy(buf, payload.p, n);
        *ret_n = n;
        *ret_from = source;
        return RC_OK;
    }
}

static unsigned assoc_ready(struct dgram *d, unsigned wish)
{
    struct assoc *a = (struct assoc *)d;
    if (!d->opened)
        return a->openable ? wish & STREAM_OPEN : 0;
    unsigned below = wish & (STREAM_IN | STREAM_OUT);
    unsigned ready = below != 0 ? a->udp->type->ready(a->udp, below) & below : 0;
    if (below != 0 && ready == 0)
        dgram_want(a->udp, below, on_udp, a);
    return ready | (wish & STREAM_OPEN);
}

static void assoc_destroy(struct dgram *d)
{
    struct assoc *a = (struct assoc *)d;
    dgram_close(a->udp);
    stream_close(a->control);
}

static const struct dgram_type assoc_type = {
    .name = "socks5-udp",
    .open = assoc_open,
    .send = assoc_send,
    .recv = assoc_recv,
    .ready = assoc_ready,
    .destroy = assoc_destroy,
};

enum rc socks5_udp_dgram(struct socks5_node *n, struct stream *s, const struct sockopts *so,
                         struct dgram **ret_d)
{
    struct target any = {.name = ""};
    struct assoc *a = calloc(1, sizeof(*a));
    struct dgram *udp = a != NULL ? udp_dgram(stream_loop(s), so) : NULL;
    enum rc rc = udp != NULL ? socks5_push(n, s, SOCKS5_ASSOCIATE, &any, false) : RC_NOMEM;
    if (rc != RC_OK) {
        dgram_close(udp);
        free(a);
        stream_close(s);
        return rc;
    }
    dgram_init(&a->dgram, &assoc_type, stream_loop(s), DGRAM_NAMES);
    a->control = s;
    a->udp = udp;
    a->openable = true; /* the first call finds out */
    stream_want(s, 0, NULL, NULL);
    *ret_d = &a->dgram;
    return RC_OK;
}
