#!/bin/sh
# tests/e2e/17_sniffing_udp.sh - names in the first datagrams of UDP flows: QUIC hellos and DNS questions decide the route.
#
#     app -> 10.90.9.9 -> [tungo, sniffing.udp] -- c0, the client's own address: "direct" -----------> target
#                              \-- relay :9000 (server; seen as 10.90.2.1: "chain") -----------------/
#
# direct.test is what the hop's bypass names. The target tells whom it sees, how many bytes, and their hash.
. "$(dirname "$0")/lib.sh"
TOOLS=${TOOLS:-$(dirname "$CGOST")/tools}
[ -x "$TOOLS/quicflight" ] || make -s -C "$here" tools # of this variant by `make e2e`
[ -x "$TOOLS/quicflight" ] || TOOLS=$here/build/tools
net_up
net_route
for a in "$TARGET" "$TARGET6"; do
	start "target $a" "$T" python3 "$here/tests/tools/flight.py" serve "$a" 443 8443 53 5300 9
	wait_for "target" 10 grep -q ready "$work/target $a.log"
done
net_mark
cgost relay "$S" -L "relay+tcp://:9000"
wait_for "relay" 10 listens "$S" 9000

side() { # of "SENDER ..."
	case $1 in
	10.90.1.2 | fd90:1::2) echo direct ;;
	10.90.2.1 | fd90:2::1) echo chain ;;
	*) echo "$*" ;;
	esac
}
# flight [-a ADDRESS] [-p PORT] [OPTION...] -- NAME...: what quicflight makes, sent; "SIDE", the time is $work/ms
flight() {
	a=$TARGET p=443 opts=
	while [ "$1" != -- ]; do case $1 in -a) a=$2 && shift 2 ;; -p) p=$2 && shift 2 ;; *) opts="$opts $1" && shift ;; esac; done
	shift
	bytes "$a" "$p" $opts $("$TOOLS/quicflight" "$@")
}
bytes() { # ADDRESS PORT [OPTION...] HEX...
	answer=$(inside "$C" timeout 60 python3 "$here/tests/tools/flight.py" send "$@" 2>&1 | tail -n 1)
	echo "${answer##* }" >"$work/ms"
	case $answer in refused* | prohibited*) echo "${answer% *}" ;; sent*) echo "$answer" ;; *) side $answer ;; esac
}
dns() { asked dns "$@"; }
asked() { # dns|tcp|once ADDRESS PORT QUESTION...: one side per question
	got= && for w in $(inside "$C" timeout 60 python3 "$here/tests/tools/flight.py" "$@" 2>&1 | tail -n 1); do got="$got$(side "$w") "; done
	echo "${got% }"
}
took() { # WHAT LEAST MOST: the last flight
	ms=$(cat "$work/ms")
	if [ "$ms" -ge "$2" ] && [ "$ms" -le "$3" ]; then ok "$1 ($ms ms)"; else bad "$1: $ms ms, not $2..$3"; fi
}
down() {
	stop_pid "$1"
	same "$2: ends with status 0" 0 "$status"
	gone() { ! ip -n "$C" link show tungo 2>/dev/null; }
	wait_for "the device goes" 5 gone
}
SOON=10000 # ms: much less than a flow's first datagrams are kept for here, much more than a machine stands still

tungo_up sniff 'sniffing.udp=true&sniffing.timeout=30s&udpTimeout=4s' -F "relay+tcp://$SERVER:9000?bypass=direct.test,*.direct.test"
sniff=$pid
same "no name: the chain" chain "$(bytes "$TARGET" 9 00)"
before=$(fds "$sniff")

# --- QUIC
same "QUIC: a name that the bypass has" direct "$(flight -- direct.test)"
same "QUIC: another" chain "$(flight -- chain.test)"
same "QUIC: its letters' case means nothing" direct "$(flight -- A.Direct.TEST)"
same "QUIC: no name" chain "$(flight -- -)"
same "QUIC: version 2" direct "$(flight -- direct.test version=2)"
same "QUIC: another port" direct "$(flight -p 8443 -- direct.test)"
same "QUIC: IPv6" direct "$(flight -a "$TARGET6" -- direct.test)"
same "QUIC: IPv6, another name" chain "$(flight -a "$TARGET6" -- chain.test)"
same "QUIC: a hello of 3,000 bytes in 3 datagrams" direct "$(flight -- direct.test pad=2800 datagrams=3)"
same "QUIC: the same by the chain" chain "$(flight -- chain.test pad=2800 datagrams=3)"
same "QUIC: 100 ms apart, its end first" direct "$(flight --pause 0.1 -- direct.test pad=2800 datagrams=3 backwards)"
one=$("$TOOLS/quicflight" direct.test)
same "what follows a hello goes its way, whatever it is" direct "$(bytes "$TARGET" 443 "$one" 4001020304 00 "$one" $(seq -s '' 1000 1400))"
same "a datagram of QUIC that is damaged is no hello" chain "$(bytes "$TARGET" 443 "${one%??}00")"
took "at once" 0 $SOON
same "what begins without a hello" chain "$(bytes "$TARGET" 443 4001020304 "$one")"
took "at once" 0 $SOON
for x in '' 00 c0 c000000001 ffffffffffffffff 16030100050102030405; do
	same "unknown bytes: '$x'" chain "$(bytes "$TARGET" 443 ${x:-''})"
	took "at once" 0 $SOON
done

# --- DNS
same "DNS: A and AAAA on one socket, a name that the bypass has" "direct direct" "$(dns "$TARGET" 53 direct.test/A direct.test/AAAA)"
same "DNS: another" "chain chain" "$(dns "$TARGET" 53 chain.test/A chain.test/AAAA)"
same "DNS: each question of a socket goes its own way" "direct chain direct chain" "$(dns "$TARGET" 53 direct.test chain.test www.direct.test/AAAA other.test)"
same "DNS: another port, a question in each detail" direct "$(side "$(inside "$C" python3 "$here/tests/tools/flight.py" send "$TARGET" 5300 0007010000010000000000000664697265637404746573740000010001 | cut -d' ' -f1)")"
same "DNS: IPv6" direct "$(dns "$TARGET6" 53 www.direct.test)"
fds_back sniff "$sniff" "$before" 20
down "$sniff" sniff

# --- half a hello is kept for a second
tungo_up half 'sniffing.udp=true&udpTimeout=4s' -F "relay+tcp://$SERVER:9000?bypass=direct.test,*.direct.test"
same "QUIC: half a hello goes on by its address" chain "$(bytes "$TARGET" 443 "$("$TOOLS/quicflight" direct.test pad=1800 datagrams=2 | head -n 1)")"
took "after a second" 1000 $SOON
down "$pid" half

# --- a service's rule, and blocked QUIC
tungo_up rule 'sniffing.udp=true&sniffing.timeout=30s&bypass=blocked.test&udpTimeout=2s'
same "service: a name is refused, and told" prohibited "$(flight -- blocked.test)"
took "at once" 0 $SOON
same "service: also when it takes two datagrams" prohibited "$(flight --pause 0.1 -- blocked.test pad=1800 datagrams=2)"
same "service: others pass" direct "$(flight -- direct.test)"
same "service: DNS" prohibited "$(dns "$TARGET" 53 blocked.test)"
same "service: other DNS" direct "$(dns "$TARGET" 53 direct.test)"
down "$pid" rule

# --- with sniffing of TCP
tungo_up tcp 'sniffing=true&sniffing.udp=true&sniffing.timeout=30s&bypass=blocked.test' -F "relay+tcp://$SERVER:9000?bypass=direct.test,*.direct.test"
same "DNS over TCP: a name that the bypass has" "direct direct" "$(asked tcp "$TARGET" 53 direct.test/A www.direct.test/AAAA)"
same "DNS over TCP: another" chain "$(asked tcp "$TARGET" 53 chain.test)"
same "DNS over TCP: a rule of the service" closed "$(asked tcp "$TARGET" 53 blocked.test)"
for how in tcp once; do
	same "DNS over TCP, $how: each question of a connection by its own name" "direct direct chain chain direct chain" "$(asked $how "$TARGET" 53 direct.test/A direct.test/AAAA chain.test other.test www.direct.test chain.test/AAAA)"
	same "DNS over TCP, $how: a later question that the service refuses" "chain closed" "$(asked $how "$TARGET" 53 chain.test blocked.test | cut -d' ' -f1-2)"
done
down "$pid" tcp

tungo_up block 'quic=block'
for a in "$TARGET" "$TARGET6"; do
	same "quic=block: $a" refused "$(flight -a "$a" -- direct.test)"
	took "at once" 0 $SOON
	same "quic=block: $a, version 2" refused "$(flight -a "$a" -- direct.test version=2)"
	same "quic=block: $a, another port" direct "$(flight -a "$a" -p 8443 -- direct.test)"
	same "quic=block: $a, no QUIC" direct "$(bytes "$a" 443 0102030405)"
done
down "$pid" block
