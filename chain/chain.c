/* chain/chain.c - the list of hops and the choice of one node of each. */
#include "chain/chain.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct chain *chain_new(const char *name)
{
    struct chain *c = calloc(1, sizeof(*c));
    char *copy = strdup(name != NULL ? name : "");
    if (c == NULL || copy == NULL) {
        free(c);
        free(copy);
        return NULL;
    }
    c->refs = 1;
    c->name = copy;
    return c;
}

struct chain *chain_ref(struct chain *c)
{
    c->refs++;
    return c;
}

void chain_unref(struct chain *c)
{
    if (c == NULL || --c->refs > 0)
        return;
    for (int i = 0; i < c->n_hops; i++)
        hop_unref(c->hops[i]);
    free(c->name);
    free(c);
}

enum rc chain_add(struct chain *c, struct hop *h)
{
    if (c->n_hops == CHAIN_HOPS_MAX) {
        hop_unref(h);
        return RC_LIMIT;
    }
    c->hops[c->n_hops++] = h;
    return RC_OK;
}

/* One hop's word about a flow, without effect on the next one's. told: of it; NULL: nobody asks. */
static enum hop_fate look_at(const struct hop *h, const struct hop_ask *ask,
                             struct hop_account *told)
{
    unsigned udp;
    uint32_t key;
    struct node *only;
    return told != NULL ? hop_explain(h, ask, NULL, told)
                        : hop_survey(h, ask, true, &udp, &key, &only);
}

/* How many hops this flow goes through: up to the first that a rule excludes. */
static enum rc route_depth(const struct chain *c, const struct hop_ask *ask, int *ret_depth,
                           struct chain_account *told, struct diag *diag)
{
    struct hop_ask any = *ask;
    any.udp = 0;
    int i = 0;
    for (; i < c->n_hops; i++) {
        enum hop_fate fate = look_at(c->hops[i], &any, told != NULL ? &told->hops[i] : NULL);
        if (told != NULL)
            told->n = i + 1;
        if (fate == HOP_EMPTY)
            return diag_set(diag, RC_INVALID, "chain %s: hop %s has no nodes", c->name,
                            c->hops[i]->name);
        if (fate != HOP_USED)
            break;
    }
    *ret_depth = i;
    return RC_OK;
}

static enum rc find_route(struct chain *c, const struct hop_ask *ask, struct route *ret_route,
                          struct chain_account *told, struct diag *diag)
{
    int depth = 0;
    enum rc rc = route_depth(c, ask, &depth, told, diag);
    if (rc != RC_OK)
        return rc;
    struct route route = {.n = 0};
    for (int i = 0; i < depth; i++) {
        struct hop_ask one = *ask;
        if (i + 1 < depth)
            one.udp = 0;
        struct node *n = NULL;
        enum hop_fate fate = told != NULL ? hop_explain(c->hops[i], &one, &n, &told->hops[i])
                                          : hop_select(c->hops[i], &one, &n);
        if (fate != HOP_USED) {
            route_done(&route);
            if (fate == HOP_FAILED)
                return diag_set(diag, RC_REFUSED,
                                "chain %s: every node of hop %s has failed lately", c->name,
                                c->hops[i]->name);
            return diag_set(diag, RC_UNSUPPORTED, "chain %s: hop %s can't carry UDP", c->name,
                            c->hops[i]->name);
        }
        route.nodes[route.n++] = node_ref(n);
    }
    *ret_route = route;
    return RC_OK;
}

enum rc chain_route(struct chain *c, const struct hop_ask *ask, struct route *ret_route,
                    struct diag *diag)
{
    return find_route(c, ask, ret_route, NULL, diag);
}

enum rc chain_explain(struct chain *c, const struct hop_ask *ask, struct route *ret_route,
                      struct chain_account *a, struct diag *diag)
{
    a->n = 0;
    return find_route(c, ask, ret_route, a, diag);
}

void route_done(struct route *r)
{
    for (int i = 0; i < r->n; i++)
        node_unref(r->nodes[i]);
    r->n = 0;
}

const char *route_format(const struct route *r, char *buf, size_t cap)
{
    if (r->n == 0) {
        (void)snprintf(buf, cap, "direct");
        return buf;
    }
    size_t at = 0;
    for (int i = 0; i < r->n && at < cap; i++) {
        int n = snprintf(buf + at, cap - at, "%s%s@%s", i > 0 ? " > " : "", r->nodes[i]->name,
                         r->nodes[i]->addr);
        at += n > 0 ? (size_t)n : 0;
    }
    return buf;
}
