#!/usr/bin/env python3
"""share.py - how downloads share a link.

    share.py server PORT             sends to whoever connects, by CUBIC, until he goes
    share.py client PORT SECONDS HOST...   one download of each at once; prints Mbit/s of each, without the first 3 s
"""
import socket, sys, threading, time

TCP_CONGESTION = 13
SKIP = 3


def serve(c):
    block = bytes(65536)
    try:
        c.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, b"cubic")
        while True:
            c.sendall(block)
    except OSError:
        c.close()


def server(port):
    s = socket.create_server(("", port))
    while True:
        threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()


def client(port, seconds, hosts):
    got = [0] * len(hosts)

    def take(i):
        with socket.create_connection((hosts[i], port), 10) as c:
            start = time.monotonic()
            while (now := time.monotonic()) < start + seconds:
                try:
                    n = len(c.recv(1 << 18))
                except TimeoutError:  # starved
                    continue
                got[i] += n if now > start + SKIP else 0

    threads = [threading.Thread(target=take, args=(i,)) for i in range(len(hosts))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(*("%.0f" % (n * 8 / (seconds - SKIP) / 1e6) for n in got))


if sys.argv[1] == "server":
    server(int(sys.argv[2]))
else:
    client(int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
