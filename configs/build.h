/* configs/build.h - shared by the files that make a model from a typed tree; private to configs/.
 *
 * Owner: config_load(), on its stack. What they make lives in the configuration's tree. What is
 * wrong goes to the problems, with its place; without memory rc says so and results are empty.
 */
#ifndef CONFIGS_BUILD_H
#define CONFIGS_BUILD_H

#include "configs/model.h"
#include "configs/problem.h"

struct maker {
    struct config *cfg;
    struct tree *tree;
    struct problems *problems;
    const struct type_names *names;
    bool lenient;
    enum rc rc; /* RC_NOMEM once memory ran out */
};

/* Zeroed, with one element of `bytes` more than list has items. */
void *make_array(struct maker *m, const struct value *list, size_t bytes);
int64_t make_num(const struct value *map, const char *key);     /* 0: absent */
int64_t make_int(int64_t n);                                    /* what an int holds of it */
uint32_t make_mark(struct maker *m, const struct value *owner); /* of its sockopts; 0: none */
/* The text under the key `one` and the items under `many`. */
struct conf_names make_names(struct maker *m, const struct value *map, const char *one,
                             const char *many);
struct conf_selector make_selector(const struct value *map);
void make_auth(struct maker *m, const struct value *auth, bool sends, struct conf_auth *to);

enum plugin_kind { PLUGIN_HANDLER, PLUGIN_LISTENER, PLUGIN_CONNECTOR, PLUGIN_DIALER };
/* Type, tls and auth of a component; its keys are checked by make_check_keys(). */
void make_plugin(struct maker *m, const struct value *owner, enum plugin_kind kind,
                 struct conf_plugin *to);
const struct option *make_table(struct maker *m, enum plugin_kind kind,
                                const struct conf_plugin *p);
void make_check_keys(struct maker *m, enum plugin_kind kind, const struct conf_plugin *p,
                     const struct option *const *tables);
/* Those that are missing, or not served, are told. */
struct conf_names make_bypass_names(struct maker *m, const struct value *owner);
struct conf_names make_admission_names(struct maker *m, const struct value *service);
/* resolver and hosts of owner: told when missing or not served. */
void make_check_lookup(struct maker *m, const struct value *owner);
/* What `chain` of owner (NULL: nobody) names, once the chains are made; NULL: none. One that is
 * missing is told, with what happens then. */
const struct conf_chain *make_find_chain(struct maker *m, const struct value *owner,
                                         const char *when_missing);
const struct value *make_find(const struct value *root, const char *section, const char *name);

void make_rules(struct maker *m, const struct value *root);
void make_hops(struct maker *m, const struct value *root);
void make_chains(struct maker *m, const struct value *root);
/* After the chains: nameservers name them. */
void make_resolvers(struct maker *m, const struct value *root);
void make_hosts(struct maker *m, const struct value *root);
void make_services(struct maker *m, const struct value *root);

#endif
