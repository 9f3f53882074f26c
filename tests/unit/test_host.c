/* Device, addresses, routes, resolver and their undoing, in a network namespace of our own. Without
 * the privilege to make one, nothing is run.
 */
#include "core/host/address.h"
#include "core/host/link.h"
#include "core/host/monitor.h"
#include "core/host/netns.h"
#include "core/host/route.h"
#include "core/host/setup.h"
#include "run.h"
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static char bin[] = "/tmp/cgost-host-XXXXXX";
static char warned[1024];
static struct diag diag;

static void warn(void *arg, const char *text)
{
    size_t at = strlen(warned);

    (void)arg;
    (void)snprintf(warned + at, sizeof(warned) - at, "%s;", text);
}

/* What `command` prints, blanks at the ends of lines removed. */
static const char *shell(const char *command)
{
    static char out[4096];
    FILE *f = popen(command, "r");
    size_t n;

    ck_assert_ptr_nonnull(f);
    n = fread(out, 1, sizeof(out) - 1, f);
    out[n] = 0;
    ck_assert_int_ne(pclose(f), -1);
    return out;
}

static struct cidr net(const char *text)
{
    struct cidr c;

    ck_assert(cidr_parse(text, strlen(text), &c));
    return c;
}

static struct cidr address(const char *text)
{
    struct cidr c = net(text);
    const char *slash = strchr(text, '/');

    ck_assert(addr_parse_ip(text, (size_t)(slash - text), &c.net)); /* with its host bits */
    return c;
}

static struct addr ip(const char *text)
{
    struct addr a;

    ck_assert(addr_parse_ip(text, strlen(text), &a));
    return a;
}

static void setup(void)
{
    ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
    warned[0] = 0;
    diag = (struct diag){0};
    shell(
        "ip link set lo up; ip link add out type veth peer name far; ip link set out up;"
        "ip link set far up; ip addr add 172.31.0.2/24 dev out; ip -6 addr add fd31::2/64 dev out "
        "nodad; ip route add default via 172.31.0.1; ip -6 route add default via fd31::1");
}

static const char routes4[] = "ip -4 route show | sed 's/ *$//' | sort";

START_TEST(test_device_names_and_settings_are_checked)
{
    struct device d = {0};
    struct device_cfg cfg = {.name = "sixteen-letters-"};

    ck_assert_int_eq(device_open(&cfg, &d, &diag), RC_INVALID);
    ck_assert_ptr_nonnull(strstr(diag.text, "at most 15"));
    diag = (struct diag){0};
    cfg = (struct device_cfg){.name = "t0", .mtu = 70000};
    ck_assert_int_eq(device_open(&cfg, &d, &diag), RC_INVALID);
    diag = (struct diag){0};
    cfg = (struct device_cfg){.name = "out"};
    ck_assert_int_eq(device_open(&cfg, &d, &diag), RC_INVALID);
    ck_assert_ptr_nonnull(strstr(diag.text, "no TUN device"));
    diag = (struct diag){0};
    cfg = (struct device_cfg){.name = "t0", .netns = "no-such-namespace"};
    ck_assert_int_ne(device_open(&cfg, &d, &diag), RC_OK);
    ck_assert_ptr_nonnull(strstr(diag.text, "no-such-namespace"));
    device_close(&d);
}
END_TEST

START_TEST(test_device_has_queue_length_offloads_and_is_gone_when_deleted)
{
    struct device d = {0}, e = {0}, adopted = {0};
    struct device_cfg cfg = {.name = "t0", .mtu = 1400};
    struct netlink nl;
    struct link_info info;
    char packet[64] = {[10] = 0x45}; /* behind the header of the driver */

    ck_assert_int_eq(device_open(&cfg, &d, &diag), RC_OK);
    ck_assert_uint_eq(d.vnet_bytes, 10);
    ck_assert_uint_eq(d.offloads & (DEVICE_CSUM | DEVICE_TSO4 | DEVICE_TSO6),
                      DEVICE_CSUM | DEVICE_TSO4 | DEVICE_TSO6);
    ck_assert_int_eq(netlink_open(&nl, NULL, &diag), RC_OK);
    ck_assert_int_eq(link_find(&nl, "t0", &info, &diag), RC_OK);
    ck_assert_int_eq(info.index, d.index);
    ck_assert_uint_eq(info.mtu, 1400);
    ck_assert_uint_eq(info.txqueuelen, 5000);
    ck_assert_int_eq(device_open(&cfg, &e, &diag), RC_LIMIT);
    ck_assert_ptr_nonnull(strstr(diag.text, "busy"));
    ck_assert_int_eq(device_adopt(d.fd[0], 0, &adopted, NULL), RC_OK);
    ck_assert_uint_eq(adopted.mtu, 1400);
    ck_assert_str_eq(adopted.name, "t0");
    ck_assert_uint_eq(adopted.offloads, d.offloads);
    ck_assert(write(d.fd[0], packet, sizeof(packet)) < 0);
    ck_assert_int_eq(device_trouble(errno), DEVICE_DOWN);
    ck_assert(!device_is_gone(&d));
    ck_assert_int_eq(link_set_up(&nl, d.index, true, &diag), RC_OK);
    packet[10] = 0; /* version 0 */
    ck_assert(write(d.fd[0], packet, sizeof(packet)) < 0);
    ck_assert_int_eq(device_trouble(errno), DEVICE_BAD);
    ck_assert_int_eq(link_delete(&nl, d.index, NULL), RC_OK);
    ck_assert(device_is_gone(&d));
    ck_assert(read(d.fd[0], packet, sizeof(packet)) < 0);
    ck_assert_int_eq(device_trouble(errno), DEVICE_GONE);
    ck_assert_int_ne(link_find(&nl, "t0", &info, NULL), RC_OK);
    ck_assert_int_eq(nl.err, ENODEV);
    device_close(&d);
    netlink_done(&nl);
}
END_TEST

START_TEST(test_device_with_queues_and_without_headers)
{
    struct device d = {0};
    struct device_cfg cfg = {.name = "q%d", .queues = 4, .txqueuelen = 100};

    ck_assert_int_eq(device_open(&cfg, &d, &diag), RC_OK);
    ck_assert_str_eq(d.name, "q0");
    ck_assert_uint_eq(d.queues, 4);
    device_close(&d);
    ck_assert_uint_eq(if_nametoindex("q0"), 0);
    cfg = (struct device_cfg){.name = "p0", .plain = true};
    ck_assert_int_eq(device_open(&cfg, &d, &diag), RC_OK);
    ck_assert_uint_eq(d.vnet_bytes, 0);
    ck_assert_uint_eq(d.offloads, 0);
    device_close(&d);
    cfg = (struct device_cfg){.name = "o0", .offload_off = DEVICE_USO | DEVICE_TSO6};
    ck_assert_int_eq(device_open(&cfg, &d, &diag), RC_OK);
    ck_assert_uint_eq(d.offloads, DEVICE_CSUM | DEVICE_TSO4);
    device_close(&d);
}
END_TEST

START_TEST(test_netns_visit_leads_back)
{
    struct netns_visit visit = {-1};
    struct device d = {0};
    struct netlink nl;
    struct link_info info;
    char path[64];
    int there = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

    ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", there);
    ck_assert_int_eq(netns_enter(path, &visit, &diag), RC_OK);
    ck_assert_uint_ne(if_nametoindex("out"), 0);
    netns_leave(&visit);
    ck_assert_uint_eq(if_nametoindex("out"), 0);
    ck_assert_int_eq(netns_enter(NULL, &visit, &diag), RC_OK);
    netns_leave(&visit);
    struct device_cfg cfg = {.name = "n0", .netns = path};
    ck_assert_int_eq(device_open(&cfg, &d, &diag), RC_OK);
    ck_assert_uint_eq(if_nametoindex("n0"), 0);
    ck_assert_int_eq(netlink_open(&nl, path, &diag), RC_OK);
    ck_assert_int_eq(link_find(&nl, "n0", &info, &diag), RC_OK);
    netlink_done(&nl);
    device_close(&d);
    close(there);
}
END_TEST

static struct cidr addresses[2];
static struct setup_route routes[4];
static struct addr dns[2];

static struct setup_cfg full_config(void)
{
    addresses[0] = address("10.55.0.1/24");
    addresses[1] = address("fd55::1/64");
    routes[0] = (struct setup_route){.dst = net("0.0.0.0/0")};
    routes[1] = (struct setup_route){.dst = net("198.51.100.0/24"), .gateway = ip("10.55.0.9")};
    routes[2] = (struct setup_route){.dst = net("::/0")};
    routes[3] = (struct setup_route){.dst = net("2001:db8::/32")};
    dns[0] = ip("1.1.1.1");
    dns[1] = ip("2606:4700::1111");
    return (struct setup_cfg){.device = {.name = "t0", .mtu = 1420},
                              .addresses = addresses,
                              .address_count = 2,
                              .routes = routes,
                              .route_count = 4,
                              .dns = dns,
                              .dns_count = 2,
                              .guard = true};
}

/* A stand-in resolvectl in front of PATH that notes how it was called. */
static void fake_resolvectl(void)
{
    char path[128], value[512];

    ck_assert_ptr_nonnull(mkdtemp(bin));
    (void)snprintf(path, sizeof(path), "%s/resolvectl", bin);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    (void)fprintf(f, "#!/bin/sh\necho \"$@\" >> %s/calls\n", bin);
    (void)fclose(f);
    ck_assert_int_eq(chmod(path, 0755), 0);
    (void)snprintf(value, sizeof(value), "%s:%s", bin, getenv("PATH"));
    ck_assert_int_eq(setenv("PATH", value, 1), 0);
}

START_TEST(test_setup_and_back_leaves_the_machine_as_it_was)
{
    struct setup_cfg cfg = full_config();
    struct setup s = {0};
    char before4[2048], before6[2048], command[128];

    fake_resolvectl();
    (void)snprintf(before4, sizeof(before4), "%s", shell(routes4));
    (void)snprintf(before6, sizeof(before6), "%s", shell("ip -6 route show | sort"));
    ck_assert_int_eq(setup_open(&cfg, &s, warn, NULL, &diag), RC_OK);
    ck_assert_str_eq(warned, "");
    const char *now = shell(routes4);
    ck_assert_ptr_nonnull(strstr(now, "default dev t0 proto static scope link\n"));
    ck_assert_ptr_nonnull(
        strstr(now, "default dev cgost-guard0 proto static scope link metric 1\n"));
    ck_assert_ptr_nonnull(strstr(now, "198.51.100.0/24 via 10.55.0.9 dev t0 proto static\n"));
    ck_assert_ptr_null(strstr(now, "default via")); /* replaced, as asked */
    ck_assert_str_eq(shell("ip -6 route get 2001:db8::5 | sed 's/.*dev //; s/ .*//'"), "t0\n");
    ck_assert_str_eq(shell("ip -4 -o addr show t0 | grep -o 'inet [^ ]*'"), "inet 10.55.0.1/24\n");
    ck_assert_str_eq(shell("ip -6 -o addr show t0 scope global | grep -o 'inet6 [^ ]*'"),
                     "inet6 fd55::1/64\n");
    setup_close(&s, warn, NULL);
    ck_assert_str_eq(warned, "");
    ck_assert_str_eq(shell(routes4), before4);
    ck_assert_str_eq(shell("ip -6 route show | sort"), before6);
    ck_assert_uint_eq(if_nametoindex("t0"), 0);
    ck_assert_uint_eq(if_nametoindex("cgost-guard0"), 0);
    (void)snprintf(command, sizeof(command), "cat %s/calls; rm -r %s", bin, bin);
    ck_assert_str_eq(shell(command), "dns t0 1.1.1.1 2606:4700::1111\nrevert t0\n");
    setup_close(&s, NULL, NULL);
}
END_TEST

START_TEST(test_a_failing_setup_takes_everything_back)
{
    struct setup_cfg cfg = full_config();
    struct setup s = {0};
    char before[2048];

    (void)snprintf(before, sizeof(before), "%s", shell(routes4));
    routes[3] = (struct setup_route){.dst = net("192.0.2.0/24"), .gateway = ip("203.0.113.1")};
    cfg.dns_count = 0;
    routes[0].dst = net("203.0.112.0/24");
    shell("ip route del default"); /* else the gateway could be reached through it */
    (void)snprintf(before, sizeof(before), "%s", shell(routes4));
    ck_assert_int_ne(setup_open(&cfg, &s, warn, NULL, &diag), RC_OK);
    ck_assert_ptr_nonnull(strstr(diag.text, "192.0.2.0/24 via 203.0.113.1"));
    ck_assert_str_eq(shell(routes4), before);
    ck_assert_uint_eq(if_nametoindex("t0"), 0);
    diag = (struct diag){0};
    routes[3].dst = net("2001:db8::/32");
    ck_assert_int_eq(setup_open(&cfg, &s, warn, NULL, &diag), RC_INVALID);
    ck_assert_ptr_nonnull(strstr(diag.text, "other address family"));
    ck_assert_str_eq(warned, "");
}
END_TEST

/* Nothing leaves by the machine's own default route meanwhile, but bound sockets still do. */
START_TEST(test_a_lost_device_leaves_the_guard_and_comes_back)
{
    struct setup_cfg cfg = full_config();
    struct setup s = {0};
    char before[2048];

    cfg.dns_count = 0;
    (void)snprintf(before, sizeof(before), "%s", shell(routes4));
    ck_assert_int_eq(setup_open(&cfg, &s, warn, NULL, &diag), RC_OK);
    for (int round = 0; round < 3; round++) {
        int old = s.device.index;
        ck_assert_int_eq(link_delete(&s.nl, old, &diag), RC_OK);
        ck_assert(device_is_gone(&s.device));
        ck_assert_ptr_nonnull(strstr(shell("ip route get 8.8.8.8"), "dev cgost-guard0"));
        ck_assert_ptr_nonnull(strstr(shell("ip -6 route get 2001:4860::8"), "dev cgost-guard0"));
        ck_assert_int_eq(setup_reopen(&s, &cfg, warn, NULL, &diag), RC_OK);
        ck_assert_int_ne(s.device.index, old);
        ck_assert_ptr_nonnull(strstr(shell("ip route get 8.8.8.8"), "dev t0"));
        ck_assert_ptr_nonnull(strstr(shell("ip -6 route get 2001:4860::8"), "dev t0"));
    }
    /* set down and up by somebody: the kernel dropped the routes and the IPv6 address */
    shell("ip link set t0 down; ip link set t0 up");
    ck_assert_ptr_null(strstr(shell("ip route get 8.8.8.8"), "dev t0"));
    ck_assert_int_eq(setup_restore(&s, &cfg, &diag), RC_OK);
    ck_assert_ptr_nonnull(strstr(shell("ip route get 8.8.8.8"), "dev t0"));
    ck_assert_ptr_nonnull(strstr(shell("ip -6 route get 2001:4860::8"), "dev t0"));
    setup_close(&s, warn, NULL);
    ck_assert_str_eq(warned, "");
    ck_assert_str_eq(shell(routes4), before);
}
END_TEST

START_TEST(test_bound_lookups_pass_the_guard_by)
{
    struct setup_cfg cfg = full_config();
    struct setup s = {0};

    cfg.dns_count = 0;
    shell("ip route replace default via 172.31.0.1 metric 100;"
          "ip route del default metric 0; true");
    ck_assert_int_eq(setup_open(&cfg, &s, warn, NULL, &diag), RC_OK);
    ck_assert_ptr_nonnull(strstr(shell("ip route get 8.8.8.8 oif out"), "via 172.31.0.1 dev out"));
    ck_assert_ptr_nonnull(strstr(shell("ip -6 route get 2001:4860::8 oif out"), "dev out"));
    ck_assert_int_eq(link_delete(&s.nl, s.device.index, &diag), RC_OK);
    ck_assert_ptr_nonnull(strstr(shell("ip route get 8.8.8.8 oif out"), "via 172.31.0.1 dev out"));
    ck_assert_ptr_nonnull(strstr(shell("ip -6 route get 2001:4860::8 oif out"), "dev out"));
    setup_close(&s, warn, NULL);
    ck_assert_str_eq(warned, "");
}
END_TEST

static struct loop *loop;
static unsigned changes;

static void on_change(struct monitor *m, enum monitor_event event, void *arg)
{
    ck_assert_ptr_eq(arg, &changes);
    if (event == MONITOR_STRIPPED) /* IPv6 goes with the link */
        return;
    ck_assert_int_eq(event, changes % 2 == 1 ? MONITOR_UP : MONITOR_DOWN);
    if (++changes == 2)
        monitor_close(m);
}

static void on_late(struct timer *t)
{
    (void)t;
    loop_stop(loop);
}

START_TEST(test_monitor_tells_of_down_and_up)
{
    struct monitor m = {.index = 0};
    struct timer late;

    monitor_close(&m);
    loop = loop_new(NULL);
    int index = (int)if_nametoindex("out");
    ck_assert_int_eq(monitor_open(&m, loop, NULL, index, on_change, &changes, &diag), RC_OK);
    shell("ip link set far mtu 1400; ip link set out mtu 1400; ip link set out down;"
          "ip link set out up; ip link set out down");
    timer_init(loop, &late, on_late);
    ck_assert(timer_start(&late, 3000));
    while (changes < 2 && timer_is_running(&late))
        uv_run(loop_uv(loop), UV_RUN_ONCE);
    timer_stop(&late);
    ck_assert_uint_eq(changes, 2); /* closed by then: the third is not told */
    loop_run(loop);
    loop_free(loop);
}
END_TEST

static unsigned strippings;

static void on_stripped(struct monitor *m, enum monitor_event event, void *arg)
{
    (void)m;
    (void)arg;
    ck_assert_int_eq(event, MONITOR_STRIPPED);
    strippings++;
}

/* The commands have run: is what they did told? */
static unsigned stripped_by(struct monitor *m, const char *commands)
{
    struct timer late;

    strippings = 0;
    shell(commands);
    timer_init(loop, &late, on_late);
    ck_assert(timer_start(&late, 1000)); /* what the kernel told is in the socket already */
    while (!strippings && timer_is_running(&late))
        uv_run(loop_uv(loop), UV_RUN_ONCE);
    timer_stop(&late);
    ck_assert_int_gt(m->hot.fd, 0);
    return strippings;
}

START_TEST(test_stripped_device_is_told_and_mended)
{
    static const char all[] = "ip -4 -o addr show t0 | grep -o 'inet [^ ]*'; ip -6 -o addr show t0 "
                              "scope global | grep -o 'inet6 [^ ]*'; ip -4 route show dev t0;"
                              "ip -6 route show dev t0 | grep -v fe80";
    struct setup_cfg cfg = full_config();
    struct monitor m = {.index = 0};
    struct setup s = {0};
    char before[2048];
    bool any = true;

    cfg.dns_count = 0;
    loop = loop_new(NULL);
    ck_assert_int_eq(setup_open(&cfg, &s, warn, NULL, &diag), RC_OK);
    (void)snprintf(before, sizeof(before), "%s", shell(all));
    ck_assert_int_eq(monitor_open(&m, loop, NULL, s.device.index, on_stripped, NULL, &diag), RC_OK);
    ck_assert_int_eq(setup_mend(&s, &cfg, &any, &diag), RC_OK);
    ck_assert(!any);
    ck_assert_int_eq(setup_reopen(&s, &cfg, warn, NULL, &diag), RC_OK);
    monitor_follow(&m, s.device.index); /* of its making nothing is told: DOWN would fail */
    ck_assert_uint_eq(stripped_by(&m, "ip addr add 172.31.9.9/24 dev out; ip addr flush dev far;"
                                      "ip addr del 172.31.9.9/24 dev out"),
                      0);
    static const char *const strips[] = {
        "ip -4 addr flush dev t0", "ip -6 addr flush dev t0", "ip -4 route flush dev t0",
        "ip -6 route del 2001:db8::/32", "ip route del 198.51.100.0/24; ip addr flush dev t0"};
    for (size_t i = 0; i < sizeof(strips) / sizeof(strips[0]); i++) {
        ck_assert_msg(stripped_by(&m, strips[i]) > 0, "%s: not told", strips[i]);
        ck_assert_int_eq(setup_mend(&s, &cfg, &any, &diag), RC_OK);
        ck_assert_msg(any, "%s: nothing was missing", strips[i]);
        if (i != 2) /* there the kernel's own route of the subnet went, too: not ours */
            ck_assert_str_eq(shell(all), before);
        else
            shell("ip -4 addr flush dev t0");
        ck_assert_int_eq(setup_mend(&s, &cfg, &any, &diag), RC_OK);
    }
    monitor_close(&m);
    setup_close(&s, warn, NULL);
    ck_assert_str_eq(warned, "");
    loop_run(loop);
    loop_free(loop);
}
END_TEST

START_TEST(test_missing_resolvectl_is_a_warning)
{
    struct setup_cfg cfg = full_config();
    struct setup s = {0};
    char path[512];

    (void)snprintf(path, sizeof(path), "%s", getenv("PATH"));
    ck_assert_int_eq(setenv("PATH", "/nonexistent", 1), 0);
    ck_assert_int_eq(setup_open(&cfg, &s, warn, NULL, &diag), RC_OK);
    ck_assert_int_eq(setenv("PATH", path, 1), 0);
    ck_assert_str_eq(warned, "resolvectl dns t0 1.1.1.1 2606:4700::1111: exec: \"resolvectl\": "
                             "executable file not found in $PATH;");
    setup_close(&s, warn, NULL);
}
END_TEST

static bool may_make_namespaces(void)
{
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    bool may = home >= 0 && unshare(CLONE_NEWNET) == 0;

    if (may && setns(home, CLONE_NEWNET) < 0)
        abort();
    if (home >= 0)
        close(home);
    return may && access("/dev/net/tun", R_OK | W_OK) == 0;
}

int main(void)
{
    Suite *s = suite_create("host");
    TCase *t = tcase_create("namespace");

    if (!may_make_namespaces()) {
        puts("skipped: no privilege for network namespaces and TUN devices");
        return 0;
    }
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, test_device_names_and_settings_are_checked);
    tcase_add_test(t, test_device_has_queue_length_offloads_and_is_gone_when_deleted);
    tcase_add_test(t, test_device_with_queues_and_without_headers);
    tcase_add_test(t, test_netns_visit_leads_back);
    tcase_add_test(t, test_setup_and_back_leaves_the_machine_as_it_was);
    tcase_add_test(t, test_a_failing_setup_takes_everything_back);
    tcase_add_test(t, test_a_lost_device_leaves_the_guard_and_comes_back);
    tcase_add_test(t, test_bound_lookups_pass_the_guard_by);
    tcase_add_test(t, test_monitor_tells_of_down_and_up);
    tcase_add_test(t, test_stripped_device_is_told_and_mended);
    tcase_add_test(t, test_missing_resolvectl_is_a_warning);
    suite_add_tcase(s, t);
    return run_suite(s);
}
