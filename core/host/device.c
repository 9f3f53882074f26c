/* core/host/device.c - /dev/net/tun. */
#include "core/host/device.h"
#include "core/host/link.h"
#include "core/host/netlink.h"
#include "core/host/netns.h"
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MTU_DEFAULT = 1420, VNET_BYTES = sizeof(struct virtio_net_hdr) };

static enum rc check_name(const char *name, struct diag *diag)
{
    size_t n = name ? strlen(name) : 0;

    if (n == 0)
        return diag_set(diag, RC_INVALID, "the device has no name");
    if (n > DEVICE_NAME_MAX)
        return diag_set(diag, RC_INVALID, "device name %.40s: %zu characters, at most %d", name, n,
                        DEVICE_NAME_MAX);
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strpbrk(name, "/: \t\r\n"))
        return diag_set(diag, RC_INVALID, "device name \"%s\" is not one the kernel takes", name);
    return RC_OK;
}

static enum rc open_failed(int err, struct diag *diag)
{
    switch (err) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return diag_set(diag, RC_UNSUPPORTED,
                        "/dev/net/tun: there is no TUN driver (modprobe tun, or in a container: "
                        "pass the device in)");
    case EACCES:
    case EPERM:
        return diag_set(diag, RC_DENIED, "/dev/net/tun: not permitted (needs CAP_NET_ADMIN)");
    default:
        return diag_errno(diag, err, "/dev/net/tun");
    }
}

static enum rc attach_failed(int err, const char *name, struct diag *diag)
{
    switch (err) {
    case EBUSY:
        return diag_set(diag, RC_LIMIT, "device %s is busy: another program has it open", name);
    case EPERM:
    case EACCES:
        return diag_set(diag, RC_DENIED, "device %s: not permitted (needs CAP_NET_ADMIN)", name);
    case EINVAL:
    case EEXIST:
        return diag_set(diag, RC_INVALID,
                        "device %s: an interface of that name exists and is no TUN device, or was "
                        "made with other settings",
                        name);
    default:
        return diag_errno(diag, err, "device %s", name);
    }
}

static enum rc open_queue(const char *name, short flags, int *ret_fd, struct ifreq *ret_ifr,
                          struct diag *diag)
{
    struct ifreq ifr = {.ifr_flags = flags};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return open_failed(errno, diag);
    memcpy(ifr.ifr_name, name, strlen(name)); /* checked: shorter than the field */
    if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
        int err = errno;
        close(fd);
        return attach_failed(err, name, diag);
    }
    *ret_fd = fd;
    *ret_ifr = ifr;
    return RC_OK;
}

static bool driver_has(unsigned flag)
{
    unsigned features = 0;
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return false;
    bool known = ioctl(fd, TUNGETFEATURES, &features) == 0 && (features & flag) == flag;
    close(fd);
    return known;
}

/* Each offload on top of the ones that were taken: an old kernel refuses the whole set at once. */
static unsigned probe_offloads(int fd, unsigned off)
{
    static const struct {
        unsigned ours, kernel;
    } steps[] = {
        {DEVICE_CSUM, TUN_F_CSUM},
        {DEVICE_TSO4, TUN_F_TSO4},
        {DEVICE_TSO6, TUN_F_TSO6},
        {DEVICE_USO, TUN_F_USO4 | TUN_F_USO6}, /* the kernel takes only both */
    };
    unsigned ours = 0;
    unsigned long kernel = 0;

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (off & steps[i].ours)
            continue;
        if (i > 0 && !(ours & DEVICE_CSUM))
            break;
        if (ioctl(fd, TUNSETOFFLOAD, kernel | steps[i].kernel) == 0) {
            ours |= steps[i].ours;
            kernel |= steps[i].kernel;
        }
    }
    /* super-segments with CWR set stay whole too; their type then has the ECN bit */
    if ((ours & (DEVICE_TSO4 | DEVICE_TSO6)) &&
        ioctl(fd, TUNSETOFFLOAD, kernel | TUN_F_TSO_ECN) == 0)
        kernel |= TUN_F_TSO_ECN;
    /* a refused step may have left another set in force */
    (void)ioctl(fd, TUNSETOFFLOAD, kernel);
    return ours;
}

static void probe(struct device *d, bool vnet, unsigned off)
{
    int bytes = VNET_BYTES;

    d->vnet_bytes = 0;
    d->offloads = 0;
    if (!vnet)
        return;
    d->vnet_bytes = VNET_BYTES; /* also the kernel's default */
    for (unsigned i = 0; i < d->queues; i++)
        (void)ioctl(d->fd[i], TUNSETVNETHDRSZ, &bytes);
    d->offloads = probe_offloads(d->fd[0], off);
}

static enum rc shape(struct device *d, const struct device_cfg *cfg, struct diag *diag)
{
    struct netlink nl = {.fd = -1};
    struct link_info info;

    enum rc rc = netlink_open(&nl, NULL, diag); /* we are in its namespace */
    if (rc == RC_OK)
        rc = link_find(&nl, d->name, &info, diag);
    if (rc == RC_OK)
        d->index = info.index;
    if (rc == RC_OK)
        rc = link_set_mtu(&nl, d->index, d->mtu, diag);
    if (rc == RC_OK)
        rc = link_set_txqueuelen(&nl, d->index,
                                 cfg->txqueuelen ? cfg->txqueuelen : DEVICE_TXQUEUELEN, diag);
    netlink_done(&nl);
    return rc;
}

static enum rc open_here(const struct device_cfg *cfg, struct device *d, struct diag *diag)
{
    unsigned queues = cfg->queues > 1 ? cfg->queues : 1;
    bool vnet = !cfg->plain && driver_has(IFF_VNET_HDR);
    int flags = IFF_TUN | IFF_NO_PI | (vnet ? IFF_VNET_HDR : 0);
    const char *name = cfg->name;
    enum rc rc = RC_OK;

    if (queues > 1)
        flags |= IFF_MULTI_QUEUE;
    while (d->queues < queues && rc == RC_OK) {
        struct ifreq ifr;
        rc = open_queue(name, (short)flags, &d->fd[d->queues], &ifr, diag);
        if (rc != RC_OK)
            break;
        if (d->queues++ == 0) { /* the name may have been a pattern: tun%d */
            memcpy(d->name, ifr.ifr_name, DEVICE_NAME_MAX);
            name = d->name;
        }
    }
    if (rc == RC_OK) {
        probe(d, vnet, cfg->offload_off);
        rc = shape(d, cfg, diag);
    }
    return rc;
}

enum rc device_open(const struct device_cfg *cfg, struct device *ret_d, struct diag *diag)
{
    struct device d = {.mtu = cfg->mtu ? cfg->mtu : MTU_DEFAULT};
    struct netns_visit visit = {-1};

    enum rc rc = check_name(cfg->name, diag);
    if (rc != RC_OK)
        return rc;
    if (d.mtu < DEVICE_MTU_MIN || d.mtu > DEVICE_MTU_MAX)
        return diag_set(diag, RC_INVALID, "device %s: MTU %u is not between %d and %d", cfg->name,
                        d.mtu, DEVICE_MTU_MIN, DEVICE_MTU_MAX);
    if (cfg->queues > DEVICE_QUEUES_MAX)
        return diag_set(diag, RC_INVALID, "device %s: %u queues, at most %d", cfg->name,
                        cfg->queues, DEVICE_QUEUES_MAX);
    rc = netns_enter(cfg->netns, &visit, diag);
    if (rc != RC_OK)
        return rc;
    rc = open_here(cfg, &d, diag);
    netns_leave(&visit);
    if (rc != RC_OK) {
        device_close(&d);
        return rc;
    }
    *ret_d = d;
    return RC_OK;
}

static uint32_t ask_mtu(const char *name)
{
    struct ifreq ifr = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return 0;
    (void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
    bool told = ioctl(fd, SIOCGIFMTU, &ifr) == 0 && ifr.ifr_mtu > 0;
    close(fd);
    return told ? (uint32_t)ifr.ifr_mtu : 0;
}

enum rc device_adopt(int fd, uint32_t mtu, struct device *ret_d, struct diag *diag)
{
    struct ifreq ifr = {0};
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || ioctl(fd, TUNGETIFF, &ifr) < 0)
        return diag_errno(diag, errno, "descriptor %d is no TUN device", fd);
    if (!(ifr.ifr_flags & IFF_TUN) || !(ifr.ifr_flags & IFF_NO_PI))
        return diag_set(diag, RC_INVALID, "descriptor %d: needs IFF_TUN and IFF_NO_PI", fd);
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return diag_errno(diag, errno, "descriptor %d", fd);
    struct device d = {.queues = 1, .mtu = mtu};
    d.fd[0] = fd;
    memcpy(d.name, ifr.ifr_name, DEVICE_NAME_MAX);
    if (d.mtu == 0)
        d.mtu = ask_mtu(d.name);
    if (d.mtu == 0) /* it lives in another namespace */
        d.mtu = MTU_DEFAULT;
    probe(&d, (ifr.ifr_flags & IFF_VNET_HDR) != 0, 0);
    *ret_d = d;
    return RC_OK;
}

void device_close(struct device *d)
{
    for (unsigned i = 0; i < d->queues; i++)
        close(d->fd[i]);
    d->queues = 0;
    d->index = 0;
}

enum device_trouble device_trouble(int err)
{
    switch (err) {
    case EAGAIN:
    case EINTR:
    case ENOBUFS:
    case ENOMEM:
        return DEVICE_AGAIN;
    case EIO:
        return DEVICE_DOWN;
    case EBADFD:
    case EBADF:
    case ENODEV:
        return DEVICE_GONE;
    default:
        return DEVICE_BAD;
    }
}

bool device_is_gone(const struct device *d)
{
    if (d->queues == 0)
        return true;
    struct pollfd p = {.fd = d->fd[0], .events = POLLIN};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLNVAL)) != 0;
}
