#!/usr/bin/env python3
"""What a plain echo does not show about UDP: cones, fragments made by hand, bursts, closed ports.

    datagrams.py cone-server ADDR OTHER READY   answers "who HOST:PORT" on ports 9990 and 9991 of ADDR; "knock" is answered from
                                                ADDR:9990, ADDR:9992 and OTHER:9993
    datagrams.py cone ADDR OTHER                one socket, both ports: the same mapping? answers of strangers let in, and by name?
    datagrams.py sources ADDR OTHER COUNT [LIFE]   COUNT sockets, each asks both ports of the cone server: one mapping each, and nobody
                                                else's within LIFE seconds of silence; the last one is let in from OTHER, too. Prints
                                                how many mappings were seen
    datagrams.py refused ADDR                   a closed port is heard of
    datagrams.py burst ADDR SIZE COUNT          COUNT datagrams with one UDP_SEGMENT send, all echoed in order
    datagrams.py fragments ADDR KIND            an echo whose question comes in fragments: reversed, doubled, tiny; overlap: no answer
"""
import os, random, resource, select, selectors, socket, struct, sys, time

UDP_SEGMENT = 103


def family(a):
    return socket.AF_INET6 if ":" in a else socket.AF_INET


def sock(a, patience=15.0):  # seconds; an answer that comes costs none
    s = socket.socket(family(a), socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE: rmem_max does not count, so a slow machine loses nothing
    s.settimeout(patience)
    return s


def need(ok, why):
    if not ok:
        sys.exit(f"datagrams: {why}")


def cone_server(addr, other, ready):
    s = {}
    for a, port in ((addr, 9990), (addr, 9991), (addr, 9992), (other, 9993)):
        s[port] = sock(a)
        s[port].bind((a, port))
    open(ready, "w").close()
    while True:
        for one in select.select([s[9990], s[9991]], [], [])[0]:
            d, who = one.recvfrom(2048)
            if d == b"knock":
                for port in (9990, 9992, 9993):
                    s[port].sendto(b"from %d" % port, who)
            else:
                one.sendto(f"who {who[0]}:{who[1]}".encode(), who)


def cone(addr, other):
    s = sock(addr)
    seen = set()
    for port in (9990, 9991):
        s.sendto(b"hello", (addr, port))
        d, who = s.recvfrom(2048)
        need(who[:2] == (addr, port), f"the answer of {port} came from {who}")
        seen.add(d)
    need(len(seen) == 1, f"two mappings: {seen}")
    s.sendto(b"knock", (addr, 9990))
    got = {}
    try:
        while len(got) < 3:
            d, who = s.recvfrom(2048)
            got[d] = who[:2]
    except TimeoutError:
        pass
    want = {b"from 9990": (addr, 9990), b"from 9992": (addr, 9992), b"from 9993": (other, 9993)}
    need(got == want, f"got {got}")


class Source:
    """One socket that asks the ports in turn, again where nothing comes."""

    def __init__(self, addr):
        self.s = socket.socket(family(addr), socket.SOCK_DGRAM)
        self.s.setblocking(False)
        self.addr, self.ports, self.seen, self.tries, self.life = addr, [9990, 9991], [], 0, []

    def ask(self):
        self.tries += 1
        self.at = time.monotonic()
        try:
            self.s.sendto(b"hello", (self.addr, self.ports[0]))
        except OSError:
            pass

    def hear(self):
        try:
            d, who = self.s.recvfrom(2048)
        except OSError:
            return
        if who[:2] == (self.addr, self.ports[0]):
            self.seen.append(d)
            self.life.append((self.at, time.monotonic()))  # the mapping was in use at some moment between the two
            self.ports.pop(0)
            self.tries = 0
            if self.ports:
                self.ask()


def sources(addr, other, count, life=None):
    count = int(count)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, max(count + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    sel, waiting, done = selectors.DefaultSelector(), {}, []
    made, end = 0, time.monotonic() + 150
    while len(done) < count:
        need(time.monotonic() < end, f"{len(done)} of {count} have their answers, {len(waiting)} wait")
        while made < count and len(waiting) < 100:
            one = Source(addr)
            sel.register(one.s, selectors.EVENT_READ, one)
            waiting[one] = 1
            one.ask()
            made += 1
        for key, _ in sel.select(0.2):
            one = key.data
            one.hear()
            if not one.ports:
                sel.unregister(one.s)
                del waiting[one]
                done.append(one)
        for one in waiting:
            if time.monotonic() - one.at > 1.5:
                need(one.tries < 20, f"a source has no answer, {len(done)} have")
                one.ask()
    for one in done:
        # one that had to wait for the machine longer than a mapping lives says nothing
        slow = life and one.life[1][1] - one.life[0][0] >= float(life)
        need(len(set(one.seen)) == 1 or slow, "a source has two mappings")
    mappings, last_use = len({one.seen[0] for one in done}), {}
    for one in sorted(done, key=lambda one: one.life[0][1]) if life else []:
        before = last_use.get(one.seen[0])
        need(before is None or one.life[0][1] - before >= float(life), "two sources have one mapping")
        last_use[one.seen[0]] = one.life[1][0]
    last = done[-1].s
    last.settimeout(15)
    last.sendto(b"knock", (addr, 9990))
    got = {last.recvfrom(2048)[1][:2] for _ in range(3)}
    need(got == {(addr, 9990), (addr, 9992), (other, 9993)}, f"knocked: {got}")
    print(mappings)


def refused(addr):
    s = sock(addr)
    s.connect((addr, 4))
    s.send(b"anybody?")
    try:
        s.recv(2048)
    except ConnectionRefusedError:
        return
    except TimeoutError:
        pass
    need(False, "nothing was heard")


def burst(addr, size, count):
    size, count = int(size), int(count)
    s = sock(addr)
    s.connect((addr, 7))
    s.send(b"first")
    need(s.recv(2048) == b"first", "no echo")
    s.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
    data = os.urandom(size * count - size // 2)  # the last one is shorter
    s.send(data)
    got = b"".join(s.recv(65535) for _ in range(count))
    need(got == data, f"{len(got)} bytes of {len(data)} came, or in another order")


def checksum(b):
    b += b"\0" * (len(b) % 2)
    s = sum(struct.unpack(f"!{len(b) // 2}H", b))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


class Raw:
    """Sends parts of one IP payload as fragments of our own making."""

    def __init__(self, src, dst):
        self.v6 = ":" in src
        self.src, self.dst = (socket.inet_pton(family(src), a) for a in (src, dst))
        self.to, self.ident = dst, random.randrange(1, 65536)
        self.s = socket.socket(family(src), socket.SOCK_RAW, socket.IPPROTO_RAW)

    def udp(self, sport, dport, data):
        n = 8 + len(data)
        head = struct.pack("!HHHH", sport, dport, n, 0)
        if self.v6:
            pseudo = self.src + self.dst + struct.pack("!II", n, 17)
        else:
            pseudo = self.src + self.dst + struct.pack("!BBH", 0, 17, n)
        return head[:6] + struct.pack("!H", checksum(pseudo + head + data) or 0xFFFF) + data

    def piece(self, payload, at, n):
        part, more = payload[at : at + n], at + n < len(payload)
        if self.v6:
            head = struct.pack("!IHBB", 6 << 28, 8 + len(part), 44, 64) + self.src + self.dst
            head += struct.pack("!BBHI", 17, 0, at | more, self.ident)
        else:
            head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(part), self.ident, at // 8 | (0x2000 if more else 0), 64, 17, 0) + self.src + self.dst
            head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        self.s.sendto(head + part, (self.to, 0))


def fragments(addr, kind):
    s = sock(addr, 1.5) if kind == "overlap" else sock(addr)
    s.connect((addr, 7))
    src, port = s.getsockname()[:2]
    raw = Raw(src, addr)
    data = os.urandom(200 if kind == "tiny" else 5000)
    payload = raw.udp(port, 7, data)
    step = 8 if kind == "tiny" else 1200
    pieces = [(at, step) for at in range(0, len(payload), step)]
    if kind == "reversed":
        pieces.reverse()
    elif kind == "shuffled" or kind == "tiny":
        random.shuffle(pieces)
    elif kind == "doubled":
        pieces = [p for p in pieces for _ in (0, 1)][:-1]
    elif kind == "overlap":
        pieces.insert(1, (600, 1200))
    for at, n in pieces:
        raw.piece(payload, at, n)
    try:
        got = s.recv(65535)
    except TimeoutError:
        got = None
    need(got == (None if kind == "overlap" else data), f"{kind}: {'nothing' if got is None else len(got)} came")


{"cone-server": cone_server, "cone": cone, "sources": sources, "refused": refused, "burst": burst, "fragments": fragments}[sys.argv[1]](*sys.argv[2:])
