#!/usr/bin/env python3
"""udpwho.py - who does a target see when datagrams come? Python standard library only.

    udpwho.py serve ADDRESS...               UDP port 1070 of each: answers with the sender's address
    udpwho.py ask [--via HOST:PORT] HOST...  one socket, or one association of a socks5 server; asks each host in turn;
                                             HOST=none: one from which no answer is expected is not waited for long

ask prints one word per host: the address, "none" (no answer), "refused" or "prohibited" (ICMP).
"""
import ipaddress, select, socket, sys

PORT = 1070


def serve(*addresses):
    socks = []
    for a in addresses:
        s = socket.socket(socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((a, PORT))
        socks.append(s)
    print("ready", flush=True)
    while True:
        for s in select.select(socks, [], [])[0]:
            d, peer = s.recvfrom(2048)
            s.sendto(peer[0].encode(), peer)


def pack(host):
    try:
        ip = ipaddress.ip_address(host)
        return bytes([1 if ip.version == 4 else 4]) + ip.packed + PORT.to_bytes(2, "big")
    except ValueError:
        return bytes([3, len(host)]) + host.encode() + PORT.to_bytes(2, "big")


def associate(via):
    host, port = via.rsplit(":", 1)
    c = socket.create_connection((host, int(port)), timeout=20)
    c.sendall(b"\5\1\0" + b"\5\3\0\1" + bytes(6))
    reply = b""
    while len(reply) < 12:
        reply += c.recv(64) or sys.exit("the proxy hung up")
    if reply[3] != 0:
        sys.exit(f"reply {reply[3]}")
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((host, int.from_bytes(reply[10:12], "big")))
    return c, s


def one(s, data, wait):
    try:
        s.send(data)
        s.settimeout(wait)
        return s.recv(2048)
    except TimeoutError:
        return b"none"
    except ConnectionRefusedError:
        return b"refused"
    except OSError:
        return b"prohibited"


def ask(*words):
    via = words[1] if words[0] == "--via" else None
    out = []
    if via:
        control, s = associate(via)
    for word in words[2 if via else 0 :]:
        host, _, none = word.partition("=")
        wait = 1 if none else 15
        if via:
            answer = one(s, b"\0\0\0" + pack(host) + b"who", wait)
            out.append(answer[10 if answer[3:4] == b"\1" else 22 :] if answer[:2] == b"\0\0" else answer)
        else:
            s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
            s.connect((host, PORT))
            out.append(one(s, b"who", wait))
    print(" ".join(o.decode() for o in out))


{"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
