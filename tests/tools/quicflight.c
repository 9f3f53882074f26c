/* quicflight - the first datagrams of a QUIC client, as lines of hexadecimal digits.
 *
 *   quicflight NAME [datagrams=N] [pad=BYTES] [version=2] [backwards]
 *
 * NAME "-": a hello without a server name. pad: so many bytes make the hello longer. backwards: its
 * end comes first.
 */
#include "tests/unit/hello.h"
#include "tests/unit/quicinitial.h"
#include <stdio.h>

enum { DATAGRAMS_MAX = 16 };

static size_t number(const char *text, size_t most)
{
    size_t v = strtoul(text, NULL, 10);

    return v < most ? v : most;
}

int main(int argc, char **argv)
{
    static uint8_t message[20000], frames[20000], packet[22000];
    struct hello h = {.alpn = "h3", .grease = true};
    struct quic_initial initial = {.version = QUIC_V1, .dcid = "flighty!", .least = 1200};
    size_t datagrams = 1;
    bool backwards = false;

    if (argc < 2)
        return 2;
    h.name = strcmp(argv[1], "-") == 0 ? NULL : argv[1];
    for (int i = 2; i < argc; i++) {
        if (strncmp(argv[i], "datagrams=", 10) == 0)
            datagrams = number(argv[i] + 10, DATAGRAMS_MAX);
        else if (strncmp(argv[i], "pad=", 4) == 0)
            h.pad = number(argv[i] + 4, 15000);
        else if (strcmp(argv[i], "version=2") == 0)
            initial.version = QUIC_V2;
        else if (strcmp(argv[i], "backwards") == 0)
            backwards = true;
        else
            return 2;
    }
    size_t n = hello_message(&h, message, sizeof message);
    for (size_t k = 0; k < datagrams; k++) {
        size_t d = backwards ? datagrams - 1 - k : k;
        struct wr w = wr_init(frames, sizeof frames);
        initial.number = (uint32_t)d;
        quic_put_crypto(&w, message, n * d / datagrams,
                        n * (d + 1) / datagrams - n * d / datagrams);
        size_t bytes = quic_seal(&initial, frames, wr_used(&w), packet, sizeof packet);
        for (size_t i = 0; i < bytes; i++)
            printf("%02x", packet[i]);
        printf("\n");
    }
    return 0;
}
