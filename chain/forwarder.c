/* chain/forwarder.c - a growing list of targets, each with its marker. */
#include "chain/forwarder.h"
#include "chain/hash.h"
#include "core/loop.h"
#include <stdlib.h>
#include <string.h>

enum { TARGETS_MAX = 256 };

struct entry {
    char *name;
    struct target target;
    struct marker marker;
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
    if (f->n == TARGETS_MAX)
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

int forwarder_pick(struct forwarder *f, const struct addr *client, struct target *ret_t)
{
    struct marker *markers[TARGETS_MAX];
    for (int i = 0; i < f->n; i++)
        markers[i] = &f->v[i].marker;
    int i = selector_pick(&f->selector, markers, f->n, hash_client(client), loop_now_ms(f->loop));
    if (i >= 0)
        *ret_t = f->v[i].target;
    return i;
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
