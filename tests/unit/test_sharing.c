/* Flows of ours on a link with others: shallow and deep queues, with and without a radio that
 * loses. Every reading is the mean of some seeds, after the first seconds. */
#include "run.h"
#include "tests/unit/lossnet.h"
#include <check.h>

enum { RATE = 100, SKIP_US = 3000000, SHARE_US = 12000000, SEEDS = 6, FLOWS_MOST = 2 };

static struct lossnet flows[FLOWS_MOST];

/* CUBIC that sends eight packets at a time, as the kernel does at this rate. */
static const struct lossnet_cfg kernel = {.kind = CONGESTION_CUBIC, .burst = 8};
static const struct lossnet_cfg ours = {.kind = CONGESTION_TOLERANT};

struct reading {
    double mbit[FLOWS_MOST];
    double lost; /* part, of the first flow */
};

static void run_once(const struct lossnet_cfg *cfg, unsigned n, unsigned seed, struct reading *sum)
{
    struct losslink link;
    uint64_t before[FLOWS_MOST];

    net_open(&link);
    for (unsigned i = 0; i < n; i++) {
        struct lossnet_cfg c = cfg[i];
        c.mbit = RATE;
        c.bytes = 1 << 30;
        c.window = 4 << 20;
        c.jitter_us = 300;
        c.seed = seed * 16 + i;
        c.starts_us = (seed * 3 + i * 5) % 8 * 100000;
        net_begin(&link, &flows[i], &c);
    }
    net_run(&link, flows, n, SKIP_US);
    for (unsigned i = 0; i < n; i++)
        before[i] = flows[i].delivered;
    net_run(&link, flows, n, SHARE_US);
    sum->lost += (double)flows[0].dropped * NET_MSS / (double)flows[0].sent_bytes / SEEDS;
    for (unsigned i = 0; i < n; i++) {
        sum->mbit[i] += (double)(flows[i].delivered - before[i]) * 8 / SHARE_US / SEEDS;
        recovery_done(&flows[i].r);
    }
    free(link.heap);
}

/* `queue` is in packets: 116 us each. */
static struct reading share(struct lossnet_cfg a, struct lossnet_cfg b, unsigned n, uint32_t queue,
                            uint32_t loss)
{
    struct lossnet_cfg cfg[FLOWS_MOST] = {a, b};
    struct reading sum = {0};

    for (unsigned i = 0; i < n; i++) {
        cfg[i].delay_us = 10000;
        cfg[i].queue = queue;
        cfg[i].loss = loss;
    }
    for (unsigned seed = 1; seed <= SEEDS; seed++)
        run_once(cfg, n, seed, &sum);
    return sum;
}

START_TEST(test_cubic_beside_ours_has_its_part)
{
    static const uint32_t queues[] = {43, 86, 172, 345};

    for (unsigned i = 0; i < sizeof queues / sizeof *queues; i++) {
        struct reading r = share(ours, kernel, 2, queues[i], 0);
        ck_assert_msg(r.mbit[1] > 25 && r.mbit[0] > 10 && r.mbit[0] + r.mbit[1] > 70,
                      "queue %u: %.1f beside %.1f Mbit/s", queues[i], r.mbit[0], r.mbit[1]);
    }
}
END_TEST

START_TEST(test_two_of_ours)
{
    static const uint32_t queues[] = {43, 86};

    for (unsigned i = 0; i < sizeof queues / sizeof *queues; i++) {
        struct reading r = share(ours, ours, 2, queues[i], 0);
        double a = r.mbit[0], b = r.mbit[1], jain = (a + b) * (a + b) / 2 / (a * a + b * b);
        ck_assert_msg(jain > 0.8 && a + b > 70, "queue %u: %.1f and %.1f Mbit/s", queues[i], a, b);
    }
}
END_TEST

START_TEST(test_a_radio_beside_cubic)
{
    struct reading r = share(ours, kernel, 2, 172, 100);

    ck_assert_msg(r.mbit[0] > 60, "%.1f beside %.1f Mbit/s", r.mbit[0], r.mbit[1]);
}
END_TEST

/* Nobody else is there, and a queue that never shows: it is not kept overflowing. */
START_TEST(test_alone_before_a_shallow_queue)
{
    struct reading r = share(ours, ours, 1, 43, 0);

    ck_assert_msg(r.mbit[0] > 75 && r.lost < 0.01, "%.1f Mbit/s, %.4f", r.mbit[0], r.lost);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_cubic_beside_ours_has_its_part,
        test_two_of_ours,
        test_a_radio_beside_cubic,
        test_alone_before_a_shallow_queue,
    };
    Suite *suite = suite_create("sharing");
    TCase *t = tcase_create("sharing");

    tcase_set_timeout(t, 120);
    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(t, tests[i]);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
