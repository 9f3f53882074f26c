/* tests/fuzz/fuzz_sniff_quic.c - first datagrams of QUIC clients: as they are, or as frames that
 * are protected here so that the fuzzer gets behind the cipher.
 *
 * Input: a byte whose lowest bit says which (the next: version 2), then datagrams, each with two
 * bytes of length. */
#include "sniff/quic.h"
#include "tests/fuzz/sniffsplit.h"
#include "tests/unit/quicinitial.h"

enum { DATAGRAMS = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum rc add(struct quic_hello *q, const void *datagram, size_t n, struct sniffed *ret_found)
{
    uint8_t *exact = malloc(n ? n : 1);

    MUST(exact != NULL);
    memcpy(exact, datagram, n);
    (void)quic_is_beginning(exact, n);
    enum rc rc = quic_hello_add(q, exact, n, ret_found);
    free(exact);
    MUST(rc == RC_OK || rc == RC_AGAIN || rc == RC_PROTO);
    MUST(q->n <= sizeof q->bytes);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct quic_hello q;
    static uint8_t packet[70000];
    struct rd c = rd_init(data, size);
    struct sniffed found = {.proto = SNIFF_UNKNOWN};
    enum rc rc = RC_AGAIN;
    struct slice part;
    uint16_t n;
    uint8_t how;

    if (!rd_u8(&c, &how))
        return 0;
    quic_hello_start(&q);
    for (unsigned i = 0; i < DATAGRAMS && rc == RC_AGAIN && rd_u16(&c, &n); i++) {
        struct quic_initial initial = {
            .version = how & 2 ? QUIC_V2 : QUIC_V1, .dcid = "fuzzfuzz", .number = i};
        (void)rd_slice(&c, n < rd_left(&c) ? n : rd_left(&c), &part);
        if (how & 1)
            rc = add(&q, packet,
                     quic_seal(&initial, (const uint8_t *)part.p, part.n, packet, sizeof packet),
                     &found);
        else
            rc = add(&q, part.p, part.n, &found);
    }
    if (rc == RC_OK)
        MUST(found.proto == SNIFF_QUIC && memchr(found.name, 0, sizeof found.name) &&
             (found.name[0] ? found.port == 443 : found.port == 0));
    return 0;
}
