/* core/option.c - ends what a table of options owns. */
#include "core/option.h"
#include <stdlib.h>

static void strings_free(char **v, size_t n)
{
    for (size_t i = 0; v && i < n; i++)
        free(v[i]);
    free(v);
}

void options_done(const struct option *table, void *obj)
{
    for (const struct option *o = table; o && o->key; o++) {
        void *field = (char *)obj + o->offset;
        switch (o->type) {
        case OPTION_STRING: {
            char **text = field;
            free(*text);
            *text = NULL;
            break;
        }
        case OPTION_LIST:
        case OPTION_LINES: {
            struct strlist *list = field;
            strings_free(list->v, list->n);
            *list = (struct strlist){0};
            break;
        }
        case OPTION_MAP: {
            struct strmap *map = field;
            strings_free(map->keys, map->n);
            strings_free(map->values, map->n);
            *map = (struct strmap){0};
            break;
        }
        case OPTION_NETS: {
            struct netlist *nets = field;
            free(nets->v);
            *nets = (struct netlist){0};
            break;
        }
        case OPTION_INT:
        case OPTION_BOOL:
        case OPTION_DURATION:
        case OPTION_SIZE:
        case OPTION_ENUM:
            break;
        }
    }
}
