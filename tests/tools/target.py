#!/usr/bin/env python3
"""The far end of the end-to-end tests and of the demo: plain servers with known answers. Python standard library only.

    target.py [--addr A]... [--ready FILE]

TCP  80    GET /bytes/N: N bytes of a known pattern (also /file.bin: 256 MiB); HEAD; PUT /sink: counts, answers sha256
     7     echo, half-close aware: answers EOF only after the client's EOF
     9     sink: reads to EOF, answers "COUNT SHA256\n", closes
     19    "chargen N\n" in: N bytes of the pattern, then FIN, then reads to EOF
     21    "SECONDS\n" in: reads nothing for so long, then as 9
     20    "NAME\n" in: "bye\n", then FIN at once, then reads to EOF; GET /late/NAME then says "COUNT SHA256\n" (empty before)
     25    speaks first: "220 hello\r\n", then echoes lines
     2     resets as soon as a byte came
UDP  7     echo
     53    DNS: A 192.0.2.1-like fixed answers, AAAA 2001:db8::1, any name; TCP 53 too, and there HTTP as on 80
     1069  answers a datagram of N bytes to the text "N"
"""
import argparse, hashlib, os, selectors, signal, socket, socketserver, struct, sys, threading, time

BLOCK = bytes((i * 7 + (i >> 8) * 13) & 255 for i in range(65536))


def pattern(n):
    while n > 0:
        k = min(n, len(BLOCK))
        yield BLOCK[:k]
        n -= k


def pattern_file(n):
    """The pattern as a file, so that big answers leave by sendfile(2) and the target is no bottleneck."""
    path = f"/tmp/cgost-target-{os.getpid()}-{n}"
    with open(path, "wb") as f:
        for b in pattern(n):
            f.write(b)
    fd = os.open(path, os.O_RDONLY)
    os.unlink(path)
    return fd


FILES, LATE, LOCK = {}, {}, threading.Lock()


class Tcp(socketserver.BaseRequestHandler):
    def handle(self):
        s, port = self.request, self.server.server_address[1]
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            {80: self.http, 7: self.echo, 9: self.sink, 19: self.chargen, 20: self.late, 21: self.lazy, 25: self.first, 2: self.reset, 53: self.dns}[port](s)
        except OSError:
            pass

    def lines(self, s):
        buf = b""
        while True:
            while b"\n" not in buf:
                d = s.recv(65536)
                if not d:
                    return
                buf += d
            line, buf = buf.split(b"\n", 1)
            self.rest = buf
            yield line.rstrip(b"\r")
            buf = self.rest

    def http(self, s):
        lines = self.lines(s)
        for request in lines:
            head = {}
            for line in lines:
                if not line:
                    break
                k, _, v = line.partition(b":")
                head[k.strip().lower()] = v.strip()
            method, path, _ = (request.split(b" ") + [b"", b""])[:3]
            path = path.decode()
            if path.startswith("http://"):
                path = "/" + path.split("/", 3)[-1]
            if method == b"PUT":
                n, h = int(head.get(b"content-length", 0)), hashlib.sha256()
                if head.get(b"expect"):
                    s.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                got = len(self.rest[:n])
                h.update(self.rest[:n])
                self.rest = self.rest[n:]
                while got < n:
                    d = s.recv(min(1 << 20, n - got))
                    if not d:
                        return
                    h.update(d)
                    got += len(d)
                body = f"{got} {h.hexdigest()}\n".encode()
                s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                continue
            if path.startswith("/bytes/"):
                n = int(path.split("/")[2].split("?")[0])
            elif path == "/file.bin":
                n = 256 << 20
            else:
                if path.startswith("/late/"):
                    body = LATE.get(path[6:], b"")
                else:
                    body = f"{s.getsockname()[0]} {head.get(b'host', b'-').decode()} {path} from {self.client_address[0]}\n".encode()
                s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + (b"" if method == b"HEAD" else body))
                if head.get(b"connection", b"").lower() == b"close":
                    return
                continue
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: application/octet-stream\r\n\r\n" % n)
            if method != b"HEAD":
                self.blast(s, n)
            if head.get(b"connection", b"").lower() == b"close":
                return

    def blast(self, s, n):
        if n < 1 << 20:
            for b in pattern(n):
                s.sendall(b)
            return
        with LOCK:
            if n not in FILES:
                FILES[n] = pattern_file(n)
        at = 0
        while at < n:
            at += os.sendfile(s.fileno(), FILES[n], at, min(n - at, 1 << 30))

    def echo(self, s):
        while d := s.recv(65536):
            s.sendall(d)
        s.shutdown(socket.SHUT_WR)

    def sink(self, s):
        n, h = 0, hashlib.sha256()
        while d := s.recv(1 << 20):
            n += len(d)
            h.update(d)
        s.sendall(f"{n} {h.hexdigest()}\n".encode())

    def lazy(self, s):
        word = b""
        while not word.endswith(b"\n"):
            d = s.recv(1)
            if not d:
                return
            word += d
        time.sleep(float(word))
        self.sink(s)

    def chargen(self, s):
        line = next(self.lines(s), b"0")
        self.blast(s, int(line.split()[-1]))
        s.shutdown(socket.SHUT_WR)
        while s.recv(65536):
            pass

    def late(self, s):
        lines = self.lines(s)
        name = next(lines, b"").decode()
        s.sendall(b"bye\n")
        s.shutdown(socket.SHUT_WR)
        n, h = len(self.rest), hashlib.sha256(self.rest)
        while d := s.recv(1 << 20):
            n += len(d)
            h.update(d)
        LATE[name] = f"{n} {h.hexdigest()}\n".encode()

    def first(self, s):
        s.sendall(b"220 hello\r\n")
        for line in self.lines(s):
            s.sendall(b"250 " + line + b"\r\n")

    def reset(self, s):
        s.recv(1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()  # before socketserver's own shutdown() can send a FIN

    def dns(self, s):
        if s.recv(2, socket.MSG_PEEK | socket.MSG_WAITALL) in (b"GE", b"PU"):
            return self.http(s)
        head = s.recv(2, socket.MSG_WAITALL)
        while len(head) == 2:
            q = s.recv(struct.unpack(">H", head)[0], socket.MSG_WAITALL)
            a = dns_answer(q)
            s.sendall(struct.pack(">H", len(a)) + a)
            head = s.recv(2, socket.MSG_WAITALL)


def dns_answer(q):
    if len(q) < 17:
        return q
    at = 12
    while at < len(q) and q[at]:
        at += 1 + q[at]
    qtype = struct.unpack(">H", q[at + 1 : at + 3])[0] if at + 3 <= len(q) else 0
    question = q[12 : at + 5]
    rr = {1: bytes([192, 0, 2, 1]), 28: socket.inet_pton(socket.AF_INET6, "2001:db8::1")}.get(qtype)
    answer = b"" if rr is None else b"\xc0\x0c" + struct.pack(">HHIH", qtype, 1, 60, len(rr)) + rr
    return q[:2] + struct.pack(">HHHHH", 0x8180, 1, 1 if rr else 0, 0, 0) + question + answer


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address, daemon_threads, request_queue_size = True, True, 1024

    def __init__(self, addr, port):
        self.address_family = socket.AF_INET6 if ":" in addr else socket.AF_INET
        super().__init__((addr, port), Tcp)

    def handle_error(self, *_):
        pass


def room(s):
    """4 MiB of received datagrams, whatever rmem_max says: while we wait for the processor none is lost."""
    try:
        s.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE, for root
    except OSError:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)


def udp_socket(addr, port):
    s = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, socket.SOCK_DGRAM)
    room(s)
    s.bind((addr, port))
    return s


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--addr", action="append", default=[])
    p.add_argument("--ready")
    a = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    sel = selectors.DefaultSelector()
    for addr in a.addr or ["127.0.0.1"]:
        for port in (80, 7, 9, 19, 20, 21, 25, 2, 53):
            threading.Thread(target=Server(addr, port).serve_forever, daemon=True).start()
        for port in (7, 53, 1069):
            sel.register(udp_socket(addr, port), selectors.EVENT_READ, port)
    if a.ready:
        open(a.ready, "w").close()
    while True:
        for key, _ in sel.select():
            d, frm = key.fileobj.recvfrom(65536)
            try:
                if key.data == 53:
                    d = dns_answer(d)
                elif key.data == 1069:
                    n = int(d or b"0")
                    d = (BLOCK * (n // len(BLOCK) + 1))[:n]
                key.fileobj.sendto(d, frm)
            except (OSError, ValueError) as e:
                print("target: udp:", e, file=sys.stderr)


main()
