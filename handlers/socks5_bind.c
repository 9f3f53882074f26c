/* handlers/socks5_bind.c - BIND of SOCKS5 clients: a port of this machine that waits for one peer.
 * RFC 1928 section 4, wire-protocols.md 4.4.
 */
#include "handlers/binding.h"
#include "handlers/socks5_inside.h"

enum {
    BIND_WAIT_MS = 5 * 60 * 1000, /* for the peer of a BIND */
    BIND_AHEAD_MAX_BYTES = 4096   /* that the client says before the peer is there */
};

/* The client while its peer is awaited: what it says goes to the peer, its end ends the port. */
static void on_bind_client(struct stream *client, unsigned ready, void *arg)
{
    struct conn *c = arg;
    enum rc rc = conn_fill(c, BIND_AHEAD_MAX_BYTES);
    if (ready & STREAM_GONE)
        conn_drop(c, RC_RESET, "the client reset its connection");
    else if (rc == RC_LIMIT)
        stream_want(client, STREAM_GONE, on_bind_client, c);
    else if (rc == RC_EOF)
        conn_drop(c, RC_CANCELED, "the client left before its peer came");
    else if (rc != RC_OK && rc != RC_AGAIN)
        conn_drop(c, rc, stream_diag(client)->text);
}

static void on_peer(void *arg, struct stream *peer, const struct addr *from, enum rc rc,
                    const char *reason)
{
    struct conn *c = arg;
    struct socks5_conn *s = arg;
    uint8_t reply[SOCKS5_MESSAGE_MAX_BYTES];
    stream_want(c->client, 0, NULL, NULL);
    binding_free(s->binding);
    s->binding = NULL;
    if (rc != RC_OK) {
        socks5_refuse(c, rc == RC_TIMEOUT ? SOCKS5_REP_TTL_EXPIRED : SOCKS5_REP_FAILURE, rc,
                      reason);
        return;
    }
    c->target = peer;
    target_from_addr(&c->report.target, from);
    conn_splice(c, reply, socks5_success(from, reply));
}

/* The first reply, with the port, is out. */
static void await_peer(struct conn *c)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    timer_stop(&c->timer); /* the binding has its own */
    c->state = CONN_OTHER;
    enum rc rc = binding_start(s->binding, BIND_WAIT_MS, on_peer, c);
    if (rc == RC_OK)
        stream_want(c->client, STREAM_IN, on_bind_client, c);
    else
        socks5_refuse(c, SOCKS5_REP_FAILURE, rc, "the bound port can't be watched");
}

void socks5_begin_bind(struct conn *c, const struct target *t)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    uint8_t reply[SOCKS5_MESSAGE_MAX_BYTES];
    struct diag diag = {.rc = RC_OK};
    struct addr at, bound;
    bool any;
    enum rc rc = socks5_own_place(t, &at, &any);
    if (rc == RC_OK)
        rc =
            binding_open(conn_loop(c), c->front->setup.netns, &at, any, &s->binding, &bound, &diag);
    if (rc != RC_OK) {
        socks5_refuse(c, SOCKS5_REP_FAILURE, rc, rc == RC_NAME ? "BIND to a name" : diag.text);
        return;
    }
    bound = socks5_reachable_addr(c, bound.port);
    conn_reply(c, reply, socks5_success(&bound, reply), await_peer);
}
