/* core/wire/relay.c - the relay protocol. Contract in core/wire/relay.h. */
#include "core/wire/relay.h"
#include "core/wire/hostport.h"

enum { VERSION = 1, CMD_MASK = 0x0f, FLAG_UDP = 0x80 };
enum { FEATURE_AUTH = 1, FEATURE_ADDR = 2, FEATURE_TUNNEL = 3, FEATURE_NETWORK = 4 };
enum { FEATURE_HEAD_BYTES = 3, TUNNEL_ID_OLD_BYTES = 16 };

/* Everything that a message of either direction may carry. */
struct features {
    bool has_auth, has_network, has_addr, has_tunnel;
    struct slice user, pass;
    uint16_t network;
    uint8_t atyp;
    struct target *target;
    uint8_t tunnel[RELAY_TUNNEL_ID_BYTES];
};

static bool read_auth(struct rd *c, struct features *f)
{
    uint8_t n;
    if (!rd_u8(c, &n) || !rd_slice(c, n, &f->user) || !rd_u8(c, &n) || !rd_slice(c, n, &f->pass))
        return false;
    f->has_auth = true;
    return true;
}

static bool read_tunnel(struct rd *c, struct features *f)
{
    size_t n = rd_left(c);
    if (n < TUNNEL_ID_OLD_BYTES)
        return false;
    memset(f->tunnel, 0, sizeof f->tunnel);
    f->has_tunnel = true;
    return rd_bytes(c, f->tunnel, n < sizeof f->tunnel ? n : sizeof f->tunnel);
}

/* A feature may be longer than what we know of it: the rest is ignored. Unknown features too. */
static bool read_feature(uint8_t type, struct slice data, struct features *f)
{
    struct rd c = rd_init(data.p, data.n);
    switch (type) {
    case FEATURE_AUTH:
        return read_auth(&c, f);
    case FEATURE_ADDR:
        f->has_addr = true;
        return hostport_read(&c, f->target, &f->atyp) == RC_OK;
    case FEATURE_TUNNEL:
        return read_tunnel(&c, f);
    case FEATURE_NETWORK:
        f->has_network = true;
        return rd_u16(&c, &f->network);
    default:
        return true;
    }
}

/* Head and features; *ret_second is the command or status byte. */
static enum rc parse(const void *buf, size_t len, uint8_t *ret_second, struct features *f,
                     size_t *ret_used)
{
    struct rd c = rd_init(buf, len);
    struct slice all, data;
    uint8_t version, type;
    uint16_t n;

    if (!rd_u8(&c, &version))
        return RC_AGAIN;
    if (version != VERSION)
        return RC_PROTO;
    if (!rd_u8(&c, ret_second) || !rd_u16(&c, &n) || !rd_slice(&c, n, &all))
        return RC_AGAIN;
    struct rd fc = rd_init(all.p, all.n);
    while (rd_left(&fc) > 0) {
        if (!rd_u8(&fc, &type) || !rd_u16(&fc, &n) || !rd_slice(&fc, n, &data) ||
            !read_feature(type, data, f))
            return RC_PROTO;
    }
    *ret_used = (size_t)RELAY_HEAD_BYTES + all.n;
    return RC_OK;
}

enum rc relay_parse_request(const void *buf, size_t len, struct relay_request *ret_req,
                            size_t *ret_used)
{
    struct target target = {.name = ""};
    struct features f = {.target = &target};
    uint8_t second;

    enum rc rc = parse(buf, len, &second, &f, ret_used);
    if (rc != RC_OK)
        return rc;
    *ret_req = (struct relay_request){
        .cmd = second & CMD_MASK,
        .udp = (second & FLAG_UDP) || (f.has_network && f.network == RELAY_NET_UDP),
        .has_auth = f.has_auth,
        .user = f.user,
        .pass = f.pass,
        .has_network = f.has_network,
        .network = f.network,
        .has_addr = f.has_addr,
        .atyp = f.atyp,
        .target = target,
        .has_tunnel = f.has_tunnel,
    };
    memcpy(ret_req->tunnel, f.tunnel, sizeof f.tunnel);
    return RC_OK;
}

enum rc relay_parse_response(const void *buf, size_t len, struct relay_response *ret_resp,
                             size_t *ret_used)
{
    struct target target = {.name = ""};
    struct features f = {.target = &target};
    uint8_t status;

    enum rc rc = parse(buf, len, &status, &f, ret_used);
    if (rc != RC_OK)
        return rc;
    *ret_resp = (struct relay_response){
        .status = status, .has_addr = f.has_addr, .atyp = f.atyp, .addr = target};
    return RC_OK;
}

static bool write_auth(struct wr *c, const struct relay_request *req)
{
    if (!req->has_auth)
        return true;
    return wr_u8(c, FEATURE_AUTH) && wr_u16(c, (uint16_t)(2 + req->user.n + req->pass.n)) &&
           wr_u8(c, (uint8_t)req->user.n) && wr_slice(c, req->user) &&
           wr_u8(c, (uint8_t)req->pass.n) && wr_slice(c, req->pass);
}

static bool write_network(struct wr *c, const struct relay_request *req)
{
    if (!req->udp && !req->has_network)
        return true;
    return wr_u8(c, FEATURE_NETWORK) && wr_u16(c, 2) &&
           wr_u16(c, req->udp ? (uint16_t)RELAY_NET_UDP : req->network);
}

static bool write_addr(struct wr *c, const struct target *t)
{
    uint8_t body[HOSTPORT_MAX_BYTES];
    struct wr b = wr_init(body, sizeof body);
    return hostport_write(&b, t) && wr_u8(c, FEATURE_ADDR) && wr_u16(c, (uint16_t)wr_used(&b)) &&
           wr_bytes(c, body, wr_used(&b));
}

/* Fills in FEALEN once the features are written. */
static size_t finish(struct wr *c)
{
    size_t n = wr_used(c) - RELAY_HEAD_BYTES;
    c->start[2] = (uint8_t)(n >> 8);
    c->start[3] = (uint8_t)(n & 0xff);
    return wr_used(c);
}

enum rc relay_format_request(const struct relay_request *req, void *buf, size_t cap, size_t *ret_n)
{
    struct wr c = wr_init(buf, cap);
    if (req->user.n > 255 || req->pass.n > 255)
        return RC_INVALID;
    uint8_t second = (uint8_t)((req->cmd & CMD_MASK) | (req->udp ? FLAG_UDP : 0));
    if (!wr_u8(&c, VERSION) || !wr_u8(&c, second) || !wr_u16(&c, 0))
        return RC_LIMIT;
    bool bind = req->cmd == RELAY_BIND;
    bool ok = (bind || write_network(&c, req)) && write_auth(&c, req) &&
              (!bind || write_network(&c, req)) && (!req->has_addr || write_addr(&c, &req->target));
    if (!ok)
        return RC_LIMIT;
    *ret_n = finish(&c);
    return RC_OK;
}

enum rc relay_format_response(enum relay_status status, const struct target *addr, void *buf,
                              size_t cap, size_t *ret_n)
{
    struct wr c = wr_init(buf, cap);
    if (!wr_u8(&c, VERSION) || !wr_u8(&c, (uint8_t)status) || !wr_u16(&c, 0) ||
        (addr && !write_addr(&c, addr)))
        return RC_LIMIT;
    *ret_n = finish(&c);
    return RC_OK;
}

enum rc relay_parse_dgram(const void *buf, size_t len, struct slice *ret_payload, size_t *ret_used)
{
    struct rd c = rd_init(buf, len);
    struct slice payload;
    uint16_t n;

    if (!rd_u16(&c, &n) || !rd_slice(&c, n, &payload))
        return RC_AGAIN;
    *ret_payload = payload;
    *ret_used = (size_t)RELAY_DGRAM_HEAD_BYTES + n;
    return RC_OK;
}

void relay_format_dgram_head(uint16_t payload_bytes, uint8_t ret_head[static 2])
{
    ret_head[0] = (uint8_t)(payload_bytes >> 8);
    ret_head[1] = (uint8_t)(payload_bytes & 0xff);
}

const char *relay_status_text(unsigned status)
{
    static const char *const text[] = {
        "ok",
        "bad request",
        "unauthorized",
        "forbidden",
        "timeout",
        "service unavailable",
        "host unreachable",
        "network unreachable",
        "internal error",
    };
    return status < sizeof text / sizeof text[0] ? text[status] : "unknown status";
}
