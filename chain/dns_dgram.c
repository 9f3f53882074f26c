/* chain/dns_dgram.c - framed messages below, the questions that are open beside them. */
#include "chain/dns_dgram.h"
#include "core/floor/framed.h"
#include "core/stream.h"
#include "core/wire/dns.h"
#include <stdlib.h>

enum { OPEN_MAX = 64 /* the oldest is forgotten: nobody waits for it any more */ };

struct asked {
    uint16_t id, max_bytes; /* max_bytes 0: answered */
};

struct carried {
    struct dgram dgram;
    struct dgram *framed;
    struct asked asked[OPEN_MAX]; /* a ring */
    unsigned next;
};

static enum rc carried_send(struct dgram *dgram, const struct target *to, const void *data,
                            size_t n)
{
    struct carried *c = (struct carried *)dgram;
    struct dns_msg m;
    struct dns_edns edns;
    if (dns_parse_query(data, n, &m) != RC_OK || dns_find_edns(data, n, &m, &edns) != RC_OK) {
        dgram->dropped++;
        return RC_OK;
    }
    enum rc rc = dgram_send(c->framed, to, data, n);
    if (rc == RC_OK) {
        c->asked[c->next % OPEN_MAX] = (struct asked){m.id, edns.udp_bytes};
        c->next++;
    } else if (rc != RC_AGAIN) {
        (void)diag_set(&dgram->diag, rc, "%s", c->framed->diag.text);
    }
    return rc;
}

/* The question that this answers, which is so no longer open; 0: none. */
static uint16_t asker_takes(struct carried *c, const struct dns_msg *m)
{
    for (unsigned i = 0; i < OPEN_MAX; i++) {
        struct asked *a = &c->asked[i];
        uint16_t max_bytes = a->max_bytes;
        if (max_bytes == 0 || a->id != m->id)
            continue;
        a->max_bytes = 0;
        return max_bytes;
    }
    return 0;
}

static enum rc carried_recv(struct dgram *dgram, void *buf, size_t cap, size_t *ret_n,
                            struct target *ret_from)
{
    struct carried *c = (struct carried *)dgram;
    for (;;) {
        struct dns_msg m;
        uint16_t max_bytes = 0;
        enum rc rc = dgram_recv(c->framed, buf, cap, ret_n, ret_from);
        if (rc == RC_AGAIN || rc == RC_EOF)
            return rc;
        if (rc != RC_OK)
            return diag_set(&dgram->diag, rc, "%s", c->framed->diag.text);
        if (dns_parse(buf, *ret_n, &m) == RC_OK && (m.flags & DNS_QR) != 0)
            max_bytes = asker_takes(c, &m);
        if (max_bytes == 0) {
            dgram->dropped++;
            continue;
        }
        if (*ret_n > max_bytes)
            *ret_n = dns_truncate(buf, &m);
        return RC_OK;
    }
}

static void on_framed(struct dgram *framed, unsigned ready, void *arg)
{
    struct carried *c = arg;
    (void)ready;
    dgram_want(framed, 0, NULL, NULL); /* what is still wanted is asked for by carried_ready() */
    dgram_wake(&c->dgram);
}

static unsigned carried_ready(struct dgram *dgram, unsigned wish)
{
    struct carried *c = (struct carried *)dgram;
    unsigned below = wish & (STREAM_IN | STREAM_OUT);
    unsigned ready = wish & STREAM_OPEN;
    if (dgram->diag.rc != RC_OK || c->framed->diag.rc != RC_OK)
        return wish;
    if (below == 0)
        return ready;
    ready |= c->framed->type->ready(c->framed, below) & below;
    if ((ready & below) == 0)
        dgram_want(c->framed, below, on_framed, c);
    return ready;
}

static enum rc carried_open(struct dgram *dgram)
{
    return dgram_open(((struct carried *)dgram)->framed);
}

static enum rc carried_local(struct dgram *dgram, struct addr *ret_addr)
{
    return dgram_local(((struct carried *)dgram)->framed, ret_addr);
}

static void carried_destroy(struct dgram *dgram)
{
    dgram_close(((struct carried *)dgram)->framed);
}

static const struct dgram_type carried_type = {
    .name = "dns",
    .open = carried_open,
    .send = carried_send,
    .recv = carried_recv,
    .ready = carried_ready,
    .local = carried_local,
    .destroy = carried_destroy,
};

struct dgram *dns_dgram(struct stream *s, const struct target *server)
{
    struct carried *c = calloc(1, sizeof(*c));
    struct framed_cfg cfg = {.framing = FRAMING_LEN, .fixed = server};
    if (c == NULL) {
        stream_close(s);
        return NULL;
    }
    c->framed = framed_dgram(s, &cfg);
    if (c->framed == NULL) {
        free(c);
        return NULL;
    }
    dgram_init(&c->dgram, &carried_type, stream_loop(s), DGRAM_FIXED);
    return &c->dgram;
}
