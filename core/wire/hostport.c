/* core/wire/hostport.c - atyp, address, port. Contract in core/wire/hostport.h. */
#include "core/wire/hostport.h"

static void target_clear(struct target *t, uint16_t port)
{
    t->addr = (struct addr){.port = port};
    t->name[0] = '\0';
}

enum rc hostport_read(struct rd *c, struct target *ret_t, uint8_t *ret_atyp)
{
    struct rd in = *c;
    struct slice host;
    uint8_t atyp, name_len;
    uint16_t port;

    if (!rd_u8(&in, &atyp))
        return RC_AGAIN;
    switch (atyp) {
    case ATYP_IPV4:
        if (!rd_slice(&in, 4, &host) || !rd_u16(&in, &port))
            return RC_AGAIN;
        ret_t->addr = addr_v4(host.p, port);
        ret_t->name[0] = '\0';
        break;
    case ATYP_IPV6:
        if (!rd_slice(&in, 16, &host) || !rd_u16(&in, &port))
            return RC_AGAIN;
        ret_t->addr = addr_unmap(addr_v6(host.p, port));
        ret_t->name[0] = '\0';
        break;
    case ATYP_NAME:
        if (!rd_u8(&in, &name_len) || !rd_slice(&in, name_len, &host) || !rd_u16(&in, &port))
            return RC_AGAIN;
        target_clear(ret_t, port);
        if (name_len > 0 &&
            (memchr(host.p, 0, host.n) || !target_set_host(ret_t, host.p, host.n, port))) {
            target_clear(ret_t, port);
            *ret_atyp = atyp;
            *c = in;
            return RC_INVALID;
        }
        break;
    default:
        return RC_PROTO;
    }
    *ret_atyp = atyp;
    *c = in;
    return RC_OK;
}

static bool write_name(struct wr *c, const char *name, uint16_t port)
{
    size_t n = strlen(name);
    return n <= TARGET_NAME_MAX && wr_u8(c, ATYP_NAME) && wr_u8(c, (uint8_t)n) &&
           wr_bytes(c, name, n) && wr_u16(c, port);
}

bool hostport_write(struct wr *c, const struct target *t)
{
    struct wr out = *c;
    struct addr a = addr_unmap(t->addr);
    bool ok;

    if (t->name[0] || a.family == 0) {
        ok = write_name(&out, t->name, t->addr.port);
    } else if (a.family == AF_INET6 && a.scope != 0) {
        char text[ADDR_TEXT_MAX];
        ok = write_name(&out, addr_format_ip(&a, text, sizeof text), a.port);
    } else {
        ok = wr_u8(&out, a.family == AF_INET ? ATYP_IPV4 : ATYP_IPV6) &&
             wr_bytes(&out, a.ip, addr_ip_bytes(&a)) && wr_u16(&out, a.port);
    }
    if (ok)
        *c = out;
    return ok;
}

bool hostport_is_wildcard(const struct target *t, uint16_t *ret_port)
{
    static const char prefix[] = "0.0.0.0::";
    if (t->name[0] == '\0') {
        if (t->addr.family != 0 && !addr_is_wildcard(&t->addr))
            return false;
        *ret_port = t->addr.port;
        return true;
    }
    if (strncmp(t->name, prefix, sizeof prefix - 1) != 0)
        return false;
    uint32_t port = 0;
    const char *p = t->name + sizeof prefix - 1;
    if (!*p)
        return false;
    for (; *p; p++) {
        if (*p < '0' || *p > '9')
            return false;
        port = port * 10 + (uint32_t)(*p - '0');
        if (port > UINT16_MAX)
            return false;
    }
    *ret_port = (uint16_t)port;
    return true;
}
