/* handlers/udptunnel.c - datagrams between a client and the world. Contract in
 * handlers/udptunnel.h.
 *
 * Who may hold a tunnel when it dies: the client dgram's and the control stream's events (closed by
 * it and by the conn), the flows' calls (freed first), its timer (stopped). udp_tunnel_free() is
 * the one end.
 */
#include "handlers/udptunnel.h"
#include "core/dgram.h"
#include "core/floor/replay.h"
#include "core/splice.h"
#include "handlers/conn.h"
#include "handlers/udpflows.h"
#include <stdlib.h>

enum { TURN_MAX = 64, CONTROL_READ_BYTES = 512 };

struct udp_tunnel {
    struct conn *conn;
    struct dgram *client;
    struct udp_flows *flows;
    enum framing framing;
    bool over;
    uint32_t idle_ms;
    uint64_t moved_ms;
    struct timer idle;
    struct deferred deferred;
};

static void finish(struct udp_tunnel *t, enum rc rc, const char *reason)
{
    struct splice_result res = {
        /* the bytes are the conn's */
        .duration_ms = loop_now_ms(conn_loop(t->conn)) - t->conn->report.started_ms,
    };
    if (rc != RC_OK && rc != RC_EOF)
        diag_set(&res.diag, rc, "%s", reason && *reason ? reason : rc_name(rc));
    conn_end(t->conn, &res);
}

static void on_reply(void *arg, const struct target *from, const void *data, size_t n)
{
    struct udp_tunnel *t = arg;
    if (!t->client) /* our reply has not left yet: the client would not know what this is */
        return;
    enum rc rc = dgram_send(t->client, from, data, n); /* RC_AGAIN: it counted the drop */
    if (rc == RC_OK) {
        t->conn->down_bytes += n;
        t->moved_ms = loop_now_ms(conn_loop(t->conn));
    }
    /* A failure is met again when the client's side is read. */
}

static void on_lost(void *arg, enum rc rc, const char *reason)
{
    finish(arg, rc, reason);
}

static bool is_somewhere(const struct target *t)
{
    return (t->name[0] || t->addr.family != 0) && t->addr.port != 0;
}

static void on_client(struct dgram *d, unsigned ready, void *arg)
{
    static uint8_t buf[DGRAM_MAX_BYTES]; /* of the one thread; used only inside this call */
    struct udp_tunnel *t = arg;
    struct target to;
    size_t n;

    (void)ready;
    for (int i = 0; i < TURN_MAX && !t->over; i++) {
        enum rc rc = dgram_recv(d, buf, sizeof buf, &n, &to);
        if (rc == RC_AGAIN)
            return;
        if (rc != RC_OK) {
            finish(t, rc, d->diag.text);
            return;
        }
        t->moved_ms = loop_now_ms(conn_loop(t->conn));
        t->conn->up_bytes += n;
        /* then even an empty target is one (wire-protocols 1.9) */
        bool fixed = d->flags & DGRAM_FIXED;
        if (fixed)
            to = t->conn->report.target;
        if (fixed || is_somewhere(&to))
            udp_flows_send(t->flows, &to, buf, n);
    }
}

/* Nothing is said on the control stream but its end. */
static void on_control(struct stream *s, unsigned ready, void *arg)
{
    char waste[CONTROL_READ_BYTES];
    size_t n;
    enum rc rc = stream_recv(s, waste, sizeof waste, &n);
    (void)ready;
    if (rc != RC_OK && rc != RC_AGAIN)
        finish(arg, rc, stream_diag(s)->text);
}

static void on_idle(struct timer *timer)
{
    struct udp_tunnel *t = (struct udp_tunnel *)((char *)timer - offsetof(struct udp_tunnel, idle));
    uint64_t quiet = loop_now_ms(conn_loop(t->conn)) - t->moved_ms;
    if (quiet >= t->idle_ms)
        finish(t, RC_OK, NULL);
    else
        (void)timer_start(timer, t->idle_ms - quiet); /* the memory is there: it was running */
}

static void on_client_open(struct dgram *d, unsigned ready, void *arg)
{
    struct udp_tunnel *t = arg;
    enum rc rc = dgram_open(d);
    (void)ready;
    if (rc == RC_OK)
        dgram_want(d, STREAM_IN, on_client, t);
    else if (rc != RC_AGAIN)
        finish(t, rc, d->diag.text);
}

static void run(struct udp_tunnel *t)
{
    struct conn *c = t->conn;
    c->state = CONN_OTHER;
    timer_stop(&c->timer);
    report_connected(&c->report);
    t->moved_ms = loop_now_ms(conn_loop(c));
    if (c->client)
        stream_want(c->client, STREAM_IN, on_control, t);
    if (t->idle_ms > 0)
        (void)timer_start(&t->idle, t->idle_ms); /* without memory for it nothing expires */
    dgram_want(t->client, STREAM_OPEN, on_client_open, t);
}

/* NULL: the conn is gone, and the carrier with it. */
static struct udp_tunnel *new_tunnel(struct conn *c, const struct udp_tunnel_cfg *cfg,
                                     struct udp_tunnel **ret_tunnel)
{
    struct udp_tunnel *t = calloc(1, sizeof *t);
    if (t) {
        struct udp_flows_cfg fc = {
            .front = c->front,
            .client = c->report.client,
            .dest = c->dest,
            .max_bytes = cfg->max_bytes,
            .single = cfg->single,
            .on_reply = on_reply,
            .on_lost = cfg->single ? on_lost : NULL,
            .arg = t,
        };
        t->conn = c;
        t->idle_ms = cfg->idle_ms;
        timer_init(conn_loop(c), &t->idle, on_idle);
        t->flows = udp_flows_new(&fc);
        *ret_tunnel = t; /* conn_end() frees it by ops->done */
    }
    if (t && t->flows &&
        (!cfg->carrier || udp_flows_adopt(t->flows, cfg->carrier, cfg->target) == RC_OK))
        return t;
    if (!t || !t->flows)
        dgram_close(cfg->carrier);
    conn_drop(c, RC_NOMEM, "no memory for a tunnel");
    return NULL;
}

static void make_frames(struct conn *c)
{
    struct udp_tunnel *t = c->then_arg;
    struct framed_cfg fc = {
        .framing = t->framing,
        .fixed = t->framing == FRAMING_LEN ? &c->report.target : NULL,
    };
    /* Datagrams may have come behind the request. */
    if (replay_push(c->client, c->in, c->in_len) == RC_OK) {
        conn_consume(c, c->in_len);
        t->client = framed_dgram(c->client, &fc);
        c->client = NULL;
    }
    if (t->client)
        run(t);
    else
        conn_drop(c, RC_NOMEM, "no memory for a tunnel");
}

void udp_tunnel_on_stream(struct conn *c, const struct udp_tunnel_cfg *cfg, enum framing framing,
                          const void *reply, size_t n, struct udp_tunnel **ret_tunnel)
{
    struct udp_tunnel *t = new_tunnel(c, cfg, ret_tunnel);
    if (!t)
        return;
    t->framing = framing;
    c->then_arg = t;
    conn_reply(c, reply, n, make_frames);
}

void udp_tunnel_on_dgram(struct conn *c, const struct udp_tunnel_cfg *cfg, struct dgram *client,
                         struct udp_tunnel **ret_tunnel)
{
    struct udp_tunnel *t = new_tunnel(c, cfg, ret_tunnel);
    if (!t) {
        dgram_close(client);
        return;
    }
    t->client = client;
    run(t);
}

void udp_tunnel_free(struct udp_tunnel *t)
{
    if (!t || t->over)
        return;
    t->over = true;
    timer_stop(&t->idle);
    udp_flows_free(t->flows);
    dgram_close(t->client);
    loop_free_later(conn_loop(t->conn), &t->deferred, free, t);
}
