#!/usr/bin/env python3
"""bypassvec.py - the decisions of tests/vectors/bypass.txt, asked of the real program. Python standard library only.

    bypassvec.py config FILE    a configuration: one socks5 service per line of FILE, from port 20000 on; nodes refuse
    bypassvec.py ask FILE       asks each service for each address; prints what differs; status 1 if something does
"""
import ipaddress, json, re, socket, sys

FIRST = 20000


def read(path):
    addresses, lines = [], []
    for text in open(path):
        if m := re.match(r"# +\d+ (\S+)$", text):
            addresses.append(m[1])
        elif not text.startswith("#"):
            lines.append([f.strip() for f in text.split("|")[:3]])
    return addresses, lines


def rules(mode, what):
    """The sets of one line."""
    if what.startswith("["):
        return [{"whitelist": mode == "whitelist", "matchers": json.loads(what)}]
    sets = []
    for part in what.split(";"):
        m = re.match(r" *\w+=(blacklist|whitelist)(?: network (\w+))?(?:, no matchers|:? +(\S+))?$", part)
        sets.append({"whitelist": m[1] == "whitelist", "matchers": [m[3]] if m[3] else []} | ({"network": m[2]} if m[2] else {}))
    return sets


def config(path):
    services, bypasses = [], []
    for i, (mode, what, _) in enumerate(read(path)[1]):
        names = []
        for r in rules(mode, what):
            names.append(f"b{len(bypasses)}")
            bypasses.append({"name": names[-1], **r})
        services.append(
            {"name": f"s{i}", "addr": f"127.0.0.1:{FIRST + i}", "bypasses": names}
            | {"handler": {"type": "socks5", "chain": "c"}, "listener": {"type": "tcp"}}
        )
    node = {"name": "n", "addr": "127.0.0.1:1", "connector": {"type": "socks5"}, "dialer": {"type": "tcp"}}
    json.dump({"services": services, "bypasses": bypasses, "chains": [{"name": "c", "hops": [{"name": "h", "nodes": [node]}]}]}, sys.stdout)


def pack(address):
    host, port = address.rsplit(":", 1)
    try:
        ip = ipaddress.ip_address(host.strip("[]"))
        return bytes([1 if ip.version == 4 else 4]) + ip.packed + int(port).to_bytes(2, "big")
    except ValueError:
        return bytes([3, len(host)]) + host.encode() + int(port).to_bytes(2, "big")


def is_bypassed(port, address):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
        s.sendall(b"\5\1\0" + b"\5\1\0" + pack(address))
        reply = b""
        while len(reply) < 4:
            d = s.recv(64)
            if not d:
                sys.exit(f"port {port}: {address}: no reply")
            reply += d
        return reply[3] == 2


def ask(path):
    addresses, lines = read(path)
    bad = 0
    for i, (mode, what, bits) in enumerate(lines):
        got = "".join("1" if is_bypassed(FIRST + i, a) else "0" for a in addresses)
        if got != bits:
            bad += 1
            print(f"{mode} {what}: {got}, not {bits}")
    print(f"{len(lines)} lists, {len(addresses)} addresses, {bad} lists differ")
    sys.exit(bad > 0)


{"config": config, "ask": ask}[sys.argv[1]](sys.argv[2])
