/* app/worker.c - see worker.h. */
#include "app/worker.h"
#include "app/service.h"
#include "app/world.h"
#include "core/loop.h"

void worker_run(struct loop *loop, struct world *w)
{
    for (size_t i = 0; i < w->n_services; i++)
        service_start(w->services[i]);
    loop_run(loop);
}
