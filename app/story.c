/* app/story.c - see story.h. */
#include "app/story.h"
#include <stdarg.h>
#include <stdio.h>

enum { TEXT_MAX = 1024, LABEL_COLUMNS = 30 };

void story_init(struct story *s)
{
    *s = (struct story){.root = json_object(), .steps = json_array()};
    if (s->steps && json_object_set_new(s->root, "steps", s->steps))
        s->steps = NULL;
    s->nomem = !s->root || !s->steps;
}

void story_done(struct story *s)
{
    json_decref(s->root);
    *s = (struct story){0};
}

static void set(struct story *s, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value))
        s->nomem = true;
}

/* Names from outside may be no UTF-8, which JSON can't hold. */
static json_t *text_value(const char *text)
{
    json_t *v = json_string(text);

    return v ? v : json_string("(not UTF-8)");
}

void story_fact(struct story *s, const char *key, const char *text)
{
    set(s, s->root, key, text ? text_value(text) : json_null());
}

void story_fact_list(struct story *s, const char *key, json_t *list)
{
    set(s, s->root, key, list);
}

json_t *story_step(struct story *s, int depth, const char *what, const char *name,
                   const char *verdict, const char *fmt, ...)
{
    char text[TEXT_MAX];
    json_t *step = json_object();
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (json_array_append_new(s->steps, step)) {
        s->nomem = true;
        return NULL;
    }
    set(s, step, "step", text_value(what));
    set(s, step, "depth", json_integer(depth));
    if (*name)
        set(s, step, "name", text_value(name));
    if (*verdict)
        set(s, step, "verdict", text_value(verdict));
    if (*text)
        set(s, step, "text", text_value(text));
    return step;
}

void story_detail(struct story *s, json_t *step, const char *key, const char *text)
{
    if (step)
        set(s, step, key, text_value(text));
}

static const char *word(const json_t *step, const char *key)
{
    const char *text = json_string_value(json_object_get(step, key));

    return text ? text : "";
}

void story_print(const struct story *s)
{
    size_t i;
    json_t *step;

    json_array_foreach(s->steps, i, step)
    {
        char label[TEXT_MAX];
        int depth = (int)json_integer_value(json_object_get(step, "depth"));
        const char *name = word(step, "name"), *verdict = word(step, "verdict");
        const char *text = word(step, "text");

        (void)snprintf(label, sizeof label, "%*s%s%s%s", 2 * depth, "", word(step, "step"),
                       *name ? " " : "", name);
        printf("%-*s  %s%s%s\n", LABEL_COLUMNS, label, verdict, *verdict && *text ? ": " : "",
               text);
        if (*word(step, "mend"))
            printf("%*s  mend: %s\n", LABEL_COLUMNS, "", word(step, "mend"));
    }
}
