/* core/fatal.c - see fatal.h. */
#include "core/fatal.h"
#include "core/log.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct fatal *newest;

void fatal_on(struct fatal *f)
{
    f->next = newest;
    newest = f;
}

void fatal_off(struct fatal *f)
{
    for (struct fatal **at = &newest; *at; at = &(*at)->next)
        if (*at == f) {
            *at = f->next;
            return;
        }
}

void fatal_undo(void)
{
    /* taken off before it runs: a second mistake inside of it goes on with the next one */
    while (newest) {
        struct fatal *f = newest;

        newest = f->next;
        f->fn(f->arg);
    }
}

void fatal_exit(const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    log_fatal("%s", text);
    if (FATAL_ABORTS) {
        fprintf(stderr, "cgost: bug: %s\n", text);
        abort();
    }
    fatal_undo();
    _exit(EXIT_FAILURE);
}
