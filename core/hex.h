/* core/hex.h - one hexadecimal digit. */
#ifndef CORE_HEX_H
#define CORE_HEX_H

/* 0 to 15 in either case; -1: it is none. */
static inline int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

#endif
