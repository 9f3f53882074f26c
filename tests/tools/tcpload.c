/* tests/tools/tcpload.c - TCP traffic with known bytes, both ends: what arrives is compared byte by
 * byte, half-closes and resets come when asked for.
 *
 *   tcpload server ADDR PORT                      serves every mode below, a thread each
 *   tcpload up|down|both ADDR PORT BYTES [FLOWS]  bulk, checked; prints Gbit/s of all flows
 *   tcpload flows ADDR PORT FLOWS SEED            parallel, random lengths both ways
 *   tcpload half-client ADDR PORT                 client shuts first, the answer comes after it
 *   tcpload half-server ADDR PORT                 server shuts first, the client goes on
 *   tcpload rst-client ADDR PORT                  client resets; did the server see it?
 *   tcpload rst-server ADDR PORT                  server resets in mid-stream
 *   tcpload connect ADDR PORT                     prints what connect() said, and after how many ms
 *   tcpload hold ADDR PORT FLOWS                  opens, sends a byte each, waits for SIGTERM
 *   tcpload wait ADDR PORT                        one byte each way; prints how the server ends it
 *   tcpload slow ADDR PORT BYTES                  reads what it gets in small sips
 *   tcpload churn ADDR PORT FLOWS THREADS         short connections, prints how many a second
 *   tcpload echo ADDR PORT ROUNDS                 64 bytes to and fro, prints microseconds each
 *
 * A connection begins with a request of 32 bytes: mode, bytes up, bytes down, seed. Exit status 0:
 * all as it should be.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 256 * 1024 };

struct request {
    uint64_t mode, up, down, seed;
};

struct transfer {
    int fd;
    uint64_t bytes, seed;
    bool failed;
};

static struct addrinfo *where;
static atomic_uint resets_seen;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "tcpload: %s: %s\n", what, errno ? strerror(errno) : "wrong");
    exit(1);
}

/* --- known bytes: every 8-byte word tells its place and the flow */

static uint64_t word_at(uint64_t i, uint64_t seed)
{
    return (i + 1) * 0x9e3779b97f4a7c15 ^ seed;
}

static void fill(uint8_t *buf, uint64_t at, size_t n, uint64_t seed)
{
    for (size_t k = 0; k < n;) {
        uint64_t w = word_at((at + k) / 8, seed);
        size_t off = (at + k) % 8, len = 8 - off < n - k ? 8 - off : n - k;
        memcpy(buf + k, (uint8_t *)&w + off, len);
        k += len;
    }
}

static bool put(int fd, const void *data, size_t n)
{
    for (const char *p = data; n;) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k <= 0)
            return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

static bool get(int fd, void *data, size_t n)
{
    return recv(fd, data, n, MSG_WAITALL) == (ssize_t)n;
}

/* Sends t->bytes known bytes. A large transfer repeats one piece of 2^21 bytes, which starts at a
 * multiple of its own length in the pattern: filling each anew would be the bottleneck. */
static void *sender(void *arg)
{
    struct transfer *t = arg;
    uint8_t *buf = malloc(PIECE);

    for (uint64_t at = 0; at < t->bytes;) {
        size_t n = t->bytes - at < PIECE ? (size_t)(t->bytes - at) : PIECE;
        if (at == 0 || n < PIECE)
            fill(buf, 0, n, t->seed);
        memcpy(buf, &at, n < 8 ? n : 8); /* pieces are told apart by their first word */
        if (!put(t->fd, buf, n)) {
            t->failed = true;
            break;
        }
        at += n;
    }
    free(buf);
    return NULL;
}

static void *receiver(void *arg)
{
    struct transfer *t = arg;
    uint8_t *buf = malloc(PIECE), *good = malloc(PIECE);

    fill(good, 0, PIECE, t->seed);
    for (uint64_t at = 0; at < t->bytes;) {
        size_t off = at % PIECE, left = PIECE - off;
        size_t n = t->bytes - at < left ? (size_t)(t->bytes - at) : left;
        ssize_t k = recv(t->fd, buf, n, 0);
        if (off < 8 || k <= 0) {
            uint64_t piece = at - off;
            memcpy(good, &piece, t->bytes - piece < 8 ? (size_t)(t->bytes - piece) : 8);
        }
        if (k <= 0 || memcmp(buf, good + off, (size_t)k) != 0) {
            fprintf(stderr, "tcpload: %s at byte %llu of %llu\n",
                    k > 0    ? "wrong byte"
                    : k == 0 ? "early end"
                             : strerror(errno),
                    (unsigned long long)at, (unsigned long long)t->bytes);
            t->failed = true;
            break;
        }
        at += (uint64_t)k;
    }
    free(buf);
    free(good);
    return NULL;
}

/* up and down at the same time; false: something was wrong. */
static bool exchange(int fd, uint64_t out, uint64_t out_seed, uint64_t in, uint64_t in_seed)
{
    struct transfer o = {fd, out, out_seed, false}, i = {fd, in, in_seed, false};
    pthread_t thread;

    if (pthread_create(&thread, NULL, sender, &o))
        die("thread");
    receiver(&i);
    pthread_join(thread, NULL);
    return !o.failed && !i.failed;
}

static bool at_eof(int fd)
{
    char c;

    return recv(fd, &c, 1, 0) == 0;
}

static void reset(int fd)
{
    struct linger l = {1, 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    close(fd);
}

/* --- server */

static void *serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    struct request r;
    char c = 0;

    pthread_detach(pthread_self());
    if (!get(fd, &r, sizeof r)) {
        close(fd);
        return NULL;
    }
    switch (r.mode) {
    case 'x': /* exchange, then both shut */
        if (exchange(fd, r.down, r.seed + 1, r.up, r.seed) && at_eof(fd))
            shutdown(fd, SHUT_WR);
        else
            reset(fd), fd = -1;
        break;
    case 'c': { /* the client shuts first; the answer is how much came */
        struct transfer in = {fd, r.up, r.seed, false};
        receiver(&in);
        if (in.failed || !at_eof(fd))
            break;
        usleep(200000);
        exchange(fd, r.down, r.seed + 1, 0, 0);
        break;
    }
    case 's': { /* the server shuts first and goes on reading */
        struct transfer out = {fd, r.down, r.seed + 1, false}, in = {fd, r.up, r.seed, false};
        sender(&out);
        shutdown(fd, SHUT_WR);
        receiver(&in);
        if (in.failed || !at_eof(fd))
            reset(fd), fd = -1;
        break;
    }
    case 'r': /* reset in mid-stream */
        put(fd, &c, 1);
        get(fd, &c, 1);
        reset(fd);
        fd = -1;
        break;
    case 'R': /* the client will reset */
        put(fd, &c, 1);
        if (recv(fd, &c, 1, 0) < 0 && errno == ECONNRESET)
            resets_seen++;
        break;
    case '?': {
        uint64_t n = resets_seen;
        put(fd, &n, sizeof n);
        break;
    }
    case 'e': /* echo until the end */
        for (char buf[4096];;) {
            ssize_t n = recv(fd, buf, sizeof buf, 0);
            if (n <= 0 || !put(fd, buf, (size_t)n))
                break;
        }
        break;
    default:
        break;
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

static void server(void)
{
    int fd = socket(where->ai_family, SOCK_STREAM, 0), one = 1;
    pthread_attr_t small;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, where->ai_addr, where->ai_addrlen) || listen(fd, 4096))
        die("listen");
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 * 1024);
    for (;;) {
        int c = accept(fd, NULL, NULL);
        pthread_t thread;
        if (c < 0)
            continue;
        setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (pthread_create(&thread, &small, serve, (void *)(intptr_t)c))
            close(c);
    }
}

/* --- client */

static int dial(void)
{
    int fd = socket(where->ai_family, SOCK_STREAM, 0), one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, where->ai_addr, where->ai_addrlen)) {
        int err = errno;
        close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

static int ask(uint64_t mode, uint64_t up, uint64_t down, uint64_t seed)
{
    struct request r = {mode, up, down, seed};
    int fd = dial();

    if (fd < 0)
        die("connect");
    if (!put(fd, &r, sizeof r))
        die("request");
    return fd;
}

struct flow {
    uint64_t up, down, seed;
    unsigned delay_us;
    bool ok;
};

static void *run_flow(void *arg)
{
    struct flow *f = arg;
    int fd;

    usleep(f->delay_us);
    fd = ask('x', f->up, f->down, f->seed);
    f->ok = exchange(fd, f->up, f->seed, f->down, f->seed + 1);
    shutdown(fd, SHUT_WR);
    f->ok = f->ok && at_eof(fd);
    close(fd);
    return NULL;
}

static int run_flows(struct flow *flows, unsigned n) /* takes flows */
{
    pthread_t *threads = calloc(n, sizeof *threads);
    pthread_attr_t small;
    uint64_t bytes = 0;
    unsigned bad = 0;
    double start = now();

    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 * 1024);
    for (unsigned i = 0; i < n; i++)
        if (pthread_create(&threads[i], &small, run_flow, &flows[i]))
            die("thread");
    for (unsigned i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
        bytes += flows[i].up + flows[i].down;
        bad += !flows[i].ok;
    }
    double s = now() - start;
    printf("%u flows, %u bad, %.3f s, %.2f Gbit/s\n", n, bad, s, (double)bytes * 8 / s / 1e9);
    free(threads);
    free(flows);
    return bad != 0;
}

static int bulk(const char *mode, uint64_t bytes, unsigned n)
{
    struct flow *flows = calloc(n, sizeof *flows);

    for (unsigned i = 0; i < n; i++)
        flows[i] = (struct flow){.up = strcmp(mode, "down") ? bytes : 0,
                                 .down = strcmp(mode, "up") ? bytes : 0,
                                 .seed = 7 * i + 1};
    return run_flows(flows, n);
}

static uint64_t length(unsigned *seed)
{
    unsigned r = (unsigned)rand_r(seed);

    switch (r % 4) {
    case 0:
        return (unsigned)rand_r(seed) % 3;
    case 1:
        return (unsigned)rand_r(seed) % 3000;
    case 2:
        return (unsigned)rand_r(seed) % 200000;
    default:
        return (unsigned)rand_r(seed) % 2000000;
    }
}

static int random_flows(unsigned n, unsigned seed)
{
    struct flow *flows = calloc(n, sizeof *flows);

    for (unsigned i = 0; i < n; i++) {
        flows[i].up = length(&seed);
        flows[i].down = length(&seed);
        flows[i].seed = 1000 + 2 * i;
        flows[i].delay_us = (unsigned)rand_r(&seed) % 500000;
    }
    return run_flows(flows, n);
}

static int half_client(void)
{
    int fd = ask('c', 300000, 500000, 5);
    struct transfer out = {fd, 300000, 5, false}, in = {fd, 500000, 6, false};

    sender(&out);
    shutdown(fd, SHUT_WR);
    receiver(&in);
    return out.failed || in.failed || !at_eof(fd);
}

static int half_server(void)
{
    int fd = ask('s', 700000, 100000, 9);
    struct transfer out = {fd, 700000, 9, false}, in = {fd, 100000, 10, false};

    receiver(&in);
    if (in.failed || !at_eof(fd))
        return 1;
    usleep(200000);
    sender(&out);
    shutdown(fd, SHUT_WR);
    return out.failed || close(fd);
}

static uint64_t resets(void)
{
    uint64_t n = 0;
    int fd = ask('?', 0, 0, 0);

    if (!get(fd, &n, sizeof n))
        die("resets");
    close(fd);
    return n;
}

static int rst_client(void)
{
    uint64_t before = resets();
    int fd = ask('R', 0, 0, 0);
    char c;

    if (!get(fd, &c, 1))
        die("answer");
    reset(fd);
    for (int i = 0; i < 100; i++) {
        if (resets() > before)
            return 0;
        usleep(20000);
    }
    return 1;
}

static int rst_server(void)
{
    int fd = ask('r', 0, 0, 0);
    char c;

    if (!get(fd, &c, 1) || !put(fd, &c, 1))
        die("answer");
    return recv(fd, &c, 1, 0) < 0 && errno == ECONNRESET ? 0 : 1;
}

static int try_connect(void)
{
    double start = now();
    int fd = dial();

    printf("%s %.0f\n", fd < 0 ? strerror(errno) : "connected", (now() - start) * 1000);
    return 0;
}

static int hold(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        int fd = ask('e', 0, 0, 0);
        char c = 'x';
        if (!put(fd, &c, 1) || !get(fd, &c, 1))
            die("echo");
    }
    printf("held\n");
    fflush(stdout);
    pause();
    return 0;
}

static int wait_for_end(void)
{
    int fd = ask('e', 0, 0, 0);
    char c = 'x';

    if (!put(fd, &c, 1) || !get(fd, &c, 1))
        die("echo");
    printf("waiting\n");
    fflush(stdout);
    printf("%s\n", recv(fd, &c, 1, 0) == 0 ? "end" : errno == ECONNRESET ? "reset" : "?");
    return 0;
}

static int slow(uint64_t bytes)
{
    int fd = ask('x', 0, bytes, 3);
    uint8_t buf[5000];
    uint64_t got = 0;

    while (got < bytes) {
        ssize_t n = recv(fd, buf, sizeof buf, 0);
        if (n <= 0)
            return 1;
        got += (uint64_t)n;
        if (got % 50 == 0)
            usleep(2000);
    }
    shutdown(fd, SHUT_WR);
    return !at_eof(fd);
}

static atomic_int churn_left;

static void *churn_one(void *arg)
{
    char c = 'x';

    (void)arg;
    while (churn_left-- > 0) {
        int fd = ask('e', 0, 0, 0);
        if (!put(fd, &c, 1) || !get(fd, &c, 1))
            die("churn");
        shutdown(fd, SHUT_WR);
        if (!at_eof(fd))
            die("churn end");
        close(fd);
    }
    return NULL;
}

static int churn(int n, unsigned threads)
{
    pthread_t *t = calloc(threads, sizeof *t);
    double start = now();

    churn_left = n;
    for (unsigned i = 0; i < threads; i++)
        pthread_create(&t[i], NULL, churn_one, NULL);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(t[i], NULL);
    printf("%.0f connections/s\n", n / (now() - start));
    free(t);
    return 0;
}

static int echo(unsigned rounds)
{
    int fd = ask('e', 0, 0, 0);
    char buf[64] = "echo";
    double start = now();

    for (unsigned i = 0; i < rounds; i++)
        if (!put(fd, buf, sizeof buf) || !get(fd, buf, sizeof buf))
            die("echo");
    printf("%.1f us\n", (now() - start) * 1e6 / rounds);
    return 0;
}

int main(int argc, char **argv)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct rlimit fds = {100000, 100000};
    const char *mode = argc > 1 ? argv[1] : "";

    setrlimit(RLIMIT_NOFILE, &fds);
    if (argc < 4 || getaddrinfo(argv[2], argv[3], &hints, &where))
        die("arguments");
    uint64_t a = argc > 4 ? strtoull(argv[4], NULL, 0) : 0;
    unsigned b = argc > 5 ? (unsigned)atoi(argv[5]) : 1;
    if (!strcmp(mode, "server"))
        server();
    if (!strcmp(mode, "up") || !strcmp(mode, "down") || !strcmp(mode, "both"))
        return bulk(mode, a, b);
    if (!strcmp(mode, "flows"))
        return random_flows((unsigned)a, b);
    if (!strcmp(mode, "half-client"))
        return half_client();
    if (!strcmp(mode, "half-server"))
        return half_server();
    if (!strcmp(mode, "rst-client"))
        return rst_client();
    if (!strcmp(mode, "rst-server"))
        return rst_server();
    if (!strcmp(mode, "connect"))
        return try_connect();
    if (!strcmp(mode, "hold"))
        return hold((unsigned)a);
    if (!strcmp(mode, "wait"))
        return wait_for_end();
    if (!strcmp(mode, "slow"))
        return slow(a);
    if (!strcmp(mode, "churn"))
        return churn((int)a, b);
    if (!strcmp(mode, "echo"))
        return echo((unsigned)a);
    errno = EINVAL;
    die(mode);
}
