/* app/doctor_fake.c - do flows to fake addresses (tungo's dns.fake) come to the device that knows
 * their names? See doctor.h.
 */
#include "app/doctor.h"
#include "app/service.h"
#include "handlers/handler.h"
#include <stdio.h>
#include <string.h>

static void check_range(struct doctor *d, const struct doctor_tun *t, const struct cidr *range)
{
    const struct sockopts anybody = {.mark = 0};
    struct addr a = range->net;
    char ip[ADDR_TEXT_MAX];

    a.ip[addr_ip_bytes(&a) - 1] |= 1;
    const struct doctor_tun *by = doctor_loops(d, &anybody, &a);
    (void)addr_format_ip(&range->net, ip, sizeof ip);
    if (by && !strcmp(by->plan.device, t->plan.device))
        doctor_fine(d, "dns.fake", "%s/%u is routed into the device %s", ip, range->bits,
                    t->plan.device);
    else
        doctor_wrong(d, "dns.fake", "add the range to route= of the service",
                     "service %s: flows to %s/%u would not come to the device %s, which alone "
                     "knows their names",
                     t->service, ip, range->bits, t->plan.device);
}

void doctor_check_fake(struct doctor *d)
{
    for (size_t i = 0; i < d->n_tuns; i++) {
        const struct doctor_tun *t = &d->tuns[i];
        const struct netlist *fake = NULL;

        for (size_t k = 0; !fake && k < d->c.world.n_services; k++) {
            const struct service_parts *p = service_parts_of(d->c.world.services[k]);
            if (!strcmp(p->name, t->service))
                fake = service_fake(p);
        }
        for (size_t k = 0; fake && k < fake->n; k++)
            check_range(d, t, &fake->v[k]);
    }
}
