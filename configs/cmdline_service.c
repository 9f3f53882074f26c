/* configs/cmdline_service.c - one -L value as a service, or as several for a range of ports. */
#include "configs/cmdline.h"
#include "configs/scalar.h"
#include <stdlib.h>
#include <string.h>

struct builder {
    struct cmdline *c;
    struct url u;
    const char *handler, *listener;
    bool is_path;
    struct value *nodes;    /* forward targets */
    struct value *selector; /* or NULL */
    struct value *auth, *tls;
    struct cmdline_map maps[3]; /* handler, listener, service */
};

/* In `A -- B` each part tells its number (gost-config.md 1.2). */
static void add_target(struct builder *b, const char *addr)
{
    struct value *node = value_new(b->c->tree, VALUE_MAP, &b->u.place);
    const char *part = getenv("_GOST_ID");
    bool is_part = part && *part;
    cmdline_put(b->c, node, "name",
                tree_printf(b->c->tree, "%s%.20s%starget-%zu", is_part ? "go-" : "",
                            is_part ? part : "", is_part ? "@" : "", b->nodes ? b->nodes->n : 0),
                &b->u.place);
    cmdline_put(b->c, node, "addr", addr, &b->u.place);
    value_append(b->nodes, node);
}

/* "a:1,b:80-82": the path without its outer slashes. */
static enum rc read_targets(struct builder *b)
{
    static const char *const own_names[] = {"tcp", "udp",  "rtcp",  "rudp",   "tun", "tap",
                                            "dns", "unix", "runix", "serial", NULL};
    struct tree *t = b->c->tree;
    const char *path = b->u.path + strspn(b->u.path, "/");
    size_t len = strlen(path);
    while (len > 0 && path[len - 1] == '/')
        len--;
    b->nodes = value_new(t, VALUE_LIST, &b->u.place);
    bool is_forward = len > 0 && !b->is_path;
    const char *text = is_forward ? tree_text(t, path, len) : NULL;
    while (text) {
        size_t n = strcspn(text, ",");
        const char *item = tree_text(t, text, n);
        struct port_range r;
        enum rc rc = item ? url_port_range(t, item, &r) : RC_NOMEM;
        if (rc == RC_NOMEM)
            return rc;
        if (n == 0 || (!strstr(item, "://") && strchr(item, '/')) || rc == RC_LIMIT ||
            (rc == RC_OK && r.bad))
            problems_add(b->c->problems, PROBLEM_REFUSE, &b->u.place,
                         "bad target \"%.60s\" in the path", item);
        if (rc == RC_OK) {
            for (unsigned port = r.min; port <= r.max; port++)
                add_target(b, url_join(t, r.host, port));
        } else {
            add_target(b, item);
        }
        text = text[n] ? text + n + 1 : NULL;
    }
    if (is_forward && strcmp(b->handler, "relay") != 0)
        b->handler = word_in(b->listener, own_names) ? b->listener : "forward";
    if (strcmp(b->listener, "stdio") == 0 && !is_forward && *b->u.host) {
        add_target(b, b->u.host);
        if (strcmp(b->handler, "auto") == 0)
            b->handler = "tcp";
    }
    return RC_OK;
}

static void read_tls(struct builder *b)
{
    struct cmdline *c = b->c;
    const struct place *at = &b->u.place;
    const char *cert = cmdline_take_text(b->u.query, "tls.certFile,certFile,cert");
    const char *key = cmdline_take_text(b->u.query, "tls.keyFile,keyFile,key");
    const struct value *ca = cmdline_take(b->u.query, "tls.caFile,caFile,ca");
    if (cert) {
        b->tls = value_new(c->tree, VALUE_MAP, at);
        cmdline_put(c, b->tls, "certFile", cert, at);
        cmdline_put(c, b->tls, "keyFile", key, at);
        cmdline_put(c, b->tls, "caFile", ca ? ca->text : NULL, at);
    } else if (ca) {
        problems_add(c->problems, PROBLEM_REFUSE, &ca->place,
                     "clients are checked only together with cert and key");
    } else if (key) {
        problems_add(c->problems, PROBLEM_WARNING, at, "a key without cert is ignored");
    }
    cmdline_drop(b->u.query,
                 "tls.certFile,certFile,cert,tls.keyFile,keyFile,key,tls.caFile,caFile,ca");
}

static void read_dns(struct builder *b)
{
    struct value *v = value_find(b->u.query, "dns");
    if (!v || !*v->text)
        return;
    struct value *list = value_new(b->c->tree, VALUE_LIST, &v->place);
    for (const char *text = v->text; list;) {
        size_t n = strcspn(text, ",");
        value_append(list, value_string(b->c->tree, tree_text(b->c->tree, text, n), &v->place));
        if (!text[n])
            break;
        text += n + 1;
    }
    value_put(b->u.query, "dns", list);
}

/* A parameter of handler.metadata became a field: it leaves there, its copies stay without effect.
 */
static const struct value *consume(struct cmdline_map *maps, const char *key)
{
    const struct value *v = cmdline_take(maps[0].map, key);
    (void)value_drop(maps[0].map, key);
    for (size_t i = 1; v && i < 3; i++) {
        struct value *copy = value_get(maps[i].map, v->key);
        if (copy && (copy->flags & VALUE_FROM_URL))
            copy->flags |= VALUE_MOVED;
    }
    return v;
}

/* A positive number as consume(); a bad one stays in all maps. */
static int64_t consume_int(struct builder *b, struct cmdline_map *maps, const char *key)
{
    int64_t n = cmdline_take_int(b->c, maps[0].map, key);
    if (n > 0) {
        (void)consume(maps, key);
    } else {
        for (size_t i = 1; i < 3; i++)
            (void)cmdline_take(maps[i].map, key);
    }
    return n;
}

static void put_limiter(struct builder *b, struct value *service, const char *section,
                        const char *field, const char *line, const char *line2)
{
    struct cmdline *c = b->c;
    struct value *v = cmdline_object(c, section, field, &b->u.place);
    struct value *limits = value_new(c->tree, VALUE_LIST, &b->u.place);
    if (line)
        value_append(limits, value_string(c->tree, line, &b->u.place));
    if (line2)
        value_append(limits, value_string(c->tree, line2, &b->u.place));
    value_put(v, "limits", limits);
    cmdline_put(c, service, field, value_text(v, "name"), &b->u.place);
}

static void read_limits(struct builder *b, struct value *service, struct cmdline_map *maps)
{
    static const char *const keys[] = {"limiter.in", "limiter.out", "limiter.conn.in",
                                       "limiter.conn.out"};
    const char *sizes[4];
    char number[SCALAR_TEXT_MAX];
    struct tree *t = b->c->tree;
    bool any = false;
    for (size_t i = 0; i < 4; i++) {
        const struct value *v = consume(maps, keys[i]);
        sizes[i] = v ? v->text : "";
        any = any || v;
    }
    if (any)
        put_limiter(b, service, "limiters", "limiter",
                    *sizes[0] || *sizes[1] ? tree_printf(t, "$ %s %s", sizes[0], sizes[1]) : NULL,
                    *sizes[2] || *sizes[3] ? tree_printf(t, "$$ %s %s", sizes[2], sizes[3]) : NULL);
    int64_t n = consume_int(b, maps, "climiter");
    if (n > 0)
        put_limiter(b, service, "climiters", "climiter", tree_printf(t, "$ %lld", (long long)n),
                    NULL);
    const struct value *rate = cmdline_take(maps[0].map, "rlimiter");
    double real = 0;
    if (rate && scalar_parse_float(rate->text, &real) && real > 0) {
        (void)consume(maps, "rlimiter");
        put_limiter(b, service, "rlimiters", "rlimiter",
                    tree_printf(t, "$ %s", scalar_format_float(real, FLOAT_FULL, number)), NULL);
    } else if (rate) {
        problems_add(b->c->problems, PROBLEM_REFUSE, &rate->place, "expected a positive number");
    }
}

/* Objects named by the service, made from parameters that stand in handler.metadata. */
static void read_objects(struct builder *b, struct value *service, struct value *handler,
                         struct cmdline_map *maps)
{
    struct cmdline *c = b->c;
    const struct place *at = &b->u.place;
    int64_t retries = consume_int(b, maps, "retries");
    if (retries > 0)
        value_put(handler, "retries", value_int(c->tree, VALUE_INT, retries, at));
    const struct value *v = consume(maps, "admission");
    if (v)
        cmdline_put(c, service, "admission", cmdline_bypass(c, "admissions", "admission", v),
                    &v->place);
    v = consume(maps, "bypass");
    if (v)
        cmdline_put(c, service, "bypass", cmdline_bypass(c, "bypasses", "bypass", v), &v->place);
    v = consume(maps, "resolver");
    if (v) {
        const char *prefer = cmdline_take_text(maps[0].map, "prefer");
        for (size_t i = 1; i < 3; i++)
            (void)cmdline_take(maps[i].map, "prefer");
        cmdline_put(c, service, "resolver", cmdline_resolver(c, v, prefer), &v->place);
    }
    v = consume(maps, "hosts");
    if (v)
        cmdline_put(c, service, "hosts", cmdline_hosts(c, v), &v->place);
    read_limits(b, service, maps);
}

static struct value *forwarder_of(struct builder *b, size_t index, size_t n_services)
{
    struct tree *t = b->c->tree;
    struct value *forwarder = value_new(t, VALUE_MAP, &b->u.place);
    struct value *nodes = value_new(t, VALUE_LIST, &b->u.place);
    size_t i = 0;
    value_each(node, b->nodes)
    {
        if (n_services == 1 || b->nodes->n == 1 || i == index)
            value_append(nodes, value_copy(t, node));
        i++;
    }
    if (!nodes || nodes->n == 0)
        return NULL;
    if (b->selector)
        value_put(forwarder, "selector", value_copy(t, b->selector));
    value_put(forwarder, "nodes", nodes);
    return forwarder;
}

static void add_service(struct builder *b, const char *addr, size_t index, size_t n_services)
{
    struct cmdline *c = b->c;
    const struct place *at = &b->u.place;
    struct cmdline_map maps[3];
    for (size_t i = 0; i < 3; i++)
        maps[i] = (struct cmdline_map){b->maps[i].prefix,
                                       b->maps[i].map ? value_copy(c->tree, b->maps[i].map) : NULL};
    struct value *service = cmdline_object(c, "services", "service", at);
    struct value *handler = value_new(c->tree, VALUE_MAP, at);
    struct value *listener = value_new(c->tree, VALUE_MAP, at);
    bool is_ssh = strcmp(b->listener, "ssh") == 0 || strcmp(b->listener, "sshd") == 0;
    bool is_reverse = strcmp(b->listener, "rtcp") == 0 || strcmp(b->listener, "rudp") == 0 ||
                      strcmp(b->listener, "runix") == 0;
    cmdline_put(c, service, "addr", addr, at);
    cmdline_put(c, handler, "type", b->handler, at);
    cmdline_put(c, listener, "type", b->listener, at);
    if (b->auth)
        value_put(is_ssh ? listener : handler, "auth", value_copy(c->tree, b->auth));
    if (b->tls)
        value_put(listener, "tls", value_copy(c->tree, b->tls));
    cmdline_put(c, is_reverse ? listener : handler, "chain", c->chain, at);
    read_objects(b, service, handler, maps);
    value_put(handler, "metadata", maps[0].map);
    value_put(listener, "metadata", maps[1].map);
    value_put(service, "metadata", maps[2].map);
    value_put(service, "handler", handler);
    value_put(service, "listener", listener);
    value_put(service, "forwarder", forwarder_of(b, index, n_services));
}

static enum rc add_services(struct builder *b)
{
    struct tree *t = b->c->tree;
    const struct place *at = &b->u.place;
    if (b->is_path) { /* GOST glues host and path without the slash */
        add_service(b,
                    *b->u.host ? tree_printf(t, "%s%s", b->u.host, b->u.path + (*b->u.path == '/'))
                               : b->u.path,
                    0, 1);
        return RC_OK;
    }
    struct port_range r;
    enum rc rc = url_port_range(t, b->u.host, &r);
    if (rc == RC_NOMEM)
        return rc;
    if (rc == RC_LIMIT) {
        problems_add(b->c->problems, PROBLEM_FATAL, at, "more than %d ports", PORTS_MAX);
        return RC_INVALID;
    }
    if (rc != RC_OK) {
        const char *colon = strrchr(b->u.host, ':');
        if (colon && strchr(colon, '-') && !strchr(colon, ']'))
            problems_add(b->c->problems, PROBLEM_REFUSE, at, "the range of ports falls");
        add_service(b, b->u.host, 0, 1);
        return RC_OK;
    }
    bool empty = strcmp(strrchr(b->u.host, ':'), ":") == 0;
    if (r.bad && !empty)
        problems_add(b->c->problems, PROBLEM_REFUSE, at, "bad port%s", url_hint(b->u.host));
    size_t n = r.max - r.min + 1;
    if (n > 1 && b->nodes && b->nodes->n > 1 && b->nodes->n != n)
        problems_add(b->c->problems, PROBLEM_WARNING, at, "%zu ports but %zu targets: %s", n,
                     b->nodes->n,
                     b->nodes->n > n ? "the last targets are dropped" : "some ports have none");
    for (size_t i = 0; i < n; i++)
        add_service(b, url_join(t, r.host, r.min + (unsigned)i), i, n);
    return RC_OK;
}

enum rc cmdline_service(struct cmdline *c, const char *name, const char *text, size_t *n_services)
{
    struct builder b = {.c = c,
                        .maps = {{"handler.", NULL}, {"listener.", NULL}, {"service.", NULL}}};
    enum rc rc = url_parse(c->tree, c->problems, name, text, URL_SERVICE, &b.u);
    if (rc != RC_OK)
        return rc;
    if (strncmp(text, "://", 3) == 0)
        problems_add(c->problems, PROBLEM_REFUSE, &b.u.place, "nothing before ://");
    cmdline_types(c, &b.u, true, &b.handler, &b.listener, &b.is_path);
    rc = read_targets(&b);
    if (rc == RC_OK)
        rc = cmdline_auth(c, &b.u, b.u.query, &b.auth);
    if (rc != RC_OK)
        return rc;
    cmdline_drop(b.u.query, "auth");
    read_tls(&b);
    read_dns(&b);
    cmdline_move(c, b.u.query, "interface", "service.interface", false);
    cmdline_move(c, b.u.query, "so_mark", "service.so_mark", true);
    cmdline_move(c, b.u.query, "proxyProtocol", "service.proxyProtocol", true);
    cmdline_move(c, b.u.query, "netns", "service.netns", false);
    cmdline_move(c, b.u.query, "netns.out", "service.netns.out", false);
    b.selector = cmdline_selector(c, b.u.query);
    cmdline_split(c, b.u.query, b.maps, 3, NULL);
    (*n_services)++;
    return add_services(&b);
}
