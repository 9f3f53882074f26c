/* Fragments: what was cut comes together in any order; overlap, lies and floods do not hurt. */
#include "listeners/tungo/fragment.h"
#include "run.h"
#include <check.h>
#include <stdlib.h>

enum { BIG = 65535 };
struct bytes {
    uint8_t data[BIG + 64];
    size_t n, l4;
};
static uint8_t payload[BIG];
static struct bytes *pieces;
static size_t count;
static struct reassembly *r;

static struct addr ip(const char *text)
{
    struct addr a;

    ck_assert(addr_parse_ip(text, strlen(text), &a));
    return a;
}

/* Cuts a UDP packet of n payload bytes into `pieces`. */
static void cut(bool v6, size_t n, size_t mtu, uint32_t id)
{
    struct addr src = ip(v6 ? "fd00::2" : "10.0.0.2"), dst = ip(v6 ? "2001:db8::1" : "8.8.8.8");
    struct ip_fields f = {.src = &src, .dst = &dst, .proto = IPPROTO_UDP};
    uint8_t header[40];
    struct fragment_cut c;

    packet_put_ip(header, &f, n);
    count = 0;
    ck_assert(fragment_cut_start(&c, header, n, mtu, id));
    while (fragment_cut_next(&c)) {
        struct bytes *p = &pieces[count++];
        memcpy(p->data, c.header, c.header_bytes);
        memcpy(p->data + c.header_bytes, payload + c.at, c.n);
        p->n = c.header_bytes + c.n;
        p->l4 = v6 ? IP6_HEADER_BYTES : IP4_HEADER_BYTES;
        ck_assert_uint_le(p->n, mtu);
        ck_assert(v6 || cksum_ip4_ok(p->data));
    }
}

static uint8_t *got;
static size_t got_n;

static enum reassembly_result add(const struct bytes *p, uint64_t now_ms)
{
    return reassembly_add(r, p->data, p->n, p->l4, now_ms, &got, &got_n);
}

static void check_whole(bool v6, size_t n)
{
    size_t header = v6 ? IP6_HEADER_BYTES : IP4_HEADER_BYTES;

    ck_assert_uint_eq(got_n, header + n);
    ck_assert_mem_eq(got + header, payload, n);
    if (v6) {
        ck_assert_uint_eq(got[IP6_AT_NEXT], IPPROTO_UDP);
        ck_assert_uint_eq(packet_rd16(got + IP6_AT_PAYLOAD), n);
    } else {
        ck_assert(cksum_ip4_ok(got));
        ck_assert_uint_eq(packet_rd16(got + IP4_AT_TOTAL), got_n);
        ck_assert_uint_eq(packet_rd16(got + IP4_AT_FRAG), 0);
    }
    got[got_n] = 1; /* the spare byte is ours to write */
}

static void setup(void)
{
    pieces = calloc(1400, sizeof(*pieces));
    r = reassembly_new();
    ck_assert(pieces && r);
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)(i * 31 + (i >> 8));
}

static void teardown(void)
{
    reassembly_free(r);
    free(pieces);
}

START_TEST(test_any_order_comes_together)
{
    static const size_t sizes[] = {9, 1480, 1481, 1500, 2961, 20000, 65515};
    unsigned seed = 3;

    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (int order = 0; order < 4; order++) {
            bool v6 = _i;
            size_t n = sizes[s], mtu = n < 100 ? 56 : 1500;
            cut(v6, n, mtu, (uint32_t)(s * 8 + (size_t)order));
            for (size_t k = 0; k < count; k++) {
                size_t left = count - k;
                size_t with = order == 0   ? k
                              : order == 1 ? count - 1
                                           : k + (size_t)rand_r(&seed) % left;
                struct bytes *tmp = malloc(sizeof(*tmp));
                ck_assert_ptr_nonnull(tmp);
                *tmp = pieces[k];
                pieces[k] = pieces[with];
                pieces[with] = *tmp;
                free(tmp);
                ck_assert_int_eq(add(&pieces[k], 5),
                                 k + 1 < count ? REASSEMBLY_HELD : REASSEMBLY_DONE);
                if (k + 1 < count && order == 3) /* the very same once more is harmless */
                    ck_assert_int_eq(add(&pieces[k], 5), REASSEMBLY_HELD);
            }
            check_whole(v6, n);
            ck_assert_uint_eq(reassembly_waiting(r), 0);
        }
    }
    ck_assert_uint_eq(reassembly_dropped(r), 0);
}
END_TEST

START_TEST(test_overlap_loses_the_whole_datagram)
{
    cut(_i, 4000, 1500, 7);
    ck_assert_int_eq(add(&pieces[0], 5), REASSEMBLY_HELD);
    struct bytes other = pieces[0];
    other.data[100] ^= 1;
    ck_assert_int_eq(add(&other, 5), REASSEMBLY_DROP);
    for (size_t k = 0; k < count; k++) /* nor do its pieces begin a new one */
        ck_assert_int_eq(add(&pieces[k], 5), REASSEMBLY_DROP);
    ck_assert_uint_eq(reassembly_dropped(r), 1);
    ck_assert_uint_eq(reassembly_expire(r, 5 + FRAGMENT_WAIT_MS), 0);
    ck_assert_int_eq(add(&pieces[0], 40000), REASSEMBLY_HELD);
}
END_TEST

static void set_offset(struct bytes *p, bool v6, size_t at, bool more)
{
    if (v6) {
        packet_wr16(p->data + IP6_HEADER_BYTES + 2, (unsigned)(at | more));
    } else {
        packet_wr16(p->data + IP4_AT_FRAG, (unsigned)(at / 8) | (more ? IP4_MF : 0));
    }
}

START_TEST(test_lies_about_length_and_end_are_dropped)
{
    cut(_i, 4000, 1500, 7);
    struct bytes odd = pieces[0];
    odd.n -= 3; /* not a multiple of 8 and not the last */
    ck_assert_int_eq(add(&odd, 5), REASSEMBLY_DROP);
    struct bytes beyond = pieces[0];
    set_offset(&beyond, _i, 65528, true);
    ck_assert_int_eq(add(&beyond, 5), REASSEMBLY_DROP);
    struct bytes empty = pieces[0];
    empty.n = (size_t)(_i ? IP6_HEADER_BYTES + 8 : IP4_HEADER_BYTES);
    ck_assert_int_eq(add(&empty, 5), REASSEMBLY_DROP);
    ck_assert_uint_eq(reassembly_waiting(r), 0);
    ck_assert_int_eq(add(&pieces[count - 1], 5), REASSEMBLY_HELD); /* the end is known */
    struct bytes after = pieces[0];
    set_offset(&after, _i, 8000, true);
    ck_assert_int_eq(add(&after, 5), REASSEMBLY_DROP);
    cut(_i, 4000, 1500, 8);
    ck_assert_int_eq(add(&pieces[1], 5), REASSEMBLY_HELD);
    struct bytes early = pieces[0];
    set_offset(&early, _i, 0, false); /* says it is all, but more came */
    early.n -= 800;
    if (!_i) {
        ck_assert_int_eq(add(&early, 5), REASSEMBLY_DONE); /* stands for itself */
        ck_assert_int_eq(add(&pieces[2], 5), REASSEMBLY_HELD);
    }
    set_offset(&early, _i, 8, false);
    ck_assert_int_eq(add(&early, 5), REASSEMBLY_DROP);
}
END_TEST

/* The last byte of a client's IPv4 address, and of its IPv6 net. */
enum { AT_CLIENT = IP4_AT_SRC + 3 };

START_TEST(test_floods_meet_the_caps)
{
    for (uint32_t id = 0; id < 100; id++) {
        cut(_i, 4000, 1500, id);
        ck_assert_int_eq(add(&pieces[1], 5), REASSEMBLY_HELD);
    }
    ck_assert_uint_eq(reassembly_waiting(r), FRAGMENT_PER_SOURCE);
    for (unsigned source = 0; source < 200; source++) {
        cut(_i, 4000, 1500, 1);
        pieces[1].data[AT_CLIENT] = (uint8_t)source;
        pieces[1].data[AT_CLIENT - 1] = 77;
        ck_assert_int_eq(add(&pieces[1], 6), REASSEMBLY_HELD);
    }
    ck_assert_uint_eq(reassembly_waiting(r), FRAGMENT_DATAGRAMS);
    ck_assert_uint_eq(reassembly_dropped(r), 300 - FRAGMENT_DATAGRAMS);
    ck_assert_uint_eq(reassembly_expire(r, 10), 6 + FRAGMENT_WAIT_MS);
    ck_assert_uint_eq(reassembly_expire(r, 6 + FRAGMENT_WAIT_MS), 0);
    ck_assert_uint_eq(reassembly_waiting(r), 0);
}
END_TEST

/* Five clients fill all places, of IPv6 with ever new addresses: a sixth one's datagram is put
 * together all the same. */
START_TEST(test_floods_leave_a_place_for_others)
{
    cut(_i, 2000, 1500, 1);
    ck_assert_int_eq(add(&pieces[0], 5), REASSEMBLY_HELD);
    for (uint32_t id = 0; id < 1000; id++) {
        cut(_i, 4000, 1500, id);
        if (_i)
            packet_wr16(pieces[1].data + IP6_AT_SRC + 14, id);
        pieces[1].data[AT_CLIENT] = (uint8_t)(100 + id % 5);
        ck_assert_int_eq(add(&pieces[1], 6), REASSEMBLY_HELD);
    }
    ck_assert_uint_eq(reassembly_waiting(r), FRAGMENT_DATAGRAMS);
    cut(_i, 2000, 1500, 1);
    ck_assert_int_eq(add(&pieces[1], 7), REASSEMBLY_DONE);
    check_whole(_i, 2000);
}
END_TEST

START_TEST(test_atomic_fragment_stands_for_itself)
{
    cut(true, 100, 1500, 9);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(add(&pieces[0], 5), REASSEMBLY_DONE);
    check_whole(true, 100);
}
END_TEST

START_TEST(test_extension_header_before_the_fragment_header)
{
    static const uint8_t options[8] = {IPPROTO_FRAGMENT, 0, 1, 4}; /* PadN */

    cut(true, 3000, 1500, 9);
    for (size_t k = 0; k < count; k++) {
        uint8_t *p = pieces[k].data;
        memmove(p + 48, p + 40, pieces[k].n - 40);
        memcpy(p + 40, options, 8);
        p[IP6_AT_NEXT] = IPPROTO_DSTOPTS;
        pieces[k].n += 8;
        pieces[k].l4 = 48;
        packet_wr16(p + IP6_AT_PAYLOAD, (unsigned)(pieces[k].n - 40));
        ck_assert_int_eq(add(&pieces[k], 5), k + 1 < count ? REASSEMBLY_HELD : REASSEMBLY_DONE);
    }
    ck_assert_uint_eq(got_n, 48 + 3000);
    ck_assert_uint_eq(got[IP6_AT_NEXT], IPPROTO_DSTOPTS);
    ck_assert_uint_eq(got[40], IPPROTO_UDP);
    ck_assert_mem_eq(got + 48, payload, 3000);
}
END_TEST

START_TEST(test_what_was_put_together_may_be_given_again)
{
    static const uint8_t inner[8] = {IPPROTO_UDP, 0, 0, 1, 0, 0, 0, 5}; /* a fragment header */

    memcpy(payload, inner, sizeof(inner));
    cut(true, 2000, 1500, 9);
    for (size_t k = 0; k < count; k++) {
        pieces[k].data[IP6_HEADER_BYTES] = IPPROTO_FRAGMENT;
        ck_assert_int_eq(add(&pieces[k], 5), k + 1 < count ? REASSEMBLY_HELD : REASSEMBLY_DONE);
    }
    ck_assert_uint_eq(got[IP6_AT_NEXT], IPPROTO_FRAGMENT);
    ck_assert_int_eq(reassembly_add(r, got, got_n, IP6_HEADER_BYTES, 5, &got, &got_n),
                     REASSEMBLY_HELD);
}
END_TEST

START_TEST(test_cutting_needs_room)
{
    struct fragment_cut c;
    uint8_t v4[40] = {0x45}, v6[40] = {0x60};

    ck_assert(!fragment_cut_start(&c, v4, 100, 27, 1));
    ck_assert(fragment_cut_start(&c, v4, 100, 28, 1));
    ck_assert(!fragment_cut_start(&c, v6, 100, 55, 1));
    ck_assert(fragment_cut_start(&c, v6, 100, 56, 1));
    ck_assert(!fragment_cut_start(&c, v4, 0, 1500, 1));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fragment");
    TCase *t = tcase_create("both families");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_any_order_comes_together, 0, 2);
    tcase_add_loop_test(t, test_overlap_loses_the_whole_datagram, 0, 2);
    tcase_add_loop_test(t, test_lies_about_length_and_end_are_dropped, 0, 2);
    tcase_add_loop_test(t, test_floods_meet_the_caps, 0, 2);
    tcase_add_loop_test(t, test_floods_leave_a_place_for_others, 0, 2);
    tcase_add_test(t, test_atomic_fragment_stands_for_itself);
    tcase_add_test(t, test_extension_header_before_the_fragment_header);
    tcase_add_test(t, test_what_was_put_together_may_be_given_again);
    tcase_add_test(t, test_cutting_needs_room);
    suite_add_tcase(s, t);
    return run_suite(s);
}
