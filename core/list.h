/* core/list.h - doubly linked rings: an element is embedded in its owner and can leave in O(1)
 * without knowing the list.
 *
 * An element that is in no list points to itself; so does an empty list.
 */
#ifndef CORE_LIST_H
#define CORE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *l) /* of an element: is it in no list? */
{
    return l->next == l;
}

static inline void list_remove(struct list *e) /* fine when it is in none */
{
    e->next->prev = e->prev;
    e->prev->next = e->next;
    list_init(e);
}

static inline void list_append(struct list *l, struct list *e) /* e is in none */
{
    e->prev = l->prev;
    e->next = l;
    l->prev->next = e;
    l->prev = e;
}

/* Moves all of from (it is empty then) to the end of to. */
static inline void list_join(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

/* The struct of which e is the member m. */
#define LIST_OWNER(e, type, m) ((type *)((char *)(e)-offsetof(type, m)))

#endif
