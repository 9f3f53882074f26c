/* A client of the netstack gone mad: input is a list of commands, each a byte and its argument.
 * Segments with any flags and sequence numbers near the true ones, options, windows; the owner of
 * the stream reads, writes, shuts, closes; time passes. lwIP's and our own assertions,
 * AddressSanitizer and the end (nothing held) are the judges. */
#include "tests/unit/tungonet.h"

static struct stream *s;

static void close_stream(bool abort_it)
{
    if (abort_it)
        stream_abort(s);
    else
        stream_close(s);
    s = NULL;
}

static void read_some(size_t n)
{
    static char buf[65536];
    size_t got;

    while (s && n && stream_recv(s, buf, n < sizeof buf ? n : sizeof buf, &got) == RC_OK)
        n -= got;
}

static void write_some(size_t n)
{
    struct iovec v;

    if (!s || stream_reserve(s, n, &v) != RC_OK)
        return;
    memset(v.iov_base, 'w', v.iov_len);
    stream_commit(s, v.iov_len);
}

/* The client believes what it hears. */
static void listen_to(struct client *c)
{
    const struct out *o = &outs[(n_outs - 1) % OUT_MAX];

    if (n_outs && o->p.proto == IPPROTO_TCP)
        c->ack = packet_rd32(o->data + o->p.l4 + TCP_AT_SEQ) +
                 (uint32_t)(o->p.bytes - o->p.payload) +
                 ((o->p.tcp_flags & (TCPFLAG_SYN | TCPFLAG_FIN)) != 0);
}

static void options(struct client *c, const uint8_t *data, size_t n)
{
    c->options_n = n < 40 ? n & ~(size_t)3 : 40;
    memcpy(c->options, data, c->options_n);
}

/* A SACK block near the bytes under way. */
static void report(struct client *c, uint32_t arg)
{
    uint8_t o[12] = {1, 1, 5, 10};

    packet_wr32(o + 4, c->ack + (arg >> 1) % 70000 - 500);
    packet_wr32(o + 8, c->ack + (arg >> 1) % 70000 - 500 + (arg >> 16) % 20000);
    options(c, o, sizeof o);
}

static void command(struct client *c, uint8_t what, uint32_t arg)
{
    switch (what % 16) {
    case 0:
        send_raw(c, (uint8_t)arg, c->seq + (arg >> 8) % 7000 - 3000, (arg >> 20) % 3000);
        break;
    case 1:
        send_syn(c, arg & 0xffff, (int)(arg >> 16) % 16 - 1);
        break;
    case 2:
        send_data(c, 0, arg % 3000);
        break;
    case 3:
        send_data(c, (uint8_t)(arg & (TCPFLAG_FIN | TCPFLAG_RST | TCPFLAG_PSH)), arg % 20);
        break;
    case 4:
        send_data(c, 0, arg % 62000);
        break;
    case 5:
        listen_to(c);
        break;
    case 6:
        c->ack += arg % 70000 - 1000;
        break;
    case 7:
        c->window = (uint16_t)arg;
        break;
    case 8:
        if (arg & 1)
            options(c, (const uint8_t *)&arg, 4);
        else
            report(c, arg);
        break;
    case 9:
        if (parked && !s) {
            s = tungo_flow_accept(parked);
            parked = NULL;
        } else if (parked && (arg & 1)) {
            tungo_flow_refuse(parked, arg & 2 ? RC_REFUSED : RC_TIMEOUT);
            parked = NULL;
        }
        if (s)
            (void)stream_open(s);
        break;
    case 10:
        read_some(arg % 100000);
        break;
    case 11:
        write_some(arg % 100000);
        break;
    case 12:
        if (s)
            (void)stream_shut(s);
        break;
    case 13:
        if (s && arg % 4 == 0)
            close_stream(arg & 16);
        break;
    case 14:
        pass(arg % 3 ? arg % 500 : arg % 70000);
        break;
    default:
        device_broken = arg % 8 == 0;
        netstack_batch_end(ns);
        if (arg % 16 == 5) {
            struct icmp_note note = {.kind = ICMP_NOTE_TOO_BIG,
                                     .mtu = arg >> 16,
                                     .proto = IPPROTO_TCP,
                                     .src = c->dst,
                                     .dst = c->src,
                                     .seq = c->ack};
            netstack_too_big(ns, &note);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct client c;

    if (n < 1)
        return 0;
    fake_ms = 1000000;
    with_recovery = (data[0] & 4) == 0;
    net_up();
    tun.caps.tso = data[0] & 1;
    c = client_new(data[0] & 2 ? "2001:db8::1" : "8.8.8.8", 40000);
    for (data++, n--; n >= 5; data += 5, n -= 5)
        command(&c, data[0], packet_rd32(data + 1));
    device_broken = false;
    if (parked)
        tungo_flow_refuse(parked, RC_CANCELED);
    parked = NULL;
    if (s)
        close_stream(false);
    pass(400000); /* whatever is left ends by itself */
    BUG_ON(ns->table.n || ns->blocks.n_used || ns->idle.n || timer_is_running(&ns->tick));
    net_down();
    return 0;
}
