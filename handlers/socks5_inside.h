/* handlers/socks5_inside.h - what the files of the socks5 handler share: socks5.c (greeting,
 * requests, CONNECT), socks5_udp.c and socks5_bind.c. Private to them.
 */
#ifndef HANDLERS_SOCKS5_INSIDE_H
#define HANDLERS_SOCKS5_INSIDE_H

#include "core/wire/socks5.h"
#include "handlers/conn.h"
#include "handlers/proxyoptions.h"

struct binding;
struct dgram;
struct tls_ctx;
struct udp_tunnel;

struct socks5_front {
    struct front front;
    const struct proxy_options *cfg;
    struct tls_ctx *tls; /* made when the first client offers a TLS method */
    bool no_tls;         /* not wanted, or could not be made */
};

enum socks5_state { ST_METHODS_RECV, ST_AUTH_RECV, ST_REQUEST_RECV };

struct socks5_conn {
    struct conn conn;
    enum socks5_state state;
    bool auth_next;          /* behind TLS */
    bool tun;                /* UDP-TUN, not ASSOCIATE */
    bool bound;              /* UDP-TUN on a port of this machine */
    struct binding *binding; /* BIND: until the peer came */
    struct udp_tunnel *tunnel;
    struct dgram *assoc; /* until the tunnel has it */
};

static inline const struct socks5_front *socks5_front_of(const struct conn *c)
{
    return (const struct socks5_front *)c->front;
}

void socks5_refuse(struct conn *c, enum socks5_rep rep, enum rc rc, const char *reason);
/* bound.family 0: not known. Returns the bytes of the reply. */
size_t socks5_success(const struct addr *bound, uint8_t reply[static SOCKS5_MESSAGE_MAX_BYTES]);
/* The address of this machine that a client names; a wildcard is both families. RC_NAME: none. */
enum rc socks5_own_place(const struct target *t, struct addr *ret_at, bool *ret_any);
/* For BND: an address that the client can reach, the one it reached already or the public one. */
struct addr socks5_reachable_addr(const struct conn *c, uint16_t port);

/* --- socks5_udp.c: ASSOCIATE and UDP-TUN */
void socks5_begin_udp(struct conn *c);
/* UDP-TUN in bind mode: one socket of this machine, whatever the chain is. */
void socks5_begin_bound(struct conn *c, const struct target *t);
void socks5_dialled_dgram(struct conn *c, struct dgram *d, enum rc rc, const char *reason);

/* --- socks5_bind.c: waits for the peer of t, an address of ours */
void socks5_begin_bind(struct conn *c, const struct target *t);

#endif
