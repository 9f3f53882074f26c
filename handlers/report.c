/* handlers/report.c - see report.h. */
#include "handlers/report.h"
#include "core/log.h"
#include "core/splice.h"
#include "handlers/hush.h"
#include <stdio.h>
#include <string.h>

void report_init(struct report *r, const char *service, const char *handler, const char *network,
                 const struct addr *client, uint64_t now_ms)
{
    static uint64_t last;

    *r = (struct report){.service = service,
                         .handler = handler,
                         .network = network,
                         .client = *client,
                         .started_ms = now_ms};
    r->id = ++last;
}

/* The fields that every record of a client has; returns how many. */
static int fields(const struct report *r, struct log_field *f, char *client, char *target)
{
    int n = 0;

    f[n++] = F_STR("kind", "handler");
    f[n++] = F_STR("service", r->service);
    f[n++] = F_STR("handler", r->handler);
    f[n++] = F_INT("sid", r->id);
    f[n++] = F_STR("network", r->network);
    f[n++] = F_STR("remote", client);
    f[n++] = F_STR("dst", target);
    if (r->user)
        f[n++] = F_STR("user", r->user);
    if (r->route[0])
        f[n++] = F_STR("route", r->route);
    return n;
}

void report_connected(struct report *r)
{
    struct log_field f[16];
    char client[ADDR_TEXT_MAX], target[TARGET_TEXT_MAX];
    int n;

    r->connected = true;
    if (!log_wants(LOG_DEBUG))
        return;
    addr_format(&r->client, client, sizeof client);
    target_format(&r->target, target, sizeof target);
    n = fields(r, f, client, target);
    f[n] = LOG_END;
    log_write(LOG_DEBUG, f, "%s <-> %s", client, target);
}

void report_dns_over_tcp(const struct report *r, bool *told)
{
    struct log_field f[16];
    char client[ADDR_TEXT_MAX], target[TARGET_TEXT_MAX];
    int n;

    if (*told || !log_wants(LOG_WARN))
        return;
    *told = true;
    addr_format(&r->client, client, sizeof client);
    target_format(&r->target, target, sizeof target);
    n = fields(r, f, client, target);
    f[n] = LOG_END;
    log_write(LOG_WARN, f,
              "the chain can't carry UDP: DNS questions go over TCP through it, other datagrams "
              "are refused");
}

void report_ended(struct report *r, const struct splice_result *res)
{
    struct log_field f[16];
    char client[ADDR_TEXT_MAX], target[TARGET_TEXT_MAX], why[300];
    int n;

    r->told = true;
    if (!log_wants(LOG_INFO))
        return;
    addr_format(&r->client, client, sizeof client);
    target_format(&r->target, target, sizeof target);
    n = fields(r, f, client, target);
    f[n++] = F_INT("inputBytes", res->up_bytes);
    f[n++] = F_INT("outputBytes", res->down_bytes);
    f[n++] = F_INT("duration", res->duration_ms * 1000000);
    if (res->diag.rc != RC_OK) {
        snprintf(why, sizeof why, "%s%s",
                 res->side == 'a'   ? "client: "
                 : res->side == 'b' ? "target: "
                                    : "",
                 res->diag.text[0] ? res->diag.text : rc_name(res->diag.rc));
        f[n++] = F_STR("reason", why);
    }
    f[n] = LOG_END;
    log_write(LOG_INFO, f, "%s >-< %s", client, target);
}

/* Whose fault it is says how much may be written about it. */
static enum hush_kind kind_of(const struct report *r, enum rc rc)
{
    bool asked = r->target.name[0] || r->target.addr.family;

    return asked && rc != RC_AUTH && rc != RC_DENIED ? HUSH_TARGET : HUSH_STRANGER;
}

void report_failed(struct report *r, enum rc rc, const char *reason, uint64_t now_ms)
{
    struct log_field f[16];
    char client[ADDR_TEXT_MAX], target[TARGET_TEXT_MAX];
    enum log_level level;
    uint64_t unsaid = 0;
    int n;

    r->told = true;
    switch (rc) {
    case RC_NOMEM:
    case RC_LIMIT:
    case RC_CERT:
    case RC_SYS:
    case RC_UNSUPPORTED:
    case RC_INVALID:
        level = LOG_WARN;
        break;
    case RC_CANCELED:
        level = LOG_DEBUG;
        break;
    default:
        level = LOG_INFO;
        break;
    }
    if (!log_wants(level))
        return;
    /* who wants debug wants them all */
    if (!log_wants(LOG_DEBUG) && !hush_allows(kind_of(r, rc), &r->client, now_ms, &unsaid))
        return;
    addr_format(&r->client, client, sizeof client);
    target_format(&r->target, target, sizeof target);
    n = fields(r, f, client, target);
    f[n++] = F_INT("duration", (now_ms - r->started_ms) * 1000000);
    if (unsaid) /* so many more like this, since the last one, are not in the log */
        f[n++] = F_INT("unsaid", unsaid);
    f[n] = LOG_END;
    log_write(level, f, "%s >x< %s: %s", client, target, reason && *reason ? reason : rc_name(rc));
}

void report_stopped(struct report *r, uint64_t up_bytes, uint64_t down_bytes, uint64_t now_ms)
{
    struct splice_result res = {
        .up_bytes = up_bytes, .down_bytes = down_bytes, .duration_ms = now_ms - r->started_ms};

    (void)diag_set(&res.diag, RC_CANCELED, "the service stops");
    if (r->connected && !r->told)
        report_ended(r, &res);
    else if (!r->told)
        report_failed(r, RC_CANCELED, res.diag.text, now_ms);
}
