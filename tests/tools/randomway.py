#!/usr/bin/env python3
"""randomway.py - services with rules made by chance: does `cgost explain` say what the packets then do? Standard library only.

    randomway.py SEED FOLDER make            writes FOLDER/random.json (the services), FOLDER/hosts and FOLDER/nodes (arguments)
    randomway.py SEED FOLDER ask CGOST       serves the targets, asks; one line "ok ..." or "FAIL ..." per question
    randomway.py SEED FOLDER count           how many of them there are

All is in one namespace, on its loopback device: services at 127.0.0.1:11000 and on, nodes at :9001 and on. Each node leaves
from an address of its own, 127.0.9.1 and on, the services from 127.0.9.99, direct nodes from any: the target says which it saw.
"""
import json, random, select, socket, struct, subprocess, sys, threading, time

NAMES = {"a.test": "127.0.1.1", "b.a.test": "127.0.1.2", "c.b.a.test": "127.0.1.3", "xa.test": "127.0.2.1", "other.org": "127.0.2.2"}
NAMES |= {"mail.other.org": "127.0.3.9", "x": "127.0.3.1", "m1.map": "127.0.1.77", "m2.map": "127.0.3.77"}
MAPPED = {"m1.map": "127.0.2.5", "a.test": "127.0.3.3"}
HOSTS = [*NAMES, "127.0.1.1", "127.0.2.1", "127.0.2.200", "127.0.3.3", "127.0.1.255", "A.Test", "B.a.TEST", "a.test."]
PORTS = [7001, 7002]
PATTERNS = """a.test .a.test *.a.test ?.a.test * *.org .org other.org x 127.0.1.0/24 127.0.2.0/23 127.0.1.1 127.0.1.1-127.0.2.1
    127.0.0.0/8 *.test:7001 a.test:7002 .a.test:7001-7002 *:7002 127.0.1.1:7001 127.0.2.* b.A.tesT ::/0 ::1-::5 *.[a-b].test m1.map
    *.map:7001 {a,b}*.test* 127.0.3.1:7001-7002 m?.map""".split()
SERVERS = [("relay", "bind=true&"), ("relay", "bind=true&"), ("relay", "bind=true&"), ("socks5", "udp=true&"), ("socks5", "udp=true&")]
SERVERS += [("http", "udp=true&"), ("relay", "bind=true&"), ("socks4", "")]
SERVICES, QUESTIONS, FIRST = 14, 16, 11000
DEAD = 9090


# ---------------------------------------------------------------- what is asked of whom
def rule_sets(rnd):
    for i in range(20):
        s = {"name": f"s{i}", "matchers": rnd.choices(PATTERNS, k=rnd.choice([1, 1, 1, 2, 3, 5]))}
        if rnd.random() < 0.3:
            s["whitelist"] = True
        if rnd.random() < 0.3:
            s["network"] = rnd.choice(["tcp", "udp"])
        yield s


def config(rnd):
    sets, services, chains = list(rule_sets(rnd)), [], []

    def ruled(at):
        names = [s["name"] for s in rnd.choices(sets, k=rnd.choice([0, 0, 0, 1, 1, 2, 3]))]
        return at | ({} if not names else {"bypass": names[0]} if len(names) == 1 else {"bypasses": names})

    def node(name, alone):
        i = rnd.randrange(len(SERVERS) + 1 + alone)
        if i == len(SERVERS):
            return {"name": name, "addr": ":0", "connector": {"type": "direct"}, "dialer": {"type": "direct"}}
        if i > len(SERVERS):  # nobody is there; another one of the hop would serve instead
            return {"name": name, "addr": f"127.0.0.1:{DEAD}", "connector": {"type": "socks4"}, "dialer": {"type": "tcp"}}
        return {"name": name, "addr": f"127.0.0.1:{9001 + i}", "connector": {"type": SERVERS[i][0]}, "dialer": {"type": "tcp"}}

    for i in range(SERVICES):
        hops = []
        for h in range(rnd.choice([0, 1, 1, 1, 2, 2, 3])):
            n = rnd.choice([1, 1, 2, 3])
            nodes = [ruled(node(f"n{h}{k}", n == 1)) for k in range(n)]
            hops.append(ruled({"name": f"h{h}", "selector": {"strategy": "fifo"}, "nodes": nodes}))
        chain = {"chain": f"c{i}"} if hops else {}
        if hops:
            chains.append({"name": f"c{i}", "hops": hops})
        s = {"name": f"svc{i}", "addr": f"127.0.0.1:{FIRST + i}", "metadata": {"interface": "127.0.9.99"}}
        s |= {"handler": {"type": "socks5", "metadata": {"udp": True}, **chain}, "listener": {"type": "tcp"}}
        services.append(ruled(s) | ({"hosts": "map"} if rnd.random() < 0.3 else {}))
    mappings = [{"hostname": n, "ip": a} for n, a in MAPPED.items()]
    return {"services": services, "chains": chains, "bypasses": sets, "hosts": [{"name": "map", "mappings": mappings}]}


def questions(rnd):
    """network, host, port: both networks in turn."""
    hosts = rnd.sample(HOSTS, QUESTIONS // 2)
    return [(net, h, rnd.choice(PORTS)) for h in hosts for net in ("tcp", "udp")]


# ---------------------------------------------------------------- targets
def serve():
    """Whoever says something hears from which address that came."""
    doors, waiting, socks = [], [], []
    for p in PORTS:
        doors.append(socket.create_server(("0.0.0.0", p), backlog=64))
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO: answered from the address that was asked
        u.bind(("0.0.0.0", p))
        socks.append(u)
    while True:
        for s in select.select(doors + socks + waiting, [], [])[0]:
            if s in doors:
                waiting.append(s.accept()[0])
            elif s in socks:
                _, told, _, who = s.recvmsg(2048, 256)
                dst = next(d[8:12] for level, kind, d in told if (level, kind) == (0, 8))
                s.sendmsg([f"seen {who[0]}".encode()], [(0, 8, struct.pack("i4s4s", 0, dst, bytes(4)))], 0, who)
            else:
                try:
                    if s.recv(1000):
                        s.sendall(f"seen {s.getpeername()[0]}\n".encode())
                        continue
                except OSError:
                    pass
                waiting.remove(s)
                s.close()


# ---------------------------------------------------------------- the packets
def address(host, port):
    try:
        return b"\1" + socket.inet_aton(host) + struct.pack(">H", port)
    except OSError:
        return bytes([3, len(host)]) + host.encode() + struct.pack(">H", port)


def take(s, n):
    b = b""
    while len(b) < n:
        d = s.recv(n - len(b))
        if not d:
            raise OSError("closed")
        b += d
    return b


def socks(port, command, host, at):
    s = socket.create_connection(("127.0.0.1", port), 30)
    s.sendall(b"\5\1\0" + bytes([5, command, 0]) + address(host, at))
    take(s, 2)
    reply = take(s, 4)[1]
    take(s, 4)
    return s, reply, struct.unpack(">H", take(s, 2))[0]


def ask_tcp(port, host, at):
    s, reply, _ = socks(port, 1, host, at)
    with s:
        if reply:
            return f"reply {reply}"
        s.sendall(b"who am I\n")
        return s.makefile().readline().strip() or "closed"


def ask_udp(port, host, at, patience):
    s, reply, door = socks(port, 3, "0.0.0.0", 0)
    with s, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
        if reply:
            return f"reply {reply}"
        end = time.monotonic() + patience
        while time.monotonic() < end:
            u.sendto(b"\0\0\0" + address(host, at) + b"who", ("127.0.0.1", door))
            if select.select([u], [], [], min(1, patience))[0]:
                return "seen " + u.recv(2048).rsplit(b"seen ", 1)[1].decode()
    return "none"


def expected(said):
    """What a client must get when this is what explain said; None: nothing, or an error."""
    if said["verdict"] not in ("direct", "chain"):
        return None
    route = said["route"].split(" > ") if said["nodes"] else []
    ports = [int(part.rsplit(":", 1)[1]) for part in route]
    if DEAD in ports:
        return None
    real = [p for p in ports if p]
    return f"seen 127.0.9.{real[-1] - 9000 if real else 99}" if real or not route else "seen 127.0.0.1"


def one(i, net, host, port, said):
    want, at = expected(said), FIRST + i
    try:
        got = ask_tcp(at, host, port) if net == "tcp" else ask_udp(at, host, port, 20 if want else 0.4)
    except OSError as e:
        got = f"error: {e}"
    if want is None and net == "tcp":
        right = got == "reply 2" if said["verdict"] == "refused" else got.startswith("reply ")
    else:
        right = got == want if want else got == "none" or got.startswith("reply ")
    what = f"svc{i}: {net} {host}:{port}: {said['verdict']} {said.get('route')}"
    return f"ok {what}" if right else f"FAIL {what}, packets: {got}"


def ask(folder, cgost, asked):
    threading.Thread(target=serve, daemon=True).start()
    for net, host, port in asked:
        words = [cgost, "explain", "-C", f"{folder}/random.json", "--json", net, f"{host}:{port}"]
        services = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)["services"]
        lines = [None] * len(services)

        def some(first):
            for i in range(first, len(services), 4):
                lines[i] = one(i, net, host, port, services[i])

        crowd = [threading.Thread(target=some, args=(k,)) for k in range(4)]
        for t in crowd:
            t.start()
        for t in crowd:
            t.join()
        print("\n".join(map(str, lines)), flush=True)


def main(seed, folder, verb, *words):
    rnd = random.Random(seed)
    made, asked = config(rnd), questions(rnd)
    if verb == "ask":
        ask(folder, *words, asked)
    elif verb == "count":
        print(len(asked) * SERVICES)
    else:
        json.dump(made, open(f"{folder}/random.json", "w"), indent=1)
        open(f"{folder}/hosts", "w").write("127.0.0.1 localhost\n" + "".join(f"{a} {n}\n" for n, a in NAMES.items()))
        nodes = [f"-L\n{kind}://127.0.0.1:{9001 + i}?{more}interface=127.0.9.{i + 1}" for i, (kind, more) in enumerate(SERVERS)]
        open(f"{folder}/nodes", "w").write("\n".join(nodes) + "\n")


main(*sys.argv[1:])
