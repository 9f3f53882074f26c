/* chain/fakefile.c - see the header. */
#include "chain/fakefile.h"
#include "chain/fakepool.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = ADDR_TEXT_MAX + FAKEPOOL_NAME_MAX + 2,
    PENDING_MAX_BYTES = 64 * 1024,
    GROWN_BYTES = 1 << 20, /* smaller files are never written anew while in use */
    GROWN_TIMES = 4
};

struct fakefile {
    struct fakepool *pool;
    char *path, *beside;
    int fd;
    size_t n_pending, n_bytes, n_compact; /* n_compact: bytes after it was last written anew */
    bool failed;
    char pending[PENDING_MAX_BYTES];
};

/* ---------------------------------------------------------------- reading */

static bool take_line(struct fakepool *pool, const char *line, size_t n)
{
    char name[FAKEPOOL_NAME_MAX + 1];
    const char *blank = memchr(line, ' ', n);
    struct addr a;
    if (blank == NULL)
        return false;
    size_t addr_n = (size_t)(blank - line), name_n = n - addr_n - 1;
    if (name_n == 0 || name_n > FAKEPOOL_NAME_MAX || memchr(blank + 1, 0, name_n) != NULL ||
        addr_n >= ADDR_TEXT_MAX || !addr_parse_ip(line, addr_n, &a))
        return false;
    memcpy(name, blank + 1, name_n);
    name[name_n] = 0;
    return fakepool_restore(pool, &a, name);
}

bool fakefile_parse(struct fakepool *pool, const char *text, size_t n,
                    struct fakefile_found *ret_found)
{
    struct fakefile_found found = {.names = 0};
    size_t at = strlen(FAKEFILE_HEAD);
    if (n < at || memcmp(text, FAKEFILE_HEAD, at) != 0)
        return false;
    while (at < n) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t line_n = end != NULL ? (size_t)(end - text) - at : n - at;
        if (end == NULL || !take_line(pool, text + at, line_n))
            found.spoiled++;
        at += line_n + 1;
    }
    found.names = fakepool_count(pool);
    *ret_found = found;
    return true;
}

static enum rc read_all(int fd, char **ret_text, size_t *ret_n, struct diag *diag)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return diag_errno(diag, errno, "fstat");
    if (!S_ISREG(st.st_mode))
        return diag_set(diag, RC_INVALID, "not a file");
    if (st.st_size > FAKEFILE_MAX_BYTES)
        return diag_set(diag, RC_LIMIT, "too big for a record of fake addresses");
    size_t size = (size_t)st.st_size, n = 0;
    char *text = malloc(size + 1);
    if (text == NULL)
        return diag_set(diag, RC_NOMEM, "no memory");
    while (n < size) {
        ssize_t got = pread(fd, text + n, size - n, (off_t)n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            free(text);
            return diag_errno(diag, errno, "read");
        }
        if (got == 0)
            break;
        n += (size_t)got;
    }
    *ret_text = text;
    *ret_n = n;
    return RC_OK;
}

/* ---------------------------------------------------------------- writing */

static bool write_all(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t sent = write(fd, data, n);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        data += sent;
        n -= (size_t)sent;
    }
    return true;
}

/* Locked, so that nobody else takes it after the rename. -1: errno. */
static int open_locked(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int err = errno;
        (void)close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

static bool flush(struct fakefile *f)
{
    bool ok = f->n_pending == 0 || write_all(f->fd, f->pending, f->n_pending);
    f->n_bytes += f->n_pending;
    f->n_pending = 0;
    return ok;
}

static bool add_line(void *arg, const struct addr *a, const char *name)
{
    struct fakefile *f = arg;
    char ip[ADDR_TEXT_MAX], line[LINE_MAX_BYTES];
    int n = snprintf(line, sizeof(line), "%s %s\n", addr_format_ip(a, ip, sizeof(ip)), name);
    if (n <= 0 || (size_t)n >= sizeof(line))
        return true; /* no name is that long */
    if (f->n_pending + (size_t)n > sizeof(f->pending) && !flush(f))
        return false;
    memcpy(f->pending + f->n_pending, line, (size_t)n);
    f->n_pending += (size_t)n;
    return true;
}

/* The whole pool, beside the file and then in its place. */
static bool write_anew(struct fakefile *f)
{
    int old = f->fd, fd = open_locked(f->beside, O_RDWR | O_CREAT | O_TRUNC | O_APPEND);
    if (fd < 0)
        return false;
    f->fd = fd;
    f->n_bytes = f->n_pending = 0;
    if (write_all(fd, FAKEFILE_HEAD, strlen(FAKEFILE_HEAD)) &&
        fakepool_each(f->pool, add_line, f) && flush(f) && rename(f->beside, f->path) == 0) {
        f->n_compact = f->n_bytes;
        (void)close(old);
        return true;
    }
    int err = errno;
    f->fd = old;
    (void)unlink(f->beside);
    (void)close(fd);
    errno = err;
    return false;
}

void fakefile_add(struct fakefile *f, const struct addr *a, const char *name)
{
    if (!f->failed && !add_line(f, a, name))
        f->failed = true;
}

enum rc fakefile_flush(struct fakefile *f, struct diag *diag)
{
    if (f->failed)
        return RC_SYS;
    if (!flush(f) ||
        (f->n_bytes > GROWN_BYTES && f->n_bytes / GROWN_TIMES > f->n_compact && !write_anew(f))) {
        f->failed = true;
        return diag_errno(diag, errno, "%s", f->path);
    }
    return RC_OK;
}

/* ---------------------------------------------------------------- life */

static void release(struct fakefile *f)
{
    if (f->fd >= 0)
        (void)close(f->fd);
    free(f->path);
    free(f->beside);
    free(f);
}

void fakefile_close(struct fakefile *f)
{
    if (f == NULL)
        return;
    if (!f->failed)
        (void)write_anew(f); /* else what was appended stays: the same but for the order */
    release(f);
}

static void make_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash != NULL && slash > path ? strndup(path, (size_t)(slash - path)) : NULL;
    if (folder != NULL)
        (void)mkdir(folder, 0755); /* whether it is there shows when the file is opened */
    free(folder);
}

static enum rc set_aside(struct fakefile *f, struct diag *diag)
{
    size_t n = strlen(f->path) + sizeof(".bad");
    char *bad = malloc(n);
    if (bad == NULL)
        return diag_set(diag, RC_NOMEM, "no memory");
    (void)snprintf(bad, n, "%s.bad", f->path);
    int ret = rename(f->path, bad);
    free(bad);
    return ret == 0 ? RC_OK : diag_errno(diag, errno, "%s: rename", f->path);
}

static enum rc load(struct fakefile *f, struct fakefile_found *found, struct diag *diag)
{
    char *text = NULL;
    size_t n = 0;
    struct diag why = {.rc = RC_OK};
    make_folder(f->path);
    f->fd = open_locked(f->path, O_RDWR | O_CREAT | O_APPEND);
    if (f->fd < 0 && errno == EWOULDBLOCK)
        return diag_set(diag, RC_LIMIT, "%s: another process uses it", f->path);
    if (f->fd < 0)
        return diag_errno(diag, errno, "%s", f->path);
    enum rc rc = read_all(f->fd, &text, &n, &why);
    if (rc != RC_OK && rc != RC_LIMIT)
        return diag_set(diag, rc, "%s: %s", f->path, why.text);
    bool ours = rc == RC_OK && (n == 0 || fakefile_parse(f->pool, text, n, found));
    free(text);
    if (!ours) {
        found->set_aside = true;
        rc = set_aside(f, diag);
        if (rc != RC_OK)
            return rc;
    }
    return write_anew(f) ? RC_OK : diag_errno(diag, errno, "%s", f->path);
}

enum rc fakefile_open(const char *path, struct fakepool *pool, struct fakefile **ret_f,
                      struct fakefile_found *ret_found, struct diag *diag)
{
    struct fakefile *f = calloc(1, sizeof(*f));
    size_t n = strlen(path) + sizeof(".new");
    struct fakefile_found found = {.names = 0};
    enum rc rc;
    if (f == NULL)
        return diag_set(diag, RC_NOMEM, "no memory");
    f->pool = pool;
    f->fd = -1;
    f->path = strdup(path);
    f->beside = malloc(n);
    if (f->path == NULL || f->beside == NULL) {
        rc = diag_set(diag, RC_NOMEM, "no memory");
    } else {
        (void)snprintf(f->beside, n, "%s.new", path);
        rc = load(f, &found, diag);
    }
    if (rc != RC_OK) {
        release(f);
        return rc;
    }
    *ret_found = found;
    *ret_f = f;
    return RC_OK;
}
