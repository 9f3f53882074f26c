/* chain/bindcache.c - see the header. */
#include "chain/bindcache.h"
#include "core/host/uplink.h"
#include <string.h>

enum { LIFE_MS = 1000 };

enum rc bind_cache_get(struct bind_cache *c, const struct sockopts *so, const struct addr *to,
                       uint64_t now_ms, struct bind_choice v[static BIND_CHOICES_MAX], int *ret_n,
                       bool *ret_cached, struct diag *diag)
{
    int f = to->family == AF_INET6;
    *ret_cached = false;
    if (so->interface == NULL || so->interface[0] == 0) {
        *ret_n = 0;
        return RC_OK;
    }
    if (!addr_is_global(to))
        return os_bind_choices(so, to, v, BIND_CHOICES_MAX, ret_n, diag);
    if (now_ms < c->families[f].until_ms && c->families[f].epoch == uplink_epoch()) {
        *ret_n = c->families[f].n;
        memcpy(v, c->families[f].v, (size_t)*ret_n * sizeof(*v));
        *ret_cached = true;
        return RC_OK;
    }
    bool watched = uplink_watch(so->netns); /* before the question: no change is missed */
    uint32_t epoch = uplink_epoch();
    enum rc rc = os_bind_choices(so, to, v, BIND_CHOICES_MAX, ret_n, diag);
    if (rc != RC_OK)
        return rc;
    c->families[f].until_ms = watched ? UINT64_MAX : now_ms + LIFE_MS;
    c->families[f].epoch = epoch;
    c->families[f].n = *ret_n;
    memcpy(c->families[f].v, v, (size_t)*ret_n * sizeof(*v));
    return RC_OK;
}

void bind_cache_drop(struct bind_cache *c)
{
    c->families[0].until_ms = c->families[1].until_ms = 0;
}
