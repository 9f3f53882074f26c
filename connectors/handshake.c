/* connectors/handshake.c - see the header. */
#include "connectors/handshake.h"
#include "core/secret.h"
#include <string.h>

static void on_timer(struct timer *timer)
{
    struct handshake *x = (struct handshake *)((char *)timer - offsetof(struct handshake, timer));
    x->late = true;
    layer_wake(x->layer);
}

void handshake_init(struct handshake *x, struct loop *loop, struct layer *l, int64_t limit_ms)
{
    *x = (struct handshake){.layer = l, .limit_ms = limit_ms};
    timer_init(loop, &x->timer, on_timer);
}

enum rc handshake_check(struct handshake *x)
{
    if (x->late)
        return layer_fail(x->layer, RC_TIMEOUT, "no answer in %lld ms", (long long)x->limit_ms);
    if (!x->started && x->limit_ms > 0 && !timer_start(&x->timer, (uint64_t)x->limit_ms))
        return RC_NOMEM;
    x->started = true;
    return RC_OK;
}

enum rc handshake_flush(struct handshake *x)
{
    while (x->out_at < x->out_n) {
        struct iovec v = {x->out + x->out_at, x->out_n - x->out_at};
        size_t n;
        enum rc rc = layer_send(x->layer->below, &v, 1, &n);
        if (rc != RC_OK)
            return rc;
        x->out_at += n;
    }
    secret_wipe(x->out, x->out_n);
    x->out_at = x->out_n = 0;
    return RC_OK;
}

enum rc handshake_fill(struct handshake *x, size_t need)
{
    if (need > sizeof(x->in))
        return layer_fail(x->layer, RC_PROTO, "the answer is too long");
    while (x->in_n < need) {
        size_t n;
        enum rc rc = layer_recv(x->layer->below, x->in + x->in_n, need - x->in_n, &n);
        if (rc == RC_EOF)
            return layer_fail(x->layer, RC_RESET, "closed by the node before its answer");
        if (rc != RC_OK)
            return rc;
        x->in_n += n;
    }
    return RC_OK;
}

void handshake_done(struct handshake *x)
{
    timer_stop(&x->timer);
    secret_wipe(x->out, sizeof(x->out));
}
