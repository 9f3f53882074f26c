/* app/interfaces.c - see interfaces.h. */
#include "app/interfaces.h"
#include "configs/model.h"
#include "core/host/orphans.h"
#include "core/host/uplink.h"
#include "core/log.h"
#include "core/os.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHOICES = 8, FAMILIES = 2 };

/* One interface list in one namespace, for whoever uses it first. */
struct watched {
    struct sockopts so;
    const char *kind, *name;
    struct bind_choice now[FAMILIES]; /* what it means; no device and no address: nothing */
    bool told;
};

struct interfaces {
    struct watched *v;
    size_t n;
    struct orphans *orphans;
};

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

static void add(struct interfaces *w, const char *kind, const char *name, const char *interface,
                const char *netns)
{
    if (!interface || !*interface)
        return;
    for (size_t i = 0; i < w->n; i++) {
        if (strcmp(w->v[i].so.interface, interface) == 0 &&
            strcmp(or_empty(w->v[i].so.netns), or_empty(netns)) == 0)
            return;
    }
    struct watched *more = realloc(w->v, (w->n + 1) * sizeof *more);
    if (!more)
        return;
    w->v = more;
    w->v[w->n++] = (struct watched){
        .so = {.interface = interface, .netns = netns}, .kind = kind, .name = name};
}

static void add_hop(struct interfaces *w, const struct conf_hop *h)
{
    for (size_t i = 0; i < h->n; i++)
        add(w, "node", h->nodes[i].name, h->nodes[i].interface, h->nodes[i].netns);
}

static bool is_there(const struct bind_choice *c)
{
    return c->device[0] || c->local.family;
}

static bool is_same(const struct bind_choice *a, const struct bind_choice *b)
{
    return strcmp(a->device, b->device) == 0 && addr_same_ip(&a->local, &b->local);
}

static void put_choice(const struct bind_choice *c, char *buf, size_t cap)
{
    char text[ADDR_TEXT_MAX];

    if (!is_there(c))
        snprintf(buf, cap, "none");
    else
        snprintf(buf, cap, "%s (%s)", c->device, addr_format_ip(&c->local, text, sizeof text));
}

static void tell(const struct watched *one, const struct diag *why)
{
    char v4[96], v6[96];
    struct log_field fields[] = {F_STR("kind", one->kind), F_STR(one->kind, one->name), LOG_END};

    if (!is_there(&one->now[0]) && !is_there(&one->now[1])) {
        log_write(LOG_WARN, fields, "%s; connections fail until it is there", why->text);
        return;
    }
    put_choice(&one->now[0], v4, sizeof v4);
    put_choice(&one->now[1], v6, sizeof v6);
    log_write(LOG_INFO, fields, "interface %s is now: IPv4 by %s, IPv6 by %s", one->so.interface,
              v4, v6);
}

/* A missing interface at start is told, one that is there is nothing new (but what "auto" means
 * is). */
static void look(struct watched *one)
{
    struct bind_choice now[FAMILIES] = {{.device = ""}, {.device = ""}};
    struct diag why = {.rc = RC_OK};
    bool any = false;

    for (int f = 0; f < FAMILIES; f++) {
        struct addr to = {.family = f ? AF_INET6 : AF_INET};
        struct bind_choice v[CHOICES];
        struct diag d = {.rc = RC_OK};
        int n = 0;

        if (os_bind_choices(&one->so, &to, v, CHOICES, &n, &d) == RC_OK && n > 0) {
            now[f] = v[0];
            any = true;
        } else {
            diag_set(&why, RC_UNREACH_NET, "%s", d.text);
        }
    }
    bool first = !one->told;
    if (!first && is_same(&now[0], &one->now[0]) && is_same(&now[1], &one->now[1]))
        return;
    memcpy(one->now, now, sizeof now);
    one->told = true;
    if (!first || !any || strstr(one->so.interface, "auto"))
        tell(one, &why);
}

static void look_at_all(struct interfaces *w)
{
    for (size_t i = 0; i < w->n; i++)
        look(&w->v[i]);
}

static void on_change(void *arg)
{
    struct interfaces *w = arg;

    look_at_all(w);
    orphans_changed(w->orphans);
}

static void tell_ended(size_t n)
{
    log_info("%zu connection%s from an address that this machine has lost: ended", n,
             n == 1 ? "" : "s");
}

struct interfaces *interfaces_watch(struct loop *loop, const struct config *cfg)
{
    struct interfaces *w = calloc(1, sizeof *w);

    uplink_start(loop);
    if (!w)
        return NULL;
    for (size_t i = 0; i < cfg->n_services; i++) {
        const struct conf_service *s = &cfg->services[i];
        add(w, "service", s->name, s->interface, s->netns_out);
    }
    for (size_t i = 0; i < cfg->n_chains; i++)
        for (size_t k = 0; k < cfg->chains[i].n; k++)
            add_hop(w, cfg->chains[i].hops[k]);
    for (size_t i = 0; i < w->n; i++)
        (void)uplink_watch(w->v[i].so.netns); /* without: the state at start is all that is told */
    look_at_all(w);
    w->orphans = orphans_new(loop, tell_ended);
    (void)uplink_watch(NULL); /* addresses are lost without any `interface`, too */
    uplink_tell(on_change, w);
    return w;
}

void interfaces_free(struct interfaces *w)
{
    uplink_tell(NULL, NULL);
    uplink_stop();
    if (!w)
        return;
    orphans_free(w->orphans);
    free(w->v);
    free(w);
}
