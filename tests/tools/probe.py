#!/usr/bin/env python3
"""probe.py - the near end of the end-to-end tests: one verb, one verdict. Python standard library only; talks to target.py.

    probe.py [--via socks5://[USER:PASS@]HOST:PORT | http://...] [--seconds N] [--relay] VERB ARGUMENTS

--seconds: a step of TCP (30) or an answer of UDP (15) may take so long; it is a limit for a loaded machine, not a promise.
--relay: there is a relay node on the way. Until it has told once before any payload whether it reached the target its word is
waited for as long as its handshake took, only, and then taken for yes: that much is forgiven, for half a minute.

up HOST BYTES            sends, half-closes, then reads the target's count and SHA-256
down HOST BYTES          reads the pattern to EOF and compares its SHA-256
lazyup HOST BYTES SECONDS    as up, but the target reads nothing for so long
lazydown HOST BYTES SECONDS READY    as down, but reads nothing for so long, then makes READY and reads on when that is gone
echo HOST BYTES          random bytes both ways at once
late HOST BYTES          the target ends its direction first; what is sent afterwards still arrives
first HOST               the target speaks first; prints after how many ms
reset HOST               a reset of the target is seen as one
error HOST PORT NAMES MS connecting fails with one of NAMES (ECONNREFUSED|socks 5|http 503|closed) within MS; that it fails so
                         is asked of each try, that it does in time of one in five: a loaded machine may hold up some
flows HOST COUNT MAX     COUNT echo flows of random length at once
live HOST COUNT READY    COUNT flows that echo until they break; READY then says how many rounds each has done at least
rest HOST COUNT BYTES READY  COUNT flows echo so many bytes at once, then say nothing; makes READY, then waits for SIGTERM
idle HOST COUNT READY    COUNT flows echo once and make READY; at SIGTERM all of them must still echo
hold HOST PORT COUNT READY   connects COUNT times, makes READY, then waits for SIGTERM
slow HOST PORT TEXT MIN MAX  sends TEXT (\\x escapes) and then a byte now and then, as a client that never ends its request:
                         the other side must close after MIN and before MAX seconds
udp HOST SIZE...         one socket, echo of each size; 0?: an empty one that may be lost
udpmany HOST SOCKETS ROUNDS  many sockets, each with one datagram under way
udpbig HOST SIZE         an answer of SIZE bytes to a short question
udplate HOST SECONDS     one datagram, silence, and another one on the same socket

Prints one line; status 0 when all was as it must be.
"""
import argparse, base64, errno, hashlib, os, random, selectors, signal, socket, struct, sys, threading, time
from urllib.parse import unquote, urlsplit

BLOCK = bytes((i * 7 + (i >> 8) * 13) & 255 for i in range(65536))  # as target.py
CHUNK = 1 << 18


class Bad(Exception):
    pass


def need(ok, why):
    if not ok:
        raise Bad(why)


def take(s, n):
    """Exactly n bytes."""
    b = b""
    while len(b) < n:
        d = s.recv(n - len(b))
        need(d, "closed")
        b += d
    return b


def socks_address(host, port):
    for family, kind in ((socket.AF_INET, 1), (socket.AF_INET6, 4)):
        try:
            return bytes([kind]) + socket.inet_pton(family, host) + struct.pack(">H", port)
        except OSError:
            pass
    return bytes([3, len(host)]) + host.encode() + struct.pack(">H", port)


def socks_reply(s):
    _, rep, _, kind = take(s, 4)
    n = {1: 4, 4: 16}.get(kind) or take(s, 1)[0]
    host, port = take(s, n), struct.unpack(">H", take(s, 2))[0]
    need(rep == 0, f"socks {rep}")
    return socket.inet_ntop({4: socket.AF_INET, 16: socket.AF_INET6}[n], host), port


def socks_open(s, via, command, host, port):
    user, word = unquote(via.username or ""), unquote(via.password or "")
    s.sendall(b"\5\1\2" if via.username is not None else b"\5\1\0")
    method = take(s, 2)[1]
    need(method != 255, "socks method refused")
    if method == 2:
        s.sendall(bytes([1, len(user)]) + user.encode() + bytes([len(word)]) + word.encode())
        need(take(s, 2)[1] == 0, "socks password refused")
    s.sendall(bytes([5, command, 0]) + socks_address(host, port))
    return socks_reply(s)


def http_open(s, via, host, port):
    at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    head = f"CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n"
    if via.username is not None:
        pair = f"{unquote(via.username)}:{unquote(via.password or '')}"
        head += f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}\r\n"
    s.sendall(head.encode() + b"\r\n")
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += take(s, 1)
    need(answer.split()[1] == b"200", "http " + answer.split()[1].decode())


def connect(host, port):
    via = opt.via
    s = socket.create_connection((via.hostname, via.port) if via else (host, port), timeout=opt.seconds or 30)
    try:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if via and via.scheme == "socks5":
            socks_open(s, via, 1, host, port)
        elif via:
            http_open(s, via, host, port)
    except BaseException:
        s.close()
        raise
    return s


def numbered(n, seed):
    """n bytes that nowhere repeat."""
    body = random.Random(seed).randbytes(min(n, CHUNK))
    for i in range(0, n, CHUNK):
        yield (struct.pack(">Q", i) + body[8:])[: min(CHUNK, n - i)]


def read_to_eof(s):
    n, h = 0, hashlib.sha256()
    while d := s.recv(1 << 20):
        n += len(d)
        h.update(d)
    return n, h.hexdigest()


def up(host, n, port=9, first=b""):
    n, h = int(n), hashlib.sha256()
    s = connect(host, port)
    s.sendall(first)
    for b in numbered(n, 1):
        h.update(b)
        s.sendall(b)
    s.shutdown(socket.SHUT_WR)
    answer = b""
    while d := s.recv(4096):
        answer += d
    need(answer.decode() == f"{n} {h.hexdigest()}\n", f"the target saw {answer[:80]!r} of {n} bytes")


def lazyup(host, n, seconds):
    up(host, n, 21, seconds.encode() + b"\n")


def down(host, n, pause=None):
    n, h = int(n), hashlib.sha256()
    s = connect(host, 19)
    if pause:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    s.sendall(b"chargen %d\n" % n)
    if pause:
        pause()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    got = read_to_eof(s)
    for i in range(0, n, len(BLOCK)):
        h.update(BLOCK[: min(len(BLOCK), n - i)])
    need(got == (n, h.hexdigest()), f"{got[0]} bytes of {n} came, {'other ones' if got[0] == n else 'too few or too many'}")
    s.shutdown(socket.SHUT_WR)


def lazydown(host, n, seconds, ready):
    def pause():
        time.sleep(float(seconds))
        open(ready, "w").close()
        while os.path.exists(ready):
            time.sleep(0.02)

    down(host, n, pause)


def echo_flow(host, n, seed):
    s = connect(host, 7)
    sent, got, fault = hashlib.sha256(), [], []

    def reader():
        try:
            got.append(read_to_eof(s))
        except OSError as e:
            fault.append(e)

    t = threading.Thread(target=reader)
    t.start()
    try:
        for b in numbered(n, seed):
            sent.update(b)
            s.sendall(b)
        s.shutdown(socket.SHUT_WR)
    finally:
        t.join()
        s.close()
    need(not fault, f"reading: {fault and name_of(fault[0])}")
    need(got[0] == (n, sent.hexdigest()), f"{got[0][0]} bytes of {n} came back, or other ones")


def echo(host, n):
    echo_flow(host, int(n), 2)


def late(host, n):
    n, h = int(n), hashlib.sha256()
    mark = os.urandom(8).hex()
    s = connect(host, 20)
    s.sendall(mark.encode() + b"\n")
    need(read_to_eof(s)[0] == 4, "not 'bye' and EOF")
    for b in numbered(n, 3):
        h.update(b)
        s.sendall(b)
    s.shutdown(socket.SHUT_WR)
    s.close()
    want, answer = f"{n} {h.hexdigest()}\n", ""
    end = time.monotonic() + (opt.seconds or 30)
    while answer != want and time.monotonic() < end:
        q = connect(host, 80)
        q.sendall(f"GET /late/{mark} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: q.recv(4096), b"")).decode().partition("\r\n\r\n")[2]
        q.close()
        need(answer in ("", want), f"the target saw {answer!r}")
        time.sleep(0.02)
    need(answer == want, "the target did not see the end")


def first(host):
    t = time.monotonic()
    s = connect(host, 25)
    need(take(s, 11) == b"220 hello\r\n", "no greeting")
    took = (time.monotonic() - t) * 1000
    s.sendall(b"noop\r\n")
    need(take(s, 10) == b"250 noop\r\n", "no answer")
    return f"{took:.0f}"


def reset(host):
    s = connect(host, 2)
    s.sendall(b"x")
    try:
        d = s.recv(1)
    except ConnectionResetError:
        return
    raise Bad("a byte came" if d else "an ordinary end, not a reset")


def name_of(e):
    if isinstance(e, Bad):
        return str(e)
    if isinstance(e, TimeoutError) and not e.errno:
        return "time-out"
    return errno.errorcode.get(e.errno or 0, repr(e))


def error(host, port, names, ms):
    late, tries, end = [], 5, time.monotonic() + (30 if opt.relay else 0)
    while tries:
        t, what = time.monotonic(), "ok"
        try:
            with connect(host, int(port)) as s:
                s.getpeername()
        except (OSError, Bad) as e:
            what = name_of(e)
        took = (time.monotonic() - t) * 1000
        if what == "ok" and t < end:
            continue
        tries -= 1
        if what == "ENOTCONN":  # Linux queues an ICMP error, which wakes poll(), before SO_ERROR has it
            late.append(what)
            continue
        need(what in names.split("|"), f"{what}, not {names}, after {took:.0f} ms")
        if took <= float(ms):
            return f"{what} after {took:.0f} ms"
        late.append(f"{took:.0f}")
    raise Bad(f"{what} only after (ms): {', '.join(late)}")


def in_threads(count, work):
    faults = []

    def one(i):
        try:
            work(i)
        except (OSError, Bad) as e:
            faults.append(f"{i}: {name_of(e)}")

    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    need(not faults, f"{len(faults)} of {count}: {', '.join(faults[:4])}")


def flows(host, count, most):
    r = random.Random(opt.seed)
    sizes = [r.randrange(int(most) + 1) for _ in range(int(count))]
    in_threads(int(count), lambda i: echo_flow(host, sizes[i], i))


def live(host, count, ready):
    count, ends, lock, rounds = int(count), {}, threading.Lock(), [0] * int(count)

    def one(i):
        s = connect(host, 7)
        block = os.urandom(2000)
        try:
            while True:
                s.sendall(block)
                need(take(s, len(block)) == block, "other bytes")
                rounds[i] += 1
                with lock:
                    if (i == 0 or rounds[i] == 1) and min(rounds):
                        with open(ready + ".new", "w") as f:
                            f.write(f"{min(rounds)}\n")
                        os.replace(ready + ".new", ready)
                time.sleep(0.02)
        except (OSError, Bad) as e:
            with lock:
                ends[name_of(e)] = ends.get(name_of(e), 0) + 1
            need(name_of(e) != "other bytes", "other bytes")

    in_threads(count, one)
    return f"ended: {ends}"


def hold(host, port, count, ready):
    kept = [connect(host, int(port)) for _ in range(int(count))]
    open(ready, "w").close()
    signal.sigwait([signal.SIGTERM])
    return f"{len(kept)} held"


def rest(host, count, size, ready):
    kept, lock = [], threading.Lock()

    def one(_):
        s = connect(host, 7)
        block = os.urandom(min(int(size), 20000))
        for _ in range(0, int(size), len(block)):
            s.sendall(block)
            need(take(s, len(block)) == block, "other bytes")
        with lock:
            kept.append(s)

    in_threads(int(count), one)
    open(ready, "w").close()
    signal.sigwait([signal.SIGTERM])
    return f"{len(kept)} held"


def idle(host, count, ready):
    def still(s):
        try:
            s.sendall(b"word")
            return take(s, 4) == b"word"
        except (OSError, Bad):
            return False

    kept = [connect(host, 7) for _ in range(int(count))]
    need(all([still(s) for s in kept]), "no echo")
    open(ready, "w").close()
    signal.sigwait([signal.SIGTERM])
    n = sum([still(s) for s in kept])
    need(n == len(kept), f"{n} of {len(kept)} still echo")
    return f"{n} still echo"


def slow(host, port, text, least, most):
    before = time.monotonic()
    s = connect(host, int(port))
    begin = time.monotonic()
    data = iter(text.encode().decode("unicode_escape").encode("latin-1"))
    took, end = 0.0, "still open"
    while took < float(most):
        try:
            s.send(bytes([next(data, 97)]))
            if data.__length_hint__():
                continue
            s.settimeout(0.2)
            d = s.recv(4096)
            if not d:
                end = "closed"
        except TimeoutError:
            pass
        except OSError as e:
            end = name_of(e)
        took = time.monotonic() - begin
        if end != "still open":
            break
    took, longest = round(took, 1), time.monotonic() - before  # the other side counts from some moment between the two
    need(float(least) <= longest and took <= float(most) and end != "still open", f"{end} after {took} s, not {least} to {most} s")
    return f"{end} after {took} s"


class Udp:
    """A datagram socket, plain or through a socks5 association."""

    def __init__(self, host, port):
        self.host, self.port, self.head, self.may_be_empty = host, port, b"", False
        if opt.via:
            self.control = socket.create_connection((opt.via.hostname, opt.via.port), timeout=opt.seconds or 30)
            to = socks_open(self.control, opt.via, 3, "0.0.0.0", 0)
            self.head = b"\0\0\0" + socks_address(host, port)
        else:
            to = (host, port)
        self.s = socket.socket(socket.AF_INET6 if ":" in to[0] else socket.AF_INET, socket.SOCK_DGRAM)
        self.s.setsockopt(socket.SOL_SOCKET, 33, 1 << 20)  # SO_RCVBUFFORCE: rmem_max does not count
        self.s.settimeout(opt.seconds or 15)
        self.s.connect(to)

    def send(self, d):
        self.s.send(self.head + d)

    def recv(self):
        d = self.s.recv(65535)
        if self.head:
            need(d[: len(self.head)] == self.head, f"answer from another address: {d[:22].hex()}")
        return d[len(self.head) :]

    def ask(self, d, want=None):
        self.send(d)
        got = self.recv()
        if self.may_be_empty and not got and d:
            got = self.recv()
        need(got == (d if want is None else want), f"{len(got)} bytes came for {len(d)}, or other ones")


def udp(host, *sizes):
    u = Udp(host, 7)
    for n in sizes:
        try:
            if n == "0?":
                u.send(b"")
                u.may_be_empty = True
            else:
                u.ask(os.urandom(int(n)))
        except (OSError, Bad) as e:
            raise Bad(f"{n} bytes: {name_of(e)}")


def udpmany(host, count, rounds):
    def one(i):
        u = Udp(host, 7)
        for k in range(int(rounds)):
            u.ask(struct.pack(">II", i, k) + os.urandom(random.randrange(1200)))
        u.s.close()

    in_threads(int(count), one)


def udpbig(host, n):
    n = int(n)
    Udp(host, 1069).ask(str(n).encode(), (BLOCK * (n // len(BLOCK) + 1))[:n])


def udplate(host, seconds):
    u = Udp(host, 7)
    u.ask(b"before")
    time.sleep(float(seconds))
    u.ask(b"after")


p = argparse.ArgumentParser()
p.add_argument("--via", type=urlsplit)
p.add_argument("--seconds", type=float)
p.add_argument("--relay", action="store_true")
p.add_argument("--seed", type=int, default=1)
p.add_argument("verb", choices="up down lazyup lazydown echo late first reset error flows live rest idle hold slow udp udpmany udpbig udplate".split())
p.add_argument("arguments", nargs="*")
opt = p.parse_args()
threading.stack_size(1 << 17)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM] if opt.verb in ("hold", "idle", "rest") else [])
try:
    print(globals()[opt.verb](*opt.arguments) or "ok")
except (OSError, Bad) as e:
    print(f"{opt.verb} {' '.join(opt.arguments)}: {name_of(e)}")
    sys.exit(1)
