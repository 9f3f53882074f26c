/* core/loop.h - the event loop: libuv for timers, signals and cold descriptors; an edge-triggered
 * epoll set of our own for the hot ones; a job queue for every upward call; memory that is given
 * back when the turn ends.
 *
 * One turn: ready descriptors, timers, the jobs that are there and a few of those they post,
 * then the memory of what was closed. Nothing here blocks. Threads: a loop and everything on it
 * belong to one thread; lwIP's globals make that one loop per process.
 */
#ifndef CORE_LOOP_H
#define CORE_LOOP_H

#include "core/rc.h"
#include <stdint.h>
#include <uv.h>

struct loop;

struct loop *loop_new(struct diag *diag); /* NULL: no memory or no descriptors */
/* after loop_run() returned; every handle of the owners must be closed */
void loop_free(struct loop *loop);
void loop_run(struct loop *loop); /* until loop_stop() or nothing is left to wait for */
void loop_stop(struct loop *loop);
uv_loop_t *loop_uv(struct loop *loop);
/* monotonic, of this turn; refreshed between descriptors' batches */
uint64_t loop_now_ms(const struct loop *loop);

/* --- jobs: "call me from the loop", at most once per post; posting a queued job is a no-op. Embed
 * it in its owner. */
struct job;
typedef void job_fn(struct job *job);
struct job {
    struct job *next, *prev; /* in the loop's ring; next == NULL: not queued */
    job_fn *fn;
};
void job_init(struct job *job, job_fn *fn);
void job_post(struct loop *loop, struct job *job);
/* The same, but not before the descriptors have been looked at once more: for a job that goes on
 * with its own work again and again and would keep them waiting. */
void job_post_later(struct loop *loop, struct job *job);
void job_cancel(struct job *job); /* fine when not queued */

/* --- timers: one-shot, millisecond resolution, O(log n). Embed it in its owner. */
struct timer;
typedef void timer_fn(struct timer *timer);
struct timer {
    struct loop *loop;
    timer_fn *fn;
    uint64_t due_ms;
    uint32_t slot; /* place in the heap + 1; 0: not running */
    bool reserved;
};
void timer_init(struct loop *loop, struct timer *timer, timer_fn *fn);
/* (Re)arms. 0: as soon as the loop comes by; from inside a timer's call that is not the same turn.
 * false: no memory for the heap (the timer is then not running). */
bool timer_start(struct timer *timer, uint64_t delay_ms);
void timer_stop(struct timer *timer); /* fine when not running */
/* For a timer that others wait for as long as they live: timer_start() never fails from now on.
 * false: no memory. Released (and stopped) by its owner, before the loop goes; both may come twice.
 */
bool timer_reserve(struct timer *timer);
void timer_release(struct timer *timer);
static inline bool timer_is_running(const struct timer *timer)
{
    return timer->slot != 0;
}

/* --- hot descriptors, edge-triggered, registered once for reading and writing. fn runs from the
 * loop. ready: bits below. The owner closes the fd itself after hotfd_remove(); no call comes after
 * that. */
enum {
    HOT_IN = 1,
    HOT_OUT = 2,
    HOT_HUP = 4, /* peer ended or error: try to read */
    HOT_ERR = 8  /* besides HOT_HUP: it has failed */
};
struct hotfd;
typedef void hotfd_fn(struct hotfd *h, unsigned ready);
struct hotfd {
    struct loop *loop;
    hotfd_fn *fn;
    int fd;        /* -1: not registered */
    unsigned seen; /* all bits that were told so far: an end comes once */
};
enum rc hotfd_add(struct loop *loop, struct hotfd *h, int fd, hotfd_fn *fn);
void hotfd_remove(struct hotfd *h);
/* from's registration becomes to's, without a system call; from is not registered any more. What
 * was told before is in `seen` and does not come again. */
void hotfd_take(struct hotfd *to, struct hotfd *from, hotfd_fn *fn);

/* --- memory of closed objects: free(p) at the end of this turn, so that callers up the stack still
 * stand on ground. */
struct deferred {
    struct deferred *next;
    void (*free_fn)(void *obj);
    void *obj;
};
void loop_free_later(struct loop *loop, struct deferred *d, void (*free_fn)(void *obj), void *obj);

/* Entropy for hash keys, ids and protocol nonces (getrandom); never fails after start. */
void loop_random(void *buf, size_t n);

#endif
