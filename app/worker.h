/* app/worker.h - the worker role: everything that touches bytes. Handlers, routers and chains live
 * here, on one loop.
 *
 * It gets its listeners open and its configuration checked, and must work without rights: it
 * neither execs nor opens paths nor changes the host (hooks and devices are the parent's,
 * app/parent.h). One process for both roles for now.
 */
#ifndef APP_WORKER_H
#define APP_WORKER_H

struct loop;
struct world;

/* Serves until loop_stop(). */
void worker_run(struct loop *loop, struct world *w);

#endif
