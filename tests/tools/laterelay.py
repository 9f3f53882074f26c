#!/usr/bin/env python3
"""laterelay.py PORT READY [glue|split|early] - a relay server as GOST's: after a good CONNECT it stays silent until the
target's first byte, and then sends its 4-byte response in one write with it (glue) or byte by byte before it (split).
early: one that is not as GOST's. It answers a good CONNECT at once, and a failed one only after half a second.

Plain TCP, IPv4 and IPv6 targets, no authentication, TCP only. A failed dial is answered at once with status 7.
"""
import socket, socketserver, struct, sys, threading, time

PORT, READY, HOW = int(sys.argv[1]), sys.argv[2], (sys.argv[3:] or ["glue"])[0]


def take(s, n):
    b = b""
    while len(b) < n:
        d = s.recv(n - len(b))
        if not d:
            raise OSError("closed")
        b += d
    return b


def copy(a, b, first):
    """To EOF, which is passed on; `first` goes out with the first bytes."""
    try:
        while d := a.recv(1 << 16):
            if first and HOW == "split":
                for i in first:
                    b.sendall(bytes([i]))
                    time.sleep(0.01)
                first = b""
            b.sendall(first + d)
            first = b""
        b.sendall(first)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        for s in (a, b):
            s.close()


class Relay(socketserver.BaseRequestHandler):
    def handle(self):
        s = self.request
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            version, command, n = struct.unpack(">BBH", take(s, 4))
            features, at, target = take(s, n), 0, None
            while at < n:
                kind, size = struct.unpack(">BH", features[at : at + 3])
                data = features[at + 3 : at + 3 + size]
                if kind == 2 and data[0] in (1, 4):
                    family = socket.AF_INET if data[0] == 1 else socket.AF_INET6
                    target = (socket.inet_ntop(family, data[1:-2]), struct.unpack(">H", data[-2:])[0])
                at += 3 + size
            if version != 1 or command != 1 or not target:
                s.sendall(b"\1\1\0\0")
                return
            t = socket.create_connection(target, timeout=20)
        except OSError:
            if HOW == "early":
                time.sleep(0.5)
            try:
                s.sendall(b"\1\7\0\0")
            except OSError:
                pass
            return
        t.settimeout(None)
        t.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        up = threading.Thread(target=copy, args=(s, t, b""))
        up.start()
        if HOW == "early":
            s.sendall(b"\1\0\0\0")
        copy(t, s, b"" if HOW == "early" else b"\1\0\0\0")
        up.join()
        t.close()


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads, request_queue_size = True, True, 512


with Server(("", PORT), Relay) as server:
    open(READY, "w").close()
    server.serve_forever()
