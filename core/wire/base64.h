/* core/wire/base64.h - base64, standard and URL alphabets (RFC 4648). Pure, no allocation.
 *
 * Not constant time in the data; use it for header values, not for keys in a loop an attacker
 * times.
 */
#ifndef CORE_WIRE_BASE64_H
#define CORE_WIRE_BASE64_H

#include "core/rc.h"
#include <stddef.h>

/* Bytes of the encoded text, with padding, without the final NUL. */
#define BASE64_TEXT_BYTES(n) (((n) + 2) / 3 * 4)

/* Standard alphabet with padding. RC_LIMIT: no room for text and NUL. */
enum rc base64_encode(const void *buf, size_t n, char *text, size_t cap, size_t *ret_n);

/* Both alphabets are read, padding may be left out; any other byte, or a wrong number of them, is
 * RC_INVALID. */
enum rc base64_decode(const char *text, size_t len, void *buf, size_t cap, size_t *ret_n);

#endif
