/* tests/unit/tlspair.h - two TLS ends over the wire in memory, each sending a known sequence of
 * bytes and checking what it gets.
 */
#ifndef TESTS_UNIT_TLSPAIR_H
#define TESTS_UNIT_TLSPAIR_H

#include "core/floor/mem.h"
#include "core/floor/tls.h"

struct tlsend {
    struct stream *s;
    size_t to_send, sent, received;
    size_t shut_after;    /* received so much before it shuts (0: as soon as all is sent) */
    size_t close_after;   /* received so much: closes at once (0: never) */
    size_t piece, pieces; /* bytes per iovec (0: 3000), iovecs per send (0: 1) */
    bool abort;           /* that close is a reset */
    bool deaf;            /* never reads */
    bool keep_open;       /* never shuts */
    bool open, eof, shut, failed, closed;
    uint32_t tx, rx;  /* generators of the bytes */
    struct diag diag; /* of a failure */
};

extern struct loop *tlspair_loop;
extern struct tlsend tlspair_client, tlspair_server;

void tlspair_setup(void);
void tlspair_teardown(void);

/* Forgets both ends, then joins two new ones. Either ctx may be NULL: a plain end. */
void tlspair_join(struct tls_ctx *client, struct tls_ctx *server, const char *name,
                  const char *session_key, const struct mem_cfg *mc);
/* Puts the server's end on another wire (a test sits between the two). */
void tlspair_rejoin_server(struct layer *bottom, struct tls_ctx *server);
/* Until both ends are done: EOF received and shut, or failed, or closed. */
void tlspair_run(void);
/* Until this end is done with reading, or a second has passed. */
void tlspair_run_until(const struct tlsend *e);
/* For so long. */
void tlspair_run_ms(uint64_t ms);
void tlspair_close(void);

#endif
