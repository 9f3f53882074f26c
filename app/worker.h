/* app/worker.h - the worker role: everything that touches bytes. Handlers, routers and chains live
 * here, on one loop.
 *
 * In the same process as the parent (app/parent.h). It gets its listeners open and its
 * configuration checked. What it does that needs rights: postUp hooks; a device that was lost is
 * made again, with its up hooks; files that the configuration names are read again (rules, hosts).
 */
#ifndef APP_WORKER_H
#define APP_WORKER_H

struct loop;
struct world;

/* Serves until loop_stop(). */
void worker_run(struct loop *loop, struct world *w);

#endif
