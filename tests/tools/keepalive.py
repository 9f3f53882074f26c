#!/usr/bin/env python3
"""keepalive.py - several HTTP requests on one connection; prints which address answered each. Standard library only.

    keepalive.py ADDRESS PORT [--at-once] REQUEST...

REQUEST: HOST[/BYTES]: GET for that Host, or PUT of so many bytes. --at-once: all are sent before the first answer is
read. An answer that does not come is "closed" or "reset", and the last.
"""
import hashlib, socket, sys, threading


def request(word):
    host, _, n = word.partition("/")
    if not n:
        return f"GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), None
    body = (bytes(range(251)) * (int(n) // 251 + 1))[: int(n)]
    head = f"PUT /sink HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return head + body, hashlib.sha256(body).hexdigest()


def answer(f):
    status = f.readline()
    if not status:
        return "closed"
    n = 0
    while (line := f.readline().strip()) != b"":
        k, _, v = line.partition(b":")
        n = int(v) if k.lower() == b"content-length" else n
    return f.read(n).decode().strip()


def main(address, port, *words):
    at_once = words[0] == "--at-once"
    words = words[at_once:]
    parts = [request(w) for w in words]  # before the connection: who says nothing for long has no name
    s = socket.create_connection((address, int(port)), timeout=30)
    f, out = s.makefile("rb"), []
    if at_once:
        threading.Thread(target=s.sendall, args=(b"".join(p[0] for p in parts),), daemon=True).start()
    try:
        for data, digest in parts:
            if not at_once:
                s.sendall(data)
            got = answer(f)
            out.append(got.split()[0] if not digest or digest not in got else "put")
            if got == "closed":
                break
    except OSError as e:
        out.append("reset" if isinstance(e, ConnectionError) else type(e).__name__)
    print(" ".join(out))


main(*sys.argv[1:])
