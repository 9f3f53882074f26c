/* app/parent.h - the privileged role: it opens what needs rights (devices, ports), runs the hooks
 * before and after the service's life, answers signals and takes everything back on every exit we
 * control. Everything that touches bytes is the worker's (app/worker.h), in the same process.
 */
#ifndef APP_PARENT_H
#define APP_PARENT_H

#include "core/rc.h"

struct loop;
struct world;

/* Opens all services of w, starts the worker, runs until SIGINT or SIGTERM, then stops and undoes.
 * Returns the exit code. */
int parent_run(struct loop *loop, struct world *w);

#endif
