/* The http handler: CONNECT, its refusals, and an answer that is none. */
#include "handlercase.h"

START_TEST(test_http_connect_and_refusals)
{
    char req[128];
    struct scene sc = {.type = &handler_http, .half_close = true};
    struct scene auth = {.type = &handler_http, .user = "u"};
    struct scene bypass = {.type = &handler_http, .bypass = true};
    size_t n =
        (size_t)snprintf(req, sizeof req, "CONNECT 127.0.0.1:%u HTTP/1.1\r\n\r\nhello", tcp_port);
    struct line lines[] = {{req, n, 0}};
    struct line pri[] = {{BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 0}};
    struct line no_host[] = {{BYTES("GET / HTTP/1.1\r\n\r\n"), 0}};
    struct line closed_port[] = {{BYTES("GET http://127.0.0.1:1/ HTTP/1.1\r\n\r\n"), 0}};
    expect(&sc, lines, 1,
           BYTES("HTTP/1.1 200 Connection established\r\nProxy-Agent: gost/3.0\r\n\r\nhello"));
    sc.half_close = false;
    expect(&auth, lines, 1,
           BYTES("HTTP/1.1 407 Proxy Authentication Required\r\nConnection: close\r\n"
                 "Proxy-Authenticate: Basic realm=\"gost\"\r\nContent-Length: 0\r\n\r\n"));
    expect(&bypass, lines, 1,
           BYTES("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nProxy-Agent: gost/3.0\r\n"
                 "Content-Length: 0\r\n\r\n"));
    expect(&sc, closed_port, 1,
           BYTES("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
                 "Proxy-Agent: gost/3.0\r\nContent-Length: 0\r\n\r\n"));
    static const char bad[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
                              "Proxy-Agent: gost/3.0\r\nContent-Length: 0\r\n\r\n";
    expect(&sc, pri, 1, BYTES(bad));
    expect(&sc, no_host, 1, BYTES(bad));
}
END_TEST

/* The echo target gives the rewritten request back, which is no answer: 503, and no byte of it
 * leaks. */
START_TEST(test_http_answer_that_is_none)
{
    char req[128];
    struct scene sc = {.type = &handler_http};
    size_t n =
        (size_t)snprintf(req, sizeof req, "GET http://127.0.0.1:%u/ HTTP/1.1\r\n\r\n", tcp_port);
    struct line lines[] = {{req, n, 0}};
    expect(&sc, lines, 1,
           BYTES("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
                 "Proxy-Agent: gost/3.0\r\nContent-Length: 0\r\n\r\n"));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_http_connect_and_refusals, test_http_answer_that_is_none,
                                  NULL};
    return handlers_main("handler_http", tests);
}
