/* chain/node.c - building and letting go of a node; see the header for what it remembers. */
#include "chain/node.h"
#include "chain/hosts_table.h"
#include "chain/nameserver.h"
#include "chain/resolver.h"
#include "core/loop.h"
#include <stdlib.h>
#include <string.h>

static char *copy_text(const char *text)
{
    return strdup(text != NULL ? text : "");
}

static enum rc init_dialer(struct node *n, const struct node_cfg *cfg, const char *host,
                           struct diag *diag)
{
    if (n->dialer.type->init == NULL)
        return RC_OK;
    return n->dialer.type->init(&n->dialer,
                                &(struct dialer_setup){.loop = cfg->loop,
                                                       .tls = cfg->dialer_tls,
                                                       .node_name = n->name,
                                                       .node_addr = n->addr,
                                                       .node_host = host},
                                diag);
}

static enum rc init_connector(struct node *n, const struct node_cfg *cfg, const char *host,
                              struct diag *diag)
{
    if (n->connector.type->init == NULL)
        return RC_OK;
    return n->connector.type->init(&n->connector,
                                   &(struct connector_setup){.loop = cfg->loop,
                                                             .tls = cfg->connector_tls,
                                                             .node_name = n->name,
                                                             .node_host = host,
                                                             .user = cfg->user,
                                                             .password = cfg->password},
                                   diag);
}

struct node *node_new(const struct node_cfg *cfg, struct diag *diag)
{
    struct node *n = calloc(1, sizeof(*n));
    struct connector connector = {.type = cfg->connector, .cfg = cfg->connector_cfg};
    struct dialer dialer = {.type = cfg->dialer, .cfg = cfg->dialer_cfg};
    if (n == NULL) {
        options_done(connector.type->options, connector.cfg);
        options_done(dialer.type->options, dialer.cfg);
        free(connector.cfg);
        free(dialer.cfg);
        (void)diag_set(diag, RC_NOMEM, "node %s: no memory", cfg->name);
        return NULL;
    }
    *n = (struct node){.refs = 1,
                       .loop = cfg->loop,
                       .name = copy_text(cfg->name),
                       .addr = copy_text(cfg->addr),
                       .connector = connector,
                       .dialer = dialer,
                       .marker = cfg->marker,
                       .proxy_protocol = cfg->proxy_protocol,
                       .bypassed = cfg->bypassed,
                       .bypassed_arg = cfg->bypassed_arg};
    n->marker.fails = 0;
    n->hosts = cfg->hosts != NULL ? hosts_table_ref(cfg->hosts) : NULL;
    n->nameservers = cfg->nameservers != NULL ? nameservers_ref(cfg->nameservers) : NULL;
    if (n->name == NULL || n->addr == NULL || !sockopts_copy(&cfg->so, &n->so)) {
        (void)diag_set(diag, RC_NOMEM, "node %s: no memory", cfg->name);
        goto fail;
    }
    n->addr_ok = target_parse(n->addr, &n->target);
    /* As Go: an address without a host is this machine. */
    if (n->addr_ok && !target_is_name(&n->target) && n->target.addr.family == 0)
        (void)target_set_host(&n->target, "127.0.0.1", strlen("127.0.0.1"), n->target.addr.port);
    if (n->dialer.type->base == DIALER_DIRECT &&
        (n->connector.type->flags & CONNECTOR_DIRECT) == 0) {
        (void)diag_set(diag, RC_INVALID,
                       "node %s: connector %s needs a dialer that reaches the node, not %s",
                       n->name, n->connector.type->name, n->dialer.type->name);
        goto fail;
    }
    char host[TARGET_TEXT_MAX] = "";
    if (n->addr_ok)
        (void)target_format_host(&n->target, host, sizeof(host));
    if (init_dialer(n, cfg, host, diag) != RC_OK || init_connector(n, cfg, host, diag) != RC_OK)
        goto fail;
    return n;
fail:
    node_unref(n);
    return NULL;
}

struct node *node_ref(struct node *n)
{
    n->refs++;
    return n;
}

bool sockopts_copy(const struct sockopts *so, struct sockopts *ret_so)
{
    char *interface = copy_text(so->interface), *netns = copy_text(so->netns);
    if (interface == NULL || netns == NULL) {
        free(interface);
        free(netns);
        return false;
    }
    *ret_so = (struct sockopts){.interface = interface, .mark = so->mark, .netns = netns};
    return true;
}

static void free_const(const char *text)
{
    union {
        const char *in;
        char *out;
    } u = {.in = text};
    free(u.out);
}

void sockopts_drop(struct sockopts *so)
{
    free_const(so->interface);
    free_const(so->netns);
    *so = (struct sockopts){.mark = 0};
}

void node_unref(struct node *n)
{
    if (n == NULL || --n->refs > 0)
        return;
    if (n->connector.type->done != NULL)
        n->connector.type->done(&n->connector);
    if (n->dialer.type->done != NULL)
        n->dialer.type->done(&n->dialer);
    if (n->connector.cfg != NULL && n->connector.type->options != NULL)
        options_done(n->connector.type->options, n->connector.cfg);
    if (n->dialer.cfg != NULL && n->dialer.type->options != NULL)
        options_done(n->dialer.type->options, n->dialer.cfg);
    free(n->connector.cfg);
    free(n->dialer.cfg);
    resolver_unref(n->resolver);
    hosts_table_unref(n->hosts);
    nameservers_unref(n->nameservers);
    free(n->name);
    free(n->addr);
    sockopts_drop(&n->so);
    free(n);
}

bool node_is_direct(const struct node *n)
{
    return (n->connector.type->flags & CONNECTOR_DIRECT) != 0;
}

unsigned node_udp(const struct node *n)
{
    const struct connector_type *t = n->connector.type;
    unsigned now = t->udp != NULL ? t->udp(&n->connector) : t->flags;
    if (n->no_udp_ms != 0 && loop_now_ms(n->loop) - n->no_udp_ms < NODE_UDP_AGAIN_MS)
        return 0;
    return now & (CONNECTOR_UDP_FIXED | CONNECTOR_UDP_ANY | CONNECTOR_UDP_PLAIN);
}

void node_refused_udp(struct node *n)
{
    n->no_udp_ms = loop_now_ms(n->loop);
}

struct resolver *node_resolver(struct node *n)
{
    if (n->resolver == NULL)
        n->resolver = resolver_new(&(struct resolver_cfg){
            .loop = n->loop, .so = n->so, .table = n->hosts, .nameservers = n->nameservers});
    return n->resolver;
}

struct resolver *node_own_resolver(struct node *n)
{
    return n->hosts != NULL || n->nameservers != NULL ? node_resolver(n) : NULL;
}

void node_remember(struct node *n, const struct addr *v, int count)
{
    for (int i = 0; i < count; i++) {
        struct addr a = v[i];
        a.port = n->target.addr.port;
        if (node_has_addr(n, &a))
            continue;
        /* Full: the oldest goes. */
        if (n->n_known == NODE_ADDRS_MAX)
            memmove(n->known, n->known + 1, (size_t)--n->n_known * sizeof(n->known[0]));
        n->known[n->n_known++] = a;
    }
}

bool node_has_addr(const struct node *n, const struct addr *a)
{
    if (!n->addr_ok)
        return false;
    if (!target_is_name(&n->target))
        return addr_equal(&n->target.addr, a);
    for (int i = 0; i < n->n_known; i++)
        if (addr_equal(&n->known[i], a))
            return true;
    return false;
}
