/* What the flows of one client may hold, alone and beside others. */
#include "tests/unit/tungoflow.h"

enum { MTU_PAYLOAD = 1380, CAP = 1 << 20 };

static struct addr host(const char *text, uint16_t port)
{
    struct addr a;

    ck_assert(addr_parse_ip(text, strlen(text), &a));
    a.port = port;
    return a;
}

START_TEST(test_shares)
{
    struct sources all;
    struct addr a1 = host("192.0.2.1", 1), a2 = host("192.0.2.1", 2), b1 = host("192.0.2.2", 1);

    ck_assert(sources_init(&all, 1000));
    struct source *a = source_get(&all, &a1), *b = source_get(&all, &b1);
    ck_assert_ptr_eq(source_get(&all, &a2), a); /* ports don't count */
    ck_assert_ptr_ne(a, b);
    ck_assert(source_may(a, 1000, false));
    ck_assert(!source_may(a, 1001, true));
    source_hold(a, 500);
    ck_assert(!source_may(a, 1, false)); /* half is one source's share */
    ck_assert(source_may(a, 1, true));   /* but a poor flow may */
    ck_assert(source_may(b, 250, false));
    source_hold(b, 250);
    ck_assert(!source_may(b, 1, false));
    ck_assert(source_may(b, 125, true));
    ck_assert(!source_may(b, 126, true)); /* an eighth is nobody's */
    ck_assert(source_may(NULL, 1 << 30, false));
    source_put(a);
    source_put(a);
    ck_assert_uint_eq(all.table.n, 2); /* its bytes keep it */
    source_release(a, 500);
    source_put(b);
    source_release(b, 250);
    ck_assert_uint_eq(all.table.n, 0);
    sources_done(&all);
}
END_TEST

START_TEST(test_ipv6_networks_are_one_client)
{
    struct sources all;
    struct addr a = host("2001:db8::1", 1), b = host("2001:db8::ffff:2", 1),
                far = host("2001:db8:0:1::1", 1), v4 = host("32.1.13.184", 1);

    ck_assert(sources_init(&all, 1000));
    struct source *one = source_get(&all, &a);
    ck_assert_ptr_eq(source_get(&all, &b), one);
    source_put(one);
    struct source *t = source_get(&all, &far), *u = source_get(&all, &v4);
    ck_assert(one != t && one != u && t != u);
    source_put(one);
    source_put(t);
    source_put(u);
    sources_done(&all);
}
END_TEST

START_TEST(test_pbufs_are_counted_until_they_are_freed)
{
    struct sources all;
    struct addr a = host("192.0.2.1", 1);

    ck_assert(sources_init(&all, 100000));
    struct source *one = source_get(&all, &a);
    struct pbuf *p = source_pbuf(one, 5000), *q = source_pbuf(NULL, 10);
    ck_assert(p && q && p->len == 5000 && p->tot_len == 5000);
    memset(p->payload, 1, 5000);
    ck_assert_uint_ge(one->held, 5000);
    ck_assert_ptr_null(source_pbuf(one, 65536));
    source_put(one);
    pbuf_ref(p);
    pbuf_free(p);
    ck_assert_uint_eq(all.table.n, 1);
    pbuf_free(p);
    pbuf_free(q);
    ck_assert_uint_eq(all.table.n, 0);
    ck_assert_uint_eq(all.held, 0);
    sources_done(&all);
}
END_TEST

/* Flows that nobody reads, until the budget is gone; a flow of another client, and a new one of the
 * same, still get their bytes. */
START_TEST(test_unread_flows_do_not_starve_others)
{
    enum { FLOWS = 6 };
    struct stream *unread[FLOWS];
    char buf[4096];
    size_t n;

    ns->sources.cap = CAP;
    for (int i = 0; i < FLOWS; i++) {
        establish_from("8.8.8.8", (uint16_t)(40000 + i), MTU_PAYLOAD, 7);
        unread[i] = s;
        for (int k = 0; k < 300; k++)
            send_data(&c, 0, MTU_PAYLOAD);
        batch_end();
    }
    ck_assert_uint_gt(ns->stats.cut, 100);
    ck_assert_uint_le(ns->sources.held, CAP / 2 + FLOWS * 2 * NETSTACK_POOR_BYTES);
    establish_from("8.8.8.8", 41000, MTU_PAYLOAD, 7); /* the same client */
    send_data(&c, 0, 1000);
    ck_assert_int_eq(stream_recv(s, buf, sizeof buf, &n), RC_OK);
    ck_assert_uint_eq(n, 1000);
    /* what is cut off is not acknowledged, what it acknowledges counts */
    struct stream *mine = s;
    ck_assert_uint_eq(push(500), 500);
    c.ack += 500;
    ns->sources.cap = 0;
    uint64_t cut = ns->stats.cut;
    send_raw(&c, TCPFLAG_ACK | TCPFLAG_FIN, c.seq, 1000);
    ck_assert_uint_eq(ns->stats.cut, cut + 1);
    ck_assert_int_eq(stream_recv(s, buf, sizeof buf, &n), RC_AGAIN);
    ck_assert_uint_eq(pcb_now()->snd_lbb, pcb_now()->lastack);
    ns->sources.cap = CAP;
    for (int i = 0; i < FLOWS; i++)
        stream_close(unread[i]);
    batch_end();
    ck_assert_uint_lt(ns->sources.held, 20000);
    send_data(&c, TCPFLAG_FIN, 1000); /* the bytes come again */
    ck_assert_int_eq(stream_recv(s, buf, sizeof buf, &n), RC_OK);
    ck_assert_uint_eq(n, 1000);
    ck_assert_int_eq(stream_recv(s, buf, sizeof buf, &n), RC_EOF);
    stream_close(mine);
}
END_TEST

/* A client that acknowledges nothing keeps what it was sent; others still get some. */
START_TEST(test_unacknowledged_bytes_do_not_starve_others)
{
    enum { FLOWS = 12 };
    struct stream *stuck[FLOWS];
    size_t sent = 0;

    ns->sources.cap = CAP;
    for (int i = 0; i < FLOWS; i++) {
        establish_from("8.8.8.8", (uint16_t)(40000 + i), MTU_PAYLOAD, 7);
        stuck[i] = s;
        for (int k = 0; k < 20; k++)
            sent += push(65536);
        n_outs = 0;
    }
    ck_assert_uint_gt(sent, CAP / 4);
    ck_assert_uint_le(ns->sources.held, CAP - CAP / 8);
    ck_assert_uint_gt(ns->stats.no_memory, 0);
    struct client first = c;
    c.src.ip[3] ^= 0x40; /* another one */
    struct client other = client_new("8.8.8.8", 42000);
    other.src.ip[3] ^= 0x40;
    c = other;
    send_syn(&c, MTU_PAYLOAD, 7);
    struct stream *theirs = tungo_flow_accept(parked);
    ck_assert_int_eq(stream_open(theirs), RC_AGAIN);
    c.ack = last_u32(TCP_AT_SEQ) + 1;
    c.seq++;
    send_data(&c, 0, 0);
    ck_assert_int_eq(stream_open(theirs), RC_OK);
    s = theirs;
    ck_assert_uint_gt(push(1000), 0);
    (void)first;
    for (int i = 0; i < FLOWS; i++)
        stream_abort(stuck[i]);
    stream_close(theirs);
}
END_TEST

/* The handshake of a client, which becomes c; its stream is s. */
static void open_for(struct client client)
{
    c = client;
    send_syn(&c, MTU_PAYLOAD, 7);
    ck_assert_ptr_nonnull(parked);
    s = tungo_flow_accept(parked);
    c.ack = last_u32(TCP_AT_SEQ) + 1;
    c.seq++;
    send_data(&c, 0, 0);
    ck_assert_int_eq(stream_open(s), RC_OK);
}

/* One host sends SYNs from 10,000 addresses: half of them are let in, half wait for their dial. */
START_TEST(test_addresses_of_nobody_end_no_flow)
{
    enum { MOST = 64, FLOWS = 8, FLOOD = 10000, RING = 2 * MOST };
    struct stream *flows[FLOWS], *ring[RING] = {NULL}, *late[2];
    struct client clients[FLOWS];

    ns->flows_max = MOST;
    for (int i = 0; i < FLOWS; i++) {
        clients[i] = client_new("8.8.8.8", (uint16_t)(40000 + i));
        clients[i].src.ip[3] = (uint8_t)(2 + i / 4);
        open_for(clients[i]);
        flows[i] = s;
        clients[i] = c;
    }
    for (int i = 0; i < FLOOD; i++) {
        struct client nobody = client_new("8.8.8.8", 1000);
        nobody.src.ip[1] = (uint8_t)(1 + i / 256);
        nobody.src.ip[2] = (uint8_t)i;
        fake_ms++;
        send_syn(&nobody, MTU_PAYLOAD, 7);
        if (i % 2 && parked) {
            struct stream **at = &ring[i / 2 % RING];
            if (*at)
                stream_abort(*at); /* as its owner does, which has heard of its end */
            *at = tungo_flow_accept(parked);
            ck_assert_ptr_nonnull(*at);
        }
        ck_assert_uint_le(ns->table.n, MOST);
        turn();
    }
    ck_assert_uint_le(ns->sources.table.n, MOST + RING);
    ck_assert_uint_ge(ns->stats.evicted, FLOOD - MOST);
    for (int i = 0; i < FLOWS; i++) {
        c = clients[i];
        s = flows[i];
        send_data(&c, 0, 1000);
        ck_assert_uint_eq(drain(2000), 1000);
        ck_assert_uint_eq(push(500), 500);
    }
    for (uint8_t ip = 2; ip < 100;
         ip += 97) { /* who has some, and who has nothing yet, finds room */
        struct client next = client_new("8.8.8.8", 42000);
        next.src.ip[3] = ip;
        open_for(next);
        late[ip == 2] = s;
    }
    for (int i = 0; i < FLOWS; i++) {
        c = clients[i];
        ck_assert_ptr_nonnull(pcb_now());
    }
    for (int i = 0; i < RING; i++)
        if (ring[i])
            stream_abort(ring[i]);
    for (int i = 0; i < FLOWS; i++)
        stream_abort(flows[i]);
    stream_abort(late[0]);
    stream_abort(late[1]);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_shares,
        test_ipv6_networks_are_one_client,
        test_pbufs_are_counted_until_they_are_freed,
        test_unread_flows_do_not_starve_others,
        test_unacknowledged_bytes_do_not_starve_others,
        test_addresses_of_nobody_end_no_flow,
    };
    return run_tests("tungo_source", tests, sizeof tests / sizeof *tests);
}
