/* chain/unreal.c - see the header. */
#include "chain/unreal.h"

enum { RANGES_MAX = 16 };

static struct cidr ranges[RANGES_MAX];
static int n_ranges;

bool unreal_add(const struct cidr *range)
{
    if (n_ranges == RANGES_MAX)
        return false;
    ranges[n_ranges++] = *range;
    return true;
}

void unreal_remove(const struct cidr *range)
{
    for (int i = 0; i < n_ranges; i++) {
        if (ranges[i].bits != range->bits || !addr_same_ip(&ranges[i].net, &range->net))
            continue;
        ranges[i] = ranges[--n_ranges];
        return;
    }
}

bool unreal_has(const struct addr *a)
{
    for (int i = 0; i < n_ranges; i++)
        if (cidr_has(&ranges[i], a))
            return true;
    return false;
}

int unreal_drop(struct addr *v, int n)
{
    int left = 0;
    for (int i = 0; i < n; i++)
        if (!unreal_has(&v[i]))
            v[left++] = v[i];
    return left;
}
