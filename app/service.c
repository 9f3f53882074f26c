/* app/service.c - see service.h. */
#include "app/service.h"
#include "app/rules.h"
#include "chain/fakepool.h"
#include "chain/forwarder.h"
#include "chain/router.h"
#include "configs/model.h"
#include "core/auther.h"
#include "core/dgram.h"
#include "core/fatal.h"
#include "core/host/hooks.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/stream.h"
#include "handlers/handler.h"
#include "listeners/listener.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REFUSED_PAUSE_MS = 1000, REFUSED_WHY_MAX = 700 };

enum state {
    STATE_NEW,
    STATE_OPEN,
    STATE_STARTING,
    STATE_SERVING,
    STATE_STOPPING, /* preDown is through */
    STATE_CLOSED
};

struct service {
    struct loop *loop;
    struct service_parts p;
    struct listener listener;
    struct handler handler;
    struct sockopts so; /* of the listener */
    enum state state;
    struct hooks_run *up; /* up hooks under way */
    bool up_once_more;    /* ... and the device came back meanwhile */
    struct fatal fatal;
    /* the device as the hooks' environment tells it: kept for those that run when it is gone */
    char tun[16], mtu[8], addr[256];
    uint64_t refused, told_ms; /* clients by admissions; when the latest of them was told */
};

void service_parts_done(struct service_parts *p)
{
    if (p->listener && p->listener_cfg)
        options_done(p->listener->options, p->listener_cfg);
    if (p->handler && p->handler_cfg)
        options_done(p->handler->options, p->handler_cfg);
    free(p->listener_cfg);
    free(p->handler_cfg);
    options_done(tls_server_options, &p->listener_tls);
    options_done(tls_server_options, &p->handler_tls);
    router_free(p->router);
    forwarder_free(p->forwarder);
    auther_free(p->auther);
    free(p->name);
    free(p->addr);
    memset(p, 0, sizeof *p);
}

struct service *service_new(struct loop *loop, struct service_parts *parts)
{
    struct service *s = calloc(1, sizeof *s);

    if (!s) {
        service_parts_done(parts);
        return NULL;
    }
    s->loop = loop;
    s->p = *parts;
    memset(parts, 0, sizeof *parts);
    s->listener.type = s->p.listener;
    s->listener.cfg = s->p.listener_cfg;
    s->handler.type = s->p.handler;
    s->handler.cfg = s->p.handler_cfg;
    s->so = (struct sockopts){.mark = s->p.mark, .netns = s->p.options->netns};
    return s;
}

const char *service_name(const struct service *s)
{
    return s->p.name;
}

const struct service_parts *service_parts_of(const struct service *s)
{
    return &s->p;
}

/* ---------------------------------------------------------------- hooks */

static void hook_runs(void *arg, const char *text)
{
    struct service *s = arg;

    log_write(LOG_INFO,
              (struct log_field[]){F_STR("kind", "service"), F_STR("service", s->p.name), LOG_END},
              "%s", text);
}

static void hook_warns(void *arg, const char *text)
{
    struct service *s = arg;

    log_write(LOG_WARN,
              (struct log_field[]){F_STR("kind", "service"), F_STR("service", s->p.name), LOG_END},
              "%s", text);
}

static void note_device(struct service *s)
{
    struct listener_device d = {0};

    if (!s->listener.type->device)
        return;
    s->listener.type->device(&s->listener, &d);
    snprintf(s->tun, sizeof s->tun, "%.15s", d.name ? d.name : "");
    snprintf(s->mtu, sizeof s->mtu, "%.7s", d.mtu ? d.mtu : "");
    snprintf(s->addr, sizeof s->addr, "%.255s", d.addr ? d.addr : "");
}

static struct hooks_env hook_env(const struct service *s)
{
    return (struct hooks_env){
        .tun = s->tun[0] ? s->tun : NULL,
        .mtu = s->mtu[0] ? s->mtu : NULL,
        .addr = s->addr[0] ? s->addr : NULL,
    };
}

static void run_hooks(struct service *s, enum hooks_phase phase, const struct strlist *commands)
{
    struct hooks_env env = hook_env(s);
    struct hooks_events ev = {.on_command = hook_runs, .on_warning = hook_warns, .arg = s};

    hooks_run_all(phase, (const char *const *)commands->v, commands->n, &env, &ev);
}

/* ---------------------------------------------------------------- what the listener brings */

/* A scan must not fill the log: one line a second, with the count. */
static void tell_refused(struct service *s, const struct addr *client)
{
    uint64_t now = loop_now_ms(s->loop);
    char who[ADDR_TEXT_MAX], why[REFUSED_WHY_MAX];

    if (s->told_ms && now - s->told_ms < REFUSED_PAUSE_MS)
        return;
    s->told_ms = now;
    (void)rules_explain_admitted(s->p.admissions, client, why, sizeof why);
    log_write(LOG_WARN,
              (struct log_field[]){F_STR("kind", "service"), F_STR("service", s->p.name),
                                   F_STR("client", addr_format(client, who, sizeof who)),
                                   F_INT("refused", s->refused), LOG_END},
              "client %s is refused: %s; %llu so far", who, why, (unsigned long long)s->refused);
}

/* Also the question of the handler that sees its clients itself (tungo). */
static bool is_admitted(void *arg, const struct addr *client)
{
    struct service *s = arg;

    if (!s->p.admissions || rules_admitted(s->p.admissions, client))
        return true;
    s->refused++;
    tell_refused(s, client);
    return false;
}

static void on_stream(void *arg, struct stream *stream, const struct client_info *info)
{
    struct service *s = arg;

    if (s->handler.type->serve && is_admitted(s, &info->peer))
        s->handler.type->serve(&s->handler, stream, info);
    else
        stream_close(stream);
}

static void on_dgram(void *arg, struct dgram *d, const struct client_info *info)
{
    struct service *s = arg;

    if (s->handler.type->serve_dgram && is_admitted(s, &info->peer))
        s->handler.type->serve_dgram(&s->handler, d, info);
    else
        dgram_close(d);
}

static void on_broken(void *arg, const struct diag *why)
{
    struct service *s = arg;

    log_write(LOG_ERROR,
              (struct log_field[]){F_STR("kind", "service"), F_STR("service", s->p.name), LOG_END},
              "the listener ended: %s; the service accepts nobody any more", why->text);
}

static void run_up_again(struct service *s);

static void on_up_again(void *arg)
{
    struct service *s = arg;

    s->up = NULL;
    if (s->up_once_more)
        run_up_again(s);
}

/* The same device: preUp is through, as at the start. */
static void on_pre_up_again(void *arg)
{
    struct service *s = arg;
    struct hooks_events ev = {hook_runs, hook_warns, on_up_again, s};
    struct hooks_env env = hook_env(s);

    s->up = hooks_start(s->loop, HOOKS_POST_UP, (const char *const *)s->p.options->post_up.v,
                        s->p.options->post_up.n, &env, &ev);
}

/* The loop goes on meanwhile: preUp is not waited for, which at the start it is. */
static void run_up_again(struct service *s)
{
    struct hooks_events ev = {hook_runs, hook_warns, on_pre_up_again, s};
    struct hooks_env env;

    s->up_once_more = false;
    note_device(s);
    env = hook_env(s);
    s->up = hooks_start(s->loop, HOOKS_PRE_UP, (const char *const *)s->p.options->pre_up.v,
                        s->p.options->pre_up.n, &env, &ev);
}

static void on_returned(void *arg)
{
    struct service *s = arg;

    if (s->p.options->pre_up.n + s->p.options->post_up.n == 0) {
        note_device(s);
        return;
    }
    log_write(LOG_WARN,
              (struct log_field[]){F_STR("kind", "service"), F_STR("service", s->p.name), LOG_END},
              "the device is back; running the up hooks");
    if (s->up)
        s->up_once_more = true; /* those under way are about the device before */
    else
        run_up_again(s);
}

/* ---------------------------------------------------------------- life */

/* A mistake of ours ends the process: only what was done to the machine is taken back. */
static void on_fatal(void *arg)
{
    struct service *s = arg;
    bool was_open = s->state != STATE_NEW && s->state != STATE_CLOSED;

    if (was_open && s->state != STATE_STOPPING)
        run_hooks(s, HOOKS_PRE_DOWN, &s->p.options->pre_down);
    if (s->listener.type->abandon)
        s->listener.type->abandon(&s->listener);
    if (was_open)
        run_hooks(s, HOOKS_POST_DOWN, &s->p.options->post_down);
}

static struct handler_setup handler_setup_of(struct service *s)
{
    return (struct handler_setup){
        .loop = s->loop,
        .service = s->p.name,
        .listener = s->listener.type->name,
        .router = s->p.router,
        .auther = s->p.auther,
        .tls = &s->p.handler_tls,
        .forwarder = s->p.forwarder,
        .bypassed = s->p.bypasses ? rules_bypassed : NULL,
        .bypassed_arg = s->p.bypasses,
        .admitted = s->p.admissions ? is_admitted : NULL,
        .admitted_arg = s,
        .netns = s->p.options->netns,
    };
}

const struct netlist *service_fake(const struct service_parts *p)
{
    for (const struct option *o = p->handler->options; o && o->key; o++)
        if (o->type == OPTION_NETS && !strcmp(o->key, "dns.fake"))
            return (const struct netlist *)((const char *)p->handler_cfg + o->offset);
    return NULL;
}

static enum rc try_fake(const struct netlist *fake, struct diag *diag)
{
    struct fakepool *pool = NULL;
    enum rc rc = fake && fake->n > 0 ? fakepool_new(fake->v, fake->n, &pool, diag) : RC_OK;

    fakepool_free(pool);
    return rc;
}

enum rc service_check(struct service *s, struct diag *diag)
{
    struct handler_setup hs = handler_setup_of(s);
    enum rc rc;

    if (s->listener.type->tungo)
        return try_fake(service_fake(&s->p), diag);
    if (!s->handler.type->init)
        return RC_OK;
    rc = s->handler.type->init(&s->handler, &hs, diag);
    if (s->handler.type->done)
        s->handler.type->done(&s->handler);
    return rc;
}

enum rc service_open(struct service *s, struct diag *diag)
{
    struct listener_setup ls = {.loop = s->loop,
                                .service = s->p.name,
                                .addr = s->p.addr,
                                .tls = &s->p.listener_tls,
                                .so = &s->so,
                                .announced = s->p.options->proxy_protocol > 0};
    struct handler_setup hs = handler_setup_of(s);
    char where[128];
    enum rc rc = s->listener.type->open(&s->listener, &ls, diag);

    if (rc != RC_OK)
        return rc;
    s->fatal = (struct fatal){.fn = on_fatal, .arg = s};
    fatal_on(&s->fatal);
    if (s->listener.type->tungo)
        hs.tungo = s->listener.type->tungo(&s->listener);
    rc = s->handler.type->init ? s->handler.type->init(&s->handler, &hs, diag) : RC_OK;
    if (rc != RC_OK)
        return rc;
    note_device(s);
    s->state = STATE_OPEN;
    run_hooks(s, HOOKS_PRE_UP, &s->p.options->pre_up);
    log_write(LOG_INFO,
              (struct log_field[]){F_STR("kind", "service"), F_STR("service", s->p.name),
                                   F_STR("handler", s->handler.type->name),
                                   F_STR("listener", s->listener.type->name), LOG_END},
              "listening on %s", s->listener.type->where(&s->listener, where, sizeof where));
    return RC_OK;
}

static void accept_clients(void *arg)
{
    struct service *s = arg;
    struct listener_events ev = {on_stream, on_dgram, on_broken, on_returned, s};
    struct diag diag = {0};

    s->up = NULL;
    if (s->listener.type->start(&s->listener, &ev, &diag) == RC_OK)
        s->state = STATE_SERVING;
    else
        on_broken(s, &diag);
}

void service_start(struct service *s)
{
    struct hooks_env env = hook_env(s);
    struct hooks_events ev = {hook_runs, hook_warns, accept_clients, s};

    s->state = STATE_STARTING;
    if (s->p.options->post_up.n)
        s->up = hooks_start(s->loop, HOOKS_POST_UP, (const char *const *)s->p.options->post_up.v,
                            s->p.options->post_up.n, &env, &ev);
    if (!s->up)
        accept_clients(s);
}

void service_tell_counters(const struct service *s)
{
    char text[512];

    if (!s->listener.type->counters || s->state == STATE_NEW || s->state == STATE_CLOSED)
        return;
    log_write(LOG_INFO,
              (struct log_field[]){F_STR("kind", "service"), F_STR("service", s->p.name), LOG_END},
              "%s", s->listener.type->counters(&s->listener, text, sizeof text));
}

void service_stop(struct service *s)
{
    bool was_open =
        s->state == STATE_OPEN || s->state == STATE_STARTING || s->state == STATE_SERVING;
    bool was_serving = s->state == STATE_SERVING;

    if (s->state == STATE_CLOSED)
        return;
    if (s->up)
        hooks_cancel(s->up);
    s->up = NULL;
    if (was_open)
        run_hooks(s, HOOKS_PRE_DOWN, &s->p.options->pre_down);
    service_tell_counters(s);
    s->state = was_open ? STATE_STOPPING : STATE_NEW;
    if (was_serving)
        s->listener.type->stop(&s->listener);
    if (s->handler.type->done)
        s->handler.type->done(&s->handler);
    if (s->listener.type->done)
        s->listener.type->done(&s->listener);
    fatal_off(&s->fatal);
    if (was_open)
        run_hooks(s, HOOKS_POST_DOWN, &s->p.options->post_down);
    if (s->refused)
        log_write(LOG_INFO,
                  (struct log_field[]){F_STR("kind", "service"), F_STR("service", s->p.name),
                                       F_INT("refused", s->refused), LOG_END},
                  "%llu clients were refused by admissions", (unsigned long long)s->refused);
    s->state = STATE_CLOSED;
}

void service_free(struct service *s)
{
    if (!s)
        return;
    service_stop(s);
    service_parts_done(&s->p);
    free(s);
}
