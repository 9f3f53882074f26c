/* configs/cmdline.c - what -L and -F have in common: names, moved parameters, generated objects. */
#include "configs/cmdline.h"
#include "configs/scalar.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void cmdline_put(struct cmdline *c, struct value *map, const char *key, const char *text,
                 const struct place *at)
{
    if (text && *text)
        value_put(map, key, value_string(c->tree, text, at));
}

/* Calls back for each key of a comma list, until found. */
static struct value *find_any(const struct value *query, const char *keys)
{
    while (*keys) {
        char key[40];
        size_t len = strcspn(keys, ",");
        (void)snprintf(key, sizeof key, "%.*s", (int)len, keys);
        struct value *v = value_find(query, key);
        if (v)
            return v;
        keys += len + (keys[len] == ',');
    }
    return NULL;
}

const struct value *cmdline_take(struct value *query, const char *keys)
{
    struct value *v = find_any(query, keys);
    if (!v || v->kind != VALUE_STRING || !*v->text)
        return NULL;
    v->flags |= VALUE_MOVED;
    return v;
}

const char *cmdline_take_text(struct value *query, const char *keys)
{
    const struct value *v = cmdline_take(query, keys);
    return v ? v->text : NULL;
}

int64_t cmdline_take_int(struct cmdline *c, struct value *query, const char *keys)
{
    const struct value *v = cmdline_take(query, keys);
    int64_t n = 0;
    if (v && (!scalar_parse_decimal(v->text, &n) || n <= 0)) {
        problems_add(c->problems, PROBLEM_REFUSE, &v->place,
                     "expected a positive integer, got \"%s\"", v->text);
        n = 0;
    }
    return n;
}

void cmdline_drop(struct value *query, const char *keys)
{
    while (*keys) {
        char key[40];
        size_t len = strcspn(keys, ",");
        (void)snprintf(key, sizeof key, "%.*s", (int)len, keys);
        (void)value_drop(query, key);
        keys += len + (keys[len] == ',');
    }
}

void cmdline_move(struct cmdline *c, struct value *query, const char *from, const char *to,
                  bool is_int)
{
    const struct value *v = find_any(query, from);
    if (!v)
        return;
    struct value *moved = NULL;
    if (is_int) {
        int64_t n = cmdline_take_int(c, query, from);
        moved = n > 0 ? value_int(c->tree, VALUE_INT, n, &v->place) : NULL;
    } else if ((v = cmdline_take(query, from))) {
        moved = value_string(c->tree, v->text, &v->place);
    }
    if (!moved)
        return;
    value_put(query, to, moved);
    (void)value_drop(query, from);
}

void cmdline_split(struct cmdline *c, const struct value *query, struct cmdline_map *maps, size_t n,
                   const char *skip_prefix)
{
    for (size_t i = 0; i < n; i++)
        maps[i].map = value_new(c->tree, VALUE_MAP, &query->place);
    /* plain keys first: a prefixed one wins over its plain twin */
    for (int prefixed = 0; prefixed < 2; prefixed++) {
        value_each(item, query)
        {
            struct cmdline_map *only = NULL;
            for (size_t i = 0; i < n; i++) {
                if (strncmp(item->key, maps[i].prefix, strlen(maps[i].prefix)) == 0)
                    only = &maps[i];
            }
            if ((only != NULL) != (prefixed != 0) ||
                (skip_prefix && strncmp(item->key, skip_prefix, strlen(skip_prefix)) == 0))
                continue;
            for (size_t i = 0; i < n; i++) {
                struct value *copy = value_copy(c->tree, item);
                if (!copy || (only && only != &maps[i]))
                    continue;
                copy->flags |= only ? 0 : VALUE_FROM_URL;
                copy->key_text = NULL;
                value_put(maps[i].map, only ? item->key + strlen(only->prefix) : item->key, copy);
            }
        }
    }
}

enum rc cmdline_auth(struct cmdline *c, const struct url *u, struct value *query,
                     struct value **ret_v)
{
    const char *user = NULL, *password = NULL;
    if (u->has_user) {
        user = u->user;
        password = u->password;
        const char *plain_user, *plain_password;
        bool sip002 = strncmp(u->scheme, "ss", 2) == 0 && !u->has_password && *u->user;
        if (sip002 && url_decode_auth(c->tree, u->user, &plain_user, &plain_password) &&
            plain_password) {
            user = plain_user;
            password = plain_password;
        }
    }
    const struct value *v = cmdline_take(query, "auth");
    if (v && !user && !url_decode_auth(c->tree, v->text, &user, &password)) {
        problems_add(c->problems, PROBLEM_FATAL, &v->place, "not base64 of user:password");
        return RC_INVALID;
    }
    if (v && u->has_user)
        problems_add(c->problems, PROBLEM_WARNING, &v->place,
                     "the user before the @ counts, this one is ignored");
    struct value *auth = user ? value_new(c->tree, VALUE_MAP, &u->place) : NULL;
    cmdline_put(c, auth, "username", user, &u->place);
    cmdline_put(c, auth, "password", password, &u->place);
    *ret_v = auth;
    return RC_OK;
}

struct value *cmdline_selector(struct cmdline *c, struct value *query)
{
    const struct value *ft = cmdline_take(query, "failTimeout,fail_timeout");
    const char *strategy = cmdline_take_text(query, "strategy");
    int64_t fails = cmdline_take_int(c, query, "maxFails,max_fails"), timeout = 0, seconds;
    if (ft && !scalar_parse_duration(ft->text, &timeout)) {
        if (scalar_parse_decimal(ft->text, &seconds) && seconds < INT32_MAX && seconds > INT32_MIN)
            timeout = seconds * 1000000000;
        else
            problems_add(c->problems, PROBLEM_REFUSE, &ft->place,
                         "expected a duration such as 30s");
    }
    if (!strategy && fails <= 0 && timeout <= 0)
        return NULL;
    struct value *v = value_new(c->tree, VALUE_MAP, &query->place);
    cmdline_put(c, v, "strategy", strategy ? strategy : "round", &query->place);
    value_put(v, "maxFails", value_int(c->tree, VALUE_INT, fails > 0 ? fails : 1, &query->place));
    value_put(
        v, "failTimeout",
        value_int(c->tree, VALUE_DURATION, timeout > 0 ? timeout : 30000000000, &query->place));
    cmdline_drop(query, "strategy,maxFails,max_fails,failTimeout,fail_timeout");
    return v;
}

/* ---- generated objects ---- */

static bool is_taken(const struct cmdline *c, const char *section, const char *name)
{
    const struct value *lists[] = {c->taken ? value_get(c->taken, section) : NULL,
                                   value_get(c->config, section)};
    for (size_t i = 0; i < 2; i++) {
        value_each(item, lists[i])
        {
            if (strcmp(value_text(item, "name"), name) == 0)
                return true;
        }
    }
    return false;
}

struct value *cmdline_object(struct cmdline *c, const char *section, const char *stem,
                             const struct place *at)
{
    struct value *list = value_get(c->config, section);
    if (!list) {
        list = value_new(c->tree, VALUE_LIST, at);
        value_put(c->config, section, list);
    }
    size_t number = list ? list->n : 0;
    const char *name = tree_printf(c->tree, "%s-%zu", stem, number);
    while (name && is_taken(c, section, name))
        name = tree_printf(c->tree, "%s-%zu", stem, ++number);
    struct value *v = value_new(c->tree, VALUE_MAP, at);
    cmdline_put(c, v, "name", name, at);
    value_append(list, v);
    return v;
}

/* Appends the non-empty items of a comma list. */
static void put_list(struct cmdline *c, struct value *map, const char *key, const char *text,
                     const struct place *at)
{
    struct value *list = value_new(c->tree, VALUE_LIST, at);
    while (*text) {
        size_t len = strcspn(text, ",");
        if (len > 0)
            value_append(list, value_string(c->tree, tree_text(c->tree, text, len), at));
        text += len + (text[len] == ',');
    }
    value_put(map, key, list);
}

const char *cmdline_bypass(struct cmdline *c, const char *section, const char *stem,
                           const struct value *v)
{
    struct value *object = cmdline_object(c, section, stem, &v->place);
    bool white = *v->text == '~';
    if (white)
        value_put(object, "whitelist", value_int(c->tree, VALUE_BOOL, 1, &v->place));
    put_list(c, object, "matchers", v->text + white, &v->place);
    return value_text(object, "name");
}

const char *cmdline_resolver(struct cmdline *c, const struct value *v, const char *prefer)
{
    struct value *object = cmdline_object(c, "resolvers", "resolver", &v->place);
    struct value *servers = value_new(c->tree, VALUE_LIST, &v->place);
    for (const char *text = v->text; *text;) {
        size_t len = strcspn(text, ",");
        struct value *server = len ? value_new(c->tree, VALUE_MAP, &v->place) : NULL;
        cmdline_put(c, server, "addr", tree_text(c->tree, text, len), &v->place);
        cmdline_put(c, server, "prefer", prefer, &v->place);
        value_append(servers, server);
        text += len + (text[len] == ',');
    }
    value_put(object, "nameservers", servers);
    return value_text(object, "name");
}

const char *cmdline_hosts(struct cmdline *c, const struct value *v)
{
    struct value *object = cmdline_object(c, "hosts", "hosts", &v->place);
    struct value *mappings = value_new(c->tree, VALUE_LIST, &v->place);
    for (const char *text = v->text; *text;) {
        size_t len = strcspn(text, ","), name_len = strcspn(text, ":,");
        if (name_len < len) {
            struct value *mapping = value_new(c->tree, VALUE_MAP, &v->place);
            cmdline_put(c, mapping, "hostname", tree_text(c->tree, text, name_len), &v->place);
            cmdline_put(c, mapping, "ip",
                        tree_text(c->tree, text + name_len + 1, len - name_len - 1), &v->place);
            value_append(mappings, mapping);
        } else if (len > 0) {
            problems_add(c->problems, PROBLEM_REFUSE, &v->place, "expected name:ip, got \"%.*s\"",
                         (int)(len < 60 ? len : 60), text);
        }
        text += len + (text[len] == ',');
    }
    value_put(object, "mappings", mappings);
    return value_text(object, "name");
}

/* ---- types ---- */

static void warn_type(struct cmdline *c, const struct url *u, const char *what, const char *word,
                      const char *used, const char *const *known)
{
    struct nearest n;
    char hint[80];
    nearest_init(&n, word);
    for (; *known; known++)
        nearest_try(&n, *known);
    problems_add(c->problems, PROBLEM_WARNING, &u->place, "unknown %s \"%s\", using %s%s", what,
                 word, used, nearest_hint(&n, hint, sizeof hint));
}

void cmdline_types(struct cmdline *c, const struct url *u, bool is_service, const char **ret_first,
                   const char **ret_second, bool *ret_is_path)
{
    const char *const *firsts = is_service ? known_handlers : known_connectors;
    const char *const *seconds = is_service ? known_listeners : known_dialers;
    const char *first = u->scheme, *second = u->scheme, *plus = strchr(u->scheme, '+');
    bool is_pair = plus && !strchr(plus + 1, '+');
    if (is_pair) {
        first = tree_text(c->tree, u->scheme, (size_t)(plus - u->scheme));
        second = plus + 1;
    } else if (plus) {
        problems_add(c->problems, PROBLEM_WARNING, &u->place,
                     "a scheme of more than two parts is not known; defaults are used");
        first = second = "";
    }
    if (!first)
        first = "";
    bool is_path = false;
    for (const char *part = u->scheme; *part; part += strspn(part, "+")) {
        size_t len = strcspn(part, "+");
        is_path = is_path || (len == 4 && strncmp(part, "unix", 4) == 0) ||
                  (len == 6 && strncmp(part, "serial", 6) == 0) ||
                  (len == 5 && strncmp(part, "runix", 5) == 0);
        part += len;
    }
    *ret_is_path = is_path;
    bool first_known = word_in(first, firsts), second_known = word_in(second, seconds);
    bool quiet = (!is_pair && (first_known || second_known)) || (plus && !is_pair) ||
                 (!is_pair && strcmp(u->scheme, "auto") == 0);
    const char *first_default = is_service ? "auto" : "http";
    *ret_first = first_known ? first : first_default;
    const char *second_default = strcmp(*ret_first, "ssu") == 0 ? "udp" : "tcp";
    *ret_second = second_known ? second : second_default;
    if (!is_pair && !quiet) {
        warn_type(c, u, "type", first,
                  is_service ? "handler auto, listener tcp" : "connector http, dialer tcp", firsts);
        return;
    }
    if (!first_known && !quiet)
        warn_type(c, u, is_service ? "handler" : "connector", first, first_default, firsts);
    if (!second_known && !quiet)
        warn_type(c, u, is_service ? "listener" : "dialer", second, second_default, seconds);
}

/* ---- all of it ---- */

static const char *trim(struct tree *t, const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    return tree_text(t, text, len);
}

enum rc cmdline_build(struct cmdline *c, const char *const *nodes, size_t n_nodes,
                      const char *const *services, size_t n_services)
{
    struct place at = {n_nodes ? "-F" : "-L", NULL, 0, 0};
    c->config = value_new(c->tree, VALUE_MAP, &at);
    enum rc rc = RC_OK;
    struct value *hops = NULL;
    if (n_nodes > 0) {
        struct value *chain = cmdline_object(c, "chains", "chain", &at);
        c->chain = value_text(chain, "name");
        hops = value_new(c->tree, VALUE_LIST, &at);
        value_put(chain, "hops", hops);
    }
    for (size_t i = 0; i < n_nodes && rc == RC_OK; i++) {
        const char *text = trim(c->tree, nodes[i]);
        const char *name = tree_printf(c->tree, "-F #%zu", i + 1);
        if (!text || !name)
            return RC_NOMEM;
        if (!*text) {
            at.source = name;
            problems_add(c->problems, PROBLEM_FATAL, &at, "empty");
            return RC_INVALID;
        }
        rc = cmdline_node(c, name, text, i, hops);
    }
    size_t made = 0;
    for (size_t i = 0; i < n_services && rc == RC_OK; i++) {
        const char *text = trim(c->tree, services[i]);
        const char *name = tree_printf(c->tree, "-L #%zu", i + 1);
        if (!text || !name)
            return RC_NOMEM;
        if (*text)
            rc = cmdline_service(c, name, text, &made);
    }
    return rc != RC_OK ? rc : tree_ok(c->tree) ? RC_OK : RC_NOMEM;
}

enum rc cmdline_api(struct cmdline *c, const char *name, const char *text, struct value **ret_v)
{
    struct url u;
    text = trim(c->tree, text);
    if (!text)
        return RC_NOMEM;
    enum rc rc = url_parse(c->tree, c->problems, name, *text ? text : ":0", URL_SERVICE, &u);
    if (rc != RC_OK)
        return rc;
    bool is_api = strcmp(name, "-api") == 0, accesslog = false;
    struct value *v = value_new(c->tree, VALUE_MAP, &u.place);
    cmdline_put(c, v, "addr", u.host, &u.place);
    cmdline_put(c, v, is_api ? "pathPrefix" : "path",
                cmdline_take_text(u.query, is_api ? "pathPrefix" : "path"), &u.place);
    const char *log = is_api ? cmdline_take_text(u.query, "accesslog") : NULL;
    if (log && scalar_parse_bool(log, &accesslog) && accesslog)
        value_put(v, "accesslog", value_int(c->tree, VALUE_BOOL, 1, &u.place));
    if (u.has_user) {
        struct value *auth = value_new(c->tree, VALUE_MAP, &u.place);
        cmdline_put(c, auth, "username", u.user, &u.place);
        cmdline_put(c, auth, "password", u.password, &u.place);
        value_put(v, "auth", auth);
    }
    *ret_v = v;
    return tree_ok(c->tree) ? RC_OK : RC_NOMEM;
}
