/* handlers/hush.c - see hush.h. */
#include "handlers/hush.h"
#include <string.h>

enum { SOURCES = 256, V6_BYTES = 8 };

struct budget {
    uint64_t filled_ms; /* 0: never used, and full */
    uint64_t unsaid;
    uint32_t lines;
};

static struct {
    struct budget of[HUSH_KINDS][SOURCES], all[HUSH_KINDS];
} the_hush;

static const struct {
    uint32_t burst, per_s;
} limits[HUSH_KINDS] = {{HUSH_STRANGER_BURST, HUSH_STRANGER_PER_S},
                        {HUSH_TARGET_BURST, HUSH_TARGET_PER_S}};

static unsigned source_of(const struct addr *a)
{
    size_t n = addr_ip_bytes(a);
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < (n > V6_BYTES ? V6_BYTES : n); i++)
        h = (h ^ a->ip[i]) * 16777619u;
    return (h ^ h >> 16) % SOURCES;
}

static void fill(struct budget *b, uint32_t burst, uint32_t per_s, uint64_t now_ms)
{
    uint64_t fresh;

    if (!b->filled_ms) {
        b->filled_ms = now_ms ? now_ms : 1;
        b->lines = burst;
    }
    fresh = now_ms > b->filled_ms ? (now_ms - b->filled_ms) * per_s / 1000 : 0;
    if (!fresh)
        return;
    b->filled_ms = now_ms;
    b->lines = fresh < burst - b->lines ? b->lines + (uint32_t)fresh : burst;
}

bool hush_allows(enum hush_kind kind, const struct addr *client, uint64_t now_ms,
                 uint64_t *ret_unsaid)
{
    struct budget *one = &the_hush.of[kind][source_of(client)], *all = &the_hush.all[kind];

    fill(one, limits[kind].burst, limits[kind].per_s, now_ms);
    fill(all, HUSH_ALL_FACTOR * limits[kind].burst, HUSH_ALL_FACTOR * limits[kind].per_s, now_ms);
    if (!one->lines || !all->lines) {
        one->unsaid++;
        return false;
    }
    one->lines--;
    all->lines--;
    *ret_unsaid = one->unsaid;
    one->unsaid = 0;
    return true;
}

void hush_forget(void)
{
    memset(&the_hush, 0, sizeof the_hush);
}
