/* chain/fakefile.h - the record of a fake pool: which address stands for which name, kept over
 * restarts and crashes.
 *
 * Text: a line that says what it is, then "ADDRESS NAME" a line; of two lines for the same address
 * or name the later one counts. New ones are appended, and when the file has grown to several times
 * the pool it is written anew beside itself and renamed. So a crash costs a line at most, and what
 * was cut or spoiled is left out and counted. A file that is none of ours is set aside as
 * NAME.bad, never overwritten. Locked: a second process does not use it.
 *
 * Owner: the tungo handler. Appending waits for no disk.
 */
#ifndef CHAIN_FAKEFILE_H
#define CHAIN_FAKEFILE_H

#include "core/rc.h"
#include <stddef.h>

struct addr;
struct fakefile;
struct fakepool;

enum { FAKEFILE_MAX_BYTES = 64 << 20 };
#define FAKEFILE_HEAD "cgost fake addresses 1\n"

struct fakefile_found {
    size_t names;   /* in the pool now */
    size_t spoiled; /* lines that could not be used: cut, no name, not in the pool's range */
    bool set_aside; /* there was a file, but not one of ours */
};

/* Fills the pool from bytes. false: these are not a record. Pure. */
bool fakefile_parse(struct fakepool *pool, const char *text, size_t n,
                    struct fakefile_found *ret_found);

/* Reads what is there (a missing file is an empty one; a missing last folder is made) and keeps it
 * open. The pool is borrowed. RC_SYS, RC_LIMIT (somebody else has it), RC_NOMEM: diag says why, and
 * the pool works without a record. */
enum rc fakefile_open(const char *path, struct fakepool *pool, struct fakefile **ret_f,
                      struct fakefile_found *ret_found, struct diag *diag);
/* One more. Failures are told by the next fakefile_flush(). */
void fakefile_add(struct fakefile *f, const struct addr *a, const char *name);
/* Hands what was added to the system. After a failure nothing more is written. */
enum rc fakefile_flush(struct fakefile *f, struct diag *diag);
/* Writes the file anew, in the order of use, and closes it. NULL is fine. */
void fakefile_close(struct fakefile *f);

#endif
