/* configs/load.h - the one entry for app: from arguments, files and environment to a checked
 * configuration.
 *
 * config_read() gives the merged tree, which is what `-O` prints and what may still be unfit to
 * run. config_load() goes on: types, keys, values and references are checked and the model is
 * built. Both say everything in `problems`.
 */
#ifndef CONFIGS_LOAD_H
#define CONFIGS_LOAD_H

#include "configs/problem.h"
#include "core/rc.h"

struct config;
struct type_names;

/* Nothing is copied at once; the strings must live until the call ends. */
struct config_args {
    const char *const *sources, *const *nodes, *const *services; /* -C, -F, -L in order */
    size_t n_sources, n_nodes, n_services;
    const char *api, *metrics; /* -api, -metrics; NULL: not given */
    bool debug, trace;         /* -D, -DD */
    bool lenient;              /* unknown keys are warnings */
};

/* ret_v is a typed VALUE_MAP in t (configs/decode.h). RC_INVALID: there is a PROBLEM_FATAL;
 * RC_EOF: the same, for nothing was named and nothing is in the usual places. */
enum rc config_read(const struct config_args *args, struct tree *t, struct problems *p,
                    struct value **ret_v);

/* ret_cfg is the caller's, config_free() ends it (configs/model.h). RC_INVALID: a PROBLEM_REFUSE or
 * worse; RC_EOF: as above. */
enum rc config_load(const struct config_args *args, const struct type_names *names,
                    struct config **ret_cfg, struct problems *p);

#endif
