/* A hostile node: every connector opens and reads over a memory wire while the far end sends the
 * input. First byte: which connector and kind of flow; second: how the wire cuts; the rest is sent,
 * then the far end stops writing. Nothing may crash, hang or hand up more than was sent.
 */
#include "connectors/connector.h"
#include "core/dgram.h"
#include "core/floor/mem.h"
#include "core/floor/tls.h"
#include "core/stream.h"
#include <stdlib.h>
#include <string.h>

static struct loop *loop;
static struct connector conns[4];

#define die_unless(ok) BUG_ON(!(ok))

static void setup(void)
{
    static const struct connector_type *const types[] = {&connector_socks5, &connector_socks4,
                                                         &connector_http, &connector_relay};
    static const struct tls_cfg no_tls;
    struct diag diag = {.rc = RC_OK};
    bool yes = true;
    loop = loop_new(&diag);
    die_unless(loop != NULL);
    for (int i = 0; i < 4; i++) {
        conns[i] = (struct connector){.type = types[i], .cfg = calloc(1, types[i]->cfg_bytes)};
        die_unless(conns[i].cfg != NULL);
        for (const struct option *o = types[i]->options; o->key != NULL; o++)
            if (strcmp(o->key, "notls") == 0)
                memcpy((char *)conns[i].cfg + o->offset, &yes, sizeof yes);
        struct connector_setup s = {.loop = loop,
                                    .tls = &no_tls,
                                    .node_name = "n",
                                    .node_host = "n",
                                    .user = "user",
                                    .password = "pass"};
        die_unless(types[i]->init(&conns[i], &s, &diag) == RC_OK);
    }
}

static void turn(void)
{
    uv_run(loop_uv(loop), UV_RUN_NOWAIT);
}

/* Sends what the wire takes; true: all is gone. */
static bool feed(struct stream *far, const uint8_t *data, size_t n, size_t *at)
{
    while (*at < n) {
        struct iovec v = {(void *)(uintptr_t)(data + *at), n - *at};
        size_t done;
        if (stream_send(far, &v, 1, &done) != RC_OK)
            return false;
        *at += done;
    }
    (void)stream_shut(far);
    return true;
}

static void on_nothing(struct stream *s, unsigned ready, void *arg)
{
    (void)ready;
    (void)arg;
    stream_want(s, 0, NULL, NULL);
}

static void use_stream(struct stream *s, struct stream *far, const uint8_t *data, size_t n)
{
    char buf[512];
    size_t at = 0, got = 0, k;
    for (int i = 0; i < 4000; i++) {
        bool sent = feed(far, data, n, &at);
        enum rc rc = stream_open(s);
        if (rc == RC_OK)
            rc = stream_recv(s, buf, sizeof buf, &k);
        if (rc == RC_OK)
            got += k;
        else if (rc != RC_AGAIN)
            break;
        (void)sent;
        stream_want(s, STREAM_OPEN | STREAM_IN, on_nothing, NULL);
        turn();
    }
    die_unless(got <= n);
}

static void use_dgram(struct dgram *d, struct stream *far, const uint8_t *data, size_t n)
{
    static char buf[65536];
    size_t at = 0, got = 0, k;
    for (int i = 0; i < 4000; i++) {
        struct target from;
        (void)feed(far, data, n, &at);
        enum rc rc = dgram_open(d);
        if (rc == RC_OK)
            rc = dgram_recv(d, buf, sizeof buf, &k, &from);
        if (rc == RC_OK)
            got += k;
        else if (rc != RC_AGAIN)
            break;
        turn();
    }
    die_unless(got <= n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    if (loop == NULL)
        setup();
    struct connector *c = &conns[data[0] & 3];
    bool udp = (data[0] & 4) != 0 && c->type->dgram != NULL, fixed = (data[0] & 8) != 0;
    struct layer *a, *b;
    struct target t;
    struct dgram *d = NULL;
    die_unless(target_parse("192.0.2.1:53", &t));
    die_unless(mem_pair(loop, &(struct mem_cfg){.cap_bytes = 2048, .seed = data[1]}, &a, &b));
    struct stream *far = stream_new(loop), *s = stream_new(loop);
    die_unless(far != NULL && s != NULL);
    stream_push(far, b);
    stream_push(s, a);
    if (c->type->greet != NULL)
        die_unless(c->type->greet(c, s) == RC_OK);
    if (!udp) {
        die_unless(c->type->push(c, s, &t) == RC_OK);
        use_stream(s, far, data + 2, n - 2);
        stream_close(s);
    } else {
        bool with_target = fixed && (c->type->flags & CONNECTOR_UDP_FIXED) != 0;
        enum rc rc = c->type->dgram(c, s, with_target ? &t : NULL, NULL, &d);
        die_unless(rc == RC_OK || rc == RC_UNSUPPORTED); /* relay: refused before, and remembered */
        if (rc == RC_OK) {
            use_dgram(d, far, data + 2, n - 2);
            dgram_close(d);
        }
    }
    stream_close(far);
    turn();
    return 0;
}
