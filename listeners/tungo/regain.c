/* listeners/tungo/regain.c - what others do to the device: they delete it, set it down, take its
 * addresses or routes. It comes back with all that belongs to it, and the service's up hooks run.
 */
#include "core/host/link.h"
#include "core/list.h"
#include "core/log.h"
#include "listeners/tungo/inside.h"
#include <stdio.h>

enum {
    REOPEN_MS = 1000,
    TELL_EVERY_MS = 10 * 60 * 1000, /* that it still can't be made */
    /* a tool removes one after another; one that does so again and again is not fought */
    MEND_FIRST_MS = 200,
    MEND_MOST_MS = 60 * 1000,
    MEND_QUIET_MS = 10 * 1000 /* so long after what was waited for the next time is a first one */
};

void regain_warn(void *arg, const char *text)
{
    const struct tungo *t = arg;

    log_write(LOG_WARN, (struct log_field[]){F_STR("service", t->service), LOG_END}, "%s", text);
}

void regain_tell_device(const struct tungo *t)
{
    char first[ADDR_TEXT_MAX] = "";

    if (t->options->net.n)
        addr_format_ip(&t->options->net.v[0].net, first, sizeof first);
    log_write(LOG_INFO, (struct log_field[]){F_STR("service", t->service), LOG_END},
              "name: %s, net: %s, mtu: %s, addrs: [%s]", t->setup.device.name, first, t->mtu_text,
              t->addr_text);
}

static void tell(const struct tungo *t, enum log_level level, const char *what, const char *why)
{
    log_write(level, (struct log_field[]){F_STR("service", t->service), LOG_END},
              "the device %s %s%s%s", t->setup_cfg.device.name, what, *why ? ": " : "", why);
}

/* Begins to read; without that the device is of no use. */
static enum rc read_device(struct tungo *t, struct diag *diag)
{
    enum rc rc = device_io_start(t);

    return rc == RC_OK ? RC_OK : diag_set(diag, rc, "cannot wait for packets of the device");
}

/* Hooks may have made what went with it: routes, above all. */
static void returned(struct tungo *t)
{
    if (t->up.on_returned)
        t->up.on_returned(t->up.arg);
}

/* --- deleted */

static void on_reopen(struct timer *timer)
{
    struct tungo *t = LIST_OWNER(timer, struct tungo, reopen);
    struct diag diag = {0};
    enum rc rc = setup_reopen(&t->setup, &t->setup_cfg, regain_warn, t, &diag);

    if (rc == RC_OK) {
        device_io_probe(t);
        monitor_follow(&t->monitor, t->setup.device.index);
        rc = read_device(t, &diag);
    }
    if (rc != RC_OK) {
        uint64_t now = loop_now_ms(t->loop);

        if (!t->told_ms || now - t->told_ms >= TELL_EVERY_MS) {
            t->told_ms = now;
            tell(t, LOG_WARN, "is lost and cannot be made again yet; trying every second",
                 diag.text);
        }
        (void)timer_start(timer, REOPEN_MS);
        return;
    }
    t->told_ms = 0;
    regain_tell_device(t);
    returned(t);
}

void tungo_device_lost(struct tungo *t)
{
    device_io_stop(t);
    timer_stop(&t->mend);
    tell(t, LOG_WARN, "was removed, making it again", "");
    if (t->started)
        (void)timer_start(&t->reopen, 0);
}

/* --- set down: the kernel takes its routes and IPv6 addresses then */

static void is_down(struct tungo *t)
{
    timer_stop(&t->mend);
    tell(t, LOG_WARN, "was set down, waiting until it is up", "");
}

static void is_up(struct tungo *t)
{
    struct diag diag = {0};

    timer_stop(&t->mend);
    if (setup_restore(&t->setup, &t->setup_cfg, &diag) == RC_OK)
        tell(t, LOG_INFO, "is up again, addresses and routes are back", "");
    else
        tell(t, LOG_WARN, "is up again without all of its routes", diag.text);
    returned(t);
}

/* --- stripped */

static void await_mending(struct tungo *t)
{
    uint64_t now = loop_now_ms(t->loop);

    if (timer_is_running(&t->mend) || timer_is_running(&t->reopen))
        return;
    if (!t->mend_ms || now - t->mended_ms > 2 * t->mend_ms + MEND_QUIET_MS)
        t->mend_ms = MEND_FIRST_MS;
    (void)timer_start(&t->mend, t->mend_ms);
}

static void on_mend(struct timer *timer)
{
    struct tungo *t = LIST_OWNER(timer, struct tungo, mend);
    struct link_info link = {0};
    struct diag diag = {0};
    bool was_up = t->monitor.up, any = false;

    if (link_find_index(&t->setup.nl, t->setup.device.index, &link, NULL) != RC_OK)
        return; /* it is about to go */
    t->monitor.up = link.up;
    if (link.up != was_up) { /* that event was missed, or is still to come */
        if (link.up)
            is_up(t);
        else
            is_down(t);
    }
    if (link.up != was_up || !link.up)
        return;
    enum rc rc = setup_mend(&t->setup, &t->setup_cfg, &any, &diag);
    if (rc == RC_OK && !any)
        return;
    t->mended_ms = loop_now_ms(t->loop);
    t->mend_ms = 2 * t->mend_ms < MEND_MOST_MS ? 2 * t->mend_ms : MEND_MOST_MS;
    if (rc != RC_OK) {
        tell(t, LOG_WARN, "was stripped of addresses or routes; they can't be put back yet",
             diag.text);
        await_mending(t);
        return;
    }
    tell(t, LOG_WARN, "was stripped of addresses or routes by another program; they are back", "");
    returned(t);
}

static void on_change(struct monitor *m, enum monitor_event event, void *arg)
{
    struct tungo *t = arg;

    (void)m;
    switch (event) {
    case MONITOR_DOWN:
        is_down(t);
        break;
    case MONITOR_UP:
        is_up(t);
        break;
    case MONITOR_STRIPPED:
        await_mending(t);
        break;
    }
}

/* --- life */

void regain_init(struct tungo *t)
{
    timer_init(t->loop, &t->reopen, on_reopen);
    timer_init(t->loop, &t->mend, on_mend);
}

bool regain_reserve(struct tungo *t)
{
    return timer_reserve(&t->reopen) && timer_reserve(&t->mend);
}

enum rc regain_start(struct tungo *t, struct diag *diag)
{
    enum rc rc =
        monitor_open(&t->monitor, t->loop, t->netns, t->setup.device.index, on_change, t, diag);

    return rc == RC_OK ? read_device(t, diag) : rc;
}

void regain_stop(struct tungo *t)
{
    timer_stop(&t->reopen);
    timer_stop(&t->mend);
    monitor_close(&t->monitor);
}

void regain_release(struct tungo *t)
{
    timer_release(&t->reopen);
    timer_release(&t->mend);
}
