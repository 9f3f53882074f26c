/* app/doctor.h - `cgost doctor`: what is wrong with this machine and the nodes, each finding with a
 * mend.
 *
 * Nothing is changed and nothing of the configuration is opened: host facts are read, the kernel is
 * asked for routes, and each node is connected to as far as its own handshakes. doctor.c is the
 * command and the table of checks, doctor_host.c the machine, doctor_lan.c those behind it,
 * doctor_nodes.c the nodes.
 */
#ifndef APP_DOCTOR_H
#define APP_DOCTOR_H

#include "app/story.h"
#include "app/subcommand.h"
#include "core/host/link.h"
#include "core/host/netlink.h"
#include "core/os.h"
#include "listeners/listener.h"

struct conf_service;

/* Its exit code: 0 nothing is wrong, 1 something is, or the configuration can't be had, 2 wrong
 * words. */
extern const struct cli_command doctor_command;

/* The device of one service. */
struct doctor_tun {
    const char *service;
    struct listener_plan plan;
    bool dials; /* its service may dial targets itself */
    bool there; /* it runs: the kernel's routes are told from it */
    struct link_info link;
};

struct doctor {
    struct subcommand c; /* c.cfg NULL: no configuration, only the machine is looked at */
    struct story story;
    struct netlink nl;
    bool kernel; /* nl is open */
    struct doctor_tun *tuns;
    size_t n_tuns;
    unsigned wrong;
};

/* One finding. check: its name, the same in text, JSON and tests. */
void doctor_fine(struct doctor *d, const char *check, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Worth knowing. mend may be NULL. */
void doctor_note(struct doctor *d, const char *check, const char *mend, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void doctor_wrong(struct doctor *d, const char *check, const char *mend, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* By which of our devices a packet of a socket with these options would leave: a loop. NULL: by
 * none of them. A device that is not there yet is judged by its configured routes. */
const struct doctor_tun *doctor_loops(struct doctor *d, const struct sockopts *so,
                                      const struct addr *to);

/* An address that the route is for; of a default route one that nobody has (RFC 5737, 3849). */
struct addr doctor_inside(const struct cidr *c);

int doctor_rp_filter(const char *device); /* in force: 0 off, 1 strict, 2 loose */
bool doctor_forwards(int family);

/* May this service dial a target itself: no chain, or rules that end the route before the first
 * hop? */
bool doctor_dials(const struct conf_service *s);

/* doctor_host.c */
void doctor_check_driver(struct doctor *d);
void doctor_check_rights(struct doctor *d);
void doctor_check_default_routes(struct doctor *d);
void doctor_check_interfaces(struct doctor *d);
void doctor_check_rp_filter(struct doctor *d);
void doctor_check_forwarding(struct doctor *d);
void doctor_check_clients(struct doctor *d); /* doctor_lan.c */
void doctor_check_mtu(struct doctor *d);
/* doctor_names.c */
void doctor_check_resolver(struct doctor *d);
void doctor_check_resolvectl(struct doctor *d);
/* doctor_fake.c */
void doctor_check_fake(struct doctor *d);
/* doctor_nodes.c */
void doctor_check_loops(struct doctor *d);
void doctor_check_nodes(struct doctor *d);

#endif
