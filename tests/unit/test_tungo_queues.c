/* The tables and queues under the netstack: flow table against a naive twin, receive and send
 * queues against plain bytes, blocks that are given back. */
#include "listeners/tungo/blocks.h"
#include "listeners/tungo/flowtab.h"
#include "listeners/tungo/recvq.h"
#include "listeners/tungo/sendq.h"
#include "lwip/pbuf.h"
#include "run.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct loop *loop;
static struct blocks blocks;

static void up(void)
{
    struct diag diag = {0};

    loop = loop_new(&diag);
    blocks_init(&blocks, loop, 64);
}

static void down(void)
{
    blocks_done(&blocks);
    loop_free(loop);
}

/* --- flow table */

enum { ENTRIES = 3000 };

static struct flow_key key_of(unsigned i)
{
    uint32_t ip = htonl(0x0a000000 + i / 100);
    struct addr client = addr_v4(&ip, (uint16_t)(1000 + i % 100)),
                target = addr_v4("\1\1\1\1", 443);

    return flow_key_of(&client, &target);
}

START_TEST(test_flowtab_agrees_with_a_naive_twin)
{
    static struct flowtab_entry e[ENTRIES];
    static bool in[ENTRIES];
    static unsigned used[ENTRIES], clock;
    struct flowtab t;
    size_t n = 0;

    ck_assert(flowtab_init(&t));
    srand(5);
    for (unsigned round = 0; round < 60000; round++) {
        unsigned i = (unsigned)rand() % ENTRIES;
        struct flow_key key = key_of(i);
        struct flowtab_entry *found = flowtab_find(&t, &key);
        ck_assert_ptr_eq(found, in[i] ? &e[i] : NULL);
        bool grow = round < 30000 ? rand() % 4 : !(rand() % 4);
        if (!in[i] && grow) {
            e[i].key = key;
            flowtab_add(&t, &e[i]);
            in[i] = true;
            used[i] = ++clock;
            n++;
        } else if (in[i] && !grow) {
            flowtab_remove(&t, &e[i]);
            in[i] = false;
            n--;
        } else if (in[i]) {
            flowtab_used(&t, &e[i]);
            used[i] = ++clock;
        }
        ck_assert_uint_eq(t.n, n);
    }
    /* the order of use, from the oldest on */
    unsigned before = 0;
    size_t seen = 0;
    for (struct flowtab_entry *x = t.oldest; x; x = x->newer, seen++) {
        ck_assert_uint_gt(used[x - e], before);
        before = used[x - e];
    }
    ck_assert_uint_eq(seen, n);
    while (t.oldest)
        flowtab_remove(&t, t.oldest);
    ck_assert_uint_eq(t.n, 0);
    ck_assert_uint_le(t.n_slots, 256); /* it shrank */
    flowtab_done(&t);
}
END_TEST

/* --- receive queue */

START_TEST(test_recvq_keeps_the_bytes_in_order)
{
    struct recvq q = {0};
    uint8_t in = 0, out = 0;

    srand(9);
    for (unsigned round = 0; round < 20000; round++) {
        if (rand() % 3) {
            size_t n = rand() % 5 ? (size_t)rand() % 40 : (size_t)rand() % 6000;
            struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)n, PBUF_RAM);
            ck_assert_ptr_nonnull(p);
            for (size_t i = 0; i < n; i++)
                ((uint8_t *)p->payload)[i] = in++;
            if (n && rand() % 2) { /* lwIP hands up chains */
                struct pbuf *more = pbuf_alloc(PBUF_RAW, 1, PBUF_RAM);
                *(uint8_t *)more->payload = in++;
                pbuf_cat(p, more);
            }
            recvq_add(&q, p);
        } else if (q.bytes) {
            struct iovec v[3];
            int nv = recvq_peek(&q, v, 3);
            size_t there = 0, right = 0, n;
            for (int i = 0; i < nv; i++)
                there += v[i].iov_len;
            ck_assert_uint_le(there, q.bytes);
            n = 1 + (size_t)rand() % there;
            for (size_t i = 0, k = 0, at = 0; i < n; i++, at++) {
                while (at == v[k].iov_len) {
                    k++;
                    at = 0;
                }
                right += ((uint8_t *)v[k].iov_base)[at] == out++;
            }
            ck_assert_uint_eq(right, n); /* a check for each would take longer than all the rest */
            recvq_consume(&q, n);
        }
    }
    ck_assert_uint_eq((uint8_t)(out + q.bytes), in);
    recvq_clear(&q);
    ck_assert_ptr_null(q.first);
}
END_TEST

/* --- send queue */

START_TEST(test_sendq_releases_what_no_segment_needs)
{
    struct sendq q = {.first_seq = 0xfffffff0}; /* the sequence wraps soon */
    uint32_t committed = q.first_seq, given = q.first_seq, released = q.first_seq;

    srand(11);
    for (unsigned round = 0; round < 3000; round++) {
        struct iovec v;
        switch (rand() % 3) {
        case 0:
            if (committed - released > 500000)
                break;
            if (sendq_reserve(&q, &blocks, 1 + (size_t)rand() % 70000, 1000, &v) != RC_OK)
                break;
            ck_assert(v.iov_len <= 1000 || v.iov_len % 1000 == 0);
            size_t n = rand() % 4 ? (size_t)rand() % (v.iov_len + 1) : (size_t)rand() % 3;
            if (n > v.iov_len)
                n = v.iov_len;
            for (size_t i = 0; i < n; i++)
                ((uint8_t *)v.iov_base)[i] = (uint8_t)(committed + i);
            sendq_commit(&q, &blocks, n);
            committed += (uint32_t)n;
            break;
        case 1:
            ck_assert_uint_eq(q.waiting, committed - given);
            if (!sendq_next(&q, &v)) {
                ck_assert_uint_eq(given, committed);
                break;
            }
            size_t take = 1 + (size_t)rand() % v.iov_len;
            bool same = true; /* an assertion per byte takes seconds */
            for (size_t i = 0; i < take; i++)
                same = same && ((uint8_t *)v.iov_base)[i] == (uint8_t)(given + i);
            ck_assert(same);
            sendq_given(&q, take);
            given += (uint32_t)take;
            break;
        default:
            released += (given - released) / 2;
            if (rand() % 2)
                released = given;
            sendq_release(&q, &blocks, released);
        }
    }
    sendq_release(&q, &blocks, given);
    sendq_clear(&q, &blocks);
    ck_assert_uint_eq(blocks.n_used, 0);
}
END_TEST

START_TEST(test_sendq_holds_no_block_for_little)
{
    struct sendq q = {0};
    struct iovec v;

    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(sendq_reserve(&q, &blocks, 65536, 1380, &v), RC_OK);
        ck_assert_uint_ge(v.iov_len, 60000);
        memset(v.iov_base, 'x', 100);
        sendq_commit(&q, &blocks, 100);
        ck_assert_uint_eq(blocks.n_used, 0);
    }
    ck_assert_int_eq(sendq_reserve(&q, &blocks, 65536, 1380, &v), RC_OK);
    sendq_commit(&q, &blocks, 0); /* given back */
    ck_assert_uint_eq(blocks.n_used, 0);
    ck_assert_uint_eq(q.waiting, 1000);
    sendq_clear(&q, &blocks);
}
END_TEST

/* --- blocks */

START_TEST(test_blocks_have_a_cap_and_go_back)
{
    void *b[64];

    for (int i = 0; i < 64; i++) {
        b[i] = blocks_get(&blocks);
        ck_assert_ptr_nonnull(b[i]);
        memset(b[i], i, BLOCK_BYTES);
    }
    ck_assert_ptr_null(blocks_get(&blocks));
    for (int i = 0; i < 64; i++)
        blocks_put(&blocks, b[i]);
    ck_assert_ptr_eq(blocks_get(&blocks), b[63]); /* the hottest */
    blocks_put(&blocks, b[63]);
    for (int i = 0; i < 10; i++) {
        ck_assert(timer_is_running(&blocks.shrink) == (blocks.n_free > 4));
        timer_stop(&blocks.shrink);
        blocks.shrink.fn(&blocks.shrink);
    }
    ck_assert_uint_le(blocks.n_free, 5);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tungo_queues");
    TCase *t = tcase_create("tungo_queues");

    tcase_add_checked_fixture(t, up, down);
    tcase_add_test(t, test_flowtab_agrees_with_a_naive_twin);
    tcase_add_test(t, test_recvq_keeps_the_bytes_in_order);
    tcase_add_test(t, test_sendq_releases_what_no_segment_needs);
    tcase_add_test(t, test_sendq_holds_no_block_for_little);
    tcase_add_test(t, test_blocks_have_a_cap_and_go_back);
    suite_add_tcase(s, t);
    return run_suite(s);
}
