/* listeners/accept.h - the accept loop that the tcp, tls and ws listeners share.
 * gost-config.md 8.3, 10.1.
 *
 * Owner: a listener's state embeds it. open() binds, start() accepts: edge-triggered, a bounded
 * number a turn. When the process is out of descriptors or memory, accepting pauses and what is
 * established goes on. Accepted sockets have TCP keepalive, as Go's. Where the setup says so their
 * PROXY header is read first, below all floors and before anybody hears of the client.
 */
#ifndef LISTENERS_ACCEPT_H
#define LISTENERS_ACCEPT_H

#include "core/loop.h"
#include "listeners/announced.h"

struct accept_options {
    bool reuseport, mptcp;
    bool keepalive; /* Go's values unless these say otherwise */
    int64_t keepalive_idle_ms, keepalive_interval_ms, keepalive_count;
};

/* Rows of an option table whose struct has an accept_options named FIELD. */
#define ACCEPT_OPTIONS(STRUCT, FIELD)                                                              \
    {.key = "mptcp",                                                                               \
     .type = OPTION_BOOL,                                                                          \
     .flags = OPTION_LATER,                                                                        \
     .offset = offsetof(struct STRUCT, FIELD.mptcp),                                               \
     .help = "multipath TCP"},                                                                     \
        {.key = "keepalive",                                                                       \
         .type = OPTION_BOOL,                                                                      \
         .offset = offsetof(struct STRUCT, FIELD.keepalive),                                       \
         .help = "use the keepalive values below"},                                                \
        {.key = "keepalive.idle",                                                                  \
         .type = OPTION_DURATION,                                                                  \
         .offset = offsetof(struct STRUCT, FIELD.keepalive_idle_ms),                               \
         .def = "15s",                                                                             \
         .min = 1000,                                                                              \
         .max = 32767000,                                                                          \
         .help = "silence before the first TCP keepalive probe"},                                  \
        {.key = "keepalive.interval",                                                              \
         .type = OPTION_DURATION,                                                                  \
         .offset = offsetof(struct STRUCT, FIELD.keepalive_interval_ms),                           \
         .def = "15s",                                                                             \
         .min = 1000,                                                                              \
         .max = 32767000,                                                                          \
         .help = "time between probes"},                                                           \
    {                                                                                              \
        .key = "keepalive.count", .type = OPTION_INT,                                              \
        .offset = offsetof(struct STRUCT, FIELD.keepalive_count), .def = "9", .min = 1,            \
        .max = 127, .help = "probes without an answer that end a connection"                       \
    }

struct acceptor;
/* Pushes the listener's floors on an accepted stream. */
typedef enum rc accept_push_fn(void *arg, struct stream *s);

struct acceptor {
    struct loop *loop;
    const char *service; /* for messages */
    struct accept_options cfg;
    struct listener_events events;
    accept_push_fn *push; /* NULL: no floors */
    void *push_arg;
    struct addr at; /* where it listens, as bound */
    struct hotfd hot;
    struct job more;            /* connections may be left for the next turn */
    struct timer pause;         /* runs while descriptors or memory are missing */
    struct announced announced; /* .loop NULL: connections have no PROXY header */
    uint32_t pause_ms;
    uint64_t told_ms; /* when a pause was last told of; 0: never */
    int fd_limit;
    int fd; /* -1: none */
    bool started;
};

/* "host:port" of a service as an address to bind: an empty host or brackets mean dual stack, else
 * IPv4 only. A name is looked up, which may take a while (only at start and reload). */
enum rc listen_addr(const char *text, const char *service, struct addr *ret_a, bool *ret_dual,
                    struct diag *diag);

/* cfg NULL: defaults. */
enum rc acceptor_open(struct acceptor *a, const struct listener_setup *setup,
                      const struct accept_options *cfg, struct diag *diag);

/* Slots of a listener_type whose state begins with its acceptor. */
enum rc accept_start(struct listener *l, const struct listener_events *ev, struct diag *diag);
void accept_stop(struct listener *l); /* fine without a state, or when it was never opened */
const char *accept_where(const struct listener *l, char *buf, size_t cap);

/* Tells the operator at start how clients can pin our certificate, and what is odd about it. */
struct tls_ctx;
void accept_tell_tls(const struct listener_setup *setup, const struct tls_ctx *ctx);

#endif
