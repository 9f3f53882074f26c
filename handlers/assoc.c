/* handlers/assoc.c - the client's side of a SOCKS5 UDP association. Contract in handlers/assoc.h.
 */
#include "handlers/assoc.h"
#include "core/dgram.h"
#include "core/floor/udp.h"
#include "core/stream.h"
#include "core/wire/udptun.h"
#include <stdlib.h>

enum { PORT_TRIES = 64, STRANGERS_MAX = 64 /* dropped in one call */ };

struct assoc {
    struct dgram dgram;
    struct dgram *udp;
    struct addr peer;
    struct target sender; /* of the latest message; no family: nobody yet */
    bool readable;
};

static void on_udp(struct dgram *udp, unsigned ready, void *arg)
{
    struct assoc *a = arg;
    (void)ready;
    dgram_want(udp, 0, NULL, NULL);
    a->readable = true;
    dgram_wake(&a->dgram);
}

static enum rc assoc_recv(struct dgram *d, void *buf, size_t cap, size_t *ret_n,
                          struct target *ret_from)
{
    static uint8_t raw[DGRAM_MAX_BYTES]; /* of the one thread; used only inside this call */
    struct assoc *a = (struct assoc *)d;
    struct target from;
    struct slice payload;
    uint8_t atyp;
    size_t n;

    for (int i = 0; i < STRANGERS_MAX; i++) {
        enum rc rc = dgram_recv(a->udp, raw, sizeof raw, &n, &from);
        if (rc == RC_AGAIN) {
            a->readable = false;
            dgram_want(a->udp, STREAM_IN, on_udp, a);
        }
        if (rc != RC_OK)
            return rc == RC_AGAIN ? rc : diag_set(&d->diag, rc, "%s", a->udp->diag.text);
        if (!addr_same_ip(&from.addr, &a->peer) ||
            socks5_udp_parse(raw, n, ret_from, &atyp, &payload) != RC_OK) {
            d->dropped++;
            continue;
        }
        a->sender = from;
        *ret_n = payload.n < cap ? payload.n : cap;
        if (*ret_n > 0)
            memcpy(buf, payload.p, *ret_n);
        return RC_OK;
    }
    return RC_AGAIN; /* still readable: it goes on when others had their turn */
}

static enum rc assoc_send(struct dgram *d, const struct target *to, const void *data, size_t n)
{
    static uint8_t raw[UDPTUN_HEAD_MAX_BYTES + DGRAM_MAX_BYTES]; /* as above */
    struct assoc *a = (struct assoc *)d;
    size_t head;

    if (a->sender.addr.family == 0 ||
        socks5_udp_format_head(to, raw, sizeof raw - DGRAM_MAX_BYTES, &head) != RC_OK)
        return RC_AGAIN;
    if (n > 0)
        memcpy(raw + head, data, n);
    (void)dgram_send(a->udp, &a->sender, raw, head + n); /* a lost reply is only lost */
    return RC_OK;
}

static unsigned assoc_ready(struct dgram *d, unsigned wish)
{
    const struct assoc *a = (const struct assoc *)d;
    unsigned ready = STREAM_OPEN | STREAM_OUT | (a->readable ? (unsigned)STREAM_IN : 0);
    return ready & wish;
}

static enum rc assoc_local(struct dgram *d, struct addr *ret_addr)
{
    return dgram_local(((struct assoc *)d)->udp, ret_addr);
}

static void assoc_destroy(struct dgram *d)
{
    dgram_close(((struct assoc *)d)->udp);
}

static const struct dgram_type assoc_type = {
    .name = "association",
    .send = assoc_send,
    .recv = assoc_recv,
    .ready = assoc_ready,
    .local = assoc_local,
    .destroy = assoc_destroy,
};

static enum rc bind_in_range(const struct assoc_cfg *cfg, int *ret_fd, struct diag *diag)
{
    struct sockopts so = {.netns = cfg->netns};
    struct addr at = cfg->local;
    enum rc rc = RC_LIMIT;
    uint32_t span = (uint32_t)cfg->port_max - cfg->port_min + 1, start;

    at.port = 0;
    if (cfg->port_max == 0 || cfg->port_max < cfg->port_min)
        return os_bind_udp(&at, false, &so, ret_fd, diag);
    loop_random(&start, sizeof start);
    for (uint32_t i = 0; i < span && i < PORT_TRIES && rc != RC_OK; i++) {
        struct diag why = {.rc = RC_OK};
        at.port = (uint16_t)(cfg->port_min + (start % span + i) % span);
        rc = os_bind_udp(&at, false, &so, ret_fd, &why);
        if (rc != RC_OK)
            diag_set(diag, rc, "%s", why.text);
    }
    return rc;
}

enum rc assoc_open(const struct assoc_cfg *cfg, struct dgram **ret_d, struct diag *diag)
{
    int fd;
    enum rc rc = bind_in_range(cfg, &fd, diag);
    if (rc != RC_OK)
        return rc;
    struct assoc *a = calloc(1, sizeof *a);
    struct dgram *udp = udp_dgram_fd(cfg->loop, fd);
    if (!a || !udp) {
        free(a);
        dgram_close(udp);
        return diag_set(diag, RC_NOMEM, "no memory for an association");
    }
    dgram_init(&a->dgram, &assoc_type, cfg->loop, DGRAM_NAMES);
    a->udp = udp;
    a->peer = cfg->peer;
    a->readable = true; /* not known: the first call finds out */
    *ret_d = &a->dgram;
    return RC_OK;
}
