/* core/loop_in.h - the loop's insides, for loop.c and hotfd.c alone. */
#ifndef CORE_LOOP_IN_H
#define CORE_LOOP_IN_H

#include "core/loop.h"

enum { HOT_BATCH = 256 /* epoll events taken in one go */ };

struct loop {
    uv_loop_t uv;
    uv_poll_t poll;       /* our epoll set; referenced only while hot descriptors are registered */
    uv_timer_t clock;     /* armed for the first of our timers */
    uv_prepare_t prepare; /* jobs after timers */
    uv_check_t check;     /* jobs after descriptors */
    uv_idle_t idle;       /* active while jobs are left */
    int epfd;
    unsigned hot_users;
    struct hotfd **hot; /* by descriptor */
    size_t hot_cap;
    struct job jobs;     /* the ring's own place */
    struct job later;    /* the same for jobs of the next turn */
    struct timer **heap; /* min-heap by due_ms; timer->slot is the place + 1 */
    uint32_t heap_n, heap_cap;
    uint32_t n_reserved; /* places of reserved timers that do not run */
    uint64_t clock_due;
    bool firing; /* timers are being called */
    struct deferred *dead;
    uv_timer_t trim; /* unreferenced; running while freed >= TRIM_AFTER */
    size_t freed, freed_seen;
    struct hotfd *batch[HOT_BATCH]; /* being delivered; hotfd_remove() takes its own out */
    int batch_n;
};

/* hotfd.c */
void hotfd_deliver(struct loop *loop); /* the epoll set is readable: calls who is ready */

#endif
