/* configs/cmdline_node.c - one -F value as a hop with its nodes. */
#include "configs/cmdline.h"
#include "configs/scalar.h"
#include <string.h>

/* Raw text that GOST leaves in hop.metadata after its effect elsewhere. */
static const char tls_keys[] =
    "tls.certFile,certFile,cert,tls.keyFile,keyFile,key,tls.caFile,caFile,ca,"
    "tls.secure,secure,tls.servername,serverName,tls.pin,pin";

/* A pin in base64 may hold a +, which a URL turns into a blank; no pin has blanks. */
static const char *pin_text(struct cmdline *c, const char *text)
{
    char *pin = text ? tree_printf(c->tree, "%s", text) : NULL;
    for (char *at = pin; at && *at; at++)
        *at = *at == ' ' ? '+' : *at;
    return pin;
}

static struct value *tls_object(struct cmdline *c, const struct url *u, struct value *query)
{
    struct value *tls = value_new(c->tree, VALUE_MAP, &u->place);
    cmdline_put(c, tls, "certFile", cmdline_take_text(query, "tls.certFile,certFile,cert"),
                &u->place);
    cmdline_put(c, tls, "keyFile", cmdline_take_text(query, "tls.keyFile,keyFile,key"), &u->place);
    cmdline_put(c, tls, "caFile", cmdline_take_text(query, "tls.caFile,caFile,ca"), &u->place);
    const struct value *secure = cmdline_take(query, "tls.secure,secure");
    bool yes = false;
    if (secure && !scalar_parse_bool(secure->text, &yes))
        problems_add(c->problems, PROBLEM_REFUSE, &secure->place,
                     "expected true or false, got \"%s\"", secure->text);
    if (yes)
        value_put(tls, "secure", value_int(c->tree, VALUE_BOOL, 1, &secure->place));
    const char *name = cmdline_take_text(query, "tls.servername,servername");
    cmdline_put(c, tls, "serverName", name ? name : url_hostname(c->tree, u->host), &u->place);
    struct value *server_name = value_get(tls, "serverName");
    if (!name && server_name)
        server_name->flags |= VALUE_DERIVED;
    cmdline_put(c, tls, "pin", pin_text(c, cmdline_take_text(query, "tls.pin,pin")), &u->place);
    cmdline_drop(query, tls_keys);
    return value_get(tls, "secure") || value_get(tls, "certFile") || value_get(tls, "caFile") ||
                   value_get(tls, "pin") || server_name
               ? tls
               : NULL;
}

/* The node of a hop; addr is one item of the host list. */
static void add_node(struct cmdline *c, struct value *nodes, const struct value *model,
                     const char *addr)
{
    struct value *node = value_copy(c->tree, model);
    cmdline_put(c, node, "name", tree_printf(c->tree, "node-%zu", nodes ? nodes->n : 0),
                &model->place);
    cmdline_put(c, node, "addr", addr, &model->place);
    value_append(nodes, node);
}

static struct value *node_model(struct cmdline *c, const struct url *u, struct value *query,
                                const char *connector_type, const char *dialer_type,
                                struct value *auth)
{
    struct value *tls = tls_object(c, u, query);
    struct cmdline_map maps[] = {{"node.", NULL}, {"connector.", NULL}, {"dialer.", NULL}};
    cmdline_split(c, query, maps, 3, "hop.");
    struct value *connector = value_new(c->tree, VALUE_MAP, &u->place);
    struct value *dialer = value_new(c->tree, VALUE_MAP, &u->place);
    bool is_ssh = strcmp(dialer_type, "ssh") == 0 || strcmp(dialer_type, "sshd") == 0;
    cmdline_put(c, connector, "type", connector_type, &u->place);
    cmdline_put(c, dialer, "type", dialer_type, &u->place);
    value_put(is_ssh ? dialer : connector, "auth", auth);
    value_put(connector, "metadata", maps[1].map);
    value_put(dialer, "tls", tls);
    value_put(dialer, "metadata", maps[2].map);
    struct value *model = value_new(c->tree, VALUE_MAP, &u->place);
    value_put(model, "connector", connector);
    value_put(model, "dialer", dialer);
    value_put(model, "metadata", maps[0].map);
    return model;
}

/* Parameters that belong to the hop. They leave the query. */
static void hop_objects(struct cmdline *c, struct value *hop, struct value *query,
                        const struct place *at)
{
    const struct value *v = cmdline_take(query, "bypass");
    if (v)
        cmdline_put(c, hop, "bypass", cmdline_bypass(c, "bypasses", "bypass", v), at);
    v = cmdline_take(query, "resolver");
    if (v)
        cmdline_put(c, hop, "resolver", cmdline_resolver(c, v, NULL), at);
    v = cmdline_take(query, "hosts");
    if (v)
        cmdline_put(c, hop, "hosts", cmdline_hosts(c, v), at);
    static const char *const taken[] = {"bypass", "resolver", "hosts", NULL};
    for (size_t i = 0; taken[i]; i++) {
        if ((v = value_get(query, taken[i])) && *v->text)
            (void)value_drop(query, taken[i]);
    }
    cmdline_move(c, query, "interface", "hop.interface", false);
    cmdline_move(c, query, "so_mark", "hop.so_mark", true);
    cmdline_move(c, query, "proxyProtocol", "hop.proxyProtocol", true);
}

static struct value *hop_metadata(struct cmdline *c, const struct value *query)
{
    struct value *plain = value_new(c->tree, VALUE_MAP, &query->place);
    value_each(item, query)
    {
        static const char *const others[] = {"node.", "connector.", "dialer."};
        bool mine = true;
        for (size_t i = 0; i < 3; i++)
            mine = mine && strncmp(item->key, others[i], strlen(others[i])) != 0;
        struct value *copy = mine ? value_copy(c->tree, item) : NULL;
        if (copy)
            value_put(plain, item->key, copy);
    }
    struct cmdline_map map = {"hop.", NULL};
    if (plain)
        cmdline_split(c, plain, &map, 1, NULL);
    return map.map;
}

enum rc cmdline_node(struct cmdline *c, const char *name, const char *text, size_t index,
                     struct value *hops)
{
    struct url u;
    enum rc rc = url_parse(c->tree, c->problems, name, text, URL_NODE, &u);
    if (rc != RC_OK)
        return rc;
    const char *connector, *dialer;
    bool is_path;
    cmdline_types(c, &u, false, &connector, &dialer, &is_path);
    if (!is_path && u.path[strspn(u.path, "/")]) /* not shown: it may be the rest of a password */
        problems_add(c->problems, PROBLEM_WARNING, &u.place,
                     "the path behind the host is ignored%s",
                     strncmp(dialer, "ws", 2) == 0 ? "; path= sets the one that is asked for" : "");
    struct value *hop = value_new(c->tree, VALUE_MAP, &u.place), *auth;
    cmdline_put(c, hop, "name", tree_printf(c->tree, "hop-%zu", index), &u.place);
    value_put(hop, "selector", cmdline_selector(c, u.query));
    hop_objects(c, hop, u.query, &u.place);
    /* the taken marks of auth and tls keys must be there before the hop's copy is made */
    rc = cmdline_auth(c, &u, u.query, &auth);
    if (rc != RC_OK)
        return rc;
    static const char *const consumed[] = {"tls.certFile,certFile,cert",
                                           "tls.keyFile,keyFile,key",
                                           "tls.caFile,caFile,ca",
                                           "tls.secure,secure",
                                           "tls.servername,servername",
                                           "tls.pin,pin",
                                           NULL};
    for (size_t i = 0; consumed[i]; i++)
        (void)cmdline_take(u.query, consumed[i]);
    value_put(hop, "metadata", hop_metadata(c, u.query));
    cmdline_drop(u.query, "auth");
    struct value *model = node_model(c, &u, u.query, connector, dialer, auth);
    struct value *nodes = value_new(c->tree, VALUE_LIST, &u.place);
    const char *addr = u.host;
    if (is_path)
        addr = tree_printf(c->tree, "%s%.*s", u.host, (int)strlen(u.path), u.path);
    if (is_path && *u.host) /* GOST glues host and path without the slash */
        addr = tree_printf(c->tree, "%s%s", u.host, u.path + (*u.path == '/'));
    for (const char *item = addr; model && item && *item;) {
        size_t len = strcspn(item, ",");
        if (len > 0)
            add_node(c, nodes, model, tree_text(c->tree, item, len));
        item += len + (item[len] == ',');
    }
    if (nodes && nodes->n == 0)
        problems_add(c->problems, PROBLEM_REFUSE, &u.place, "no host: the hop has no node");
    value_put(hop, "nodes", nodes);
    value_append(hops, hop);
    return tree_ok(c->tree) ? RC_OK : RC_NOMEM;
}
