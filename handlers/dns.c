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
#include "handlers/handler.h"
#include "handlers/types.h"
#include "listeners/listener.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HOSTS_TTL_S = 3600,
    HOSTS_ADDRS_MAX = 16,
    TRIES_MAX = 3, /* upstreams for one question */
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

struct question {
    struct list link; /* of its client */
    struct dns_front *front;
    struct dns_client *client;
    struct exchange *exchange;
    int picked, tries;
    uint32_t bits;
    bool keep;        /* the answer is the same for everybody */
    size_t max_bytes; /* that the client takes */
    struct dns_msg msg;
    size_t n;
    uint8_t query[];
};

static void ask(struct question *q);

/* ---------------------------------------------------------------- answers */

static void send_answer(struct dns_client *c, uint8_t *answer, size_t n, size_t max_bytes)
{
    struct dns_msg m;
    if (n > max_bytes && dns_parse(answer, n, &m) == RC_OK)
        n = dns_truncate(answer, &m);
    dns_client_answer(c, answer, n);
}

static void say(struct dns_client *c, const uint8_t *query, const struct dns_msg *msg,
                enum dns_rcode rcode, const struct addr *v, int n, size_t max_bytes)
{
    uint8_t buf[DNS_HEAD_BYTES + DNS_NAME_WIRE_MAX + 4 + HOSTS_ADDRS_MAX * 28];
    size_t len;
    if (dns_format_answer(query, msg, rcode, v, n, HOSTS_TTL_S, buf, sizeof(buf), &len) == RC_OK)
        send_answer(c, buf, len, max_bytes);
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
    exchange_cancel(q->exchange);
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

static void tell_silence(struct dns_front *f, const struct question *q, enum rc rc)
{
    const struct nameserver *s = q->picked >= 0 ? &f->upstreams->v[q->picked] : NULL;
    log_write(f->silent ? LOG_DEBUG : LOG_WARN,
              (struct log_field[]){F_STR("kind", "handler"), F_STR("service", f->setup.service),
                                   F_STR("handler", "dns"), LOG_END},
              "no upstream answers (the last one: %s); clients are told SERVFAIL",
              s != NULL && s->last.rc == rc ? s->last.text : rc_name(rc));
    f->silent = true;
}

static void give_up(struct question *q, enum rc rc)
{
    struct dns_client *c = q->client;
    tell_silence(q->front, q, rc);
    say(c, q->query, &q->msg, DNS_SERVFAIL, NULL, 0, q->max_bytes);
    if (c->over) /* the question went with it */
        return;
    question_end(q);
    dns_client_look(c);
}

static void on_exchange(void *arg, enum rc rc, const uint8_t *answer, size_t n)
{
    struct question *q = arg;
    struct dns_client *c = q->client;
    uint8_t *copy;
    q->exchange = NULL;
    forwarder_mark(q->front->forwarder, q->picked, rc == RC_OK);
    copy = rc == RC_OK ? malloc(n) : NULL;
    if (copy == NULL) {
        if (rc != RC_OK && q->tries < TRIES_MAX && q->tries < q->front->upstreams->n)
            ask(q);
        else
            give_up(q, rc != RC_OK ? rc : RC_NOMEM);
        return;
    }
    q->front->silent = false;
    memcpy(copy, answer, n);
    keep(q, copy, n);
    send_answer(c, copy, n, q->max_bytes);
    free(copy);
    if (c->over)
        return;
    question_end(q);
    dns_client_look(c);
}

static void ask(struct question *q)
{
    struct dns_front *f = q->front;
    struct target unused, asked;
    bool is_name = target_set_host(&asked, q->msg.name, strlen(q->msg.name), 0);
    q->tries++;
    q->picked = forwarder_pick_for(f->forwarder, &q->client->peer,
                                   q->client->stream != NULL ? "tcp" : "udp",
                                   is_name ? &asked : NULL, &unused);
    if (q->picked >= 0)
        q->exchange = exchange_new(&(struct exchange_cfg){.loop = f->setup.loop,
                                                          .list = f->upstreams,
                                                          .server = q->picked,
                                                          .router = f->setup.router,
                                                          .query = q->query,
                                                          .n = q->n},
                                   on_exchange, q);
    if (q->exchange == NULL)
        give_up(q, q->picked < 0 ? RC_DENIED : RC_NOMEM);
}

/* ---------------------------------------------------------------- questions */

/* What is answered here. */
static bool answer_here(struct dns_front *f, struct dns_client *c, const uint8_t *query,
                        const struct dns_msg *m, size_t max_bytes)
{
    struct addr v[HOSTS_ADDRS_MAX];
    struct target t = {.addr = {.port = 53}};
    const struct handler_setup *s = &f->setup;
    int family = m->type == DNS_A ? AF_INET : m->type == DNS_AAAA ? AF_INET6 : 0, n = 0, found = 0;
    bool is_name = target_set_host(&t, m->name, strlen(m->name), 53) && target_is_name(&t);
    if (is_name && s->bypassed != NULL &&
        s->bypassed(s->bypassed_arg, c->stream != NULL ? "tcp" : "udp", &t)) {
        say(c, query, m, DNS_NOERROR, NULL, 0, max_bytes);
        return true;
    }
    if (family != 0 && m->class == DNS_CLASS_IN)
        n = router_hosts(s->router, m->name, v, HOSTS_ADDRS_MAX);
    for (int i = 0; i < n; i++)
        found += v[i].family == family;
    if (found > 0)
        say(c, query, m, DNS_NOERROR, v, n, max_bytes);
    return found > 0;
}

static bool answer_kept(struct dns_front *f, struct dns_client *c, const uint8_t *query,
                        const struct answer_key *key, size_t max_bytes)
{
    uint8_t buf[ANSWER_MAX_BYTES];
    size_t n;
    if (!answers_get(f->answers, key, query, loop_now_ms(f->setup.loop), buf, sizeof(buf), &n))
        return false;
    send_answer(c, buf, n, max_bytes);
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
        say(c, query, &m, (m.flags & DNS_OPCODE) != 0 ? DNS_NOTIMP : DNS_FORMERR, NULL, 0,
            max_bytes);
        return;
    }
    struct answer_key key = {&m, m.flags | (edns.present ? BIT_DNSSEC << 1 : 0u) |
                                     (edns.dnssec ? BIT_DNSSEC : 0u)};
    bool same_for_all = edns.subnet.net.family == 0;
    if (answer_here(f, c, query, &m, max_bytes) ||
        (same_for_all && answer_kept(f, c, query, &key, max_bytes)))
        return;
    struct question *q = f->open < OPEN_MAX ? malloc(sizeof(*q) + n) : NULL;
    if (q == NULL) {
        say(c, query, &m, DNS_SERVFAIL, NULL, 0, max_bytes);
        return;
    }
    *q = (struct question){.front = f,
                           .client = c,
                           .bits = key.bits,
                           .keep = same_for_all,
                           .max_bytes = max_bytes,
                           .msg = m,
                           .n = n};
    memcpy(q->query, query, n);
    if (same_for_all) /* cookies and the like are the client's with us */
        q->n = dns_drop_options(q->query, n, &m);
    list_init(&q->link);
    list_append(&c->questions, &q->link);
    c->n_questions++;
    f->open++;
    ask(q);
}

/* ---------------------------------------------------------------- life */

static enum rc add_upstream(struct dns_front *f, const char *text, struct diag *diag)
{
    struct target place = {.name = ""};
    struct nameserver_cfg cfg = {
        .addr = text, .ttl_ms = f->cfg->ttl_ms, .timeout_ms = f->cfg->timeout_ms};
    enum rc rc = nameservers_add(f->upstreams, &cfg, diag);
    if (rc == RC_OK && f->own != NULL && forwarder_add(f->own, text, &place) != RC_OK)
        return diag_set(diag, RC_NOMEM, "no memory");
    if (rc == RC_OK && !nameserver_is_checked(&f->upstreams->v[f->upstreams->n - 1]))
        log_write(LOG_WARN,
                  (struct log_field[]){F_STR("kind", "handler"), F_STR("service", f->setup.service),
                                       LOG_END},
                  "upstream %s: nobody checks that it is the right one", text);
    return rc;
}

static enum rc add_forwarded(struct dns_front *f, struct diag *diag)
{
    struct target t;
    char text[TARGET_TEXT_MAX];
    enum rc rc = RC_OK;
    for (int i = 0; rc == RC_OK && forwarder_target(f->forwarder, i, &t); i++)
        rc = add_upstream(
            f, strstr(t.name, "://") != NULL ? t.name : target_format(&t, text, sizeof(text)),
            diag);
    return rc;
}

static enum rc add_machine(struct dns_front *f, struct diag *diag)
{
    FILE *file = fopen("/etc/resolv.conf", "re");
    char line[512], text[ADDR_TEXT_MAX];
    struct addr a;
    enum rc rc = RC_OK;
    while (file != NULL && rc == RC_OK && fgets(line, sizeof(line), file) != NULL) {
        char *rest = NULL, *word = strtok_r(line, " \t\r\n", &rest);
        if (word == NULL || strcmp(word, "nameserver") != 0 ||
            (word = strtok_r(NULL, " \t\r\n", &rest)) == NULL ||
            !addr_parse_ip(word, strlen(word), &a))
            continue;
        a.port = 53;
        rc = add_upstream(f, addr_format(&a, text, sizeof(text)), diag);
    }
    if (file != NULL)
        (void)fclose(file);
    return rc == RC_OK && f->upstreams->n == 0 ? add_upstream(f, "127.0.0.1:53", diag) : rc;
}

static void on_news(void *arg, const struct nameserver *s, enum nameserver_news news)
{
    const struct dns_front *f = arg;
    char text[240];
    log_write(LOG_WARN,
              (struct log_field[]){F_STR("kind", "handler"), F_STR("service", f->setup.service),
                                   F_STR("handler", "dns"), LOG_END},
              "%s", nameserver_news_text(s, news, text, sizeof(text)));
}

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
    f->upstreams = nameservers_new();
    f->answers = answers_new();
    if (setup->forwarder == NULL)
        f->own = forwarder_new(setup->loop, &(struct selector_cfg){.strategy = SELECT_ROUND});
    f->forwarder = f->own != NULL ? f->own : setup->forwarder;
    if (f->upstreams == NULL || f->answers == NULL || f->forwarder == NULL)
        return diag_set(diag, RC_NOMEM, "no memory");
    f->upstreams->tell = on_news;
    f->upstreams->tell_arg = f;
    if (setup->forwarder != NULL)
        return add_forwarded(f, diag);
    enum rc rc = RC_OK;
    for (size_t i = 0; i < f->cfg->dns.n && rc == RC_OK; i++)
        rc = add_upstream(f, f->cfg->dns.v[i], diag);
    return rc == RC_OK && f->upstreams->n == 0 ? add_machine(f, diag) : rc;
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
        f->upstreams->tell = NULL;
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
