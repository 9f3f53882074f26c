/* chain/hash.c - CRC32 with the reflected polynomial 0xedb88320, bit by bit: texts are short. */
#include "chain/hash.h"
#include "core/loop.h"

uint32_t hash_text(const char *text)
{
    uint32_t crc = 0xffffffff;
    for (const char *p = text; *p != 0; p++) {
        crc ^= (uint8_t)*p;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
    }
    return ~crc;
}

uint32_t hash_client(const struct addr *client)
{
    if (client == NULL || client->family == 0) {
        uint32_t r;
        loop_random(&r, sizeof(r));
        return r;
    }
    char text[ADDR_TEXT_MAX];
    return hash_text(addr_format_ip(client, text, sizeof(text)));
}
