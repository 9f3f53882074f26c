/* core/wire/socks5.c - SOCKS5. Contract in core/wire/socks5.h. */
#include "core/wire/socks5.h"

enum { VERSION = 5, AUTH_VERSION = 1 };

static enum rc read_version(struct rd *c, uint8_t want)
{
    uint8_t version;
    if (!rd_u8(c, &version))
        return RC_AGAIN;
    return version == want ? RC_OK : RC_PROTO;
}

enum rc socks5_parse_greeting(const void *buf, size_t len, struct slice *ret_methods,
                              size_t *ret_used)
{
    struct rd c = rd_init(buf, len);
    struct slice methods;
    uint8_t n;

    enum rc rc = read_version(&c, VERSION);
    if (rc != RC_OK)
        return rc;
    if (!rd_u8(&c, &n))
        return RC_AGAIN;
    if (n == 0)
        return RC_PROTO;
    if (!rd_slice(&c, n, &methods))
        return RC_AGAIN;
    *ret_methods = methods;
    *ret_used = len - rd_left(&c);
    return RC_OK;
}

enum rc socks5_format_greeting(const uint8_t *methods, uint8_t n, void *buf, size_t cap,
                               size_t *ret_n)
{
    struct wr c = wr_init(buf, cap);
    if (!wr_u8(&c, VERSION) || !wr_u8(&c, n) || !wr_bytes(&c, methods, n))
        return RC_LIMIT;
    *ret_n = wr_used(&c);
    return RC_OK;
}

bool socks5_offers(struct slice methods, enum socks5_method m)
{
    return methods.n > 0 && memchr(methods.p, (int)m, methods.n) != NULL;
}

enum rc socks5_parse_method(const void *buf, size_t len, uint8_t *ret_method, size_t *ret_used)
{
    struct rd c = rd_init(buf, len);
    uint8_t method;

    enum rc rc = read_version(&c, VERSION);
    if (rc != RC_OK)
        return rc;
    if (!rd_u8(&c, &method))
        return RC_AGAIN;
    if (method == SOCKS5_NO_METHOD)
        return RC_AUTH;
    *ret_method = method;
    *ret_used = 2;
    return RC_OK;
}

void socks5_format_method(enum socks5_method m, uint8_t ret_buf[static 2])
{
    ret_buf[0] = VERSION;
    ret_buf[1] = (uint8_t)m;
}

enum rc socks5_parse_auth(const void *buf, size_t len, struct slice *ret_user,
                          struct slice *ret_pass, size_t *ret_used)
{
    struct rd c = rd_init(buf, len);
    struct slice user, pass;
    uint8_t n;

    enum rc rc = read_version(&c, AUTH_VERSION);
    if (rc != RC_OK)
        return rc;
    if (!rd_u8(&c, &n) || !rd_slice(&c, n, &user) || !rd_u8(&c, &n) || !rd_slice(&c, n, &pass))
        return RC_AGAIN;
    *ret_user = user;
    *ret_pass = pass;
    *ret_used = len - rd_left(&c);
    return RC_OK;
}

enum rc socks5_format_auth(struct slice user, struct slice pass, void *buf, size_t cap,
                           size_t *ret_n)
{
    struct wr c = wr_init(buf, cap);
    if (user.n > 255 || pass.n > 255)
        return RC_INVALID;
    if (!wr_u8(&c, AUTH_VERSION) || !wr_u8(&c, (uint8_t)user.n) || !wr_slice(&c, user) ||
        !wr_u8(&c, (uint8_t)pass.n) || !wr_slice(&c, pass))
        return RC_LIMIT;
    *ret_n = wr_used(&c);
    return RC_OK;
}

enum rc socks5_parse_auth_reply(const void *buf, size_t len, size_t *ret_used)
{
    struct rd c = rd_init(buf, len);
    uint8_t status;

    enum rc rc = read_version(&c, AUTH_VERSION);
    if (rc != RC_OK)
        return rc;
    if (!rd_u8(&c, &status))
        return RC_AGAIN;
    if (status != 0)
        return RC_AUTH;
    *ret_used = 2;
    return RC_OK;
}

void socks5_format_auth_reply(bool accepted, uint8_t ret_buf[static 2])
{
    ret_buf[0] = AUTH_VERSION;
    ret_buf[1] = accepted ? 0 : 1;
}

enum rc socks5_parse_message(const void *buf, size_t len, struct socks5_message *ret_msg,
                             size_t *ret_used)
{
    struct rd c = rd_init(buf, len);
    uint8_t code, reserved;

    enum rc rc = read_version(&c, VERSION);
    if (rc != RC_OK)
        return rc;
    if (!rd_u8(&c, &code) || !rd_u8(&c, &reserved))
        return RC_AGAIN;
    rc = hostport_read(&c, &ret_msg->target, &ret_msg->atyp);
    if (rc != RC_OK && rc != RC_INVALID)
        return rc;
    ret_msg->code = code;
    ret_msg->valid = rc == RC_OK;
    *ret_used = len - rd_left(&c);
    return RC_OK;
}

enum rc socks5_format_message(uint8_t code, const struct target *t, void *buf, size_t cap,
                              size_t *ret_n)
{
    static const struct target zero = {.addr = {.family = AF_INET}};
    struct wr c = wr_init(buf, cap);
    if (!wr_u8(&c, VERSION) || !wr_u8(&c, code) || !wr_u8(&c, 0) ||
        !hostport_write(&c, t ? t : &zero))
        return RC_LIMIT;
    *ret_n = wr_used(&c);
    return RC_OK;
}

/* RFC 1928 has no word for a timeout or an unknown name: "host unreachable" is what programs show
 * best. */
enum socks5_rep socks5_rep_from_rc(enum rc rc)
{
    switch (rc) {
    case RC_OK:
        return SOCKS5_REP_OK;
    case RC_DENIED:
        return SOCKS5_REP_NOT_ALLOWED;
    case RC_REFUSED:
        return SOCKS5_REP_REFUSED;
    case RC_UNREACH_HOST:
    case RC_NAME:
    case RC_TIMEOUT:
        return SOCKS5_REP_HOST_UNREACHABLE;
    case RC_UNREACH_NET:
        return SOCKS5_REP_NET_UNREACHABLE;
    case RC_NOMEM:
    case RC_LIMIT:
        return SOCKS5_REP_FAILURE;
    case RC_AGAIN:
    case RC_EOF:
    case RC_UNSUPPORTED:
    case RC_CANCELED:
    case RC_INVALID:
    case RC_PROTO:
    case RC_AUTH:
    case RC_RESET:
    case RC_CERT:
    case RC_SYS:
        break;
    }
    return SOCKS5_REP_NET_UNREACHABLE; /* as GOST for every failed dial */
}

enum rc socks5_rep_to_rc(uint8_t rep)
{
    switch (rep) {
    case SOCKS5_REP_OK:
        return RC_OK;
    case SOCKS5_REP_NOT_ALLOWED:
        return RC_DENIED;
    case SOCKS5_REP_NET_UNREACHABLE:
        return RC_UNREACH_NET;
    case SOCKS5_REP_HOST_UNREACHABLE:
    case SOCKS5_REP_TTL_EXPIRED:
        return RC_UNREACH_HOST;
    case SOCKS5_REP_REFUSED:
        return RC_REFUSED;
    case SOCKS5_REP_CMD_UNSUPPORTED:
    case SOCKS5_REP_ATYP_UNSUPPORTED:
        return RC_UNSUPPORTED;
    default:
        return RC_UNREACH_NET;
    }
}

const char *socks5_rep_text(unsigned rep)
{
    static const char *const text[] = {
        "ok",
        "general failure",
        "not allowed",
        "network unreachable",
        "host unreachable",
        "connection refused",
        "time to live expired",
        "command not supported",
        "address type not supported",
    };
    return rep < sizeof text / sizeof text[0] ? text[rep] : "unknown reply";
}
