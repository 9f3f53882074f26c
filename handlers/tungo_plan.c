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

/* A TLS server name stands for whatever carries a name in its first bytes, or datagrams. */
static void plan_named(const struct tungo_handler_cfg *cfg, const struct handler_question *q,
                       struct handler_plan *p)
{
    bool tcp = q->network[0] == 't';
    struct sniffed found = {.proto = tcp ? SNIFF_TLS : SNIFF_QUIC, .port = 443};

    (void)snprintf(found.name, sizeof found.name, "%s", q->name);
    if (tcp)
        tun_plan(cfg, &found, q->target, p);
    else
        tun_plan_udp(KNOWN_NOTHING, NULL, &found, q->target, p);
}

static bool is_fake(const struct tungodns_options *dns, const struct target *t)
{
    for (size_t i = 0; i < dns->fake.n; i++)
        if (!target_is_name(t) && cidr_has(&dns->fake.v[i], &t->addr))
            return true;
    return false;
}

/* Which name has a fake address only the running program knows: the question tells it. */
static void plan_fake(const struct tungo_handler_cfg *cfg, const struct handler_question *q,
                      struct handler_plan *p)
{
    struct target name = {.addr = {.port = q->target->addr.port}};

    if (q->name && strlen(q->name) <= TARGET_NAME_MAX) {
        (void)snprintf(name.name, sizeof name.name, "%s", q->name);
        (void)tun_plan_known(cfg, KNOWN_FAKE, &name, q->target, p);
        (void)snprintf(p->note, sizeof p->note, "dns.fake: the address stands for the name");
        return;
    }
    p->rc = RC_INVALID;
    (void)snprintf(p->note, sizeof p->note,
                   "a fake address (dns.fake): what happens depends on the name that has it; give "
                   "it as --sni");
}

/* What the handler answers by itself. */
static void note_dns(const struct tungo_handler_cfg *cfg, const struct handler_question *q,
                     struct handler_plan *p)
{
    const struct tungodns_options *dns = &cfg->dns;
    bool tcp = q->network[0] == 't';

    if (q->target->addr.port != 53 || (tcp && !dns->hijack && !dns->fake.n))
        return;
    if (dns->hijack)
        (void)snprintf(p->note, sizeof p->note,
                       "dns.hijack: questions are answered by the service's hosts and resolver%s, "
                       "nothing goes this way",
                       dns->fake.n ? " or the fake pool" : "");
    else if (dns->fake.n)
        (void)snprintf(
            p->note, sizeof p->note,
            "dns.fake: questions for addresses are answered at once, others go this way");
    else if (dns->cache)
        (void)snprintf(p->note, sizeof p->note,
                       "dns.cache: what was asked before is answered at once");
}

void tun_explain(const void *cfg, const struct handler_question *q, struct handler_plan *ret_p)
{
    const struct tungo_handler_cfg *c = cfg;
    bool sniffs = q->network[0] == 't' ? c->sniffing : c->sniffing_udp;

    if (target_is_name(q->target)) {
        ret_p->rc = RC_INVALID;
        (void)snprintf(ret_p->note, sizeof ret_p->note,
                       "packets carry addresses, not names: ask for the address%s",
                       sniffs ? ", with the name as --sni" : "");
    } else if (is_fake(&c->dns, q->target)) {
        plan_fake(c, q, ret_p);
    } else if (q->name && sniffs) {
        plan_named(c, q, ret_p);
    } else if (q->name) {
        (void)snprintf(ret_p->note, sizeof ret_p->note,
                       "sniffing is off%s: the name in the first bytes is not seen",
                       q->network[0] == 't' ? "" : " for UDP");
    }
    if (q->network[0] == 'u' && c->quic == TUNGO_QUIC_BLOCK && q->target->addr.port == 443 &&
        ret_p->rc == RC_OK)
        (void)snprintf(ret_p->note, sizeof ret_p->note,
                       "quic=block: a QUIC connection is refused at once, anything else passes");
    if (ret_p->rc == RC_OK)
        note_dns(c, q, ret_p);
}
