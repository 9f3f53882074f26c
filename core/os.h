/* core/os.h - wrapped system calls: sockets as every part of cgost wants them, and the process
 * limits.
 *
 * Owner of a returned fd: the caller. All are close-on-exec and non-blocking.
 */
#ifndef CORE_OS_H
#define CORE_OS_H

#include "core/addr.h"
#include "core/rc.h"
#include <stdint.h>

/* How our own sockets leave the machine (gost-config.md 7.5). Strings are borrowed. */
struct sockopts {
    const char *interface; /* comma list of names and local IPs, '!' = strict; "auto": the device of
                              the default route (core/host/uplink.h); NULL or "": no binding */
    uint32_t mark;         /* SO_MARK, 0: none */
    const char *netns;     /* name or path; NULL: ours */
};

/* What one item of an interface list means for one destination family. */
struct bind_choice {
    struct addr local; /* family 0: none, the kernel chooses among those of the device */
    char device[16];   /* "": none */
    bool strict;
};
/* Expands so->interface for a destination; at most cap choices, tried in order, those whose link is
 * down last. RC_OK with 0 choices: no binding asked. RC_UNREACH_NET: nothing of the list is there
 * now. (core/os_bind.c) */
enum rc os_bind_choices(const struct sockopts *so, const struct addr *to, struct bind_choice *v,
                        int cap, int *ret_n, struct diag *diag);

/* A socket bound and marked as asked, for a connection to `to`. Device binding is skipped when the
 * destination is not global unicast. type: SOCK_STREAM, SOCK_DGRAM or OS_PING (echo requests
 * without privilege, icmp(7)). choice NULL: only the mark. Those of SOCK_STREAM have keepalive on.
 */
enum { OS_PING = 64 };
enum rc os_socket_for(int type, const struct addr *to, const struct sockopts *so,
                      const struct bind_choice *choice, int *ret_fd, struct diag *diag);

/* A connect in progress (RC_OK: connected at once or under way). */
enum rc os_connect(int fd, const struct addr *to, struct diag *diag);
int os_socket_error(int fd); /* SO_ERROR */
/* epoll or poll woke for a connect, is_error: with EPOLLERR. true: it has ended, *ret_err is 0 or
 * why it failed. false: not yet; Linux (6.18) queues an ICMP error, which wakes, a moment before
 * the socket has ended with it: there is no SO_ERROR then, and no connection. Another edge comes.
 */
bool os_connect_ended(int fd, bool is_error, int *ret_err);

/* A bound listening socket. Dual stack for the IPv6 wildcard; host part empty means dual stack
 * wildcard. */
enum rc os_listen_tcp(const struct addr *at, bool dual, bool reuseport, int backlog, int *ret_fd,
                      struct diag *diag);
enum rc os_bind_udp(const struct addr *at, bool dual, const struct sockopts *so, int *ret_fd,
                    struct diag *diag);
enum rc os_local_addr(int fd, struct addr *ret_a);
enum rc os_peer_addr(int fd, struct addr *ret_a);
void os_close(int fd); /* -1 is fine; keeps errno */
/* Unacknowledged bytes, or probes of keepalive, end the connection after so long. Not for flows
 * that their reader may stop: the kernel counts a closed window, too. */
void os_patience(int fd, unsigned ms);
void os_keepalive(int fd, int idle_s, int interval_s, int count);

/* Descriptors 0 to 2 that are closed become /dev/null, before anything else opens one: what is
 * logged or printed would else go to whatever took their place. */
void os_keep_standard_fds(void);
/* Raises RLIMIT_NOFILE to its hard limit; returns the limit in force. */
uint64_t os_raise_fd_limit(void);
/* A cap for what takes a descriptor each: so large a part (8: an eighth) of those that the process
 * may have, `most` at most. */
size_t os_fd_part(unsigned part, size_t most);

#endif
