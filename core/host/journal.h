/* core/host/journal.h - what we changed on this machine, so that every exit undoes it, last first.
 *
 * A record is a kind and a few plain bytes: no pointers, so a journal can be handed to another
 * process or kept in a file. Owner: whoever changes the machine (the tungo service, the parent).
 * Undoing what is gone already (the device took its routes along) is success. Cap:
 * JOURNAL_RECORDS_MAX; past it journal_add() fails and the caller undoes the change at once.
 */
#ifndef CORE_HOST_JOURNAL_H
#define CORE_HOST_JOURNAL_H

#include "core/rc.h"
#include <stddef.h>

struct netlink;
struct journal_record;

enum { JOURNAL_RECORDS_MAX = 4096, JOURNAL_DATA_MAX = 1024 };

struct journal_kind {
    const char *name; /* "route" */
    /* nl may be NULL: then kinds that need it fail with RC_INVALID. */
    enum rc (*undo)(struct netlink *nl, const void *data, size_t n, struct diag *diag);
};

/* Zeroed: empty. */
struct journal {
    struct journal_record *last;
    size_t count;
};

/* Copies data. kind is static. what: in words, for the operator ("route 10.0.0.0/8"); cut at 95. */
enum rc journal_add(struct journal *j, const struct journal_kind *kind, const void *data, size_t n,
                    const char *what);
/* Undoes everything in reverse and empties the journal, also where a step fails. warn (NULL: none)
 * gets one text per failed step. */
typedef void journal_warn_fn(void *arg, const char *text);
void journal_undo(struct journal *j, struct netlink *nl, journal_warn_fn *warn, void *arg);
/* Undoes the records younger than `count`: a failed setup takes back its own part. */
void journal_undo_to(struct journal *j, size_t count, struct netlink *nl, journal_warn_fn *warn,
                     void *arg);
void journal_forget(struct journal *j); /* drops the records, changes nothing */

#endif
