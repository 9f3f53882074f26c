/* handlers/tungodns.c - whose name an address is; the life of pool, map and kept answers. See
 * tungodns.h.
 */
#include "bypass/matcher.h"
#include "bypass/pattern.h"
#include "chain/nameserver.h"
#include "chain/unreal.h"
#include "core/log.h"
#include "handlers/tungodns_inside.h"
#include "listeners/tungo/tungo.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DNS_PORT = 53 };

/* ---------------------------------------------------------------- names of flows */

/* This machine is one client, whichever of the device's addresses it speaks from: it may ask by
 * IPv4 for what it connects to by IPv6. */
struct addr tungodns_who(const struct tungodns *d, const struct addr *client)
{
    const struct netlist *own = d->setup.tungo ? tungo_nets(d->setup.tungo) : NULL;

    for (size_t i = 0; own && i < own->n; i++)
        if (addr_same_ip(&own->v[i].net, client))
            return own->v[0].net;
    return *client;
}

enum tungodns_known tungodns_name(struct tungodns *d, const struct addr *client,
                                  const struct addr *dst, struct target *ret_name)
{
    const char *name = NULL;
    bool sure = true;

    if (!d)
        return KNOWN_NOTHING;
    const struct addr who = tungodns_who(d, client);
    bool fake = d->pool && fakepool_has(d->pool, dst);
    if (fake) {
        fakepool_at(d->pool, &who, loop_now_ms(d->setup.loop));
        name = fakepool_name(d->pool, dst);
    } else if (d->map)
        name = dnsmap_find(d->map, &who, dst, loop_now_ms(d->setup.loop), &sure);
    if (!name) {
        d->stats.stale += fake;
        return fake ? KNOWN_STALE : KNOWN_NOTHING;
    }
    *ret_name = (struct target){.addr = *dst};
    if (fake)
        ret_name->addr = (struct addr){.port = dst->port};
    (void)snprintf(ret_name->name, sizeof ret_name->name, "%s", name);
    return fake ? KNOWN_FAKE : sure ? KNOWN_NAME : KNOWN_LIKELY;
}

bool tungodns_takes_udp(const struct tungodns *d, const struct addr *dst)
{
    return d && dst->port == DNS_PORT;
}

bool tungodns_takes_tcp(const struct tungodns *d, const struct addr *dst)
{
    return d && dst->port == DNS_PORT && (d->options->hijack || d->pool);
}

/* ---------------------------------------------------------------- life */

/* The record of the pool is written with the turn's other jobs. */
static void on_flush(struct job *job)
{
    struct tungodns *d = LIST_OWNER(job, struct tungodns, flush);
    struct diag diag = {.rc = RC_OK};

    if (fakefile_flush(d->file, &diag) != RC_OK && diag.rc != RC_OK)
        log_warn("%s: fake addresses are not recorded any more: %s", d->setup.service, diag.text);
}

/* A record that can't be kept is no reason not to serve. */
static void open_record(struct tungodns *d)
{
    const char *state = getenv("STATE_DIRECTORY"), *service = d->setup.service;
    struct fakefile_found found;
    struct diag diag = {.rc = RC_OK};
    char path[512];

    if (d->options->fake_file && strcmp(d->options->fake_file, "none") == 0)
        return;
    if (d->options->fake_file)
        (void)snprintf(path, sizeof path, "%s", d->options->fake_file);
    else
        (void)snprintf(path, sizeof path, "%s/%s.fake", state && *state ? state : "/var/lib/cgost",
                       service);
    if (!d->options->fake_file && strchr(service, '/')) {
        log_warn("%s: fake addresses will not outlive a restart: the service's name is no name of "
                 "a file; set `dns.fake.file`",
                 service);
        return;
    }
    if (fakefile_open(path, d->pool, &d->file, &found, &diag) != RC_OK) {
        log_warn("%s: fake addresses will not outlive a restart: %s; see `dns.fake.file`", service,
                 diag.text);
        return;
    }
    if (found.set_aside)
        log_warn("%s: %s was not a record of fake addresses: it is now %s.bad", service, path,
                 path);
    if (found.spoiled)
        log_warn("%s: %s: %zu lines could not be used; %zu names have their addresses back",
                 service, path, found.spoiled, found.names);
}

static enum rc check_nets(const struct tungodns *d, struct diag *diag)
{
    const struct netlist *own = d->setup.tungo ? tungo_nets(d->setup.tungo) : NULL;
    char fake[ADDR_TEXT_MAX], net[ADDR_TEXT_MAX];

    for (size_t i = 0; i < d->options->fake.n; i++) {
        const struct cidr *f = &d->options->fake.v[i];
        for (size_t k = 0; own && k < own->n; k++) {
            const struct cidr *o = &own->v[k];
            if (cidr_has(f, &o->net) || cidr_has(o, &f->net))
                return diag_set(diag, RC_INVALID,
                                "dns.fake %s/%u and the device's own net %s/%u overlap: flows "
                                "into that are dropped; take another one for either",
                                addr_format_ip(&f->net, fake, sizeof fake), f->bits,
                                addr_format_ip(&o->net, net, sizeof net), o->bits);
        }
    }
    return RC_OK;
}

static enum rc add_excepted(struct tungodns *d, const char *text, struct diag *diag)
{
    struct pattern p;
    bool ignored = false;
    const char *doubt = pattern_doubt(text, strlen(text), false, &ignored);

    pattern_parse(text, strlen(text), &p);
    if (!doubt && p.kind == PATTERN_ADDRS)
        doubt = "names are meant";
    if (doubt)
        return diag_set(diag, RC_INVALID, "dns.fake.except: \"%.80s\": %s", text, doubt);
    return matcher_add(d->except, &p, 0) == RC_OK ? RC_OK
                                                  : diag_set(diag, RC_NOMEM, "dns.fake.except");
}

static enum rc set_up_except(struct tungodns *d, struct diag *diag)
{
    const struct strlist *list = &d->options->fake_except;
    enum rc rc = RC_OK;

    if (list->n == 0)
        return RC_OK;
    d->except = matcher_new();
    if (!d->except)
        return diag_set(diag, RC_NOMEM, "no memory");
    for (size_t i = 0; i < list->n && rc == RC_OK; i++)
        rc = add_excepted(d, list->v[i], diag);
    matcher_finish(d->except);
    return rc;
}

static enum rc set_up_fake(struct tungodns *d, struct diag *diag)
{
    const struct tungodns_options *o = d->options;
    enum rc rc = fakepool_new(o->fake.v, o->fake.n, &d->pool, diag);

    if (rc == RC_OK)
        rc = check_nets(d, diag);
    if (rc == RC_OK)
        rc = set_up_except(d, diag);
    if (rc != RC_OK)
        return rc;
    for (; d->n_unreal < o->fake.n && unreal_add(&o->fake.v[d->n_unreal]); d->n_unreal++)
        ;
    if (d->n_unreal < o->fake.n)
        return diag_set(diag, RC_LIMIT, "dns.fake: too many ranges in all services");
    open_record(d);
    return RC_OK;
}

static enum rc set_up(struct tungodns *d, struct diag *diag)
{
    const struct tungodns_options *o = d->options;

    if (o->hijack && !router_nameservers(d->setup.router))
        return diag_set(diag, RC_INVALID,
                        "dns.hijack has nobody to ask: set `resolver` on the service");
    if (o->cache && !(d->answers = answers_new()))
        return diag_set(diag, RC_NOMEM, "no memory");
    if (o->map && !(d->map = dnsmap_new()))
        return diag_set(diag, RC_NOMEM, "no memory");
    if (o->fake.n > 0)
        return set_up_fake(d, diag);
    if (o->fake_file || o->fake_except.n > 0)
        return diag_set(diag, RC_INVALID, "dns.fake.%s without dns.fake",
                        o->fake_file ? "file" : "except");
    return RC_OK;
}

enum rc tungodns_new(const struct handler_setup *setup, const struct tungodns_options *options,
                     bool names_rule, struct tungodns **ret_d, struct diag *diag)
{
    struct tungodns *d;
    enum rc rc;

    if (!options->cache && !options->hijack && !options->map && !options->fake.n &&
        !options->fake_file && !options->fake_except.n && !names_rule)
        return RC_OK;
    d = calloc(1, sizeof *d);
    if (!d)
        return diag_set(diag, RC_NOMEM, "no memory");
    d->setup = *setup;
    d->options = options;
    d->names_rule = names_rule;
    list_init(&d->flows);
    d->asks_max = options->hijack ? os_fd_part(DNSASKS_PART, DNSASKS_MAX) : DNSASKS_MAX;
    shares_init(&d->asks);
    shares_init(&d->streams);
    shares_init(&d->held);
    for (int i = 0; i < DNSASKS_SLOTS; i++)
        list_init(&d->by_id[i]);
    loop_random(&d->key, sizeof d->key);
    job_init(&d->flush, on_flush);
    rc = set_up(d, diag);
    if (rc != RC_OK)
        tungodns_free(d);
    else
        *ret_d = d;
    return rc;
}

static void tell_stats(const struct tungodns *d)
{
    const struct tungodns_stats *n = &d->stats;

    if (n->fake + n->kept + n->hosts + n->asked + n->passed + n->stale == 0)
        return;
    log_write(LOG_INFO, (struct log_field[]){F_STR("service", d->setup.service), LOG_END},
              "DNS: fake %" PRIu64 " (%zu names), kept %" PRIu64 ", hosts %" PRIu64
              ", asked %" PRIu64 ", passed %" PRIu64 "; answers not asked for %" PRIu64
              "; flows to fake addresses without a name %" PRIu64,
              n->fake, d->pool ? fakepool_count(d->pool) : 0, n->kept, n->hosts, n->asked,
              n->passed, n->strange, n->stale);
}

void tungodns_free(struct tungodns *d)
{
    if (!d)
        return;
    while (!list_is_empty(&d->flows)) {
        struct dnsflow *f = LIST_OWNER(d->flows.next, struct dnsflow, link);

        f->end(f);
        list_remove(&f->link); /* also of a flow that thinks it must live on */
    }
    tell_stats(d);
    job_cancel(&d->flush);
    while (d->n_unreal > 0)
        unreal_remove(&d->options->fake.v[--d->n_unreal]);
    fakefile_close(d->file);
    matcher_free(d->except);
    fakepool_free(d->pool);
    dnsmap_free(d->map);
    answers_free(d->answers);
    loop_free_later(d->setup.loop, &d->deferred, free, d);
}

void dnsflow_init(struct dnsflow *f, struct tungodns *d, const struct addr *client,
                  const struct addr *server, bool tcp)
{
    *f = (struct dnsflow){.dns = d, .client = *client, .server = *server, .tcp = tcp};
    list_init(&f->asks);
    list_init(&f->link);
    list_append(&d->flows, &f->link);
    d->n_streams += tcp;
    if (tcp) /* without memory it is nobody's */
        (void)shares_add(&d->streams, &f->share, client, 1);
    f->who = tungodns_who(d, client);
    if (tungodns_name(d, client, server, &f->where) != KNOWN_FAKE)
        target_from_addr(&f->where, server);
}

void dnsflow_done(struct dnsflow *f)
{
    while (!list_is_empty(&f->asks))
        dnsask_end(LIST_OWNER(f->asks.next, struct dnsask, link));
    nameservers_unref(f->origin);
    f->origin = NULL;
    f->dns->n_streams -= f->tcp;
    shares_remove(&f->dns->streams, &f->share);
    list_remove(&f->link);
}
