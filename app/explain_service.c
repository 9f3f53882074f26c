/* app/explain_service.c - one service's answer. See explain.h. */
#include "app/explain.h"
#include "app/rules.h"
#include "app/service.h"
#include "app/way.h"
#include "chain/explain.h"
#include "chain/forwarder.h"
#include "chain/nameserver.h"
#include "configs/model.h"
#include "handlers/handler.h"
#include "listeners/listener.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHY_MAX = 800, FIELD_MAX = 96 };

struct teller {
    struct story *s;
    const struct service_parts *p;
    const struct explain_question *q;
    const char *network;
    struct netlink *nl;
};

/* ---------------------------------------------------------------- rules */

/* What the rules of one place say about what they were asked, by which rule and where it stands.
 * at: what their hook is given (app/rules.h). */
static bool tell_rules(struct teller *t, int depth, const struct rules_at *at,
                       const struct target *asked)
{
    char text[WHY_MAX];
    bool out;
    json_t *step;

    if (!at)
        return false;
    out = rules_explain_bypassed(at, t->network, asked, text, sizeof text);
    step = story_step(t->s, depth, "rule", "", out ? "bypassed" : "passes", "%s", text);
    story_detail(t->s, step, "asked", target_format(asked, text, sizeof text));
    return out;
}

/* ---------------------------------------------------------------- before the router */

/* A forwarding service: the target is one of its own. false: not for this network. */
static bool forward(struct teller *t, struct handler_plan *plan)
{
    char text[TARGET_TEXT_MAX];

    if (!t->p->forwarder || forwarder_pick(t->p->forwarder, &t->q->client, &plan->dial) < 0)
        return true;
    plan->rule = plan->seen = plan->dial;
    (void)story_step(t->s, 1, "target", target_format(&plan->dial, text, sizeof text), "",
                     "the service sends every client to targets of its own");
    if (!t->p->handler->serve_dgram || t->q->udp == !strcmp(t->p->listener->name, "udp"))
        return true;
    plan->rc = RC_UNSUPPORTED;
    (void)snprintf(plan->note, sizeof plan->note, "it listens for %s only",
                   t->q->udp ? "TCP" : "UDP");
    return false;
}

/* What happens to a packet before the device's handler hears of it. false: it never does. */
static bool passes_device(struct teller *t, struct handler_plan *plan)
{
    const struct addr *to = &t->q->target.addr;
    const char *why = t->p->listener->drops ? t->p->listener->drops(t->p->listener_cfg, to) : NULL;

    if (!t->p->listener->tungo)
        return true;
    plan->rc = RC_DENIED;
    if (why)
        (void)snprintf(plan->note, sizeof plan->note, "the device drops it: %s", why);
    else if (router_is_node(t->p->router, to))
        (void)snprintf(plan->note, sizeof plan->note,
                       "it is the address of a node of this service: on the device that is a loop");
    else
        plan->rc = RC_OK;
    return plan->rc == RC_OK;
}

/* Is it brought to the device at all? */
static void tell_device(struct teller *t)
{
    struct listener_plan p = {.n_routes = 0};
    bool covered = false;

    if (t->q->target.addr.family == 0 || !t->p->listener->plan || /* a name: the handler's words */
        t->p->listener->plan(t->p->listener_cfg, &p, NULL) != RC_OK)
        return;
    for (size_t i = 0; i < p.n_routes && !covered; i++)
        covered = cidr_has(&p.routes[i], &t->q->target.addr);
    if (!covered && p.n_routes > 0) /* else hooks or the operator set them */
        (void)story_step(t->s, 1, "device", p.device, "note",
                         "none of its configured routes brings this address here");
    free(p.routes);
}

/* Datagrams and packets have no first bytes, where a PROXY header would be. */
static bool has_connections(const struct listener_type *l)
{
    return !l->tungo && strcmp(l->name, "udp") != 0 && strcmp(l->name, "dns") != 0;
}

/* May the client in? */
static bool admits(struct teller *t)
{
    char text[WHY_MAX];
    bool in = true;

    if (t->p->options->proxy_protocol > 0 && has_connections(t->p->listener))
        (void)story_step(t->s, 1, "client", "", "",
                         "whom the PROXY header names; without a header, who connects");
    if (!t->p->admissions)
        return true;
    if (!t->q->client.family) {
        (void)story_step(t->s, 1, "admission", "", "not asked",
                         "it depends on the client: --client");
        return true;
    }
    in = rules_explain_admitted(t->p->admissions, &t->q->client, text, sizeof text);
    (void)story_step(t->s, 1, "admission", "", in ? "passes" : "refused", "%s", text);
    return in;
}

/* What the handler makes of the request; plan->rc: does it serve it? */
static void ask_handler(struct teller *t, struct handler_plan *plan)
{
    const struct handler_question hq = {t->network, &t->q->target, t->q->sni};

    *plan = (struct handler_plan){.rule = t->q->target, .dial = t->q->target, .seen = t->q->target};
    if (t->p->handler->explain)
        t->p->handler->explain(t->p->handler_cfg, &hq, plan);
    if (plan->rc == RC_OK && passes_device(t, plan) && !plan->answered)
        (void)forward(t, plan);
    if (plan->note[0])
        (void)story_step(t->s, 1, "handler", t->p->handler->name, "", "%s", plan->note);
}

/* false: the service's rules refuse it. */
static bool ask_rules(struct teller *t, const struct handler_plan *plan)
{
    char text[TARGET_TEXT_MAX];

    (void)story_step(t->s, 1, "service rule", "", t->p->bypasses ? "" : "none", "asked about %s",
                     target_format(&plan->rule, text, sizeof text));
    return !tell_rules(t, 2, t->p->bypasses, &plan->rule);
}

/* ---------------------------------------------------------------- hops */

static void tell_node(struct teller *t, const struct route_account *a, const struct hop_account *h,
                      int i)
{
    static const char *const verdicts[] = {[NODE_CANDIDATE] = "candidate",
                                           [NODE_BYPASSED] = "bypassed",
                                           [NODE_UNABLE] = "can't carry UDP",
                                           [NODE_NOT_ASKED] = "not asked"};
    const struct node *n = h->hop->nodes[i];
    char header[FIELD_MAX] = "";

    if (n->proxy_protocol > 0)
        (void)snprintf(header, sizeof header, "; a PROXY header of version %d names the client",
                       n->proxy_protocol == 1 ? 1 : 2);
    json_t *step =
        story_step(t->s, 2, "node", n->name, n == h->picked ? "chosen" : verdicts[h->nodes[i]],
                   "%s, %s over %s; UDP: %s%s", n->addr, n->connector.type->name,
                   n->dialer.type->name, udp_words(node_udp(n)), header);

    story_detail(t->s, step, "addr", n->addr);
    story_detail(t->s, step, "udp", udp_words(node_udp(n)));
    if (h->nodes[i] != NODE_NOT_ASKED)
        (void)tell_rules(t, 3, n->bypassed_arg, &a->asked);
}

static void tell_hop(struct teller *t, const struct route_account *a, const struct hop_account *h)
{
    static const char *const strategies[] = {[SELECT_ROUND] = "round",
                                             [SELECT_RANDOM] = "random",
                                             [SELECT_FIFO] = "fifo",
                                             [SELECT_HASH] = "hash of the client"};
    char text[FIELD_MAX] = "";
    const char *verdict = "";

    switch (h->fate) {
    case HOP_USED:
        verdict = "used";
        if (h->n_candidates > 1)
            (void)snprintf(text, sizeof text, "%d candidates, strategy %s: the first flow's choice",
                           h->n_candidates, strategies[h->hop->selector.cfg.strategy]);
        break;
    case HOP_BYPASSED:
        verdict = "bypassed";
        (void)snprintf(text, sizeof text, "by the rules of %s: the route ends before it",
                       h->own_rule ? "the hop" : "all its nodes");
        break;
    case HOP_UNABLE:
        verdict = "unable";
        (void)snprintf(text, sizeof text, "none of its nodes can carry UDP");
        break;
    case HOP_EMPTY:
        verdict = "empty";
        break;
    case HOP_FAILED: /* marks are of a running program */
        break;
    }
    (void)story_step(t->s, 1, "hop", h->hop->name, verdict, "%s", text);
    (void)tell_rules(t, 2, h->hop->bypassed_arg, &a->asked);
    for (int i = 0; i < h->hop->n_nodes; i++)
        tell_node(t, a, h, i);
}

/* ---------------------------------------------------------------- the first connection */

/* "udp://192.0.2.53, tls://dns.example by chain c" */
static void list_servers(const struct nameservers *list, char *text, size_t cap)
{
    size_t at = 0;

    for (int i = 0; list && i < list->n && at < cap; i++) {
        const struct nameserver *s = &list->v[i];

        at += (size_t)snprintf(text + at, cap - at, "%s%s%s%s", i > 0 ? ", " : "", s->text,
                               s->chain ? " by chain " : "", s->chain ? s->chain->name : "");
    }
}

static void list_addrs(const struct addr *v, int n, char *text, size_t cap)
{
    char ip[ADDR_TEXT_MAX];
    size_t at = 0;

    for (int i = 0; i < n && at < cap; i++)
        at += (size_t)snprintf(text + at, cap - at, "%s%s", i > 0 ? ", " : "",
                               addr_format_ip(&v[i], ip, sizeof ip));
}

/* The service's own word about the target's name, before rules of hops see it. */
static void tell_target_name(struct teller *t, const struct route_account *a)
{
    char text[WHY_MAX] = "", name[TARGET_TEXT_MAX];

    if (!a->named_here)
        return;
    (void)target_format_host(&t->q->target, name, sizeof name);
    if (a->name_open) {
        list_servers(a->service_nameservers, text, sizeof text);
        (void)story_step(
            t->s, 1, "name", name, *text ? "not known yet" : "known to nobody", "%s%s", text,
            *text ? " would be asked first; rules about addresses count then, too" : "");
    } else {
        (void)story_step(t->s, 1, "name", name, "known here", "%s",
                         target_format_host(&a->sent, text, sizeof text));
    }
}

/* Who is asked for the address of the first server. */
static void tell_name(struct teller *t, const struct route_account *a)
{
    char text[WHY_MAX] = "/etc/hosts, then /etc/resolv.conf";
    const char *by = "this machine's";

    if (!target_is_name(&a->first))
        return;
    if (a->n_known) {
        by = "known here";
        list_addrs(a->known, a->n_known, text, sizeof text);
    } else if (a->nameservers) {
        by = "nameservers";
        list_servers(a->nameservers, text, sizeof text);
    }
    (void)story_step(t->s, 1, "resolver", a->first.name, by, "%s%s", text,
                     a->has_hosts && !a->n_known ? " (a hosts object comes first)" : "");
}

static void tell_way(struct teller *t, const struct route_account *a, const struct addr *to)
{
    struct diag diag = {.rc = RC_OK};
    struct way w = {.choices = 0};
    char text[WHY_MAX], ip[ADDR_TEXT_MAX];
    enum rc rc = way_find(t->nl, &a->so, to, &w, &diag);

    if (w.choices > 0)
        (void)story_step(t->s, 2, "bound to", a->so.interface, "", "device %s, local address %s%s",
                         w.bound[0] ? w.bound : "any",
                         w.local.family ? addr_format_ip(&w.local, ip, sizeof ip) : "any",
                         w.choices > 1 ? "; others follow when this one fails" : "");
    if (rc != RC_OK)
        (void)story_step(t->s, 2, "kernel", "", "no way", "%s", diag.text);
    if (w.device[0]) {
        (void)story_step(t->s, 2, "kernel", "", "", "leaves by %s",
                         way_format(&w, text, sizeof text));
        story_fact(t->s, "device", w.device);
    }
}

static void tell_first(struct teller *t, const struct route_account *a)
{
    char to[TARGET_TEXT_MAX], mark[FIELD_MAX] = "";
    const char *interface = a->so.interface ? a->so.interface : "";
    struct addr addr = a->n_known ? a->known[0] : a->first.addr;

    tell_name(t, a);
    if (a->so.mark)
        (void)snprintf(mark, sizeof mark, ", mark %u", a->so.mark);
    (void)story_step(t->s, 1, "first packet", target_format(&a->first, to, sizeof to),
                     a->first_node ? "to the node" : "to the target", "interface %s%s%s%s",
                     *interface ? interface : "as the kernel routes", mark,
                     a->so.netns && *a->so.netns ? ", network namespace " : "",
                     a->so.netns ? a->so.netns : "");
    story_fact(t->s, "interface", *interface ? interface : NULL);
    if (a->so.mark)
        story_fact(t->s, "mark", mark + strlen(", mark "));
    tell_way(t, a, &addr);
}

/* ---------------------------------------------------------------- the end of the story */

static void tell_verdict(struct teller *t, const char *verdict, const char *route, const char *text)
{
    bool hops = route && strcmp(route, verdict) != 0;

    (void)story_step(t->s, 0, "result", "", verdict, "%s%s%s", hops ? route : "",
                     hops && *text ? "; " : "", text);
    story_fact(t->s, "verdict", verdict);
    story_fact(t->s, "route", route);
}

static void tell_route(struct teller *t, const struct route_account *a)
{
    char route[WHY_MAX], text[WHY_MAX], to[TARGET_TEXT_MAX];
    json_t *nodes = json_array();

    for (int i = 0; i < a->route.n; i++)
        if (json_array_append_new(nodes, json_string(a->route.nodes[i]->name)))
            t->s->nomem = true;
    story_fact_list(t->s, "nodes", nodes);
    tell_target_name(t, a);
    for (int i = 0; i < a->chain.n; i++)
        tell_hop(t, a, &a->chain.hops[i]);
    if (a->rc != RC_OK) {
        tell_verdict(t, a->rc == RC_DENIED ? "rejected" : "unable", NULL, a->diag.text);
        return;
    }
    if (a->rejects) {
        tell_verdict(t, "rejected", NULL, "a node with action=reject answers for everybody");
        return;
    }
    tell_first(t, a);
    (void)snprintf(text, sizeof text, "target %s%s", target_format(&a->sent, to, sizeof to),
                   !t->q->udp || a->route.n == 0 ? ""
                   : a->udp.dns_tcp              ? ", DNS over TCP: it can't carry UDP"
                   : a->udp.fixed                ? ", a flow of its own"
                                                 : ", in the association of its client");
    tell_verdict(t, a->route.n > 0 ? "chain" : "direct",
                 route_format(&a->route, route, sizeof route), text);
}

void explain_service(struct story *s, const struct service *service,
                     const struct explain_question *q, struct netlink *nl)
{
    struct teller t = {.s = s,
                       .p = service_parts_of(service),
                       .q = q,
                       .network = q->udp ? "udp" : "tcp",
                       .nl = nl};
    char target[TARGET_TEXT_MAX];
    struct handler_plan plan;
    struct route_account a;

    story_fact(s, "service", service_name(service));
    (void)story_step(s, 0, "service", service_name(service), "",
                     "handler %s, listener %s; %s %s%s%s", t.p->handler->name, t.p->listener->name,
                     t.network, target_format(&q->target, target, sizeof target),
                     q->sni ? ", name in the first bytes " : "", q->sni ? q->sni : "");
    if (!admits(&t)) {
        tell_verdict(&t, "refused", NULL, "the client is not admitted");
        return;
    }
    tell_device(&t);
    ask_handler(&t, &plan);
    if (plan.answered && plan.rc == RC_OK) {
        tell_verdict(&t, "answered", NULL, plan.note);
        return;
    }
    if (plan.rc != RC_OK) {
        tell_verdict(&t, plan.rc == RC_DENIED ? "refused" : "unable", NULL, plan.note);
        return;
    }
    if (!ask_rules(&t, &plan)) {
        tell_verdict(&t, "refused", NULL, "by the service's rules");
        return;
    }
    struct dial_req req = {
        .target = plan.dial, .seen = plan.seen, .client = q->client, .by_name = plan.by_name};
    router_explain(t.p->router, &req, q->udp, &a);
    tell_route(&t, &a);
    route_account_done(&a);
}
