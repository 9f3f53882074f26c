/* lwipopts.h - lwIP 2.2.1 as tungo uses it: TCP and reassembly for IPv4 and IPv6, one thread.
 *
 * The build of liblwip.a and listeners/tungo/ must see the same file. Sizes are bytes, times ms.
 */
#ifndef DEPS_LWIPOPTS_H
#define DEPS_LWIPOPTS_H

/* System: raw API, no threads, our own timers. */
#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_TIMERS          0
#define LWIP_NETCONN         0
#define LWIP_SOCKET          0
#define LWIP_STATS           0

/* Memory: malloc for all; received packets are custom pbufs over our buffers. */
#define MEM_LIBC_MALLOC              1
#define MEMP_MEM_MALLOC              1
#define MEM_ALIGNMENT                8
#define MEMP_OVERFLOW_CHECK          0
#define PBUF_POOL_SIZE               2 /* PBUF_POOL is never used */
#define PBUF_POOL_BUFSIZE            128
#define LWIP_SUPPORT_CUSTOM_PBUF     1
#define PBUF_LINK_HLEN               16 /* a TUN has no link header: headroom for virtio_net_hdr */
#define PBUF_LINK_ENCAPSULATION_HLEN 0

/* IP: no fragmenting (super-segments go out whole, the kernel cuts them), no neighbours. */
#define LWIP_ARP                        0
#define LWIP_ETHERNET                   0
#define LWIP_IPV4                       1
#define LWIP_IPV6                       1
#define LWIP_IPV6_SCOPES                0
#define LWIP_IPV6_MLD                   0
#define LWIP_IPV6_AUTOCONFIG            0
#define LWIP_IPV6_SEND_ROUTER_SOLICIT   0
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS   0
#define LWIP_ND6_TCP_REACHABILITY_HINTS 0
#define LWIP_ND6_QUEUEING               0
#define LWIP_IPV6_FRAG                  0
#define LWIP_IPV6_REASS                 1
#define IP_FRAG                         0
#define IP_REASSEMBLY                   1
#define IP_REASS_MAX_PBUFS              256 /* one 64 KB datagram is 45 fragments at MTU 1500 */
#define MEMP_NUM_REASSDATA              32
#define IPV6_FRAG_COPYHEADER            1 /* 64-bit pointers do not fit into a fragment header */
#define IP_FORWARD                      0
#define IP_OPTIONS_ALLOWED              1
#define LWIP_ICMP                       1
#define LWIP_RAW                        0
#define LWIP_UDP                        0
#define LWIP_DHCP                       0
#define LWIP_AUTOIP                     0
#define LWIP_ACD                        0
#define LWIP_IGMP                       0
#define LWIP_DNS                        0
#define LWIP_SINGLE_NETIF               1
#define LWIP_NETIF_LOOPBACK             0
#define LWIP_HAVE_LOOPIF                0
#define LWIP_NETIF_HWADDRHINT           1 /* netif->hints points into the pcb during output */
#define LWIP_CHECKSUM_CTRL_PER_NETIF    1 /* off where virtio_net_hdr speaks for the sum */
#define LWIP_CHECKSUM_ON_COPY           0

/* TCP. A segment may be a whole 64 KB super-packet, so the limit of the MSS is that of a packet;
 * the netif's MTU gives the real one. */
#define LWIP_TCP                       1
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1
#define TCP_MSS                        65495
#define LWIP_WND_SCALE                 1
#define TCP_RCV_SCALE                  7 /* up to 8 MB; the netstack decides how much */
#define TCP_WND                        1048576
#define TCP_WND_UPDATE_THRESHOLD       (TCP_WND / 2)
#define TCP_SND_BUF                    1048576
#define TCP_SND_QUEUELEN               0xfff0
#define TCP_SNDLOWAT                   1
#define TCP_SNDQUEUELOWAT              1
#define TCP_OVERSIZE                   0
#define TCP_QUEUE_OOSEQ                1
#define LWIP_TCP_SACK_OUT              1
#define LWIP_TCP_TIMESTAMPS            0
#define TCP_LISTEN_BACKLOG             0
#define LWIP_TCP_KEEPALIVE             0
#define LWIP_TCP_PCB_NUM_EXT_ARGS      1

/* Timers: fast 50 ms, slow 100 ms, so a lost segment waits 300 ms instead of 1.5 s. TCP_MSL stays:
 * LAST_ACK is given up after two of it, a small value would cut slow readers. */
#define TCP_TMR_INTERVAL  50
#define LWIP_TCP_RTO_TIME 1000

#define LWIP_HOOK_FILENAME "lwip_hooks.h"

#endif
