/* chain/hop.c - which node of a hop serves a flow (gost-config.md 7.3, "Hop selection order"). */
#include "chain/hop.h"
#include "core/loop.h"
#include <stdlib.h>
#include <string.h>

struct hop *hop_new(const struct hop_cfg *cfg)
{
    struct hop *h = calloc(1, sizeof(*h));
    char *name = strdup(cfg->name != NULL ? cfg->name : "");
    if (h == NULL || name == NULL) {
        free(h);
        free(name);
        return NULL;
    }
    *h = (struct hop){.refs = 1,
                      .loop = cfg->loop,
                      .name = name,
                      .bypassed = cfg->bypassed,
                      .bypassed_arg = cfg->bypassed_arg};
    selector_init(&h->selector, &cfg->selector);
    return h;
}

struct hop *hop_ref(struct hop *h)
{
    h->refs++;
    return h;
}

void hop_unref(struct hop *h)
{
    if (h == NULL || --h->refs > 0)
        return;
    for (int i = 0; i < h->n_nodes; i++)
        node_unref(h->nodes[i]);
    free(h->nodes);
    free(h->name);
    free(h);
}

enum rc hop_add(struct hop *h, struct node *n)
{
    if (h->n_nodes == HOP_NODES_MAX) {
        node_unref(n);
        return RC_LIMIT;
    }
    struct node **v = realloc(h->nodes, (size_t)(h->n_nodes + 1) * sizeof(*v));
    if (v == NULL) {
        node_unref(n);
        return RC_NOMEM;
    }
    h->nodes = v;
    v[h->n_nodes++] = n;
    return RC_OK;
}

static bool is_bypassed(bypassed_fn *fn, void *arg, const struct hop_ask *ask)
{
    const struct target *t = ask->target;
    bool empty = t == NULL || (!target_is_name(t) && t->addr.family == 0);
    return fn != NULL && !empty && fn(arg, ask->network, t);
}

/* The nodes that no rule excludes, into v. told: of what became of each; NULL: nobody asks. */
static enum hop_fate candidates(const struct hop *h, const struct hop_ask *ask, struct node **v,
                                int *ret_n, struct hop_account *told)
{
    if (told != NULL)
        memset(told->nodes, NODE_NOT_ASKED, sizeof(told->nodes));
    if (h->n_nodes == 0)
        return HOP_EMPTY;
    if (is_bypassed(h->bypassed, h->bypassed_arg, ask)) {
        if (told != NULL)
            told->own_rule = true;
        return HOP_BYPASSED;
    }
    int n = 0, able = 0;
    for (int i = 0; i < h->n_nodes; i++) {
        struct node *node = h->nodes[i];
        bool out = is_bypassed(node->bypassed, node->bypassed_arg, ask);
        bool can = !out && (ask->udp == 0 || (node_udp(node) & ask->udp) != 0);
        if (told != NULL)
            told->nodes[i] = out ? NODE_BYPASSED : can ? NODE_CANDIDATE : NODE_UNABLE;
        n += !out;
        if (can)
            v[able++] = node;
    }
    if (n == 0)
        return HOP_BYPASSED;
    if (able == 0)
        return HOP_UNABLE;
    *ret_n = able;
    return HOP_USED;
}

static bool all_failed(const struct hop *h, struct node *const *v, int n, uint64_t now_ms)
{
    for (int i = 0; i < n; i++)
        if (!marker_is_failed(&v[i]->marker, &h->selector, now_ms))
            return false;
    return true;
}

/* Is it this flow's turn to find out whether one of the marked nodes is back? */
static bool takes_the_trial(struct hop *h, uint64_t now_ms)
{
    if (h->trial_ms != 0 && now_ms - h->trial_ms < HOP_TRIAL_MS)
        return false;
    h->trial_ms = now_ms;
    return true;
}

static struct node *pick(const struct loop *loop, struct selector *selector,
                         const struct hop_ask *ask, struct node *const *v, int n)
{
    struct marker *markers[HOP_NODES_MAX];
    for (int i = 0; i < n; i++)
        markers[i] = &v[i]->marker;
    return v[selector_pick(selector, markers, n, ask->hash, loop_now_ms(loop))];
}

enum hop_fate hop_select(struct hop *h, const struct hop_ask *ask, struct node **ret_n)
{
    struct node *v[HOP_NODES_MAX];
    int n = 0;
    enum hop_fate fate = candidates(h, ask, v, &n, NULL);
    uint64_t now_ms = loop_now_ms(h->loop);
    if (fate == HOP_USED && n > 1 && !ask->again && all_failed(h, v, n, now_ms) &&
        !takes_the_trial(h, now_ms))
        return HOP_FAILED;
    if (fate == HOP_USED)
        *ret_n = pick(h->loop, &h->selector, ask, v, n);
    return fate;
}

enum hop_fate hop_explain(const struct hop *h, const struct hop_ask *ask, struct node **ret_n,
                          struct hop_account *a)
{
    struct node *v[HOP_NODES_MAX];
    struct selector selector = h->selector; /* a turn taken here is nobody's turn */
    *a = (struct hop_account){.hop = h};
    a->fate = candidates(h, ask, v, &a->n_candidates, a);
    if (a->fate == HOP_USED) {
        struct node *n = pick(h->loop, &selector, ask, v, a->n_candidates);
        a->picked = n;
        if (ret_n != NULL)
            *ret_n = n;
    }
    return a->fate;
}

enum hop_fate hop_survey(const struct hop *h, const struct hop_ask *ask, bool first,
                         unsigned *ret_udp, uint32_t *ret_key, struct node **ret_only)
{
    struct node *v[HOP_NODES_MAX];
    int n = 0;
    enum hop_fate fate = candidates(h, ask, v, &n, NULL);
    if (fate != HOP_USED)
        return fate;
    unsigned udp = 0;
    uint32_t key = 2166136261u; /* FNV-1a over the places of the candidates */
    for (int i = 0, at = 0; i < n; i++, at++) {
        while (h->nodes[at] != v[i])
            at++;
        udp |= node_is_direct(v[i]) && !first ? *ret_udp : node_udp(v[i]);
        key = (key ^ (uint32_t)(at + 1)) * 16777619u;
    }
    *ret_udp = udp;
    *ret_key = key;
    *ret_only = n == 1 ? v[0] : NULL;
    return HOP_USED;
}
