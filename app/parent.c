/* app/parent.c - see parent.h. */
#include "app/parent.h"
#include "app/service.h"
#include "app/worker.h"
#include "app/world.h"
#include "configs/tree.h"
#include "core/host/halt.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/os.h"
#include <signal.h>
#include <string.h>

enum { SIGNALS = 5 };

struct parent {
    struct loop *loop;
    struct world *world;
    uv_signal_t signals[SIGNALS];
};

static void tell_stopping(int signum)
{
    log_info("%s: stopping", signum == SIGINT ? "SIGINT" : "SIGTERM");
}

static void on_signal(uv_signal_t *h, int signum)
{
    struct parent *p = h->data;

    if (signum == SIGHUP) {
        log_warn("SIGHUP: reloading the configuration is not served yet; restart the program to "
                 "read it again");
        return;
    }
    if (signum == SIGPIPE)
        return;
    if (signum == SIGUSR1) {
        for (size_t i = 0; i < p->world->n_services; i++)
            service_tell_counters(p->world->services[i]);
        return;
    }
    tell_stopping(signum);
    loop_stop(p->loop);
}

static void watch_signals(struct parent *p)
{
    static const int wanted[SIGNALS] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1};

    for (int i = 0; i < SIGNALS; i++) {
        uv_signal_init(loop_uv(p->loop), &p->signals[i]);
        p->signals[i].data = p;
        uv_signal_start(&p->signals[i], on_signal, wanted[i]);
        if (wanted[i] != SIGINT && wanted[i] != SIGTERM)
            uv_unref((uv_handle_t *)&p->signals[i]);
    }
}

static void tell_failed(const struct service *s, const char *why)
{
    const struct place *at = service_parts_of(s)->place;
    char place[PLACE_TEXT_MAX] = "";

    if (at)
        place_format(at, place, sizeof place);
    log_write(LOG_FATAL, (struct log_field[]){F_STR("service", service_name(s)), LOG_END}, "%s%s%s",
              place, place[0] ? ": " : "", why);
}

int parent_run(struct loop *loop, struct world *w)
{
    struct parent p = {.loop = loop, .world = w};
    struct diag diag = {0};
    int code = 0;

    os_raise_fd_limit();
    watch_signals(&p);
    halt_hold();
    for (size_t i = 0; i < w->n_services && !code && !halt_signal(); i++) {
        struct service *s = w->services[i];

        if (service_open(s, &diag) != RC_OK) {
            tell_failed(s, diag.text);
            code = 1;
        }
    }
    if (halt_signal()) {
        tell_stopping(halt_signal());
        halt_forget();
    } else if (!code) {
        halt_release();
        worker_run(loop, w);
        halt_hold();
    }
    for (size_t i = w->n_services; i-- > 0;)
        service_stop(w->services[i]);
    halt_forget();
    halt_release();
    for (int i = 0; i < SIGNALS; i++)
        uv_close((uv_handle_t *)&p.signals[i], NULL);
    world_done(w);
    uv_run(loop_uv(loop), UV_RUN_NOWAIT); /* p is on this stack: its handles close here */
    return code;
}
