/* handlers/conn_in.h - what conn.c and conn_dial.c know of each other; nobody else includes it. */
#ifndef HANDLERS_CONN_IN_H
#define HANDLERS_CONN_IN_H

#include "handlers/conn.h"

/* conn.c */
void conn_on_client(struct stream *s, unsigned ready, void *arg); /* every event of the client */
void conn_arm(struct conn *c, uint32_t ms); /* the conn may be over after it */
void conn_drop_stream(struct conn *c, struct stream *s, enum rc rc);
bool conn_out_room(struct conn *c, size_t n); /* out is empty, with room; false: the conn is over */
void conn_free_in(struct conn *c);            /* wiped: credentials have been in it */
void conn_send_out(struct conn *c, conn_then_fn *then);

/* conn_dial.c */
void conn_read_ahead(struct conn *c);
void conn_go_unconfirmed(struct conn *c); /* CONN_CONFIRM's time is over */
void conn_start_splice(struct conn *c);

#endif
