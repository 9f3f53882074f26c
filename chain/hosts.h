/* chain/hosts.h - the machine's hosts file: "address name name ...", '#' starts a comment
 * (hosts(5)).
 *
 * Read when first asked and again when the file has changed (looked at once a second at most).
 * A file over 4 MiB is cut at a line's end. Names without regard to case.
 *
 * Owner: who made it (a resolver, a hosts_table). Reading blocks for the file.
 */
#ifndef CHAIN_HOSTS_H
#define CHAIN_HOSTS_H

#include "core/addr.h"

struct hosts;
struct hosts *hosts_new(const char *path); /* copied; NULL: no memory */
void hosts_free(struct hosts *h);
/* How many addresses (port 0) of both families the name has, at most cap, in the file's order. */
int hosts_lookup(struct hosts *h, const char *name, uint64_t now_ms, struct addr *v, int cap);

#endif
