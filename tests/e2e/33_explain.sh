#!/bin/sh
# tests/e2e/33_explain.sh - `cgost explain` against the packets: one table over places of rules, lists, networks, names, hops.
#
#     app -> socks5 ..., tungo ... [cgost] -- c0 10.90.1.2: "direct" -----------------------> target tells whom it sees
#                                        \-- A | B (10.90.2.11, .12) -- C | D (.13, .14) --/
#
# The table, the configuration and what ought to happen are in tests/tools/explained.py.
. "$(dirname "$0")/lib.sh"
tool=$here/tests/tools/explained.py
TOOLS=${TOOLS:-$(dirname "$CGOST")/tools}
[ -x "$TOOLS/quicflight" ] || make -s -C "$here" tools # of this variant by `make e2e`
[ -x "$TOOLS/quicflight" ] || TOOLS=$here/build/tools
python3 "$tool" hosts >"$work/hosts"
python3 "$tool" config >"$work/all.json"
net_up
net_route
for a in $(python3 "$tool" addresses); do ip -n "$T" addr add "$a/32" dev lo; done
ip -n "$S" route add 10.90.9.0/24 via 10.90.2.2
for i in 11 12 13 14 15; do ip -n "$S" addr add 10.90.2.$i/24 dev s1; done
start target "$T" python3 "$tool" serve "$work/target.ready"
wait_for "target" 10 test -e "$work/target.ready"
net_mark
# ours NAME NAMESPACE ARGUMENT...: the program under test, with our names
ours() {
	name=$1 ns=$2 && shift 2
	start "$name" "$ns" sh -c 'mount --bind "$1" /etc/hosts && shift && exec "$@"' sh "$work/hosts" "$CGOST" "$@"
	mine="$mine $pid"
}
n=1
for node in a b c d; do
	ours $node "$S" -D -L "relay://:900$n?bind=true&interface=10.90.2.1$n"
	wait_for "node $node" 10 listens "$S" 900$n
	n=$((n + 1))
done
ours socks4 "$S" -L 'socks4://:9005?interface=10.90.2.15'
wait_for "node socks4" 10 listens "$S" 9005
ours client "$C" -C "$work/all.json"
wait_for "client" 20 listens "$C" 1093
devices=$(grep -c '"name": "tun[0-9]' "$work/all.json")
all_up() { [ "$(ip -n "$C" -o -4 addr show | grep -c ' tun[0-9]')" = "$devices" ]; }
wait_for "$devices devices" 20 all_up

inside "$C" timeout 400 python3 "$tool" compare "$CGOST" "$work/all.json" "$work" "$TOOLS/quicflight" >"$work/table" 2>"$work/table.err" || bad "the table: $(tail -n 1 "$work/table.err")"
while read -r verdict what; do
	if [ "$verdict" = ok ]; then ok "$what"; else bad "$what"; fi
done <"$work/table"
check "more than 100 cases" [ "$(wc -l <"$work/table")" -gt 100 ]

# --- the words of one answer, with places
cat >"$work/one.yml" <<'END'
services:
- name: one
  addr: 127.0.0.1:1
  admission: strangers
  handler: {type: socks5, chain: c}
  listener: {type: tcp}
  metadata: {interface: c0, so_mark: 7}
chains:
- name: c
  hops:
  - name: h
    bypass: names
    nodes:
    - {name: n, addr: 10.90.1.1:9001, bypass: nets, connector: {type: relay}, dialer: {type: tcp}}
admissions:
- {name: strangers, matchers: [192.0.2.7]}
bypasses:
- {name: names, matchers: [.inner.test]}
- name: nets
  matchers:
  - 10.0.0.0/8
END
explain() { inside "$C" "$CGOST" explain -C "$work/one.yml" "$@" >"$work/said" 2>&1; }
says() { check "$1" grep -q -- "$2" "$work/said"; }
explain tcp a.inner.test:80
says "a hop's rule: its place" 'bypass names, ".inner.test" (.*/one.yml:18:28)'
says "direct: by which interface, with which mark" 'interface c0, mark 7'
explain tcp 10.1.2.3:80
says "a node's rule: its place" 'bypass nets, "10.0.0.0/8" (.*/one.yml:21:5)'
says "what the kernel would do" 'leaves by c0 via 10.90.1.1'
explain tcp example.com:443
says "a hop is used" 'hop h  *used'
says "the answer" 'result  *chain: n@10.90.1.1:9001; target example.com:443'
explain tcp 10.1.2.3:80 --client 192.0.2.7
says "a client that is not admitted" 'result  *refused: the client is not admitted'
explain tcp 10.1.2.3:80 --client 192.0.2.8
says "a client that is" 'admission  *passes'
explain tcp example.com; same "no port: status" 2 $?
explain icmp 10.1.2.3:80; same "no such network: status" 2 $?
explain tcp 10.1.2.3:80 --service two; same "no such service: status" 2 $?
inside "$C" "$CGOST" explain -L 'tungo://:0?net=10.99.0.1/24&route=0.0.0.0/0' tcp example.com:443 >"$work/said" 2>&1
says "a name for a device: the handler's word" 'result  *unable: packets carry addresses'
check "a name for a device: no route is missed" sh -c "! grep -q 'none of its configured routes' '$work/said'"
inside "$C" "$CGOST" explain -L 'socks5://:1?resolver=udp://a:b:c' tcp example.com:443 >"$work/said" 2>&1
says "a resolver without nameservers" 'result  *unable: example.com: its resolver has no nameserver left'
explain tcp http://u:secret@h:1; same "a URL: status" 2 $?
check "a URL is not told: it may have a password" sh -c "! grep -q secret '$work/said'"
inside "$C" "$CGOST" -t -L socks5://:1 explain tcp example.com:443 >"$work/said" 2>&1
says "a command behind flags" 'a command is the first word'
