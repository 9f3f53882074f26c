/* core/log.c - one record, one line, one write. See log.h. */
#include "core/log.h"
#include "core/sink.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, REPEATS_PER_SECOND = 10, FIELD_MIN_BYTES = 40 };

static struct {
    enum log_level level;
    struct sink sink;
    bool text;
    /* the last warning or error: beyond REPEATS_PER_SECOND of the same text it is counted, not
     * written */
    char last[160];
    time_t last_s;
    unsigned same, hidden;
} the_log = {.level = LOG_INFO, .sink = {.fd = 2, .kind = SINK_WAITS}};

static const char *const level_names[] = {"trace", "debug", "info", "warn", "error", "fatal"};

enum log_level log_level_parse(const char *word, bool *ret_known)
{
    bool known = true;
    enum log_level level = LOG_INFO;

    if (!strcmp(word, "warning"))
        word = "warn";
    for (level = LOG_TRACE; level <= LOG_FATAL; level++)
        if (!strcmp(word, level_names[level]))
            break;
    if (level > LOG_FATAL) {
        known = false;
        level = LOG_INFO;
    }
    if (ret_known)
        *ret_known = known;
    return level;
}

bool log_wants(enum log_level level)
{
    return level >= the_log.level && the_log.sink.fd >= 0;
}

/* Is it one of the words that are no file? *ret_fd then is its descriptor, -1: none. */
static bool is_word(const char *out, int *ret_fd)
{
    bool is_none = !strcmp(out, "none") || !strcmp(out, "null");

    *ret_fd = is_none ? -1 : !strcmp(out, "stdout") ? 1 : 2;
    return is_none || *ret_fd == 1 || !*out || !strcmp(out, "stderr");
}

/* Writable as it is, or as what log_open() would make of its folder. */
static int why_not_writable(const char *path)
{
    char dir[1024];
    struct stat st;
    char *slash;

    if (!stat(path, &st))
        return S_ISDIR(st.st_mode) ? EISDIR : access(path, W_OK) ? errno : 0;
    if (errno != ENOENT)
        return errno;
    if (strlen(path) >= sizeof dir)
        return ENAMETOOLONG;
    if (path[strlen(path) - 1] == '/')
        return EISDIR;
    snprintf(dir, sizeof dir, "%s", path);
    while ((slash = strrchr(dir, '/')) && slash != dir) { /* up to what is there */
        *slash = 0;
        if (!stat(dir, &st) || errno != ENOENT)
            break;
    }
    if (!slash || slash == dir)
        snprintf(dir, sizeof dir, slash ? "/" : ".");
    if (stat(dir, &st))
        return errno;
    if (!S_ISDIR(st.st_mode))
        return ENOTDIR;
    return access(dir, W_OK | X_OK) ? errno : 0;
}

enum rc log_check_output(const char *output, struct diag *diag)
{
    int fd, err = is_word(output, &fd) ? 0 : why_not_writable(output);

    return err ? diag_errno(diag, err, "log file %s", output) : RC_OK;
}

enum rc log_open(const struct log_cfg *cfg, struct diag *diag)
{
    const char *out = cfg->output ? cfg->output : "";
    int fd;

    if (is_word(out, &fd)) {
        sink_take(&the_log.sink, fd);
    } else {
        enum rc rc = sink_open(&the_log.sink, out, diag);

        if (rc != RC_OK)
            return rc;
    }
    the_log.level = cfg->level;
    the_log.text = cfg->text;
    return RC_OK;
}

void log_close(void)
{
    sink_close(&the_log.sink);
}

/* ---------------------------------------------------------------- building a line */

struct line {
    char s[LINE_MAX_BYTES];
    size_t n;
};

static void put(struct line *l, const char *s, size_t n)
{
    size_t room = sizeof l->s - 2 - l->n; /* the closing brace and the line feed always fit */

    if (n > room)
        n = room;
    memcpy(l->s + l->n, s, n);
    l->n += n;
}

static void puts_(struct line *l, const char *s)
{
    put(l, s, strlen(s));
}

/* How many bytes of UTF-8 begin here; 0: none that may stand in a log (cut, overlong, a surrogate,
 * or a control character of the second set). */
static size_t utf8_bytes(const unsigned char *s)
{
    unsigned min2 = s[0] == 0xc2 ? 0xa0 : s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned max2 = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    size_t n = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

    if (n == 0 || s[1] < min2 || s[1] > max2)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

/* As a JSON string, which quoted text values of the text format are too. */
static void put_quoted(struct line *l, const char *s)
{
    char esc[8];
    size_t n;

    puts_(l, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (sizeof l->s - l->n < 16)
            break;
        if (c == '"' || c == '\\') {
            esc[0] = '\\';
            esc[1] = (char)c;
            put(l, esc, 2);
        } else if (c == '\n') {
            puts_(l, "\\n");
        } else if (c >= 0x80 && (n = utf8_bytes((const unsigned char *)s)) > 0) {
            put(l, s, n);
            s += n - 1;
        } else if (c < 0x20 || c >= 0x7f) {
            put(l, esc, (size_t)snprintf(esc, sizeof esc, "\\u%04x", c));
        } else {
            put(l, s, 1);
        }
    }
    puts_(l, "\"");
}

static bool is_plain(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == '"' || *s == '=' || *s == '\\' ||
            (unsigned char)*s >= 0x7f)
            return false;
    return true;
}

static void put_field(struct line *l, const char *key, const char *str, int64_t num)
{
    char buf[32];

    if (sizeof l->s - l->n < strlen(key) + FIELD_MIN_BYTES)
        return; /* the record is too long for one more */
    if (the_log.text) {
        if (l->n)
            puts_(l, " ");
        puts_(l, key);
        puts_(l, "=");
    } else {
        puts_(l, l->n == 1 ? "\"" : ",\"");
        puts_(l, key);
        puts_(l, "\":");
    }
    if (!str)
        put(l, buf, (size_t)snprintf(buf, sizeof buf, "%lld", (long long)num));
    else if (the_log.text && is_plain(str))
        puts_(l, str);
    else
        put_quoted(l, str);
}

static const char *timestamp(char *buf, size_t cap)
{
    struct timespec ts;
    struct tm tm;
    char zone[8] = "Z";
    size_t n;

    clock_gettime(CLOCK_REALTIME, &ts);
    localtime_r(&ts.tv_sec, &tm);
    if (tm.tm_gmtoff) {
        long off = tm.tm_gmtoff / 60;

        snprintf(zone, sizeof zone, "%c%02d:%02d", off < 0 ? '-' : '+',
                 (int)((off < 0 ? -off : off) / 60 % 24), (int)((off < 0 ? -off : off) % 60));
    }
    n = strftime(buf, cap, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf + n, cap - n, ".%03d%s", (int)(ts.tv_nsec / 1000000), zone);
    return buf;
}

static bool emit(enum log_level level, const struct log_field *fields, const char *msg)
{
    struct line l = {.n = 0};
    char when[48];

    if (!the_log.text)
        puts_(&l, "{");
    put_field(&l, "time", timestamp(when, sizeof when), 0);
    put_field(&l, "level", level_names[level], 0);
    put_field(&l, "msg", msg, 0);
    for (; fields && fields->key; fields++)
        put_field(&l, fields->key, fields->str, fields->num);
    if (!the_log.text)
        l.s[l.n++] = '}';
    l.s[l.n++] = '\n';
    return sink_line(&the_log.sink, l.s, l.n);
}

/* Lines were lost: the first that comes through again says so. */
static void tell_lost(void)
{
    struct sink *s = &the_log.sink;
    uint64_t lost = s->lost;
    char note[160];

    if (!lost)
        return;
    snprintf(note, sizeof note, "%llu lines of the log are lost: %s", (unsigned long long)lost,
             s->why == EAGAIN ? "its reader does not read" : strerror(s->why));
    if (emit(LOG_WARN, NULL, note))
        sink_found(s, lost);
    else
        sink_found(s, 1); /* this note is no line that anybody misses */
}

/* The wall clock may jump. */
static time_t monotonic_s(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return t.tv_sec;
}

/* true: this text came too often in this second. */
static bool is_repeat(const char *msg)
{
    time_t now = monotonic_s();
    char note[64];
    unsigned hidden = the_log.hidden;

    if (now == the_log.last_s && !strncmp(msg, the_log.last, sizeof the_log.last - 1)) {
        if (++the_log.same <= REPEATS_PER_SECOND)
            return false;
        the_log.hidden++;
        return true;
    }
    the_log.hidden = 0;
    the_log.same = 1;
    the_log.last_s = now;
    if (hidden) {
        snprintf(note, sizeof note, "the last warning was repeated %u times", hidden);
        (void)emit(LOG_WARN, NULL, note);
    }
    snprintf(the_log.last, sizeof the_log.last, "%.*s", (int)sizeof the_log.last - 1, msg);
    return false;
}

void log_write(enum log_level level, const struct log_field *fields, const char *fmt, ...)
{
    char msg[1024];
    va_list ap;

    if (!log_wants(level))
        return;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    if ((level == LOG_WARN || level == LOG_ERROR) && is_repeat(msg))
        return;
    tell_lost();
    (void)emit(level, fields, msg);
}
