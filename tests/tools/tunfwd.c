/* tests/tools/tunfwd.c - the smallest program around the tungo listener: every flow is dialled
 * directly and spliced. For tests and measurements of the device side alone.
 *
 *   tunfwd name=tun0 net=10.77.1.1/24 [mtu=1420] [route=10.77.2.0/24,...] [netns=NAME] [offload=0]
 *          [early=1] [window=BYTES] [dial_ms=N] [deny=PORT] [quiet=1]
 *
 * early=1: the client's handshake comes before the dial. deny: flows to that port are refused with
 * RC_DENIED. SIGTERM ends it; what stayed is reported on stderr. SIGUSR1 prints counters.
 */
#include "core/floor/tcp.h"
#include "core/list.h"
#include "core/log.h"
#include "core/splice.h"
#include "listeners/tungo/inside.h"
#include "listeners/tungo/netstack.h"
#include "listeners/types.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct conn {
    struct list in_conns;
    struct tungo_flow *flow; /* parked */
    struct stream *client, *target;
    struct timer deadline;
    struct splice *splice;
};

static struct loop *loop;
static struct tungo *tungo;
static struct tungo_options options = {.mtu = 1420, .offload = true};
static struct list conns;
static unsigned n_conns, dial_ms = 15000, deny;
static bool early, quiet, stopping;
static uint64_t total, up_bytes, down_bytes;

static void conn_free(struct conn *c)
{
    timer_stop(&c->deadline);
    list_remove(&c->in_conns);
    n_conns--;
    free(c);
}

static void on_spliced(void *arg, const struct splice_result *res)
{
    struct conn *c = arg;

    up_bytes += res->up_bytes;
    down_bytes += res->down_bytes;
    if (!quiet && res->diag.rc != RC_OK)
        fprintf(stderr, "conn: %s (%c)\n", res->diag.text, res->side ? res->side : '-');
    conn_free(c);
}

/* Refused or failed before the splice: the client is told, as far as it can be. */
static void give_up(struct conn *c, enum rc why)
{
    if (!quiet)
        fprintf(stderr, "dial: %s\n", c->target ? stream_diag(c->target)->text : rc_name(why));
    if (c->flow)
        tungo_flow_refuse(c->flow, why);
    stream_abort(c->client);
    stream_abort(c->target);
    conn_free(c);
}

static void on_event(struct stream *s, unsigned ready, void *arg);

static void step(struct conn *c)
{
    enum rc rc = stream_open(c->target);

    if (rc == RC_OK && c->flow) {
        c->client = tungo_flow_accept(c->flow);
        c->flow = NULL;
        if (!c->client)
            rc = RC_NOMEM;
    }
    if (c->client && (rc == RC_OK || rc == RC_AGAIN)) {
        enum rc rc2 = stream_open(c->client);
        if (rc2 != RC_OK && rc2 != RC_AGAIN) {
            give_up(c, rc2);
            return;
        }
        if (rc == RC_OK)
            rc = rc2;
        stream_want(c->client, rc2 == RC_AGAIN ? STREAM_OPEN : 0, on_event, c);
    }
    if (rc == RC_AGAIN) {
        stream_want(c->target, stream_is_open(c->target) ? 0 : STREAM_OPEN, on_event, c);
        return;
    }
    if (rc != RC_OK) {
        give_up(c, rc);
        return;
    }
    timer_stop(&c->deadline);
    c->splice = splice_start(c->client, c->target, &(struct splice_cfg){0}, on_spliced, c);
    if (!c->splice)
        conn_free(c);
}

static void on_event(struct stream *s, unsigned ready, void *arg)
{
    (void)s;
    (void)ready;
    step(arg);
}

static void on_deadline(struct timer *timer)
{
    give_up(LIST_OWNER(timer, struct conn, deadline), RC_TIMEOUT);
}

static void on_flow(void *arg, struct tungo_flow *f)
{
    struct conn *c = calloc(1, sizeof *c);
    struct addr to = *tungo_flow_target(f);
    struct layer *l;

    (void)arg;
    if (!c || (deny && to.port == deny) || stopping) {
        tungo_flow_refuse(f, RC_DENIED);
        free(c);
        return;
    }
    total++;
    n_conns++;
    list_init(&c->in_conns);
    list_append(&conns, &c->in_conns);
    timer_init(loop, &c->deadline, on_deadline);
    c->flow = f;
    tungo_flow_set_user(f, c);
    c->target = stream_new(loop);
    l = c->target ? tcp_connect_layer(loop, &to, NULL, stream_diag(c->target)) : NULL;
    if (!l) {
        give_up(c, c->target ? stream_diag(c->target)->rc : RC_NOMEM);
        return;
    }
    stream_push(c->target, l);
    (void)timer_start(&c->deadline, dial_ms);
    if (early) {
        c->client = tungo_flow_accept(f);
        c->flow = NULL;
        if (!c->client) {
            give_up(c, RC_NOMEM);
            return;
        }
    }
    step(c);
}

static void on_flow_gone(void *arg, struct tungo_flow *f)
{
    struct conn *c = tungo_flow_user(f);

    (void)arg;
    c->flow = NULL;
    give_up(c, RC_RESET);
}

static void print_counters(void)
{
    const struct netstack *ns = tungo->net;
    const struct tungo_stats *s = &tungo->stats;
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    fprintf(stderr,
            "cpu_s %.3f conns %u total %llu up %llu down %llu table %zu blocks %zu free %zu "
            "parked %zu refused %llu strays %llu evicted %llu resets %llu keepalive_ends %llu "
            "nomem %llu lost %llu read %llu/%llu written %llu/%llu tso %d uso %d vnet %d\n",
            (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
                (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6,
            n_conns, (unsigned long long)total, (unsigned long long)up_bytes,
            (unsigned long long)down_bytes, ns->table.n, ns->blocks.n_used, ns->blocks.n_free,
            ns->parking.n, (unsigned long long)ns->stats.refused,
            (unsigned long long)ns->stats.strays, (unsigned long long)ns->stats.evicted,
            (unsigned long long)ns->stats.resets, (unsigned long long)ns->stats.keepalive_ends,
            (unsigned long long)ns->stats.no_memory, (unsigned long long)s->lost_writes,
            (unsigned long long)s->read_packets, (unsigned long long)s->read_bytes,
            (unsigned long long)s->written_packets, (unsigned long long)s->written_bytes,
            tungo->caps.tso, tungo->caps.uso, tungo->caps.vnet);
}

static uv_signal_t sig_term, sig_usr1;

static void on_signal(uv_signal_t *h, int number)
{
    (void)h;
    if (number == SIGUSR1) {
        print_counters();
        return;
    }
    stopping = true;
    loop_stop(loop);
}

static void on_closed(uv_handle_t *h)
{
    (void)h;
}

static bool add_nets(struct netlist *list, char *text)
{
    for (char *save, *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        list->v = realloc(list->v, (list->n + 1) * sizeof *list->v);
        if (!list->v || !cidr_parse(word, strlen(word), &list->v[list->n]))
            return false;
        list->n++;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct sockopts so = {0};
    struct tungo_cfg cfg = {0};
    struct diag diag = {0};
    struct listener l = {.type = &listener_tungo, .cfg = &options};
    struct listener_events none = {0};
    struct log_cfg log = {.level = LOG_INFO, .text = true, .output = "stderr"};

    for (int i = 1; i < argc; i++) {
        char *key = argv[i], *v = strchr(key, '=');
        bool good = v != NULL;
        if (good)
            *v++ = 0;
        if (good && !strcmp(key, "name"))
            options.name = v;
        else if (good && !strcmp(key, "net"))
            good = add_nets(&options.net, v);
        else if (good && !strcmp(key, "route"))
            good = add_nets(&options.route, v);
        else if (good && !strcmp(key, "mtu"))
            options.mtu = atoi(v);
        else if (good && !strcmp(key, "offload"))
            options.offload = atoi(v) != 0;
        else if (good && !strcmp(key, "netns"))
            so.netns = v;
        else if (good && !strcmp(key, "window"))
            cfg.tcp_receive_bytes = cfg.tcp_send_bytes = (uint32_t)atoi(v);
        else if (good && !strcmp(key, "dial_ms"))
            dial_ms = (unsigned)atoi(v);
        else if (good && !strcmp(key, "deny"))
            deny = (unsigned)atoi(v);
        else if (good && !strcmp(key, "early"))
            early = atoi(v) != 0;
        else if (good && !strcmp(key, "quiet"))
            quiet = atoi(v) != 0;
        else
            good = false;
        if (!good) {
            fprintf(stderr, "tunfwd: bad argument %s\n", key);
            return 2;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    os_raise_fd_limit();
    list_init(&conns);
    if (log_open(&log, &diag) != RC_OK || !(loop = loop_new(&diag)) ||
        listener_tungo.open(
            &l,
            &(struct listener_setup){.loop = loop, .service = "tunfwd", .addr = ":0", .so = &so},
            &diag) != RC_OK) {
        fprintf(stderr, "tunfwd: %s\n", diag.text);
        return 1;
    }
    tungo = listener_tungo.tungo(&l);
    tungo_configure(tungo, &cfg);
    tungo_set_events(tungo,
                     &(struct tungo_events){.on_flow = on_flow, .on_flow_gone = on_flow_gone});
    if (listener_tungo.start(&l, &none, &diag) != RC_OK) {
        fprintf(stderr, "tunfwd: %s\n", diag.text);
        return 1;
    }
    uv_signal_init(loop_uv(loop), &sig_term);
    uv_signal_init(loop_uv(loop), &sig_usr1);
    uv_signal_start(&sig_term, on_signal, SIGTERM);
    uv_signal_start(&sig_usr1, on_signal, SIGUSR1);
    loop_run(loop);

    print_counters();
    while (!list_is_empty(&conns)) {
        struct conn *c = LIST_OWNER(conns.next, struct conn, in_conns);
        if (c->splice) {
            splice_free(c->splice);
            conn_free(c);
        } else {
            give_up(c, RC_CANCELED);
        }
    }
    listener_tungo.done(&l);
    uv_close((uv_handle_t *)&sig_term, on_closed);
    uv_close((uv_handle_t *)&sig_usr1, on_closed);
    loop_free(loop);
    log_close();
    free(options.net.v);
    free(options.route.v);
    return 0;
}
