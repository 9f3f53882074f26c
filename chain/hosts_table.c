/* chain/hosts_table.c - mappings sorted by name at the first lookup, beside the file. */
#include "chain/hosts_table.h"
#include "chain/hosts.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct mapping {
    char *name;
    uint32_t order;
    struct addr addr;
};

struct hosts_table {
    unsigned refs;
    struct hosts *file; /* NULL: none */
    struct mapping *v;
    size_t n, cap;
    bool sorted;
};

struct hosts_table *hosts_table_new(const char *file)
{
    struct hosts_table *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return NULL;
    h->refs = 1;
    if (file[0] != 0 && (h->file = hosts_new(file)) == NULL) {
        free(h);
        return NULL;
    }
    return h;
}

struct hosts_table *hosts_table_ref(struct hosts_table *h)
{
    h->refs++;
    return h;
}

void hosts_table_unref(struct hosts_table *h)
{
    if (h == NULL || --h->refs > 0)
        return;
    for (size_t i = 0; i < h->n; i++)
        free(h->v[i].name);
    free(h->v);
    hosts_free(h->file);
    free(h);
}

enum rc hosts_table_add(struct hosts_table *h, const char *name, const struct addr *a)
{
    if (h->n == h->cap) {
        size_t cap = h->cap > 0 ? 2 * h->cap : 16;
        struct mapping *v = realloc(h->v, cap * sizeof(*v));
        if (v == NULL)
            return RC_NOMEM;
        h->v = v;
        h->cap = cap;
    }
    size_t n = strlen(name);
    char *copy = strndup(name, n > 1 && name[n - 1] == '.' ? n - 1 : n);
    if (copy == NULL)
        return RC_NOMEM;
    h->v[h->n] = (struct mapping){.name = copy, .order = (uint32_t)h->n, .addr = addr_unmap(*a)};
    h->v[h->n].addr.port = 0;
    h->n++;
    h->sorted = false;
    return RC_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct mapping *x = a, *y = b;
    int c = strcasecmp(x->name, y->name);
    return c != 0 ? c : x->order < y->order ? -1 : x->order > y->order;
}

static int find(struct hosts_table *h, const char *name, uint64_t now_ms, struct addr *v, int cap)
{
    size_t low = 0, high = h->n;
    int n = 0;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcasecmp(h->v[mid].name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < h->n && n < cap && strcasecmp(h->v[low].name, name) == 0; low++)
        v[n++] = h->v[low].addr;
    if (n == 0 && h->file != NULL)
        n = hosts_lookup(h->file, name, now_ms, v, cap);
    return n;
}

int hosts_table_lookup(struct hosts_table *h, const char *name, uint64_t now_ms, struct addr *v,
                       int cap)
{
    char text[TARGET_NAME_MAX + 2];
    size_t len = strlen(name);
    if (len == 0 || len > TARGET_NAME_MAX)
        return 0;
    if (!h->sorted && h->n > 0)
        qsort(h->v, h->n, sizeof(*h->v), by_name);
    h->sorted = true;
    text[0] = '.';
    memcpy(text + 1, name, len + 1);
    if (len > 1 && text[len] == '.')
        text[len] = 0;
    int n = find(h, text + 1, now_ms, v, cap);
    for (const char *at = text; n == 0 && at != NULL; at = strchr(at + 1, '.'))
        n = find(h, at, now_ms, v, cap);
    return n > 0 ? n : find(h, ".", now_ms, v, cap);
}
