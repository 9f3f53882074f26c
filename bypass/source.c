/* bypass/source.c - see source.h. */
#include "bypass/source.h"
#include "bypass/load.h"
#include "bypass/matcher.h"
#include "core/loop.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { STACK_BYTES = 1024 * 1024 };

struct source {
    struct loop *loop;
    struct load_cfg what; /* strings are ours */
    uint32_t reload_ms;
    const char *(*place)(void *arg, uint32_t pattern, char *buf, size_t cap);
    source_note_fn *note;
    void *arg;
    struct matcher *list;
    struct load_stamp stamp; /* of the file that is in it */
    bool in_trouble;
    struct timer timer;
    pthread_t thread;
    bool loading;
    int done_fd; /* eventfd, readable when the thread is through; -1: not made yet */
    struct hotfd done;
    struct load load; /* the thread's, while loading */
};

static void tell(struct source *s, enum source_note note, const char *text)
{
    if (s->note)
        s->note(s->arg, note, text);
}

/* What a reading brought. */
static void take(struct source *s, struct load *l)
{
    char text[LOAD_TEXT_MAX];

    for (unsigned i = 0; i < l->n_doubts && i < LOAD_DOUBTS_MAX; i++)
        tell(s, SOURCE_DOUBT, l->doubts[i]);
    if (l->n_doubts > LOAD_DOUBTS_MAX) {
        (void)snprintf(text, sizeof text, "%u more patterns like that",
                       l->n_doubts - LOAD_DOUBTS_MAX);
        tell(s, SOURCE_DOUBT, text);
    }
    bool is_trouble = l->rc != RC_OK && l->rc != RC_AGAIN; /* again: the file is as it was */
    if (is_trouble && !s->in_trouble)
        tell(s, SOURCE_TROUBLE, l->diag.text);
    s->in_trouble = is_trouble;
    if (l->rc != RC_OK)
        return;
    s->stamp = l->stamp;
    bool is_other = l->n_doubts > 0 && l->n_good == 0; /* an error page in its place */
    if (s->list && (is_other || matcher_count(l->list) == 0)) {
        tell(s, SOURCE_TROUBLE,
             is_other ? "no line of the file can be meant as a pattern"
                      : "the file has no pattern");
        return;
    }
    if (matcher_count(l->list) == 0 && s->what.file)
        tell(s, SOURCE_EMPTY, "the file has no pattern");
    matcher_free(s->list);
    s->list = l->list;
    l->list = NULL;
    (void)snprintf(text, sizeof text, "%u patterns, %zu KB", matcher_count(s->list),
                   matcher_bytes(s->list) / 1024);
    tell(s, SOURCE_LOADED, text);
}

/* ---- the thread ---- */

static void *run(void *arg)
{
    struct source *s = arg;
    const uint64_t one = 1;

    load_run(&s->load, &s->what, &s->stamp);
    (void)!write(s->done_fd, &one, sizeof one); /* can't fail: the counter is 0 */
    return NULL;
}

static void again(struct source *s)
{
    if (!timer_start(&s->timer, s->reload_ms))
        tell(s, SOURCE_TROUBLE, "no memory for a timer: the file is not read again");
}

static void on_done(struct hotfd *h, unsigned ready)
{
    struct source *s = (struct source *)((char *)h - offsetof(struct source, done));
    uint64_t n;

    (void)ready;
    if (!s->loading || read(s->done_fd, &n, sizeof n) != sizeof n)
        return;
    (void)pthread_join(s->thread, NULL);
    s->loading = false;
    take(s, &s->load);
    load_done(&s->load);
    again(s);
}

static bool start_thread(struct source *s)
{
    pthread_attr_t attr;
    sigset_t all, before;

    if (s->done_fd < 0) {
        s->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (s->done_fd < 0 || hotfd_add(s->loop, &s->done, s->done_fd, on_done) != RC_OK)
            return false;
    }
    if (pthread_attr_init(&attr) != 0)
        return false;
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    load_init(&s->load);
    s->loading = pthread_create(&s->thread, &attr, run, s) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    return s->loading;
}

static void on_time(struct timer *timer)
{
    struct source *s = (struct source *)((char *)timer - offsetof(struct source, timer));

    if (start_thread(s))
        return;
    if (!s->in_trouble)
        tell(s, SOURCE_TROUBLE, "no thread to read the file again; trying later");
    s->in_trouble = true;
    again(s);
}

/* ---- life ---- */

static bool copy_strings(struct source *s, const struct source_cfg *cfg)
{
    char **v = calloc(cfg->n_patterns + 1, sizeof *v);
    char *file = cfg->file && *cfg->file ? strdup(cfg->file) : NULL;

    s->what = (struct load_cfg){
        .patterns = (const char *const *)v, .file = file, .addrs_only = cfg->addrs_only};
    if (!v || (cfg->file && *cfg->file && !file))
        return false;
    for (size_t i = 0; i < cfg->n_patterns; i++) {
        v[i] = strdup(cfg->patterns[i]);
        if (!v[i])
            return false;
        s->what.n_patterns++;
    }
    return true;
}

/* Without the file if need be: there is always a list. */
static bool first_reading(struct source *s)
{
    struct load l;

    load_init(&l);
    load_run(&l, &s->what, &s->stamp);
    take(s, &l);
    load_done(&l);
    if (s->list)
        return true;
    struct load_cfg alone = s->what;
    alone.file = NULL;
    load_init(&l);
    load_run(&l, &alone, &s->stamp);
    s->list = l.list;
    l.list = NULL;
    load_done(&l);
    return s->list != NULL;
}

struct source *source_new(const struct source_cfg *cfg)
{
    struct source *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->loop = cfg->loop;
    s->place = cfg->place;
    s->note = cfg->note;
    s->arg = cfg->arg;
    s->done_fd = s->done.fd = -1;
    s->reload_ms = cfg->reload_ms > 0 && cfg->reload_ms < SOURCE_RELOAD_MIN_MS
                       ? SOURCE_RELOAD_MIN_MS
                       : cfg->reload_ms;
    timer_init(s->loop, &s->timer, on_time);
    if (!copy_strings(s, cfg) || !first_reading(s)) {
        source_free(s);
        return NULL;
    }
    if (s->what.file && s->reload_ms > 0)
        again(s);
    return s;
}

void source_free(struct source *s)
{
    if (!s)
        return;
    timer_stop(&s->timer);
    if (s->loading) {
        load_cancel(&s->load);
        (void)pthread_join(s->thread, NULL);
        load_done(&s->load);
    }
    if (s->done.fd >= 0)
        hotfd_remove(&s->done);
    if (s->done_fd >= 0)
        close(s->done_fd);
    matcher_free(s->list);
    for (size_t i = 0; i < s->what.n_patterns; i++)
        free((void *)(uintptr_t)s->what.patterns[i]);
    free((void *)(uintptr_t)s->what.patterns);
    free((void *)(uintptr_t)s->what.file);
    free(s);
}

const struct matcher *source_list(const struct source *s)
{
    return s->list;
}

const char *source_rule(const struct source *s, uint32_t rule, char *buf, size_t cap)
{
    char place[LOAD_TEXT_MAX];

    if (!s->place || rule >= s->what.n_patterns)
        return load_rule(&s->what, rule, buf, cap);
    (void)snprintf(buf, cap, "\"%s\" (%s)", s->what.patterns[rule],
                   s->place(s->arg, rule, place, sizeof place));
    return buf;
}
