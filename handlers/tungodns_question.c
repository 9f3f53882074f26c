/* handlers/tungodns_question.c - what a question gets without asking anybody: from the fake pool,
 * from what was kept, from the service's hosts; and who is asked else.
 */
#include "bypass/matcher.h"
#include "chain/fakeanswer.h"
#include "core/log.h"
#include "handlers/tungodns_inside.h"
#include <string.h>

enum {
    OWN_TTL_S = 60,
    ADDRS_MAX = 32,
    OPT_BYTES = 16, /* an empty one, and more */
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

static size_t room_of(const struct dnsflow *f, const struct dns_edns *edns)
{
    return f->tcp ? DNS_MESSAGE_MAX : edns->udp_bytes;
}

/* An answer of ours; cap is the size of buf. */
static void say_ours(struct dnsflow *f, uint8_t *buf, size_t n, size_t cap,
                     const struct dns_edns *edns)
{
    dnsflow_say(f, buf, dns_add_opt(buf, n, cap, edns), room_of(f, edns));
}

/* The addresses of the family that was asked for. false: none of v. */
static bool say_addresses(struct dnsflow *f, const uint8_t *query, const struct dns_msg *msg,
                          const struct addr *v, int n, const struct dns_edns *edns)
{
    struct tungodns *d = f->dns;
    uint8_t buf[DNS_HEAD_BYTES + DNS_NAME_WIRE_MAX + 4 + ADDRS_MAX * 28 + OPT_BYTES];
    int family = msg->type == DNS_A ? AF_INET : msg->type == DNS_AAAA ? AF_INET6 : 0, found = 0;
    size_t len;

    for (int i = 0; i < n; i++)
        found += v[i].family == family;
    if (!found ||
        dns_format_answer(query, msg, DNS_NOERROR, v, n, OWN_TTL_S, buf, sizeof buf, &len) != RC_OK)
        return false;
    if (d->map)
        (void)dnsmap_learn(d->map, &f->who, buf, len, loop_now_ms(d->setup.loop));
    d->stats.hosts++;
    say_ours(f, buf, len, sizeof buf, edns);
    return true;
}

static bool is_for_address(const struct dns_msg *msg)
{
    return msg->class == DNS_CLASS_IN && (msg->type == DNS_A || msg->type == DNS_AAAA);
}

enum own { OWN_NOT, OWN_SAID, OWN_UNKNOWN };

/* Our own nodes and nameservers have true addresses: this machine's resolver may ask for them
 * through us. */
static enum own say_own(struct dnsflow *f, const uint8_t *query, const struct dns_msg *msg,
                        const struct dns_edns *edns)
{
    struct addr v[ADDRS_MAX];
    int n;

    if (!f->dns->pool || !is_for_address(msg) ||
        !router_is_own_name(f->dns->setup.router, msg->name, v, ADDRS_MAX, &n))
        return OWN_NOT;
    return say_addresses(f, query, msg, v, n, edns) ? OWN_SAID : OWN_UNKNOWN;
}

static bool is_excepted(const struct tungodns *d, const struct dns_msg *msg)
{
    struct target t = {.name = ""};

    return d->except && target_set_host(&t, msg->name, strlen(msg->name), 0) &&
           matcher_has(d->except, &t, NULL);
}

static bool say_fake(struct dnsflow *f, const uint8_t *query, const struct dns_msg *msg,
                     const struct dns_edns *edns)
{
    struct tungodns *d = f->dns;
    uint8_t buf[FAKEANSWER_MAX_BYTES + OPT_BYTES];
    struct addr a;
    bool is_new;
    size_t n;

    if (!d->pool || is_excepted(d, msg))
        return false;
    fakepool_at(d->pool, &f->who, loop_now_ms(d->setup.loop));
    if (fakeanswer(d->pool, query, msg, buf, &n, &is_new) != RC_OK)
        return false;
    if (is_new && d->file && fakepool_record(d->pool, msg->name, &a)) {
        fakefile_add(d->file, &a, msg->name);
        job_post(d->setup.loop, &d->flush);
    }
    d->stats.fake++;
    say_ours(f, buf, n, sizeof buf, edns);
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
        (void)dnsmap_learn(d->map, &f->who, buf, n, now_ms);
    d->stats.kept++;
    dnsflow_say(f, buf, n, max_bytes);
    return true;
}

/* What the service's hosts say: they are a part of its resolver. */
static bool say_hosts(struct dnsflow *f, const uint8_t *query, const struct dns_msg *msg,
                      const struct dns_edns *edns)
{
    struct addr v[ADDRS_MAX];

    return is_for_address(msg) &&
           say_addresses(f, query, msg, v,
                         router_hosts(f->dns->setup.router, msg->name, v, ADDRS_MAX), edns);
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
        if (!elsewhere && !d->pool)
            return DNSFATE_PASS;
        say_malformed(f, data);
        return DNSFATE_TAKEN;
    }
    size_t max_bytes = room_of(f, &edns);
    bool same_for_all = d->options->hijack ? edns.subnet.net.family == 0 : !edns.options;
    struct answer_key key = {msg, bits_of(f, msg, &edns), &f->who};
    enum own own = say_own(f, data, msg, &edns);
    if (own == OWN_SAID || (own == OWN_NOT && say_fake(f, data, msg, &edns)) ||
        (same_for_all && say_kept(f, data, &key, max_bytes)) ||
        (d->options->hijack && say_hosts(f, data, msg, &edns)))
        return DNSFATE_TAKEN;
    struct dnsask *a = dnsask_new(f, msg, data, elsewhere ? n : 0);
    if (a) {
        a->bits = key.bits;
        a->keep = same_for_all;
        a->max_bytes = max_bytes;
        if (d->options->hijack && same_for_all) /* cookies and the like are the client's with us */
            a->n = dns_drop_options(a->query, n, msg);
    }
    if (!elsewhere && (a || !d->names_rule)) {
        d->stats.passed++;
        /* Others are given its answer: who chose the id could forge that (RFC 5452 4.3). */
        if (a && a->keep && d->answers)
            loop_random(&a->msg.id, sizeof a->msg.id);
        *ret_ask = a;
        return DNSFATE_PASS;
    }
    d->stats.asked++;
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
