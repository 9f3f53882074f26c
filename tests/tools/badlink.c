/* badlink - a bad network between two namespaces: delay, loss, reordering, duplication, from a
 * seed.
 *
 *   badlink NS_A DEV_A NS_B DEV_B [delay=MS] [jitter=MS] [loss=PERCENT] [burst=N]
 *       [reorder=PERCENT] [dup=PERCENT] [seed=N] [queue=N] [rate=MBIT] [buffer=MS]
 *       [late=PERCENT] [by=N]
 *
 * Makes a TUN device in each namespace (the caller sets addresses and routes) and carries packets
 * between them, each way alike. "loss" takes single packets; with "burst" it comes in runs of N
 * packets in the mean, as on a radio link, and is the same in all (Gilbert-Elliott: each way is
 * good, which loses nothing, or bad, which loses everything; each packet may end a state; at most
 * N of N + 1 can be lost so).
 * "reorder" lets a packet overtake: it leaves without the delay (at least 5 ms of delay are then
 * used). "rate" is each way's, what would wait for longer than "buffer" (40 ms) in front of it is
 * dropped; "late" with it lets a packet be overtaken by N others (8). Prints "ready" on stdout when
 * both devices are there, and its counters on stderr when SIGTERM ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { PACKET_MAX = 2048, QUEUE_MAX = 65536 };

struct packet {
    uint64_t due_us, order;
    int to;
    size_t n;
    unsigned char data[PACKET_MAX];
};

static struct {
    unsigned long delay, jitter, loss, burst, reorder, dup, seed, queue, rate, buffer, late, by;
} opt = {.seed = 1, .queue = 20000, .buffer = 40, .by = 8};
static uint64_t free_us[2]; /* when each way has sent what it has */
static int bad[2];          /* bursts: this way loses everything at the moment */

static struct packet **heap;
static size_t heap_n;
static uint64_t counter, passed, lost, bursts, dropped, early, doubled, rng;
static volatile sig_atomic_t ended;

static void on_signal(int sig)
{
    (void)sig;
    ended = 1;
}

static void die(const char *what)
{
    fprintf(stderr, "badlink: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint32_t next_random(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)(rng >> 16);
}

/* percent is in hundredths: "1.5" is 150. */
static int happens(unsigned long percent)
{
    return percent && next_random() % 10000 < percent;
}

static int is_lost(int to)
{
    double leave = 1.0 / (double)(opt.burst ? opt.burst : 1), loss = (double)opt.loss / 10000;
    double enter = loss < 1 ? leave * loss / (1 - loss) : 1;

    if (!opt.burst || !opt.loss)
        return happens(opt.loss);
    if (next_random() < (bad[to] ? leave : enter) * 4294967296.0) {
        bad[to] = !bad[to];
        bursts += (uint64_t)bad[to];
    }
    return bad[to];
}

static int open_tun(const char *ns, const char *name)
{
    char path[256];
    struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int back = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), fd, in;

    snprintf(path, sizeof path, "/run/netns/%s", ns);
    in = open(path, O_RDONLY | O_CLOEXEC);
    if (back < 0 || in < 0 || setns(in, CLONE_NEWNET))
        die(path);
    fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    snprintf(ifr.ifr_name, IFNAMSIZ, "%.15s", name);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr))
        die("/dev/net/tun");
    if (setns(back, CLONE_NEWNET))
        die("setns");
    close(in);
    close(back);
    return fd;
}

static int before(const struct packet *a, const struct packet *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void heap_add(struct packet *p)
{
    size_t i = heap_n++;

    for (; i && before(p, heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = p;
}

static struct packet *heap_take(void)
{
    struct packet *top = heap[0], *last = heap[--heap_n];
    size_t i = 0;

    for (;;) {
        size_t c = 2 * i + 1;

        if (c >= heap_n)
            break;
        if (c + 1 < heap_n && before(heap[c + 1], heap[c]))
            c++;
        if (!before(heap[c], last))
            break;
        heap[i] = heap[c];
        i = c;
    }
    heap[i] = last;
    return top;
}

static void enqueue(int to, const unsigned char *data, size_t n, uint64_t now)
{
    struct packet *p;
    uint64_t delay = opt.delay * 1000;

    if (heap_n >= opt.queue) {
        dropped++;
        return;
    }
    if (opt.rate) {
        uint64_t begin = free_us[to] > now ? free_us[to] : now, wire = n * 8 / opt.rate;
        if (begin - now > opt.buffer * 1000) {
            dropped++;
            return;
        }
        free_us[to] = begin + wire;
        delay += free_us[to] - now;
        if (happens(opt.late))
            delay += wire * opt.by + 1;
    }
    p = malloc(sizeof *p);
    if (!p)
        die("malloc");
    if (opt.jitter)
        delay += next_random() % (opt.jitter * 1000);
    if (happens(opt.reorder)) {
        delay = 0;
        early++;
    }
    p->due_us = now + delay;
    p->order = counter++;
    p->to = to;
    p->n = n;
    memcpy(p->data, data, n);
    heap_add(p);
}

static void take_in(int from, int to)
{
    unsigned char buf[PACKET_MAX];

    for (int i = 0; i < 64; i++) {
        ssize_t n = read(from, buf, sizeof buf);
        uint64_t now = now_us();

        if (n <= 0)
            return;
        if (is_lost(to)) {
            lost++;
            continue;
        }
        enqueue(to, buf, (size_t)n, now);
        if (happens(opt.dup)) {
            enqueue(to, buf, (size_t)n, now);
            doubled++;
        }
    }
}

static unsigned long hundredths(const char *text)
{
    return (unsigned long)(strtod(text, NULL) * 100 + 0.5);
}

int main(int argc, char **argv)
{
    struct pollfd fds[2];
    struct sigaction sa = {.sa_handler = on_signal};

    if (argc < 5) {
        fprintf(stderr, "usage: badlink NS_A DEV_A NS_B DEV_B [delay=MS] [jitter=MS] [loss=%%] "
                        "[burst=N] [reorder=%%] [dup=%%] [seed=N] [queue=N] [rate=MBIT] "
                        "[buffer=MS] [late=%%] [by=N]\n");
        return 2;
    }
    for (int i = 5; i < argc; i++) {
        const char *eq = strchr(argv[i], '=');
        size_t k = eq ? (size_t)(eq - argv[i]) : 0;

        if (k == 5 && !strncmp(argv[i], "delay", k))
            opt.delay = strtoul(eq + 1, NULL, 10);
        else if (k == 6 && !strncmp(argv[i], "jitter", k))
            opt.jitter = strtoul(eq + 1, NULL, 10);
        else if (k == 4 && !strncmp(argv[i], "loss", k))
            opt.loss = hundredths(eq + 1);
        else if (k == 5 && !strncmp(argv[i], "burst", k))
            opt.burst = strtoul(eq + 1, NULL, 10);
        else if (k == 7 && !strncmp(argv[i], "reorder", k))
            opt.reorder = hundredths(eq + 1);
        else if (k == 3 && !strncmp(argv[i], "dup", k))
            opt.dup = hundredths(eq + 1);
        else if (k == 4 && !strncmp(argv[i], "seed", k))
            opt.seed = strtoul(eq + 1, NULL, 10);
        else if (k == 5 && !strncmp(argv[i], "queue", k))
            opt.queue = strtoul(eq + 1, NULL, 10);
        else if (k == 4 && !strncmp(argv[i], "rate", k))
            opt.rate = strtoul(eq + 1, NULL, 10);
        else if (k == 6 && !strncmp(argv[i], "buffer", k))
            opt.buffer = strtoul(eq + 1, NULL, 10);
        else if (k == 4 && !strncmp(argv[i], "late", k))
            opt.late = hundredths(eq + 1);
        else if (k == 2 && !strncmp(argv[i], "by", k))
            opt.by = strtoul(eq + 1, NULL, 10);
        else {
            fprintf(stderr, "badlink: unknown word %s\n", argv[i]);
            return 2;
        }
    }
    if (opt.reorder && opt.delay < 5)
        opt.delay = 5;
    if (!opt.queue || opt.queue > QUEUE_MAX)
        opt.queue = QUEUE_MAX;
    rng = opt.seed * 0x9e3779b97f4a7c15ULL + 1;
    heap = calloc(opt.queue, sizeof(*heap));
    if (!heap)
        die("calloc");
    fds[0] = (struct pollfd){.fd = open_tun(argv[1], argv[2]), .events = POLLIN};
    fds[1] = (struct pollfd){.fd = open_tun(argv[3], argv[4]), .events = POLLIN};
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    puts("ready");
    fflush(stdout);
    while (!ended) {
        struct timespec wait = {0}, *w = NULL;
        uint64_t now = now_us();

        while (heap_n && heap[0]->due_us <= now) {
            struct packet *p = heap_take();

            if (write(fds[p->to].fd, p->data, p->n) > 0)
                passed++;
            else
                dropped++;
            free(p);
        }
        if (heap_n) {
            uint64_t us = heap[0]->due_us > now ? heap[0]->due_us - now : 0;

            wait.tv_sec = (time_t)(us / 1000000);
            wait.tv_nsec = (long)(us % 1000000) * 1000;
            w = &wait;
        }
        if (ppoll(fds, 2, w, NULL) < 0 && errno != EINTR)
            die("poll");
        take_in(fds[0].fd, 1);
        take_in(fds[1].fd, 0);
    }
    fprintf(stderr,
            "badlink: passed %llu lost %llu bursts %llu early %llu doubled %llu dropped %llu\n",
            (unsigned long long)passed, (unsigned long long)lost, (unsigned long long)bursts,
            (unsigned long long)early, (unsigned long long)doubled, (unsigned long long)dropped);
    while (heap_n)
        free(heap_take());
    free(heap);
    return 0;
}
