/* tests/fuzz/fuzz_url.c - a -L and a -F value (two lines) through everything: grammar, generated
 * objects, merge, decode, both prints, model. The printed YAML must load again.
 */
#include "configs/dump.h"
#include "configs/load.h"
#include "configs/model.h"
#include "configs/source.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct option table[] = {{.key = "path", .type = OPTION_STRING}, OPTION_END};
static const struct type_entry types[] = {{"auto", NULL, table},
                                          {"http", NULL, table},
                                          {"tcp", NULL, table},
                                          {"relay", NULL, table},
                                          {NULL, NULL, NULL}};
static const struct type_names names = {types, types, types, types, NULL, NULL, CONFIG_BYPASS};

static void read_again(const struct dump *d)
{
    struct problems p = {0};
    struct tree *t = tree_new();
    struct source src = {t, &p, "again", false};
    struct value *v;
    if (t && yaml_parse(&src, d->text, d->len, &v) == RC_INVALID)
        abort();
    problems_done(&p);
    tree_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 2000)
        return 0;
    char *service = strndup((const char *)data, size);
    char *node = service ? strchr(service, '\n') : NULL;
    if (node)
        *node++ = 0;
    struct config_args args = {.services = (const char *const *)&service,
                               .n_services = service != NULL,
                               .nodes = (const char *const *)&node,
                               .n_nodes = node != NULL,
                               .api = ":1"}; /* so that no file is searched for */
    struct problems p = {0};
    struct tree *t = tree_new();
    struct value *v;
    if (t && config_read(&args, t, &p, &v) == RC_OK) {
        struct dump yaml = {0}, json = {0};
        if (dump_yaml(&yaml, v) == RC_OK && dump_json(&json, v) == RC_OK)
            read_again(&yaml);
        dump_done(&yaml);
        dump_done(&json);
    }
    tree_free(t);
    struct config *cfg = NULL;
    args.api = NULL;
    if (service && *service && config_load(&args, &names, &cfg, &p) == RC_OK)
        config_free(cfg);
    problems_done(&p);
    free(service);
    return 0;
}
