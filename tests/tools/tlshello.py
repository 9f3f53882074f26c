#!/usr/bin/env python3
"""tlshello.py - a TLS client whose first flight leaves as told; prints the common name of the server's certificate.

    tlshello.py HOST PORT CAFILE NAME [--records N] [--cut N]... [--pause S] [--pad BYTES]

NAME "-": no server name. --records: the ClientHello in N records; --cut: a pause after so many bytes of it; --pad: so
many bytes of further protocol names make it longer. Then GET / over it; the answer must be whole.
"""
import argparse, socket, ssl, struct, sys, time


def split_records(flight, records):
    body, out = flight[5:], b""
    for i in range(records):
        part = body[len(body) * i // records : len(body) * (i + 1) // records]
        out += flight[:3] + struct.pack(">H", len(part)) + part
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("host"), p.add_argument("port", type=int), p.add_argument("cafile"), p.add_argument("name")
    p.add_argument("--records", type=int, default=1)
    p.add_argument("--cut", type=int, action="append", default=[])
    p.add_argument("--pause", type=float, default=0.05)
    p.add_argument("--pad", type=int, default=0)
    a = p.parse_args()
    context = ssl.create_default_context(cafile=a.cafile)
    context.check_hostname = False
    protocols = ["http/1.1"]
    while sum(len(x) + 1 for x in protocols) < a.pad:
        protocols.append("x-%08d" % len(protocols) + "p" * 200)
    context.set_alpn_protocols(protocols)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=None if a.name == "-" else a.name)
    s = socket.create_connection((a.host, a.port), timeout=30)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    first = True

    def flush():
        nonlocal first
        data = outgoing.read()
        if data and first:
            first = False
            if a.pad:
                assert len(data) >= a.pad, len(data)
            data = split_records(data, a.records)
            at = 0
            for cut in sorted(a.cut):
                s.sendall(data[at:cut])
                time.sleep(a.pause)
                at = cut
            data = data[at:]
        if data:
            s.sendall(data)

    def do(step):
        while True:
            try:
                result = step()
                flush()
                return result
            except ssl.SSLWantReadError:
                flush()
                more = s.recv(65536)
                if not more:
                    sys.exit("closed")
                incoming.write(more)

    do(tls.do_handshake)
    do(lambda: tls.write(b"GET / HTTP/1.0\r\n\r\n"))
    if not do(lambda: tls.read(65536)).startswith(b"HTTP/1.0 200"):
        sys.exit("no answer")
    print(dict(x[0] for x in tls.getpeercert()["subject"])["commonName"])


try:
    main()
except OSError as e:
    sys.exit(f"{type(e).__name__}: {e}")
