#!/bin/sh
# tests/e2e/28_gateway.sh - the file of docs/GATEWAY.md, as it stands there but for the interfaces' names; then with
# dns.hijack.
#
#     LAN host ($L) --l0 10.90.5.2 ---- 10.90.5.1 c1 = lan0-- router ($C) -> [tungo] -> cgost -- c0 = wan0, relay+wss --> server
. "$(dirname "$0")/lib.sh"
L=${tag}l
net_up
net_route
inside "$C" sh -c 'for f in all default; do echo 1 >/proc/sys/net/ipv4/conf/$f/rp_filter; done' # strict, as some systems have it
inside "$C" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
net_mark
trap 'ip -n "$C" link del c1 2>/dev/null; ip netns del "$L" 2>/dev/null; finish' EXIT
net_lan "$L" l0 c1 5
target_up
relay_up server 'bind=true'
sed -n '/^```yaml$/,/^```$/p' "$here/docs/GATEWAY.md" | sed '/^```/d; s/lan0/c1/; s/wan0/c0/; s/^\( *\)type: relay$/&\n\1auth: {username: demo, password: demo-only}/' >"$work/gateway.yml"
cgost router "$C" -C "$work/gateway.yml"
clients_routed() { ip -n "$C" -6 rule | grep -q 'iif c1 lookup main' && ip -n "$C" route get "$TARGET" from 10.90.5.2 iif c1 | grep -q 'dev tungo'; }
wait_for "device" 10 device_up "$C" tungo && wait_for "rules" 15 clients_routed
lan() { inside "$L" timeout 60 python3 "$here/tests/tools/probe.py" "$@"; }
for a in "$TARGET" "$TARGET6"; do
	check "$a: up" lan up "$a" 3000000
	check "$a: down" lan down "$a" 3000000
	check "$a: 20 flows" lan flows "$a" 20 100000
	check "$a: datagrams" lan udp "$a" 1 1000
	check "$a: a closed port is refused" lan --relay error "$a" 1 ECONNREFUSED 10000
	check "$a: ping" inside "$L" ping -c 1 -W 10 "$a"
done
# dns WHAT SERVER: what a client asks, by UDP and by TCP. The target's port 53 knows every name
dns() {
	for by in "" +tcp; do
		same "$1 $2 ${by:-by UDP}: A" 192.0.2.1 "$(inside "$L" dig +short +nocookie +time=30 +tries=2 $by "@$2" www.example A 2>&1)"
		same "$1 $2 ${by:-by UDP}: AAAA" 2001:db8::1 "$(inside "$L" dig +short +nocookie +time=30 +tries=2 $by "@$2" www.example AAAA 2>&1)"
	done
}
for a in "$TARGET" "$TARGET6"; do dns "a question to" "$a"; done
check "the router itself answers" inside "$L" ping -c 1 -W 10 10.90.5.1
check "its own traffic keeps its way" sh -c "ip -n $C route get $TARGET | grep -q 'dev c0'"
# what doctor says of a gateway that is right, and of what is forgotten most
doctor() { inside "$C" "$CGOST" doctor -C "$work/gateway.yml" >"$work/said.log" 2>&1; }
says() { # WHAT PATTERN
	doctor
	check "doctor: $1" grep -q "^clients  *$2" "$work/said.log"
}
says "IPv4 of the clients comes and goes" 'fine: c1: IPv4 of its clients goes to tungo'
says "IPv6, too" 'fine: c1: IPv6 of its clients goes to tungo'
for i in 3 252; do ip -n "$C" addr add 10.90.5.$i/24 dev c1; done # their neighbours are neither .0 nor .255
says "with other addresses of the router" 'fine: c1: IPv4'
same "each of them is judged" 3 "$(grep -c '^clients .*fine: c1: IPv4' "$work/said.log")"
for i in 3 252; do ip -n "$C" addr del 10.90.5.$i/24 dev c1; done
inside "$C" sh -c 'echo 0 >/proc/sys/net/ipv6/conf/all/forwarding'
check "doctor: its own way is not the device, so strict rp_filter is no fault" grep -q '^rp_filter  *fine: c0: strict' "$work/said.log"
says "IPv6 is not forwarded" 'note: c1: .*no IPv6'
inside "$C" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
rp() { inside "$C" sh -c "echo $2 >/proc/sys/net/ipv4/conf/$1/rp_filter"; }
ip -n "$C" route add default via 10.90.1.1 dev c0 table 200
ip -n "$C" rule add iif tungo to 10.90.5.0/24 lookup 200 priority 900
says "answers with another way, strict rp_filter of the LAN" 'note: c1: rp_filter'
rp c1 2
says "answers with another way" 'wrong: c1: .*would leave by c0'
rp tungo 1
says "and strict rp_filter of the device" 'wrong: c1: .*rp_filter of tungo'
rp tungo 2
rp c1 1
ip -n "$C" rule del iif tungo to 10.90.5.0/24 lookup 200 priority 900
ip -n "$C" route del default table 200
# the client comes back with the same address and another MAC
ip -n "$L" link set l0 down
ip -n "$L" link set l0 address 02:00:00:00:05:07
ip -n "$L" link set l0 up
ip -n "$L" route replace default via 10.90.5.1
addr "$L" l0 fd90:5::2/64
ip -n "$L" -6 route replace default via fd90:5::1
for a in "$TARGET" "$TARGET6"; do check "another MAC, the same client: $a, down" lan down "$a" 3000000; done
stop_pid "$pid_router" && same "ended with status" 0 "$status"

# --- whatever server a client asks, the router's resolver answers
sed "s/^- name: lan$/&\n  resolver: names/; s/^\( *\)chain: out$/&\n\1metadata: {dns.hijack: true}/" "$work/gateway.yml" >"$work/hijack.yml"
printf 'resolvers:\n- name: names\n  nameservers:\n  - addr: udp://%s\n' "$TARGET" >>"$work/hijack.yml"
cgost hijack "$C" -C "$work/hijack.yml"
wait_for "device" 10 device_up "$C" tungo && wait_for "rules" 15 clients_routed
for a in 10.90.9.99 fd90:9::99; do dns "nobody's" "$a"; done # nobody has these addresses
stop_pid "$pid_hijack" && same "ended with status" 0 "$status"
stop_pid "$pid_server" && same "server ended with status" 0 "$status"
