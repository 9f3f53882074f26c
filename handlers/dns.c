/* handlers/dns.c - a DNS server that asks others: service bypass, hosts, kept answers, then one of
 * the upstreams (gost-config.md 9, the dns row). wire-protocols.md 7.
 *
 * Upstreams: the forwarder's nodes, else `dns`, else the machine's resolv.conf, else 127.0.0.1.
 * Their questions leave by the service's router: its chain, else its interface and mark. Questions
 * go on as they came but for the id and EDNS options (a client subnet stays, and its answer is not
 * kept); answers come back so. When no upstream answers the client is told SERVFAIL.
 */
#include "chain/answers.h"
#include "chain/exchange.h"
#include "chain/forwarder.h"
#include "chain/router.h"
#include "core/log.h"
#include "handlers/dnsclient.h"
#include "handlers/dnsupstreams.h"
#include "handlers/handler.h"
#include "handlers/types.h"
#include "listeners/listener.h"
#include <stdlib.h>
#include <string.h>

enum {
    HOSTS_TTL_S = 3600,
    HOSTS_ADDRS_MAX = 16,
    TRIES_MAX = 3,   /* upstreams for one question */
    HURRY_MS = 1500, /* silence after which the next one is asked, too */
    OPEN_MAX = 4096,
    IDLE_MS = 15000,
    BIT_DNSSEC = 0x10000 /* beside the flags of the head */
};

struct dns_options {
    struct strlist dns;
    int64_t ttl_ms, timeout_ms, buffer_bytes, read_timeout_ms;
    char *client_ip;
    bool async;
};

#define AT(field) offsetof(struct dns_options, field)
static const struct option options[] = {
    {.key = "dns", .type = OPTION_LIST, .offset = AT(dns), .help = "upstream nameservers"},
    {.key = "ttl",
     .type = OPTION_DURATION,
     .offset = AT(ttl_ms),
     .help = "how long answers are kept; 0: as they say; negative: not at all"},
    {.key = "timeout",
     .type = OPTION_DURATION,
     .offset = AT(timeout_ms),
     .def = "5s",
     .min = 1,
     .max = 600000,
     .help = "wait for an upstream's answer"},
    {.key = "bufferSize",
     .type = OPTION_SIZE,
     .flags = OPTION_NOOP,
     .offset = AT(buffer_bytes),
     .help = "largest question"},
    {.key = "readTimeout",
     .type = OPTION_DURATION,
     .offset = AT(read_timeout_ms),
     .help = "silence that ends a TCP client; 0: 15s"},
    {.key = "clientIP",
     .type = OPTION_STRING,
     .flags = OPTION_LATER,
     .offset = AT(client_ip),
     .help = "client subnet told to upstreams"},
    {.key = "async",
     .type = OPTION_BOOL,
     .flags = OPTION_LATER,
     .offset = AT(async),
     .help = "serve old answers while asking anew"},
    OPTION_END,
};
#undef AT

struct dns_front {
    struct handler_setup setup;
    const struct dns_options *cfg;
    struct dns_clients clients;
    struct forwarder *own;       /* of `dns` or the machine; NULL: the service's */
    struct forwarder *forwarder; /* whose picks are places in upstreams */
    struct nameservers *upstreams;
    struct answers *answers;
    unsigned open;
    bool silent; /* no upstream answered the last question: told once */
};

struct question;
struct attempt {
    struct question *question;
    struct exchange *exchange; /* NULL: over */
    int picked;
};

struct question {
    struct list link; /* of its client */
    struct dns_front *front;
    struct dns_client *client;
    struct attempt tries[TRIES_MAX];
    int n_tries, n_open;
    struct timer hurry; /* the next upstream is asked beside one that is silent */
    uint32_t bits;
    bool keep;            /* the answer is the same for everybody */
    struct dns_edns edns; /* the client's */
    size_t max_bytes;     /* that the client takes */
    struct dns_msg msg;
    size_t n;
    uint8_t query[];
};

static void ask(struct question *q);
static bool may_ask_more(const struct question *q);

/* ---------------------------------------------------------------- answers */

static void send_answer(struct dns_client *c, uint8_t *answer, size_t n, size_t max_bytes,
                        const struct dns_edns *edns)
{
    struct dns_msg m;
    if (n > max_bytes && dns_parse(answer, n, &m) == RC_OK)
        n = dns_add_opt(answer, dns_truncate(answer, &m), n, edns);
    dns_client_answer(c, answer, n);
}

static void say(struct dns_client *c, const uint8_t *query, const struct dns_msg *msg,
                enum dns_rcode rcode, const struct addr *v, int n, const struct dns_edns *edns)
{
    uint8_t buf[DNS_HEAD_BYTES + DNS_NAME_WIRE_MAX + 4 + HOSTS_ADDRS_MAX * 28 + 16];
    size_t len;
    if (dns_format_answer(query, msg, rcode, v, n, HOSTS_TTL_S, buf, sizeof(buf), &len) != RC_OK)
        return;
    len = dns_add_opt(buf, len, sizeof(buf), edns);
    send_answer(c, buf, len, c->stream != NULL ? DNS_MESSAGE_MAX : edns->udp_bytes, edns);
}

/* To a message without a question that could be echoed. */
static void say_malformed(struct dns_client *c, const uint8_t *query)
{
    uint8_t head[DNS_HEAD_BYTES] = {query[0], query[1], 0x80, DNS_FORMERR};
    dns_client_answer(c, head, sizeof(head));
}

static void question_end(struct question *q)
{
    struct dns_client *c = q->client;
    for (int i = 0; i < q->n_tries; i++)
        exchange_cancel(q->tries[i].exchange);
    timer_stop(&q->hurry);
    list_remove(&q->link);
    c->n_questions--;
    q->front->open--;
    free(q);
}

static void on_gone(void *arg, struct dns_client *c)
{
    (void)arg;
    while (!list_is_empty(&c->questions))
        question_end(LIST_OWNER(c->questions.next, struct question, link));
}

/* ---------------------------------------------------------------- upstreams */

static void keep(struct question *q, const uint8_t *answer, size_t n)
{
    struct dns_front *f = q->front;
    struct dns_msg m;
    uint32_t ttl_s = 0;
    if (!q->keep || f->cfg->ttl_ms < 0 || dns_parse(answer, n, &m) != RC_OK ||
        (m.flags & DNS_TC) != 0)
        return;
    unsigned rcode = m.flags & DNS_RCODE;
    if ((rcode != DNS_NOERROR && rcode != DNS_NXDOMAIN) || !dns_lifetime(answer, n, &m, &ttl_s))
        return;
    uint64_t keep_ms = f->cfg->ttl_ms > 0 ? (uint64_t)f->cfg->ttl_ms : ttl_s * UINT64_C(1000);
    struct answer_key key = {&q->msg, q->bits};
    answers_put(f->answers, &key, loop_now_ms(f->setup.loop), answer, n, keep_ms);
}

static void tell_silence(struct dns_front *f, int picked, enum rc rc)
{
    const struct nameserver *s = picked >= 0 ? &f->upstreams->v[picked] : NULL;
    log_write(f->silent ? LOG_DEBUG : LOG_WARN,
              (struct log_field[]){F_STR("kind", "handler"), F_STR("service", f->setup.service),
                                   F_STR("handler", "dns"), LOG_END},
              "no upstream answers (the last one: %s); clients are told SERVFAIL",
              s != NULL && s->last.rc == rc ? s->last.text : rc_name(rc));
    f->silent = true;
}

static void give_up(struct question *q, int picked, enum rc rc)
{
    struct dns_client *c = q->client;
    tell_silence(q->front, picked, rc);
    say(c, q->query, &q->msg, DNS_SERVFAIL, NULL, 0, &q->edns);
    if (c->over) /* the question went with it */
        return;
    question_end(q);
    dns_client_look(c);
}

static void on_exchange(void *arg, enum rc rc, const uint8_t *answer, size_t n)
{
    struct attempt *t = arg;
    struct question *q = t->question;
    struct dns_client *c = q->client;
    uint8_t *copy;
    t->exchange = NULL;
    q->n_open--;
    forwarder_mark(q->front->forwarder, t->picked, rc == RC_OK);
    copy = rc == RC_OK ? malloc(n) : NULL;
    if (copy == NULL) {
        if (may_ask_more(q))
            ask(q);
        else if (q->n_open == 0)
            give_up(q, t->picked, rc != RC_OK ? rc : RC_NOMEM);
        return;
    }
    q->front->silent = false;
    memcpy(copy, answer, n);
    keep(q, copy, n);
    send_answer(c, copy, n, q->max_bytes, &q->edns);
    free(copy);
    if (c->over)
        return;
    question_end(q);
    dns_client_look(c);
}

static void on_hurry(struct timer *timer)
{
    struct question *q = LIST_OWNER(timer, struct question, hurry);
    forwarder_mark(q->front->forwarder, q->tries[q->n_tries - 1].picked, false);
    ask(q);
}

static bool may_ask_more(const struct question *q)
{
    return q->n_tries < TRIES_MAX && q->n_tries < q->front->upstreams->n;
}

static void ask(struct question *q)
{
    struct dns_front *f = q->front;
    struct target unused, asked;
    struct attempt *t = &q->tries[q->n_tries++];
    bool is_name = target_set_host(&asked, q->msg.name, strlen(q->msg.name), 0);
    *t = (struct attempt){.question = q};
    t->picked = forwarder_pick_for(f->forwarder, &q->client->peer,
                                   q->client->stream != NULL ? "tcp" : "udp",
                                   is_name ? &asked : NULL, &unused);
    if (t->picked >= 0)
        t->exchange = exchange_new(&(struct exchange_cfg){.loop = f->setup.loop,
                                                          .list = f->upstreams,
                                                          .server = t->picked,
                                                          .router = f->setup.router,
                                                          .query = q->query,
                                                          .n = q->n},
                                   on_exchange, t);
    q->n_open += t->exchange != NULL;
    if (q->n_open == 0)
        give_up(q, t->picked, t->picked < 0 ? RC_DENIED : RC_NOMEM);
    else if (may_ask_more(q)) /* without memory it waits for the deadlines */
        (void)timer_start(&q->hurry, HURRY_MS);
}

/* ---------------------------------------------------------------- questions */

/* What is answered here. */
static bool answer_here(struct dns_front *f, struct dns_client *c, const uint8_t *query,
                        const struct dns_msg *m, const struct dns_edns *edns)
{
    struct addr v[HOSTS_ADDRS_MAX];
    struct target t = {.addr = {.port = 53}};
    const struct handler_setup *s = &f->setup;
    int family = m->type == DNS_A ? AF_INET : m->type == DNS_AAAA ? AF_INET6 : 0, n = 0, found = 0;
    bool is_name = target_set_host(&t, m->name, strlen(m->name), 53) && target_is_name(&t);
    if (is_name && s->bypassed != NULL &&
        s->bypassed(s->bypassed_arg, c->stream != NULL ? "tcp" : "udp", &t)) {
        say(c, query, m, DNS_NOERROR, NULL, 0, edns);
        return true;
    }
    if (family != 0 && m->class == DNS_CLASS_IN)
        n = router_hosts(s->router, m->name, v, HOSTS_ADDRS_MAX);
    for (int i = 0; i < n; i++)
        found += v[i].family == family;
    if (found > 0)
        say(c, query, m, DNS_NOERROR, v, n, edns);
    return found > 0;
}

static bool answer_kept(struct dns_front *f, struct dns_client *c, const uint8_t *query,
                        const struct answer_key *key, size_t max_bytes, const struct dns_edns *edns)
{
    uint8_t buf[ANSWER_MAX_BYTES];
    size_t n;
    if (!answers_get(f->answers, key, query, loop_now_ms(f->setup.loop), buf, sizeof(buf), &n))
        return false;
    send_answer(c, buf, n, max_bytes, edns);
    return true;
}

static void on_question(void *arg, struct dns_client *c, const uint8_t *query, size_t n)
{
    struct dns_front *f = arg;
    struct dns_msg m;
    struct dns_edns edns;
    if (n < DNS_HEAD_BYTES || (query[2] & DNS_QR >> 8) != 0)
        return; /* an answer is not answered: two of us would never end */
    if (dns_parse(query, n, &m) != RC_OK || dns_find_edns(query, n, &m, &edns) != RC_OK) {
        say_malformed(c, query);
        return;
    }
    size_t max_bytes = c->stream != NULL ? DNS_MESSAGE_MAX : edns.udp_bytes;
    if ((m.flags & DNS_OPCODE) != 0 || m.n_questions != 1) {
        say(c, query, &m, (m.flags & DNS_OPCODE) != 0 ? DNS_NOTIMP : DNS_FORMERR, NULL, 0, &edns);
        return;
    }
    struct answer_key key = {&m, m.flags | (edns.present ? BIT_DNSSEC << 1 : 0u) |
                                     (edns.dnssec ? BIT_DNSSEC : 0u)};
    bool same_for_all = edns.subnet.net.family == 0;
    if (answer_here(f, c, query, &m, &edns) ||
        (same_for_all && answer_kept(f, c, query, &key, max_bytes, &edns)))
        return;
    struct question *q = f->open < OPEN_MAX ? malloc(sizeof(*q) + n) : NULL;
    if (q == NULL) {
        say(c, query, &m, DNS_SERVFAIL, NULL, 0, &edns);
        return;
    }
    *q = (struct question){.front = f,
                           .client = c,
                           .bits = key.bits,
                           .keep = same_for_all,
                           .edns = edns,
                           .max_bytes = max_bytes,
                           .msg = m,
                           .n = n};
    memcpy(q->query, query, n);
    if (same_for_all) /* cookies and the like are the client's with us */
        q->n = dns_drop_options(q->query, n, &m);
    timer_init(f->setup.loop, &q->hurry, on_hurry);
    list_init(&q->link);
    list_append(&c->questions, &q->link);
    c->n_questions++;
    f->open++;
    ask(q);
}

/* ---------------------------------------------------------------- life */

static enum rc init(struct handler *h, const struct handler_setup *setup, struct diag *diag)
{
    struct dns_front *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return diag_set(diag, RC_NOMEM, "no memory");
    h->state = f;
    f->setup = *setup;
    f->cfg = h->cfg;
    f->clients = (struct dns_clients){
        .loop = setup->loop,
        .idle_ms = f->cfg->read_timeout_ms > 0 ? (uint32_t)f->cfg->read_timeout_ms : IDLE_MS,
        .on_question = on_question,
        .gone = on_gone,
        .arg = f};
    dns_clients_init(&f->clients);
    f->answers = answers_new();
    if (f->answers == NULL)
        return diag_set(diag, RC_NOMEM, "no memory");
    struct dns_upstreams_cfg cfg = {
        .dns = &f->cfg->dns, .ttl_ms = f->cfg->ttl_ms, .timeout_ms = f->cfg->timeout_ms};
    enum rc rc = dns_upstreams_new(&f->setup, &cfg, &f->upstreams, &f->own, diag);
    f->forwarder = f->own != NULL ? f->own : setup->forwarder;
    return rc;
}

static void serve(struct handler *h, struct stream *s, const struct client_info *info)
{
    dns_client_serve(&((struct dns_front *)h->state)->clients, s, info);
}

static void serve_dgram(struct handler *h, struct dgram *d, const struct client_info *info)
{
    dns_client_serve_dgram(&((struct dns_front *)h->state)->clients, d, info);
}

static void done(struct handler *h)
{
    struct dns_front *f = h->state;
    h->state = NULL;
    if (f == NULL)
        return;
    dns_clients_done(&f->clients);
    if (f->upstreams != NULL)
        nameservers_stop(f->upstreams); /* connections that were kept */
    nameservers_unref(f->upstreams);
    answers_free(f->answers);
    forwarder_free(f->own);
    free(f);
}

/* It connects nobody: its own questions go to nameservers. */
static void explain(const void *cfg, const struct handler_question *q, struct handler_plan *ret_p)
{
    (void)cfg;
    (void)q;
    ret_p->answered = true;
    (void)snprintf(ret_p->note, sizeof ret_p->note, "it answers DNS questions and nothing else");
}

const struct handler_type handler_dns = {
    .name = "dns",
    .options = options,
    .cfg_bytes = sizeof(struct dns_options),
    .init = init,
    .serve = serve,
    .serve_dgram = serve_dgram,
    .done = done,
    .explain = explain,
};
