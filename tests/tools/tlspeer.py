#!/usr/bin/env python3
"""tlspeer - OpenSSL at one end, with half-close (its own tools cannot).

tlspeer.py client PORT BYTES [tls1.2|tls1.3]   sends BYTES, close_notify, then reads to the end: must be an echo
tlspeer.py server BYTES CERT KEY [tls1.2|..]   prints its port; reads to close_notify, then sends BYTES, close_notify
"""
import socket
import ssl
import sys


class Peer:
    def __init__(self, sock, ctx, server):
        self.sock, self.inp, self.out = sock, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.obj = ctx.wrap_bio(self.inp, self.out, server_side=server, server_hostname=None if server else "example.test")

    def flush(self):
        data = self.out.read()
        if data:
            self.sock.sendall(data)

    def fill(self):
        data = self.sock.recv(65536)
        if data:
            self.inp.write(data)
        else:
            self.inp.write_eof()

    def handshake(self):
        while True:
            try:
                self.obj.do_handshake()
                self.flush()
                return
            except ssl.SSLWantReadError:
                self.flush()
                self.fill()

    def send(self, data):
        for i in range(0, len(data), 16384):
            self.obj.write(data[i:i + 16384])
            self.flush()

    def shut(self):
        try:
            self.obj.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.flush()

    def read_all(self):
        got = b""
        while True:
            try:
                data = self.obj.read(65536)
            except ssl.SSLWantReadError:
                self.fill()
                continue
            except ssl.SSLZeroReturnError:
                return got
            if not data:
                return got
            got += data


def limit(ctx, words):
    if "tls1.2" in words:
        ctx.maximum_version = ssl.TLSVersion.TLSv1_2
    if "tls1.3" in words:
        ctx.minimum_version = ssl.TLSVersion.TLSv1_3


def main(argv):
    if argv[0] == "client":
        data = bytes(i * i % 251 for i in range(int(argv[2])))
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ctx.check_hostname = False
        ctx.verify_mode = ssl.CERT_NONE
        limit(ctx, argv[3:])
        p = Peer(socket.create_connection(("127.0.0.1", int(argv[1]))), ctx, False)
        p.handshake()
        p.send(data)
        p.shut()
        got = p.read_all()
        print("same" if got == data else "sent %d got %d" % (len(data), len(got)))
    else:
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(argv[2], argv[3])
        limit(ctx, argv[4:])
        lis = socket.create_server(("127.0.0.1", 0))
        print("listening", lis.getsockname()[1], flush=True)
        p = Peer(lis.accept()[0], ctx, True)
        p.handshake()
        got = p.read_all()
        p.send(bytes(int(argv[1])))
        p.shut()
        print("got", len(got), flush=True)
        p.sock.recv(100)


main(sys.argv[1:])
