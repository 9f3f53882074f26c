/* core/rc.h - the one result type of cgost, and how a failure keeps its reason.
 *
 * Functions return `enum rc`; counts and objects come back through `ret_` pointers, which are
 * untouched on failure. Whoever notices a failure first writes the reason (diag_set keeps the first
 * one); the owner logs it once.
 */
#ifndef CORE_RC_H
#define CORE_RC_H

#include <stdbool.h>
#include <stddef.h>

enum rc {
    RC_OK = 0,
    RC_AGAIN, /* nothing moved: state what you want and return; while parsing: need more bytes */
    RC_EOF,   /* the peer ended its writing; ours may go on */
    RC_UNSUPPORTED, /* this object has no such operation */
    RC_NOMEM,
    RC_LIMIT,       /* a cap of ours was reached */
    RC_TIMEOUT,     /* a deadline of ours passed */
    RC_CANCELED,    /* we ended it ourselves */
    RC_INVALID,     /* bad argument or bad configuration */
    RC_PROTO,       /* the peer broke the protocol */
    RC_AUTH,        /* credentials missing or wrong */
    RC_DENIED,      /* a rule (bypass, admission, ruleset of the peer) forbids it */
    RC_REFUSED,     /* the target refused the connection: a TCP client sees RST */
    RC_UNREACH_NET, /* no route to the network */
    RC_UNREACH_HOST,
    RC_NAME,  /* the name does not resolve */
    RC_RESET, /* the peer reset an established connection */
    RC_CERT,  /* the peer's certificate was not accepted, or ours was not */
    RC_SYS,   /* another error of the operating system; the reason names it */
};

/* "refused", "timeout" ...: for logs and tests. */
const char *rc_name(enum rc rc);

/* The error number of a system call as a result. EAGAIN and EINPROGRESS are RC_AGAIN. */
enum rc rc_from_errno(int err);

/* The first reason of a failure, in words for the operator. No secrets, no payload. */
struct diag {
    enum rc rc; /* RC_OK: nothing recorded */
    char text[232];
};

/* Records the reason unless one is there already; returns rc, so `return diag_set(d, RC_PROTO,
 * ...)` reads well. d may be NULL. */
enum rc diag_set(struct diag *d, enum rc rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, ending in ": " and the text of err (an errno). rc is rc_from_errno(err). */
enum rc diag_errno(struct diag *d, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define BUG_ON(cond)                                                                               \
    do {                                                                                           \
        if (__builtin_expect(!!(cond), 0))                                                         \
            bug(#cond, __FILE__, __LINE__);                                                        \
    } while (0)

/* A mistake of ours (never reachable by input): one line on stderr, what was changed on the machine
 * is taken back (core/fatal.h), then abort(). */
_Noreturn void bug(const char *what, const char *file, int line);

#endif
