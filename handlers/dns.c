/* handlers/dns.c - a DNS server that asks others: service bypass, hosts, kept answers, then one of
 * the upstreams (gost-config.md 9, the dns row). wire-protocols.md 7.
 *
 * Upstreams: the forwarder's nodes, else `dns`, else the machine's resolv.conf, else 127.0.0.1.
 * Their questions leave by the service's router: its chain, else its interface and mark. Questions
 * go on as they came but for the id and EDNS options (a client subnet stays, and its answer is not
 * kept); answers come back so. Equal questions at the same time are one. When no upstream answers
 * the client is told SERVFAIL.
 */
#include "chain/answers.h"
#include "chain/exchange.h"
#include "chain/forwarder.h"
#include "chain/router.h"
#include "core/log.h"
#include "handlers/dns_inside.h"
#include "handlers/dnsupstreams.h"
#include "handlers/handler.h"
#include "handlers/types.h"
#include "listeners/listener.h"
#include <stdlib.h>
#include <string.h>

enum {
    HOSTS_TTL_S = 3600,
    HOSTS_ADDRS_MAX = 16,
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
     .flags = OPTION_SIGNED,
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
     .max = UINT32_MAX,
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

/* ---------------------------------------------------------------- answers */

void dns_send_answer(struct dns_client *c, uint8_t *answer, size_t n, size_t max_bytes,
                     const struct dns_edns *edns)
{
    struct dns_msg m;
    if (n > max_bytes && dns_parse(answer, n, &m) == RC_OK)
        n = dns_add_opt(answer, dns_truncate(answer, &m), n, edns);
    dns_client_answer(c, answer, n);
}

void dns_say(struct dns_client *c, const uint8_t *query, const struct dns_msg *msg,
             enum dns_rcode rcode, const struct addr *v, int n, const struct dns_edns *edns)
{
    uint8_t buf[DNS_HEAD_BYTES + DNS_NAME_WIRE_MAX + 4 + HOSTS_ADDRS_MAX * 28 + 16];
    size_t len;
    if (dns_format_answer(query, msg, rcode, v, n, HOSTS_TTL_S, buf, sizeof(buf), &len) != RC_OK)
        return;
    len = dns_add_opt(buf, len, sizeof(buf), edns);
    dns_send_answer(c, buf, len, c->stream != NULL ? DNS_MESSAGE_MAX : edns->udp_bytes, edns);
}

/* To a message without a question that could be echoed. */
static void say_malformed(struct dns_client *c, const uint8_t *query)
{
    uint8_t head[DNS_HEAD_BYTES] = {query[0], query[1], 0x80, DNS_FORMERR};
    dns_client_answer(c, head, sizeof(head));
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
        dns_say(c, query, m, DNS_NOERROR, NULL, 0, edns);
        return true;
    }
    if (family != 0 && m->class == DNS_CLASS_IN)
        n = router_hosts(s->router, m->name, v, HOSTS_ADDRS_MAX);
    for (int i = 0; i < n; i++)
        found += v[i].family == family;
    if (found > 0)
        dns_say(c, query, m, DNS_NOERROR, v, n, edns);
    return found > 0;
}

static bool answer_kept(struct dns_front *f, struct dns_client *c, const uint8_t *query,
                        const struct answer_key *key, size_t max_bytes, const struct dns_edns *edns)
{
    uint8_t buf[ANSWER_MAX_BYTES];
    size_t n;
    if (!answers_get(f->answers, key, query, loop_now_ms(f->setup.loop), buf, sizeof(buf), &n))
        return false;
    dns_send_answer(c, buf, n, max_bytes, edns);
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
        dns_say(c, query, &m, (m.flags & DNS_OPCODE) != 0 ? DNS_NOTIMP : DNS_FORMERR, NULL, 0,
                &edns);
        return;
    }
    uint32_t bits =
        m.flags | (edns.present ? BIT_DNSSEC << 1 : 0u) | (edns.dnssec ? BIT_DNSSEC : 0u);
    struct answer_key key = {&m, bits, &c->peer};
    bool same_for_all = edns.subnet.net.family == 0;
    if (answer_here(f, c, query, &m, &edns) ||
        (same_for_all && answer_kept(f, c, query, &key, max_bytes, &edns)))
        return;
    if (!dns_ask(f, c, query, n, &(struct dns_asked){&m, &edns, key.bits, same_for_all, max_bytes}))
        dns_say(c, query, &m, DNS_SERVFAIL, NULL, 0, &edns);
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
    f->ttl_ms = f->cfg->ttl_ms;
    loop_random(&f->hash_key, sizeof(f->hash_key));
    shares_init(&f->shares);
    f->open_max = os_fd_part(DNS_OPEN_PART, DNS_OPEN_ALL_MAX);
    f->clients = (struct dns_clients){
        .loop = setup->loop,
        .idle_ms = f->cfg->read_timeout_ms > 0 ? (uint32_t)f->cfg->read_timeout_ms : IDLE_MS,
        .on_question = on_question,
        .gone = dns_client_gone,
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
    f->ending = true;
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
