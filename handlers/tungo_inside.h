/* handlers/tungo_inside.h - what the files of the tungo handler share. Private to them.
 *
 * Who may hold a conn when it dies: its parked flow (user pointer; taken by accept, refuse or
 * on_flow_gone), its sniffer (freed), its dial (canceled), its streams' events (closed), its timer
 * (stopped), its splice (done() ended it). tun_conn_free() is the one end.
 */
#ifndef HANDLERS_TUNGO_INSIDE_H
#define HANDLERS_TUNGO_INSIDE_H

#include "chain/router.h"
#include "core/loop.h"
#include "handlers/handler.h"
#include "handlers/report.h"
#include "handlers/tungodns.h"
#include "handlers/tungosniff.h"
#include "listeners/tungo/tungo.h"

struct node;
struct quic_hello;
struct splice;
struct stream;
struct tun_conn;

struct tungo_handler_cfg {
    int64_t udp_timeout_ms, udp_buffer_bytes, tcp_send_bytes, tcp_receive_bytes;
    bool ipv6;
    bool sniffing, sniffing_udp, sniffing_fallback, sniffing_override;
    int64_t sniffing_timeout_ms;
    struct tungodns_options dns;
    int quic; /* enum tungo_quic */
    int64_t ignored_ms;
    char *ignored_text;
    bool ignored_bool;
};
extern const struct option tungo_options[];
enum tungo_quic { TUNGO_QUIC_ALLOW, TUNGO_QUIC_BLOCK };

struct tun_handler {
    struct handler_setup setup;
    struct tungo_handler_cfg *cfg;
    struct tun_conn *conns; /* every TCP flow and datagram flow */
    struct tungodns *dns;   /* NULL: none of its options is set */
    struct tungosniffs sniffs;
    struct quic_hello *quic; /* with sniffing.udp: first datagrams are read with it */
    struct {
        struct addr client, dst;
        struct target seen, dial;
        bool by_name;
    } decided; /* the last UDP flow that got a route: as rules saw it, and where it goes */
    bool ending, told_of_loop, told_dns_tcp, told_of_crowd;
    struct deferred deferred;
};

struct tun_conn {
    struct tun_handler *h;
    struct tun_conn *next, **link;
    struct report report;     /* its target may be a sniffed name, or one known from DNS */
    struct addr dst;          /* where the client's packets go */
    struct tungo_flow *flow;  /* parked SYN */
    struct udp_dest *ud;      /* datagram flow being opened, or open */
    struct tungosniff *sniff; /* until the bytes are given back */
    struct dial *dial;
    struct stream *client, *target;
    struct splice *splice;
    struct layer *requests; /* of an HTTP or DNS client, on its stream (tungohttp.h,
                               tungoquestions.h) */
    struct stream *kept;    /* the client's, while the splice has it and requests is set */
    struct timer park, linger;
    struct node *node;       /* that has not told yet whether the target is there; else NULL */
    uint64_t answered_bytes; /* when linger looked last */
    bool sniffed;
    bool asks_dns; /* requests are questions */
    bool named;    /* by DNS; its address is as good */
    bool by_name;  /* its address is a fake one */
    struct deferred deferred;
};

/* In the handler's list. NULL: no memory, or the handler ends. */
struct tun_conn *tun_conn_new(struct tun_handler *h, const char *network, const struct addr *client,
                              const struct addr *dst);
void tun_conn_free(struct tun_conn *c);
/* May this client be served; does the service's bypass exclude the target? */
bool tun_is_admitted(const struct tun_handler *h, const struct addr *client);
bool tun_is_bypassed(const struct tun_handler *h, const char *network, const struct target *t);

/* How long a SYN may stay parked. A dial ends by itself, and its reason is what the client shall
 * hear: this is for what never ends. */
uint32_t tun_park_ms(const struct tungo_handler_cfg *cfg, const struct router *r);

/* Our own traffic came back through the device: told once, with the mend. node: to one of ours. */
void tun_tell_loop(struct tun_handler *h, const struct addr *dst, bool node);
/* Is it the address of one of our nodes? Then what goes there is a loop: told once. arg: struct
 * tun_handler. */
bool tun_is_node(void *arg, const struct addr *a);

/* What is asked and dialled when the first bytes of a flow to `original` said `found`. */
void tun_plan(const struct tungo_handler_cfg *cfg, const struct sniffed *found,
              const struct target *original, struct handler_plan *ret_p);
/* The same for a flow whose name is known from DNS. false: its first bytes are needed. */
bool tun_plan_known(const struct tungo_handler_cfg *cfg, enum tungodns_known known,
                    const struct target *name, const struct target *original,
                    struct handler_plan *ret_p);
/* The same for UDP, of whose name DNS told `known`: the name decides the route, datagrams go to the
 * address, unless it is a fake one. found counts where DNS is not sure. */
void tun_plan_udp(enum tungodns_known known, const struct target *name, const struct sniffed *found,
                  const struct target *original, struct handler_plan *ret_p);
void tun_explain(const void *cfg, const struct handler_question *q, struct handler_plan *ret_p);

/* Of struct tungo_events. */
void tun_on_flow(void *arg, struct tungo_flow *f);
void tun_on_flow_gone(void *arg, struct tungo_flow *f);
enum rc tun_on_udp(void *arg, const struct addr *client, const struct addr *dst, const void *data,
                   size_t n, struct tungo_udp_route *ret_route);
enum rc tun_on_udp_more(void *arg, const struct addr *client, const struct addr *dst,
                        const struct slice *v, int n, bool last, struct tungo_udp_route *ret_route);
enum rc tun_on_echo(void *arg, const struct addr *client, const struct addr *dst,
                    const struct sockopts **ret_so);
void tun_on_udp_open(void *arg, struct udp_dest *ud, const struct tungo_udp_route *route,
                     const struct addr *client, const struct addr *dst);
void tun_on_udp_gone(void *arg, struct udp_dest *ud, uint64_t up_bytes, uint64_t down_bytes);

#endif
