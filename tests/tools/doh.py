#!/usr/bin/env python3
"""doh.py ADDRESS PORT CERT KEY UPSTREAM [MODE]: DNS over HTTPS (RFC 8484, POST) in front of a server that speaks UDP.

MODE: plain; "status": says 503; "chunked": no Content-Length. Prints "ready" when it listens, then one line per question.
"""
import http.server, socket, ssl, sys

addr, port, cert, key, upstream = sys.argv[1:6]
mode = (sys.argv[6:] or ["plain"])[0]


class Doh(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        q = self.rfile.read(int(self.headers["Content-Length"]))
        ok = self.path == "/dns-query" and self.headers["Content-Type"] == "application/dns-message"
        print(self.client_address[0], self.headers["Host"], self.path, ok, flush=True)
        if mode == "status" or not ok:
            self.send_response(503 if ok else 400)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(20)
        s.sendto(q, (upstream, 53))
        a = s.recv(65536)
        s.close()
        self.send_response(200)
        self.send_header("Content-Type", "application/dns-message")
        if mode == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (a[:5], a[5:]):
                self.wfile.write(b"%x;x=y\r\n%s\r\n" % (len(part), part))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("Content-Length", str(len(a)))
            self.end_headers()
            self.wfile.write(a)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
server = Server((addr, int(port)), Doh)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
