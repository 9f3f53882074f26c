/* tests/unit/udpends.h - a device and a far end that only note what they get, and a handler, around
 * the UDP of the TUN device. Included once by a test program.
 */
#ifndef TESTS_UNIT_UDPENDS_H
#define TESTS_UNIT_UDPENDS_H

#include "core/dgram.h"
#include "core/stream.h"
#include "core/wire/ip.h"
#include "listeners/tungo/gate.h"
#include "listeners/tungo/icmp.h"
#include "listeners/tungo/udp.h"
#include "listeners/tungo/udp_table.h"
#include "pause.h"
#include "run.h"
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

static inline void expect(const char *text)
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

static inline void far_say(struct far *f, const char *from, const void *data, size_t n,
                           size_t segment)
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
 * route 7; of port 5 it takes no empty datagrams, of port 6 by a plain one beside it. all_fixed:
 * every route is */

static struct tungo_udp *u;
static struct icmp icmp;
static struct udp_dest *opened[16];
static size_t n_opened;
static bool open_at_once, all_fixed;
static enum rc fail_at_once;

static enum rc on_udp(void *arg, const struct addr *client, const struct addr *dst,
                      const void *data, size_t n, struct tungo_udp_route *ret_route)
{
    char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];

    (void)arg;
    (void)data;
    note("?%s %s %zu\n", addr_format(client, a, sizeof(a)), addr_format(dst, b, sizeof(b)), n);
    *ret_route = (struct tungo_udp_route){.id = dst->port == 4 ? 4 : 7,
                                          .fixed = all_fixed || dst->port == 3,
                                          .empty_apart = dst->port == 5,
                                          .plain = dst->port == 6};
    return dst->port == 1 ? RC_DENIED : dst->port == 2 ? RC_REFUSED : RC_OK;
}

static void on_udp_open(void *arg, struct udp_dest *ud, const struct tungo_udp_route *route,
                        const struct addr *client, const struct addr *dst)
{
    char b[ADDR_TEXT_MAX];

    (void)arg;
    (void)client;
    note("open %u%s %s\n", route->id,
         route->fixed   ? " fixed"
         : route->plain ? " plain"
                        : "",
         addr_format(dst, b, sizeof(b)));
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
    open_at_once = all_fixed = false;
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

static void turn_for(uint64_t ms)
{
    pause_ms(loop, ms);
}

/* "from>to n" of the last packet written. */
static inline const char *written(void)
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

static inline struct far *open_first(void)
{
    struct far *f = far_new('a');

    ck_assert_uint_ge(n_opened, 1);
    tungo_udp_ready(NULL, opened[0], &f->dgram, RC_OK);
    return f;
}

#endif
