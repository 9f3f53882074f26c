/* configs/model.h - the checked configuration as plain structs, for app to build from.
 *
 * Made by config_load(); immutable; owns everything below it (one arena and the lists in the option
 * structs). Strings are never NULL unless said so: "" is absent. Metadata and tls maps are for
 * options_fill() (configs/check.h) with the plug-in's table; NULL is fine there. References are
 * resolved; missing ones were reported and are NULL or left out.
 */
#ifndef CONFIGS_MODEL_H
#define CONFIGS_MODEL_H

#include "configs/tree.h"
#include "core/addr.h"
#include "core/option.h"
#include "core/rc.h"

struct conf_names { /* names as written, all of them exist unless a problem told */
    const char **v;
    size_t n;
};

struct conf_auth {
    bool given;
    const char *user, *password;
};

struct conf_selector {
    const char *strategy;    /* "": round */
    int64_t max_fails;       /* <= 0: the default */
    int64_t fail_timeout_ms; /* <= 0: the default */
};

/* A bypass or an admission: patterns as written, also empty ones; app/rules.h makes sense of them.
 */
struct conf_rules {
    const char *name, *network, *file;
    bool whitelist;
    const char **patterns;
    const struct place **places; /* of the patterns */
    size_t n;
    uint32_t reload_ms; /* 0: never */
    const struct place *file_place;
    struct place place;
};

struct conf_nameserver {
    const char *addr, *hostname;
    const struct conf_chain *chain; /* NULL: direct */
    int64_t ttl_ms, timeout_ms;     /* as chain/nameserver.h reads them */
    bool prefer_ipv6, v4_only, v6_only;
    struct cidr subnet; /* net.family 0: none */
    struct place place;
};

struct conf_resolver {
    const char *name;
    struct conf_nameserver *servers;
    size_t n;
    struct place place;
};

struct conf_mapping {
    const char *name;
    struct addr addr;
};

struct conf_hosts {
    const char *name, *file; /* file: "" none */
    struct conf_mapping *mappings;
    size_t n;
};

struct conf_auther {
    const char *name;
    struct conf_auth *users; /* of the configuration and of the file */
    size_t n;
};

/* handler, listener, connector, dialer */
struct conf_plugin {
    const char *type; /* a name of type_names; aliases as written */
    const struct value *metadata, *tls;
    struct conf_auth auth;
    struct place place;
};

struct conf_node {
    const char *name, *addr;
    struct conf_plugin connector, dialer;
    struct conf_names bypasses;
    const char *resolver, *hosts;  /* its own, else the hop's */
    const char *interface, *netns; /* gost-config.md 7.5: its own, else the hop's */
    uint32_t mark;
    int64_t weight, max_fails, fail_timeout_ms; /* 0: not given */
    int64_t proxy_protocol;                     /* version of the PROXY header; <= 0: none */
    bool backup;
    struct place place;
};

struct conf_hop {
    const char *name;
    struct conf_selector selector;
    struct conf_names bypasses;
    struct conf_node *nodes;
    size_t n;
    struct place place;
};

struct conf_chain {
    const char *name;
    const struct conf_hop **hops; /* inline, or of the top-level list; ends before a missing one */
    size_t n;
    struct place place;
};

struct conf_target {
    const char *name, *addr, *network;
    struct conf_names bypasses;
};

struct conf_forwarder {
    struct conf_selector selector;
    struct conf_target *targets;
    size_t n;
};

/* services[].metadata by service_options */
struct conf_service_options {
    char *interface;
    char *netns, *netns_out; /* of the listener; of direct connections: NULL as the listener's */
    int64_t mark, dial_timeout_ms, proxy_protocol;
    bool ignore_chain;
    struct strlist pre_up, post_up, pre_down, post_down;
    struct { /* keys without effect yet are read to here */
        char *text;
        int64_t num;
        bool yes;
        struct strmap map;
    } unused;
};

struct conf_service {
    const char *name, *addr;
    struct conf_plugin handler, listener;
    int64_t retries;
    const struct conf_chain *chain;     /* of the handler; NULL: direct */
    const struct conf_auther **authers; /* any one is enough; none: auth counts, if given */
    size_t n_authers;
    struct conf_names bypasses;
    struct conf_names admissions; /* one that is missing lets nobody in */
    const char *resolver, *hosts;
    struct conf_forwarder forwarder;
    const char *interface; /* metadata.interface, else the old field */
    const char *netns_out; /* of direct connections; NULL: ours */
    uint32_t mark;
    struct conf_service_options options;
    struct place place;
};

struct conf_log {
    const char *output, *level, *format; /* "": the default */
};

struct config {
    struct conf_service *services;
    struct conf_chain *chains;
    struct conf_hop *hops; /* the top-level ones */
    struct conf_auther *authers;
    struct conf_rules *bypasses, *admissions;
    struct conf_resolver *resolvers;
    struct conf_hosts *hosts;
    size_t n_services, n_chains, n_hops, n_authers, n_bypasses, n_admissions, n_resolvers, n_hosts;
    struct conf_log log;
    const struct value *tls; /* the global server certificate, or NULL */
    struct tree *tree;
    const struct value *root; /* what -O prints */
};

void config_free(struct config *cfg); /* NULL is fine */

/* What a list without any pattern does, in words. */
const char *conf_rules_when_empty(const struct conf_rules *r, bool is_bypass);

/* ---- what the caller serves ---- */

enum config_feature {
    CONFIG_BYPASS = 1, /* bypass references are honoured */
    CONFIG_RESOLVER = 2,
    CONFIG_HOSTS = 4,
    CONFIG_ADMISSION = 8,
};

struct type_entry {
    const char *name, *aliases; /* aliases: comma list or NULL */
    const struct option *options;
};

struct type_names {
    const struct type_entry *handlers, *listeners, *connectors, *dialers; /* ended by name NULL */
    const struct option *tls_client, *tls_server; /* of tls maps; NULL: not checked */
    unsigned features;
};

const struct type_entry *type_find(const struct type_entry *table, const char *name);

extern const struct option service_options[], hop_options[], node_options[];

#endif
