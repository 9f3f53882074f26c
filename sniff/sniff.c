/* sniff/sniff.c - see sniff.h. */
#include "sniff/sniff.h"
#include "sniff/http.h"
#include "sniff/tls.h"
#include <string.h>
#include <strings.h>

void sniffed_set_name(struct sniffed *found, const char *name, uint16_t port)
{
    size_t n = strlen(name);

    if (n > 0 && name[n - 1] == '.')
        n--;
    if (n == 0 || n > TARGET_NAME_MAX)
        return;
    memcpy(found->name, name, n);
    found->name[n] = '\0';
    found->port = port;
}

static enum rc sniff_tls(const void *buf, size_t n, struct sniffed *found)
{
    struct tls_hello hello;
    size_t used;
    enum rc rc = tls_hello_records(buf, n, &hello, &used);

    if (rc != RC_OK)
        return rc;
    sniffed_set_name(found, hello.name, 443);
    found->outer = hello.ech;
    return RC_OK;
}

static enum rc sniff_http(const void *buf, size_t n, struct sniffed *found)
{
    struct http_request req;
    size_t used;
    enum rc rc = http_request_parse(buf, n, &req, &used);

    if (rc != RC_OK)
        return rc;
    if (req.h2)
        found->proto = SNIFF_H2;
    else
        sniffed_set_name(found, req.host, req.port);
    return RC_OK;
}

static enum rc sniff_ssh(const char *buf, size_t n)
{
    static const char banner[] = "SSH-2";
    size_t all = sizeof banner - 1;

    if (memcmp(buf, banner, n < all ? n : all) != 0)
        return RC_PROTO;
    return n < all ? RC_AGAIN : RC_OK;
}

enum rc sniff_stream(const void *buf, size_t n, struct sniffed *ret_found)
{
    struct sniffed found = {.proto = SNIFF_UNKNOWN};
    bool full = n >= SNIFF_MAX_BYTES;
    enum rc rc;

    if (n == 0) {
        *ret_found = found;
        return RC_AGAIN;
    }
    if (full)
        n = SNIFF_MAX_BYTES;
    switch (*(const unsigned char *)buf) {
    case 0x16:
        found.proto = SNIFF_TLS;
        rc = sniff_tls(buf, n, &found);
        break;
    case 'S':
        found.proto = SNIFF_SSH;
        rc = sniff_ssh(buf, n);
        break;
    default:
        found.proto = SNIFF_HTTP;
        rc = sniff_http(buf, n, &found);
    }
    if (rc == RC_AGAIN && full)
        rc = RC_PROTO;
    if (rc == RC_OK || rc == RC_AGAIN)
        *ret_found = found;
    return rc;
}

static bool is_local_name(const char *name)
{
    static const char local[] = "localhost";
    size_t n = strlen(name), tail = sizeof local - 1;

    return n >= tail && strcasecmp(name + n - tail, local) == 0 &&
           (n == tail || name[n - tail - 1] == '.');
}

bool sniffed_target(const struct sniffed *found, struct target *t)
{
    struct target named = {.addr = t->addr};

    if (found->name[0] == '\0' || is_local_name(found->name) ||
        !target_set_host(&named, found->name, strlen(found->name), t->addr.port))
        return false;
    if (!target_is_name(&named) && !addr_is_global(&named.addr))
        return false;
    *t = named;
    return true;
}

void sniffed_rule_target(const struct sniffed *found, const struct target *t,
                         struct target *ret_rule)
{
    *ret_rule = *t;
    if (found->name[0] != '\0') /* it fits, for it came from here */
        (void)target_set_host(ret_rule, found->name, strlen(found->name), found->port);
}

const char *sniff_proto_name(enum sniff_proto proto)
{
    switch (proto) {
    case SNIFF_TLS:
        return "tls";
    case SNIFF_HTTP:
        return "http";
    case SNIFF_H2:
        return "h2";
    case SNIFF_SSH:
        return "ssh";
    case SNIFF_QUIC:
        return "quic";
    case SNIFF_DNS:
        return "dns";
    case SNIFF_UNKNOWN:
        break;
    }
    return "unknown";
}
