#!/usr/bin/env python3
"""h2.py CERT KEY READY ADDRESS...: HTTP/2 (and 1.1) over TLS at port 443 of each address. Python standard library only.

Every answer is "LOCAL-ADDRESS SERVER-NAME PROTOCOL from PEER-ADDRESS".
"""
import socket, ssl, struct, sys, threading

SETTINGS, PING, HEADERS, DATA = 4, 6, 1, 0
ACK = END_STREAM = 1
END_HEADERS = 4
STATUS_200 = b"\x88"  # RFC 7541: entry 8 of the static table


def frame(kind, flags, stream, body=b""):
    return struct.pack(">I", len(body))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + body


def take(s, n):
    b = b""
    while len(b) < n:
        d = s.recv(n - len(b))
        if not d:
            raise OSError("closed")
        b += d
    return b


def http2(s, text):
    take(s, 24)
    s.sendall(frame(SETTINGS, 0, 0))
    while True:
        head = take(s, 9)
        kind, flags, stream = head[3], head[4], struct.unpack(">I", head[5:])[0]
        body = take(s, int.from_bytes(head[:3], "big"))
        if kind in (SETTINGS, PING) and not flags & ACK:
            s.sendall(frame(kind, ACK, 0, body if kind == PING else b""))
        if kind == HEADERS:
            s.sendall(frame(HEADERS, END_HEADERS, stream, STATUS_200) + frame(DATA, END_STREAM, stream, text))


def http1(s, text):
    head = b""
    while b"\r\n\r\n" not in head:
        d = s.recv(4096)
        if not d:
            return
        head += d
    s.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(text) + text)


def serve(context, sock, peer):
    try:
        sock.settimeout(60)
        with context.wrap_socket(sock, server_side=True) as s:
            protocol = s.selected_alpn_protocol() or "http/1.1"
            text = f"{s.getsockname()[0]} {s.wanted} {protocol} from {peer}\n".encode()
            (http2 if protocol == "h2" else http1)(s, text)
    except (OSError, ssl.SSLError):
        pass


def named(s, name, _):
    s.wanted = name or "-"


def listen(address):
    ls = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    ls.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ls.bind((address, 443))
    ls.listen(100)
    return ls


def accept(context, ls):
    while True:
        s, peer = ls.accept()
        threading.Thread(target=serve, args=(context, s, peer[0]), daemon=True).start()


def main():
    cert, key, ready, *addresses = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.sni_callback = named
    threads = [threading.Thread(target=accept, args=(context, listen(a))) for a in addresses]
    for t in threads:
        t.start()
    open(ready, "w").close()


main()
