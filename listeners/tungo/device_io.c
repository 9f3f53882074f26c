/* listeners/tungo/device_io.c - reading packets from the device in small batches, writing them. See
 * device_io.h and inside.h.
 *
 * A batch is 256 KB or 64 packets: more bytes leave the cache before they are used; fewer packets
 * would mean a turn for each of them when many flows send little at a time. The descriptor is
 * edge-triggered, so a batch that was full goes on by itself, a turn later.
 */
#include "listeners/tungo/device_io.h"
#include "core/wire/ip.h"
#include "listeners/tungo/inside.h"
#include "listeners/tungo/netstack.h"
#include "listeners/tungo/rxbuf.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCH_PACKETS = 64, BATCH_BYTES = 256 * 1024 };

const struct tun_caps *tungo_caps(const struct tungo *t)
{
    return &t->caps;
}

struct virtio_net_hdr tun_vnet(bool ip6, bool tcp, size_t l4, size_t header_bytes,
                               size_t segment_bytes)
{
    struct virtio_net_hdr vh = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .csum_start = (uint16_t)l4,
        .csum_offset = tcp ? TCP_AT_SUM : UDP_AT_SUM,
    };

    if (segment_bytes) {
        vh.gso_type = !tcp  ? VIRTIO_NET_HDR_GSO_UDP_L4
                      : ip6 ? VIRTIO_NET_HDR_GSO_TCPV6
                            : VIRTIO_NET_HDR_GSO_TCPV4;
        vh.gso_size = (uint16_t)segment_bytes;
        vh.hdr_len = (uint16_t)header_bytes;
    }
    return vh;
}

/* In the next turn: jobs that post each other would keep the sockets waiting for too long. */
static void read_soon(struct tungo *t)
{
    job_post_later(t->loop, &t->again);
}

/* --- writing */

/* The device has no virtio headers: what the kernel would complete is completed here. Returns the
 * packet's length in buf, 0: it does not fit. */
static size_t flatten(uint8_t *buf, size_t cap, const struct iovec *v, int nv,
                      const struct virtio_net_hdr *vh)
{
    size_t n = 0;

    for (int i = 0; i < nv; i++) {
        if (v[i].iov_len > cap - n)
            return 0;
        memcpy(buf + n, v[i].iov_base, v[i].iov_len);
        n += v[i].iov_len;
    }
    if (vh && (vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
        cksum_l4_put(buf, vh->csum_start, n,
                     vh->csum_offset == TCP_AT_SUM ? IPPROTO_TCP : IPPROTO_UDP);
    return n;
}

static ssize_t write_plain(int fd, const struct iovec *v, int nv, const struct virtio_net_hdr *vh)
{
    static uint8_t buf[PACKET_BYTES_MAX + IP6_HEADER_BYTES];
    size_t n = flatten(buf, sizeof buf, v, nv, vh);

    if (!n) {
        errno = EMSGSIZE;
        return -1;
    }
    return write(fd, buf, n);
}

static ssize_t write_vnet(int fd, const struct iovec *v, int nv, const struct virtio_net_hdr *vh)
{
    static struct virtio_net_hdr none;
    static struct iovec all[TUN_IOV_MAX + 1];

    all[0].iov_len = sizeof *vh;
    if (vh) {
        static struct virtio_net_hdr copy; /* iovecs are not const */
        copy = *vh;
        all[0].iov_base = &copy;
    } else {
        all[0].iov_base = &none;
    }
    memcpy(all + 1, v, (size_t)nv * sizeof *v);
    return writev(fd, all, nv + 1);
}

bool tun_write(struct tungo *t, const struct iovec *v, int nv, const struct virtio_net_hdr *vh)
{
    ssize_t n = -1;

    BUG_ON(nv > TUN_IOV_MAX);
    errno = EBADFD;
    if (t->reading)
        n = t->caps.vnet ? write_vnet(t->hot.fd, v, nv, vh) : write_plain(t->hot.fd, v, nv, vh);
    if (n < 0) {
        t->stats.lost_writes++;
        if (t->reading && device_trouble(errno) == DEVICE_GONE)
            read_soon(t); /* reading finds the same, from a safer place */
        return false;
    }
    t->stats.written_packets++;
    t->stats.written_bytes += (uint64_t)n;
    return true;
}

/* --- reading */

enum batch { BATCH_FULL, BATCH_EMPTY, BATCH_GONE };

static enum batch read_batch(struct tungo *t)
{
    size_t vnet = t->setup.device.vnet_bytes, bytes = 0;

    for (int i = 0; i < BATCH_PACKETS && bytes < BATCH_BYTES; i++) {
        struct rxbuf *b = rxbuf_new(&t->net->blocks);
        if (!b)
            b = t->spare;
        uint8_t *at = b->data - vnet;
        ssize_t n = read(t->hot.fd, at, vnet + RXBUF_DATA_BYTES);
        if (n < 0) {
            int err = errno;
            rxbuf_free(b);
            switch (device_trouble(err)) {
            case DEVICE_AGAIN:
            case DEVICE_DOWN:
                return BATCH_EMPTY;
            case DEVICE_BAD:
                continue;
            case DEVICE_GONE:
                return BATCH_GONE;
            }
        }
        t->stats.read_packets++;
        t->stats.read_bytes += (uint64_t)n;
        bytes += (size_t)n;
        if ((size_t)n <= vnet) {
            rxbuf_free(b);
            continue;
        }
        inlet_packet(t, b, b->data, (size_t)n - vnet,
                     vnet ? (const struct virtio_net_hdr *)(const void *)at : NULL);
    }
    return BATCH_FULL;
}

static void go_on(struct tungo *t)
{
    enum batch found;

    if (!t->reading)
        return;
    found = read_batch(t);
    netstack_batch_end(t->net);
    if (!t->reading)
        return; /* a handler stopped the service */
    if (found == BATCH_FULL)
        read_soon(t);
    else if (found == BATCH_GONE)
        tungo_device_lost(t);
}

static void on_again(struct job *job)
{
    go_on(LIST_OWNER(job, struct tungo, again));
}

static void on_hot(struct hotfd *hot, unsigned ready)
{
    struct tungo *t = LIST_OWNER(hot, struct tungo, hot);

    if ((ready & HOT_HUP) && device_is_gone(&t->setup.device))
        tungo_device_lost(t);
    else if (ready & HOT_IN)
        go_on(t);
}

void device_io_probe(struct tungo *t)
{
    const struct device *d = &t->setup.device;

    t->caps = (struct tun_caps){
        .vnet = d->vnet_bytes != 0,
        .tso = (d->offloads & DEVICE_TSO4) && (d->offloads & DEVICE_TSO6),
        .uso = (d->offloads & DEVICE_USO) != 0,
        .mtu = d->mtu,
    };
    netstack_set_mtu(t->net, d->mtu);
}

enum rc device_io_start(struct tungo *t)
{
    enum rc rc;

    job_init(&t->again, on_again);
    rc = hotfd_add(t->loop, &t->hot, t->setup.device.fd[0], on_hot);
    if (rc != RC_OK)
        return rc;
    t->reading = true;
    read_soon(t); /* what the kernel queued before */
    return RC_OK;
}

void device_io_stop(struct tungo *t)
{
    if (!t->reading)
        return;
    t->reading = false;
    job_cancel(&t->again);
    hotfd_remove(&t->hot);
}
