#!/usr/bin/env python3
"""sides.py - watches devices for packets that must not be there. Python standard library only.

    sides.py --ready FILE [--direct DEV] [--tunnel DEV] [--exit DEV] --node A:PORT... --name NAME --address A...
             --nameserver A... --own A...

Every packet of the devices, either way, is one that its device may carry, or a leak:
  direct   of the addresses of NAME (--address), TCP and UDP ports 80 and 443, in clear with no other name than NAME;
           questions about NAME to the nameservers and their answers, UDP and TCP
  tunnel   TCP of the nodes
  exit     (behind the server) anything but the above: not NAME's addresses at 80 and 443, not its name in clear, no
           question about it
and neighbour discovery, ARP and what routers say. On "direct" and "tunnel" this machine's end has one of the --own
addresses: not one of the device that takes everything. An ICMP error counts as the packet that it is about.

At SIGTERM: one line "DEV WHAT COUNT" per kind of packet, leaks as "DEV leak WHAT COUNT"; "unseen COUNT" last: what the
kernel could not hand over.
"""
import argparse, collections, ipaddress, re, select, signal, socket, struct, sys

ETH_P_ALL, SOL_PACKET, PACKET_STATISTICS, SO_RCVBUFFORCE = 3, 263, 6, 33
NEIGHBOURS = {130, 131, 132, 133, 134, 135, 136, 143}  # ICMPv6: MLD, router and neighbour discovery
ERRORS = {4: {3, 4, 5, 11, 12}, 6: {1, 2, 3, 4}}
HEAD = re.compile(rb"[A-Za-z0-9.-]+")


class Packet:
    """What is told of an IP packet: ends as (address, port), proto, payload; or what kind of other packet it is."""

    def __init__(self, b):
        self.kind = self.inner = None
        self.payload, self.src, self.dst, ports = b"", None, None, False
        self.version = b[0] >> 4 if b else 0
        if self.version == 4 and len(b) >= 20:
            at, self.proto = (b[0] & 15) * 4, b[9]
            a, z = b[12:16], b[16:20]
            fragment = struct.unpack(">H", b[6:8])[0] & 0x1FFF
            b = b[: struct.unpack(">H", b[2:4])[0] or len(b)]
        elif self.version == 6 and len(b) >= 40:
            at, self.proto, fragment = 40, b[6], 0
            a, z = b[8:24], b[24:40]
            while self.proto in (0, 43, 60, 44) and len(b) >= at + 8:
                if self.proto == 44:
                    fragment, step = struct.unpack(">H", b[at + 2 : at + 4])[0] >> 3, 8
                else:
                    step = (b[at + 1] + 1) * 8
                self.proto, at = b[at], at + step
        else:
            self.kind = "no IP"
            return
        a, z = str(ipaddress.ip_address(a)), str(ipaddress.ip_address(z))
        l4 = b[at:]
        sport = dport = 0
        if fragment:
            self.kind = "fragment"
        elif self.proto in (6, 17) and len(l4) >= 4:
            sport, dport = struct.unpack(">HH", l4[:4])
            self.payload = l4[8:] if self.proto == 17 else l4[(l4[12] >> 4) * 4 :] if len(l4) > 12 else b""
        elif self.proto in (1, 58) and l4:
            v = 4 if self.proto == 1 else 6
            if v == 6 and l4[0] in NEIGHBOURS:
                self.kind = "neighbours"
            elif l4[0] in ERRORS[v]:
                self.inner = Packet(l4[8:])
        self.src, self.dst = (a, sport), (z, dport)

    def ends(self, own):
        """(ours, theirs); None where neither end is ours."""
        if self.src[0] in own:
            return self.src, self.dst
        return (self.dst, self.src) if self.dst[0] in own else None

    def __str__(self):
        if self.src is None:
            return self.kind
        what = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}.get(self.proto, self.proto)
        known = sorted([self.src, self.dst], key=lambda e: (e[1] or 99999))
        return f"{what} {known[1][0]} with {known[0][0]}:{known[0][1]}" + (f" {self.kind}" if self.kind else "")


def question(m):
    """The name that a DNS message asks for, or None."""
    labels, at = [], 12
    while at < len(m) and 0 < m[at] < 64:
        labels.append(m[at + 1 : at + 1 + m[at]].decode("latin-1"))
        at += 1 + m[at]
    return ".".join(labels).lower() if at < len(m) and m[at] == 0 and labels else None


class Judge:
    def __init__(self, o):
        self.o, self.name = o, o.name.encode()
        self.nodes = [(n.rsplit(":", 1)[0].strip("[]"), int(n.rsplit(":", 1)[1])) for n in o.node]

    def names(self, payload):
        """Names that stand in the payload in clear: (is ours among them, the others)."""
        if payload.isascii():  # a head of HTTP
            found = re.findall(rb"(?mi)^Host: *([^\s:]+)", payload)
        else:  # a server name: 2 bytes of length, then the name
            found = [m for m in HEAD.findall(payload) if b"." in m]
            found = [m for m in found if m.endswith(b".test") or m.endswith(self.name)]
        others = [m for m in found if m.lower() != self.name]
        return len(others) < len(found), others

    def dns(self, p):
        """The name that a packet of port 53 is about; "" for one of TCP without a message, None for what is no DNS."""
        if p.proto == 6 and len(p.payload) <= 2:
            return ""
        return question(p.payload[2:] if p.proto == 6 else p.payload) if p.proto in (6, 17) else None

    def direct(self, p):
        ends = p.ends(self.o.own)
        if not ends:
            return None
        peer, port = ends[1]
        if peer in self.o.nameserver:
            name = self.dns(p) if port == 53 else None
            if name == "":
                return f"tcp {peer} 53"
            return f"{'tcp-' if p.proto == 6 else ''}dns {name} {peer}" if name == self.o.name else None
        if peer in self.o.address and port in (80, 443) and p.proto in (6, 17):
            if not self.names(p.payload)[1]:
                return f"{'tcp' if p.proto == 6 else 'udp'} {peer} {port}"
        return None

    def tunnel(self, p):
        ends = p.ends(self.o.own)
        return "node" if ends and p.proto == 6 and ends[1] in self.nodes else None

    def exit(self, p):
        for a, port in p.src, p.dst:
            if a in self.o.address and port in (80, 443):
                return None
        if 53 in (p.src[1], p.dst[1]):
            name = self.dns(p)
            return None if name == self.o.name else "other" if name == "" else f"{'tcp-' if p.proto == 6 else ''}dns {name}"
        return None if self.names(p.payload)[0] else "other"


def main():
    ap = argparse.ArgumentParser()
    for role in "direct", "tunnel", "exit":
        ap.add_argument("--" + role)
    for word in "node", "address", "nameserver", "own":
        ap.add_argument("--" + word, action="append", default=[])
    ap.add_argument("--name", required=True)
    ap.add_argument("--ready", required=True)
    o = ap.parse_args()
    for word in "address", "nameserver", "own":
        setattr(o, word, {str(ipaddress.ip_address(a)) for a in getattr(o, word)})
    judge, socks, count = Judge(o), {}, collections.Counter()
    for role in "direct", "tunnel", "exit":
        dev = getattr(o, role)
        if not dev:
            continue
        s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)  # SO_RCVBUF is capped: a busy machine would miss packets
        s.bind((dev, ETH_P_ALL))
        socks[s] = dev, getattr(judge, role)
    awake, wake = socket.socketpair()
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGTERM, lambda *_: None)
    open(o.ready, "w").close()
    ended, missing = False, 0
    while True:
        readable = select.select([*socks, awake], [], [], 0 if ended else None)[0]
        ended = ended or awake in readable
        readable = [s for s in readable if s in socks]
        if ended and not readable:
            break
        for s in readable:
            dev, may = socks[s]
            try:
                b, where = s.recvfrom(65536)
            except OSError:  # the device went
                continue
            if where[1] == 0x0806:
                what = "neighbours"
            elif where[1] not in (0x0800, 0x86DD):
                count[f"{dev} leak protocol {where[1]:#06x}"] += 1
                continue
            else:
                p = Packet(b)
                about = p.inner if p.inner and p.inner.src else p
                what = "neighbours" if p.kind == "neighbours" else None if p.kind else may(about)
                if what is None:
                    what = f"leak {p}"
                    if 53 in (p.src[1], p.dst[1]) and judge.dns(p):
                        what += f" dns {judge.dns(p)}"
            count[f"{dev} {what}"] += 1
    for s in socks:
        missing += struct.unpack("II", s.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
    for what, n in sorted(count.items()):
        print(what, n)
    print("unseen", missing, flush=True)


main()
