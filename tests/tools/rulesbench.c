/* tests/tools/rulesbench.c - how long a large rule file takes to load, how much memory it needs,
 * and how long one question takes: rulesbench [DOMAINS [CIDRS]] (1000000 100000).
 *
 * The file is made in /tmp: a third each of names, ".names" and "*.names", one in fifty with a
 * port, then IPv4 and IPv6 networks. Questions: names that are listed, names below listed ones,
 * names that are not, and addresses, by turns.
 */
#include "bypass/load.h"
#include "bypass/matcher.h"
#include "core/addr.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { QUESTIONS = 400000, DISTINCT = 65536 };

static uint64_t seed = 0x9e3779b97f4a7c15u;

static uint32_t roll(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 16) % n);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The i-th of the names that are listed, without what stands before it. */
static int domain(uint32_t i, char *s, size_t cap)
{
    static const char *const ends[] = {"com", "net", "org", "co.uk", "example"};
    static const char *const words[] = {"alpha", "track", "cdn", "metrics", "news", "shop", "x"};
    return snprintf(s, cap, "%s%x-%u.%s", words[i % 7], i * 2654435761u, i % 977, ends[i % 5]);
}

static void make_file(const char *path, uint32_t domains, uint32_t cidrs)
{
    static const char *const fronts[] = {"", ".", "*."};
    char name[64];
    FILE *f = fopen(path, "we");
    if (!f)
        exit(1);
    for (uint32_t i = 0; i < domains; i++) {
        (void)domain(i, name, sizeof name);
        fprintf(f, "%s%s%s\n", fronts[i % 3], name, i % 50 == 7 ? ":443" : "");
    }
    for (uint32_t i = 0; i < cidrs; i++) {
        if (i % 4)
            fprintf(f, "%u.%u.%u.0/%u\n", 1 + roll(223), roll(256), roll(256), 16 + roll(9));
        else
            fprintf(f, "2001:%x:%x::/%u\n", roll(65536), roll(65536), 32 + roll(33));
    }
    if (fclose(f) != 0)
        exit(1);
}

static void make_question(struct target *t, uint32_t domains, uint32_t kind)
{
    char name[96] = "www.";
    uint8_t ip[16] = {0x20, 0x01};
    memset(t, 0, sizeof *t);
    if (kind < 2) {
        (void)domain(roll(domains), name + 4 * kind, sizeof name - 4);
        (void)target_set_host(t, name, strlen(name), 443);
    } else if (kind < 4) {
        snprintf(name, sizeof name, "%s%u.site%u.org", kind == 2 ? "www." : "", roll(1000000),
                 roll(9));
        (void)target_set_host(t, name, strlen(name), 443);
    } else {
        for (int i = kind == 5 ? 2 : 0; i < 16; i++)
            ip[i] = (uint8_t)roll(256);
        struct addr a = kind == 5 ? addr_v6(ip, 443) : addr_v4(ip, 443);
        target_from_addr(t, &a);
    }
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static long resident_kb(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f)
        (void)fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void ask(const struct matcher *m, uint32_t domains)
{
    static uint64_t took[QUESTIONS];
    struct target *v = calloc(DISTINCT, sizeof *v);
    uint64_t cost = UINT64_MAX;
    unsigned yes = 0;
    if (!v)
        exit(1);
    for (uint32_t i = 0; i < DISTINCT; i++)
        make_question(&v[i], domains, i % 6);
    for (int i = 0; i < 1000; i++) { /* of the clock itself */
        uint64_t t = now_ns();
        t = now_ns() - t;
        cost = t < cost ? t : cost;
    }
    for (uint32_t i = 0; i < QUESTIONS; i++) {
        const struct target t = v[(i * 7919u) % DISTINCT]; /* near, as that of a client is */
        uint64_t start = now_ns();
        bool in = matcher_has(m, &t, NULL);
        uint64_t ns = now_ns() - start;
        took[i] = ns > cost ? ns - cost : 0;
        yes += in;
    }
    qsort(took, QUESTIONS, sizeof *took, by_size);
    printf("match: median %lu ns, 99 of 100 below %lu ns (%u%% matched)\n",
           (unsigned long)took[QUESTIONS / 2], (unsigned long)took[QUESTIONS / 100 * 99],
           (unsigned)(yes * 100ul / QUESTIONS));
    free(v);
}

int main(int argc, char **argv)
{
    const uint32_t domains = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
    const uint32_t cidrs = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 100000;
    char path[] = "/tmp/cgost-rules-XXXXXX";
    int fd = mkstemp(path);
    struct load l;
    if (fd < 0 || domains == 0)
        return 1;
    close(fd);
    make_file(path, domains, cidrs);
    struct load_cfg cfg = {.file = path};
    struct load_stamp none = {0};
    long before = resident_kb();
    uint64_t start = now_ns();
    clock_t cpu_start = clock();
    load_init(&l);
    load_run(&l, &cfg, &none);
    uint64_t ns = now_ns() - start;
    clock_t cpu = clock() - cpu_start;
    (void)unlink(path);
    if (l.rc != RC_OK || l.n_doubts > 0) {
        fprintf(stderr, "rulesbench: %s\n", l.rc != RC_OK ? l.diag.text : l.doubts[0]);
        return 1;
    }
    (void)malloc_trim(0);
    printf("load: %u patterns in %.0f ms (%.0f ms of CPU), %zu MB (%ld MB resident)\n",
           matcher_count(l.list), (double)ns / 1e6, (double)cpu * 1e3 / CLOCKS_PER_SEC,
           matcher_bytes(l.list) >> 20, (resident_kb() - before) / 1024);
    ask(l.list, domains);
    load_done(&l);
    return 0;
}
