/* listeners/tungo/inside.h - what the parts of the tungo listener share: struct tungo. Nobody
 * outside of this folder includes it.
 */
#ifndef LISTENERS_TUNGO_INSIDE_H
#define LISTENERS_TUNGO_INSIDE_H

#include "core/host/monitor.h"
#include "core/host/setup.h"
#include "core/loop.h"
#include "core/option.h"
#include "core/os.h"
#include "listeners/listener.h"
#include "listeners/tungo/blocks.h"
#include "listeners/tungo/device_io.h"
#include "listeners/tungo/gate.h"
#include "listeners/tungo/icmp.h"
#include "listeners/tungo/tungo.h"

struct echo;
struct netstack;
struct reassembly;
struct rxbuf;
struct tungo_udp;

/* The listener's options as configs/ fills them in (gost-config.md 4.1). */
struct tungo_options {
    char *name;
    struct netlist net;
    int64_t mtu;
    char *gw;
    struct netlist route;
    struct strlist routes; /* "CIDR" or "CIDR GATEWAY" */
    struct strlist dns;
    char *peer, *guid; /* other systems */
    bool offload, guard;
    int icmp;       /* enum icmp_mode */
    int congestion; /* enum congestion_kind, then: off */
};

enum icmp_mode { ICMP_LOCAL, ICMP_BLOCK, ICMP_FORWARD };

struct tungo_stats {
    uint64_t read_packets, read_bytes, written_packets, written_bytes;
    uint64_t dropped[DROP_REASONS]; /* by the gate */
    uint64_t lost_writes, loops;
};

struct tungo {
    struct loop *loop;
    const char *service;
    const struct tungo_options *options;
    struct tungo_events events; /* on_flow NULL: not set yet */
    struct tungo_cfg cfg;
    bool (*is_node)(void *arg, const struct addr *a);
    void *is_node_arg;
    struct listener_events up; /* on_returned, on_broken */

    struct setup setup; /* device, addresses, routes */
    struct setup_cfg setup_cfg;
    struct setup_route *routes; /* setup_cfg points to these */
    struct addr *dns;
    char *netns, *where;
    char mtu_text[12], *addr_text; /* for the hooks' environment */
    struct tun_caps caps;
    struct gate_cfg gate;
    struct hotfd hot;    /* the device's descriptor */
    struct job again;    /* the batch was full: go on in the next turn */
    struct timer reopen; /* the device is lost: try to make it again */
    struct timer mend;   /* addresses or routes of it were removed: look which */
    uint64_t mend_ms; /* how long that waits: longer where somebody removes them again and again */
    uint64_t mended_ms;  /* when that was last done */
    uint64_t told_ms;    /* when it was last told that the device can't be made; 0: not yet */
    struct timer ageing; /* of fragments that wait for the rest */
    struct monitor monitor;
    bool open, started, reading; /* started: new flows are taken */
    struct rxbuf *spare;

    struct netstack *net;
    struct tungo_udp *udp;
    struct icmp icmp;
    struct echo *echo; /* NULL: pings do not leave */
    bool told_no_ping;
    struct reassembly *fragments;
    struct tungo_stats stats;
};

/* device_io.c */
void device_io_probe(struct tungo *t);    /* the device is open: caps */
enum rc device_io_start(struct tungo *t); /* begin to read it */
void device_io_stop(struct tungo *t);

/* regain.c: the device is lost, set down or stripped by somebody else, and comes back. */
void regain_init(struct tungo *t);
bool regain_reserve(struct tungo *t);
enum rc regain_start(struct tungo *t, struct diag *diag); /* reads the device and watches it */
void regain_stop(struct tungo *t);
void regain_release(struct tungo *t);
void regain_tell_device(const struct tungo *t);
void regain_warn(void *arg, const char *text); /* arg: the struct tungo */

/* inlet.c: one packet that was read; takes b (NULL: somebody else's memory). */
void inlet_packet(struct tungo *t, struct rxbuf *b, uint8_t *data, size_t n,
                  const struct virtio_net_hdr *vh);

/* plan.c: from options to what core/host shall do. Errors name the option. */
enum rc plan_make(struct tungo *t, const struct sockopts *so, struct diag *diag);
void plan_free(struct tungo *t);
/* As listener_type.plan. */
enum rc plan_tell(const void *cfg, struct listener_plan *ret_p, struct diag *diag);
/* As listener_type.drops. */
const char *plan_drops(const void *cfg, const struct addr *dst);

/* counters.c: all that was counted, in one line. Returns buf. */
const char *counters_format(const struct tungo *t, char *buf, size_t cap);

/* tungo.c: reading found the device gone. Not from inside a flow's call. */
void tungo_device_lost(struct tungo *t);

#endif
