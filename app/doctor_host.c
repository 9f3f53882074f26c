/* app/doctor_host.c - the machine: driver, rights, routes, interfaces, MTU. See doctor.h. */
#include "app/doctor.h"
#include "configs/model.h"
#include "core/host/uplink.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { PATH_BYTES = 128, CHOICES_MAX = 16, ITEM_BYTES = 64, IPV6_MTU_MIN = 1280 };

#define TUN_FILE      "/dev/net/tun"
#define FORWARDING_V4 "/proc/sys/net/ipv4/ip_forward"
#define FORWARDING_V6 "/proc/sys/net/ipv6/conf/all/forwarding"

/* Without a configuration the machine is looked at as if it were to carry a device. */
static bool wants_tun(const struct doctor *d)
{
    return !d->c.cfg || d->n_tuns > 0;
}

/* The first line of a small file of the kernel's; false: it can't be read. */
static bool read_line(const char *path, char *buf, int cap)
{
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(buf, cap, f);

    if (f)
        (void)fclose(f);
    if (ok)
        buf[strcspn(buf, "\n")] = 0;
    return ok;
}

/* ---------------------------------------------------------------- driver and rights */

static bool driver_is_listed(void)
{
    FILE *f = fopen("/proc/misc", "re");
    char line[PATH_BYTES], name[PATH_BYTES];
    bool found = false;

    while (f && !found && fgets(line, sizeof line, f))
        found = sscanf(line, "%*d %127s", name) == 1 && !strcmp(name, "tun");
    if (f)
        (void)fclose(f);
    return found;
}

static void open_driver(struct doctor *d)
{
    int fd = open(TUN_FILE, O_RDWR | O_CLOEXEC); /* no device is made before TUNSETIFF */

    if (fd >= 0) {
        doctor_fine(d, "tun", TUN_FILE " opens");
        (void)close(fd);
    } else if (errno == ENODEV || errno == ENXIO) {
        doctor_wrong(d, "tun-module",
                     "modprobe tun; a kernel without it needs CONFIG_TUN (in a container: on the "
                     "host)",
                     "the kernel has no TUN driver behind " TUN_FILE);
    } else {
        doctor_wrong(d, "tun-file",
                     errno == EPERM ? "the container must be allowed the device: --device " TUN_FILE
                                    : "chmod 0666 " TUN_FILE ", or run as root",
                     TUN_FILE ": %s", strerror(errno));
    }
}

void doctor_check_driver(struct doctor *d)
{
    struct stat st;

    if (!wants_tun(d))
        return;
    if (stat(TUN_FILE, &st) == 0 && S_ISCHR(st.st_mode))
        open_driver(d);
    else if (driver_is_listed())
        doctor_wrong(d, "tun-file",
                     "mkdir -p /dev/net && mknod " TUN_FILE
                     " c 10 200 (in a container: --device " TUN_FILE ")",
                     "there is no " TUN_FILE ", though the kernel has the driver");
    else
        doctor_wrong(d, "tun-module",
                     "modprobe tun; a kernel without it needs CONFIG_TUN (in a container: on the "
                     "host)",
                     "the kernel has no TUN driver, and there is no " TUN_FILE);
}

void doctor_check_rights(struct doctor *d)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[2] = {{0}};
    char self[PATH_BYTES] = "cgost", mend[3 * PATH_BYTES];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (!wants_tun(d))
        return;
    if (n > 0)
        self[n] = 0;
    if (syscall(SYS_capget, &head, caps) == 0 && (caps[0].effective & (1u << CAP_NET_ADMIN))) {
        doctor_fine(d, "net-admin", "CAP_NET_ADMIN is there");
        return;
    }
    (void)snprintf(mend, sizeof mend,
                   "run as root, or setcap cap_net_admin,cap_net_bind_service+ep %s (in a "
                   "container: --cap-add NET_ADMIN)",
                   self);
    doctor_wrong(d, "net-admin", mend,
                 "no CAP_NET_ADMIN: no device can be made, no address or route set");
}

/* ---------------------------------------------------------------- routes */

/* The way out that is no TUN device. */
static bool find_default(struct doctor *d, int family, struct link_info *ret_l)
{
    char name[16];

    return d->kernel && uplink_device(NULL, family, name) &&
           link_find(&d->nl, name, ret_l, NULL) == RC_OK;
}

void doctor_check_default_routes(struct doctor *d)
{
    const char *beside = d->n_tuns ? " beside our device" : "";
    const char *mend = "ip route add default via GATEWAY dev INTERFACE (beside one into the "
                       "device: with a higher metric)";
    struct link_info link, link6;
    bool v6 = find_default(d, AF_INET6, &link6);

    if (find_default(d, AF_INET, &link))
        doctor_fine(d, "default-route", "IPv4 leaves by %s", link.name);
    else if (v6) /* a machine may well have IPv6 alone */
        doctor_note(d, "default-route", mend,
                    "no IPv4 default route%s: nothing leaves directly by IPv4", beside);
    else
        doctor_wrong(d, "default-route", mend,
                     "no IPv4 default route%s: nothing outside of the local networks is reached",
                     beside);
    if (v6)
        doctor_fine(d, "default-route", "IPv6 leaves by %s", link6.name);
    else
        doctor_note(d, "default-route", NULL,
                    "no IPv6 default route%s: nothing leaves directly by IPv6", beside);
}

/* ---------------------------------------------------------------- interfaces */

/* Each place of the configuration that binds our sockets in this network namespace. */
typedef void bound_fn(struct doctor *d, const char *what, const char *name, const char *interface,
                      void *arg);

static void each_of_hop(struct doctor *d, const struct conf_hop *h, bound_fn *fn, void *arg)
{
    for (size_t i = 0; i < h->n; i++)
        if (!h->nodes[i].netns || !*h->nodes[i].netns)
            fn(d, "node", h->nodes[i].name, h->nodes[i].interface, arg);
}

static void each_bound(struct doctor *d, bound_fn *fn, void *arg)
{
    const struct config *cfg = d->c.cfg;

    for (size_t i = 0; cfg && i < cfg->n_services; i++)
        if (!cfg->services[i].netns_out || !*cfg->services[i].netns_out)
            fn(d, "service", cfg->services[i].name, cfg->services[i].interface, arg);
    for (size_t i = 0; cfg && i < cfg->n_chains; i++)
        for (size_t h = 0; h < cfg->chains[i].n; h++)
            each_of_hop(d, cfg->chains[i].hops[h], fn, arg);
}

/* The next item of "eth0!, 192.0.2.1"; false: there is none. */
static bool next_item(const char **list, char *item, size_t cap)
{
    const char *p = *list;
    size_t n;

    p += strspn(p, " ,");
    n = strcspn(p, ",");
    *list = p + n;
    while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '!'))
        n--;
    (void)snprintf(item, cap, "%.*s", (int)n, p);
    return n > 0;
}

static void check_item(struct doctor *d, const char *what, const char *name, const char *item)
{
    struct sockopts so = {.interface = item};
    struct bind_choice v[CHOICES_MAX];
    struct addr any = {.family = 0}, ip;
    struct link_info link;
    struct diag diag = {.rc = RC_OK};
    bool is_auto = !strcmp(item, "auto"), is_ip = addr_parse_ip(item, strlen(item), &ip);
    int n = 0;
    enum rc rc = os_bind_choices(&so, &any, v, CHOICES_MAX, &n, &diag);

    if (rc != RC_OK || (is_ip && !v[0].device[0]))
        doctor_wrong(d, "interface",
                     is_auto ? "wait for the network, or name the interface"
                     : is_ip ? "use an address that this machine has: ip address"
                             : "name one of these: ip -br link",
                     "%s %s, interface %s: %s", what, name, item,
                     is_auto ? "no default route, so there is no interface to follow"
                     : is_ip ? "no interface has this address"
                             : "there is no such interface");
    else if (d->kernel && v[0].device[0] && link_find(&d->nl, v[0].device, &link, &diag) == RC_OK &&
             !link.up)
        doctor_wrong(d, "interface", "ip link set INTERFACE up", "%s %s, interface %s: %s is down",
                     what, name, item, link.name);
    else if (!v[0].local.family)
        doctor_wrong(d, "interface", "give it one, or start its DHCP client",
                     "%s %s, interface %s: it has no address", what, name, item);
    else
        doctor_fine(d, "interface", "%s %s, interface %s: %s is up", what, name, item,
                    v[0].device[0] ? v[0].device : item);
}

static void check_list(struct doctor *d, const char *what, const char *name, const char *interface,
                       void *arg)
{
    char item[ITEM_BYTES];

    (void)arg;
    while (next_item(&interface, item, sizeof item))
        check_item(d, what, name, item);
}

void doctor_check_interfaces(struct doctor *d)
{
    each_bound(d, check_list, NULL);
}

/* ---------------------------------------------------------------- where our packets leave */

enum { DEVICES_MAX = 32 };

struct devices {
    char v[DEVICES_MAX][16];
    size_t n;
};

static void add_device(struct devices *out, const char *name)
{
    for (size_t i = 0; i < out->n; i++)
        if (!strcmp(out->v[i], name))
            return;
    if (*name && out->n < DEVICES_MAX)
        (void)snprintf(out->v[out->n++], sizeof out->v[0], "%.15s", name);
}

static void add_bound(struct doctor *d, const char *what, const char *name, const char *interface,
                      void *arg)
{
    struct sockopts so = {.interface = interface};
    struct bind_choice v[CHOICES_MAX];
    struct addr any = {.family = 0};
    int n = 0;

    (void)d;
    (void)what;
    (void)name;
    if (os_bind_choices(&so, &any, v, CHOICES_MAX, &n, NULL) == RC_OK)
        for (int i = 0; i < n; i++)
            add_device(arg, v[i].device);
}

/* The interfaces that the configuration names, and those of the default routes. */
static struct devices leaving_devices(struct doctor *d)
{
    struct devices out = {.n = 0};
    struct link_info link;

    each_bound(d, add_bound, &out);
    if (find_default(d, AF_INET, &link))
        add_device(&out, link.name);
    if (find_default(d, AF_INET6, &link))
        add_device(&out, link.name);
    return out;
}

static int rp_filter_of(const char *device)
{
    char path[PATH_BYTES], line[ITEM_BYTES];

    (void)snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/rp_filter", device);
    return read_line(path, line, sizeof line) ? *line - '0' : 0;
}

int doctor_rp_filter(const char *device)
{
    int all = rp_filter_of("all"), own = rp_filter_of(device);

    return own > all ? own : all;
}

bool doctor_forwards(int family)
{
    char line[ITEM_BYTES] = "0";

    (void)read_line(family == AF_INET6 ? FORWARDING_V6 : FORWARDING_V4, line, sizeof line);
    return *line != '0';
}

/* Does the way back to those that our sockets talk to lead into a device of ours, so that strict
 * filters drop their answers? Unknown: one that is not there yet, and gets its routes from others.
 */
enum way_back { WAY_BACK_KEPT, WAY_BACK_UNKNOWN, WAY_BACK_TAKEN };

static enum way_back way_back(struct doctor *d)
{
    const struct sockopts anybody = {.mark = 0};
    const struct cidr everywhere = {.net = {.family = AF_INET}};
    enum way_back found = WAY_BACK_KEPT;

    for (size_t i = 0; i < d->n_tuns; i++) {
        const struct doctor_tun *t = &d->tuns[i];
        struct addr to = doctor_inside(&everywhere);

        if (doctor_loops(d, &anybody, &to))
            return WAY_BACK_TAKEN;
        for (size_t k = 0; k < t->plan.n_routes; k++) {
            to = doctor_inside(&t->plan.routes[k]);
            if (to.family == AF_INET && doctor_loops(d, &anybody, &to))
                return WAY_BACK_TAKEN;
        }
        if (!t->there && t->plan.n_routes == 0)
            found = WAY_BACK_UNKNOWN;
    }
    return found;
}

void doctor_check_rp_filter(struct doctor *d)
{
    struct devices out = leaving_devices(d);
    enum way_back back = d->n_tuns ? way_back(d) : WAY_BACK_KEPT;
    char mend[PATH_BYTES];

    for (size_t i = 0; d->n_tuns && i < out.n; i++) {
        int strict = doctor_rp_filter(out.v[i]);

        if (strict != 1) {
            doctor_fine(d, "rp_filter", "%s: %s", out.v[i], strict ? "loose" : "off");
            continue;
        }
        (void)snprintf(mend, sizeof mend, "sysctl -w net.ipv4.conf.%s.rp_filter=2", out.v[i]);
        if (back == WAY_BACK_TAKEN)
            doctor_wrong(d, "rp_filter", mend,
                         "%s is strict: answers to our own sockets are dropped there, for the way "
                         "back leads into the device",
                         out.v[i]);
        else if (back == WAY_BACK_UNKNOWN)
            doctor_note(d, "rp_filter", mend,
                        "%s is strict: answers to our own sockets are dropped there, once the way "
                        "back leads into the device",
                        out.v[i]);
        else
            doctor_fine(d, "rp_filter", "%s: strict, and the way back is not the device", out.v[i]);
    }
}

void doctor_check_forwarding(struct doctor *d)
{
    char v4[ITEM_BYTES] = "?", v6[ITEM_BYTES] = "?";

    if (!wants_tun(d))
        return;
    (void)read_line(FORWARDING_V4, v4, sizeof v4);
    (void)read_line(FORWARDING_V6, v6, sizeof v6);
    doctor_note(d, "ip_forward", NULL,
                "IPv4 %s, IPv6 %s: 1 is for a machine that other machines use as their router", v4,
                v6);
}

/* ---------------------------------------------------------------- MTU */

static bool has_v6(const struct listener_plan *p)
{
    for (size_t i = 0; i < p->n_addresses; i++)
        if (p->addresses[i].net.family == AF_INET6)
            return true;
    return false;
}

static void compare_mtu(struct doctor *d, const struct doctor_tun *t, const char *device)
{
    struct link_info link;
    char mend[PATH_BYTES];

    if (!d->kernel || link_find(&d->nl, device, &link, NULL) != RC_OK)
        return;
    if (link.mtu >= t->plan.mtu) {
        doctor_fine(d, "mtu", "%s has %u, the device %s %u", device, link.mtu, t->plan.device,
                    t->plan.mtu);
        return;
    }
    (void)snprintf(mend, sizeof mend, "mtu=%u for service %s", link.mtu, t->service);
    if (t->dials)
        doctor_wrong(d, "mtu", mend,
                     "%s has %u, the device %s %u: larger datagrams leave in fragments, or not at "
                     "all",
                     device, link.mtu, t->plan.device, t->plan.mtu);
    else
        doctor_note(d, "mtu", mend,
                    "%s has %u, the device %s %u: packets don't fit one to one, but all of them go "
                    "through nodes",
                    device, link.mtu, t->plan.device, t->plan.mtu);
}

void doctor_check_mtu(struct doctor *d)
{
    struct devices out = leaving_devices(d);

    for (size_t i = 0; i < d->n_tuns; i++) {
        const struct doctor_tun *t = &d->tuns[i];

        for (size_t k = 0; k < out.n; k++)
            compare_mtu(d, t, out.v[k]);
        if (t->plan.mtu < IPV6_MTU_MIN && has_v6(&t->plan))
            doctor_wrong(d, "mtu", "mtu=1280 or more", "%s has %u: IPv6 needs 1280", t->plan.device,
                         t->plan.mtu);
        if (t->there && t->link.mtu != t->plan.mtu)
            doctor_note(d, "mtu", NULL, "%s was set to %u from outside, configured is %u",
                        t->plan.device, t->link.mtu, t->plan.mtu);
    }
}
