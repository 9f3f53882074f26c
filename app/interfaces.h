/* app/interfaces.h - tells the operator when an interface that our sockets are bound to is missing,
 * and when it is there: a boot without a network is no reason to end, but must be understood.
 *
 * One per process, from the checked configuration, which must live longer. Each interface list of a
 * service or node is told about once at start and then when something changed (core/host/uplink.h).
 */
#ifndef APP_INTERFACES_H
#define APP_INTERFACES_H

struct config;
struct interfaces;
struct loop;

/* NULL: no memory; then nobody is told, and nothing else is lost. */
struct interfaces *interfaces_watch(struct loop *loop, const struct config *cfg);
void interfaces_free(struct interfaces *w); /* NULL is fine */

#endif
