/* app/story.h - what a subcommand found out, step by step: told as text or as JSON from the same
 * records.
 *
 * Owner: the subcommand. Memory failures are kept and told by story_print(). Texts are in words for
 * the operator, without secrets.
 */
#ifndef APP_STORY_H
#define APP_STORY_H

#include <jansson.h>
#include <stdbool.h>

struct story {
    json_t *root;  /* an object: facts, and "steps" */
    json_t *steps; /* borrowed from root */
    bool nomem;
};

void story_init(struct story *s);
void story_done(struct story *s);

/* A fact at the top: a plain word or number of use to programs. NULL text: null. */
void story_fact(struct story *s, const char *key, const char *text);
void story_fact_list(struct story *s, const char *key, json_t *list); /* takes list */

/* One more step. what: "hop"; name: which one, or ""; verdict: one word, or "". depth indents. The
 * result is borrowed, for story_detail(); NULL: no memory. */
json_t *story_step(struct story *s, int depth, const char *what, const char *name,
                   const char *verdict, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
void story_detail(struct story *s, json_t *step, const char *key, const char *text);

/* The steps as lines on standard output. */
void story_print(const struct story *s);

#endif
