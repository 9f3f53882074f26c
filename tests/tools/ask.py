#!/usr/bin/env python3
"""ask.py SERVER NAME [TYPE]: one DNS question by UDP (TYPE 1: A, 28: AAAA); prints the first address of the answer."""
import os, socket, struct, sys

server, name, qtype = sys.argv[1], sys.argv[2], int((sys.argv[3:] or ["1"])[0])
ident = os.urandom(2)
q = ident + struct.pack(">HHHHH", 0x100, 1, 0, 0, 0)
q += b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0" + struct.pack(">HH", qtype, 1)
s = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(q, (server, 53))
a, _ = s.recvfrom(4096)
assert a[:2] == ident and struct.unpack(">H", a[6:8])[0] >= 1, "no answer record"
n = struct.unpack(">H", a[len(q) + 10 : len(q) + 12])[0]
print(socket.inet_ntop(socket.AF_INET if n == 4 else socket.AF_INET6, a[len(q) + 12 : len(q) + 12 + n]))
