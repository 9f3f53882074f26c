/* core/wire/socks4.c - SOCKS4 and 4a. Contract in core/wire/socks4.h. */
#include "core/wire/socks4.h"

enum { VERSION = 4, REPLY_VERSION = 0 };

/* Text up to its NUL, which is stepped over. */
static enum rc read_text(struct rd *c, struct slice *ret_s)
{
    size_t left = rd_left(c);
    size_t look = left < SOCKS4_TEXT_MAX + 1 ? left : SOCKS4_TEXT_MAX + 1;
    const uint8_t *nul = look > 0 ? memchr(c->p, 0, look) : NULL;
    if (!nul)
        return look > SOCKS4_TEXT_MAX ? RC_PROTO : RC_AGAIN;
    (void)rd_slice(c, (size_t)(nul - c->p), ret_s); /* the bytes are there */
    (void)rd_skip(c, 1);
    return RC_OK;
}

enum rc socks4_parse_request(const void *buf, size_t len, struct socks4_request *ret_req,
                             size_t *ret_used)
{
    struct rd c = rd_init(buf, len);
    struct slice user, host = {NULL, 0};
    struct target target = {.name = ""};
    uint8_t version, cmd, ip[4];
    uint16_t port;

    if (!rd_u8(&c, &version))
        return RC_AGAIN;
    if (version != VERSION)
        return RC_PROTO;
    if (!rd_u8(&c, &cmd) || !rd_u16(&c, &port) || !rd_bytes(&c, ip, sizeof ip))
        return RC_AGAIN;
    enum rc rc = read_text(&c, &user);
    if (rc != RC_OK)
        return rc;
    bool is_4a = ip[0] == 0 && ip[1] == 0 && ip[2] == 0 && ip[3] != 0;
    if (is_4a) {
        rc = read_text(&c, &host);
        if (rc != RC_OK)
            return rc;
        if (host.n == 0 || !target_set_host(&target, host.p, host.n, port))
            return RC_PROTO;
    } else {
        target.addr = addr_v4(ip, port);
    }
    *ret_req = (struct socks4_request){.cmd = cmd, .is_4a = is_4a, .user = user, .target = target};
    *ret_used = len - rd_left(&c);
    return RC_OK;
}

enum rc socks4_format_request(const struct socks4_request *req, void *buf, size_t cap,
                              size_t *ret_n)
{
    static const uint8_t marker_4a[4] = {0, 0, 0, 1};
    struct wr c = wr_init(buf, cap);
    struct addr a = addr_unmap(req->target.addr);
    bool text = req->is_4a || req->target.name[0] || a.family != AF_INET;

    if (req->user.n > SOCKS4_TEXT_MAX || (req->user.n > 0 && memchr(req->user.p, 0, req->user.n)))
        return RC_INVALID;
    bool ok = wr_u8(&c, VERSION) && wr_u8(&c, req->cmd) && wr_u16(&c, req->target.addr.port) &&
              wr_bytes(&c, text ? marker_4a : a.ip, 4) && wr_slice(&c, req->user) && wr_u8(&c, 0);
    if (ok && text) {
        char host[TARGET_TEXT_MAX];
        const char *h =
            req->target.name[0] ? req->target.name : addr_format_ip(&a, host, sizeof host);
        ok = wr_text(&c, h) && wr_u8(&c, 0);
    }
    if (!ok)
        return RC_LIMIT;
    *ret_n = wr_used(&c);
    return RC_OK;
}

enum rc socks4_parse_reply(const void *buf, size_t len, uint8_t *ret_code, size_t *ret_used)
{
    struct rd c = rd_init(buf, len);
    uint8_t version, code;

    if (!rd_u8(&c, &version))
        return RC_AGAIN;
    if (version != REPLY_VERSION)
        return RC_PROTO;
    if (!rd_u8(&c, &code) || !rd_skip(&c, 6))
        return RC_AGAIN;
    *ret_code = code;
    *ret_used = SOCKS4_REPLY_BYTES;
    return RC_OK;
}

void socks4_format_reply(enum socks4_code code, uint8_t ret_buf[static SOCKS4_REPLY_BYTES])
{
    memset(ret_buf, 0, SOCKS4_REPLY_BYTES);
    ret_buf[0] = REPLY_VERSION;
    ret_buf[1] = (uint8_t)code;
}
