/* tests/fuzz/fuzz_sniff_tls.c - ClientHellos in records, in any split, and the bare message as QUIC
 * carries it. */
#include "sniff/tls.h"
#include "tests/fuzz/sniffsplit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tls_hello hello;
    size_t used = 0;

    sniff_split(data, size, sniff_stream);
    sniff_use(data, size);
    if (tls_hello_records(data, size, &hello, &used) == RC_OK)
        MUST(used <= size && hello.n_versions <= TLS_VERSIONS_MAX &&
             strlen(hello.alpn) < sizeof hello.alpn);
    if (tls_hello_message(data, size, &hello, &used) == RC_OK)
        MUST(used <= size && used <= TLS_HELLO_MAX_BYTES);
    return 0;
}
