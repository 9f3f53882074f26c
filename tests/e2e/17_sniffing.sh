#!/bin/sh
# tests/e2e/17_sniffing.sh - names in the first bytes of flows from the device: who is dialled, what arrives, when.
#
#     app -> 10.90.9.9 -> [tungo, sniffing] -> cgost -- c0 --> server (routes here) --> target: .9 original, .10 named.test
#
# Names are those of a hosts file that only our programs see; there is no resolver: what is not in it can't be dialled.
. "$(dirname "$0")/lib.sh"
NAMED=10.90.9.10
printf '127.0.0.1 localhost\n%s named.test other.named.test NAMED2.test\n10.90.9.9 t\n10.90.9.66 dead.test\n' "$NAMED" >"$work/hosts"
printf 'nameserver 127.0.0.1\noptions attempts:1 timeout:1\n' >"$work/resolv"
net_up
net_route
addr "$T" lo "$NAMED/32"
ip -n "$S" route add "$NAMED/32" via 10.90.2.2
ip -n "$S" route add unreachable 10.90.9.66
start target "$T" python3 "$here/tests/tools/target.py" --addr "$TARGET" --addr "$TARGET6" --addr "$NAMED" --ready "$work/target.ready"
wait_for "target" 10 test -e "$work/target.ready"
for cn in original named; do
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$cn" -keyout "$work/$cn.key" -out "$work/$cn.crt" 2>/dev/null
	case $cn in original) a=$TARGET ;; named) a=$NAMED ;; esac
	start "tls-$cn" "$T" openssl s_server -quiet -accept "$a:443" -www -cert "$work/$cn.crt" -key "$work/$cn.key"
	wait_for "TLS server" 10 listens "$T" 443 "$a"
done
cat "$work"/*.crt >"$work/ca"
net_mark

# sniffer_up NAME QUERY [ARGUMENT...]: the client's program, with our names; its stack has $stack KB, where that is set
stack=
sniffer_up() {
	name=$1 query=$2 && shift 2
	start "$name" "$C" sh -c 'mount --bind "$1/hosts" /etc/hosts && mount --bind "$1/resolv" /etc/resolv.conf && ulimit -s "$2" && shift 2 && exec "$@"' \
		sh "$work" "${stack:-$(ulimit -s)}" "$CGOST" -L "$(tungo_url "$query")" "$@"
	mine="$mine $pid"
	tungo_is_up
}
sniffer_down() { # NAME PID
	fds_back "$1" "$2" "$before" 10
	stop_pid "$2"
	same "$1: ends with status 0" 0 "$status"
	gone() { ! ip -n "$C" link show tungo 2>/dev/null; }
	wait_for "the device goes" 5 gone
}
# where a request for http://NAME/ that is sent to the original address ends: "ADDRESS NAME PATH"
http() { name=$1 && shift && inside "$C" curl -s -m 60 --resolve "$name:80:$TARGET" "$@" "http://$name/x" | cut -d' ' -f1-3; }
keepalive() { inside "$C" timeout 100 python3 "$here/tests/tools/keepalive.py" "$TARGET" 80 "$@"; }
keepalive53() { inside "$C" timeout 100 python3 "$here/tests/tools/keepalive.py" "$TARGET" 53 "$@"; }
hello() { inside "$C" timeout 100 python3 "$here/tests/tools/tlshello.py" "$TARGET" 443 "$work/ca" "$@" 2>&1; }
# raw TEXT [PORT]: bytes to a port of the original address, what comes back within a second
raw() { printf "$1" | inside "$C" timeout 60 python3 -c '
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30)
s.sendall(sys.stdin.buffer.read())
s.shutdown(socket.SHUT_WR)
out = b""
try:
    while d := s.recv(65536):
        out += d
except OSError as e:
    out += type(e).__name__.encode()
sys.stdout.buffer.write(out)' "$TARGET" "${2:-7}"; }
# first_after LEAST MOST: a server that speaks first is heard never before LEAST ms; by MOST in one try of ten, for the others
# may have had to wait for the machine
first_after() {
	for try in 1 2 3 4 5 6 7 8 9 10; do
		took=$(probe first "$TARGET") || break
		if [ "$took" -lt "$1" ] || [ "$took" -le "$2" ]; then break; fi
	done
	check "a server that speaks first waits $1 ms ($took)" [ "$took" -ge "$1" -a "$took" -le "$2" ]
}
# what says all that there is to know is never waited for: so nothing here depends on the speed of the machine
PATIENT='sniffing=true&sniffing.timeout=20s'

# --- the name is dialled, with the port that was asked for
sniffer_up sniff "$PATIENT&bypass=blocked.test"
sniff=$pid
http warm.up >/dev/null
before=$(fds "$sniff")
same "HTTP: the name in Host is dialled" "$NAMED named.test /x" "$(http named.test)"
same "HTTP: its case means nothing" "$NAMED named2.test /x" "$(http named2.test)"
same "HTTP: the port of Host does not count" "$NAMED named.test:8080 /x" "$(http named.test -H 'Host: named.test:8080')"
same "HTTP: an address in Host is dialled" "$NAMED $NAMED /x" "$(http whatever.test -H "Host: $NAMED")"
same "HTTP: an absolute target wins" "$NAMED other /x" "$(http whatever.test -H 'Host: other' --request-target 'http://named.test/x')"
same "HTTP: this machine is nobody's target" "$TARGET 127.0.0.1 /x" "$(http whatever.test -H 'Host: 127.0.0.1')"
same "HTTP: nor by name" "$TARGET localhost /x" "$(http whatever.test -H 'Host: localhost')"
same "HTTP/1.0 without Host goes to the original address" "$TARGET - /x" "$(http whatever.test -0 -H 'Host:')"
same "HTTP: a name that can't be dialled ends the connection" "" "$(http nx.test)"
same "HTTP: a refused dial too" "" "$(http dead.test)"
same "HTTP: CONNECT means its target, at the port that was asked for" "$NAMED" "$(raw 'CONNECT named.test:443 HTTP/1.1\r\n\r\n' 80 | tail -n 1 | cut -d' ' -f1)"
same "HTTP: a rule of the service" closed "$(keepalive blocked.test)"
same "keep-alive: one host" "$NAMED $NAMED $NAMED" "$(keepalive named.test NAMED.test named.test)"
same "keep-alive: each request goes to its host" "$TARGET $NAMED $NAMED $TARGET" "$(keepalive t named.test named.test t)"
same "keep-alive: also when all are sent at once" "$TARGET $NAMED $NAMED $TARGET" "$(keepalive --at-once t named.test named.test t)"
same "keep-alive: bodies pass" "$TARGET put put $NAMED put $TARGET" "$(keepalive t t/3000000 named.test/700000 named.test t/1 t)"
same "keep-alive: at once, with bodies" "put put $NAMED put" "$(keepalive --at-once t/100000 named.test/300000 named.test t/77)"
same "keep-alive: the rule sees later requests, too" "$TARGET closed" "$(keepalive t blocked.test)"
same "keep-alive: so do names that can't be dialled" "$TARGET reset" "$(keepalive t nx.test)"
check "keep-alive: 30 times another host" test "$(keepalive $(for i in $(seq 15); do echo t named.test; done) | tr ' ' '\n' | sort | uniq -c | tr -s ' \n' ' ')" = " 15 $NAMED 15 $TARGET "
same "TLS: the server name is dialled" named "$(hello named.test)"
same "TLS without a name goes to the original address" original "$(hello -)"
same "TLS: ClientHello in 3 records" named "$(hello named.test --records 3)"
same "TLS: in 2 segments 200 ms apart" named "$(hello named.test --cut 70 --pause 0.2)"
same "TLS: in 2 segments 2 s apart: sniffing.timeout is for the first bytes only" named "$(hello named.test --cut 70 --pause 2)"
same "TLS: 2,000 bytes in 2 segments" named "$(hello named.test --pad 2000 --cut 1200)"
same "TLS: 10,000 bytes in 20 records and 3 segments" named "$(hello named.test --pad 10000 --records 20 --cut 3 --cut 5000)"
same "TLS: byte by byte at the front" named "$(hello named.test --cut 1 --cut 2 --cut 5 --cut 6 --pause 0.01)"
long=$(seq -s, 1000 1400)
check "openssl: ClientHello of many records" sh -c "echo Q | ip netns exec $C timeout 60 openssl s_client -connect $TARGET:443 -servername named.test -max_send_frag 512 -alpn $long 2>&1 | grep 'subject=CN *= *named'"
for v in tls1_2 tls1_3; do
	check "openssl -$v" sh -c "echo Q | ip netns exec $C timeout 60 openssl s_client -connect $TARGET:443 -servername named.test -$v 2>&1 | grep 'subject=CN *= *named'"
done
check "curl over TLS" sh -c "ip netns exec $C curl -sk -m 60 --resolve other.named.test:443:$TARGET https://other.named.test/ -w '%{certs}' -o /dev/null -v 2>&1 | grep 'CN=named'"

# --- what says nothing that we know
for bytes in 'hello' 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\000\000\000\004' 'Z' 'GE' '\026\003\001' '\026\003\001\000\005hello' 'GETTING nowhere\n\n' 'SSH-2.0-x\r\n' '*1\r\n$4\r\nPING\r\n' '\000\001\002\003\377'; do
	printf "$bytes" >"$work/sent"
	raw "$bytes" >"$work/came"
	check "unknown bytes arrive as they are: $bytes" cmp "$work/sent" "$work/came"
done
check "3 MB of noise, both ways" probe echo "$TARGET" 3000000
(printf 'GET / HTTP/1.1\r\nX: ' && head -c 40000 /dev/zero | tr '\0' x) >"$work/sent"
inside "$C" timeout 60 python3 -c '
import socket, sys
s = socket.create_connection((sys.argv[1], 7), timeout=30)
b = open(sys.argv[2], "rb").read()
s.sendall(b)
got = b""
while len(got) < len(b):
    got += s.recv(65536)
sys.exit(got != b)' "$TARGET" "$work/sent" && ok "a head over the cap arrives as it is" || bad "a head over the cap"
check "a half-close by the application, 4 MiB" probe up "$TARGET" $((4 << 20))
check "a half-close by the target, 4 MiB after it" probe late "$TARGET" $((4 << 20))
check "100 flows at once" probe flows "$TARGET" 100 200000
check "IPv6" probe up "$TARGET6" 100000
sniffer_down sniff "$sniff"

# --- on port 53 answers of DNS are watched (dns.map), but not once more for each host of an HTTP client that keeps its
# connection: calls that become deeper with each would need more than this stack
stack=512
sniffer_up dnsport "$PATIENT&dns.map=true"
stack=
dnsport=$pid
http warm.up >/dev/null
before=$(fds "$dnsport")
same "keep-alive on port 53: 1,200 times another host" " 600 $NAMED 600 $TARGET " \
	"$(keepalive53 $(for i in $(seq 600); do echo t named.test; done) | tr ' ' '\n' | sort | uniq -c | tr -s ' \n' ' ')"
sniffer_down dnsport "$dnsport"

# --- how long a client is waited for that says nothing, or too little
sniffer_up short sniffing=true
short=$pid
http warm.up >/dev/null
before=$(fds "$short")
first_after 300 $((900 + ${slow:+2000} + 0))
check "a reset of the target" probe reset "$TARGET"
sniffer_down short "$short"
sniffer_up longer 'sniffing=true&sniffing.timeout=1s'
longer=$pid
http warm.up >/dev/null
before=$(fds "$longer")
first_after 1000 3500
sniffer_down longer "$longer"

# --- fallback
sniffer_up fallback "$PATIENT&sniffing.fallback=true"
fallback=$pid
http warm.up >/dev/null
before=$(fds "$fallback")
same "fallback: a name that does not resolve" "$TARGET nx.test /x" "$(http nx.test)"
same "fallback: a name whose address is unreachable" "$TARGET dead.test /x" "$(http dead.test)"
same "fallback: a good name" "$NAMED named.test /x" "$(http named.test)"
same "fallback: TLS" original "$(hello nx.test --records 3)"
sniffer_down fallback "$fallback"
sniffer_up fallrule "$PATIENT&sniffing.fallback=true&bypass=$TARGET"
fallback=$pid
before=$(fds "$fallback")
same "fallback: not to an address that a rule forbids" "" "$(http nx.test)"
same "fallback: a name elsewhere is not meant" "$NAMED named.test /x" "$(http named.test)"
sniffer_down fallrule "$fallback"

# --- the address is dialled, rules see the name
sniffer_up override "$PATIENT&sniffing.override=false"
override=$pid
http warm.up >/dev/null
before=$(fds "$override")
same "override=false: HTTP" "$TARGET named.test /x" "$(http named.test)"
same "override=false: TLS" original "$(hello named.test)"
same "override=false: a name that nobody knows" "$TARGET nx.test /x" "$(http nx.test)"
logged "the record names it" override 'nx.test'
sniffer_down override "$override"

# --- through a chain: the name travels, the far end resolves it
start relay "$S" sh -c 'mount --bind "$1/hosts" /etc/hosts && mount --bind "$1/resolv" /etc/resolv.conf && shift && exec "$@"' sh "$work" "$CGOST" -L 'relay+wss://:443'
mine="$mine $pid"
wait_for "relay" 10 listens "$S" 443
sniffer_up chain 'sniffing=true&sniffing.timeout=4s&sniffing.fallback=true' -F "relay+wss://$SERVER:443"
chain=$pid
http warm.up >/dev/null
before=$(fds "$chain")
same "chain: HTTP" "$NAMED named.test /x" "$(http named.test)"
same "chain: each request goes to its host" "put $NAMED put $TARGET" "$(keepalive t/100000 named.test named.test/200000 t)"
same "chain: TLS in 3 records" named "$(hello named.test --records 3)"
same "chain: no name" original "$(hello -)"
check "chain: a server that speaks first" probe first "$TARGET"
check "chain: 16 MiB up" probe up "$TARGET" $((16 << 20))
sniffer_down chain "$chain"
