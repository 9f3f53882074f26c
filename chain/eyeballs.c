/* chain/eyeballs.c - see eyeballs.h. One attempt is one address; it owns a socket while it waits.
 *
 * Who may still point at an attempt when the race ends: its hot descriptor (removed), its timer
 * (stopped). All of them live in the race and are freed at the end of the turn, since their events
 * call up from inside.
 */
#include "chain/eyeballs.h"
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_FAMILY_MS = 50 /* RFC 8305 section 3: how long the preferred family may come later */
};

struct attempt {
    struct eyeballs *race;
    struct addr peer;
    struct hotfd hot;
    struct timer patience;
    struct bind_choice choices[BIND_CHOICES_MAX];
    int n_choices, next_choice;
    bool remembered; /* the choices may be out of date */
    bool strict;     /* of the choice in use */
    bool waiting;    /* a connect is under way */
    bool tried;      /* a packet left; diag is the target's or the network's word */
    struct diag diag;
    struct deferred deferred;
};

struct eyeballs {
    struct eyeballs_cfg cfg;
    eyeballs_fn *done;
    void *arg;
    struct diag *diag;
    struct addr queue[2][EYEBALLS_ADDRS_MAX]; /* waiting to be tried: 0 the preferred family */
    int queued[2], taken[2];
    struct attempt *attempts[EYEBALLS_ADDRS_MAX];
    int n_attempts, n_waiting;
    int turn; /* the family that is next */
    bool last, over;
    struct timer stagger;
    struct job job;
    struct deferred deferred;
};

static void go_on(struct eyeballs *e);

/* ---------------------------------------------------------------- one attempt */

static void let_go(struct attempt *a)
{
    timer_stop(&a->patience);
    if (!a->waiting)
        return;
    a->waiting = false;
    a->race->n_waiting--;
    int fd = a->hot.fd;
    hotfd_remove(&a->hot);
    os_close(fd);
}

static void on_hot(struct hotfd *h, unsigned ready);

static enum rc get_choices(struct attempt *a, struct diag *diag)
{
    struct eyeballs *e = a->race;
    a->next_choice = 0;
    return bind_cache_get(e->cfg.binds, e->cfg.so, &a->peer, loop_now_ms(e->cfg.loop), a->choices,
                          &a->n_choices, &a->remembered, diag);
}

/* Starts a connect with the next choice. false: there is none left. */
static bool try_choice(struct attempt *a)
{
    struct eyeballs *e = a->race;
    while (a->next_choice < a->n_choices || (a->n_choices == 0 && a->next_choice == 0)) {
        if (a->next_choice > 0 && a->strict)
            return false;
        const struct bind_choice *c = a->n_choices > 0 ? &a->choices[a->next_choice] : NULL;
        a->next_choice++;
        a->strict = c != NULL && c->strict;
        int fd;
        struct diag why = {.rc = RC_OK};
        if (os_socket_for(SOCK_STREAM, &a->peer, e->cfg.so, c, &fd, &why) != RC_OK) {
            if (a->remembered) { /* an address may have gone meanwhile: look again, once */
                bind_cache_drop(e->cfg.binds);
                if (get_choices(a, &a->diag) != RC_OK)
                    return false;
                a->strict = false;
                continue;
            }
            (void)diag_set(&a->diag, why.rc, "%s", why.text);
            continue;
        }
        enum rc rc = os_connect(fd, &a->peer, &a->diag);
        if (rc == RC_OK)
            rc = hotfd_add(e->cfg.loop, &a->hot, fd, on_hot);
        if (rc != RC_OK) {
            (void)diag_set(&a->diag, rc, "connect: %s", rc_name(rc));
            os_close(fd);
            if (rc != RC_REFUSED)
                continue;
            a->tried = true;
            return false;
        }
        a->waiting = true;
        e->n_waiting++;
        if (a->next_choice < a->n_choices && !a->strict)
            (void)timer_start(&a->patience, EYEBALLS_CHOICE_MS);
        return true;
    }
    return false;
}

static void on_patience(struct timer *timer)
{
    struct attempt *a = (struct attempt *)((char *)timer - offsetof(struct attempt, patience));
    char text[ADDR_TEXT_MAX];
    (void)diag_set(&a->diag, RC_TIMEOUT, "connect %s: no answer",
                   addr_format(&a->peer, text, sizeof(text)));
    a->tried = true;
    let_go(a);
    if (!try_choice(a))
        go_on(a->race);
}

static void win(struct attempt *a)
{
    struct eyeballs *e = a->race;
    struct addr peer = a->peer;
    a->waiting = false;
    e->n_waiting--;
    e->over = true;
    timer_stop(&e->stagger);
    for (int i = 0; i < e->n_attempts; i++)
        let_go(e->attempts[i]);
    e->done(e->arg, RC_OK, &a->hot, &peer);
}

static void on_hot(struct hotfd *h, unsigned ready)
{
    struct attempt *a = (struct attempt *)((char *)h - offsetof(struct attempt, hot));
    if ((ready & (HOT_OUT | HOT_HUP)) == 0)
        return;
    int err;
    if (!os_connect_ended(h->fd, (ready & HOT_ERR) != 0, &err))
        return; /* its end comes as another edge */
    if (err == 0) {
        win(a);
        return;
    }
    char text[ADDR_TEXT_MAX];
    enum rc rc = diag_errno(&a->diag, err, "connect %s", addr_format(&a->peer, text, sizeof(text)));
    a->tried = true;
    let_go(a);
    if (rc == RC_REFUSED || !try_choice(a))
        go_on(a->race);
}

/* ---------------------------------------------------------------- the race */

/* Takes the next address: the families take turns. false: none is there. */
static bool take(struct eyeballs *e, struct addr *ret_a)
{
    int f = e->turn;
    if (e->taken[f] == e->queued[f])
        f = 1 - f;
    if (e->taken[f] == e->queued[f])
        return false;
    *ret_a = e->queue[f][e->taken[f]++];
    e->turn = 1 - f;
    return true;
}

/* false: this address is out at once (or there is no memory for it). */
static bool start_one(struct eyeballs *e, const struct addr *peer)
{
    struct attempt *a = e->n_attempts < EYEBALLS_ADDRS_MAX ? calloc(1, sizeof(*a)) : NULL;
    if (a == NULL)
        return false;
    a->race = e;
    a->peer = *peer;
    a->peer.port = e->cfg.port;
    timer_init(e->cfg.loop, &a->patience, on_patience);
    e->attempts[e->n_attempts++] = a;
    return get_choices(a, &a->diag) == RC_OK && try_choice(a);
}

/* Starts the next address now; when none can be and none is under way, that was all. */
static void go_on(struct eyeballs *e)
{
    struct addr a;
    while (take(e, &a)) {
        if (!start_one(e, &a))
            continue;
        if (!timer_start(&e->stagger, EYEBALLS_STAGGER_MS))
            continue; /* without a timer all start at once */
        return;
    }
    timer_stop(&e->stagger);
    if (e->n_waiting == 0 && e->last)
        job_post(e->cfg.loop, &e->job);
}

static void on_stagger(struct timer *timer)
{
    go_on((struct eyeballs *)((char *)timer - offsetof(struct eyeballs, stagger)));
}

enum rc eyeballs_why(const struct eyeballs *e, bool tried, struct diag *diag)
{
    const struct attempt *why = NULL;
    for (int i = 0; i < e->n_attempts; i++) {
        const struct attempt *a = e->attempts[i];
        if (a->diag.rc != RC_OK && (a->tried || !tried) &&
            (why == NULL || (a->tried && !why->tried)))
            why = a;
    }
    return why != NULL ? diag_set(diag, why->diag.rc, "%s", why->diag.text) : RC_OK;
}

static void on_failed(struct job *job)
{
    struct eyeballs *e = (struct eyeballs *)((char *)job - offsetof(struct eyeballs, job));
    enum rc rc = eyeballs_why(e, false, e->diag);
    if (rc == RC_OK)
        rc = diag_set(e->diag, RC_NOMEM, "no memory for a connection");
    e->over = true;
    e->done(e->arg, rc, NULL, NULL);
}

struct eyeballs *eyeballs_new(const struct eyeballs_cfg *cfg, eyeballs_fn *done, void *arg,
                              struct diag *diag)
{
    struct eyeballs *e = calloc(1, sizeof(*e));
    if (e == NULL) {
        (void)diag_set(diag, RC_NOMEM, "no memory for a connection");
        return NULL;
    }
    e->cfg = *cfg;
    e->done = done;
    e->arg = arg;
    e->diag = diag;
    timer_init(cfg->loop, &e->stagger, on_stagger);
    job_init(&e->job, on_failed);
    return e;
}

void eyeballs_add(struct eyeballs *e, const struct addr *v, int n, bool last)
{
    if (e->over)
        return;
    for (int i = 0; i < n; i++) {
        int f = (v[i].family == AF_INET6) != e->cfg.prefer_ipv6;
        if (e->queued[f] < EYEBALLS_ADDRS_MAX)
            e->queue[f][e->queued[f]++] = v[i];
    }
    e->last = e->last || last;
    if (e->n_waiting > 0 && timer_is_running(&e->stagger))
        return; /* they wait for their turn */
    bool late = e->n_attempts == 0 && e->queued[0] == 0 && e->queued[1] > 0 && !e->last;
    if (late && timer_start(&e->stagger, FIRST_FAMILY_MS))
        return;
    if (e->n_waiting > 0 && timer_start(&e->stagger, EYEBALLS_STAGGER_MS))
        return;
    go_on(e);
}

bool eyeballs_has(const struct eyeballs *e, const struct addr *from, const struct addr *to)
{
    for (int i = 0; i < e->n_attempts; i++) {
        const struct attempt *a = e->attempts[i];
        struct addr local;
        if (a->waiting && addr_equal(&a->peer, to) && os_local_addr(a->hot.fd, &local) == RC_OK &&
            addr_equal(&local, from))
            return true;
    }
    return false;
}

void eyeballs_free(struct eyeballs *e)
{
    if (e == NULL)
        return;
    e->over = true;
    timer_stop(&e->stagger);
    job_cancel(&e->job);
    for (int i = 0; i < e->n_attempts; i++) {
        let_go(e->attempts[i]);
        loop_free_later(e->cfg.loop, &e->attempts[i]->deferred, free, e->attempts[i]);
    }
    loop_free_later(e->cfg.loop, &e->deferred, free, e);
}
