/* tests/unit/tungodnscase.h - DNS of the device without a device: flows of questions against a
 * server on loopback that tells the truth, lies, says nothing or hears itself.
 */
#ifndef TESTS_UNIT_TUNGODNSCASE_H
#define TESTS_UNIT_TUNGODNSCASE_H

#include "chain/nameserver.h"
#include "chain/unreal.h"
#include "core/floor/mem.h"
#include "core/stream.h"
#include "dnspeer.h"
#include "handlers/tungodns_inside.h"
#include "run.h"
#include <sys/stat.h>

enum { HEARD_MAX = 300 };

static struct dns_peer peer;
static struct router *router;
static struct tungodns *dns;
static struct tungodns_options options;
static struct addr client;
static char dir[64], record[128], route[200];
static struct {
    uint8_t data[1500];
    size_t n;
} came[HEARD_MAX];
static int n_came, wanted;

static inline void start(dns_peer_fn *answer)
{
    world_start();
    peer_start(&peer, answer);
    options = (struct tungodns_options){.cache = false};
    client = loopback(AF_INET, 40000);
    router = NULL;
    dns = NULL;
    n_came = 0;
    (void)snprintf(dir, sizeof(dir), "/tmp/cgost-tungodns-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(record, sizeof(record), "%s/pool", dir);
}

/* fake: a range, NULL: none; servers: of the service's resolver, NULL: none. */
static inline void make(const char *fake, const char *const *servers)
{
    static struct cidr range;
    struct nameservers *list = servers != NULL ? nameservers_new() : NULL;
    struct diag d = {.rc = RC_OK};
    if (fake != NULL) {
        ck_assert(cidr_parse(fake, strlen(fake), &range));
        options.fake = (struct netlist){&range, 1};
        options.fake_file = record;
    }
    for (; servers != NULL && *servers != NULL; servers++) {
        struct nameserver_cfg cfg = {.addr = *servers, .timeout_ms = 300};
        ck_assert_int_eq(nameservers_add(list, &cfg, NULL), RC_OK);
    }
    router = router_new(&(struct router_cfg){.loop = loop, .service = "t", .nameservers = list});
    nameservers_unref(list);
    struct handler_setup setup = {.loop = loop, .service = "t", .router = router};
    ck_assert_msg(tungodns_new(&setup, &options, false, &dns, &d) == RC_OK, "%s", d.text);
}

static inline void stop(void)
{
    char command[160];
    tungodns_free(dns);
    router_free(router);
    peer_stop(&peer);
    world_stop();
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

static inline void on_answer(struct dgram *d, unsigned ready, void *arg)
{
    struct target from;
    (void)ready;
    (void)arg;
    while (n_came < HEARD_MAX &&
           dgram_recv(d, came[n_came].data, sizeof(came[0].data), &came[n_came].n, &from) == RC_OK)
        n_came++;
    if (n_came >= wanted)
        loop_stop(loop);
}

static inline struct dgram *flow_to(struct addr server)
{
    struct dgram *d = tungodns_dgram(dns, &client, &server, route);
    ck_assert_ptr_nonnull(d);
    dgram_want(d, STREAM_IN, on_answer, NULL);
    return d;
}

static inline struct dgram *flow(void)
{
    return flow_to(loopback(AF_INET, peer.port));
}

static inline void send_bytes(struct dgram *d, const void *data, size_t n)
{
    struct target nobody = {.name = ""};
    ck_assert_int_eq(dgram_send(d, &nobody, data, n), RC_OK);
}

static inline void send_question(struct dgram *d, const char *name, uint16_t type, uint16_t id)
{
    struct dns_query q = {.id = id, .type = type, .name = name};
    uint8_t buf[512];
    size_t n;
    ck_assert_int_eq(dns_format_query(&q, buf, sizeof(buf), &n), RC_OK);
    send_bytes(d, buf, n);
}

static inline void hear(int n)
{
    wanted = n;
    if (n_came < n)
        loop_run(loop);
    ck_assert_msg(!stuck, "heard %d of %d", n_came, n);
    ck_assert_int_eq(n_came, n);
}

static inline void on_pause(struct timer *timer)
{
    (void)timer;
    loop_stop(loop);
}

static inline void pass_time(uint64_t ms)
{
    struct timer t;
    timer_init(loop, &t, on_pause);
    ck_assert(timer_start(&t, ms));
    wanted = HEARD_MAX;
    loop_run(loop);
    timer_stop(&t);
}

/* "ID RCODE ADDRESS" of what was heard. */
static inline const char *text_of(int i)
{
    static char text[128];
    struct dns_msg m;
    struct addr v[4];
    int n = 0;
    uint32_t ttl_s;
    char ip[ADDR_TEXT_MAX] = "-";
    ck_assert_int_eq(dns_parse(came[i].data, came[i].n, &m), RC_OK);
    (void)dns_addresses(came[i].data, came[i].n, &m, v, 4, &n, &ttl_s);
    if (n > 0)
        (void)addr_format_ip(&v[0], ip, sizeof(ip));
    (void)snprintf(text, sizeof(text), "%u %u %s", m.id, m.flags & DNS_RCODE, ip);
    return text;
}

static inline const char *ask(struct dgram *d, const char *name, uint16_t type, uint16_t id)
{
    send_question(d, name, type, id);
    hear(n_came + 1);
    return text_of(n_came - 1);
}

static inline const char *known(const char *ip)
{
    static char text[320];
    static const char *const words[] = {
        [KNOWN_NOTHING] = "nothing", [KNOWN_LIKELY] = "likely", [KNOWN_NAME] = "name",
        [KNOWN_FAKE] = "fake",       [KNOWN_STALE] = "stale",
    };
    struct target t = {.name = ""};
    struct addr a;
    ck_assert(addr_parse_ip(ip, strlen(ip), &a));
    a.port = 443;
    enum tungodns_known k = tungodns_name(dns, &client, &a, &t);
    if (k != KNOWN_NOTHING && k != KNOWN_STALE)
        ck_assert_uint_eq(t.addr.port, 443);
    (void)snprintf(text, sizeof(text), "%s %s", words[k], t.name);
    return text;
}

static inline void answer_nothing(struct dns_asker *to, const uint8_t *q, size_t n)
{
    (void)to;
    (void)q;
    (void)n;
}

#endif
