/* handlers/tungodns_tcp.c - a client that asks over TCP (RFC 7766): its stream with framed messages
 * is handlers/dnsclient.c's, the questions are a flow's.
 */
#include "core/splice.h"
#include "core/stream.h"
#include "handlers/dnsclient.h"
#include "handlers/report.h"
#include "handlers/tungodns_inside.h"
#include "listeners/listener.h"
#include <stdio.h>
#include <stdlib.h>

enum { IDLE_MS = 15000 };

struct dnstcp {
    struct dnsflow flow;
    struct dns_clients clients; /* one */
    struct dns_client *client;  /* NULL: not heard of, or gone */
    struct report report;
    struct splice_result moved;
    struct deferred deferred;
    bool over, stopping;
};

static struct dnstcp *of_flow(struct dnsflow *f)
{
    return LIST_OWNER(f, struct dnstcp, flow);
}

static void say(struct dnsflow *f, const uint8_t *answer, size_t n)
{
    struct dnstcp *t = of_flow(f);

    if (!t->client)
        return;
    t->moved.down_bytes += 2 + n;
    dns_client_answer(t->client, answer, n);
}

static void asked(struct dnsflow *f)
{
    struct dnstcp *t = of_flow(f);

    if (!t->client)
        return;
    t->client->n_questions = f->n_asks;
    dns_client_look(t->client);
}

static void on_question(void *arg, struct dns_client *c, const uint8_t *query, size_t n)
{
    struct dnstcp *t = arg;
    struct dnsask *passed;

    t->client = c;
    t->moved.up_bytes += 2 + n;
    (void)dnsflow_question(&t->flow, query, n, &passed);
    if (!t->over)
        c->n_questions = t->flow.n_asks;
}

static void on_gone(void *arg, struct dns_client *c)
{
    struct dnstcp *t = arg;
    struct loop *loop = t->clients.loop;

    (void)c;
    t->client = NULL;
    t->over = true;
    t->moved.duration_ms = loop_now_ms(loop) - t->report.started_ms;
    if (t->stopping)
        report_stopped(&t->report, t->moved.up_bytes, t->moved.down_bytes, loop_now_ms(loop));
    else
        report_ended(&t->report, &t->moved);
    dnsflow_done(&t->flow);
    t->flow.dns = NULL;
    loop_free_later(loop, &t->deferred, free, t);
}

static void end(struct dnsflow *f)
{
    of_flow(f)->stopping = true;
    dns_clients_done(&of_flow(f)->clients); /* on_gone() does the rest */
}

/* Each may hold what a client asked and does not read. */
static bool has_room(const struct tungodns *d, const struct addr *client)
{
    return shares_may(shares_of(&d->streams, client), d->n_streams, DNSSTREAMS_MAX);
}

void tungodns_serve(struct tungodns *d, struct stream *s, const struct addr *client,
                    const struct addr *dst)
{
    struct client_info info = {.peer = *client, .local = *dst};
    struct dnstcp *t = has_room(d, client) ? calloc(1, sizeof *t) : NULL;

    if (!t) {
        stream_abort(s);
        return;
    }
    dnsflow_init(&t->flow, d, client, dst, true);
    t->flow.say = say;
    t->flow.asked = asked;
    t->flow.end = end;
    report_init(&t->report, d->setup.service, "tungo", "tcp", client, loop_now_ms(d->setup.loop));
    t->report.target = t->flow.where;
    (void)snprintf(t->report.route, sizeof t->report.route, "dns");
    report_connected(&t->report);
    t->clients = (struct dns_clients){.loop = d->setup.loop,
                                      .idle_ms = IDLE_MS,
                                      .on_question = on_question,
                                      .gone = on_gone,
                                      .arg = t};
    dns_clients_init(&t->clients);
    dns_client_serve(&t->clients, s, &info);
    if (!t->over && list_is_empty(&t->clients.all)) { /* no memory: it was never one */
        dnsflow_done(&t->flow);
        free(t);
    }
}
