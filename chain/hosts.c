/* chain/hosts.c - the file as one text, with an array of (name, address) sorted by name. */
#include "chain/hosts.h"
#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 4 << 20, LOOK_AGAIN_MS = 1000 };

struct line {
    const char *name; /* in text */
    uint32_t order;
    struct addr addr;
};

struct hosts {
    char *path;
    char *text;
    struct line *v;
    size_t n, cap;
    uint64_t looked_ms;
    struct timespec changed;
    off_t bytes;
    ino_t inode;
};

struct hosts *hosts_new(const char *path)
{
    struct hosts *h = calloc(1, sizeof(*h));
    char *copy = strdup(path);
    if (h == NULL || copy == NULL) {
        free(h);
        free(copy);
        return NULL;
    }
    h->path = copy;
    return h;
}

static void forget(struct hosts *h)
{
    free(h->text);
    free(h->v);
    h->text = NULL;
    h->v = NULL;
    h->n = h->cap = 0;
}

void hosts_free(struct hosts *h)
{
    if (h == NULL)
        return;
    forget(h);
    free(h->path);
    free(h);
}

static int by_name(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    int c = strcasecmp(x->name, y->name);
    return c != 0 ? c : x->order < y->order ? -1 : x->order > y->order;
}

static void add(struct hosts *h, const char *name, const struct addr *a)
{
    if (h->n == h->cap) {
        size_t cap = h->cap > 0 ? 2 * h->cap : 32;
        struct line *v = realloc(h->v, cap * sizeof(*v));
        if (v == NULL)
            return; /* what was read so far still serves */
        h->v = v;
        h->cap = cap;
    }
    h->v[h->n] = (struct line){.name = name, .order = (uint32_t)h->n, .addr = *a};
    h->n++;
}

static void parse_line(struct hosts *h, char *line)
{
    char *comment = strchr(line, '#'), *rest = NULL;
    if (comment != NULL)
        *comment = 0;
    char *word = strtok_r(line, " \t\r\v\f", &rest);
    struct addr a;
    if (word == NULL || !addr_parse_ip(word, strlen(word), &a))
        return;
    a = addr_unmap(a);
    while ((word = strtok_r(NULL, " \t\r\v\f", &rest)) != NULL) {
        size_t n = strlen(word);
        if (n > 1 && word[n - 1] == '.') /* absolute, as all names here are */
            word[n - 1] = 0;
        add(h, word, &a);
    }
}

static char *read_text(const char *path, struct stat *ret_st)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    char *text = NULL;
    size_t n = 0;
    if (fstat(fd, ret_st) != 0 || !S_ISREG(ret_st->st_mode))
        goto out;
    size_t cap = ret_st->st_size < FILE_MAX_BYTES ? (size_t)ret_st->st_size : FILE_MAX_BYTES;
    text = malloc(cap + 1);
    while (text != NULL && n < cap) {
        ssize_t k = read(fd, text + n, cap - n);
        if (k <= 0)
            break;
        n += (size_t)k;
    }
    if (text != NULL && n == FILE_MAX_BYTES)
        while (n > 0 && text[n - 1] != '\n')
            n--;
    if (text != NULL)
        text[n] = 0;
out:
    (void)close(fd);
    return text;
}

static void refresh(struct hosts *h, uint64_t now_ms)
{
    struct stat st;
    if (h->looked_ms != 0 && now_ms - h->looked_ms < LOOK_AGAIN_MS)
        return;
    h->looked_ms = now_ms > 0 ? now_ms : 1;
    if (stat(h->path, &st) != 0) {
        forget(h);
        h->inode = 0;
        return;
    }
    if (st.st_ino == h->inode && st.st_size == h->bytes && st.st_mtim.tv_sec == h->changed.tv_sec &&
        st.st_mtim.tv_nsec == h->changed.tv_nsec)
        return;
    forget(h);
    h->text = read_text(h->path, &st);
    if (h->text == NULL)
        return;
    h->inode = st.st_ino;
    h->bytes = st.st_size;
    h->changed = st.st_mtim;
    char *rest = NULL, *text = h->text;
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0) /* some editors' mark of UTF-8 */
        text += 3;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        parse_line(h, line);
    if (h->n > 0)
        qsort(h->v, h->n, sizeof(*h->v), by_name);
}

int hosts_lookup(struct hosts *h, const char *name, uint64_t now_ms, struct addr *v, int cap)
{
    refresh(h, now_ms);
    size_t low = 0, high = h->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcasecmp(h->v[mid].name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    int n = 0;
    for (; low < h->n && n < cap && strcasecmp(h->v[low].name, name) == 0; low++)
        v[n++] = h->v[low].addr;
    return n;
}
