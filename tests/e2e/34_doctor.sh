#!/bin/sh
# tests/e2e/34_doctor.sh - `cgost doctor`: each finding provoked, and its absence when all is well.
#
#     doctor in the client -- c0 --> servers in the server's namespace: relay+wss 443, socks5 1080 and 1081, nobody on 4009
. "$(dirname "$0")/lib.sh"
net_up
printf 'nameserver 10.90.1.1\n' >"$work/resolv.conf"
printf '127.0.0.1 localhost\n%s edge.test\n' "$SERVER" >"$work/hosts"
: >"$work/nothing"
net_mark
relay_up relay 'bind=true'
cgost proxies "$S" -L socks5://demo:demo-only@:1080?udp=true -L socks5://:1081
for p in 1080 1081; do wait_for "port $p" 10 listens "$S" $p; done

# doctor ARGUMENT...: its lines in $work/said, its status in $status; $before is a shell line that goes before it
before=
doctor() {
	inside "$C" sh -c 'mount --bind "$1/resolv.conf" /etc/resolv.conf && mount --bind "$1/hosts" /etc/hosts; '"$before"' shift; exec "$@"' \
		sh "$work" $wrap "$CGOST" doctor "$@" >"$work/said" 2>"$work/doctor.log"
	status=$?
}
wrap=
# says "what" CHECK VERDICT PATTERN: a finding of that name; a wrong one has a mend and makes the status 1
says() {
	line=$(grep "^$2  *$3: .*$4" "$work/said" | head -n 1)
	[ -n "$line" ] || { bad "$1: no '$2 $3: ...$4'" && sed 's/^/     /' "$work/said" && return; }
	[ "$3" != wrong ] || { grep -A 1 -F "$line" "$work/said" | grep -q ' mend: ' && [ $status = 1 ]; } || { bad "$1: no mend, or status $status" && return; }
	ok "$1"
}
silent() { if grep -q "^$2  *wrong" "$work/said"; then bad "$1: $(grep "^$2  *wrong" "$work/said" | head -n 1)"; else ok "$1"; fi; }
well() { if [ $status = 0 ] && grep -q '^nothing is wrong$' "$work/said" && ! grep -q ' wrong: ' "$work/said"; then ok "$1"; else bad "$1: status $status" && sed 's/^/     /' "$work/said"; fi; }

tun="tungo://:0?name=tungo&net=192.168.123.1/24,fd12:3::1/64&route=10.90.9.0/24,fd90:9::/64&interface=c0"
good="relay+wss://demo:demo-only@$SERVER:443?interface=c0"

# --- all is well
doctor
well "the machine alone"
same "the machine alone: no error is told" "" "$(cat "$work/doctor.log")"
mkdir -p "$work/home/.gost" && echo 'services: {' >"$work/home/.gost/gost.yml"
before='export HOME="$1/home";'
doctor
same "a broken file in a usual place: status" 1 "$status"
check "a broken file in a usual place: it is named" grep -q 'gost.yml:.*error' "$work/doctor.log"
rm -r "$work/home/.gost"
before=
doctor -L "$tun" -F "$good" -F socks5://demo:demo-only@127.0.0.1:1080
well "a device and two hops"
for c in tun net-admin default-route interface rp_filter mtu resolver node; do says "two hops: $c" $c fine ''; done
says "two hops: the first one's UDP" node-udp fine 'any destination'
says "two hops: nobody checks the server; the pin is told" node-tls note "self-signed"
pin=$(sed -n 's/.* mend: .*pin=\(sha256:[0-9a-f]*\)$/\1/p' "$work/said" | head -n 1)
doctor -L "$tun" -F "$good&pin=$pin"
well "with that pin"
says "with that pin: verified" node-tls fine verified
doctor --json -L "$tun" -F "$good"
check "JSON: it parses and says the same" python3 -c "import json,sys; d=json.load(open('$work/said')); assert d['verdict']=='fine' and any(s['step']=='node' and s['verdict']=='fine' for s in d['steps'])"
cgost device "$C" -L "$tun" -F "$good"
tungo_is_up
doctor -L "$tun" -F "$good"
well "beside the running service"
check "the running device is judged by the kernel" sh -c "! grep -q '^device ' '$work/said'"
doctor -L "$tun" -F "relay://10.90.9.1:1"
says "a node behind the running device: a loop" loop wrong 'node-0.*device tungo'
stop_pid "$pid_device" && same "the service ended with status" 0 "$status"

# --- fake addresses that never come to the device
doctor -L "$tun&dns.fake=198.18.0.0/15" -F "$good"
says "a fake pool without a route" dns.fake wrong '198.18.0.0/15'
doctor -L "tungo://:0?name=tungo&net=192.168.123.1/24&route=10.90.9.0/24,198.18.0.0/15&interface=c0&dns.fake=198.18.0.0/15" -F "$good"
says "a fake pool with one" dns.fake fine '198.18.0.0/15'

# --- driver and rights: three different lines
before='mount -t tmpfs tmpfs /dev/net;'
doctor -L "$tun"
says "no /dev/net/tun" tun-file wrong 'there is no /dev/net/tun'
silent "no /dev/net/tun: the module is there" tun-module
before='mount -t tmpfs tmpfs /dev/net; mount --bind "$1/nothing" /proc/misc;'
doctor
says "no module" tun-module wrong 'no TUN driver'
silent "no module: one line, not two" tun-file
before=
if command -v setpriv >/dev/null; then
	wrap='setpriv --bounding-set -net_admin --inh-caps -net_admin'
	doctor
	says "no CAP_NET_ADMIN" net-admin wrong CAP_NET_ADMIN
	silent "no CAP_NET_ADMIN: the driver is there" tun-module
	wrap=
fi
doctor -L socks5://:1 -F "$good"
check "no device wanted: nothing is said of it" sh -c "! grep -q '^tun\|^net-admin' '$work/said'"

# --- routes, filters, interfaces
ip -n "$C" -6 route del default
doctor -L "$tun" -F "$good"
well "no IPv6 default route is a note"
says "no IPv6 default route" default-route note 'no IPv6'
ip -n "$C" route del default
doctor -L "$tun" -F "$good"
says "no default route" default-route wrong 'no IPv4'
ip -n "$C" -6 route add default via fd90:1::1 dev c0
doctor -L "tungo://:0?net=192.168.123.1/24,fd12:3::1/64&route=0.0.0.0/0,::/0&interface=auto"
well "a machine with IPv6 alone"
says "a machine with IPv6 alone: told" default-route note 'no IPv4'
says "a machine with IPv6 alone: auto" interface fine 'interface auto: c0'
ip -n "$C" route add default via 10.90.1.1 dev c0
rp() { inside "$C" sh -c "echo $1 >/proc/sys/net/ipv4/conf/c0/rp_filter"; }
rp 1
doctor -L "$tun" -F "$good"
says "strict rp_filter" rp_filter wrong 'c0 is strict'
doctor -L 'tungo://:0?name=tungo&net=192.168.123.1/24&interface=c0' -F "$good"
well "strict rp_filter, a device that gets its routes from others is a note"
says "strict rp_filter, routes of others" rp_filter note 'c0 is strict'
rp 2
doctor -L "$tun" -F "$good"
says "loose rp_filter" rp_filter fine 'c0: loose'
rp 0
says "ip_forward is a note" ip_forward note 'IPv4 0'
inside "$C" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
doctor -L "$tun" -F "$good"
says "ip_forward is on" ip_forward note 'IPv4 1'
inside "$C" sh -c 'echo 0 >/proc/sys/net/ipv4/ip_forward'
ip -n "$C" link add d0 type veth peer name d1 && ip -n "$C" addr add 10.91.0.1/24 dev d0
inside "$C" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/d1/disable_ipv6'
ip -n "$C" link set d1 up
doctor -L "socks5://:1?interface=d0" -F "relay://$SERVER:443?interface=c0,nix!,10.99.0.1,d1,auto"
says "an interface that is down" interface wrong 'service-0, interface d0.*down'
says "one that isn't there" interface wrong 'interface nix'
says "an address that isn't there" interface wrong 'interface 10.99.0.1'
says "one without address" interface wrong 'interface d1.*no address'
says "one that is up" interface fine 'interface c0'
says "auto" interface fine 'interface auto: c0'
ip -n "$C" link del d0
ip -n "$C" link set c0 mtu 1300
doctor -L "$tun"
says "MTU, the service dials itself" mtu wrong 'c0 has 1300, the device tungo 1420'
doctor -L "$tun" -F "$good"
well "MTU, all goes through nodes: a note"
says "MTU, all goes through nodes" mtu note 'c0 has 1300'
doctor -L "$tun&mtu=1300"
says "MTU that fits" mtu fine 'tungo 1300'
doctor -L "$tun&mtu=1200"
says "MTU too small for IPv6" mtu wrong 'IPv6 needs 1280'
ip -n "$C" link set c0 mtu 1500
ip -n "$C" -6 route replace default via fd90:1::1 dev c0

# --- names
printf 'nameserver 10.90.9.53\n' >"$work/resolv.conf"
doctor -L "$tun" -F relay://edge.test:443
says "a nameserver behind the device" resolver wrong 'node-0.*10.90.9.53.*tungo'
doctor -L "$tun" -F 'relay+wss://demo:demo-only@edge.test:443?interface=c0'
silent "the same, bound" resolver
printf 'nameserver 10.90.1.1\n' >"$work/resolv.conf"
cat >"$work/names.yml" <<END
services:
- {name: s, addr: ":0", resolver: r, handler: {type: tungo, chain: c}, listener: {type: tungo, metadata: {net: 192.168.123.1/24, route: 10.90.9.0/24}}}
chains:
- {name: c, hops: [{name: h, nodes: [{name: n, addr: "$SERVER:1081", connector: {type: socks5}, dialer: {type: tcp}}]}]}
resolvers:
- {name: r, nameservers: [{addr: "udp://10.90.9.53"}]}
END
doctor -C "$work/names.yml"
says "a resolver of the service behind the device" resolver wrong 'service s.*10.90.9.53'
sed -i 's,"udp://10.90.9.53","udp://10.90.9.53"\, chain: c,' "$work/names.yml"
doctor -C "$work/names.yml"
silent "the same, asked by the chain" resolver
: >"$work/resolv.conf"
doctor -L "$tun" -F "$good"
says "no nameserver" resolver wrong 'names no nameserver'
printf 'nameserver 10.90.1.1\n' >"$work/resolv.conf"
before='PATH=/nowhere;'
doctor -L "$tun&dns=1.1.1.1" -F "$good"
says "no resolvectl" resolvectl wrong 'no resolvectl'
mkdir "$work/bin" && ln -s /bin/true "$work/bin/resolvectl"
before='PATH=$PATH:$1/bin;'
doctor -L "$tun&dns=1.1.1.1" -F "$good"
well "resolvectl is there"
says "resolvectl is there" resolvectl fine ''
before=

# --- nodes
doctor -L socks5://:1 -F "relay://$SERVER:4009,$SERVER:443"
says "a port where nobody listens" node wrong 'node-0.*efused'
doctor -L socks5://:1 -F "$good&secure=true"
says "a certificate that isn't accepted" node wrong 'self-signed'
doctor -L socks5://:1 -F "$good&pin=sha256:$(printf '%064d' 0)"
says "another key than the pinned one" node wrong 'another key'
doctor -L socks5://:1 -F "relay+wss://$SERVER:1080"
says "no TLS behind the port" node wrong 'node-0'
doctor -L socks5://:1 -F "socks5://demo:wrong@$SERVER:1080"
says "a wrong password, socks5" node wrong 'node-0'
doctor -L socks5://:1 -F "relay+wss://demo:wrong@$SERVER:443"
says "a wrong password, relay" node-auth wrong 'node-0'
doctor -L socks5://:1 -F "socks5://$SERVER:1081"
well "a node without UDP is no fault"
says "a node that lets nobody have UDP" node-udp note 'no association'
doctor -L socks5://:1 -F "socks4://$SERVER:1081"
says "a protocol without UDP" node-udp note 'carries no UDP'
ip -n "$C" route add unreachable 10.95.0.0/16
doctor -L socks5://:1 -F "relay://10.95.0.1:443"
says "no way to it" node wrong 'nreachable\|No route'
ip -n "$C" route del unreachable 10.95.0.0/16
doctor -L socks5://:1 -F "$good" -F relay://127.0.0.1:4009 -F socks5://demo:demo-only@127.0.0.1:1080
says "the second hop" node wrong 'hop hop-1.*node-0'
silent "the first hop is reached" loop
says "the first hop answers" node fine 'hop hop-0'

doctor -L socks5://:1 -F "socks5://$SERVER:4009,$SERVER:1081" -F socks5://demo:demo-only@127.0.0.1:1080
says "a dead node of the first hop" node wrong 'hop hop-0: node node-0'
says "the second hop is reached by the other one" node fine 'hop hop-1: node node-0'

# --- more nodes than are looked at, and than descriptors
crowd() { # NODES: in hops of 250
	python3 -c '
import json, sys
node = {"addr": sys.argv[2] + ":1081", "connector": {"type": "socks5"}, "dialer": {"type": "tcp"}}
sizes = [min(250, int(sys.argv[1]) - i) for i in range(0, int(sys.argv[1]), 250)]
chains = [{"name": f"c{i}", "hops": [{"name": f"h{i}", "nodes": [dict(node, name=f"n{k}") for k in range(n)]}]} for i, n in enumerate(sizes)]
print(json.dumps({"services": [{"name": "s", "addr": ":1", "handler": {"type": "socks5", "chain": "c0"}, "listener": {"type": "tcp"}}], "chains": chains}))' "$1" "$SERVER" >"$work/crowd.json"
}
crowd 300
before='ulimit -S -n 200;'
doctor -C "$work/crowd.json"
well "more nodes than the soft limit of descriptors"
same "each of them is told" 300 "$(grep -c '^node  *fine' "$work/said")"
before=
crowd 1025
sed -i "s/$SERVER:1081/127.0.0.1:4009/g" "$work/crowd.json"
doctor -C "$work/crowd.json"
says "more nodes than are looked at" nodes note 'only the first 1024 nodes of 1025'

# --- loops, before the service runs
doctor -L "tungo://:0?net=192.168.123.1/24&route=0.0.0.0/1,128.0.0.0/1" -F relay://203.0.113.1:443?interface=
says "the way to the node leads into the device to be" loop wrong 'node-0.*tungo'
doctor -L "tungo://:0?net=192.168.123.1/24&route=0.0.0.0/1,128.0.0.0/1" -F "relay+wss://demo:demo-only@$SERVER:443"
silent "a node on the link: the longer prefix wins" loop
doctor -L "tungo://:0?net=192.168.123.1/24&route=10.90.9.0/24"
says "direct dials into the device to be" loop wrong 'service-0 dials'
doctor -L "tungo://:0?net=192.168.123.1/24&route=10.90.9.0/24&so_mark=7"
silent "direct dials with a mark: rules decide" loop
doctor -L "tungo://:0?net=192.168.123.1/24&route=10.90.9.0/24&interface=auto"
silent "direct dials by interface=auto" loop

# --- words
doctor nonsense
same "a word too many: status" 2 "$status"
doctor -C "$work/missing.yaml"
same "no such configuration: status" 1 "$status"
doctor -h
same "help: status" 0 "$status"
check "help tells its own flag" grep -q -- '-json' "$work/doctor.log"
