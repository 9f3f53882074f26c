/* core/rc.c - results and reasons. See rc.h. */
#include "core/rc.h"
#include "core/fatal.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *rc_name(enum rc rc)
{
    static const char *const names[] = {
        [RC_OK] = "ok",
        [RC_AGAIN] = "again",
        [RC_EOF] = "eof",
        [RC_UNSUPPORTED] = "unsupported",
        [RC_NOMEM] = "no memory",
        [RC_LIMIT] = "limit reached",
        [RC_TIMEOUT] = "timeout",
        [RC_CANCELED] = "canceled",
        [RC_INVALID] = "invalid",
        [RC_PROTO] = "protocol error",
        [RC_AUTH] = "not authorized",
        [RC_DENIED] = "denied",
        [RC_REFUSED] = "connection refused",
        [RC_UNREACH_NET] = "network unreachable",
        [RC_UNREACH_HOST] = "host unreachable",
        [RC_NAME] = "name not resolved",
        [RC_RESET] = "connection reset",
        [RC_CERT] = "certificate not accepted",
        [RC_SYS] = "system error",
    };
    size_t i = (size_t)rc;

    return i < sizeof names / sizeof names[0] && names[i] ? names[i] : "unknown";
}

enum rc rc_from_errno(int err)
{
    switch (err) {
    case 0:
        return RC_OK;
    case EAGAIN:
    case EINPROGRESS:
        return RC_AGAIN;
    case ENOMEM:
    case ENOBUFS:
        return RC_NOMEM;
    case EMFILE:
    case ENFILE:
        return RC_LIMIT;
    case ETIMEDOUT:
        return RC_TIMEOUT;
    case ECONNREFUSED:
        return RC_REFUSED;
    case ENETUNREACH:
    case ENETDOWN:
        return RC_UNREACH_NET;
    case EHOSTUNREACH:
    case EHOSTDOWN:
        return RC_UNREACH_HOST;
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED:
        return RC_RESET;
    case EACCES:
    case EPERM:
        return RC_DENIED;
    default:
        return RC_SYS;
    }
}

__attribute__((format(printf, 4, 0))) static void record(struct diag *d, enum rc rc, int err,
                                                         const char *fmt, va_list ap)
{
    int n;

    if (!d || d->rc != RC_OK)
        return;
    d->rc = rc;
    n = vsnprintf(d->text, sizeof d->text, fmt, ap);
    if (err && n >= 0 && (size_t)n < sizeof d->text)
        snprintf(d->text + n, sizeof d->text - (size_t)n, ": %s", strerror(err));
}

enum rc diag_set(struct diag *d, enum rc rc, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    record(d, rc, 0, fmt, ap);
    va_end(ap);
    return rc;
}

enum rc diag_errno(struct diag *d, int err, const char *fmt, ...)
{
    enum rc rc = rc_from_errno(err);
    va_list ap;

    va_start(ap, fmt);
    record(d, rc, err, fmt, ap);
    va_end(ap);
    return rc;
}

void bug(const char *what, const char *file, int line)
{
    fprintf(stderr, "cgost: bug: %s at %s:%d\n", what, file, line);
    if (!FATAL_ABORTS)
        fatal_undo();
    abort();
}
