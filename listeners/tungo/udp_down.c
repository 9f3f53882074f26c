/* listeners/tungo/udp_down.c - see udp_down.h. */
#include "listeners/tungo/udp_down.h"
#include "core/wire/ip.h"

enum { HEADERS_MAX = IP6_HEADER_BYTES + UDP_HEADER_BYTES };

static size_t ip_bytes(const struct addr *client)
{
    return client->family == AF_INET6 ? IP6_HEADER_BYTES : IP4_HEADER_BYTES;
}

static bool is_here(const struct udp_down *d, const struct addr *client)
{
    for (size_t i = 0; i < d->n_own; i++) {
        if (addr_same_ip(&d->own[i].net, client))
            return true;
    }
    return false;
}

/* Returns the length of both headers. The UDP checksum is that of the pseudo header. */
static size_t put_headers(uint8_t *at, const struct addr *client, const struct addr *from, size_t n,
                          uint16_t frag, uint16_t id)
{
    struct ip_fields f = {.src = from, .dst = client, .proto = IPPROTO_UDP, .frag = frag, .id = id};
    size_t l4 = packet_put_ip(at, &f, UDP_HEADER_BYTES + n);

    packet_put_udp(at, l4, from->port, client->port, n);
    return l4 + UDP_HEADER_BYTES;
}

static bool write_whole(struct udp_down *d, const uint8_t *headers, size_t l4, const uint8_t *data,
                        size_t n, size_t segment)
{
    struct virtio_net_hdr vh =
        tun_vnet(l4 == IP6_HEADER_BYTES, false, l4, l4 + UDP_HEADER_BYTES, segment);
    struct iovec v[2] = {{.iov_len = l4 + UDP_HEADER_BYTES}, {.iov_len = n}};

    memcpy(&v[0].iov_base, &headers, sizeof(headers)); /* both are only read from */
    memcpy(&v[1].iov_base, &data, sizeof(data));
    return tun_write(d->out.tungo, v, n > 0 ? 2 : 1, &vh);
}

/* Fragments carry no virtio header, so the checksum has to be there. */
static bool write_cut(struct udp_down *d, uint8_t *headers, size_t l4, const uint8_t *data,
                      size_t n, size_t mtu)
{
    uint8_t *udp = headers + l4;
    uint64_t sum = cksum_pseudo(headers, IPPROTO_UDP, UDP_HEADER_BYTES + n);

    memset(udp + UDP_AT_SUM, 0, 2);
    sum = cksum_add(cksum_add(sum, udp, UDP_HEADER_BYTES), data, n);
    uint16_t v = (uint16_t)~cksum_fold(sum);
    if (v == 0)
        v = 0xffff;
    memcpy(udp + UDP_AT_SUM, &v, sizeof(v));
    return packet_out_write(&d->out, headers, l4 + UDP_HEADER_BYTES, data, n, mtu);
}

static bool send_one(struct udp_down *d, const struct addr *client, const struct addr *from,
                     const uint8_t *data, size_t n)
{
    uint8_t headers[HEADERS_MAX];
    size_t l4 = ip_bytes(client), mtu = tungo_caps(d->out.tungo)->mtu;
    size_t counted = client->family == AF_INET6 ? UDP_HEADER_BYTES + n : l4 + UDP_HEADER_BYTES + n;

    if (counted > PACKET_BYTES_MAX)
        return false;
    bool fits = l4 + UDP_HEADER_BYTES + n <= mtu;
    uint16_t id = fits ? 0 : (uint16_t)d->out.next_id++;
    put_headers(headers, client, from, n, fits ? IP4_DF : 0, id);
    if (fits || is_here(d, client))
        return write_whole(d, headers, l4, data, n, 0);
    return write_cut(d, headers, l4, data, n, mtu);
}

bool udp_down_joins(const struct udp_down *d, const struct addr *client, size_t segment)
{
    const struct tun_caps *caps = tungo_caps(d->out.tungo);

    return caps->uso && segment > 0 && ip_bytes(client) + UDP_HEADER_BYTES + segment <= caps->mtu;
}

size_t udp_down_send(struct udp_down *d, const struct addr *client, const struct addr *from,
                     const uint8_t *data, size_t n, size_t segment)
{
    size_t lost = 0;

    if (segment >= n)
        return !send_one(d, client, from, data, n);
    size_t many = 1;
    if (udp_down_joins(d, client, segment)) {
        many = UDP_DOWN_BURST_BYTES / segment;
        many = many > UDP_DOWN_BURST_SEGMENTS ? UDP_DOWN_BURST_SEGMENTS : many;
    }
    while (n > 0) {
        size_t take = n < segment * many ? n : segment * many;
        if (take <= segment) {
            lost += !send_one(d, client, from, data, take);
        } else {
            uint8_t headers[HEADERS_MAX];
            put_headers(headers, client, from, take, IP4_DF, 0);
            if (!write_whole(d, headers, ip_bytes(client), data, take, segment))
                lost += (take + segment - 1) / segment;
        }
        data += take;
        n -= take;
    }
    return lost;
}
