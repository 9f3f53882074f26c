#!/usr/bin/env python3
"""ask.py SERVER NAME [TYPE]: one DNS question by UDP (TYPE 1: A, 28: AAAA); prints the first address of the answer.
ask.py SERVER NAME/A|NAME/AAAA...: all of them at once from one socket, again each second while there is no answer, for 20
seconds; prints one address a line, "-" for no answer. SERVER may have a port: 127.0.0.1#5300."""
import os, socket, struct, sys, time

TYPES = {"A": 1, "AAAA": 28}
server, *words = sys.argv[1:]
server, _, port = server.partition("#")
several = "/" in words[0]
asked = [(w.split("/")[0], TYPES[w.split("/")[1]]) for w in words] if several else [(words[0], int((words[1:] or ["1"])[0]))]
s = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
questions, answers, end = {}, {}, time.monotonic() + 20
for i, (name, qtype) in enumerate(asked):
    ident = bytes([i]) + os.urandom(1)
    q = ident + struct.pack(">HHHHH", 0x100, 1, 0, 0, 0)
    q += b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0" + struct.pack(">HH", qtype, 1)
    questions[ident] = i, q
    s.sendto(q, (server, int(port or 53)))
while len(answers) < len(asked) and time.monotonic() < end:
    s.settimeout(1 if several else 20)
    try:
        a, _ = s.recvfrom(4096)
    except TimeoutError:
        for i, q in questions.values():
            if several and i not in answers:
                s.sendto(q, (server, int(port or 53)))
        continue
    i, q = questions[a[:2]]
    assert struct.unpack(">H", a[6:8])[0] >= 1, "no answer record"
    n = struct.unpack(">H", a[len(q) + 10 : len(q) + 12])[0]
    answers[i] = socket.inet_ntop(socket.AF_INET if n == 4 else socket.AF_INET6, a[len(q) + 12 : len(q) + 12 + n])
assert several or answers, "no answer"
for i in range(len(asked)):
    print(answers.get(i, "-"))
