/* configs/model_chain.c - chains, hops and nodes. */
#include "configs/build.h"
#include "configs/check.h"
#include "configs/url.h"
#include <string.h>

/* What a hop hands down to its nodes; also the node's own (gost-config.md 7.5). */
struct inherited {
    char *interface, *netns;
    int64_t mark, proxy_protocol, weight, max_fails, fail_timeout_ms;
    bool backup;
};

#define AT(field) offsetof(struct inherited, field)
#define SOCKET_OPTIONS                                                                             \
    {.key = "interface",                                                                           \
     .type = OPTION_STRING,                                                                        \
     .offset = AT(interface),                                                                      \
     .help = "devices or local addresses of our sockets, or auto"},                                \
        {.key = "so_mark",                                                                         \
         .type = OPTION_INT,                                                                       \
         .offset = AT(mark),                                                                       \
         .min = 0,                                                                                 \
         .max = UINT32_MAX,                                                                        \
         .help = "firewall mark of our sockets"},                                                  \
        {.key = "proxyProtocol",                                                                   \
         .type = OPTION_INT,                                                                       \
         .offset = AT(proxy_protocol),                                                             \
         .help = "above 0: a PROXY header of this version tells the node our client"},             \
    {                                                                                              \
        .key = "netns", .type = OPTION_STRING, .offset = AT(netns),                                \
        .help = "network namespace of our sockets"                                                 \
    }

const struct option hop_options[] = {SOCKET_OPTIONS, OPTION_END};
const struct option node_options[] = {SOCKET_OPTIONS,
                                      {.key = "backup",
                                       .type = OPTION_BOOL,
                                       .offset = AT(backup),
                                       .help = "only when no other node is left"},
                                      {.key = "weight",
                                       .type = OPTION_INT,
                                       .offset = AT(weight),
                                       .help = "share under strategy random"},
                                      {.key = "maxFails",
                                       .type = OPTION_INT,
                                       .offset = AT(max_fails),
                                       .help = "marks until it counts as failed"},
                                      {.key = "failTimeout",
                                       .type = OPTION_DURATION,
                                       .flags = OPTION_SIGNED,
                                       .offset = AT(fail_timeout_ms),
                                       .help = "how long it counts as failed"},
                                      OPTION_END};
#undef AT

/* metadata, else the old fields of map. Texts stay in the arena. */
static struct inherited read_socket(struct maker *m, const struct value *map,
                                    const struct option *table)
{
    struct inherited in = {0}, out;
    const struct value *metadata = value_get(map, "metadata");
    if (options_fill(table, metadata, &in, m->problems) == RC_NOMEM)
        m->rc = RC_NOMEM;
    out = in;
    const char *name = in.interface ? in.interface : value_text(map, "interface");
    out.interface = tree_text(m->tree, name, strlen(name));
    name = in.netns ? in.netns : value_text(map, "netns");
    out.netns = tree_text(m->tree, name, strlen(name));
    options_done(table, &in);
    if (out.mark == 0)
        out.mark = make_mark(m, map);
    return out;
}

/* The default server name of a list of hosts is the list: each node has its own address for it. */
static const struct value *own_tls(struct maker *m, const struct value *tls)
{
    const struct value *name = tls ? value_get(tls, "serverName") : NULL;
    if (!name || !(name->flags & VALUE_DERIVED))
        return tls;
    struct value *copy = value_copy(m->tree, tls);
    if (copy)
        (void)value_drop(copy, "serverName");
    return copy;
}

/* Is it host:port, as a node needs? Names are not looked up here. */
static void check_addr(struct maker *m, const struct value *node, const struct conf_node *to)
{
    struct port_range r;
    char shown[96];
    bool is_path = strcmp(to->dialer.type, "unix") == 0 || strcmp(to->dialer.type, "serial") == 0;
    bool is_direct =
        strcmp(to->dialer.type, "direct") == 0 || strcmp(to->dialer.type, "virtual") == 0;
    if (is_path || is_direct)
        return;
    if (!*to->addr)
        problems_add(m->problems, PROBLEM_REFUSE, &node->place, "node %s has no addr", to->name);
    else if (url_port_range(m->tree, to->addr, &r) != RC_OK || r.bad || r.min != r.max ||
             r.min == 0)
        problems_add(m->problems, PROBLEM_REFUSE, &node->place,
                     "node %s: addr %s is not host:port%s", to->name,
                     url_shown(to->addr, shown, sizeof shown), url_hint(to->addr));
}

static void make_node(struct maker *m, const struct value *hop, const struct inherited *from,
                      const struct value *v, struct conf_node *to)
{
    struct inherited own = read_socket(m, v, node_options);
    const char *resolver = value_text(v, "resolver"), *hosts = value_text(v, "hosts");
    to->place = v->place;
    to->name = value_text(v, "name");
    to->addr = value_text(v, "addr");
    make_plugin(m, v, PLUGIN_CONNECTOR, &to->connector);
    make_plugin(m, v, PLUGIN_DIALER, &to->dialer);
    to->dialer.tls = own_tls(m, to->dialer.tls);
    to->bypasses = make_bypass_names(m, v);
    make_check_lookup(m, v);
    to->resolver = *resolver ? resolver : value_text(hop, "resolver");
    to->hosts = *hosts ? hosts : value_text(hop, "hosts");
    to->interface = own.interface && *own.interface ? own.interface : from->interface;
    to->netns = own.netns && *own.netns ? own.netns : from->netns;
    to->mark = (uint32_t)(own.mark ? own.mark : from->mark);
    to->proxy_protocol = own.proxy_protocol ? own.proxy_protocol : from->proxy_protocol;
    to->weight = make_int(own.weight);
    to->max_fails = own.max_fails;
    to->fail_timeout_ms = own.fail_timeout_ms;
    to->backup = own.backup;
    const struct option *const tables[] = {hop_options, node_options,
                                           make_table(m, PLUGIN_CONNECTOR, &to->connector),
                                           make_table(m, PLUGIN_DIALER, &to->dialer)};
    const struct option *known[5] = {NULL};
    bool all_served = tables[2] && tables[3];
    for (size_t i = 0; i < 4; i++)
        known[i] = tables[i];
    if (all_served) {
        make_check_keys(m, PLUGIN_CONNECTOR, &to->connector, known);
        make_check_keys(m, PLUGIN_DIALER, &to->dialer, known);
        options_check_keys(value_get(v, "metadata"), node_options, known, "node", m->lenient,
                           m->problems);
    }
    check_addr(m, v, to);
}

static void make_hop(struct maker *m, const struct value *v, struct conf_hop *to)
{
    const struct value *nodes = value_get(v, "nodes");
    struct inherited from = read_socket(m, v, hop_options);
    *to = (struct conf_hop){.name = value_text(v, "name"), .place = v->place};
    to->selector = make_selector(value_get(v, "selector"));
    to->bypasses = make_bypass_names(m, v);
    make_check_lookup(m, v);
    /* keys of a URL were checked with its nodes */
    struct value *metadata = value_get(v, "metadata"),
                 *written = metadata ? value_new(m->tree, VALUE_MAP, NULL) : NULL;
    value_each(item, metadata)
    {
        struct value *copy = item->flags & VALUE_FROM_URL ? NULL : value_copy(m->tree, item);
        if (copy)
            value_put(written, item->key, copy);
    }
    if (written)
        options_check_keys(written, hop_options, NULL, "hop", m->lenient, m->problems);
    to->nodes = make_array(m, nodes, sizeof *to->nodes);
    value_each(node, nodes)
    {
        if (to->nodes && node->kind == VALUE_MAP)
            make_node(m, v, &from, node, &to->nodes[to->n++]);
    }
}

void make_hops(struct maker *m, const struct value *root)
{
    const struct value *list = value_get(root, "hops");
    m->cfg->hops = make_array(m, list, sizeof *m->cfg->hops);
    value_each(item, list)
    {
        if (m->cfg->hops && item->kind == VALUE_MAP)
            make_hop(m, item, &m->cfg->hops[m->cfg->n_hops++]);
    }
}

static const struct conf_hop *find_hop(const struct maker *m, const char *name)
{
    for (size_t i = 0; i < m->cfg->n_hops; i++) {
        if (*name && strcmp(m->cfg->hops[i].name, name) == 0)
            return &m->cfg->hops[i];
    }
    return NULL;
}

/* A hop with nodes is its own, one without is a reference. NULL: there is no such hop. */
static const struct conf_hop *chain_hop(struct maker *m, const struct value *v)
{
    if (value_get(v, "nodes")) {
        struct conf_hop *own = tree_alloc(m->tree, sizeof *own);
        if (own)
            make_hop(m, v, own);
        else
            m->rc = RC_NOMEM;
        return own;
    }
    value_each(item, v)
    {
        if (strcmp(item->key, "name") != 0)
            problems_add(m->problems, PROBLEM_WARNING, &item->place,
                         "a hop without nodes refers to the one in hops; its %s is ignored",
                         item->key);
    }
    return find_hop(m, value_text(v, "name"));
}

const struct conf_chain *make_find_chain(struct maker *m, const struct value *owner,
                                         const char *when_missing)
{
    const struct value *v = owner ? value_get(owner, "chain") : NULL;
    if (!v || v->kind != VALUE_STRING || !*v->text)
        return NULL;
    for (size_t i = 0; i < m->cfg->n_chains; i++) {
        if (strcmp(m->cfg->chains[i].name, v->text) == 0)
            return &m->cfg->chains[i];
    }
    problems_add(m->problems, PROBLEM_ERROR, &v->place, "chain \"%s\" does not exist: %s", v->text,
                 when_missing);
    return NULL;
}

void make_chains(struct maker *m, const struct value *root)
{
    const struct value *list = value_get(root, "chains");
    struct conf_chain *chains = make_array(m, list, sizeof *chains);
    m->cfg->chains = chains;
    value_each(item, list)
    {
        if (!chains || item->kind != VALUE_MAP)
            continue;
        const struct value *hops = value_get(item, "hops");
        struct conf_chain *to = &chains[m->cfg->n_chains++];
        *to = (struct conf_chain){.name = value_text(item, "name"), .place = item->place};
        to->hops = make_array(m, hops, sizeof *to->hops);
        if (!hops || hops->n == 0)
            problems_add(m->problems, PROBLEM_WARNING, &item->place,
                         "chain %s has no hops: connections go out directly", to->name);
        value_each(hop, hops)
        {
            const struct conf_hop *found = hop->kind == VALUE_MAP ? chain_hop(m, hop) : NULL;
            if (!found || !to->hops) {
                problems_add(
                    m->problems, PROBLEM_ERROR, &hop->place,
                    "hop \"%s\" has no nodes here and does not exist in hops: chain %s ends "
                    "before it",
                    value_text(hop, "name"), to->name);
                break;
            }
            to->hops[to->n++] = found;
        }
    }
}
