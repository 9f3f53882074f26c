/* handlers/tungo_plan.c - what the first bytes of a flow, or what DNS told of it, decide: pure.
 * gost-config.md 5.4, 5.5.
 */
#include "handlers/tungo_inside.h"
#include <stdio.h>
#include <string.h>

void tun_plan(const struct tungo_handler_cfg *cfg, const struct sniffed *found,
              const struct target *original, struct handler_plan *ret_p)
{
    struct target named = *original;

    if (found->proto == SNIFF_DNS) { /* whom a question is about is not who is asked */
        tun_plan_udp(KNOWN_NOTHING, NULL, found, original, ret_p);
        return;
    }
    sniffed_rule_target(found, original, &ret_p->rule);
    (void)sniffed_target(found, &named);
    ret_p->seen = named;
    ret_p->dial = cfg->sniffing_override ? named : *original;
}

bool tun_plan_known(const struct tungo_handler_cfg *cfg, enum tungodns_known known,
                    const struct target *name, const struct target *original,
                    struct handler_plan *ret_p)
{
    *ret_p = (struct handler_plan){.rule = *original, .seen = *original, .dial = *original};
    switch (known) {
    case KNOWN_NOTHING:
        return !cfg->sniffing;
    case KNOWN_LIKELY:
        if (cfg->sniffing)
            return false;
        ret_p->rule = ret_p->seen = *name;
        return true;
    case KNOWN_NAME:
        ret_p->rule = ret_p->seen = *name;
        if (cfg->sniffing_override)
            ret_p->dial = *name;
        return true;
    case KNOWN_FAKE:
        ret_p->rule = ret_p->seen = ret_p->dial = *name;
        ret_p->by_name = true;
        return true;
    case KNOWN_STALE:
        ret_p->rc = RC_REFUSED;
        (void)snprintf(ret_p->note, sizeof ret_p->note, "no name has this fake address");
        return true;
    }
    return true;
}

void tun_plan_udp(enum tungodns_known known, const struct target *name, const struct sniffed *found,
                  const struct target *original, struct handler_plan *ret_p)
{
    struct target named = *original;

    *ret_p = (struct handler_plan){.rule = *original, .seen = *original, .dial = *original};
    switch (known) {
    case KNOWN_STALE:
        ret_p->rc = RC_REFUSED;
        (void)snprintf(ret_p->note, sizeof ret_p->note, "no name has this fake address");
        return;
    case KNOWN_FAKE:
        ret_p->rule = ret_p->seen = ret_p->dial = *name;
        ret_p->by_name = true;
        return;
    case KNOWN_NAME:
        ret_p->rule = ret_p->seen = *name;
        return;
    case KNOWN_LIKELY:
        ret_p->rule = ret_p->seen = *name;
        break;
    case KNOWN_NOTHING:
        break;
    }
    if (!sniffed_target(found, &named))
        return;
    named.addr = original->addr; /* which counts as well: it is where datagrams go */
    ret_p->rule = ret_p->seen = named;
}

/* ---------------------------------------------------------------- for cgost explain */

enum { DNS_PORT = 53 };

static bool is_tcp(const struct handler_question *q)
{
    return q->network[0] == 't';
}

static void note(struct handler_plan *p, const char *text)
{
    (void)snprintf(p->note, sizeof p->note, "%s", text);
}

static bool is_fake(const struct tungo_handler_cfg *cfg, const struct addr *a)
{
    for (size_t i = 0; i < cfg->dns.fake.n; i++)
        if (cidr_has(&cfg->dns.fake.v[i], a))
            return true;
    return false;
}

/* A TLS server name stands for whatever carries a name in its first bytes, or datagrams. */
static void plan_named(const struct tungo_handler_cfg *cfg, const struct handler_question *q,
                       struct handler_plan *p)
{
    bool dns = q->target->addr.port == DNS_PORT && cfg->sniffing_udp;
    struct sniffed found = {.proto = dns         ? SNIFF_DNS
                                     : is_tcp(q) ? SNIFF_TLS
                                                 : SNIFF_QUIC,
                            .port = 443};

    (void)snprintf(found.name, sizeof found.name, "%s", q->name);
    if (is_tcp(q))
        tun_plan(cfg, &found, q->target, p);
    else
        tun_plan_udp(KNOWN_NOTHING, NULL, &found, q->target, p);
}

/* Its pool says which name that is; here it has to be told. */
static void plan_fake(const struct tungo_handler_cfg *cfg, const struct handler_question *q,
                      struct handler_plan *p)
{
    struct target name = {.name = ""};
    bool known = q->name && target_set_host(&name, q->name, strlen(q->name), q->target->addr.port);

    (void)tun_plan_known(cfg, known ? KNOWN_FAKE : KNOWN_STALE, &name, q->target, p);
    note(p, known ? "a fake address, taken to stand for that name"
                  : "a fake address: tell the name that it stands for as --sni");
    if (!known)
        p->rc = RC_INVALID;
}

/* Questions to port 53, where an option takes them. true: they are answered here. */
static bool plan_dns(const struct tungo_handler_cfg *cfg, const struct handler_question *q,
                     struct handler_plan *p)
{
    const struct tungodns_options *o = &cfg->dns;

    if (q->target->addr.port != DNS_PORT)
        return false;
    p->answered = o->hijack;
    if (o->hijack)
        note(p, "dns.hijack: questions are answered here, by the service's hosts and resolver");
    else if (o->fake.n)
        note(p, "dns.fake: addresses are answered here from the pool, other questions leave");
    else if (o->cache && !is_tcp(q))
        note(p, "dns.cache: what is kept is answered here, other questions leave");
    return p->answered;
}

void tun_explain(const void *cfg, const struct handler_question *q, struct handler_plan *ret_p)
{
    const struct tungo_handler_cfg *c = cfg;
    bool sniffs = is_tcp(q) ? c->sniffing : c->sniffing_udp;

    if (target_is_name(q->target)) {
        ret_p->rc = RC_INVALID;
        note(ret_p, sniffs ? "packets carry addresses, not names: ask for the address, with the "
                             "name as --sni"
                           : "packets carry addresses, not names: ask for the address");
    } else if (plan_dns(c, q, ret_p)) {
        return;
    } else if (is_fake(c, &q->target->addr)) {
        plan_fake(c, q, ret_p);
    } else if (q->name && sniffs) {
        plan_named(c, q, ret_p);
    } else if (q->name) {
        note(ret_p, is_tcp(q) ? "sniffing is off: the name in the first bytes is not seen"
                              : "sniffing.udp is off: the name in the datagrams is not seen");
    } else if (!is_tcp(q) && c->quic == TUNGO_QUIC_BLOCK && q->target->addr.port == 443) {
        note(ret_p, "quic=block: a QUIC connection is refused at once, anything else passes");
    }
}
