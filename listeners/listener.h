/* listeners/listener.h - the contract of a listener: accepts clients and hands them up.
 *
 * open() takes what needs privilege (the address, the device); start() begins to accept; stop()
 * ends it (established streams live on). Accepted streams are handed over not yet opened: the
 * handler's first stream_open() runs the TLS or ws handshake, and its deadline is the handler's
 * header deadline.
 */
#ifndef LISTENERS_LISTENER_H
#define LISTENERS_LISTENER_H

#include "core/addr.h"
#include "core/option.h"
#include "core/rc.h"

struct dgram;
struct listener;
struct loop;
struct sockopts;
struct stream;
struct tls_cfg;
struct tungo;

struct client_info {
    struct addr peer;  /* the client: who connected, or whom a PROXY header names */
    struct addr local; /* where it arrived, an address of ours */
    struct addr dest;  /* what a PROXY header says the client connected to; family 0: to local */
    bool announced;    /* a PROXY header named it: no forwarding header of ws is asked then */
};

/* What comes up; one of them is called per client. All take their stream or dgram. */
struct listener_events {
    void (*on_stream)(void *arg, struct stream *s, const struct client_info *info);
    void (*on_dgram)(void *arg, struct dgram *d,
                     const struct client_info *info);     /* DGRAM_FIXED: one client's session */
    void (*on_broken)(void *arg, const struct diag *why); /* it stopped accepting for good */
    /* What it listens on was lost, down or stripped and is back (a TUN device): the up hooks run
     * anew. */
    void (*on_returned)(void *arg);
    void *arg;
};

struct listener_setup {
    struct loop *loop;
    const char *service;       /* for messages */
    const char *addr;          /* as configured, ":8443" */
    const struct tls_cfg *tls; /* never NULL */
    const struct sockopts *so;
    bool announced; /* accepted connections may begin with a PROXY header (listeners/announced.h) */
};

struct listener_device {
    const char *name; /* "tungo" */
    const char *mtu;  /* "1420" */
    const char *addr; /* "192.168.123.1/24,fd00::1/64" */
};

/* What a listener with a device of its own will make of this machine, told before it is opened. */
struct listener_plan {
    const char *device; /* name; borrowed, as addresses */
    uint32_t mtu;
    const struct cidr *addresses; /* with host bits */
    size_t n_addresses;
    struct cidr *routes; /* heap; the caller frees it */
    size_t n_routes;
    bool dns; /* systemd-resolved is told of DNS servers */
};

struct listener_type {
    const char *name;
    const char *aliases;
    const struct option *options;
    size_t cfg_bytes;
    enum rc (*open)(struct listener *l, const struct listener_setup *setup, struct diag *diag);
    enum rc (*start)(struct listener *l, const struct listener_events *ev, struct diag *diag);
    void (*stop)(struct listener *l);
    void (*done)(struct listener *l); /* accepts half-built */
    /* "127.0.0.1:1080/tcp": where it listens, for the log. */
    const char *(*where)(const struct listener *l, char *buf, size_t cap);
    /* Takes back what it changed on the machine; nothing else of it works afterwards, and of its
     * other state nothing is believed (core/fatal.h). NULL: it changes nothing. */
    void (*abandon)(struct listener *l);
    /* The device for the hooks' environment; strings live as long as l. NULL: there is none. */
    void (*device)(const struct listener *l, struct listener_device *ret_d);
    /* The same before it is opened, from its options. NULL: there is none. */
    enum rc (*plan)(const void *cfg, struct listener_plan *ret_p, struct diag *diag);
    /* What it has counted since start, in one line, for the log. NULL: it counts nothing. */
    const char *(*counters)(const struct listener *l, char *buf, size_t cap);
    /* Why a packet to this address is dropped before any handler hears of it, in a word; NULL: it
     * is not. NULL slot: nothing is dropped. */
    const char *(*drops)(const void *cfg, const struct addr *dst);
    /* Only the tungo listener: what its handler talks to. */
    struct tungo *(*tungo)(struct listener *l);
};

struct listener {
    const struct listener_type *type;
    void *cfg;
    void *state;
};

#endif
