/* app/doctor.c - the command: its words, the checks, what they found. See doctor.h. */
#include "app/doctor.h"
#include "app/way.h"
#include "configs/model.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 700 };

static void (*const checks[])(struct doctor *d) = {
    doctor_check_driver,     doctor_check_rights,    doctor_check_default_routes,
    doctor_check_interfaces, doctor_check_rp_filter, doctor_check_forwarding,
    doctor_check_clients,    doctor_check_mtu,       doctor_check_resolver,
    doctor_check_resolvectl, doctor_check_nodes,     doctor_check_loops,
    doctor_check_fake,
};

/* ---------------------------------------------------------------- findings */

static void find(struct doctor *d, const char *check, const char *verdict, const char *mend,
                 const char *fmt, va_list ap) __attribute__((format(printf, 5, 0)));

static void find(struct doctor *d, const char *check, const char *verdict, const char *mend,
                 const char *fmt, va_list ap)
{
    char text[TEXT_MAX];

    (void)vsnprintf(text, sizeof text, fmt, ap);
    json_t *step = story_step(&d->story, 0, check, "", verdict, "%s", text);
    if (mend)
        story_detail(&d->story, step, "mend", mend);
}

void doctor_fine(struct doctor *d, const char *check, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    find(d, check, "fine", NULL, fmt, ap);
    va_end(ap);
}

void doctor_note(struct doctor *d, const char *check, const char *mend, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    find(d, check, "note", mend, fmt, ap);
    va_end(ap);
}

void doctor_wrong(struct doctor *d, const char *check, const char *mend, const char *fmt, ...)
{
    va_list ap;

    d->wrong++;
    va_start(ap, fmt);
    find(d, check, "wrong", mend, fmt, ap);
    va_end(ap);
}

/* ---------------------------------------------------------------- our devices */

static void look_for_tuns(struct doctor *d)
{
    struct diag diag = {.rc = RC_OK};

    d->tuns = calloc(d->c.world.n_services + 1, sizeof *d->tuns);
    d->story.nomem |= !d->tuns;
    for (size_t i = 0; d->tuns && i < d->c.world.n_services; i++) {
        const struct service_parts *p = service_parts_of(d->c.world.services[i]);
        struct doctor_tun *t = &d->tuns[d->n_tuns];

        if (!p->listener->plan)
            continue;
        diag = (struct diag){.rc = RC_OK};
        if (p->listener->plan(p->listener_cfg, &t->plan, &diag) != RC_OK) {
            doctor_wrong(d, "configuration", NULL, "service %s: %s", p->name, diag.text);
            continue;
        }
        t->service = p->name;
        t->dials = doctor_dials(&d->c.cfg->services[i]);
        t->there = d->kernel && link_find(&d->nl, t->plan.device, &t->link, NULL) == RC_OK;
        d->n_tuns++;
        if (!t->there)
            doctor_note(d, "device", NULL,
                        "%s of service %s is not there: it is judged by the configuration; once "
                        "the service runs, by the kernel's routes",
                        t->plan.device, p->name);
    }
}

/* Will the configured routes of a device that is not there yet take what leaves by w now? A longer
 * prefix keeps it. */
static bool will_take(const struct doctor_tun *t, const struct way *w, const struct addr *to)
{
    for (size_t i = 0; !t->there && i < t->plan.n_routes; i++)
        if (cidr_has(&t->plan.routes[i], to) &&
            (!w->device[0] || t->plan.routes[i].bits >= w->bits))
            return true;
    return false;
}

const struct doctor_tun *doctor_loops(struct doctor *d, const struct sockopts *so,
                                      const struct addr *to)
{
    struct way w = {.choices = 0};

    if (so->netns && *so->netns) /* another machine, as it were */
        return NULL;
    enum rc rc = way_find(d->kernel ? &d->nl : NULL, so, to, &w, NULL);
    if (rc != RC_OK && so->interface && *so->interface && w.choices == 0)
        return NULL; /* its interface has nothing for that family: such a packet never leaves */
    /* no route yet: judged by ours */
    bool bound = (w.bound[0] && addr_is_global(to)) || so->mark;

    for (size_t i = 0; i < d->n_tuns; i++) {
        const struct doctor_tun *t = &d->tuns[i];

        if (!strcmp(w.device, t->plan.device) || (!bound && will_take(t, &w, to)))
            return t;
    }
    return NULL;
}

struct addr doctor_inside(const struct cidr *c)
{
    static const uint8_t v4[4] = {192, 0, 2, 1}, v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    struct addr a = c->net;

    if (c->bits == 0)
        return a.family == AF_INET6 ? addr_v6(v6, 0) : addr_v4(v4, 0);
    if (c->bits < 8 * addr_ip_bytes(&a))
        a.ip[addr_ip_bytes(&a) - 1] |= 1;
    return a;
}

bool doctor_dials(const struct conf_service *s)
{
    const struct conf_hop *first = s->chain && s->chain->n ? s->chain->hops[0] : NULL;

    if (!first || s->options.ignore_chain || first->bypasses.n)
        return true;
    for (size_t i = 0; i < first->n; i++)
        if (first->nodes[i].bypasses.n || !strcmp(first->nodes[i].connector.type, "direct"))
            return true;
    return false;
}

/* ---------------------------------------------------------------- the command */

static int report(struct doctor *d, bool json)
{
    bool bad;

    story_fact(&d->story, "verdict", d->wrong ? "wrong" : "fine");
    bad = d->story.nomem;
    if (!bad && json) {
        bad = json_dumpf(d->story.root, stdout, JSON_INDENT(2)) != 0;
        putchar('\n');
    } else if (!bad) {
        story_print(&d->story);
        if (d->wrong)
            printf("%u thing%s wrong\n", d->wrong, d->wrong == 1 ? " is" : "s are");
        else
            printf("nothing is wrong\n");
    }
    if (bad || fflush(stdout)) {
        fprintf(stderr, "doctor: no memory, or standard output can't be written\n");
        return 1;
    }
    return d->wrong ? 1 : 0;
}

static int examine(struct doctor *d, bool json)
{
    struct diag diag = {.rc = RC_OK};
    int code;

    story_init(&d->story);
    d->kernel = netlink_open(&d->nl, NULL, &diag) == RC_OK;
    if (!d->kernel)
        doctor_wrong(d, "kernel", NULL, "rtnetlink: %s", diag.text);
    if (!d->c.cfg)
        doctor_note(d, "configuration", "give -C, -L and -F as for the service",
                    "there is none: only this machine is looked at");
    look_for_tuns(d);
    for (size_t i = 0; i < sizeof checks / sizeof *checks && !d->story.nomem; i++)
        checks[i](d);
    code = report(d, json);
    netlink_done(&d->nl);
    for (size_t i = 0; i < d->n_tuns; i++)
        free(d->tuns[i].plan.routes);
    free(d->tuns);
    story_done(&d->story);
    return code;
}

static bool as_json;

static int doctor_main(int argc, char **argv);

static const struct cli_flag own[] = {
    {"json", &as_json, NULL, NULL, "one JSON object with all findings"},
    {.name = NULL},
};
const struct cli_command doctor_command = {
    .name = "doctor",
    .help = "look for what is wrong with this machine and the nodes, with mends",
    .flags = own,
    .run = doctor_main,
};

static int doctor_main(int argc, char **argv)
{
    struct doctor d = {.c.may_be_bare = true};
    int code = subcommand_parse(&d.c, argc, argv, &doctor_command);

    if (code < 0 && d.c.cli.n_operands > 0) {
        cli_usage_command(stderr, "cgost", &doctor_command);
        code = 2;
    }
    if (code < 0)
        code = subcommand_build(&d.c);
    if (code < 0)
        code = examine(&d, as_json);
    subcommand_close(&d.c);
    return code;
}
