/* app/doctor_names.c - who resolves names for our own sockets, and whether the question gets out.
 * See doctor.h.
 */
#include "app/doctor.h"
#include "chain/nameserver.h"
#include "configs/model.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SERVERS_MAX = 8, LINE_BYTES = 512, PATH_BYTES = 512 };

#define RESOLV_FILE "/etc/resolv.conf"

/* The nameservers of resolv.conf; -1: it can't be read. */
static int read_servers(struct addr *v)
{
    FILE *f = fopen(RESOLV_FILE, "re");
    char line[LINE_BYTES], ip[LINE_BYTES];
    int n = 0;

    if (!f)
        return -1;
    while (n < SERVERS_MAX && fgets(line, sizeof line, f))
        if (sscanf(line, " nameserver %511s", ip) == 1 && addr_parse_ip(ip, strlen(ip), &v[n]))
            n++;
    (void)fclose(f);
    return n;
}

/* Sockets that ask for names: those of services for their targets, those of nodes for their own
 * addresses. */
struct asker {
    const char *what, *name;
    struct sockopts so;
    const char *resolver; /* of the configuration; "": this machine's */
};

/* Whom they ask: the addresses as far as no chain leads there. */
static int asked(struct doctor *d, const char *resolver, struct addr *v)
{
    const struct nameservers *list = names_resolver(&d->c.world.names, resolver);
    int n = 0;

    if (!*resolver)
        return read_servers(v);
    for (int i = 0; list && i < list->n && n < SERVERS_MAX; i++)
        if (!list->v[i].chain && !target_is_name(&list->v[i].target))
            v[n++] = list->v[i].target.addr;
    return n;
}

static void check_asker(struct doctor *d, const struct asker *a)
{
    struct addr v[SERVERS_MAX];
    char ip[ADDR_TEXT_MAX];
    int n = asked(d, a->resolver, v);

    for (int i = 0; i < n; i++) {
        const struct doctor_tun *t = doctor_loops(d, &a->so, &v[i]);

        if (!t)
            continue;
        doctor_wrong(d, "resolver",
                     "set interface= there, or name a nameserver that is reached beside the device",
                     "%s %s: its own questions to %s would go into the device %s and come back to "
                     "us",
                     a->what, a->name, addr_format_ip(&v[i], ip, sizeof ip), t->plan.device);
        return;
    }
}

static void check_askers(struct doctor *d)
{
    const struct config *cfg = d->c.cfg;

    for (size_t i = 0; cfg && i < cfg->n_services; i++) {
        const struct conf_service *s = &cfg->services[i];
        struct asker a = {"service", s->name, {s->interface, s->mark, s->netns_out}, s->resolver};

        if (*s->resolver || doctor_dials(s))
            check_asker(d, &a);
    }
    for (size_t i = 0; cfg && i < cfg->n_chains; i++) {
        const struct conf_chain *c = &cfg->chains[i];

        for (size_t k = 0; c->n && k < c->hops[0]->n; k++) {
            const struct conf_node *n = &c->hops[0]->nodes[k];
            struct asker a = {"node", n->name, {n->interface, n->mark, n->netns}, n->resolver};
            struct target t;

            if (target_parse(n->addr, &t) && target_is_name(&t))
                check_asker(d, &a);
        }
    }
}

void doctor_check_resolver(struct doctor *d)
{
    struct addr v[SERVERS_MAX];
    unsigned before = d->wrong;
    char ip[ADDR_TEXT_MAX];
    int n = read_servers(v);

    if (n <= 0) {
        doctor_wrong(d, "resolver", "write a line \"nameserver ADDRESS\" to it",
                     RESOLV_FILE " %s: names are known from /etc/hosts only",
                     n < 0 ? "can't be read" : "names no nameserver");
        return;
    }
    check_askers(d);
    if (d->wrong == before)
        doctor_fine(d, "resolver", RESOLV_FILE ": %s%s", addr_format_ip(&v[0], ip, sizeof ip),
                    n > 1 ? " and more" : "");
}

/* ---------------------------------------------------------------- resolvectl */

static bool in_path(const char *program)
{
    const char *p = getenv("PATH");
    char file[PATH_BYTES];

    while (p && *p) {
        size_t n = strcspn(p, ":");

        (void)snprintf(file, sizeof file, "%.*s/%s", (int)n, p, program);
        if (n > 0 && access(file, X_OK) == 0)
            return true;
        p += n + (p[n] == ':');
    }
    return false;
}

void doctor_check_resolvectl(struct doctor *d)
{
    for (size_t i = 0; i < d->n_tuns; i++) {
        const struct doctor_tun *t = &d->tuns[i];

        if (!t->plan.dns)
            continue;
        if (in_path("resolvectl"))
            doctor_fine(d, "resolvectl", "it is there for dns= of service %s", t->service);
        else
            doctor_wrong(d, "resolvectl",
                         "install systemd-resolved, or write the servers to " RESOLV_FILE
                         " by a postUp hook",
                         "service %s sets dns=, but there is no resolvectl: the machine goes on "
                         "with its old nameservers",
                         t->service);
    }
}
