/* configs/source.c - where a configuration text comes from: standard input, the argument itself, a
 * file, or the default file search of gost-config.md 1.4.
 */
#include "configs/source.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* What viper knows: of these we read the first three. */
static const char *const extensions[] = {"json", "yaml", "yml"};

static enum rc fatal(struct problems *p, const char *source, const char *what, const char *detail)
{
    struct place at = {source, NULL, 0, 0};
    problems_add(p, PROBLEM_FATAL, &at, "%s%s%s", what, detail ? ": " : "", detail ? detail : "");
    return RC_INVALID;
}

/* All of fd, up to SOURCE_BYTES_MAX. The text is the caller's to free. */
static enum rc read_all(int fd, const char *name, struct problems *p, char **ret_text,
                        size_t *ret_len)
{
    char *text = NULL;
    size_t len = 0, cap = 0;
    for (;;) {
        if (len == cap) {
            cap = cap ? cap * 2 : 16384;
            char *more = cap <= 2 * (size_t)SOURCE_BYTES_MAX ? realloc(text, cap) : NULL;
            if (!more) {
                free(text);
                return cap > SOURCE_BYTES_MAX ? fatal(p, name, "larger than 16 MiB", NULL)
                                              : RC_NOMEM;
            }
            text = more;
        }
        ssize_t n = read(fd, text + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            free(text);
            return fatal(p, name, "cannot read", strerror(errno));
        }
        if (n == 0)
            break;
        len += (size_t)n;
    }
    if (len > SOURCE_BYTES_MAX) {
        free(text);
        return fatal(p, name, "larger than 16 MiB", NULL);
    }
    *ret_text = text;
    *ret_len = len;
    return RC_OK;
}

static const char *extension_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    const char *dot = strrchr(base, '.');
    return dot ? dot + 1 : "";
}

static enum rc read_fd(struct tree *t, struct problems *p, int fd, const char *name, bool is_json,
                       struct value **ret_v)
{
    char *text;
    size_t len;
    enum rc rc = read_all(fd, name, p, &text, &len);
    if (rc != RC_OK)
        return rc;
    struct source src = {t, p, name, false};
    if (fd == STDIN_FILENO) {
        size_t i = 0;
        while (i < len && isspace((unsigned char)text[i]))
            i++;
        is_json = i < len && text[i] == '{';
    }
    rc = is_json ? json_parse(&src, text, len, ret_v) : yaml_parse(&src, text, len, ret_v);
    free(text);
    return rc;
}

static enum rc read_file(struct tree *t, struct problems *p, const char *path, struct value **ret_v)
{
    const char *ext = extension_of(path), *name = tree_text(t, path, strlen(path));
    bool known = false;
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++)
        known = known || strcmp(ext, extensions[i]) == 0;
    if (!name)
        return RC_NOMEM;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return fatal(p, name, "cannot open", strerror(errno));
    enum rc rc;
    if (!known)
        rc = fatal(p, name, "unsupported config type; a file ends in .json, .yaml or .yml", NULL);
    else
        rc = read_fd(t, p, fd, name, strcmp(ext, "json") == 0, ret_v);
    (void)close(fd);
    return rc;
}

/* /etc/gost/, $HOME/.gost/, . - in each json, yaml, yml. */
static enum rc read_default(struct tree *t, struct problems *p, struct value **ret_v)
{
    const char *home = getenv("HOME");
    const char *dirs[] = {"/etc/gost/", NULL, "./"};
    if (home && *home)
        dirs[1] = tree_printf(t, "%s/.gost/", home);
    for (size_t d = 0; d < 3; d++) {
        for (size_t e = 0; dirs[d] && e < sizeof extensions / sizeof *extensions; e++) {
            bool here = d == 2;
            const char *path = tree_printf(t, "%sgost.%s", here ? "" : dirs[d], extensions[e]);
            struct stat st;
            if (!path)
                return RC_NOMEM;
            if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
                return read_file(t, p, path, ret_v);
        }
    }
    problems_add(p, PROBLEM_FATAL, NULL,
                 "nothing to serve: no -L, no -C, and no gost.json, gost.yaml or gost.yml in "
                 "/etc/gost, $HOME/.gost or the working directory");
    return RC_EOF;
}

static bool is_web_url(const char *text)
{
    return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
}

enum rc source_read(struct tree *t, struct problems *p, const char *text, struct value **ret_v,
                    bool *ret_strict)
{
    *ret_strict = false;
    if (!text)
        return read_default(t, p, ret_v);
    size_t len = strlen(text);
    while (len > 0 && isspace((unsigned char)*text))
        text++, len--;
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    const char *trimmed = tree_text(t, text, len);
    if (!trimmed)
        return RC_NOMEM;
    if (strcmp(trimmed, "-") == 0)
        return read_fd(t, p, STDIN_FILENO, "<stdin>", false, ret_v);
    if (len >= 2 && trimmed[0] == '{' && trimmed[len - 1] == '}') {
        struct source src = {t, p, "-C {...}", true};
        *ret_strict = true;
        return json_parse(&src, trimmed, len, ret_v);
    }
    if (trimmed[0] == '{') /* its text may hold passwords: it is not told */
        return fatal(p, "-C {...}", "it does not end with }", NULL);
    if (is_web_url(trimmed))
        return fatal(p, "-C", "a configuration from the web is not served yet", NULL);
    return read_file(t, p, trimmed, ret_v);
}
