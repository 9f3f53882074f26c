#!/usr/bin/env python3
"""explained.py - does `cgost explain` say what the packets then do? Python standard library only.

    explained.py config              prints the configuration of all services below, JSON
    explained.py addresses           prints the addresses that targets need
    explained.py hosts               prints the hosts file that all programs need
    explained.py serve READY         the target: TCP and UDP port 7777, answers the first bytes with the address that it sees
    explained.py compare CGOST CONFIG LOGS QUICFLIGHT   runs the table; one line "ok ..." or "FAIL ..." per case

A service is PLACE-KIND-HOPS: where its rules are (service, hop1, hop2; node1, node2: the first node of a hop; all1, all2:
all its nodes), black or white list, one or two hops. Hop 1 is A, else B; hop 2 is C, else D (fifo). tun-... are the same
behind a TUN device, without (plain) or with sniffing (sniff: TCP and UDP; orig: TCP dials the address). Each node leaves by an
address of its own, which the target tells; which node of hop 1 came before C or D is told by their logs (LOGS/C.log).
"""
import json, os, re, select, socket, ssl, struct, subprocess, sys, time

PORT = 7777
OUT = {"A": "10.90.2.11", "B": "10.90.2.12", "C": "10.90.2.13", "D": "10.90.2.14"}
NODES = {"A": "10.90.1.1:9001", "B": "10.90.1.1:9002", "C": "10.90.2.1:9003", "D": "10.90.2.1:9004"}
LISTED, OTHER = "10.90.9.200", "10.90.9.10"
NAMES = {"listed.test": LISTED, "x.deep.test": LISTED, "wild7.test": LISTED, "other.test": OTHER, "listed.test.org": OTHER}
MAPPED = {"inner.map": LISTED, "outer.map": OTHER, "wild.test": OTHER}
RULES = ["listed.test", ".deep.test", "wild*.test", "10.90.9.128/25"]
PLACES = {"1": "none service hop1 node1 all1".split(), "2": "none service hop1 node1 all1 hop2 node2 all2".split()}
SHAPES = [(p, k, h) for h in "12" for p in PLACES[h] for k in ("black", "white") if p != "none" or k == "black"]
TUNS = [(m, *s) for m in ("plain", "sniff", "orig") for s in SHAPES if m == "plain" and s[2] == "2" or m != "plain" and s[0] in ("service", "hop1", "node2")]


# ---------------------------------------------------------------- the services
def device(i):
    """The addresses that go into the device of service i: one listed, one not."""
    return f"10.90.9.{201 + i}", f"10.90.9.{20 + i}"


def node(name, rules):
    return {"name": name, "addr": NODES[name], "connector": {"type": "relay"}, "dialer": {"type": "tcp"}, **rules}


def service(name, shape, chain):
    place, kind, hops = shape
    at = lambda *places: {"bypass": kind} if place in places else {}
    chain["hops"] = [{"name": "h1", "selector": {"strategy": "fifo"}, **at("hop1"), "nodes": [node("A", at("node1", "all1")), node("B", at("all1"))]}]
    if hops == "2":
        chain["hops"].append({"name": "h2", "selector": {"strategy": "fifo"}, **at("hop2"), "nodes": [node("C", at("node2", "all2")), node("D", at("all2"))]})
    return {"name": name, "metadata": {"interface": "c0"}, "handler": {"chain": chain["name"]}, "listener": {}, **at("service")}


def config():
    services, chains = [], []
    for i, shape in enumerate(SHAPES):
        chains.append({"name": "c-" + "-".join(shape)})
        s = service("-".join(shape), shape, chains[-1])
        s["addr"] = f"127.0.0.1:{1100 + i}"
        s["handler"].update(type="socks5", metadata={"udp": True})
        s["listener"].update(type="tcp")
        services.append(s)
    for i, (mode, *shape) in enumerate(TUNS):
        chains.append({"name": f"t{i}"})
        s = service("-".join(("tun", mode, *shape)), shape, chains[-1])
        s["addr"] = ":0"
        sniff = {"sniffing": mode != "plain", "sniffing.udp": mode != "plain", "sniffing.override": mode == "sniff"}
        s["handler"].update(type="tungo", metadata={"udpTimeout": "300ms", "sniffing.timeout": "20s", **sniff})
        s["listener"].update(type="tungo", metadata={"name": f"tun{i}", "net": f"192.168.{100 + i}.1/24", "route": ",".join(a + "/32" for a in device(i))})
        services.append(s)
    # the last hop carries no UDP; a direct node, and one that rejects
    chains.append({"name": "noudp", "hops": [{"name": "h1", "nodes": [{"name": "S4", "addr": "10.90.1.1:9005", "connector": {"type": "socks4"}, "dialer": {"type": "tcp"}}]}]})
    for word, more in (("dial", {}), ("reject", {"metadata": {"action": "reject"}})):
        chains.append({"name": word, "hops": [{"name": "h1", "nodes": [{"name": "X", "addr": ":0", "connector": {"type": "direct", **more}, "dialer": {"type": "direct"}}]}]})
    for i, word in enumerate(("noudp", "dial", "reject")):
        services.append({"name": word, "addr": f"127.0.0.1:{1090 + i}", "handler": {"type": "socks5", "chain": word, "metadata": {"udp": True}}, "listener": {"type": "tcp"}})
    # hosts of the service: rules see the name and its address (datagrams are sent on by name: all know these names)
    chains.append({"name": "mapped"})
    s = service("mapped", ("hop1", "black", "2"), chains[-1])
    s["handler"].update(type="socks5", metadata={"udp": True})
    services.append({**s, "addr": "127.0.0.1:1093", "hosts": "map", "listener": {"type": "tcp"}})
    rules = [{"name": k, "whitelist": k == "white", "matchers": RULES} for k in ("black", "white")]
    return {"services": services, "chains": chains, "bypasses": rules, "hosts": [{"name": "map", "mappings": [{"hostname": n, "ip": a} for n, a in MAPPED.items()]}]}


# ---------------------------------------------------------------- what ought to happen
def twin(shape, listed):
    """The route by the table of gost-config.md 6.3, written as plainly as it goes."""
    place, kind, hops = shape
    out = listed != (kind == "white") and place != "none"
    if out and place == "service":
        return "no"
    if out and place in ("hop1", "all1"):
        return "direct"
    first = "B" if out and place == "node1" else "A"
    if hops == "1" or (out and place in ("hop2", "all2")):
        return first
    return first + ">" + ("D" if out and place == "node2" else "C")


def cases():
    """(service, network, target, name in the first bytes, what ought to happen, how it is asked)"""
    named = sorted(NAMES)
    for i, shape in enumerate(SHAPES):
        name, via = "-".join(shape), ("socks", 1100 + i)
        for net in ("tcp", "udp"):
            for k, host in enumerate((LISTED, OTHER)):
                yield name, net, host, None, twin(shape, host == LISTED), via
                # each shape one listed and one other name
                names = [n for n in named if (NAMES[n] == LISTED) == (host == LISTED)]
                pick = names[i % len(names)]
                yield name, net, pick, None, twin(shape, k == 0), via
    for i, (mode, *shape) in enumerate(TUNS):
        name, (listed, other) = "-".join(("tun", mode, *shape)), device(i)
        for net in ("tcp", "udp"):
            yield name, net, listed, None, twin(shape, True), ("tun",)
            yield name, net, other, None, twin(shape, False), ("tun",)
        if mode != "plain":
            yield name, "tcp", other, "listed.test", twin(shape, True), ("tun",)
            yield name, "tcp", other, "other.test", twin(shape, False), ("tun",)
            # the name alone counts where it was found
            yield name, "tcp", listed, "other.test", twin(shape, False), ("tun",)
            # of UDP name and address count
            yield name, "udp", other, "listed.test", twin(shape, True), ("tun",)
            yield name, "udp", other, "other.test", twin(shape, False), ("tun",)
            yield name, "udp", listed, "other.test", twin(shape, True), ("tun",)
        else:
            yield name, "tcp", other, "listed.test", twin(shape, False), ("tun",)
    yield "noudp", "tcp", OTHER, None, "S4", ("socks", 1090)
    yield "noudp", "udp", OTHER, None, "no", ("socks", 1090)
    yield "dial", "tcp", OTHER, None, "X", ("socks", 1091)
    yield "dial", "udp", OTHER, None, "X", ("socks", 1091)
    for host, want in (("inner.map", "direct"), ("outer.map", "A>C"), ("wild.test", "direct"), (OTHER, "A>C")):
        yield "mapped", "tcp", host, None, want, ("socks", 1093)
        yield "mapped", "udp", host, None, want, ("socks", 1093)
    yield "reject", "tcp", OTHER, None, "no", ("socks", 1092)


# ---------------------------------------------------------------- the packets
def hello(name):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    out = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


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
    s = socket.create_connection(("127.0.0.1", port), timeout=20)
    s.sendall(b"\5\1\0" + bytes([5, command, 0]) + address(host, at))
    take(s, 2)
    if take(s, 4)[1]:
        raise OSError("refused")
    return s, (socket.inet_ntoa(take(s, 4)), struct.unpack(">H", take(s, 2))[0])


def ask_tcp(host, name, via):
    said = hello(name) if name else b"who are you\n"  # five bytes tell that there is no name
    if via[0] == "socks":
        s, _ = socks(via[1], 1, host, PORT)
    else:
        s = socket.create_connection((host, PORT), timeout=20)
    with s:
        s.sendall(said)
        return s.makefile("rb").readline().decode().strip()


def ask_udp(host, name, via, patience):
    head, control, to, said = b"", None, (host, PORT), b"who"
    if name:
        said = bytes.fromhex(subprocess.run([quicflight, name], capture_output=True, text=True, check=True).stdout.strip())
    if via[0] == "socks":
        control, to = socks(via[1], 3, "0.0.0.0", 0)
        to = ("127.0.0.1", to[1])
        head = b"\0\0\0" + address(host, PORT)
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        u.connect(to)
        end = time.monotonic() + patience
        while time.monotonic() < end:
            u.send(head + said)
            if select.select([u], [], [], min(1, patience))[0]:
                return u.recv(2048).split(b"=")[-1].decode()
        return ""
    finally:
        u.close()
        control and control.close()


def ask(net, host, name, via, patience):
    try:
        return ask_tcp(host, name, via) if net == "tcp" else ask_udp(host, name, via, patience)
    except OSError:
        return ""


class Logs:
    """Who came to C and D since the last look?"""

    def __init__(self, folder):
        self.paths, self.at = {n: f"{folder}/{n.lower()}.log" for n in "CD"}, {"C": 0, "D": 0}

    def skip(self):
        for n in self.at:
            self.at[n] = os.path.getsize(self.paths[n])

    def before(self, n, net):
        # an association is asked for before its first datagram, perhaps by another way: the one with bytes counts
        line = r'<->[^\n]*"tcp","remote":"([0-9.]*):' if net == "tcp" else r'>-<[^\n]*"udp","remote":"([0-9.]*):[^\n]*"inputBytes":[1-9]'
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with open(self.paths[n]) as f:
                f.seek(self.at[n])
                m = re.search(line, f.read())
            if m:
                return {v: k for k, v in OUT.items()}[m[1]]
            time.sleep(0.02)
        return "?"


def happened(seen, net, logs):
    last = {v: k for k, v in OUT.items()}.get(seen)
    if not seen:
        return "no"
    if seen == "10.90.1.2":
        return "direct"
    if last in ("C", "D"):
        return logs.before(last, net) + ">" + last
    return last or {"10.90.2.15": "S4"}.get(seen, seen)


# ---------------------------------------------------------------- explain
def explained(cgost, path, net, host, name):
    """All services' answers to one question."""
    more = ["--sni", name] if name else []
    out = subprocess.run([cgost, "explain", "-C", path, "--json", net, f"{host}:{PORT}", *more], capture_output=True, text=True)
    if out.returncode:
        return {}
    word = {"direct": lambda s: "direct", "chain": lambda s: ">".join(s["nodes"])}
    return {s["service"]: (word.get(s["verdict"], lambda s: "no")(s), s["verdict"]) for s in json.loads(out.stdout)["services"]}


def compare(cgost, path, folder, tool):
    global quicflight
    quicflight = tool
    logs, answers = Logs(folder), {}
    for name, net, host, sni, want, via in cases():
        question = (net, host, sni)
        if question not in answers:
            answers[question] = explained(cgost, path, *question)
        said, verdict = answers[question].get(name, ("nothing", "nothing"))
        for _ in range(3):  # on a loaded machine an association of the case before may end, and be told, in this one
            logs.skip()
            did = happened(ask(net, host, sni, via, 0.4 if want == "no" else 20), net, logs)
            if said == "X" and did == "direct":  # a direct node is no other machine
                did = "X"
            if did == want:
                break
            time.sleep(1)
        what = f"{name}: {net} {host}{' as ' + sni if sni else ''}: {verdict} {said}"
        print(f"ok {what}" if said == did == want else f"FAIL {what}, packets: {did}, ought to be: {want}", flush=True)


# ---------------------------------------------------------------- the target
def serve(ready):
    tcp = socket.create_server(("0.0.0.0", PORT), backlog=64)
    udp = []
    for a in addresses():
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.bind((a, PORT))
        udp.append(u)
    open(ready, "w").close()
    waiting = {}
    while True:
        for s in select.select([tcp, *udp, *waiting], [], [])[0]:
            if s is tcp:
                c, who = s.accept()
                waiting[c] = who[0]
            elif s in waiting:
                try:
                    if s.recv(65536):
                        s.sendall(waiting[s].encode() + b"\n")
                        continue
                except OSError:
                    pass
                del waiting[s]
                s.close()
            else:
                _, who = s.recvfrom(2048)
                s.sendto(b"=" + who[0].encode(), who)


def addresses():
    return [LISTED, OTHER] + [a for i in range(len(TUNS)) for a in device(i)]


def main(verb, *words):
    if verb == "config":
        print(json.dumps(config(), indent=1))
    elif verb == "addresses":
        print(" ".join(addresses()))
    elif verb == "hosts":
        print("127.0.0.1 localhost\n" + "\n".join(f"{a} {n}" for n, a in {**NAMES, **MAPPED}.items()))
    elif verb == "serve":
        serve(*words)
    else:
        compare(*words)


main(*sys.argv[1:])
