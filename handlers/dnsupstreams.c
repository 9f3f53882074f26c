/* handlers/dnsupstreams.c - see the header. */
#include "handlers/dnsupstreams.h"
#include "chain/forwarder.h"
#include "chain/nameserver.h"
#include "core/log.h"
#include "handlers/handler.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct maker {
    const struct handler_setup *setup;
    const struct dns_upstreams_cfg *cfg;
    struct nameservers *list;
    struct forwarder *own;
};

static void tell(const struct handler_setup *setup, const char *text)
{
    log_write(LOG_WARN,
              (struct log_field[]){F_STR("kind", "handler"), F_STR("service", setup->service),
                                   F_STR("handler", "dns"), LOG_END},
              "%s", text);
}

static void on_news(void *arg, const struct nameserver *s, enum nameserver_news news)
{
    char text[240];
    tell(arg, nameserver_news_text(s, news, text, sizeof(text)));
}

static enum rc add(struct maker *m, const char *text, struct diag *diag)
{
    struct target place = {.name = ""};
    char words[240];
    struct nameserver_cfg cfg = {
        .addr = text, .ttl_ms = m->cfg->ttl_ms, .timeout_ms = m->cfg->timeout_ms};
    enum rc rc = nameservers_add(m->list, &cfg, diag);
    if (rc == RC_OK && m->own != NULL && forwarder_add(m->own, text, &place) != RC_OK)
        return diag_set(diag, RC_NOMEM, "no memory");
    if (rc == RC_OK && m->list->v[m->list->n - 1].guessed) {
        (void)snprintf(words, sizeof(words),
                       "upstream %.80s: this scheme is unknown, it is asked over udp; there are "
                       "udp, tcp, tls and https",
                       text);
        tell(m->setup, words);
    }
    if (rc == RC_OK && !nameserver_is_checked(&m->list->v[m->list->n - 1])) {
        (void)snprintf(
            words, sizeof(words),
            "upstream %.80s: nobody checks that it is the right one; %.80s?hostname=NAME "
            "does",
            text, text);
        tell(m->setup, words);
    }
    return rc;
}

static enum rc add_forwarded(struct maker *m, struct diag *diag)
{
    struct target t;
    char text[TARGET_TEXT_MAX];
    enum rc rc = RC_OK;
    for (int i = 0; rc == RC_OK && forwarder_target(m->setup->forwarder, i, &t); i++)
        rc = add(m, strstr(t.name, "://") != NULL ? t.name : target_format(&t, text, sizeof(text)),
                 diag);
    return rc;
}

static enum rc add_machine(struct maker *m, struct diag *diag)
{
    FILE *file = fopen("/etc/resolv.conf", "re");
    char line[512], text[ADDR_TEXT_MAX];
    struct addr a;
    enum rc rc = RC_OK;
    while (file != NULL && rc == RC_OK && fgets(line, sizeof(line), file) != NULL) {
        char *rest = NULL, *word = strtok_r(line, " \t\r\n", &rest);
        if (word == NULL || strcmp(word, "nameserver") != 0 ||
            (word = strtok_r(NULL, " \t\r\n", &rest)) == NULL ||
            !addr_parse_ip(word, strlen(word), &a))
            continue;
        a.port = 53;
        rc = add(m, addr_format(&a, text, sizeof(text)), diag);
    }
    if (file != NULL)
        (void)fclose(file);
    return rc == RC_OK && m->list->n == 0 ? add(m, "127.0.0.1:53", diag) : rc;
}

enum rc dns_upstreams_new(const struct handler_setup *setup, const struct dns_upstreams_cfg *cfg,
                          struct nameservers **ret_list, struct forwarder **ret_own,
                          struct diag *diag)
{
    union {
        const void *in;
        void *out;
    } arg = {.in = setup}; /* only read */
    struct maker m = {.setup = setup, .cfg = cfg, .list = nameservers_new()};
    if (setup->forwarder == NULL)
        m.own = forwarder_new(setup->loop, &(struct selector_cfg){.strategy = SELECT_ROUND});
    *ret_list = m.list;
    *ret_own = m.own;
    if (m.list == NULL || (m.own == NULL && setup->forwarder == NULL))
        return diag_set(diag, RC_NOMEM, "no memory");
    m.list->tell = on_news;
    m.list->tell_arg = arg.out;
    if (setup->forwarder != NULL)
        return add_forwarded(&m, diag);
    enum rc rc = RC_OK;
    for (size_t i = 0; i < cfg->dns->n && rc == RC_OK; i++)
        rc = add(&m, cfg->dns->v[i], diag);
    return rc == RC_OK && m.list->n == 0 ? add_machine(&m, diag) : rc;
}
