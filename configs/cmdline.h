/* configs/cmdline.h - a raw configuration from the -L and -F values (gost-config.md 2.2 to 2.6).
 *
 * Generated names (service-0, chain-0, bypass-0 ...) skip what `taken` has: files keep their names
 * (trap T31).
 */
#ifndef CONFIGS_CMDLINE_H
#define CONFIGS_CMDLINE_H

#include "configs/url.h"

struct cmdline {
    struct tree *tree;
    struct problems *problems;
    const struct value *taken; /* the typed configuration of the files, or NULL */
    struct value *config;      /* what was built */
    const char *chain;         /* name of the generated chain, or NULL */
};

/* nodes: the -F values, services: the -L values, each n long. Empty -L values are skipped. */
enum rc cmdline_build(struct cmdline *c, const char *const *nodes, size_t n_nodes,
                      const char *const *services, size_t n_services);

/* The value of -api or -metrics as that object. */
enum rc cmdline_api(struct cmdline *c, const char *name, const char *text, struct value **ret_v);

/* ---- shared by the two builders (cmdline_service.c, cmdline_node.c) ---- */

enum rc cmdline_service(struct cmdline *c, const char *name, const char *text, size_t *n_services);
enum rc cmdline_node(struct cmdline *c, const char *name, const char *text, size_t index,
                     struct value *hops);

/* The first of the keys (comma list) that exists, case aside; marked as consumed. NULL: none, or it
 * is empty. */
const struct value *cmdline_take(struct value *query, const char *keys);
const char *cmdline_take_text(struct value *query, const char *keys); /* NULL: none */
/* A positive decimal number; 0: none. A bad one is a problem and stays where it is. */
int64_t cmdline_take_int(struct cmdline *c, struct value *query, const char *keys);
void cmdline_drop(struct value *query, const char *keys); /* exact spelling */
/* query[to] = number or text of v, replacing. */
void cmdline_move(struct cmdline *c, struct value *query, const char *from, const char *to,
                  bool is_int);
/* Copies the keys of query into three or four maps: "handler.k" only into handler, without prefix;
 * plain ones into all. */
struct cmdline_map {
    const char *prefix; /* "handler." */
    struct value *map;
};
void cmdline_split(struct cmdline *c, const struct value *query, struct cmdline_map *maps, size_t n,
                   const char *skip_prefix);

/* userinfo or auth= as an auth object; ret_v is NULL when there is none. */
enum rc cmdline_auth(struct cmdline *c, const struct url *u, struct value *query,
                     struct value **ret_v);
struct value *cmdline_selector(struct cmdline *c, struct value *query); /* NULL: none */

/* Adds an object to a section of the configuration under a generated name; the name is returned. */
struct value *cmdline_object(struct cmdline *c, const char *section, const char *stem,
                             const struct place *at);
/* What the parameter's text makes: a bypass or admission, a resolver, a hosts table. */
const char *cmdline_bypass(struct cmdline *c, const char *section, const char *stem,
                           const struct value *v);
const char *cmdline_resolver(struct cmdline *c, const struct value *v, const char *prefer);
const char *cmdline_hosts(struct cmdline *c, const struct value *v);

void cmdline_put(struct cmdline *c, struct value *map, const char *key, const char *text,
                 const struct place *at); /* NULL or "": nothing */
/* Picks the registered names of a scheme's two halves; unknown ones become the defaults with a
 * warning. */
void cmdline_types(struct cmdline *c, const struct url *u, bool is_service, const char **ret_first,
                   const char **ret_second, bool *ret_is_path);

#endif
