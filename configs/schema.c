/* configs/schema.c - the tables of sections and fields. */
#include "configs/schema.h"
#include <string.h>
#include <strings.h>

#define FIELDS(...)                                                                                \
    (const struct field[])                                                                         \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            .name = NULL                                                                           \
        }                                                                                          \
    }
#define STR(name, flags)                                                                           \
    {                                                                                              \
        name, FIELD_STRING, flags, NULL                                                            \
    }
#define INT(name, flags)                                                                           \
    {                                                                                              \
        name, FIELD_INT, flags, NULL                                                               \
    }
#define BOOL(name, flags)                                                                          \
    {                                                                                              \
        name, FIELD_BOOL, flags, NULL                                                              \
    }
#define DUR(name, flags)                                                                           \
    {                                                                                              \
        name, FIELD_DURATION, flags, NULL                                                          \
    }
#define LIST(name, flags)                                                                          \
    {                                                                                              \
        name, FIELD_STRINGS, flags, NULL                                                           \
    }
#define OBJ(name, flags, s)                                                                        \
    {                                                                                              \
        name, FIELD_OBJECT, flags, s                                                               \
    }
#define OBJS(name, flags, s)                                                                       \
    {                                                                                              \
        name, FIELD_OBJECTS, flags, s                                                              \
    }
#define STRMAP(name, flags)                                                                        \
    {                                                                                              \
        name, FIELD_STRMAP, flags, NULL                                                            \
    }
#define METADATA(name, flags)                                                                      \
    {                                                                                              \
        name, FIELD_ANYMAP, flags, NULL                                                            \
    }
#define LATER  FIELD_LATER
#define UNSAFE FIELD_UNSAFE
#define ALWAYS FIELD_ALWAYS

/* ---- shared by several sections ---- */

static const struct schema schema_auth = {
    "auth", FIELDS(STR("username", 0), STR("password", 0), STR("file", 0))};

static const struct schema schema_tls_options = {
    "tls options",
    FIELDS(STR("minVersion", 0), STR("maxVersion", 0), LIST("cipherSuites", 0), LIST("alpn", 0))};

static const struct schema schema_tls = {
    "tls", FIELDS(STR("certFile", 0), STR("keyFile", 0), STR("caFile", 0), BOOL("secure", 0),
                  STR("serverName", 0), OBJ("options", 0, &schema_tls_options), DUR("validity", 0),
                  STR("commonName", 0), STR("organization", 0), BOOL("rejectUnknownSNI", 0),
                  LIST("serverNames", 0), STR("pin", 0))}; /* ours: digest of the peer's key */

static const struct schema schema_plugin = {
    "plugin", FIELDS(STR("type", ALWAYS), STR("addr", ALWAYS), OBJ("tls", 0, &schema_tls),
                     DUR("timeout", 0), STR("token", 0))};

static const struct schema schema_file = {"file", FIELDS(STR("path", ALWAYS))};

static const struct schema schema_redis = {"redis", FIELDS(STR("addr", ALWAYS), INT("db", 0),
                                                           STR("username", 0), STR("password", 0),
                                                           STR("key", 0), STR("type", 0))};

static const struct schema schema_http = {"http", FIELDS(STR("url", ALWAYS), DUR("timeout", 0))};

static const struct schema schema_selector = {
    "selector", FIELDS(STR("strategy", ALWAYS), INT("maxFails", ALWAYS), DUR("failTimeout", ALWAYS),
                       DUR("maxLatency", LATER))};

static const struct schema schema_sockopts = {"sockopts", FIELDS(INT("mark", 0))};

static const struct schema schema_matcher = {
    "matcher", FIELDS(STR("rule", 0), INT("priority", 0), INT("bodySize", 0))};

static const struct schema schema_filter = {
    "filter", FIELDS(STR("host", 0), STR("protocol", 0), STR("path", 0))};

static const struct schema schema_probe = {
    "probe", FIELDS(STR("type", ALWAYS), STR("addr", ALWAYS), DUR("interval", ALWAYS),
                    DUR("timeout", ALWAYS), STR("httpPath", 0), STR("httpHost", 0),
                    STRMAP("httpHeaders", 0), INT("expectedStatus", 0), STR("command", 0))};

static const struct schema schema_chain_entry = {
    "chain group entry",
    FIELDS(STR("chain", 0), OBJ("matcher", 0, &schema_matcher), OBJ("probe", 0, &schema_probe))};

static const struct schema schema_chain_group = {
    "chainGroup",
    FIELDS(OBJS("chains", FIELD_SHORT, &schema_chain_entry), OBJ("selector", 0, &schema_selector))};

/* ---- services ---- */

static const struct schema schema_handler = {
    "handler", FIELDS(STR("type", ALWAYS), INT("retries", 0), STR("chain", 0),
                      OBJ("chainGroup", UNSAFE, &schema_chain_group), STR("auther", 0),
                      LIST("authers", 0), OBJ("auth", 0, &schema_auth), OBJ("tls", 0, &schema_tls),
                      STR("limiter", UNSAFE), STR("observer", LATER), METADATA("metadata", 0))};

static const struct schema schema_listener = {
    "listener",
    FIELDS(STR("type", ALWAYS), STR("chain", 0), OBJ("chainGroup", LATER, &schema_chain_group),
           STR("auther", LATER), LIST("authers", LATER), OBJ("auth", LATER, &schema_auth),
           OBJ("tls", 0, &schema_tls), METADATA("metadata", 0))};

static const struct schema schema_url_rewrite = {
    "rewrite", FIELDS(STR("match", ALWAYS), STR("replacement", ALWAYS))};

static const struct schema schema_body_rewrite = {
    "body rewrite", FIELDS(STR("type", ALWAYS), STR("match", ALWAYS), STR("replacement", ALWAYS),
                           STR("rewriter", 0), INT("maxChunkSize", 0))};

static const struct schema schema_http_node = {
    "http",
    FIELDS(STR("host", 0), STRMAP("header", 0), STRMAP("requestHeader", 0),
           STRMAP("responseHeader", 0), OBJS("rewrite", 0, &schema_url_rewrite),
           OBJS("rewriteURL", 0, &schema_url_rewrite), OBJS("rewriteBody", 0, &schema_body_rewrite),
           OBJS("rewriteRequestBody", 0, &schema_body_rewrite),
           OBJS("rewriteResponseBody", 0, &schema_body_rewrite), STR("failCodes", 0),
           OBJ("auth", UNSAFE, &schema_auth))};

static const struct schema schema_tls_node = {
    "tls", FIELDS(STR("serverName", 0), BOOL("secure", 0), OBJ("options", 0, &schema_tls_options))};

static const struct schema schema_forward_node = {
    "forwarder node",
    FIELDS(STR("name", 0), STR("addr", 0), STR("network", 0), STR("bypass", 0), LIST("bypasses", 0),
           STR("protocol", UNSAFE), STR("host", UNSAFE), STR("path", UNSAFE),
           OBJ("filter", UNSAFE, &schema_filter), OBJ("matcher", UNSAFE, &schema_matcher),
           OBJ("auth", UNSAFE, &schema_auth), OBJ("http", LATER, &schema_http_node),
           OBJ("tls", LATER, &schema_tls_node), OBJ("probe", LATER, &schema_probe),
           METADATA("metadata", 0))};

static const struct schema schema_forward_hop = {
    "forwarder hop",
    FIELDS(STR("hop", 0), OBJ("matcher", 0, &schema_matcher), OBJ("probe", 0, &schema_probe))};

static const struct schema schema_hop_group = {
    "hopGroup", FIELDS(OBJS("hops", 0, &schema_forward_hop), OBJ("selector", 0, &schema_selector))};

static const struct schema schema_forwarder = {"forwarder",
                                               FIELDS(STR("name", UNSAFE), STR("hop", UNSAFE),
                                                      OBJ("selector", 0, &schema_selector),
                                                      OBJS("nodes", ALWAYS, &schema_forward_node),
                                                      OBJ("hopGroup", UNSAFE, &schema_hop_group))};

static const struct schema schema_recorder_ref = {
    "recorder", FIELDS(STR("name", ALWAYS), STR("record", ALWAYS), METADATA("metadata", 0))};

static const struct schema schema_event = {"event",
                                           FIELDS(INT("time", ALWAYS), STR("msg", ALWAYS))};

static const struct schema schema_stats = {
    "stats",
    FIELDS(INT("totalConns", ALWAYS), INT("currentConns", ALWAYS), INT("totalErrs", ALWAYS),
           INT("inputBytes", ALWAYS), INT("outputBytes", ALWAYS))};

static const struct schema schema_status = {
    "status",
    FIELDS(INT("createTime", ALWAYS), STR("state", ALWAYS), OBJS("events", 0, &schema_event),
           OBJ("stats", 0, &schema_stats), BOOL("stoppedByLimit", 0))};

static const struct schema schema_service = {
    "service", FIELDS(STR("name", ALWAYS), STR("addr", 0), STR("interface", 0),
                      OBJ("sockopts", 0, &schema_sockopts), STR("admission", 0),
                      LIST("admissions", 0), STR("bypass", 0), LIST("bypasses", 0),
                      STR("resolver", 0), STR("hosts", 0), STR("limiter", UNSAFE),
                      LIST("quotas", UNSAFE), STR("climiter", UNSAFE), STR("rlimiter", UNSAFE),
                      STR("logger", LATER), LIST("loggers", LATER), STR("observer", LATER),
                      STR("rewriter", LATER), OBJS("recorders", LATER, &schema_recorder_ref),
                      STR("cache", LATER), OBJ("handler", 0, &schema_handler),
                      OBJ("listener", 0, &schema_listener), OBJ("forwarder", 0, &schema_forwarder),
                      METADATA("metadata", 0), OBJ("status", FIELD_NOOP, &schema_status))};

/* ---- chains, hops, nodes ---- */

static const struct schema schema_connector = {
    "connector", FIELDS(STR("type", ALWAYS), OBJ("auth", 0, &schema_auth),
                        OBJ("tls", 0, &schema_tls), METADATA("metadata", 0))};

static const struct schema schema_dialer = {
    "dialer", FIELDS(STR("type", ALWAYS), OBJ("auth", 0, &schema_auth), OBJ("tls", 0, &schema_tls),
                     METADATA("metadata", 0))};

static const struct schema schema_node = {
    "node", FIELDS(STR("name", ALWAYS), STR("addr", 0), STR("network", 0), STR("bypass", 0),
                   LIST("bypasses", 0), STR("resolver", 0), STR("hosts", 0),
                   OBJ("connector", 0, &schema_connector), OBJ("dialer", 0, &schema_dialer),
                   STR("interface", 0), STR("netns", 0), OBJ("sockopts", 0, &schema_sockopts),
                   OBJ("filter", UNSAFE, &schema_filter), OBJ("matcher", UNSAFE, &schema_matcher),
                   OBJ("http", LATER, &schema_http_node), OBJ("tls", LATER, &schema_tls_node),
                   OBJ("probe", LATER, &schema_probe), METADATA("metadata", 0))};

static const struct schema schema_hop = {
    "hop", FIELDS(STR("name", ALWAYS), STR("interface", 0), OBJ("sockopts", 0, &schema_sockopts),
                  OBJ("selector", 0, &schema_selector), STR("bypass", 0), LIST("bypasses", 0),
                  STR("resolver", 0), STR("hosts", 0), OBJS("nodes", 0, &schema_node),
                  DUR("reload", LATER), OBJ("file", UNSAFE, &schema_file),
                  OBJ("redis", UNSAFE, &schema_redis), OBJ("http", UNSAFE, &schema_http),
                  OBJ("plugin", UNSAFE, &schema_plugin), METADATA("metadata", 0))};

/* `selector` stands in GOST's documents and sample file but not in its code */
static const struct schema schema_chain = {
    "chain", FIELDS(STR("name", ALWAYS), OBJS("hops", ALWAYS, &schema_hop), METADATA("metadata", 0),
                    OBJ("selector", FIELD_NOOP | FIELD_HIDDEN, &schema_selector))};

/* ---- named objects ---- */

#define LOADERS(flags) RELOADERS(LATER, flags)
#define RELOADERS(reload, flags)                                                                   \
    DUR("reload", reload), OBJ("file", 0, &schema_file), OBJ("redis", flags, &schema_redis),       \
        OBJ("http", flags, &schema_http), OBJ("plugin", flags, &schema_plugin)

static const struct schema schema_auther = {
    "auther", FIELDS(STR("name", ALWAYS), OBJS("auths", 0, &schema_auth), LOADERS(UNSAFE))};

static const struct schema schema_bypass = {
    "bypass", FIELDS(STR("name", ALWAYS), BOOL("reverse", 0), BOOL("whitelist", 0),
                     STR("network", 0), LIST("matchers", 0), RELOADERS(0, UNSAFE))};

static const struct schema schema_admission = {
    "admission", FIELDS(STR("name", ALWAYS), BOOL("reverse", 0), BOOL("whitelist", 0),
                        LIST("matchers", 0), RELOADERS(0, UNSAFE))};

static const struct schema schema_nameserver = {
    "nameserver", FIELDS(STR("addr", ALWAYS), STR("chain", 0), STR("prefer", 0), STR("clientIP", 0),
                         STR("hostname", 0), DUR("ttl", 0), DUR("timeout", 0), BOOL("async", LATER),
                         STR("only", 0))};

static const struct schema schema_resolver = {
    "resolver", FIELDS(STR("name", ALWAYS), OBJS("nameservers", 0, &schema_nameserver),
                       OBJ("plugin", LATER, &schema_plugin))};

static const struct schema schema_mapping = {
    "mapping", FIELDS(STR("ip", ALWAYS), STR("hostname", ALWAYS), LIST("aliases", 0))};

static const struct schema schema_hosts = {
    "hosts", FIELDS(STR("name", ALWAYS), OBJS("mappings", 0, &schema_mapping), DUR("reload", 0),
                    OBJ("file", 0, &schema_file), OBJ("redis", LATER, &schema_redis),
                    OBJ("http", LATER, &schema_http), OBJ("plugin", LATER, &schema_plugin))};

static const struct schema schema_ingress_rule = {
    "rule", FIELDS(STR("hostname", ALWAYS), STR("endpoint", ALWAYS))};

static const struct schema schema_ingress = {
    "ingress", FIELDS(STR("name", ALWAYS), OBJS("rules", 0, &schema_ingress_rule), LOADERS(0))};

static const struct schema schema_route = {
    "route", FIELDS(STR("net", 0), STR("dst", 0), STR("gateway", ALWAYS))};

static const struct schema schema_router = {
    "router", FIELDS(STR("name", ALWAYS), OBJS("routes", 0, &schema_route), LOADERS(0))};

static const struct schema schema_with_plugin = {
    "object", FIELDS(STR("name", ALWAYS), OBJ("plugin", 0, &schema_plugin))};

static const struct schema schema_rotation = {
    "rotation", FIELDS(INT("maxSize", 0), INT("maxAge", 0), INT("maxBackups", 0),
                       BOOL("localTime", 0), BOOL("compress", 0))};

static const struct schema schema_file_recorder = {
    "file", FIELDS(STR("path", ALWAYS), STR("sep", 0), OBJ("rotation", 0, &schema_rotation))};

static const struct schema schema_tcp_recorder = {
    "tcp", FIELDS(STR("addr", ALWAYS), DUR("timeout", ALWAYS))};

static const struct schema schema_http_recorder = {
    "http", FIELDS(STR("url", ALWAYS), DUR("timeout", 0), STRMAP("header", 0))};

static const struct schema schema_recorder = {
    "recorder", FIELDS(STR("name", ALWAYS), OBJ("file", 0, &schema_file_recorder),
                       OBJ("tcp", 0, &schema_tcp_recorder), OBJ("http", 0, &schema_http_recorder),
                       OBJ("redis", 0, &schema_redis), OBJ("plugin", 0, &schema_plugin))};

static const struct schema schema_memory_cache = {
    "memory", FIELDS(DUR("ttl", 0), INT("maxSize", 0), INT("maxBytes", 0),
                     DUR("cleanupInterval", 0), STR("eviction", 0))};

static const struct schema schema_redis_cache = {
    "redis", FIELDS(STR("addr", ALWAYS), INT("db", 0), STR("username", 0), STR("password", 0),
                    DUR("ttl", 0), STR("key", 0))};

static const struct schema schema_cache = {"cache", FIELDS(STR("name", ALWAYS),
                                                           OBJ("memory", 0, &schema_memory_cache),
                                                           OBJ("redis", 0, &schema_redis_cache))};

static const struct schema schema_limiter = {
    "limiter", FIELDS(STR("name", ALWAYS), LIST("limits", 0), LOADERS(0))};

static const struct schema schema_quota_redis = {
    "redis", FIELDS(STR("addr", ALWAYS), INT("db", 0), STR("username", 0), STR("password", 0),
                    STR("key", 0))};

static const struct schema schema_quota_store = {
    "store", FIELDS(STR("type", ALWAYS), STR("file", 0), OBJ("redis", 0, &schema_quota_redis))};

static const struct schema schema_quota = {
    "quota", FIELDS(STR("name", ALWAYS), STR("limit", 0), STR("startsAt", 0), STR("expiresAt", 0),
                    STR("direction", 0), STR("flush", 0), OBJ("store", 0, &schema_quota_store))};

static const struct schema schema_log = {"log",
                                         FIELDS(STR("output", 0), STR("level", 0), STR("format", 0),
                                                OBJ("rotation", LATER, &schema_rotation))};

static const struct schema schema_logger = {
    "logger", FIELDS(STR("name", ALWAYS), OBJ("log", 0, &schema_log))};

static const struct schema schema_profiling = {"profiling", FIELDS(STR("addr", ALWAYS))};

static const struct schema schema_api = {
    "api", FIELDS(STR("addr", ALWAYS), STR("pathPrefix", 0), BOOL("accesslog", 0),
                  OBJ("auth", 0, &schema_auth), STR("auther", 0))};

static const struct schema schema_metrics = {
    "metrics",
    FIELDS(STR("addr", ALWAYS), STR("path", 0), OBJ("auth", 0, &schema_auth), STR("auther", 0))};

/* Sections that only matter where they are referred to carry no flag: the reference does. */
const struct schema schema_config = {
    "configuration",
    FIELDS(OBJS("services", ALWAYS, &schema_service), OBJS("chains", 0, &schema_chain),
           OBJS("hops", 0, &schema_hop), OBJS("authers", 0, &schema_auther),
           OBJS("admissions", 0, &schema_admission), OBJS("bypasses", 0, &schema_bypass),
           OBJS("resolvers", 0, &schema_resolver), OBJS("hosts", 0, &schema_hosts),
           OBJS("ingresses", LATER, &schema_ingress), OBJS("routers", LATER, &schema_router),
           OBJS("sds", LATER, &schema_with_plugin), OBJS("recorders", LATER, &schema_recorder),
           OBJS("rewriters", LATER, &schema_with_plugin), OBJS("caches", LATER, &schema_cache),
           OBJS("limiters", 0, &schema_limiter), OBJS("quotas", 0, &schema_quota),
           OBJS("climiters", 0, &schema_limiter), OBJS("rlimiters", 0, &schema_limiter),
           OBJS("observers", LATER, &schema_with_plugin), OBJS("loggers", LATER, &schema_logger),
           OBJ("tls", 0, &schema_tls), OBJ("log", 0, &schema_log),
           OBJ("profiling", LATER, &schema_profiling), OBJ("api", UNSAFE, &schema_api),
           OBJ("metrics", UNSAFE, &schema_metrics))};

const struct field *schema_field(const struct schema *s, const char *name)
{
    for (const struct field *f = s->fields; f->name; f++) {
        if (strcasecmp(f->name, name) == 0)
            return f;
    }
    return NULL;
}

void schema_unknown(const struct schema *s, const struct value *item, enum severity severity,
                    struct problems *p)
{
    struct nearest n;
    char hint[80], shown[KEY_SHOWN_MAX];
    nearest_init(&n, item->key_text);
    for (const struct field *f = s->fields; f->name; f++)
        nearest_try(&n, f->name);
    (void)nearest_hint(&n, hint, sizeof hint);
    if (item->kind == VALUE_NULL && strchr(item->key_text, ':')) {
        problems_add(p, severity, &item->place,
                     "unknown key \"%s\" in %s; a blank goes behind the colon",
                     key_shown(item->key_text, shown), s->what);
        return;
    }
    problems_add(p, severity, &item->place, "unknown key \"%s\" in %s%s",
                 key_shown(item->key_text, shown), s->what,
                 *hint || !schema_field(s, "metadata") ? hint
                                                       : "; options of a type stand in metadata");
}
