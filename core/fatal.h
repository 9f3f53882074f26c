/* core/fatal.h - the way out when going on would not be safe: a mistake of ours was noticed.
 *
 * What cgost did to the machine (device, routes, DNS, hooks) is undone first, then the process
 * ends. Whoever changes the machine registers how that is taken back, in terms that need none of
 * the flows, streams or tables: any of them may be what is broken. Under the sanitizers nothing is
 * undone: abort(), so that they and the fuzzers see the place.
 *
 * Owner: the caller owns struct fatal while it is registered. Threads: the loop's.
 */
#ifndef CORE_FATAL_H
#define CORE_FATAL_H

struct fatal {
    void (*fn)(void *arg); /* may block; may not go back to the loop */
    void *arg;
    struct fatal *next;
};

#if defined(__SANITIZE_ADDRESS__)
#define FATAL_ABORTS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FATAL_ABORTS 1
#endif
#endif
#ifndef FATAL_ABORTS
#define FATAL_ABORTS 0
#endif

void fatal_on(struct fatal *f);
void fatal_off(struct fatal *f); /* one that is not registered is fine */

/* Runs what is registered, the newest first, each once. */
void fatal_undo(void);

/* Logs the reason, undoes, ends the process with status 1 (no core: the state is known to be
 * wrong, the words say where). */
_Noreturn void fatal_exit(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
