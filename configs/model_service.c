/* configs/model_service.c - services with their forwarders. */
#include "configs/build.h"
#include "configs/check.h"
#include <string.h>

#define AT(field) offsetof(struct conf_service_options, field)
#define HOOK(name, field)                                                                          \
    {                                                                                              \
        .key = name, .type = OPTION_LINES, .offset = AT(field),                                    \
        .help = "commands, without a shell"                                                        \
    }

const struct option service_options[] = {{.key = "interface",
                                          .type = OPTION_STRING,
                                          .offset = AT(interface),
                                          .help = "devices or addresses to leave by, or auto"},
                                         {.key = "so_mark",
                                          .type = OPTION_INT,
                                          .offset = AT(mark),
                                          .min = 0,
                                          .max = UINT32_MAX,
                                          .help = "firewall mark of direct connections"},
                                         HOOK("preUp", pre_up),
                                         HOOK("postUp", post_up),
                                         HOOK("preDown", pre_down),
                                         HOOK("postDown", post_down),
                                         {.key = "dialTimeout",
                                          .type = OPTION_DURATION,
                                          .offset = AT(dial_timeout_ms),
                                          .def = "15s",
                                          .min = 1,
                                          .max = 86400000,
                                          .help = "limit of one attempt to reach the target"},
                                         {.key = "ignoreChain",
                                          .type = OPTION_BOOL,
                                          .offset = AT(ignore_chain),
                                          .help = "no chain for this service"},
                                         {.key = "proxyProtocol",
                                          .type = OPTION_INT,
                                          .offset = AT(proxy_protocol),
                                          .help = "above 0: clients may send a PROXY header, of "
                                                  "version 1 or 2, and are who it says"},
                                         {.key = "netns",
                                          .type = OPTION_STRING,
                                          .offset = AT(netns),
                                          .help = "network namespace of the listener or device"},
                                         {.key = "netns.out",
                                          .type = OPTION_STRING,
                                          .offset = AT(netns_out),
                                          .help = "network namespace of direct connections; "
                                                  "unset: that of netns"},
                                         {.key = "enableStats",
                                          .type = OPTION_BOOL,
                                          .flags = OPTION_LATER,
                                          .offset = AT(unused.yes),
                                          .help = "statistics of the service"},
                                         {.key = "observePeriod",
                                          .aliases = "observer.period,observer.observePeriod",
                                          .type = OPTION_DURATION,
                                          .flags = OPTION_LATER,
                                          .offset = AT(unused.num),
                                          .help = "period of statistics"},
                                         {.key = "observer.resetTraffic",
                                          .type = OPTION_BOOL,
                                          .flags = OPTION_LATER,
                                          .offset = AT(unused.yes),
                                          .help = "reset statistics after each report"},
                                         {.key = "limiter.refreshInterval",
                                          .aliases = "limiter.cleanupInterval",
                                          .type = OPTION_DURATION,
                                          .flags = OPTION_LATER,
                                          .offset = AT(unused.num),
                                          .help = "traffic limiter"},
                                         {.key = "limiter.scope",
                                          .type = OPTION_STRING,
                                          .flags = OPTION_LATER,
                                          .offset = AT(unused.text),
                                          .help = "traffic limiter"},
                                         {.key = "labels",
                                          .type = OPTION_MAP,
                                          .flags = OPTION_LATER,
                                          .offset = AT(unused.map),
                                          .help = "labels of log records"},
                                         OPTION_END};
#undef AT

/* A missing auther would let everybody in, as in GOST: ours does not start. */
static void make_authers(struct maker *m, const struct value *handler, struct conf_service *to)
{
    if (!handler)
        return;
    struct conf_names names = make_names(m, handler, "auther", "authers");
    const struct value *at = value_get(handler, "auther");
    if (!at)
        at = value_get(handler, "authers");
    to->authers = tree_alloc(m->tree, (names.n + 1) * sizeof *to->authers);
    for (size_t i = 0; i < names.n && to->authers; i++) {
        const struct conf_auther *found = NULL;
        for (size_t k = 0; k < m->cfg->n_authers && !found; k++) {
            if (strcmp(m->cfg->authers[k].name, names.v[i]) == 0)
                found = &m->cfg->authers[k];
        }
        if (found)
            to->authers[to->n_authers++] = found;
        else
            problems_add(m->problems, PROBLEM_REFUSE, &at->place,
                         "auther \"%s\" does not exist: everybody would be let in", names.v[i]);
    }
}

/* Only a dns handler has a name to ask the rules about before it picks a node. */
static void check_target_bypass(struct maker *m, const struct value *node, const char *handler)
{
    const struct value *at = value_get(node, "bypass");
    if (strcmp(handler, "dns") != 0)
        problems_add(m->problems, PROBLEM_WARNING, &(at ? at : node)->place,
                     "bypass of a forwarder's node has no effect with handler %s", handler);
}

static void make_forwarder(struct maker *m, const struct value *v, const char *handler,
                           struct conf_forwarder *to)
{
    if (!v)
        return;
    const struct value *nodes = value_get(v, "nodes");
    to->selector = make_selector(value_get(v, "selector"));
    to->targets = make_array(m, nodes, sizeof *to->targets);
    value_each(node, nodes)
    {
        if (!to->targets || node->kind != VALUE_MAP)
            continue;
        const char *addr = value_text(node, "addr"), *network = value_text(node, "network");
        if (!*addr) {
            problems_add(m->problems, PROBLEM_WARNING, &node->place,
                         "a forwarder node without addr is left out");
            continue;
        }
        bool has_port = strrchr(addr, ':') && !(addr[0] == '[' && addr[strlen(addr) - 1] == ']');
        if (!has_port && strcmp(network, "unix") != 0)
            addr = tree_printf(m->tree, "%s:0", addr);
        struct conf_target *t = &to->targets[to->n++];
        *t = (struct conf_target){value_text(node, "name"), addr ? addr : "", network,
                                  make_bypass_names(m, node)};
        if (t->bypasses.n)
            check_target_bypass(m, node, handler);
    }
}

static void check_keys(struct maker *m, const struct value *v, const struct conf_service *to)
{
    const struct option *const tables[] = {make_table(m, PLUGIN_HANDLER, &to->handler),
                                           make_table(m, PLUGIN_LISTENER, &to->listener),
                                           service_options, NULL};
    if (!tables[0] || !tables[1]) /* a type that is not served: told */
        return;
    make_check_keys(m, PLUGIN_HANDLER, &to->handler, tables);
    make_check_keys(m, PLUGIN_LISTENER, &to->listener, tables);
    options_check_keys(value_get(v, "metadata"), service_options, tables, "service", m->lenient,
                       m->problems);
}

static void make_service(struct maker *m, const struct value *v, size_t index,
                         struct conf_service *to)
{
    const struct value *handler = value_get(v, "handler"), *listener = value_get(v, "listener");
    to->place = v->place;
    to->name = value_text(v, "name");
    to->addr = value_text(v, "addr");
    to->resolver = value_text(v, "resolver");
    to->hosts = value_text(v, "hosts");
    if (!*to->name) {
        to->name = tree_printf(m->tree, "service-%zu", index);
        problems_add(m->problems, PROBLEM_WARNING, &v->place,
                     "a service without name is called \"%s\"", to->name ? to->name : "");
    }
    make_plugin(m, v, PLUGIN_HANDLER, &to->handler);
    make_plugin(m, v, PLUGIN_LISTENER, &to->listener);
    to->retries = handler ? make_int(make_num(handler, "retries")) : 0;
    to->chain = make_find_chain(m, handler, "connections go out directly");
    /* Of reverse listeners, which are not served: only told when it is missing. */
    (void)make_find_chain(m, listener, "connections go out directly");
    make_authers(m, handler, to);
    to->bypasses = make_bypass_names(m, v);
    to->admissions = make_admission_names(m, v);
    make_check_lookup(m, v);
    make_forwarder(m, value_get(v, "forwarder"), to->handler.type, &to->forwarder);
    if (options_fill(service_options, value_get(v, "metadata"), &to->options, m->problems) ==
        RC_NOMEM)
        m->rc = RC_NOMEM;
    to->interface = to->options.interface ? to->options.interface : value_text(v, "interface");
    to->netns_out = to->options.netns_out ? to->options.netns_out : to->options.netns;
    to->mark = to->options.mark ? (uint32_t)to->options.mark : make_mark(m, v);
    check_keys(m, v, to);
}

void make_services(struct maker *m, const struct value *root)
{
    const struct value *list = value_get(root, "services");
    m->cfg->services = make_array(m, list, sizeof *m->cfg->services);
    size_t index = 0;
    value_each(item, list)
    {
        if (m->cfg->services && item->kind == VALUE_MAP)
            make_service(m, item, index, &m->cfg->services[m->cfg->n_services++]);
        index++;
    }
}
