/* core/host/journal.c - undo records, a list with the youngest first. */
#include "core/host/journal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct journal_record {
    struct journal_record *older;
    const struct journal_kind *kind;
    char what[96];
    size_t n;
    _Alignas(max_align_t) unsigned char data[];
};

enum rc journal_add(struct journal *j, const struct journal_kind *kind, const void *data, size_t n,
                    const char *what)
{
    if (j->count >= JOURNAL_RECORDS_MAX || n > JOURNAL_DATA_MAX)
        return RC_LIMIT;
    struct journal_record *r = malloc(sizeof(*r) + n);
    if (!r)
        return RC_NOMEM;
    r->kind = kind;
    r->n = n;
    r->older = j->last;
    (void)snprintf(r->what, sizeof(r->what), "%s", what); /* cut is fine: it is for reading */
    if (n > 0)
        memcpy(r->data, data, n);
    j->last = r;
    j->count++;
    return RC_OK;
}

static struct journal_record *pop(struct journal *j)
{
    struct journal_record *r = j->last;
    j->last = r->older;
    j->count--;
    return r;
}

void journal_undo_to(struct journal *j, size_t count, struct netlink *nl, journal_warn_fn *warn,
                     void *arg)
{
    while (j->count > count) {
        struct journal_record *r = pop(j);
        struct diag diag = {0};
        enum rc rc = r->kind->undo(nl, r->data, r->n, &diag);
        if (rc != RC_OK && warn) {
            char text[sizeof(diag.text) + sizeof(r->what) + 32];
            (void)snprintf(text, sizeof(text), "undo %s: %s", r->what,
                           diag.text[0] ? diag.text : rc_name(rc));
            warn(arg, text);
        }
        free(r);
    }
}

void journal_undo(struct journal *j, struct netlink *nl, journal_warn_fn *warn, void *arg)
{
    journal_undo_to(j, 0, nl, warn, arg);
}

void journal_forget(struct journal *j)
{
    while (j->last)
        free(pop(j));
}
