/* dialers/dialer.h - the contract of a dialer: which floors reach a node.
 *
 * chain/ makes the bottom (a socket to the node, or the connector floor of the hop before) and the
 * dialer pushes its own floors on it: tls pushes one, wss two, tcp none. No I/O happens here;
 * stream_open() drives the handshakes. Lives as long as its node; streams may outlive it (they hold
 * what they need by reference).
 */
#ifndef DIALERS_DIALER_H
#define DIALERS_DIALER_H

#include "core/option.h"
#include "core/rc.h"

struct loop;
struct stream;
struct tls_cfg;
struct tls_ctx;
struct dialer;

struct dialer_setup {
    struct loop *loop;
    const struct tls_cfg *tls; /* the dialer's tls object with defaults; never NULL */
    const char *node_name;     /* for messages */
    const char *node_addr;     /* as written: "edge.example.net:443" */
    const char *node_host;     /* its host part, no brackets */
};

enum dialer_base {
    DIALER_TCP,
    DIALER_DIRECT /* no node socket: the node dials the target itself */
};

struct dialer_type {
    const char *name;
    const char *aliases; /* comma list or NULL */
    enum dialer_base base;
    const struct option *options; /* of cfg */
    size_t cfg_bytes;
    enum rc (*init)(struct dialer *d, const struct dialer_setup *setup,
                    struct diag *diag);                  /* NULL: nothing to do */
    enum rc (*push)(struct dialer *d, struct stream *s); /* NULL: no floors */
    /* does it check who the node is? NULL: it has no way to */
    bool (*verifies)(const struct dialer *d);
    struct tls_ctx *(*tls)(const struct dialer *d); /* borrowed; NULL: there is no TLS */
    void (*done)(struct dialer *d); /* accepts half-built; cfg is freed by the owner */
};

struct dialer {
    const struct dialer_type *type;
    void *cfg;   /* options_done() and free() by the owner */
    void *state; /* the type's own */
};

extern const struct dialer_type dialer_direct, dialer_tcp, dialer_tls, dialer_ws, dialer_wss;

#endif
