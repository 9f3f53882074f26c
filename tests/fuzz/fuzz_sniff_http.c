/* tests/fuzz/fuzz_sniff_http.c - requests, HTTP/2 prefaces and SSH banners, in any split. */
#include "sniff/http.h"
#include "tests/fuzz/sniffsplit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request req;
    size_t used = 0;

    sniff_split(data, size, sniff_stream);
    sniff_use(data, size);
    if (http_request_parse(data, size, &req, &used) == RC_OK)
        MUST(used <= size && (req.host[0] == '\0') == (req.port == 0));
    return 0;
}
