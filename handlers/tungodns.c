/* handlers/tungodns.c - what a question gets without asking anybody, and whose name an address is.
 * See tungodns.h.
 */
#include "chain/fakeanswer.h"
#include "chain/nameserver.h"
#include "core/log.h"
#include "handlers/tungodns_inside.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DNS_PORT = 53,
    HOSTS_TTL_S = 60,
    HOSTS_ADDRS_MAX = 16,
    BIT_EDNS = 0x20000,
    BIT_DNSSEC = 0x10000 /* beside the flags of the head */
};

/* ---------------------------------------------------------------- answers */

void dnsflow_say(struct dnsflow *f, uint8_t *answer, size_t n, size_t max_bytes)
{
    struct dns_msg m;

    if (n > max_bytes && dns_parse(answer, n, &m) == RC_OK)
        n = dns_truncate(answer, &m);
    f->say(f, answer, n);
}

void dnsflow_say_rcode(struct dnsflow *f, const uint8_t *query, const struct dns_msg *msg,
                       enum dns_rcode rcode)
{
    uint8_t buf[DNS_HEAD_BYTES + DNS_NAME_WIRE_MAX + 4];
    size_t n;

    if (dns_format_answer(query, msg, rcode, NULL, 0, 0, buf, sizeof buf, &n) == RC_OK)
        f->say(f, buf, n);
}

static void say_malformed(struct dnsflow *f, const uint8_t *query)
{
    uint8_t head[DNS_HEAD_BYTES] = {query[0], query[1], DNS_QR >> 8, DNS_FORMERR};

    f->say(f, head, sizeof head);
}

/* ---------------------------------------------------------------- questions */

/* The record of the pool is written with the turn's other jobs. */
static void on_flush(struct job *job)
{
    struct tungodns *d = LIST_OWNER(job, struct tungodns, flush);
    struct diag diag = {.rc = RC_OK};

    if (fakefile_flush(d->file, &diag) != RC_OK && diag.rc != RC_OK)
        log_warn("%s: fake addresses are not recorded any more: %s", d->setup.service, diag.text);
}

static bool say_fake(struct dnsflow *f, const uint8_t *query, const struct dns_msg *msg)
{
    struct tungodns *d = f->dns;
    uint8_t buf[FAKEANSWER_MAX_BYTES];
    struct addr a;
    bool is_new;
    size_t n;

    if (!d->pool || fakeanswer(d->pool, query, msg, buf, &n, &is_new) != RC_OK)
        return false;
    if (is_new && d->file && fakepool_record(d->pool, msg->name, &a)) {
        fakefile_add(d->file, &a, msg->name);
        job_post(d->setup.loop, &d->flush);
    }
    f->say(f, buf, n);
    return true;
}

static bool say_kept(struct dnsflow *f, const uint8_t *query, const struct answer_key *key,
                     size_t max_bytes)
{
    struct tungodns *d = f->dns;
    uint8_t buf[ANSWER_MAX_BYTES];
    uint64_t now_ms = loop_now_ms(d->setup.loop);
    size_t n;

    if (!d->answers || !answers_get(d->answers, key, query, now_ms, buf, sizeof buf, &n))
        return false;
    if (d->map)
        (void)dnsmap_learn(d->map, &f->client, buf, n, now_ms);
    dnsflow_say(f, buf, n, max_bytes);
    return true;
}

/* What the service's hosts say: they are a part of its resolver. */
static bool say_hosts(struct dnsflow *f, const uint8_t *query, const struct dns_msg *msg,
                      size_t max_bytes)
{
    struct tungodns *d = f->dns;
    uint8_t buf[DNS_HEAD_BYTES + DNS_NAME_WIRE_MAX + 4 + HOSTS_ADDRS_MAX * 28];
    struct addr v[HOSTS_ADDRS_MAX];
    int family = msg->type == DNS_A ? AF_INET : msg->type == DNS_AAAA ? AF_INET6 : 0, found = 0;
    size_t len;

    if (!family || msg->class != DNS_CLASS_IN)
        return false;
    int n = router_hosts(d->setup.router, msg->name, v, HOSTS_ADDRS_MAX);
    for (int i = 0; i < n; i++)
        found += v[i].family == family;
    if (!found || dns_format_answer(query, msg, DNS_NOERROR, v, n, HOSTS_TTL_S, buf, sizeof buf,
                                    &len) != RC_OK)
        return false;
    if (d->map)
        (void)dnsmap_learn(d->map, &f->client, buf, len, loop_now_ms(d->setup.loop));
    dnsflow_say(f, buf, len, max_bytes);
    return true;
}

/* Answers differ by the flags and by the server that was asked, unless all are ours. */
static uint32_t bits_of(const struct dnsflow *f, const struct dns_msg *msg,
                        const struct dns_edns *edns)
{
    const struct tungodns *d = f->dns;
    uint32_t bits = msg->flags | (edns->present ? BIT_EDNS : 0u) | (edns->dnssec ? BIT_DNSSEC : 0u);

    if (d->options->hijack)
        return bits;
    uint8_t all[2 + 2 + 16 + 4] = {f->server.family, 0, (uint8_t)(f->server.port >> 8),
                                   (uint8_t)(f->server.port & 0xff)};
    memcpy(all + 4, f->server.ip, 16);
    memcpy(all + 20, &bits, 4);
    return (uint32_t)siphash(&d->key, all, sizeof all);
}

static void tell_of_loop(struct tungodns *d, const struct addr *server)
{
    char text[ADDR_TEXT_MAX];

    if (!d->told_of_loop)
        log_warn("%s: routing loop: our own question to %s came in through the TUN device; "
                 "dropped. Set `interface` on the service (or so_mark with a rule), or give the "
                 "resolver a chain",
                 d->setup.service, addr_format(server, text, sizeof text));
    d->told_of_loop = true;
}

/* Whole and with one question, so that somebody can be asked. */
static enum dnsfate take_question(struct dnsflow *f, const uint8_t *data, size_t n,
                                  const struct dns_msg *msg, struct dnsask **ret_ask)
{
    struct tungodns *d = f->dns;
    struct dns_edns edns;
    bool elsewhere = d->options->hijack || f->tcp;

    if (dns_find_edns(data, n, msg, &edns) != RC_OK) {
        if (!elsewhere)
            return DNSFATE_PASS;
        say_malformed(f, data);
        return DNSFATE_TAKEN;
    }
    size_t max_bytes = f->tcp ? DNS_MESSAGE_MAX : edns.udp_bytes;
    struct answer_key key = {msg, bits_of(f, msg, &edns)};
    if (say_fake(f, data, msg) || (!edns.options && say_kept(f, data, &key, max_bytes)) ||
        (d->options->hijack && say_hosts(f, data, msg, max_bytes)))
        return DNSFATE_TAKEN;
    struct dnsask *a = dnsask_new(f, msg, data, elsewhere ? n : 0);
    if (a) {
        a->bits = key.bits;
        a->keep = !edns.options;
        a->max_bytes = max_bytes;
    }
    if (!elsewhere) {
        *ret_ask = a;
        return DNSFATE_PASS;
    }
    if (!a)
        dnsflow_say_rcode(f, data, msg, DNS_SERVFAIL);
    else if (d->options->hijack)
        dnsask_resolver(a);
    else
        dnsask_origin(a);
    return DNSFATE_TAKEN;
}

enum dnsfate dnsflow_question(struct dnsflow *f, const uint8_t *data, size_t n,
                              struct dnsask **ret_ask)
{
    struct tungodns *d = f->dns;
    bool elsewhere = d->options->hijack || f->tcp;
    struct dns_msg msg;

    *ret_ask = NULL;
    if (n < DNS_HEAD_BYTES || (data[2] & DNS_QR >> 8) != 0) /* not a question: not for a resolver */
        return elsewhere ? DNSFATE_TAKEN : DNSFATE_PASS;
    enum rc rc = dns_parse(data, n, &msg);
    bool other = rc == RC_OK && (msg.flags & DNS_OPCODE) != 0; /* an update, a notice */
    if (rc != RC_OK || other || msg.n_questions != 1) {
        if (!elsewhere)
            return DNSFATE_PASS;
        if (other)
            dnsflow_say_rcode(f, data, &msg, DNS_NOTIMP);
        else
            say_malformed(f, data);
        return DNSFATE_TAKEN;
    }
    if (dnsask_is_ours(d, &f->server, &msg)) {
        tell_of_loop(d, &f->server);
        return DNSFATE_TAKEN;
    }
    return take_question(f, data, n, &msg, ret_ask);
}

/* ---------------------------------------------------------------- names of flows */

enum tungodns_known tungodns_name(struct tungodns *d, const struct addr *client,
                                  const struct addr *dst, struct target *ret_name)
{
    const char *name = NULL;
    bool sure = true;

    if (!d)
        return KNOWN_NOTHING;
    bool fake = d->pool && fakepool_has(d->pool, dst);
    if (fake)
        name = fakepool_name(d->pool, dst);
    else if (d->map)
        name = dnsmap_find(d->map, client, dst, loop_now_ms(d->setup.loop), &sure);
    if (!name) {
        d->stale += fake;
        return fake ? KNOWN_STALE : KNOWN_NOTHING;
    }
    *ret_name = (struct target){.addr = *dst};
    if (fake)
        ret_name->addr = (struct addr){.port = dst->port};
    (void)snprintf(ret_name->name, sizeof ret_name->name, "%s", name);
    return fake ? KNOWN_FAKE : sure ? KNOWN_NAME : KNOWN_LIKELY;
}

bool tungodns_takes_udp(const struct tungodns *d, const struct addr *dst)
{
    return d && dst->port == DNS_PORT;
}

bool tungodns_takes_tcp(const struct tungodns *d, const struct addr *dst)
{
    return d && dst->port == DNS_PORT && (d->options->hijack || d->pool);
}

/* ---------------------------------------------------------------- life */

/* A record that can't be kept is no reason not to serve. */
static void open_record(struct tungodns *d)
{
    const char *state = getenv("STATE_DIRECTORY"), *service = d->setup.service;
    struct fakefile_found found;
    struct diag diag = {.rc = RC_OK};
    char path[512];

    if (d->options->fake_file)
        (void)snprintf(path, sizeof path, "%s", d->options->fake_file);
    else
        (void)snprintf(path, sizeof path, "%s/%s.fake", state && *state ? state : "/var/lib/cgost",
                       service);
    if (!d->options->fake_file && strchr(service, '/')) {
        log_warn("%s: fake addresses will not outlive a restart: the service's name is no name of "
                 "a file; set `dns.fake.file`",
                 service);
        return;
    }
    if (fakefile_open(path, d->pool, &d->file, &found, &diag) != RC_OK) {
        log_warn("%s: fake addresses will not outlive a restart: %s; see `dns.fake.file`", service,
                 diag.text);
        return;
    }
    if (found.set_aside)
        log_warn("%s: %s was not a record of fake addresses: it is now %s.bad", service, path,
                 path);
    if (found.spoiled)
        log_warn("%s: %s: %zu lines could not be used; %zu names have their addresses back",
                 service, path, found.spoiled, found.names);
}

static enum rc set_up(struct tungodns *d, struct diag *diag)
{
    const struct tungodns_options *o = d->options;

    if (o->hijack && !router_nameservers(d->setup.router))
        return diag_set(diag, RC_INVALID,
                        "dns.hijack has nobody to ask: set `resolver` on the service");
    if (o->cache && !(d->answers = answers_new()))
        return diag_set(diag, RC_NOMEM, "no memory");
    if (o->map && !(d->map = dnsmap_new()))
        return diag_set(diag, RC_NOMEM, "no memory");
    if (o->fake.n > 0) {
        enum rc rc = fakepool_new(o->fake.v, o->fake.n, &d->pool, diag);
        if (rc != RC_OK)
            return rc;
        open_record(d);
    } else if (o->fake_file) {
        return diag_set(diag, RC_INVALID, "dns.fake.file without dns.fake");
    }
    return RC_OK;
}

enum rc tungodns_new(const struct handler_setup *setup, const struct tungodns_options *options,
                     bool names_rule, struct tungodns **ret_d, struct diag *diag)
{
    struct tungodns *d;
    enum rc rc;

    if (!options->cache && !options->hijack && !options->map && !options->fake.n &&
        !options->fake_file)
        return RC_OK;
    d = calloc(1, sizeof *d);
    if (!d)
        return diag_set(diag, RC_NOMEM, "no memory");
    d->setup = *setup;
    d->options = options;
    d->names_rule = names_rule;
    list_init(&d->flows);
    loop_random(&d->key, sizeof d->key);
    job_init(&d->flush, on_flush);
    rc = set_up(d, diag);
    if (rc != RC_OK)
        tungodns_free(d);
    else
        *ret_d = d;
    return rc;
}

void tungodns_free(struct tungodns *d)
{
    if (!d)
        return;
    while (!list_is_empty(&d->flows)) {
        struct dnsflow *f = LIST_OWNER(d->flows.next, struct dnsflow, link);

        f->end(f);
        list_remove(&f->link); /* also of a flow that thinks it must live on */
    }
    if (d->stale)
        log_info("%s: %llu flows went to fake addresses that no name had", d->setup.service,
                 (unsigned long long)d->stale);
    job_cancel(&d->flush);
    fakefile_close(d->file);
    fakepool_free(d->pool);
    dnsmap_free(d->map);
    answers_free(d->answers);
    loop_free_later(d->setup.loop, &d->deferred, free, d);
}

void dnsflow_init(struct dnsflow *f, struct tungodns *d, const struct addr *client,
                  const struct addr *server, bool tcp)
{
    *f = (struct dnsflow){.dns = d, .client = *client, .server = *server, .tcp = tcp};
    list_init(&f->asks);
    list_init(&f->link);
    list_append(&d->flows, &f->link);
    if (tungodns_name(d, client, server, &f->where) != KNOWN_FAKE)
        target_from_addr(&f->where, server);
}

void dnsflow_done(struct dnsflow *f)
{
    while (!list_is_empty(&f->asks))
        dnsask_end(LIST_OWNER(f->asks.next, struct dnsask, link));
    nameservers_unref(f->origin);
    f->origin = NULL;
    list_remove(&f->link);
}
