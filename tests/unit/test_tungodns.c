/* tests/unit/test_tungodns.c - DNS of the device without a device: flows of questions against a
 * server on loopback that tells the truth, lies, says nothing or hears itself. */
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

static void start(dns_peer_fn *answer)
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
static void make(const char *fake, const char *const *servers)
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

static void stop(void)
{
    char command[160];
    tungodns_free(dns);
    router_free(router);
    peer_stop(&peer);
    world_stop();
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

static void on_answer(struct dgram *d, unsigned ready, void *arg)
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

static struct dgram *flow_to(struct addr server)
{
    struct dgram *d = tungodns_dgram(dns, &client, &server, route);
    ck_assert_ptr_nonnull(d);
    dgram_want(d, STREAM_IN, on_answer, NULL);
    return d;
}

static struct dgram *flow(void)
{
    return flow_to(loopback(AF_INET, peer.port));
}

static void send_bytes(struct dgram *d, const void *data, size_t n)
{
    struct target nobody = {.name = ""};
    ck_assert_int_eq(dgram_send(d, &nobody, data, n), RC_OK);
}

static void send_question(struct dgram *d, const char *name, uint16_t type, uint16_t id)
{
    struct dns_query q = {.id = id, .type = type, .name = name};
    uint8_t buf[512];
    size_t n;
    ck_assert_int_eq(dns_format_query(&q, buf, sizeof(buf), &n), RC_OK);
    send_bytes(d, buf, n);
}

static void hear(int n)
{
    wanted = n;
    if (n_came < n)
        loop_run(loop);
    ck_assert_msg(!stuck, "heard %d of %d", n_came, n);
    ck_assert_int_eq(n_came, n);
}

static void on_pause(struct timer *timer)
{
    (void)timer;
    loop_stop(loop);
}

static void pass_time(uint64_t ms)
{
    struct timer t;
    timer_init(loop, &t, on_pause);
    ck_assert(timer_start(&t, ms));
    wanted = HEARD_MAX;
    loop_run(loop);
    timer_stop(&t);
}

/* "ID RCODE ADDRESS" of what was heard. */
static const char *text_of(int i)
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

static const char *ask(struct dgram *d, const char *name, uint16_t type, uint16_t id)
{
    send_question(d, name, type, id);
    hear(n_came + 1);
    return text_of(n_came - 1);
}

static const char *known(const char *ip)
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

static void answer_nothing(struct dns_asker *to, const uint8_t *q, size_t n)
{
    (void)to;
    (void)q;
    (void)n;
}

START_TEST(test_no_option_is_nothing)
{
    start(answer_addr);
    make(NULL, NULL);
    struct addr a = loopback(AF_INET, 53);
    struct target t;
    ck_assert_ptr_null(dns);
    ck_assert(!tungodns_takes_udp(dns, &a) && !tungodns_takes_tcp(dns, &a));
    ck_assert_int_eq(tungodns_name(dns, &client, &a, &t), KNOWN_NOTHING);
    stop();
}
END_TEST

START_TEST(test_fake_answers_and_knows)
{
    start(answer_addr);
    make("198.18.0.0/15", NULL);
    struct dgram *d = flow();
    ck_assert_str_eq(ask(d, "Name.Example", DNS_A, 7), "7 0 198.18.0.1");
    ck_assert_str_eq(ask(d, "name.example", DNS_AAAA, 8), "8 0 -");
    ck_assert_str_eq(ask(d, "name.example", DNS_HTTPS, 9), "9 0 -");
    ck_assert_int_eq(peer.asked_udp, 0);
    ck_assert_str_eq(known("198.18.0.1"), "fake name.example");
    ck_assert_str_eq(known("198.18.0.2"), "stale ");
    ck_assert_str_eq(known("192.0.2.1"), "nothing ");
    ck_assert_str_eq(ask(d, "name.example", DNS_TXT, 10), "10 0 -");
    ck_assert_int_eq(peer.asked_udp, 1);
    struct addr fake = addr_v4("\xc6\x12\0\1", 0);
    ck_assert(unreal_has(&fake));
    dgram_close(d);
    tungodns_free(dns);
    dns = NULL;
    ck_assert(!unreal_has(&fake));
    stop();
}
END_TEST

START_TEST(test_who_speaks_edns_is_answered_so)
{
    struct dns_query q = {.id = 7, .type = DNS_A, .name = "name.example", .edns_bytes = 4000};
    uint8_t buf[512];
    size_t n;
    struct dns_msg m;
    struct dns_edns edns;
    start(answer_addr);
    make("198.18.0.0/15", NULL);
    struct dgram *d = flow();
    ck_assert_int_eq(dns_format_query(&q, buf, sizeof(buf), &n), RC_OK);
    buf[n - 4] |= 0x80; /* DO */
    send_bytes(d, buf, n);
    hear(1);
    ck_assert_str_eq(text_of(0), "7 0 198.18.0.1");
    ck_assert_int_eq(dns_parse(came[0].data, came[0].n, &m), RC_OK);
    ck_assert_int_eq(dns_find_edns(came[0].data, came[0].n, &m, &edns), RC_OK);
    ck_assert(edns.present && edns.dnssec && !edns.options);
    ck_assert_uint_eq(edns.udp_bytes, DNS_UDP_BYTES);
    ck_assert_str_eq(ask(d, "name.example", DNS_A, 8), "8 0 198.18.0.1"); /* and who does not */
    ck_assert_int_eq(dns_parse(came[1].data, came[1].n, &m), RC_OK);
    ck_assert_int_eq(dns_find_edns(came[1].data, came[1].n, &m, &edns), RC_OK);
    ck_assert(!edns.present);
    buf[11] = 2; /* a second record that is not there */
    send_bytes(d, buf, n);
    hear(3);
    ck_assert_int_eq(came[2].data[3] & DNS_RCODE, DNS_FORMERR);
    ck_assert_int_eq(peer.asked_udp, 0);
    dgram_close(d);
    stop();
}
END_TEST

START_TEST(test_our_own_names_are_never_fake)
{
    static const char *const servers[] = {"tls://ns.example:853", NULL};
    start(answer_addr);
    make("198.18.0.0/15", servers);
    struct dgram *d = flow();
    ck_assert_str_eq(ask(d, "NS.example", DNS_A, 7), "7 0 192.0.2.1");
    ck_assert_str_eq(ask(d, "other.example", DNS_A, 7), "7 0 198.18.0.1");
    ck_assert_int_eq(peer.asked_udp, 1);
    dgram_close(d);
    stop();
}
END_TEST

START_TEST(test_some_names_keep_their_true_addresses)
{
    char one[] = ".lan.example", two[] = "stun?.example", three[] = "bad port:x";
    char *patterns[] = {one, two, three};
    struct diag why = {.rc = RC_OK};
    start(answer_addr);
    options.fake_except = (struct strlist){patterns, 2};
    make("198.18.0.0/15", NULL);
    struct dgram *d = flow();
    ck_assert_str_eq(ask(d, "printer.LAN.example", DNS_A, 1), "1 0 192.0.2.1");
    ck_assert_str_eq(ask(d, "stun1.example", DNS_AAAA, 2), "2 0 2001:db8::1");
    ck_assert_str_eq(ask(d, "lan.example.org", DNS_A, 3), "3 0 198.18.0.1");
    dgram_close(d);
    struct handler_setup setup = {.loop = loop, .service = "t", .router = router};
    struct tungodns *none = NULL;
    struct tungodns_options bad = {.fake_except = {patterns, 1}};
    ck_assert_int_eq(tungodns_new(&setup, &bad, false, &none, &why), RC_INVALID);
    bad = options;
    bad.fake_except.n = 3;
    why.rc = RC_OK;
    ck_assert_int_eq(tungodns_new(&setup, &bad, false, &none, &why), RC_INVALID);
    ck_assert_msg(strstr(why.text, three) != NULL, "%s", why.text);
    stop();
}
END_TEST

START_TEST(test_cache_asks_once)
{
    start(answer_addr);
    options.cache = options.map = true;
    make(NULL, NULL);
    struct dgram *d = flow();
    ck_assert_str_eq(ask(d, "name.example", DNS_A, 7), "7 0 192.0.2.1");
    ck_assert_str_eq(ask(d, "NAME.example", DNS_A, 4711), "4711 0 192.0.2.1");
    ck_assert_int_eq(peer.asked_udp, 1);
    ck_assert_str_eq(known("192.0.2.1"), "name name.example");
    client.ip[3] = 2; /* who is told by the cache is remembered, too */
    ck_assert_str_eq(known("192.0.2.1"), "nothing ");
    struct dgram *other = flow();
    ck_assert_str_eq(ask(other, "name.example", DNS_A, 1), "1 0 192.0.2.1");
    ck_assert_str_eq(known("192.0.2.1"), "name name.example");
    ck_assert_int_eq(peer.asked_udp, 1);
    dgram_close(d);
    dgram_close(other);
    stop();
}
END_TEST

static void say_address(struct dns_asker *to, const uint8_t *q, size_t n, uint8_t last)
{
    uint8_t out[512], ip[4] = {192, 0, 2, last};
    struct peer_record r = {.type = DNS_A, .ttl = 60, .data = ip, .n = 4};
    size_t len = peer_build(out, q, n, 0, &r, 1);
    peer_say(to, out, len);
}

static void answer_lies(struct dns_asker *to, const uint8_t *q, size_t n)
{
    uint8_t wrong_id[512], wrong_name[512], as_question[512];
    memcpy(wrong_id, q, n);
    wrong_id[0] ^= 0x55;
    say_address(to, wrong_id, n, 66);
    memcpy(wrong_name, q, n);
    wrong_name[13] ^= 1; /* another letter */
    say_address(to, wrong_name, n, 67);
    memcpy(as_question, q, n);
    peer_say(to, as_question, n); /* the question itself */
    peer_say(to, q, 11);
    say_address(to, q, n, 1);
    say_address(to, q, n, 68); /* a second answer: nobody waits for it any more */
}

START_TEST(test_lies_reach_the_client_but_teach_nothing)
{
    start(answer_lies);
    options.cache = options.map = true;
    make(NULL, NULL);
    struct dgram *d = flow();
    send_question(d, "name.example", DNS_A, 7);
    hear(6);
    ck_assert_str_eq(known("192.0.2.66"), "nothing ");
    ck_assert_str_eq(known("192.0.2.67"), "nothing ");
    ck_assert_str_eq(known("192.0.2.68"), "nothing ");
    ck_assert_str_eq(known("192.0.2.1"), "name name.example");
    ck_assert_str_eq(ask(d, "name.example", DNS_A, 9), "9 0 192.0.2.1");
    ck_assert_int_eq(peer.asked_udp, 1);
    ck_assert_uint_eq(dns->stats.passed, 1);
    ck_assert_uint_eq(dns->stats.kept, 1);
    ck_assert_uint_eq(dns->stats.strange, 3);
    dgram_close(d);
    stop();
}
END_TEST

static void answer_echo(struct dns_asker *to, const uint8_t *q, size_t n)
{
    peer_say(to, q, n);
}

START_TEST(test_what_is_no_dns_passes)
{
    static const uint8_t noise[] = "\4\0\0\0\7\7\7\7\1\2\3\4 no question at all, a VPN perhaps";
    start(answer_echo);
    options.cache = options.map = true;
    make("198.18.0.0/15", NULL);
    struct dgram *d = flow();
    for (size_t n = 0; n < sizeof(noise); n += 7) {
        send_bytes(d, noise, n);
        hear(n_came + 1);
        ck_assert_uint_eq(came[n_came - 1].n, n);
        ck_assert_int_eq(memcmp(came[n_came - 1].data, noise, n), 0);
    }
    dgram_close(d);
    stop();
}
END_TEST

START_TEST(test_hijacked_questions_go_to_the_resolver)
{
    char text[64];
    const char *servers[] = {"udp://127.0.0.1:9", text, NULL}; /* nobody; ours */
    start(answer_addr);
    (void)snprintf(text, sizeof(text), "udp://127.0.0.1:%u", peer.port);
    options.hijack = options.map = true;
    make(NULL, servers);
    struct dgram *d = flow_to(loopback(AF_INET, 7)); /* nobody, either */
    ck_assert_str_eq(ask(d, "name.example", DNS_A, 7), "7 0 192.0.2.1");
    ck_assert_str_eq(ask(d, "name.example", DNS_AAAA, 8), "8 0 2001:db8::1");
    ck_assert_int_eq(peer.asked_udp, 2);
    ck_assert_str_eq(known("192.0.2.1"), "name name.example");
    send_bytes(d, "no question", 11);
    static const uint8_t two[] = "\1\2\1\0\0\2\0\0\0\0\0\0\1a\0\0\1\0\1\1b\0\0\1\0\1",
                         notify[] = "\1\3\x20\0\0\1\0\0\0\0\0\0\1a\0\0\6\0\1";
    send_bytes(d, two, sizeof(two) - 1);
    send_bytes(d, notify, sizeof(notify) - 1);
    hear(4); /* both are answered by us */
    ck_assert_int_eq(came[2].data[3] & DNS_RCODE, DNS_FORMERR);
    ck_assert_str_eq(text_of(3), "259 4 -");
    ck_assert_int_eq(peer.asked_udp, 2);
    dgram_close(d);
    stop();
}
END_TEST

START_TEST(test_silence_is_servfail)
{
    char text[64];
    const char *servers[] = {text, NULL};
    start(answer_nothing);
    (void)snprintf(text, sizeof(text), "udp://127.0.0.1:%u", peer.port);
    options.hijack = true;
    make(NULL, servers);
    struct dgram *d = flow();
    ck_assert_str_eq(ask(d, "name.example", DNS_A, 7), "7 2 -");
    dgram_close(d);
    stop();
}
END_TEST

static struct dgram *second;

/* The resolver's question is routed into our own device. */
static void answer_through_us(struct dns_asker *to, const uint8_t *q, size_t n)
{
    second = flow();
    send_bytes(second, q, n);
    answer_addr(to, q, n);
}

START_TEST(test_our_own_question_is_not_asked_again)
{
    char text[64];
    const char *servers[] = {text, NULL};
    start(answer_through_us);
    (void)snprintf(text, sizeof(text), "udp://127.0.0.1:%u", peer.port);
    options.hijack = true;
    make(NULL, servers);
    struct dgram *d = flow_to(loopback(AF_INET, 7));
    ck_assert_str_eq(ask(d, "name.example", DNS_A, 7), "7 0 192.0.2.1");
    pass_time(20);
    ck_assert_int_eq(peer.asked_udp, 1);
    ck_assert(dns->told_of_loop);
    dgram_close(d);
    dgram_close(second);
    stop();
}
END_TEST

START_TEST(test_open_questions_are_capped)
{
    char text[64], name[32];
    const char *servers[] = {text, NULL};
    start(answer_nothing);
    (void)snprintf(text, sizeof(text), "udp://127.0.0.1:%u", peer.port);
    options.cache = true;
    make(NULL, NULL);
    struct dgram *d = flow();
    for (uint16_t i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof(name), "n%u.example", i);
        send_question(d, name, DNS_A, i);
    }
    ck_assert_uint_eq(dns->n_asks, DNSASKS_PER_FLOW);
    pass_time(20);
    ck_assert_int_le(peer.asked_udp, 200);
    dgram_close(d);
    ck_assert_uint_eq(dns->n_asks, 0);
    tungodns_free(dns);
    router_free(router);

    options.hijack = true; /* here the last ones are told at once */
    make(NULL, servers);
    d = flow();
    for (uint16_t i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof(name), "n%u.example", i);
        send_question(d, name, DNS_A, i);
    }
    ck_assert_uint_eq(dns->n_asks, DNSASKS_PER_FLOW);
    pass_time(1);
    ck_assert_int_eq(n_came, 64); /* what the flow's queue holds */
    ck_assert_str_eq(text_of(0), "64 2 -");
    ck_assert_uint_eq(dns->n_exchanges, DNSASKS_PER_FLOW);
    dgram_close(d);
    ck_assert_uint_eq(dns->n_exchanges, 0);
    stop();
}
END_TEST

static int asked_with_7;
static void answer_and_count(struct dns_asker *to, const uint8_t *q, size_t n)
{
    asked_with_7 += q[0] == 0 && q[1] == 7;
    answer_addr(to, q, n);
}

START_TEST(test_who_asks_for_all_does_not_choose_the_id)
{
    char name[32];
    for (int cache = 0; cache < 2; cache++) {
        start(answer_and_count);
        options.map = true;
        options.cache = cache == 1;
        make(NULL, NULL);
        struct dgram *d = flow();
        asked_with_7 = 0;
        for (int i = 0; i < 20; i++) {
            (void)snprintf(name, sizeof(name), "n%d.example", i);
            ck_assert_str_eq(ask(d, name, DNS_A, 7), "7 0 192.0.2.1");
        }
        ck_assert_int_eq(peer.asked_udp, 20);
        if (options.cache)
            ck_assert_int_lt(asked_with_7, 3); /* by chance */
        else
            ck_assert_int_eq(asked_with_7, 20); /* as they came */
        dgram_close(d);
        stop();
    }
}
END_TEST

START_TEST(test_one_client_leaves_room_for_others)
{
    struct dgram *d[DNSASKS_MAX / DNSASKS_PER_FLOW];
    const int flows = sizeof d / sizeof *d;
    start(answer_nothing);
    options.cache = true;
    make(NULL, NULL);
    for (int i = 0; i < flows; i++) {
        client.port = (uint16_t)(40000 + i);
        d[i] = flow();
        for (uint16_t k = 0; k < DNSASKS_PER_FLOW; k++)
            send_question(d[i], "name.example", DNS_A, k);
    }
    ck_assert_uint_eq(dns->n_asks, DNSASKS_MAX - DNSASKS_MAX / 8);
    unsigned before = dns->n_asks;
    client.ip[3] = 2;
    struct dgram *other = flow();
    for (uint16_t k = 0; k < DNSASKS_PER_FLOW; k++)
        send_question(other, "name.example", DNS_A, k);
    ck_assert_uint_eq(dns->n_asks, before + DNSASKS_PER_FLOW);
    for (int i = 0; i < flows; i++)
        dgram_close(d[i]);
    dgram_close(other);
    ck_assert_uint_eq(dns->n_asks, 0);
    stop();
}
END_TEST

START_TEST(test_connections_have_a_cap)
{
    enum { SHARE = DNSSTREAMS_MAX - DNSSTREAMS_MAX / 8 };
    struct stream *far[SHARE + 10];
    const int most = sizeof far / sizeof *far;
    struct mem_cfg cfg = {.cap_bytes = 1000};
    struct addr server = loopback(AF_INET, 53);
    start(answer_nothing);
    options.cache = true;
    make(NULL, NULL);
    for (int i = 0; i < most; i++) {
        struct layer *a, *b;
        struct stream *near = stream_new(loop);
        ck_assert(mem_pair(loop, &cfg, &a, &b));
        far[i] = stream_new(loop);
        stream_push(near, a);
        stream_push(far[i], b);
        client.ip[3] = i == most - 1 ? 2 : 1;
        tungodns_serve(dns, near, &client, &server);
        /* an eighth is left when one client has too many; another one has not */
        ck_assert_uint_eq(dns->n_streams, i < SHARE      ? (unsigned)i + 1
                                          : i < most - 1 ? (unsigned)SHARE
                                                         : (unsigned)SHARE + 1);
    }
    for (int i = 0; i < most; i++)
        stream_close(far[i]);
    pass_time(20);
    ck_assert_uint_eq(dns->n_streams, 0);
    stop();
}
END_TEST

START_TEST(test_what_waits_for_a_way_is_capped)
{
    static uint8_t data[1400];
    start(answer_nothing);
    options.cache = true;
    make(NULL, NULL);
    struct dgram *d = flow(), *e = flow();
    for (int i = 0; i < 100; i++)
        send_bytes(d, data, sizeof data); /* its way is dialled with the next turn */
    ck_assert_uint_ge(dns->held_bytes, 46 * sizeof data);
    ck_assert_uint_le(dns->held_bytes, 47 * (sizeof data + 64));
    ck_assert_uint_eq(d->dropped, 54);
    dgram_close(d);
    ck_assert_uint_eq(dns->held_bytes, 0);
    dns->held_bytes = 8 << 20; /* of other flows */
    send_bytes(e, data, sizeof data);
    ck_assert_uint_eq(e->dropped, 1);
    struct share all = {0}; /* of this client */
    dns->held_bytes = 7 << 20;
    ck_assert(shares_add(&dns->held, &all, &client, 7 << 20));
    send_bytes(e, data, sizeof data);
    ck_assert_uint_eq(e->dropped, 2);
    client.ip[3]++;
    struct dgram *other = flow();
    send_bytes(other, data, sizeof data); /* something is left for the next one */
    ck_assert_uint_eq(other->dropped, 0);
    dgram_close(other);
    ck_assert_uint_eq(dns->held_bytes, 7 << 20);
    shares_remove(&dns->held, &all);
    client.ip[3]--;
    dns->held_bytes = 0;
    send_bytes(e, data, sizeof data);
    pass_time(20);
    ck_assert_uint_eq(dns->held_bytes, 0);
    ck_assert_uint_eq(e->dropped, 2);
    ck_assert_uint_eq(dns->held.n_clients, 0);
    dgram_close(e);
    stop();
}
END_TEST

START_TEST(test_the_end_finds_open_flows)
{
    char text[64];
    const char *servers[] = {text, NULL};
    uint8_t buf[64];
    size_t n;
    struct target from;
    start(answer_nothing);
    (void)snprintf(text, sizeof(text), "udp://127.0.0.1:%u", peer.port);
    options.hijack = true;
    make(NULL, servers);
    struct dgram *d = flow(), *e = flow();
    send_question(d, "name.example", DNS_A, 7);
    pass_time(5);
    tungodns_free(dns);
    dns = NULL;
    ck_assert_int_eq(dgram_recv(d, buf, sizeof(buf), &n, &from), RC_CANCELED);
    pass_time(5);
    ck_assert_int_ne(dgram_send(e, &from, buf, 20), RC_OK);
    dgram_close(d);
    dgram_close(e);
    stop();
}
END_TEST

START_TEST(test_who_can_not_be_reached_is_told)
{
    start(answer_addr);
    options.cache = true;
    make(NULL, NULL);
    struct addr server = loopback(AF_INET, peer.port);
    peer_stop(&peer);
    struct dgram *d = flow_to(server);
    struct target about;
    enum rc why = RC_OK;
    send_question(d, "name.example", DNS_A, 7);
    for (int i = 0; i < 100 && dgram_trouble(d, &about, &why) != RC_OK; i++)
        pass_time(5);
    ck_assert_int_eq(why, RC_REFUSED);
    ck_assert(addr_equal(&about.addr, &server));
    dgram_close(d);
    peer_start(&peer, answer_addr); /* for stop() */
    stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tungodns");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, test_no_option_is_nothing);
    tcase_add_test(t, test_fake_answers_and_knows);
    tcase_add_test(t, test_who_speaks_edns_is_answered_so);
    tcase_add_test(t, test_our_own_names_are_never_fake);
    tcase_add_test(t, test_some_names_keep_their_true_addresses);
    tcase_add_test(t, test_cache_asks_once);
    tcase_add_test(t, test_lies_reach_the_client_but_teach_nothing);
    tcase_add_test(t, test_what_is_no_dns_passes);
    tcase_add_test(t, test_hijacked_questions_go_to_the_resolver);
    tcase_add_test(t, test_silence_is_servfail);
    tcase_add_test(t, test_our_own_question_is_not_asked_again);
    tcase_add_test(t, test_open_questions_are_capped);
    tcase_add_test(t, test_who_asks_for_all_does_not_choose_the_id);
    tcase_add_test(t, test_one_client_leaves_room_for_others);
    tcase_add_test(t, test_connections_have_a_cap);
    tcase_add_test(t, test_what_waits_for_a_way_is_capped);
    tcase_add_test(t, test_the_end_finds_open_flows);
    tcase_add_test(t, test_who_can_not_be_reached_is_told);
    suite_add_tcase(s, t);
    return run_suite(s);
}
