/* tests/unit/test_options_doc.c - docs/OPTIONS.md says what the option tables say. With
 * OPTIONS_DOC=write in the environment it is written anew instead.
 */
#include "app/registry.h"
#include "configs/model.h"
#include "core/option.h"
#include "run.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char path[] = "docs/OPTIONS.md";

static const char head[] =
    "# Options\n\n"
    "Every key that is accepted, from the tables in the code (`OPTIONS_DOC=write "
    "build/tests/test_options_doc` writes this page; `make unit` compares it).\n\n"
    "In YAML they stand in `metadata` of the part that the heading names, TLS keys in its `tls`; "
    "in "
    "a `-L` or `-F` URL they are parameters. A duration is `10s`, `300ms` or a number of seconds; "
    "a "
    "size is bytes, or `64KB`. *ours*: GOST does not have it. *no effect*: accepted, nothing to do "
    "here. *not yet*: named in a warning. *refused*: not served, and ignoring it would be "
    "unsafe.\n\n"
    "Fields of YAML that a URL takes as parameters: `-L` `auth`, `cert`, `key`, `ca`, `bypass`, "
    "`admission`, `resolver` (with `prefer`), `hosts`, `retries`, `strategy`, `maxFails`, "
    "`failTimeout`; `-F` `auth`, `secure`, `serverName`, `ca`, `cert`, `key`, `pin`, `bypass`, "
    "`resolver`, `hosts`, `strategy`, `maxFails`, `failTimeout`. A parameter goes to each part "
    "that "
    "knows it; `handler.`, `listener.`, `service.`, `hop.`, `node.`, `connector.` or `dialer.` "
    "before it means that part alone.\n";

static const char *kind_text(enum option_type t)
{
    switch (t) {
    case OPTION_STRING:
        return "text";
    case OPTION_INT:
        return "number";
    case OPTION_BOOL:
        return "true, false";
    case OPTION_DURATION:
        return "duration";
    case OPTION_SIZE:
        return "size";
    case OPTION_LIST:
        return "list";
    case OPTION_LINES:
        return "lines";
    case OPTION_MAP:
        return "map";
    case OPTION_NETS:
        return "networks";
    case OPTION_ENUM:
        return "word";
    }
    return "";
}

static const char *flag_text(unsigned flags)
{
    return flags & OPTION_OURS     ? " *ours*"
           : flags & OPTION_NOOP   ? " *no effect*"
           : flags & OPTION_LATER  ? " *not yet*"
           : flags & OPTION_UNSAFE ? " *refused*"
                                   : "";
}

/* A cell of a table: a | would end it. */
static void put_cell(FILE *f, const char *text)
{
    for (; text && *text; text++)
        fputs(*text == '|' ? ", " : (char[]){*text, 0}, f);
}

static void put_table(FILE *f, const char *title, const struct option *o)
{
    fprintf(f, "\n## %s\n\n", title);
    if (!o || !o->key) {
        fputs("none\n", f);
        return;
    }
    fputs("| key | also | value | default | |\n|---|---|---|---|---|\n", f);
    for (; o->key; o++) {
        fprintf(f, "| `%s` | ", o->key);
        put_cell(f, o->aliases);
        fputs(" | ", f);
        put_cell(f, o->type == OPTION_ENUM ? o->values : kind_text(o->type));
        fputs(" | ", f);
        put_cell(f, o->def);
        fputs(" | ", f);
        put_cell(f, o->help);
        fprintf(f, "%s |\n", flag_text(o->flags));
    }
}

static void put_types(FILE *f, const char *kind, const struct type_entry *e)
{
    char title[80];

    for (; e->name; e++) {
        (void)snprintf(title, sizeof title, "%s %s%s%s%s", kind, e->name, e->aliases ? " (" : "",
                       e->aliases ? e->aliases : "", e->aliases ? ")" : "");
        put_table(f, title, e->options);
    }
}

static char *render(size_t *ret_n)
{
    const struct type_names *names = registry_names();
    char *text = NULL;
    FILE *f = open_memstream(&text, ret_n);

    ck_assert_ptr_nonnull(f);
    fputs(head, f);
    put_table(f, "service", service_options);
    put_types(f, "handler", names->handlers);
    put_types(f, "listener", names->listeners);
    put_table(f, "hop", hop_options);
    put_table(f, "node", node_options);
    put_types(f, "connector", names->connectors);
    put_types(f, "dialer", names->dialers);
    put_table(f, "tls of listeners and handlers", names->tls_server);
    put_table(f, "tls of dialers and connectors", names->tls_client);
    (void)fclose(f);
    return text;
}

START_TEST(test_the_page_is_what_the_tables_say)
{
    size_t n = 0, m = 0;
    char *want = render(&n), *got = calloc(1, n + 2);
    bool writes = getenv("OPTIONS_DOC") != NULL;
    FILE *f = fopen(path, writes ? "w" : "r");

    ck_assert_ptr_nonnull(f);
    if (writes)
        ck_assert_uint_eq(fwrite(want, 1, n, f), n);
    else
        m = fread(got, 1, n + 1, f);
    (void)fclose(f);
    ck_assert_msg(writes || (m == n && memcmp(want, got, n) == 0),
                  "%s is old: OPTIONS_DOC=write build/tests/test_options_doc", path);
    free(want);
    free(got);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("options_doc");
    TCase *tc = tcase_create("page");
    tcase_add_test(tc, test_the_page_is_what_the_tables_say);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
