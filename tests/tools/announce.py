#!/usr/bin/env python3
"""One connection that begins with bytes of ours: announce.py [--pieces] [--say TEXT] [--want N] HOST PORT BYTES

BYTES and TEXT with escapes (\\x0d\\x0a). --pieces: each byte in a segment of its own. Prints what comes back, at most N
bytes (default: as many as TEXT has), with escapes, and " end" when the peer ended the connection before."""
import argparse, socket, time


def escaped(text):
    return text.encode().decode("unicode_escape").encode("latin-1")


p = argparse.ArgumentParser()
p.add_argument("--pieces", action="store_true")
p.add_argument("--say", type=escaped, default=b"hello\n")
p.add_argument("--want", type=int)
p.add_argument("host")
p.add_argument("port", type=int)
p.add_argument("bytes", type=escaped)
a = p.parse_args()
want = len(a.say) if a.want is None else a.want
s = socket.create_connection((a.host, a.port), 30)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
s.settimeout(40)
got = b""
end = ""
try:
    if a.pieces:
        for byte in a.bytes:
            s.sendall(bytes([byte]))
            time.sleep(0.002)
        s.sendall(a.say)
    else:
        s.sendall(a.bytes + a.say)
    while len(got) < want:
        d = s.recv(want - len(got))
        if not d:
            end = " end"
            break
        got += d
except (ConnectionError, BrokenPipeError):
    end = " end"
except TimeoutError:
    end = " silence"
print(got.decode("latin-1").encode("unicode_escape").decode() + end)
