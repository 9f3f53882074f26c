/* tests/fuzz/fuzz_yaml.c - a configuration file: YAML, and JSON when it begins with a brace,
 * decoded and printed; what was printed must be a configuration again.
 */
#include "configs/decode.h"
#include "configs/dump.h"
#include "configs/source.h"
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef enum rc parse_fn(const struct source *src, const char *text, size_t len,
                         struct value **ret_v);

static bool print(parse_fn *parse, const char *text, size_t len, struct dump *yaml)
{
    struct problems p = {0};
    struct tree *t = tree_new();
    struct source src = {t, &p, "fuzz.yml", false};
    struct decode_opts opts = {.lenient = true};
    struct value *raw, *v;
    struct dump json = {0};
    bool good = t && parse(&src, text, len, &raw) == RC_OK &&
                decode_config(t, &p, &opts, raw, &v) == RC_OK && dump_yaml(yaml, v) == RC_OK &&
                dump_json(&json, v) == RC_OK;
    dump_done(&json);
    problems_done(&p);
    tree_free(t);
    return good;
}

static void run(parse_fn *parse, const char *text, size_t len)
{
    struct dump first = {0}, second = {0};
    if (print(parse, text, len, &first) && !print(yaml_parse, first.text, first.len, &second))
        abort();
    dump_done(&first);
    dump_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 8192)
        return 0;
    run(yaml_parse, (const char *)data, size);
    if (size > 0 && data[0] == '{')
        run(json_parse, (const char *)data, size);
    return 0;
}
