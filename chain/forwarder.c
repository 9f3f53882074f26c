/* chain/forwarder.c - a growing list of targets, each with its marker. */
#include "chain/forwarder.h"
#include "chain/hash.h"
#include "core/loop.h"
#include <stdlib.h>
#include <string.h>

struct entry {
    char *name;
    struct target target;
    struct marker marker;
    bool (*excludes)(void *arg, const char *network,
                     const struct target *asked); /* NULL: nothing */
    void *arg;
};

struct forwarder {
    struct loop *loop;
    struct selector selector;
    struct entry *v;
    int n;
};

struct forwarder *forwarder_new(struct loop *loop, const struct selector_cfg *cfg)
{
    struct forwarder *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return NULL;
    f->loop = loop;
    selector_init(&f->selector, cfg);
    return f;
}

void forwarder_free(struct forwarder *f)
{
    if (f == NULL)
        return;
    for (int i = 0; i < f->n; i++)
        free(f->v[i].name);
    free(f->v);
    free(f);
}

enum rc forwarder_add(struct forwarder *f, const char *name, const struct target *t)
{
    if (f->n == FORWARDER_TARGETS_MAX)
        return RC_LIMIT;
    struct entry *v = realloc(f->v, (size_t)(f->n + 1) * sizeof(*v));
    if (v == NULL)
        return RC_NOMEM;
    f->v = v;
    char *copy = strdup(name != NULL ? name : "");
    if (copy == NULL)
        return RC_NOMEM;
    v[f->n++] = (struct entry){.name = copy, .target = *t};
    return RC_OK;
}

bool forwarder_target(const struct forwarder *f, int i, struct target *ret_t)
{
    if (i < 0 || i >= f->n)
        return false;
    *ret_t = f->v[i].target;
    return true;
}

void forwarder_exclude(struct forwarder *f,
                       bool (*fn)(void *arg, const char *network, const struct target *asked),
                       void *arg)
{
    f->v[f->n - 1].excludes = fn;
    f->v[f->n - 1].arg = arg;
}

int forwarder_pick_for(struct forwarder *f, const struct addr *client, const char *network,
                       const struct target *asked, struct target *ret_t)
{
    struct marker *markers[FORWARDER_TARGETS_MAX];
    int places[FORWARDER_TARGETS_MAX], n = 0;
    for (int i = 0; i < f->n; i++) {
        struct entry *e = &f->v[i];
        if (asked != NULL && e->excludes != NULL && e->excludes(e->arg, network, asked))
            continue;
        markers[n] = &e->marker;
        places[n++] = i;
    }
    int picked = selector_pick(&f->selector, markers, n, hash_client(client), loop_now_ms(f->loop));
    if (picked < 0)
        return -1;
    *ret_t = f->v[places[picked]].target;
    return places[picked];
}

int forwarder_pick(struct forwarder *f, const struct addr *client, struct target *ret_t)
{
    return forwarder_pick_for(f, client, NULL, NULL, ret_t);
}

void forwarder_mark(struct forwarder *f, int picked, bool ok)
{
    if (picked < 0 || picked >= f->n)
        return;
    if (ok)
        marker_ok(&f->v[picked].marker);
    else
        marker_fail(&f->v[picked].marker, loop_now_ms(f->loop));
}
