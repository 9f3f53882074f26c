/* chain/dns_dgram.c - framed messages below, the questions that are open beside them: what they
 * need to be cut to size, and to be told that nobody will answer them.
 */
#include "chain/dns_dgram.h"
#include "core/floor/framed.h"
#include "core/stream.h"
#include "core/wire/dns.h"
#include <stdlib.h>
#include <string.h>

enum {
    OPEN_MAX = 64,   /* the oldest is forgotten: nobody waits for it any more */
    KEPT_BYTES = 600 /* of a question; longer ones are not told */
};

struct asked {
    uint16_t id, max_bytes; /* max_bytes 0: answered */
    size_t n;
    uint8_t *query; /* NULL: not kept */
};

struct carried {
    struct dgram dgram;
    struct dgram *framed;
    struct target server;
    struct diag over;             /* of framed: first the open questions are told */
    struct asked asked[OPEN_MAX]; /* a ring */
    unsigned next;
};

static void forget(struct asked *a)
{
    free(a->query);
    *a = (struct asked){.max_bytes = 0};
}

static void remember(struct carried *c, uint16_t id, uint16_t max_bytes, const void *query,
                     size_t n)
{
    struct asked *a = &c->asked[c->next++ % OPEN_MAX];
    forget(a);
    *a = (struct asked){.id = id, .max_bytes = max_bytes, .n = n};
    if (n <= KEPT_BYTES && (a->query = malloc(n)) != NULL)
        memcpy(a->query, query, n);
}

static void has_ended(struct carried *c, enum rc rc)
{
    if (c->over.rc == RC_OK)
        (void)diag_set(&c->over, rc, "%s", c->framed->diag.text);
    dgram_wake(&c->dgram);
}

/* Nobody will answer: the next open question is, by us. Then the end. */
static enum rc say_end(struct carried *c, void *buf, size_t cap, size_t *ret_n,
                       struct target *ret_from)
{
    for (unsigned i = 0; i < OPEN_MAX; i++) {
        struct asked *a = &c->asked[(c->next + i) % OPEN_MAX];
        enum rc rc = a->query ? dns_format_failure(a->query, a->n, buf, cap, ret_n) : RC_AGAIN;
        forget(a);
        if (rc != RC_OK)
            continue;
        *ret_from = c->server;
        return rc;
    }
    return diag_set(&c->dgram.diag, c->over.rc, "%s", c->over.text);
}

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
    enum rc rc = c->over.rc == RC_OK ? dgram_send(c->framed, to, data, n) : RC_EOF;
    if (rc == RC_AGAIN)
        return rc;
    remember(c, m.id, edns.udp_bytes, data, n);
    if (rc != RC_OK)
        has_ended(c, rc);
    return RC_OK;
}

/* The question that this answers, which is so no longer open; 0: none. */
static uint16_t asker_takes(struct carried *c, const struct dns_msg *m)
{
    for (unsigned i = 0; i < OPEN_MAX; i++) {
        struct asked *a = &c->asked[i];
        uint16_t max_bytes = a->max_bytes;
        if (max_bytes == 0 || a->id != m->id)
            continue;
        forget(a);
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
        enum rc rc =
            c->over.rc == RC_OK ? dgram_recv(c->framed, buf, cap, ret_n, ret_from) : RC_EOF;
        if (rc == RC_AGAIN)
            return rc;
        if (rc != RC_OK) {
            has_ended(c, rc);
            return say_end(c, buf, cap, ret_n, ret_from);
        }
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
    if (dgram->diag.rc != RC_OK || c->over.rc != RC_OK || c->framed->diag.rc != RC_OK)
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
    struct carried *c = (struct carried *)dgram;
    for (unsigned i = 0; i < OPEN_MAX; i++)
        forget(&c->asked[i]);
    dgram_close(c->framed);
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
    c->server = *server;
    dgram_init(&c->dgram, &carried_type, stream_loop(s), DGRAM_FIXED);
    return &c->dgram;
}
