/* configs/model_names.c - resolvers and hosts (gost-config.md 3.12). What can't be used is left out
 * with an error, as in GOST: a service goes on with the rest.
 */
#include "configs/build.h"
#include <string.h>

enum { SUBNET_BITS_V4 = 24, SUBNET_BITS_V6 = 128 };

/* "ip4", "ipv4" or "ip6", "ipv6"; "": neither. */
static int family_word(struct maker *m, const struct value *server, const char *key)
{
    const struct value *v = value_get(server, key);
    const char *word = v && v->kind == VALUE_STRING ? v->text : "";
    if (strcmp(word, "ip4") == 0 || strcmp(word, "ipv4") == 0)
        return 4;
    if (strcmp(word, "ip6") == 0 || strcmp(word, "ipv6") == 0)
        return 6;
    if (*word)
        problems_add(m->problems, PROBLEM_WARNING, &v->place,
                     "%s \"%s\" is neither ipv4 nor ipv6 and is ignored", key, word);
    return 0;
}

static void make_server(struct maker *m, const struct value *v, struct conf_nameserver *to)
{
    const char *client = value_text(v, "clientIP");
    int only = family_word(m, v, "only");
    *to = (struct conf_nameserver){
        .addr = value_text(v, "addr"),
        .hostname = value_text(v, "hostname"),
        .chain = make_find_chain(m, v, "its questions go out directly"),
        .ttl_ms = make_num(v, "ttl") / 1000000,
        .timeout_ms = make_num(v, "timeout") / 1000000,
        .prefer_ipv6 = family_word(m, v, "prefer") == 6,
        .v4_only = only == 4,
        .v6_only = only == 6,
        .place = v->place,
    };
    if (make_num(v, "ttl") < 0)
        to->ttl_ms = -1;
    if (*client && !addr_parse_ip(client, strlen(client), &to->subnet.net))
        problems_add(m->problems, PROBLEM_ERROR, &v->place,
                     "clientIP \"%.60s\" is not an address and is ignored", client);
    to->subnet.bits = to->subnet.net.family == AF_INET ? SUBNET_BITS_V4 : SUBNET_BITS_V6;
    if (to->subnet.net.family == AF_INET)
        to->subnet.net.ip[3] = 0;
    if (make_num(v, "async"))
        problems_add(m->problems, PROBLEM_WARNING, &v->place,
                     "async is not served yet: an answer past its time is asked for again");
}

void make_resolvers(struct maker *m, const struct value *root)
{
    const struct value *list = value_get(root, "resolvers");
    struct conf_resolver *v = make_array(m, list, sizeof *v);
    m->cfg->resolvers = v;
    value_each(item, list)
    {
        if (!v || item->kind != VALUE_MAP)
            continue;
        const struct value *servers = value_get(item, "nameservers");
        struct conf_resolver *r = &v[m->cfg->n_resolvers++];
        *r = (struct conf_resolver){.name = value_text(item, "name"), .place = item->place};
        r->servers = make_array(m, servers, sizeof *r->servers);
        value_each(server, servers)
        {
            if (r->servers && server->kind == VALUE_MAP && *value_text(server, "addr"))
                make_server(m, server, &r->servers[r->n++]);
        }
    }
}

static void add_mapping(struct maker *m, const struct value *item, const char *name,
                        const struct addr *a, struct conf_hosts *to)
{
    size_t len = strlen(name);
    if (len == 0 || len > TARGET_NAME_MAX)
        problems_add(m->problems, PROBLEM_ERROR, &item->place,
                     "a mapping without a name, or with one that is too long, is left out");
    else
        to->mappings[to->n++] = (struct conf_mapping){name, *a};
}

static void make_mapping(struct maker *m, const struct value *item, struct conf_hosts *to)
{
    const char *ip = value_text(item, "ip");
    struct addr a;
    if (!addr_parse_ip(ip, strlen(ip), &a)) {
        problems_add(m->problems, PROBLEM_ERROR, &item->place,
                     "ip \"%.60s\" is not an address: the mapping is left out", ip);
        return;
    }
    add_mapping(m, item, value_text(item, "hostname"), &a, to);
    value_each(alias, value_get(item, "aliases"))
    {
        if (alias->kind == VALUE_STRING)
            add_mapping(m, item, alias->text, &a, to);
    }
}

void make_hosts(struct maker *m, const struct value *root)
{
    const struct value *list = value_get(root, "hosts");
    struct conf_hosts *v = make_array(m, list, sizeof *v);
    m->cfg->hosts = v;
    value_each(item, list)
    {
        if (!v || item->kind != VALUE_MAP)
            continue;
        const struct value *file = value_get(item, "file"), *mappings = value_get(item, "mappings");
        struct conf_hosts *h = &v[m->cfg->n_hosts++];
        size_t n = 0;
        *h = (struct conf_hosts){.name = value_text(item, "name"),
                                 .file = file ? value_text(file, "path") : ""};
        value_each(mapping, mappings)
        {
            const struct value *aliases =
                mapping->kind == VALUE_MAP ? value_get(mapping, "aliases") : NULL;
            n += 1 + (aliases ? aliases->n : 0);
        }
        h->mappings = tree_alloc(m->tree, (n + 1) * sizeof *h->mappings);
        if (!h->mappings) {
            m->rc = RC_NOMEM;
            return;
        }
        value_each(mapping, mappings)
        {
            if (mapping->kind == VALUE_MAP)
                make_mapping(m, mapping, h);
        }
    }
}
