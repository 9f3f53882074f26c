/* tests/unit/tlscerts.h - certificates for the TLS tests, made anew in a directory under /tmp.
 *
 * After tlscerts_make() there are, each with .crt and .key: ca, otherca; signed by ca: server (name
 * example.test, address 127.0.0.1), rsa, p384 (same names), client, expired; self (self-signed).
 */
#ifndef TESTS_UNIT_TLSCERTS_H
#define TESTS_UNIT_TLSCERTS_H

void tlscerts_make(void);
void tlscerts_remove(void);
const char *tlscerts_dir(void);
/* "DIR/name"; four results live at a time. */
const char *tlscerts_file(const char *name);

#endif
