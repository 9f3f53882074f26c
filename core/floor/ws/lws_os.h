/* core/floor/ws/lws_os.h - the system calls libwebsockets makes, answered by us.
 *
 * LWS thinks in descriptors. Here a descriptor is a number in a table of lws_os.c that stands for a
 * stream: no kernel socket, no system call, no second descriptor. LWS's sources stay as they are;
 * deps/build.sh compiles each with this header in front and LWS_OS_RENAME set, and its check with
 * nm proves that no call on a descriptor reaches the kernel.
 *
 * Owner:   the ws floor. It binds a number to a stream; LWS gives the number back by close().
 * Threads: one; the table is global as is the one LWS context of a process.
 * Order:   the system's headers come before the renames. After them FORTIFY's inline wrappers would
 *          call the real functions. Members of structs that have such a name are renamed too, all
 *          alike, which does no harm.
 */
#ifndef CORE_FLOOR_WS_LWS_OS_H
#define CORE_FLOOR_WS_LWS_OS_H

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Our side. recv and send mean what the system calls mean: 0 is the end, -1 with EAGAIN nothing
 * now. */
struct lws_os_ops {
    ssize_t (*recv)(void *stream, void *buf, size_t n);
    ssize_t (*send)(void *stream, const void *buf, size_t n);
    void (*closed)(void *stream); /* LWS gave the number back; NULL: nobody asks */
    void (*random)(void *buf, size_t n);
};

void lws_os_init(const struct lws_os_ops *ops); /* ops stays the caller's and must outlive LWS */
int lws_os_fd(void *stream);                    /* a new number for stream; -1: EMFILE, ENOMEM */
void lws_os_bind(int fd, void *stream);         /* for a number that LWS asked for with socket() */
int lws_os_inuse(void);                         /* numbers given and not closed */

/* LWS's side, by the names of the system calls. */
int lws_os_socket(int domain, int type, int protocol);
int lws_os_eventfd(unsigned value, int flags);
int lws_os_open(const char *path, int flags, ...);
int lws_os_close(int fd);
int lws_os_connect(int fd, const struct sockaddr *addr, socklen_t len);
int lws_os_shutdown(int fd, int how);
int lws_os_fcntl(int fd, int cmd, ...);
int lws_os_setsockopt(int fd, int level, int name, const void *val, socklen_t len);
int lws_os_getsockopt(int fd, int level, int name, void *val, socklen_t *len);
int lws_os_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
int lws_os_getpeername(int fd, struct sockaddr *addr, socklen_t *len);
int lws_os_poll(struct pollfd *fds, nfds_t n, int timeout);
ssize_t lws_os_recv(int fd, void *buf, size_t n, int flags);
ssize_t lws_os_send(int fd, const void *buf, size_t n, int flags);
ssize_t lws_os_read(int fd, void *buf, size_t n);
long lws_os_sysconf(int name);
int lws_os_eventfd_write(int fd, eventfd_t value);
int lws_os_eventfd_read(int fd, eventfd_t *value);
int lws_os_refuse(int fd, ...); /* never reached; were it, no real descriptor may be touched */

#ifdef LWS_OS_RENAME
#define socket        lws_os_socket
#define eventfd       lws_os_eventfd
#define open          lws_os_open /* only the random device */
#define close         lws_os_close
#define connect       lws_os_connect
#define shutdown      lws_os_shutdown
#define fcntl         lws_os_fcntl
#define setsockopt    lws_os_setsockopt
#define getsockopt    lws_os_getsockopt
#define getsockname   lws_os_getsockname
#define getpeername   lws_os_getpeername
#define poll          lws_os_poll
#define recv          lws_os_recv
#define send          lws_os_send
#define read          lws_os_read    /* only the random device */
#define sysconf       lws_os_sysconf /* only _SC_OPEN_MAX */
#define eventfd_write lws_os_eventfd_write
#define eventfd_read  lws_os_eventfd_read
#define accept        lws_os_refuse
#define bind          lws_os_refuse
#define listen        lws_os_refuse
#define sendto        lws_os_refuse
#define recvfrom      lws_os_refuse
#define write         lws_os_refuse
#define ioctl         lws_os_refuse
#define lseek         lws_os_refuse
#define fsync         lws_os_refuse
#endif

#endif
