/* handlers/dnsquestion.c - questions that upstreams are asked.
 *
 * The first of several equal ones is asked, the others wait for its answer: that is one question
 * instead of many, and one chance to forge its answer (RFC 5452 section 5). When who asked goes
 * away the next in line asks. An upstream that is silent is not waited for: the next one is asked
 * beside it. Who may hold a question: its exchanges and timer (ended with it), its client, the
 * ring.
 */
#include "chain/answers.h"
#include "chain/exchange.h"
#include "chain/forwarder.h"
#include "core/log.h"
#include "handlers/dns_inside.h"
#include <stdlib.h>
#include <string.h>

enum {
    TRIES_MAX = 3,  /* upstreams for one question */
    HURRY_MS = 1500 /* silence after which the next one is asked, too */
};

struct attempt {
    struct question *question;
    struct exchange *exchange; /* NULL: over */
    int picked;
};

enum state { ST_ASKING, ST_WAITING };

struct question {
    struct list link; /* of its client */
    struct share share;
    struct dns_front *front;
    struct dns_client *client;
    enum state state;
    struct list same;      /* asking: those that wait for it; else its place among them */
    struct question *next; /* asking, for all: in its bucket */
    uint32_t hash;
    struct attempt tries[TRIES_MAX];
    int n_tries, n_open;
    struct timer hurry;
    uint32_t bits;
    bool for_all;
    struct dns_edns edns; /* the client's */
    size_t max_bytes;
    struct dns_msg msg;
    size_t n;
    uint8_t query[];
};

static void ask(struct question *q);

/* ---------------------------------------------------------------- equal questions */

static uint32_t hash_of(const struct dns_front *f, const struct dns_msg *m)
{
    char name[DNS_NAME_TEXT_MAX];
    size_t n = 0;
    for (const char *p = m->name; *p != 0; p++)
        name[n++] = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
    return (uint32_t)siphash(&f->hash_key, name, n) ^ m->type;
}

static struct question *find_same(const struct dns_front *f, const struct dns_asked *a,
                                  uint32_t hash)
{
    struct question *q = a->for_all ? f->asking[hash % DNS_BUCKETS] : NULL;
    while (q != NULL &&
           (q->hash != hash || q->bits != a->bits || q->msg.question_end != a->msg->question_end ||
            !dns_same_question(&q->msg, a->msg)))
        q = q->next;
    return q;
}

static void enter(struct question *q)
{
    struct question **bucket = &q->front->asking[q->hash % DNS_BUCKETS];
    q->state = ST_ASKING;
    if (!q->for_all)
        return;
    q->next = *bucket;
    *bucket = q;
}

static void leave(struct question *q)
{
    struct question **at = &q->front->asking[q->hash % DNS_BUCKETS];
    for (int i = 0; i < q->n_tries; i++) {
        exchange_cancel(q->tries[i].exchange);
        q->tries[i].exchange = NULL;
    }
    timer_stop(&q->hurry);
    while (q->for_all && *at != q)
        at = &(*at)->next;
    if (q->for_all)
        *at = q->next;
}

/* Those that waited for q get one of their own who asks. */
static void pass_on(struct question *q)
{
    if (list_is_empty(&q->same))
        return;
    struct question *heir = LIST_OWNER(q->same.next, struct question, same);
    list_remove(&heir->same);
    list_join(&heir->same, &q->same);
    enter(heir);
    if (!q->front->ending)
        ask(heir);
}

/* Its client has one less. */
static void let_go(struct question *q)
{
    list_remove(&q->link);
    q->client->n_questions--;
    q->front->open--;
    shares_remove(&q->front->shares, &q->share);
}

static void question_end(struct question *q)
{
    let_go(q);
    if (q->state == ST_ASKING) {
        leave(q);
        pass_on(q);
    } else {
        list_remove(&q->same);
    }
    free(q);
}

void dns_client_gone(void *arg, struct dns_client *c)
{
    (void)arg;
    while (!list_is_empty(&c->questions))
        question_end(LIST_OWNER(c->questions.next, struct question, link));
}

/* ---------------------------------------------------------------- answers */

static void keep(struct question *q, const uint8_t *answer, size_t n)
{
    struct dns_front *f = q->front;
    struct dns_msg m;
    uint32_t ttl_s = 0;
    if (!q->for_all || f->ttl_ms < 0 || dns_parse(answer, n, &m) != RC_OK ||
        (m.flags & DNS_TC) != 0)
        return;
    unsigned rcode = m.flags & DNS_RCODE;
    if ((rcode != DNS_NOERROR && rcode != DNS_NXDOMAIN) || !dns_lifetime(answer, n, &m, &ttl_s))
        return;
    uint64_t keep_ms = f->ttl_ms > 0 ? (uint64_t)f->ttl_ms : ttl_s * UINT64_C(1000);
    struct answer_key key = {&q->msg, q->bits, &q->client->peer};
    answers_put(f->answers, &key, loop_now_ms(f->setup.loop), answer, n, keep_ms);
}

/* answer: of an equal question; NULL: there is none. copy: room for it. */
static void tell(struct question *q, const uint8_t *answer, size_t n, uint8_t *copy)
{
    if (answer == NULL) {
        dns_say(q->client, q->query, &q->msg, DNS_SERVFAIL, NULL, 0, &q->edns);
        return;
    }
    memcpy(copy, answer, n);
    dns_set_id(copy, q->msg.id);
    if (n >= q->msg.question_end) /* the name as this one asked for it */
        memcpy(copy + DNS_HEAD_BYTES, q->query + DNS_HEAD_BYTES,
               q->msg.question_end - DNS_HEAD_BYTES);
    dns_send_answer(q->client, copy, n, q->max_bytes, &q->edns);
}

/* All that wait for q, then q, which is taken from its client first: telling one may end its client
 * and all its questions. */
static void tell_all(struct question *q, const uint8_t *answer, size_t n, uint8_t *copy)
{
    struct dns_client *own = q->client;
    leave(q);
    let_go(q);
    while (!list_is_empty(&q->same)) {
        struct question *one = LIST_OWNER(q->same.next, struct question, same);
        struct dns_client *c = one->client;
        tell(one, answer, n, copy);
        if (c->over) /* the question went with it */
            continue;
        question_end(one);
        dns_client_look(c);
    }
    tell(q, answer, n, copy);
    free(q);
    dns_client_look(own);
}

static void tell_silence(struct dns_front *f, int picked, enum rc rc)
{
    const struct nameserver *s = picked >= 0 ? &f->upstreams->v[picked] : NULL;
    log_write(f->silent ? LOG_DEBUG : LOG_WARN,
              (struct log_field[]){F_STR("kind", "handler"), F_STR("service", f->setup.service),
                                   F_STR("handler", "dns"), LOG_END},
              "no upstream answers (the last one: %s); clients are told SERVFAIL",
              s != NULL && s->last.rc == rc ? s->last.text : rc_name(rc));
    f->silent = true;
}

static void give_up(struct question *q, int picked, enum rc rc)
{
    tell_silence(q->front, picked, rc);
    tell_all(q, NULL, 0, NULL);
}

/* ---------------------------------------------------------------- upstreams */

static bool may_ask_more(const struct question *q)
{
    return q->n_tries < TRIES_MAX && q->n_tries < q->front->upstreams->n;
}

static void on_exchange(void *arg, enum rc rc, const uint8_t *answer, size_t n)
{
    struct attempt *t = arg;
    struct question *q = t->question;
    t->exchange = NULL;
    q->n_open--;
    forwarder_mark(q->front->forwarder, t->picked, rc == RC_OK);
    uint8_t *copy = rc == RC_OK ? malloc(n) : NULL;
    if (copy != NULL) {
        q->front->silent = false;
        keep(q, answer, n);
        tell_all(q, answer, n, copy);
        free(copy);
    } else if (may_ask_more(q)) {
        ask(q);
    } else if (q->n_open == 0) {
        give_up(q, t->picked, rc != RC_OK ? rc : RC_NOMEM);
    }
}

static void on_hurry(struct timer *timer)
{
    struct question *q = LIST_OWNER(timer, struct question, hurry);
    forwarder_mark(q->front->forwarder, q->tries[q->n_tries - 1].picked, false);
    ask(q);
}

static void ask(struct question *q)
{
    struct dns_front *f = q->front;
    struct target unused, asked;
    BUG_ON(q->n_tries == TRIES_MAX);
    struct attempt *t = &q->tries[q->n_tries++];
    bool is_name = target_set_host(&asked, q->msg.name, strlen(q->msg.name), 0);
    *t = (struct attempt){.question = q};
    t->picked = forwarder_pick_for(f->forwarder, &q->client->peer,
                                   q->client->stream != NULL ? "tcp" : "udp",
                                   is_name ? &asked : NULL, &unused);
    if (t->picked >= 0)
        t->exchange = exchange_new(&(struct exchange_cfg){.loop = f->setup.loop,
                                                          .list = f->upstreams,
                                                          .server = t->picked,
                                                          .router = f->setup.router,
                                                          .query = q->query,
                                                          .n = q->n},
                                   on_exchange, t);
    q->n_open += t->exchange != NULL;
    if (q->n_open == 0)
        give_up(q, t->picked, t->picked < 0 ? RC_DENIED : RC_NOMEM);
    else if (may_ask_more(q)) /* without memory it waits for the deadlines */
        (void)timer_start(&q->hurry, HURRY_MS);
    else
        timer_stop(&q->hurry); /* it was running for an earlier one */
}

bool dns_ask(struct dns_front *f, struct dns_client *c, const uint8_t *query, size_t n,
             const struct dns_asked *asked)
{
    bool may = shares_may(shares_of(&f->shares, &c->peer), f->open, f->open_max);
    struct question *q = may ? malloc(sizeof(*q) + n) : NULL;
    if (q == NULL)
        return false;
    *q = (struct question){.front = f,
                           .client = c,
                           .hash = hash_of(f, asked->msg),
                           .bits = asked->bits,
                           .for_all = asked->for_all,
                           .edns = *asked->edns,
                           .max_bytes = asked->max_bytes,
                           .msg = *asked->msg,
                           .n = n};
    if (!shares_add(&f->shares, &q->share, &c->peer, 1)) {
        free(q);
        return false;
    }
    memcpy(q->query, query, n);
    if (asked->for_all) /* cookies and the like are the client's with us */
        q->n = dns_drop_options(q->query, n, asked->msg);
    timer_init(f->setup.loop, &q->hurry, on_hurry);
    list_init(&q->same);
    list_init(&q->link);
    list_append(&c->questions, &q->link);
    c->n_questions++;
    f->open++;
    struct question *first = find_same(f, asked, q->hash);
    if (first != NULL) {
        q->state = ST_WAITING;
        list_append(&first->same, &q->same);
    } else {
        enter(q);
        ask(q);
    }
    return true;
}
