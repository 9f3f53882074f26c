#!/bin/sh
# tests/e2e/24_tungo_dns.sh - the tungo handler's DNS: fake addresses, kept answers, hijacked questions, names of flows.
#
#     dig, curl (client) -> [tungo, dns.*] -> cgost -- c0 --> relay (server, has the names) --> target: .9, .10 named.test,
#                                                                        |                      .53 nameserver, counts
#                                   counted: packets to port 53 that leave c0, s1
. "$(dirname "$0")/lib.sh"
needs_nft
NAMED=10.90.9.10 NAMED6=fd90:9::10 NS=10.90.9.53 NS6=fd90:9::53
printf '127.0.0.1 localhost\n%s named.test other.test\n%s named.test\n%s hidden.test\n10.90.9.66 dead.test\n' "$NAMED" "$NAMED6" "$NAMED" >"$work/hosts"
printf 'nameserver 127.0.0.1\noptions attempts:1 timeout:1\n' >"$work/resolv"
printf 'nameserver %s\noptions attempts:1 timeout:20\n' "$NS" >"$work/resolv.app"
net_up
net_route
addr "$T" lo "$NAMED/32" "$NAMED6/128" "$NS/32" "$NS6/128" 10.90.9.54/32
for a in "$NAMED" "$NS" 10.90.9.54; do ip -n "$S" route add "$a/32" via 10.90.2.2; done
for a in "$NAMED6" "$NS6"; do ip -n "$S" -6 route add "$a/128" via fd90:2::2; done
start target "$T" python3 "$here/tests/tools/target.py" --addr "$TARGET" --addr "$TARGET6" --addr "$NAMED" --addr "$NAMED6" --ready "$work/target.ready"
start nameserver "$T" python3 "$here/tests/tools/nameserver.py" --addr "$NS" --addr "$NS6" --log "$work/asked" --ready "$work/ns.ready" \
	named.test=$NAMED named.test=$NAMED6 other.test=$NAMED plain.test=$TARGET plain.test=$TARGET6 node.test=$SERVER
wait_for "target" 10 test -e "$work/target.ready"
wait_for "nameserver" 10 test -e "$work/ns.ready"
ip -n "$S" route add unreachable 10.90.9.66
net_mark
far_end() { # NAME
	start "$1" "$S" sh -c 'mount --bind "$1/hosts" /etc/hosts && mount --bind "$1/resolv" /etc/resolv.conf && shift && exec "$@"' sh "$work" "$CGOST" -L 'relay://:8421?bind=true' -L 'socks5://:8422?udp=true'
	mine="$mine $pid"
	wait_for "relay" 10 listens "$S" 8421
}
far_end relay
NODE="relay://$SERVER:8421"

# dns_up NAME QUERY [ARGUMENT...]: the client's program; the pool's ranges are routed into the device too
dns_up() {
	name=$1 query=$2 && shift 2
	cgost "$name" "$C" -L "tungo://:0?name=tungo&net=192.168.123.1/24,fd12:3::1/64&route=10.90.9.0/24,fd90:9::/64,198.18.0.0/15,fd00:f::/64&interface=c0&$query" "$@"
	tungo_is_up
}
gone() { ! ip -n "$C" link show tungo 2>/dev/null; }
dns_down() { # NAME PID
	fds_back "$1" "$2" "$before" 15
	stop_pid "$2"
	same "$1: ends with status 0" 0 "$status"
	wait_for "the device goes" 5 gone
}
dig() { inside "$C" dig +tries=1 +time=20 +nocookie "$@"; }
short() { dig +short "$@" | tr '\n' ' ' | sed 's/ $//'; }
status() { dig "$@" | sed -n 's/.*status: \([A-Z]*\),.*/\1/p'; }
ttl() { dig +noall +answer +authority "$@" | awk 'NR == 1 { print $2 }'; }
asked() { sort "$work/asked" 2>/dev/null | uniq -c | sed 's/^ *//' | tr '\n' ';'; } # "COUNT PROTOCOL NAME TYPE;..."
forget() { : >"$work/asked"; }
# where a request ends: "ADDRESS NAME PATH"; names are asked for at the nameserver
fetch() { inside "$C" sh -c 'mount --bind "$1/resolv.app" /etc/resolv.conf && shift && exec curl -s -m 60 "$@"' sh "$work" "$@" | cut -d' ' -f1-3; }
# a datagram there and back: "echoed", or the error
udp() { inside "$C" timeout 60 python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(8)
s.connect((sys.argv[1], 7))
for again in 1, 1, 0:
    try:
        s.send(b"hello")
        print("echoed" if s.recv(100) == b"hello" else "something else")
        break
    except OSError as e: # an answer that takes longer than udpTimeout is lost
        if not again or not isinstance(e, TimeoutError):
            print(e.strerror or type(e).__name__)
            break' "$1"; }
capture() { # NAME NAMESPACE DEVICE [NFT-WORDS]: counts packets to port 53 that leave there
	inside "$2" nft "table inet count_$1 { counter hits { }; chain out { type filter hook postrouting priority 300; oifname $3 meta l4proto { tcp, udp } th dport 53 ${4:-} counter name hits; }; }"
}
captured() { inside "$2" nft list counter inet "count_$1" hits | sed -n 's/.*packets \([0-9]*\) .*/\1/p'; }

# --- fake addresses: names go to the far end, no question leaves
FAKE="dns.fake=198.18.0.0/15,fd00:f::/64&dns.fake.file=$work/state/pool"
dns_up fake "$FAKE" -F "$NODE"
fake=$pid
before=$(fds "$fake")
capture leak "$C" c0
capture leak "$S" s1
forget
same "fake: A" 198.18.0.1 "$(short @$NS named.test A)"
same "fake: for a second" 1 "$(ttl @$NS named.test A)"
same "fake: AAAA, the same place" fd00:f::1 "$(short @$NS NAMED.test AAAA)"
same "fake: another name" 198.18.0.2 "$(short @$NS6 hidden.test A)"
same "fake: over TCP" 198.18.0.1 "$(short +tcp @$NS named.test A)"
same "fake: several questions on one connection" "198.18.0.1 198.18.0.2" "$(short +tcp +keepopen @$NS named.test A hidden.test A)"
same "fake: HTTPS records say nothing" "NOERROR 0" "$(status @$NS named.test HTTPS) $(dig +noall +answer @$NS named.test HTTPS | wc -l)"
same "fake: ANY says nothing" "NOERROR 0" "$(status +notcp @$NS named.test ANY) $(dig +noall +answer +notcp @$NS named.test ANY | wc -l)"
same "fake: the name of an address" hidden.test. "$(short @$NS -x 198.18.0.2)"
same "fake: and of IPv6" hidden.test. "$(short @$NS -x fd00:f::2)"
same "fake: of one that nobody has" NXDOMAIN "$(status @$NS -x 198.18.0.77)"
same "fake: localhost stays here" 127.0.0.1 "$(short @$NS localhost A)"
same "fake: curl by name, IPv4" "$NAMED named.test /x" "$(fetch -4 http://named.test/x)"
same "fake: curl by name, IPv6" "$NAMED named.test /x" "$(fetch -6 http://named.test/x | sed "s/$NAMED6/$NAMED/")"
same "fake: a name that only the far end knows" "$NAMED hidden.test /x" "$(fetch http://hidden.test/x)"
same "fake: a datagram to a name" echoed "$(udp 198.18.0.1)"
same "fake: and by IPv6" echoed "$(udp fd00:f::2)"
begin=$(date +%s)
same "fake: an address that nobody has is refused" "7" "$(inside "$C" curl -s -m 60 http://198.18.3.4/ >/dev/null; echo $?)"
check "fake: at once" test $(($(date +%s) - begin)) -lt 15
same "fake: for UDP by ICMP" "Connection refused" "$(udp 198.18.3.4)"
for try in 1 2 3 4 5; do # a relay's word that comes late is not waited for until one has come soon
	got=$(inside "$C" curl -s -m 60 "http://$(short @$NS dead.test A)/" >/dev/null; echo $?)
	[ "$got" != 7 ] || break
done
same "fake: a name that can't be reached is unreachable" 7 "$got"
same "fake: the nameserver was asked nothing" "" "$(asked)"
same "fake: no DNS packet left the client" 0 "$(captured leak "$C")"
same "fake: nor the server" 0 "$(captured leak "$S")"
logged "fake: the far end was told a name" relay 'named.test:80'
logged "fake: and the other" relay 'hidden.test:80'
same "fake: other types go on to the server that was asked" "10 mail.named.test." "$(short @$NS named.test MX)"
same "fake: over TCP too" "10 mail.named.test." "$(short +tcp @$NS named.test MX)"
same "fake: and only they" "1 tcp named.test MX;1 udp named.test MX;" "$(asked)"

# a crash, then another start: names keep their addresses
kill -9 "$fake"
wait "$fake" 2>/dev/null
mine=$(echo "$mine" | sed "s/ $fake\b//")
wait_for "the device goes" 5 gone
forget
dns_up fake2 "$FAKE&resolver=udp://$NS&udpTimeout=2s" -F "$NODE" # which is for what leaves directly only
fake=$pid
before=$(fds "$fake")
same "fake: after a crash, by address" "$NAMED 198.18.0.2 /x" "$(fetch http://198.18.0.2/x)"
same "fake: the same address" "198.18.0.1 fd00:f::1" "$(short @$NS named.test A) $(short @$NS named.test AAAA)"
same "fake: a datagram, with a resolver" echoed "$(udp 198.18.0.2)"
same "fake: the resolver was not asked before the chain" "" "$(asked)"
dns_down fake2 "$fake"
dns_up fake2s "$FAKE&udpTimeout=2s" -F "socks5://$SERVER:8422" # an association that could talk to anybody
fake=$pid
before=$(fds "$fake")
same "fake: a datagram to a name by socks5" echoed "$(udp 198.18.0.2)"
dns_down fake2s "$fake"
dns_up fake2u "$FAKE&udpTimeout=2s" -F "socks5://$SERVER:8422?relay=udp"
fake=$pid
before=$(fds "$fake")
same "fake: and by its standard association" echoed "$(udp fd00:f::2)"
dns_down fake2u "$fake"
check "explain: nor does it" sh -c "'$CGOST' explain -C '$here/configs/fake-client.yaml' tcp 198.18.0.9:443 --sni www.example.org >'$work/out' && grep -q '^result *chain: .*target www.example.org:443' '$work/out' && ! grep -q 'before the chain' '$work/out'"
check "explain: a name that leaves directly" sh -c "'$CGOST' explain -C '$here/configs/fake-client.yaml' tcp 198.18.0.9:443 --sni www.example.com | grep '^result *direct'"
sed -i 's/ hidden.test$/ hidden test/' "$work/state/pool"
printf '198.18.0.9 cut.te' >>"$work/state/pool"
dns_up fake3 "dns.fake=198.18.0.0/15&dns.fake.file=$work/state/pool&dns.fake.except=.plain.test,*.lan&dns.map=true" -F "$NODE"
fake=$pid
before=$(fds "$fake")
same "fake: the record is for its owner only" 600 "$(stat -c %a "$work/state/pool")"
logged "fake: a spoiled record is told" fake3 '2 lines could not be used'
same "fake: the rest of it counts" "198.18.0.1" "$(short @$NS named.test A)"
same "fake: AAAA without a range: no answer, no error" "NOERROR 0" "$(status @$NS named.test AAAA) $(dig +noall +answer @$NS named.test AAAA | wc -l)"
same "fake: curl with IPv4 only" "$NAMED named.test /x" "$(fetch http://named.test/x)"
same "fake: an excepted name" "$TARGET" "$(short @$NS plain.test A)"
dns_down fake3 "$fake"
check "fake: what was done is counted" grep -q 'DNS: fake [1-9][0-9]* (2 names), kept 0, .* passed 1;' "$work/fake3.log"

# --- names that our own program asks for are not fake: those of nodes, and of flows that leave directly
# own_up NAME ARGUMENT...: our program asks the nameserver, too
own_up() {
	name=$1 && shift
	start "$name" "$C" sh -c 'mount --bind "$1/resolv.app" /etc/resolv.conf && shift && exec "$@"' sh "$work" "$CGOST" "$@"
	mine="$mine $pid"
	tungo_is_up
}
ROUTES="net=192.168.123.1/24,fd12:3::1/64&route=10.90.9.0/24,fd90:9::/64,198.18.0.0/15"
own_up own -L "tungo://:0?name=tungo&$ROUTES&interface=c0&dns.fake=198.18.0.0/15&dns.fake.file=none" -F "relay://node.test:8421?interface=c0&bypass=named.test"
own=$pid
before=$(fds "$own")
forget
same "own: a node's name" "$NAMED hidden.test /x" "$(fetch http://hidden.test/x)"
same "own: it has its true address" "$SERVER" "$(short @$NS node.test A)"
same "own: a name that leaves directly" "$NAMED named.test /x" "$(fetch http://named.test/x)"
same "own: only our own questions left" "1 udp named.test A;1 udp named.test AAAA;1 udp node.test A;1 udp node.test AAAA;" "$(asked)"
dns_down own "$own"
own_up lost -L "tungo://:0?name=tungo&$ROUTES&dns.fake=198.18.0.0/15&dns.fake.file=$work/state/own"
own=$pid
before=$(fds "$own")
same "own: without interface or resolver nothing goes round" 7 "$(fetch http://named.test/x >/dev/null; inside "$C" curl -s -m 60 "http://$(short @$NS named.test A)/" >/dev/null; echo $?)"
logged "own: and it is told why" lost 'answered from our own fake pool'
dns_down lost "$own"
check "a pool over the device's own net does not start" sh -c "! ip netns exec $C $CGOST -L 'tungo://:0?name=tungo&net=198.18.0.1/30&dns.fake=198.18.0.0/15' >$work/none.log 2>&1 && grep -q 'overlap' $work/none.log"

# --- with sniffing.udp the name that is asked for decides the way of a question that is passed on
dns_up rule "dns.fake=198.18.0.0/15&dns.fake.file=none&sniffing.udp=true" -F "$NODE?bypass=named.test"
rule=$pid
same "rule: a question by the chain" "10 mail.other.test." "$(short @$NS other.test MX)"
before=$(fds "$rule")
capture rule "$C" c0
same "rule: and by TCP" "10 mail.other.test." "$(short +tcp @$NS other.test MX)"
same "rule: none of them left directly" 0 "$(captured rule "$C")"
same "rule: one that leaves directly" "10 mail.named.test." "$(short @$NS named.test MX)"
same "rule: it did" 1 "$(captured rule "$C")"
same "rule: and one by TCP" "10 mail.named.test." "$(short +tcp @$NS named.test MX)"
check "rule: it did" test "$(captured rule "$C")" -gt 3
dns_down rule "$rule"

# --- kept answers
dns_up cache 'dns.cache=true'
cache=$pid
before=$(fds "$cache")
forget
same "cache: an answer" "$NAMED" "$(short @$NS named.test A)"
same "cache: again" "$NAMED" "$(short @$NS Named.Test A)"
same "cache: another type" "$NAMED6" "$(short @$NS named.test AAAA)"
check "cache: the time runs down" sh -c "i=0; while [ \$i -lt 50 ]; do t=\$(ip netns exec $C dig +tries=1 +time=20 +nocookie +noall +answer @$NS named.test A | awk '{ print \$2 }'); [ \$t -lt 300 ] && [ \$t -gt 150 ] && exit 0; i=\$((i + 1)); sleep 0.1; done; exit 1"
same "cache: no such name" NXDOMAIN "$(status @$NS nx.test A)"
same "cache: still none" NXDOMAIN "$(status @$NS nx.test A)"
same "cache: one question each" "1 udp named.test A;1 udp named.test AAAA;1 udp nx.test A;" "$(asked)"
same "cache: another server is another question" "$NAMED" "$(short @$NS6 named.test A)"
same "cache: asked" "2 udp named.test A;1 udp named.test AAAA;1 udp nx.test A;" "$(asked)"
same "cache: TCP passes as it is" "$NAMED" "$(short +tcp @$NS named.test A)"
check "cache: what is no DNS passes on port 53" probe udp "$TARGET"
dns_down cache "$cache"

# --- every question to the service's resolver
dns_up hijack "dns.hijack=true&dns.cache=true&resolver=udp://$NS" -F "$NODE?bypass=$NS"
hijack=$pid
before=$(fds "$hijack")
forget
capture hijacked "$C" c0 "ip daddr $NS"
capture others "$C" c0 "ip daddr != $NS"
capture others6 "$C" c0 "meta nfproto ipv6"
same "hijack: a server that is none" "$NAMED" "$(short @10.90.9.99 named.test A)"
same "hijack: a client with cookies" "$NAMED" "$(short +cookie @10.90.9.99 named.test A)"
same "hijack: over TCP" "$NAMED" "$(short +tcp @10.90.9.99 named.test A)"
same "hijack: by IPv6" "$TARGET6" "$(short @fd90:9::99 plain.test AAAA)"
same "hijack: any type" "10 mail.named.test." "$(short +tcp @10.90.9.98 named.test MX)"
same "hijack: no such name" NXDOMAIN "$(status @10.90.9.98 nx.test A)"
same "hijack: kept, whoever was meant" "1 udp named.test A;1 udp named.test MX;1 udp nx.test A;1 udp plain.test AAAA;" "$(asked)"
check "hijack: they left" [ "$(captured hijacked "$C")" -ge 4 ]
same "hijack: nobody else was asked" "0 0" "$(captured others "$C") $(captured others6 "$C")"
inside "$C" python3 -c 'import socket, sys, time
s = socket.create_connection((sys.argv[1], 53))
s.send(b"\0")
open(sys.argv[2], "w").close()
s.recv(1)' 10.90.9.97 "$work/idle" &
wait_for "a connection that says little" 5 test -e "$work/idle"
dns_down hijack "$hijack"
check "hijack without a resolver does not start" sh -c "! ip netns exec $C $CGOST -L 'tungo://:0?name=tungo&net=192.168.123.1/24&dns.hijack=true' >$work/none.log 2>&1 && grep -q 'set .resolver' $work/none.log"
check "a pool that can be none does not start" sh -c "! ip netns exec $C $CGOST -L 'tungo://:0?name=tungo&net=192.168.123.1/24&dns.fake=127.0.0.0/8' >$work/none.log 2>&1 && grep -q '127.0.0.0/8' $work/none.log"

# --- names of flows from the answers that were seen, without sniffing
stop_pid "$pid_relay"
not_logged "fake: no fake address came to the far end" relay '198\.18\.\|fd00:f'
far_end relay_map
dns_up map "dns.map=true" -F "$NODE?bypass=plain.test"
map=$pid
before=$(fds "$map")
same "map: an address that nobody asked for" "$NAMED $NAMED /x" "$(fetch "http://$NAMED/x")"
same "map: the answer" "$NAMED" "$(short @$NS named.test A)"
same "map: the flow" "$NAMED named.test /x" "$(fetch --resolve "named.test:80:$NAMED" http://named.test/x)"
logged "map: the far end was told the name" relay_map '>-< named.test:80'
same "map: asked by IPv4 for IPv6" "$NAMED6" "$(short @$NS named.test AAAA)"
same "map: a flow by IPv6" "[$NAMED6] /x" "$(fetch "http://[$NAMED6]/x" | cut -d' ' -f2-3)"
logged "map: one client, whichever address it has" relay_map '>-< named.test:80' 2
same "map: two names of one address" "$NAMED" "$(short @$NS other.test A)"
same "map: then nobody is sure: the address is dialled" "$NAMED other.test /x" "$(fetch --resolve "other.test:80:$NAMED" http://other.test/x)"
logged "map: the far end was told the address" relay_map ">-< $NAMED:80" 2 # the first flow was one, too
logged "map: rules saw the name" map 'other.test:80'
same "map: the name of a rule, asked for over TCP" "$TARGET" "$(short +tcp @$NS plain.test A)"
same "map: goes past the chain" "$TARGET plain.test /x" "$(fetch --resolve "plain.test:80:$TARGET" http://plain.test/x)"
logged "map: the record says direct" map 'plain.test:80.*direct'
dns_down map "$map"
stop_pid "$pid_relay_map"
not_logged "map: of the address with two names the far end was told none" relay_map other.test
not_logged "map: the chain did not see what a rule lets past it" relay_map "plain.test\|>-< $TARGET:80"

# --- a name that only the client's nameserver knows: the address that it was told
printf 'nameserver 10.90.9.54\n' >"$work/resolv.empty"
start empty "$T" python3 "$here/tests/tools/nameserver.py" --addr 10.90.9.54 --log "$work/asked.empty" --ready "$work/empty.ready"
wait_for "nameserver without names" 10 test -e "$work/empty.ready"
start proxy "$S" sh -c 'mount --bind "$1/resolv.empty" /etc/resolv.conf && shift && exec "$@"' sh "$work" "$CGOST" -L http://:8080
mine="$mine $pid"
wait_for "proxy" 10 listens "$S" 8080
dns_up private "dns.map=true" -F "http://$SERVER:8080"
private=$pid
fetch "http://$NAMED/warm" >/dev/null
before=$(fds "$private")
same "map: a name that the far end does not know" "$NAMED" "$(short @$NS named.test A)"
same "map: goes to its address" "$NAMED named.test /x" "$(fetch --resolve "named.test:80:$NAMED" http://named.test/x)"
tried() { grep -q 'named.test A' "$work/asked.empty"; }
wait_for "a question for it at the far end's nameserver" 10 tried && ok "map: after the name was tried"
logged "map: the record has the name" private 'named.test:80'
dns_down private "$private"
