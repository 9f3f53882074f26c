#!/usr/bin/env python3
"""A DNS server that counts: UDP and TCP port 53, Python standard library only.

    nameserver.py --addr A [--addr A]... --log FILE --ready FILE [--ttl N] [--truncate] NAME=ADDRESS...

Each question is a line "udp|tcp NAME TYPE" of the log, written before its answer leaves; one that comes again (same socket and
id: on a slow machine an answer may be late) is no other question. A name has the addresses that were
given for it; another type of it has no answer (with a SOA), MX has one; a name that was not given does not exist. Answers
are compressed. --truncate: over UDP there is no room for any.
"""
import argparse, os, selectors, signal, socket, struct, sys

TYPES = {1: "A", 28: "AAAA", 15: "MX", 16: "TXT", 65: "HTTPS", 12: "PTR"}


SEEN = set()


def answer(query, names, ttl, proto, log, who=None):
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    qtype = struct.unpack(">H", query[at + 1 : at + 3])[0]
    end, name = at + 5, ".".join(labels).lower()
    again = (who, query[:2], name, qtype)
    if not who or again not in SEEN:
        os.write(log, f"{proto} {name} {TYPES.get(qtype, qtype)}\n".encode())
    SEEN.add(again)
    found, rcode = [], 0
    if name not in names:
        rcode = 3
    for a in names.get(name, []):
        family = socket.AF_INET6 if ":" in a else socket.AF_INET
        if qtype == (28 if family == socket.AF_INET6 else 1):
            found.append(socket.inet_pton(family, a))
    if qtype == 15 and not rcode:
        found.append(b"\0\x0a\4mail\xc0\x0c")
    records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", qtype, 1, ttl, len(r)) + r for r in found)
    soa = b""
    if not found:
        body = b"\2ns\xc0\x0c\4root\xc0\x0c" + struct.pack(">IIIII", 1, 3600, 600, 86400, ttl)
        soa = b"\xc0\x0c" + struct.pack(">HHIH", 6, 1, ttl, len(body)) + body
    head = query[:2] + struct.pack(">HHHHH", 0x8180 | rcode, 1, len(found), 1 if soa else 0, 0)
    return head + query[12:end] + records + soa


def truncated(query, a):
    end = query.index(0, 12) + 5
    return a[:2] + bytes([a[2] | 2, a[3]]) + struct.pack(">4H", 1, 0, 0, 0) + query[12:end]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--addr", action="append", required=True)
    p.add_argument("--log", required=True)
    p.add_argument("--ready", required=True)
    p.add_argument("--ttl", type=int, default=300)
    p.add_argument("--truncate", action="store_true")
    p.add_argument("names", nargs="*")
    o = p.parse_args()
    names = {}
    for n in o.names:
        name, a = n.split("=")
        names.setdefault(name.lower(), []).append(a)
    log = os.open(o.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sel = selectors.DefaultSelector()
    for a in o.addr:
        family = socket.AF_INET6 if ":" in a else socket.AF_INET
        for kind in socket.SOCK_DGRAM, socket.SOCK_STREAM:
            s = socket.socket(family, kind)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((a, 53))
            if kind == socket.SOCK_STREAM:
                s.listen(50)
            sel.register(s, selectors.EVENT_READ, "udp" if kind == socket.SOCK_DGRAM else "listen")
    open(o.ready, "w").close()
    waiting = {}
    while True:
        for key, _ in sel.select():
            s = key.fileobj
            try:
                if key.data == "udp":
                    q, who = s.recvfrom(4096)
                    a = answer(q, names, o.ttl, "udp", log, who)
                    if o.truncate:
                        a = truncated(q, a)
                    s.sendto(a, who)
                elif key.data == "listen":
                    c, _ = s.accept()
                    waiting[c] = b""
                    sel.register(c, selectors.EVENT_READ, "tcp")
                else:
                    d = s.recv(65536)
                    waiting[s] += d
                    while len(waiting[s]) > 2 and len(waiting[s]) >= 2 + struct.unpack(">H", waiting[s][:2])[0]:
                        n = struct.unpack(">H", waiting[s][:2])[0]
                        a = answer(waiting[s][2 : 2 + n], names, o.ttl, "tcp", log)
                        waiting[s] = waiting[s][2 + n :]
                        s.sendall(struct.pack(">H", len(a)) + a)
                    if not d:
                        raise OSError
            except (OSError, IndexError, struct.error):
                if key.data == "tcp":
                    sel.unregister(s)
                    del waiting[s]
                    s.close()


main()
