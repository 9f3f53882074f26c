/* tests/unit/test_tungodns_caps.c - many questions, connections and waiters: what DNS of the device
 * keeps of them, who loses, and what is left at the end. */
#include "tungodnscase.h"

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
    Suite *s = suite_create("tungodns caps");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 30);
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
