/* configs/model.c - a typed tree to the model: shared pieces, the named objects, and the whole. */
#include "configs/model.h"
#include "configs/build.h"
#include "configs/check.h"
#include "configs/load.h"
#include "configs/url.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *make_array(struct maker *m, const struct value *list, size_t bytes)
{
    void *v = tree_alloc(m->tree, ((list ? list->n : 0) + 1) * bytes);
    if (!v)
        m->rc = RC_NOMEM;
    return v;
}

int64_t make_num(const struct value *map, const char *key)
{
    const struct value *v = map ? value_get(map, key) : NULL;
    return v ? v->num : 0;
}

int64_t make_int(int64_t n)
{
    return n > INT32_MAX ? INT32_MAX : n < INT32_MIN ? INT32_MIN : n;
}

uint32_t make_mark(struct maker *m, const struct value *owner)
{
    const struct value *sockopts = value_get(owner, "sockopts");
    int64_t mark = make_num(sockopts, "mark");
    if (mark >= 0 && mark <= UINT32_MAX)
        return (uint32_t)mark;
    problems_add(m->problems, PROBLEM_REFUSE, &value_get(sockopts, "mark")->place,
                 "mark: expected 0 to %u", UINT32_MAX);
    return 0;
}

struct conf_names make_names(struct maker *m, const struct value *map, const char *one,
                             const char *many)
{
    const struct value *list = value_get(map, many);
    const char *first = value_text(map, one);
    struct conf_names names = {.v = NULL, .n = 0};
    if (!*first && !list)
        return names;
    names.v = tree_alloc(m->tree, ((list ? list->n : 0) + 1) * sizeof *names.v);
    if (!names.v) {
        m->rc = RC_NOMEM;
        return names;
    }
    if (*first)
        names.v[names.n++] = first;
    value_each(item, list)
    {
        if (item->kind == VALUE_STRING && *item->text)
            names.v[names.n++] = item->text;
    }
    return names;
}

struct conf_selector make_selector(const struct value *map)
{
    struct conf_selector s = {.strategy = map ? value_text(map, "strategy") : ""};
    s.max_fails = make_num(map, "maxFails");
    s.fail_timeout_ms = make_num(map, "failTimeout") / 1000000;
    return s;
}

const struct value *make_find(const struct value *root, const char *section, const char *name)
{
    value_each(item, value_get(root, section))
    {
        if (item->kind == VALUE_MAP && strcmp(value_text(item, "name"), name) == 0)
            return item;
    }
    return NULL;
}

/* ---- users ---- */

/* "user password"; '#' begins a comment line; a user alone has an empty password. false: no entry.
 */
static bool parse_user_line(char *line, char **ret_user, char **ret_password)
{
    static const char blanks[] = " \t\r\n";
    line += strspn(line, blanks);
    if (!*line || *line == '#')
        return false;
    char *end = line + strcspn(line, blanks), *password = end + strspn(end, blanks);
    *end = 0;
    password[strcspn(password, blanks)] = 0;
    *ret_user = line;
    *ret_password = password;
    return true;
}

static void file_users(struct maker *m, const struct value *file, struct conf_auther *to)
{
    const char *path = value_text(file, "path");
    FILE *f = *path ? fopen(path, "re") : NULL;
    if (!f) {
        problems_add(m->problems, PROBLEM_REFUSE, &file->place, "cannot read \"%s\": %s", path,
                     *path ? strerror(errno) : "no path");
        return;
    }
    char *line = NULL, *user, *password;
    size_t cap = 0, room = to->n;
    while (getline(&line, &cap, f) >= 0) {
        if (!parse_user_line(line, &user, &password))
            continue;
        if (to->n == room) {
            struct conf_auth *more = tree_alloc(m->tree, (room * 2 + 8) * sizeof *more);
            if (!more)
                break;
            if (to->n)
                memcpy(more, to->users, to->n * sizeof *more);
            to->users = more;
            room = room * 2 + 8;
        }
        to->users[to->n++] = (struct conf_auth){true, tree_text(m->tree, user, strlen(user)),
                                                tree_text(m->tree, password, strlen(password))};
    }
    if (line)
        explicit_bzero(line, cap);
    free(line);
    (void)fclose(f);
}

void make_auth(struct maker *m, const struct value *auth, bool sends, struct conf_auth *to)
{
    *to = (struct conf_auth){.user = "", .password = ""};
    if (!auth)
        return;
    const char *path = value_text(auth, "file");
    *to = (struct conf_auth){true, value_text(auth, "username"), value_text(auth, "password")};
    if (!*path)
        return;
    if (!sends) {
        problems_add(m->problems, PROBLEM_REFUSE, &auth->place,
                     "auth.file does not check clients; use an auther with this file");
        return;
    }
    struct value *file = value_new(m->tree, VALUE_MAP, &auth->place);
    value_put(file, "path", value_string(m->tree, path, &auth->place));
    struct conf_auther users = {.name = ""};
    if (file)
        file_users(m, file, &users);
    if (users.n > 0)
        *to = users.users[0];
}

static void make_authers(struct maker *m, const struct value *root)
{
    const struct value *list = value_get(root, "authers");
    struct conf_auther *v = make_array(m, list, sizeof *v);
    m->cfg->authers = v;
    value_each(item, list)
    {
        if (!v || item->kind != VALUE_MAP)
            continue;
        const struct value *users = value_get(item, "auths"), *file = value_get(item, "file");
        struct conf_auther *a = &v[m->cfg->n_authers++];
        a->name = value_text(item, "name");
        a->users = make_array(m, users, sizeof *a->users);
        value_each(user, users)
        {
            if (!a->users || user->kind != VALUE_MAP)
                continue;
            a->users[a->n] = (struct conf_auth){true, value_text(user, "username"),
                                                value_text(user, "password")};
            if (!*a->users[a->n++].password)
                problems_add(m->problems, PROBLEM_WARNING, &user->place,
                             "user without password: any password is accepted");
        }
        if (file && a->users)
            file_users(m, file, a);
    }
}

void make_check_lookup(struct maker *m, const struct value *owner)
{
    static const struct {
        const char *key, *section;
        unsigned feature;
    } kinds[] = {{"resolver", "resolvers", CONFIG_RESOLVER}, {"hosts", "hosts", CONFIG_HOSTS}};
    for (size_t i = 0; i < 2; i++) {
        const struct value *v = value_get(owner, kinds[i].key);
        if (!v || v->kind != VALUE_STRING || !*v->text)
            continue;
        if (!make_find(m->cfg->root, kinds[i].section, v->text))
            problems_add(m->problems, PROBLEM_ERROR, &v->place,
                         "%s \"%s\" does not exist and is ignored", kinds[i].key, v->text);
        else if (!(m->names->features & kinds[i].feature))
            problems_add(m->problems, PROBLEM_WARNING, &v->place,
                         "%s is not served yet and is ignored", kinds[i].key);
    }
}

/* ---- the whole ---- */

/* Names must be there and be unique in the sections that are referred to by name. */
static void check_unique(struct maker *m, const struct value *root)
{
    static const char *const sections[] = {"services",  "chains",     "hops",
                                           "authers",   "admissions", "bypasses",
                                           "resolvers", "hosts",      NULL};
    for (size_t s = 0; sections[s]; s++) {
        value_each(item, value_get(root, sections[s]))
        {
            const char *name = value_text(item, "name");
            if (item->kind != VALUE_MAP)
                continue;
            if (!*name && s > 0)
                problems_add(m->problems, PROBLEM_WARNING, &item->place,
                             "%s: an item without name can't be used", sections[s]);
            if (*name && make_find(root, sections[s], name) != item)
                problems_add(m->problems, PROBLEM_REFUSE, &item->place,
                             "%s: the name \"%s\" is there twice", sections[s], name);
        }
    }
}

void config_free(struct config *cfg)
{
    if (!cfg)
        return;
    for (size_t i = 0; i < cfg->n_services; i++)
        options_done(service_options, &cfg->services[i].options);
    tree_free(cfg->tree);
    free(cfg);
}

static enum rc make_config(struct config *cfg, const struct config_args *args,
                           const struct type_names *names, struct problems *p)
{
    struct value *root;
    cfg->tree = tree_new();
    enum rc rc = cfg->tree ? config_read(args, cfg->tree, p, &root) : RC_NOMEM;
    if (rc != RC_OK)
        return rc;
    struct maker m = {cfg, cfg->tree, p, names, args->lenient, RC_OK};
    const struct value *log = value_get(root, "log");
    cfg->root = root;
    cfg->tls = value_get(root, "tls");
    cfg->log =
        (struct conf_log){log ? value_text(log, "output") : "", log ? value_text(log, "level") : "",
                          log ? value_text(log, "format") : ""};
    if (cfg->tls && names->tls_server &&
        options_fill(names->tls_server, cfg->tls, NULL, p) == RC_NOMEM)
        return RC_NOMEM;
    check_unique(&m, root);
    make_authers(&m, root);
    make_rules(&m, root);
    make_hops(&m, root);
    make_chains(&m, root);
    make_resolvers(&m, root);
    make_hosts(&m, root);
    make_services(&m, root);
    if (cfg->n_services == 0)
        problems_add(p, PROBLEM_REFUSE, NULL, "there is no service");
    if (m.rc != RC_OK || !tree_ok(cfg->tree))
        return RC_NOMEM;
    return problems_have(p, PROBLEM_REFUSE) ? RC_INVALID : RC_OK;
}

enum rc config_load(const struct config_args *args, const struct type_names *names,
                    struct config **ret_cfg, struct problems *p)
{
    struct config *cfg = calloc(1, sizeof *cfg);
    enum rc rc = cfg ? make_config(cfg, args, names, p) : RC_NOMEM;
    if (rc == RC_OK)
        *ret_cfg = cfg;
    else
        config_free(cfg);
    return rc;
}
