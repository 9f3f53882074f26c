/* tests/unit/test_tungodns.c - what DNS of the device answers, asks, keeps and passes on. Its caps
 * and its end are test_tungodns_caps.c. */
#include "tungodnscase.h"

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
    suite_add_tcase(s, t);
    return run_suite(s);
}
