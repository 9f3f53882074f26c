/* core/host/device.h - a TUN device: made, its offloads probed, and is it still there.
 *
 * These functions are all that another system has to provide (wintun, utun: one more file each).
 * Packets are read and written by the owner on fd[]; here nothing is buffered and no flow is known.
 *
 * Packets: one per read or write. With vnet_bytes > 0 each is preceded by a struct virtio_net_hdr
 * of that many bytes and may be a super-packet as `offloads` says; with 0 packets come and go
 * plain. Ownership: the caller; device_close() ends the device (it is not persistent). Errors:
 * RC_INVALID for a bad name or MTU, RC_LIMIT for a busy name, RC_DENIED without privilege; the
 * reason is in diag. Source: Linux Documentation/networking/tuntap.rst, virtio 1.2 chapter 5.1.6.
 */
#ifndef CORE_HOST_DEVICE_H
#define CORE_HOST_DEVICE_H

#include "core/rc.h"
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdint.h>

/* Younger than the headers of Debian 12. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum {
    DEVICE_NAME_MAX = 15,
    DEVICE_QUEUES_MAX = 16,
    DEVICE_TXQUEUELEN = 5000, /* with the kernel's 500, 256 streams lose packets inside the host */
    DEVICE_MTU_MIN = 68,
    DEVICE_MTU_MAX = 65535
};

enum device_offload {
    DEVICE_CSUM = 1, /* NEEDS_CSUM both ways */
    DEVICE_TSO4 = 2,
    DEVICE_TSO6 = 4,
    DEVICE_USO = 8 /* UDP_L4 for both families */
};

struct device_cfg {
    const char *name;     /* as the interface shall be called */
    uint32_t mtu;         /* bytes; 0: 1420 */
    uint32_t txqueuelen;  /* packets; 0: DEVICE_TXQUEUELEN */
    unsigned queues;      /* 0 or 1: a plain device; more: IFF_MULTI_QUEUE */
    const char *netns;    /* name or path; NULL: ours */
    unsigned offload_off; /* device_offload bits not to be asked for */
    bool plain;           /* no vnet header at all */
};

struct device {
    char name[DEVICE_NAME_MAX + 1];
    int index; /* of the interface; 0: not known (adopted) */
    int fd[DEVICE_QUEUES_MAX];
    unsigned queues;
    uint32_t mtu;
    unsigned vnet_bytes; /* 10, or 0: no vnet header */
    unsigned offloads;   /* device_offload bits in force */
};

/* The device exists afterwards, still down and without addresses. fd[] are non-blocking and
 * close-on-exec. ret_d is untouched on failure. */
enum rc device_open(const struct device_cfg *cfg, struct device *ret_d, struct diag *diag);
/* A TUN descriptor that somebody else opened (a parent, an embedding program). Takes fd on RC_OK
 * only. Header size and offloads are set as by device_open(), the interface itself is left as it
 * is. mtu 0: asks. */
enum rc device_adopt(int fd, uint32_t mtu, struct device *ret_d, struct diag *diag);
void device_close(struct device *d); /* accepts a zeroed, failed or closed one */

/* What errno after read() or write() on fd[] means. */
enum device_trouble {
    DEVICE_AGAIN, /* nothing to read now, or this packet found no room: it is lost */
    DEVICE_BAD,   /* this packet was not acceptable; the next may be */
    DEVICE_DOWN,  /* the interface is set down: goes on when it is up again */
    DEVICE_GONE   /* the interface was deleted: close and open anew */
};
enum device_trouble device_trouble(int err);
/* Is the interface behind fd[0] still there? For a HUP or error event without a packet. */
bool device_is_gone(const struct device *d);

#endif
