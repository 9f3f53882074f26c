/* core/wire/udptun.c - datagrams with their address. Contract in core/wire/udptun.h. */
#include "core/wire/udptun.h"

enum { FRAG_TUN = 0xff };

enum rc udptun_parse(const void *buf, size_t len, struct udptun_frame *ret_frame, size_t *ret_used)
{
    struct rd c = rd_init(buf, len);
    struct slice payload;
    uint8_t frag;
    uint16_t n;

    if (!rd_u16(&c, &n) || !rd_u8(&c, &frag))
        return RC_AGAIN;
    enum rc rc = hostport_read(&c, &ret_frame->target, &ret_frame->atyp);
    if (rc != RC_OK && rc != RC_INVALID)
        return rc;
    if (!rd_slice(&c, n, &payload))
        return RC_AGAIN;
    ret_frame->len = n;
    ret_frame->frag = frag;
    ret_frame->valid = rc == RC_OK;
    ret_frame->payload = payload;
    *ret_used = len - rd_left(&c);
    return RC_OK;
}

static enum rc format_head(uint16_t first, uint8_t frag, const struct target *t, void *buf,
                           size_t cap, size_t *ret_n)
{
    struct wr c = wr_init(buf, cap);
    if (!wr_u16(&c, first) || !wr_u8(&c, frag) || !hostport_write(&c, t))
        return RC_LIMIT;
    *ret_n = wr_used(&c);
    return RC_OK;
}

enum rc udptun_format_head(const struct target *t, uint16_t payload_bytes, void *buf, size_t cap,
                           size_t *ret_n)
{
    return format_head(payload_bytes, FRAG_TUN, t, buf, cap, ret_n);
}

enum rc socks5_udp_parse(const void *buf, size_t len, struct target *ret_t, uint8_t *ret_atyp,
                         struct slice *ret_payload)
{
    struct rd c = rd_init(buf, len);
    uint16_t reserved;
    uint8_t frag;

    if (!rd_u16(&c, &reserved) || !rd_u8(&c, &frag) || frag != 0 ||
        hostport_read(&c, ret_t, ret_atyp) != RC_OK)
        return RC_PROTO;
    *ret_payload = (struct slice){(const char *)c.p, rd_left(&c)};
    return RC_OK;
}

enum rc socks5_udp_format_head(const struct target *t, void *buf, size_t cap, size_t *ret_n)
{
    return format_head(0, 0, t, buf, cap, ret_n);
}
