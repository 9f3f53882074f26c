#!/usr/bin/env python3
"""Who does the far end see? By which interface and address something left, over TCP and UDP.

    whoami.py serve READY PORT ADDR...   answers every TCP connection and every datagram with the peer's address
    whoami.py ask tcp|udp ADDR PORT      prints that address, or the name of the error; -1 for silence of 8 s
    whoami.py keep ADDR PORT             one UDP socket: asks (until answered, 20 s) for each line of stdin, prints as ask
"""
import errno, os, select, socket, sys, time


def family(a):
    return socket.AF_INET6 if ":" in a else socket.AF_INET


def serve(ready, port, *addrs):
    tcp, udp = [], []
    for a in addrs:
        t = socket.socket(family(a), socket.SOCK_STREAM)
        t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        t.bind((a, int(port)))
        t.listen(64)
        tcp.append(t)
        u = socket.socket(family(a), socket.SOCK_DGRAM)
        u.bind((a, int(port)))
        udp.append(u)
    open(ready, "w").close()
    while True:
        for s in select.select(tcp + udp, [], [])[0]:
            if s in tcp:
                c, who = s.accept()
                c.sendall(who[0].encode())
                c.close()
            else:
                _, who = s.recvfrom(2048)
                s.sendto(who[0].encode(), who)


def name(e):
    return errno.errorcode.get(e.errno, str(e)) if e.errno else "silence"


def hear_all(s):
    """Without it Linux tells a UDP socket of closed ports only, not of networks without a way."""
    if s.type == socket.SOCK_DGRAM:
        level, option = (socket.IPPROTO_IPV6, 25) if s.family == socket.AF_INET6 else (socket.IPPROTO_IP, 11)
        s.setsockopt(level, option, 1)  # IP_RECVERR, IPV6_RECVERR
    return s


def ask_udp(s, wait):
    s.settimeout(wait)
    s.send(b"who?")
    return s.recv(2048).decode()


def ask(kind, addr, port):
    s = hear_all(socket.socket(family(addr), socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM))
    s.settimeout(8)
    try:
        s.connect((addr, int(port)))
        return ask_udp(s, 8) if kind == "udp" else s.recv(2048).decode() or "EOF"
    except OSError as e:
        return name(e)


def keep(addr, port):
    s = socket.socket(family(addr), socket.SOCK_DGRAM)
    s.connect((addr, int(port)))
    for _ in sys.stdin:
        end, got = time.monotonic() + 20, "silence"
        while time.monotonic() < end:
            try:
                got = ask_udp(s, 0.2)
                break
            except OSError as e:
                got = name(e)
        print(got, flush=True)


verb = {"serve": serve, "ask": ask, "keep": keep}[sys.argv[1]](*sys.argv[2:])
if verb:
    print(verb)
