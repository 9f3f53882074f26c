/* configs/merge.c - joins lists, replaces objects. */
#include "configs/merge.h"

void merge_config(struct value *into, struct value *from)
{
    struct value *next;
    for (struct value *section = from ? from->first : NULL; section; section = next) {
        next = section->next;
        section->next = NULL;
        struct value *there = value_get(into, section->key);
        if (!there || section->kind != VALUE_LIST) {
            value_put(into, section->key, section);
            continue;
        }
        struct value *item_next;
        for (struct value *item = section->first; item; item = item_next) {
            item_next = item->next;
            value_append(there, item);
        }
        if (!(section->flags & VALUE_ABSENT))
            there->flags &= ~(unsigned)VALUE_ABSENT;
    }
}

void merge_set(struct tree *t, struct value *into, const char *section, const char *key,
               const char *text, const struct place *at)
{
    struct value *object = value_get(into, section);
    if (!object) {
        object = value_new(t, VALUE_MAP, at);
        value_put(into, section, object);
    }
    value_put(object, key, value_string(t, text, at));
}
