/* listeners/tungo/packet_out.c - see packet_out.h. */
#include "listeners/tungo/packet_out.h"
#include "core/loop.h"
#include "core/wire/ip.h"
#include "listeners/tungo/fragment.h"

void packet_out_init(struct packet_out *o, struct tungo *t)
{
    *o = (struct packet_out){.tungo = t};
    loop_random(&o->next_id, sizeof(o->next_id));
}

static struct iovec piece(const void *data, size_t n)
{
    struct iovec v = {.iov_len = n};

    memcpy(&v.iov_base, &data, sizeof(data)); /* it is only read from */
    return v;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The part [at, at + n) of two pieces in a row; returns how many iovecs that takes. */
static int part(struct iovec *v, const uint8_t *a, size_t a_bytes, const uint8_t *b, size_t at,
                size_t n)
{
    int nv = 0;

    if (at < a_bytes) {
        size_t take = least(n, a_bytes - at);
        v[nv++] = piece(a + at, take);
        at += take;
        n -= take;
    }
    if (n > 0)
        v[nv++] = piece(b + (at - a_bytes), n);
    return nv;
}

bool packet_out_write(struct packet_out *o, const uint8_t *header, size_t header_bytes,
                      const void *payload, size_t n, size_t mtu)
{
    struct iovec v[3] = {piece(header, header_bytes), piece(payload, n)};
    struct fragment_cut cut;
    bool sent = true;

    if (mtu == 0 || header_bytes + n <= mtu)
        return tun_write(o->tungo, v, n > 0 ? 2 : 1, NULL);
    size_t ip = packet_version(header) == 6 ? IP6_HEADER_BYTES : IP4_HEADER_BYTES;
    if (!fragment_cut_start(&cut, header, header_bytes - ip + n, mtu, o->next_id++))
        return false;
    while (sent && fragment_cut_next(&cut)) {
        v[0] = piece(cut.header, cut.header_bytes);
        int nv = part(v + 1, header + ip, header_bytes - ip, payload, cut.at, cut.n);
        sent = tun_write(o->tungo, v, 1 + nv, NULL);
    }
    return sent;
}
