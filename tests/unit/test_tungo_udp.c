/* UDP of the device: routes asked once, associations shared or not, answers from their true sender,
 * caps, idle, DNS; with a device and a far end that only note what they get.
 */
#include "core/dgram.h"
#include "core/stream.h"
#include "core/wire/ip.h"
#include "listeners/tungo/gate.h"
#include "listeners/tungo/icmp.h"
#include "listeners/tungo/udp.h"
#include "listeners/tungo/udp_table.h"
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* --- the device */

static struct tun_caps caps;
static uint8_t out[140000];
static size_t out_n;
static unsigned writes;
static struct virtio_net_hdr out_vh;

const struct tun_caps *tungo_caps(const struct tungo *t)
{
    (void)t;
    return &caps;
}

struct virtio_net_hdr tun_vnet(bool ip6, bool tcp, size_t l4, size_t header_bytes,
                               size_t segment_bytes)
{
    (void)ip6;
    ck_assert(!tcp);
    ck_assert_uint_eq(header_bytes, l4 + 8);
    return (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                   .gso_size = (uint16_t)segment_bytes};
}

bool tun_write(struct tungo *t, const struct iovec *v, int nv, const struct virtio_net_hdr *vh)
{
    (void)t;
    out_n = 0;
    for (int i = 0; i < nv; i++) {
        memcpy(out + out_n, v[i].iov_base, v[i].iov_len);
        out_n += v[i].iov_len;
    }
    out_vh = vh ? *vh : (struct virtio_net_hdr){0};
    writes++;
    return true;
}

/* --- the far end */

enum { SENT_MAX = 64 };
struct far {
    struct dgram dgram;
    char name;
    enum rc open_rc;
    struct {
        struct target from;
        const void *data;
        size_t n, segment;
    } in[SENT_MAX];
    size_t in_n, in_at;
    enum rc ends; /* not RC_OK: what recv says when nothing is left */
    struct target about;
    enum rc why;
};
static char told[8192];

static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *fmt, ...)
{
    size_t at = strlen(told);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(told + at, sizeof(told) - at, fmt, ap);
    va_end(ap);
}

static void expect(const char *text)
{
    ck_assert_str_eq(told, text);
    told[0] = 0;
}

static enum rc far_open(struct dgram *d)
{
    return ((struct far *)d)->open_rc;
}

static enum rc far_send_burst(struct dgram *d, const struct target *to, const void *data, size_t n,
                              size_t segment)
{
    struct far *f = (struct far *)d;
    char text[TARGET_TEXT_MAX];

    note("%c>%s %zu", f->name, target_format(to, text, sizeof(text)), n);
    if (n > segment)
        note("/%zu", segment);
    if (n > 0)
        note(" %c", *(const char *)data);
    note("\n");
    return RC_OK;
}

static enum rc far_send(struct dgram *d, const struct target *to, const void *data, size_t n)
{
    return far_send_burst(d, to, data, n, n);
}

static enum rc far_recv_burst(struct dgram *d, void *buf, size_t cap, size_t *ret_n,
                              size_t *ret_segment, struct target *ret_from)
{
    struct far *f = (struct far *)d;

    ck_assert_uint_ge(cap, DGRAM_MAX_BYTES);
    if (f->in_at == f->in_n)
        return f->ends != RC_OK ? f->ends : RC_AGAIN;
    *ret_n = f->in[f->in_at].n;
    *ret_segment = f->in[f->in_at].segment;
    *ret_from = f->in[f->in_at].from;
    memcpy(buf, f->in[f->in_at].data, *ret_n);
    f->in_at++;
    return RC_OK;
}

static enum rc far_recv(struct dgram *d, void *buf, size_t cap, size_t *ret_n,
                        struct target *ret_from)
{
    size_t segment;
    return far_recv_burst(d, buf, cap, ret_n, &segment, ret_from);
}

static unsigned far_ready(struct dgram *d, unsigned wish)
{
    struct far *f = (struct far *)d;
    bool in = f->in_at < f->in_n || f->ends != RC_OK || f->why != RC_OK;

    return wish & ((f->open_rc == RC_OK ? STREAM_OPEN | STREAM_OUT : 0) | (in ? STREAM_IN : 0));
}

static enum rc far_trouble(struct dgram *d, struct target *ret_about, enum rc *ret_why)
{
    struct far *f = (struct far *)d;

    if (f->why == RC_OK)
        return RC_AGAIN;
    *ret_about = f->about;
    *ret_why = f->why;
    f->why = RC_OK;
    return RC_OK;
}

static const struct dgram_type far_type = {.name = "far",
                                           .open = far_open,
                                           .send = far_send,
                                           .recv = far_recv,
                                           .ready = far_ready,
                                           .send_burst = far_send_burst,
                                           .recv_burst = far_recv_burst,
                                           .trouble = far_trouble};

static struct loop *loop;

static struct far *far_new(char name)
{
    struct far *f = calloc(1, sizeof(*f));

    ck_assert_ptr_nonnull(f);
    dgram_init(&f->dgram, &far_type, loop, 0);
    f->name = name;
    return f;
}

static void far_say(struct far *f, const char *from, const void *data, size_t n, size_t segment)
{
    ck_assert_uint_lt(f->in_n, SENT_MAX);
    f->in[f->in_n].data = data;
    f->in[f->in_n].n = n;
    f->in[f->in_n].segment = segment;
    ck_assert(target_parse(from, &f->in[f->in_n].from));
    f->in_n++;
    dgram_wake(&f->dgram);
}

/* --- the handler: destinations of port 1 are denied, 2 refused, 3 fixed, 4 another route, the rest
 * route 7 */

static struct tungo_udp *u;
static struct icmp icmp;
static struct udp_dest *opened[16];
static size_t n_opened;
static bool open_at_once;
static enum rc fail_at_once;

static enum rc on_udp(void *arg, const struct addr *client, const struct addr *dst,
                      const void *data, size_t n, struct tungo_udp_route *ret_route)
{
    char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];

    (void)arg;
    (void)data;
    note("?%s %s %zu\n", addr_format(client, a, sizeof(a)), addr_format(dst, b, sizeof(b)), n);
    *ret_route = (struct tungo_udp_route){.id = dst->port == 4 ? 4 : 7, .fixed = dst->port == 3};
    return dst->port == 1 ? RC_DENIED : dst->port == 2 ? RC_REFUSED : RC_OK;
}

static void on_udp_open(void *arg, struct udp_dest *ud, const struct tungo_udp_route *route,
                        const struct addr *client, const struct addr *dst)
{
    char b[ADDR_TEXT_MAX];

    (void)arg;
    (void)client;
    note("open %u%s %s\n", route->id, route->fixed ? " fixed" : "", addr_format(dst, b, sizeof(b)));
    if (fail_at_once != RC_OK)
        tungo_udp_ready(NULL, ud, NULL, fail_at_once);
    else if (open_at_once)
        tungo_udp_ready(NULL, ud, &far_new('i')->dgram, RC_OK);
    else if (n_opened < 16)
        opened[n_opened++] = ud;
}

static void on_udp_gone(void *arg, struct udp_dest *ud, uint64_t up_bytes, uint64_t down_bytes)
{
    (void)arg;
    (void)ud;
    note("gone %u %u\n", (unsigned)up_bytes, (unsigned)down_bytes);
}

static const struct tungo_events events = {
    .on_udp = on_udp, .on_udp_open = on_udp_open, .on_udp_gone = on_udp_gone};
static struct cidr own;
static uint8_t text[70000];

static void setup(void)
{
    loop = loop_new(NULL);
    caps = (struct tun_caps){.vnet = true, .uso = true, .mtu = 1500};
    icmp_init(&icmp, NULL);
    ck_assert(cidr_parse("10.0.0.1/32", 11, &own));
    struct tungo_udp_setup s = {.loop = loop, .icmp = &icmp, .own = &own, .n_own = 1};
    u = tungo_udp_new(&s);
    ck_assert_ptr_nonnull(u);
    tungo_udp_set_events(u, &events);
    told[0] = 0;
    n_opened = 0;
    writes = 0;
    open_at_once = false;
    fail_at_once = RC_OK;
    memset(text, 'x', sizeof(text));
}

static void teardown(void)
{
    tungo_udp_free(u);
    loop_run(loop);
    loop_free(loop);
}

/* A datagram from the client, as the gate passes it. */
static void come(const char *client, const char *dst, const void *data, size_t n, size_t segment)
{
    static uint8_t ip[70000];
    struct packet p = {.ip = ip, .proto = IPPROTO_UDP};

    ck_assert(addr_parse(client, &p.src));
    ck_assert(addr_parse(dst, &p.dst));
    struct ip_fields f = {.src = &p.src, .dst = &p.dst, .proto = IPPROTO_UDP};
    size_t l4 = packet_put_ip(ip, &f, n + 8);
    packet_put_udp(ip, l4, p.src.port, p.dst.port, n);
    memcpy(ip + l4 + 8, data, n);
    p.l4 = (uint16_t)l4;
    p.payload = (uint16_t)(l4 + 8);
    p.bytes = l4 + 8 + n;
    p.gso_size = (uint16_t)(segment < n ? segment : 0);
    tungo_udp_packet(u, &p);
}

static void stop_loop(struct timer *t)
{
    (void)t;
    loop_stop(loop);
}

static void turn_for(uint64_t ms)
{
    struct timer t;

    timer_init(loop, &t, stop_loop);
    ck_assert(timer_start(&t, ms));
    loop_run(loop);
}

/* "from>to n" of the last packet written. */
static const char *written(void)
{
    static char line[200];
    char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];
    size_t l4 = packet_version(out) == 6 ? 40 : 20;
    struct addr src = packet_src(out), dst = packet_dst(out);

    src.port = packet_rd16(out + l4);
    dst.port = packet_rd16(out + l4 + 2);
    (void)snprintf(line, sizeof(line), "%s>%s %zu", addr_format(&src, a, sizeof(a)),
                   addr_format(&dst, b, sizeof(b)), out_n - l4 - 8);
    return line;
}

static struct far *open_first(void)
{
    struct far *f = far_new('a');

    ck_assert_uint_ge(n_opened, 1);
    tungo_udp_ready(NULL, opened[0], &f->dgram, RC_OK);
    return f;
}

START_TEST(test_route_is_asked_once_and_what_waited_goes_in_order)
{
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    come("10.0.0.2:1000", "8.8.8.8:9", "22", 2, 2);
    come("10.0.0.2:1000", "9.9.9.9:9", "333", 3, 3);
    expect("?10.0.0.2:1000 8.8.8.8:9 1\nopen 7 8.8.8.8:9\n?10.0.0.2:1000 9.9.9.9:9 3\n");
    open_first();
    turn_for(1);
    expect("a>8.8.8.8:9 1 1\na>8.8.8.8:9 2 2\na>9.9.9.9:9 3 3\n");
    come("10.0.0.2:1000", "9.9.9.9:9", "4", 1, 1);
    come("10.0.0.2:1000", "9.9.9.9:9", "", 0, 0);
    come("10.0.0.2:1000", "9.9.9.9:4", "5", 1, 1); /* another route */
    come("10.0.0.2:1001", "9.9.9.9:9", "6", 1, 1); /* another client */
    turn_for(1);
    expect("a>9.9.9.9:9 1 4\na>9.9.9.9:9 0\n?10.0.0.2:1000 9.9.9.9:4 1\nopen 4 9.9.9.9:4\n"
           "?10.0.0.2:1001 9.9.9.9:9 1\nopen 7 9.9.9.9:9\n");
    struct tungo_udp_stats st;
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.sources, 2);
    ck_assert_uint_eq(st.associations, 3);
    ck_assert_uint_eq(st.opening, 2);
}
END_TEST

START_TEST(test_answers_come_from_whoever_sent_them)
{
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    struct far *f = open_first();
    turn_for(1);
    far_say(f, "8.8.8.8:9", "hello", 5, 5);
    turn_for(1);
    ck_assert_str_eq(written(), "8.8.8.8:9>10.0.0.2:1000 5");
    ck_assert_mem_eq(out + 28, "hello", 5);
    ck_assert_uint_eq(packet_rd16(out + IP4_AT_FRAG), IP4_DF);
    far_say(f, "1.2.3.4:77", "", 0, 0); /* never asked: full cone; and empty */
    turn_for(1);
    ck_assert_str_eq(written(), "1.2.3.4:77>10.0.0.2:1000 0");
    writes = 0;
    far_say(f, "127.0.0.1:77", "x", 1, 1);
    far_say(f, "224.0.0.1:77", "x", 1, 1);
    far_say(f, "[2001:db8::1]:77", "x", 1, 1);
    turn_for(1);
    ck_assert_uint_eq(writes, 0);
    far_say(f, "example.org:77", "x", 1, 1); /* no address: there is only one it can mean */
    turn_for(1);
    ck_assert_str_eq(written(), "8.8.8.8:9>10.0.0.2:1000 1");
    told[0] = 0;
    f->ends = RC_RESET;
    dgram_wake(&f->dgram);
    turn_for(1);
    expect("gone 1 6\n");
}
END_TEST

START_TEST(test_fixed_routes_have_one_flow_per_destination)
{
    come("[fd00::2]:1000", "[2001:db8::8]:3", "1", 1, 1);
    come("[fd00::2]:1000", "[2001:db8::9]:3", "2", 1, 1);
    come("[fd00::2]:1000", "[2001:db8::8]:3", "3", 1, 1);
    expect("?[fd00::2]:1000 [2001:db8::8]:3 1\nopen 7 fixed [2001:db8::8]:3\n"
           "?[fd00::2]:1000 [2001:db8::9]:3 1\nopen 7 fixed [2001:db8::9]:3\n");
    struct far *b = far_new('b');
    tungo_udp_ready(NULL, opened[1], &b->dgram, RC_OK);
    struct far *a = open_first();
    turn_for(1);
    expect("b>[2001:db8::9]:3 1 2\na>[2001:db8::8]:3 2/1 1\n");
    far_say(a, "10.9.9.9:1", "x", 1, 1); /* whatever it says */
    turn_for(1);
    ck_assert_str_eq(written(), "[2001:db8::8]:3>[fd00::2]:1000 1");
    far_say(b, "10.9.9.9:1", "x", 1, 1);
    turn_for(1);
    ck_assert_str_eq(written(), "[2001:db8::9]:3>[fd00::2]:1000 1");
}
END_TEST

START_TEST(test_verdicts_are_silent_or_told_and_kept_for_a_while)
{
    come("10.0.0.2:1000", "8.8.8.8:1", "1", 1, 1);
    come("10.0.0.2:1000", "8.8.8.8:1", "1", 1, 1);
    ck_assert_uint_eq(writes, 0);
    come("10.0.0.2:1000", "8.8.8.8:2", "1", 1, 1);
    ck_assert_uint_eq(writes, 1);
    ck_assert_uint_eq(out[IP4_AT_PROTO], IPPROTO_ICMP);
    ck_assert_uint_eq(out[20], 3);
    ck_assert_uint_eq(out[21], 3);
    ck_assert_uint_eq(packet_rd16(out + 28 + 20), 1000); /* quoted */
    come("10.0.0.2:1000", "8.8.8.8:2", "1", 1, 1);
    ck_assert_uint_eq(writes, 2);
    expect("?10.0.0.2:1000 8.8.8.8:1 1\n?10.0.0.2:1000 8.8.8.8:2 1\n");
    fail_at_once = RC_UNREACH_HOST;
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    ck_assert_uint_eq(writes, 3);
    ck_assert_uint_eq(out[21], 1);
    ck_assert_uint_eq(packet_rd16(out + 28 + 22), 9);
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1); /* not tried again for a moment */
    ck_assert_uint_eq(writes, 4);
    expect("?10.0.0.2:1000 8.8.8.8:9 1\nopen 7 8.8.8.8:9\n");
    turn_for(1100);
    fail_at_once = RC_OK;
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    expect("?10.0.0.2:1000 8.8.8.8:9 1\nopen 7 8.8.8.8:9\n");
}
END_TEST

START_TEST(test_a_closed_port_far_away_is_told)
{
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    struct far *f = open_first();
    ck_assert(target_parse("8.8.8.8:9", &f->about));
    f->why = RC_REFUSED;
    dgram_wake(&f->dgram);
    turn_for(1);
    ck_assert_uint_eq(writes, 1);
    ck_assert_uint_eq(out[20], 3);
    ck_assert_uint_eq(out[21], 3);
    ck_assert_uint_eq(packet_rd16(out + 28 + 22), 9);
}
END_TEST

START_TEST(test_waiting_datagrams_are_capped)
{
    for (int i = 0; i < 20; i++)
        come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    struct tungo_udp_stats st;
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.dropped_up, 4);
    come("10.0.0.3:1000", "8.8.8.8:9", text, 40000, 40000);
    come("10.0.0.3:1000", "8.8.8.8:9", text, 40000, 40000);
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.dropped_up, 5);
    told[0] = 0;
    open_first();
    turn_for(1);
    expect("a>8.8.8.8:9 16/1 1\n");
}
END_TEST

START_TEST(test_bursts_are_joined_and_cut_both_ways)
{
    open_at_once = true;
    come("10.0.0.2:1000", "8.8.8.8:9", text, 5000, 1000); /* USO from the kernel, while opening */
    turn_for(1);
    expect("?10.0.0.2:1000 8.8.8.8:9 1000\nopen 7 8.8.8.8:9\ni>8.8.8.8:9 5000/1000 x\n");
    come("10.0.0.2:1000", "8.8.8.8:9", text, 5001, 1000);
    expect("i>8.8.8.8:9 5001/1000 x\n");
    come("10.0.0.2:1000", "8.8.8.8:9", text, 100, 100);
    come("10.0.0.2:1000", "8.8.8.8:9", text, 100, 100);
    come("10.0.0.2:1000", "8.8.8.8:9", text, 50, 50); /* shorter: the last one */
    expect("i>8.8.8.8:9 250/100 x\n");
    come("10.0.0.2:1000", "8.8.8.8:9", text, 100, 100);
    come("10.0.0.2:1000", "8.8.8.8:9", text, 101, 101);
    expect("i>8.8.8.8:9 100 x\n");
    come("10.0.0.2:1000", "8.8.8.8:9", text, 65507, 65507);
    expect("i>8.8.8.8:9 101 x\ni>8.8.8.8:9 65507 x\n");
    for (int i = 0; i < 70; i++)
        come("10.0.0.2:1000", "8.8.8.8:9", text, 10, 10);
    expect("i>8.8.8.8:9 640/10 x\n");
    turn_for(1);
    expect("i>8.8.8.8:9 60/10 x\n");
}
END_TEST

START_TEST(test_answers_are_joined_to_uso_packets)
{
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    struct far *f = open_first();
    turn_for(1);
    far_say(f, "8.8.8.8:9", text, 1000, 1000);
    far_say(f, "8.8.8.8:9", text, 30000, 1000);
    far_say(f, "8.8.8.8:9", text, 999, 999); /* another size */
    far_say(f, "8.8.4.4:9", text, 999, 999); /* another sender */
    turn_for(1);
    ck_assert_uint_eq(writes, 3);
    ck_assert_str_eq(written(), "8.8.4.4:9>10.0.0.2:1000 999");
    writes = 0;
    far_say(f, "8.8.8.8:9", text, 5000, 1000);
    far_say(f, "8.8.8.8:9", text, 500, 500);
    turn_for(1);
    ck_assert_uint_eq(writes, 2);
    writes = 0;
    far_say(f, "8.8.8.8:9", text, 64000, 1000); /* 65 pieces do not fit into one packet */
    far_say(f, "8.8.8.8:9", text, 5000, 1000);
    turn_for(1);
    ck_assert_uint_eq(writes, 2);
    ck_assert_uint_eq(out_vh.gso_size, 1000);
    ck_assert_str_eq(written(), "8.8.8.8:9>10.0.0.2:1000 5000");
    writes = 0;
    caps.uso = false;
    far_say(f, "8.8.8.8:9", text, 5000, 1000);
    turn_for(1);
    ck_assert_uint_eq(writes, 5);
    ck_assert_uint_eq(out_vh.gso_size, 0);
}
END_TEST

START_TEST(test_answers_beyond_the_mtu_are_whole_here_and_cut_elsewhere)
{
    open_at_once = false;
    come("10.0.0.1:1000", "8.8.8.8:9", "1", 1, 1); /* the device's own address */
    struct far *f = open_first();
    turn_for(1);
    far_say(f, "8.8.8.8:9", text, 65507, 65507);
    turn_for(1);
    ck_assert_uint_eq(writes, 1);
    ck_assert_str_eq(written(), "8.8.8.8:9>10.0.0.1:1000 65507");
    n_opened = 0;
    writes = 0;
    come("[fd00::2]:1000", "[2001:db8::8]:9", "1", 1, 1);
    f = open_first();
    turn_for(1);
    far_say(f, "[2001:db8::8]:9", text, 65507, 65507);
    turn_for(1);
    ck_assert_uint_eq(writes, (65507 + 8 + 1447) / 1448);
    ck_assert_uint_eq(out[IP6_AT_NEXT], IPPROTO_FRAGMENT);
    writes = 0;
    far_say(f, "[2001:db8::8]:9", text, 1452, 1452);
    turn_for(1);
    ck_assert_uint_eq(writes, 1);
    far_say(f, "[2001:db8::8]:9", text, 1453, 1453);
    turn_for(1);
    ck_assert_uint_eq(writes, 3);
}
END_TEST

START_TEST(test_idle_associations_end_and_use_keeps_them)
{
    tungo_udp_configure(u, &(struct tungo_cfg){.udp_timeout_ms = 120});
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    struct far *f = open_first();
    told[0] = 0;
    turn_for(80);
    expect("a>8.8.8.8:9 1 1\n");
    far_say(f, "8.8.8.8:9", "hello", 5, 5);
    turn_for(80);
    expect("");
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    turn_for(80);
    expect("a>8.8.8.8:9 1 1\n"); /* the route was not asked again */
    turn_for(100);
    expect("gone 2 5\n");
    struct tungo_udp_stats st;
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.sources, 0);
    ck_assert_uint_eq(st.associations, 0);
}
END_TEST

static const uint8_t question1[12] = {1, 1, 1}, question2[12] = {2, 2, 1};
static const uint8_t answer1[12] = {1, 1, 0x81}, answer2[12] = {2, 2, 0x81};

START_TEST(test_dns_ends_when_all_questions_are_answered)
{
    come("10.0.0.2:1000", "8.8.8.8:53", question1, 12, 12);
    come("10.0.0.2:1000", "8.8.8.8:53", question2, 12, 12);
    struct far *f = open_first();
    turn_for(1);
    far_say(f, "8.8.8.8:53", answer2, 12, 12);
    turn_for(1);
    told[0] = 0;
    turn_for(1200);
    expect(""); /* one is open */
    far_say(f, "8.8.8.8:53", answer1, 12, 12);
    turn_for(500);
    expect("");
    turn_for(700);
    expect("gone 24 24\n");
}
END_TEST

START_TEST(test_dns_with_other_uses_is_an_ordinary_flow)
{
    come("10.0.0.2:1000", "8.8.8.8:53", question1, 12, 12);
    struct far *f = open_first();
    turn_for(1);
    far_say(f, "8.8.8.8:53", answer1, 12, 12);
    turn_for(1);
    come("10.0.0.2:1000", "8.8.8.8:99", "1", 1, 1);
    told[0] = 0;
    turn_for(1200);
    expect("a>8.8.8.8:99 1 1\n");
}
END_TEST

START_TEST(test_sources_and_waiting_ones_are_capped)
{
    char client[32];
    struct tungo_udp_stats st;

    for (int i = 0; i < 70; i++) {
        (void)snprintf(client, sizeof(client), "8.8.9.%d:3", i);
        come("10.0.0.2:1", client, "1", 1, 1);
    }
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.opening, UDP_WAITING_PER_SOURCE);
    open_at_once = true;
    for (int i = 0; i < UDP_SOURCES_MAX + 100; i++) {
        (void)snprintf(client, sizeof(client), "10.0.%d.%d:2", i / 250, i % 250 + 1);
        come(client, "8.8.8.8:9", "1", 1, 1);
        told[0] = 0;
    }
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.sources, UDP_SOURCES_MAX);
    ck_assert_uint_eq(st.opening, 0); /* the first source was the first to go */
    turn_for(1);
    told[0] = 0;
    for (int port = 1; port <= UDP_PAIRS_PER_SOURCE + 50; port++) {
        (void)snprintf(client, sizeof(client), "9.9.9.9:%d", port + 100);
        come("10.0.0.200:2", client, "1", 1, 1);
        told[0] = 0;
    }
    struct addr a;
    ck_assert(addr_parse("10.0.0.200:2", &a));
    tungo_udp_client_gone(u, &a);
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.sources, UDP_SOURCES_MAX - 1);
}
END_TEST

START_TEST(test_failing_to_open_later_ends_it)
{
    struct far *f = far_new('a');

    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    told[0] = 0;
    f->open_rc = RC_AGAIN;
    tungo_udp_ready(NULL, opened[0], &f->dgram, RC_OK);
    turn_for(1);
    expect("");
    f->open_rc = RC_OK;
    dgram_wake(&f->dgram);
    turn_for(1);
    expect("a>8.8.8.8:9 1 1\n");
    come("10.0.0.2:1001", "8.8.8.8:9", "1", 1, 1);
    told[0] = 0;
    f = far_new('b');
    f->open_rc = RC_AUTH;
    tungo_udp_ready(NULL, opened[1], &f->dgram, RC_OK);
    expect("");
    turn_for(1);
    expect("gone 0 0\n");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tungo_udp");
    TCase *t = tcase_create("flows");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 20);
    tcase_add_test(t, test_route_is_asked_once_and_what_waited_goes_in_order);
    tcase_add_test(t, test_answers_come_from_whoever_sent_them);
    tcase_add_test(t, test_fixed_routes_have_one_flow_per_destination);
    tcase_add_test(t, test_verdicts_are_silent_or_told_and_kept_for_a_while);
    tcase_add_test(t, test_a_closed_port_far_away_is_told);
    tcase_add_test(t, test_waiting_datagrams_are_capped);
    tcase_add_test(t, test_bursts_are_joined_and_cut_both_ways);
    tcase_add_test(t, test_answers_are_joined_to_uso_packets);
    tcase_add_test(t, test_answers_beyond_the_mtu_are_whole_here_and_cut_elsewhere);
    tcase_add_test(t, test_idle_associations_end_and_use_keeps_them);
    tcase_add_test(t, test_dns_ends_when_all_questions_are_answered);
    tcase_add_test(t, test_dns_with_other_uses_is_an_ordinary_flow);
    tcase_add_test(t, test_sources_and_waiting_ones_are_capped);
    tcase_add_test(t, test_failing_to_open_later_ends_it);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
