/* core/host/halt.h - SIGTERM and SIGINT while the process starts or stops, when no loop turns that
 * would hear them: they are counted, and end the command that is waited for.
 *
 * Process-wide, as signals are. What handled them before does so again after halt_release(), and
 * hears at once of one that was not forgotten.
 */
#ifndef CORE_HOST_HALT_H
#define CORE_HOST_HALT_H

#include <stdbool.h>

/* From here on they are held. Without a descriptor for it nothing changes. */
void halt_hold(void);
void halt_release(void); /* also without a hold */
/* The last of those that came and were not forgotten; 0: none did. */
int halt_signal(void);
void halt_forget(void);
/* Readable once one comes, until halt_taken(); -1: nothing is held. */
int halt_fd(void);
void halt_taken(void);

#endif
