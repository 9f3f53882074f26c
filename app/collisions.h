/* app/collisions.h - two services that want one port or one device: only one of them could start.
 *
 * Pure: nothing is bound and no name is looked up, so a port that another program has, or two names
 * of one address, are found by the start alone.
 */
#ifndef APP_COLLISIONS_H
#define APP_COLLISIONS_H

struct config;
struct problems;

/* Tells each service that asks for what a service before it has. */
void collisions_check(const struct config *cfg, struct problems *p);

#endif
