#!/usr/bin/env python3
"""flight.py - datagrams of one socket, and what their target saw. Python standard library only.

    flight.py serve ADDRESS PORT...             answers each datagram with "SENDER BYTES SHA256" (to DNS as a DNS answer)
    flight.py send ADDRESS PORT [--pause S] [--wait S] HEX...
    flight.py dns ADDRESS PORT NAME[/TYPE]...   questions, from one socket, one behind the other without waiting
    flight.py tcp ADDRESS PORT NAME[/TYPE]...   the same over one TCP connection, each when the one before is answered
    flight.py once ADDRESS PORT NAME[/TYPE]...  the same, all at once; also cut in the middle of a length

send prints "SENDER MS" when all datagrams were seen from one sender, in order and as they were (MS: until the first
answer), else what went wrong. dns prints one sender per question.
"""
import errno, hashlib, select, socket, struct, sys, threading, time


def family(a):
    return socket.AF_INET6 if ":" in a else socket.AF_INET


def serve(address, *ports):
    socks = []
    for p in ports:
        s = socket.socket(family(address), socket.SOCK_DGRAM)
        s.bind((address, int(p)))
        socks.append(s)
    if "53" in ports:
        threading.Thread(target=serve_tcp, args=(address,), daemon=True).start()
    print("ready", flush=True)
    while True:
        for s in select.select(socks, [], [])[0]:
            d, peer = s.recvfrom(65536)
            say = f"{peer[0]} {len(d)} {hashlib.sha256(d).hexdigest()}".encode()
            if s.getsockname()[1] == 53:
                say = d[:2] + bytes([d[2] | 0x80]) + d[3:] + say
            s.sendto(say, peer)


def serve_tcp(address):
    """DNS only, one client at a time."""
    with socket.create_server((address, 53), family=family(address)) as l:
        while True:
            s, peer = l.accept()
            f = s.makefile("rb")
            while len(n := f.read(2)) == 2:
                d = f.read(struct.unpack(">H", n)[0])
                d = d[:2] + bytes([d[2] | 0x80]) + d[3:] + peer[0].encode()
                s.sendall(struct.pack(">H", len(d)) + d)
            f.close() # both: else the client hears no end
            s.close()


def connected(address, port):
    s = socket.socket(family(address), socket.SOCK_DGRAM)
    s.connect((address, int(port)))
    return s


def told(e):
    """What ICMP said: port unreachable, administratively prohibited."""
    return {errno.ECONNREFUSED: "refused", errno.EHOSTUNREACH: "prohibited", errno.EACCES: "prohibited"}.get(e.errno, str(e))


def send(address, port, *words):
    words, pause, wait = list(words), 0, 15
    while words[0].startswith("--"):
        if words.pop(0) == "--pause":
            pause = float(words.pop(0))
        else:
            wait = float(words.pop(0))
    s = connected(address, port)
    data = [bytes.fromhex(w) for w in words]
    begin, first, answers = time.monotonic(), None, []
    try:
        for i, d in enumerate(data):
            if i:
                time.sleep(pause)
            s.send(d)
        s.settimeout(wait)
        while len(answers) < len(data):
            answers.append(s.recv(2048).decode().split())
            first = first or time.monotonic()
    except TimeoutError:
        pass
    except OSError as e:
        print(f"{told(e)} {int((time.monotonic() - begin) * 1000)}")
        return
    want = [[str(len(d)), hashlib.sha256(d).hexdigest()] for d in data]
    senders = {a[0] for a in answers}
    if [a[1:] for a in answers] != want or len(senders) != 1:
        print(f"sent {[w[0] for w in want]}, seen {[a[:2] for a in answers]}")
        return
    print(f"{senders.pop()} {int((first - begin) * 1000)}")


def question(i, q):
    name, _, kind = q.partition("/")
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0"
    return struct.pack(">6H", i, 0x100, 1, 0, 0, 0) + labels + struct.pack(">2H", 28 if kind == "AAAA" else 1, 1)


def once(address, port, *questions):
    tcp(address, port, *questions, at_once=True)


def tcp(address, port, *questions, at_once=False):
    s = socket.create_connection((address, int(port)), timeout=20)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    f, out = s.makefile("rb"), []
    messages = [question(i, q) for i, q in enumerate(questions)]
    try:
        if at_once:
            whole = b"".join(struct.pack(">H", len(m)) + m for m in messages)
            cut = 2 + len(messages[0]) + 1
            s.sendall(whole[:cut])
            s.sendall(whole[cut:])
        for m in messages:
            if not at_once:
                s.sendall(struct.pack(">H", len(m)) + m)
            n = f.read(2)
            out.append(f.read(struct.unpack(">H", n)[0])[len(m) :].decode() if n else "closed")
    except OSError as e:
        out.append(type(e).__name__)
    print(" ".join(out))


def dns(address, port, *questions):
    s = connected(address, port)
    s.settimeout(15)
    sent, seen = {}, {}
    for i, q in enumerate(questions):
        sent[1000 + i] = question(1000 + i, q)
        s.send(sent[1000 + i])
    try:
        while len(seen) < len(sent):
            d = s.recv(2048)
            i = d[0] << 8 | d[1]
            seen[i] = d[len(sent[i]) :].decode().split()[0] if d[2] & 0x80 else "no answer"
    except TimeoutError:
        pass
    except OSError as e:
        print(told(e))
        return
    print(" ".join(seen.get(i, "none") for i in sent))


{"serve": serve, "send": send, "dns": dns, "tcp": tcp, "once": once}[sys.argv[1]](*sys.argv[2:])
