/* handlers/tungodns.h - DNS of the tungo handler: what a client's question gets, and what is known
 * about a flow because of it.
 *
 *   question to port 53 -> fake pool -> kept answers -> hosts -> resolver (hijack), or as sent
 *   flow to an address  -> fake pool -> map of answers -> its name, or nothing
 *
 * dns.fake answers A and AAAA from a pool, so that no such question leaves; dns.cache keeps answers
 * per server that was asked; dns.hijack asks the service's resolver whomever the client meant; with
 * dns.map a flow's name is known from the answer that its client was given. What is none of these
 * is passed on byte for byte: a VPN on port 53 works. A question whose answer dns.cache may keep
 * for others goes with an id of ours. TCP to port 53 is taken with dns.fake and dns.hijack only.
 *
 * Owner: the tungo handler. Caps: 64 open questions a flow, 4,096 in all, 1,024 connections; of
 * both something is always left for the next client (shares_may()). Those of the pool, the map and
 * the kept answers.
 */
#ifndef HANDLERS_TUNGODNS_H
#define HANDLERS_TUNGODNS_H

#include "core/addr.h"
#include "core/option.h"
#include "core/rc.h"
#include <stdbool.h>
#include <stdint.h>

struct dgram;
struct handler_setup;
struct stream;
struct tungodns;

struct tungodns_options {
    bool cache, hijack, map;
    struct netlist fake;
    struct strlist fake_except; /* patterns as of a bypass */
    char *fake_file;            /* NULL: the default place; "none": no record */
};

/* *ret_d stays NULL when no option is set, nor names_rule; then the functions below answer "no".
 * names_rule: a question's name, beside its server, decides its route (sniffing.udp). */
enum rc tungodns_new(const struct handler_setup *setup, const struct tungodns_options *options,
                     bool names_rule, struct tungodns **ret_d, struct diag *diag);
/* Its TCP clients end; its datagram flows fail and live on until they are closed. NULL is fine. */
void tungodns_free(struct tungodns *d);

/* Does a flow to this destination come here? */
bool tungodns_takes_udp(const struct tungodns *d, const struct addr *dst);
bool tungodns_takes_tcp(const struct tungodns *d, const struct addr *dst);

/* The datagram flow that answers; DGRAM_FIXED. route (200 bytes): told when a question leaves; must
 * live until the flow is closed or d is freed. NULL: no memory. */
struct dgram *tungodns_dgram(struct tungodns *d, const struct addr *client, const struct addr *dst,
                             char *route);
/* Takes s, which need not be open. */
void tungodns_serve(struct tungodns *d, struct stream *s, const struct addr *client,
                    const struct addr *dst);

/* TCP to port 53 that is not taken: with dns.map the answers that pass on s, the client's stream,
 * are learnt. Without memory they are not. Must go before d does. */
void tungodns_watch(struct tungodns *d, struct stream *s, const struct addr *client,
                    const struct addr *dst);

enum tungodns_known {
    KNOWN_NOTHING,
    KNOWN_LIKELY, /* for rules; the address may mean another name as well */
    KNOWN_NAME,
    KNOWN_FAKE,  /* there is nothing but the name */
    KNOWN_STALE, /* a fake address that nobody has: the flow can't go anywhere */
};
/* name: with the port of dst; beside it the address, but for a fake one. */
enum tungodns_known tungodns_name(struct tungodns *d, const struct addr *client,
                                  const struct addr *dst, struct target *ret_name);

#endif
