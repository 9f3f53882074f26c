#!/bin/sh
# tests/bench/gateway.sh - printed, never asserted: a LAN client behind a router, on a link that loses, delays, reorders; the
# kernel's routing, cgost with each kind of congestion control and with none, beside each other in one run.
#
#     LAN host ($L) --l0 ---- c1-- router ($C): routes, or [tungo] -> cgost -- c0 --> server (routes) --> target: tcpload
#                   \-l1 -- badlink -- c2-/
#
# Part one: veth without segmentation or receive offload, nft drops at the receiver of the data. Part two: tests/tools/badlink
# with a rate and a queue. Part three: the same with a second download beside it, by the kernel and its CUBIC (of T, past
# tungo); and two of ours beside each other. Part four: flows of the router itself, recovery on and off by turns.
# Words: what to run (kernel tolerant cubic off). PARTS: "3 4" for these alone.
. "$(dirname "$0")/../e2e/lib.sh"
TOOLS=${TOOLS:-$(dirname "$CGOST")/tools}
BYTES=${BYTES:-1000000000} SLOW_BYTES=${SLOW_BYTES:-30000000}
PORT=5000
[ $# -gt 0 ] || set -- kernel tolerant cubic off
command -v nft >/dev/null && command -v ethtool >/dev/null || skip "nft or ethtool is missing"
L=${tag}l
trap 'ip netns del "$L" 2>/dev/null; finish' EXIT
net_up
net_route
ip netns add "$L"
ip -n "$L" link set lo up
ip link add l0 netns "$L" type veth peer name c1 netns "$C"
addr "$L" l0 10.90.5.2/24
addr "$C" c1 10.90.5.1/24
ip -n "$L" route add default via 10.90.5.1
for net in 10.90.5.0/24 10.90.6.0/24; do
	ip -n "$S" route add $net via 10.90.1.2
	ip -n "$T" route add $net via 10.90.2.1
done
ip -n "$C" route add 10.90.2.0/24 via 10.90.1.1
inside "$C" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
inside "$L" ethtool -K l0 tso off gso off gro off >/dev/null 2>&1
inside "$C" ethtool -K c1 tso off gso off gro off >/dev/null 2>&1
start target "$T" "$TOOLS/tcpload" server "$TARGET" $PORT
wait_for "target" 5 listens "$T" $PORT

echo "machine: $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg), kernel $(uname -r); everything shares the cores; MTU 1500"

drop() { # parts of 10,000
	for at in "$L l0" "$C c1"; do
		inside "${at% *}" nft delete table netdev bad 2>/dev/null
		[ "$1" = 0 ] || inside "${at% *}" nft "add table netdev bad; add chain netdev bad in { type filter hook ingress device ${at#* } priority 0; policy accept; }; add rule netdev bad in meta length > 200 numgen random mod 10000 < $1 drop"
	done
}
up() {
	[ "$1" != kernel ] || return 0
	start client "$C" "$CGOST" -L "tungo://:0?name=tungo&net=192.168.123.1/24&route=10.90.9.0/24&interface=c0&mtu=1500&congestion=$1" && client=$pid
	wait_for "device" 10 device_up "$C" tungo && wait_for "route" 5 routed $TARGET
}
down() { [ "$1" = kernel ] || stop_pid "$client"; }
passed() { inside "$1" cat "/sys/class/net/$2/statistics/$3"; }
# reading WHO WHAT WAY BYTES NAMESPACE DEVICE COUNTER: the counter sees the data before anything is lost
reading() {
	a=0 && [ "$1" = kernel ] || a=$(cpu_ms "$client")
	w=$(passed "$5" "$6" "$7") t=$(date +%s%N)
	inside "$L" timeout "${MOST:-20}" "$TOOLS/tcpload" "$3" $TARGET $PORT "$4" >"$work/load.out" 2>&1
	end=$? ms=$((($(date +%s%N) - t) / 1000000)) w=$(($(passed "$5" "$6" "$7") - w))
	b=0 && [ "$1" = kernel ] || b=$(cpu_ms "$client")
	n=$4 && [ $end = 0 ] || n=$(awk "BEGIN { printf \"%.0f\", $w / 1.05 }") # ran out of time: what came
	awk -v who="$1" -v what="$2 $3" -v n="$n" -v ms="$ms" -v w="$w" -v a="$a" -v b="$b" -v end=$end 'BEGIN {
		printf "%-9s %-44s %7.0f Mbit/s   wire/payload %s   CPU s/GB %.2f\n", who, what, n * 8 / ms / 1000, end ? "  - " : sprintf("%.2f", w / n), (b - a) * 1e6 / n }'
}

part() { case " ${PARTS:-1 2 3 4} " in *" $1 "*) ;; *) return 1 ;; esac; }

part 1 && for who; do
	up "$who"
	for loss in 0 100 300; do
		drop $loss
		for way in down up; do
			n=$BYTES && [ $loss = 0 ] || n=$((BYTES / 4))
			if [ $way = down ]; then reading "$who" "$(awk "BEGIN { print $loss / 100 }") % of the data lost," $way $n "$L" l0 rx_bytes; else reading "$who" "$(awk "BEGIN { print $loss / 100 }") % of the data lost," $way $((n / 2)) "$C" c1 rx_bytes; fi
		done
	done
	down "$who"
done
drop 0

part 2 && for words in 'rate=100 delay=1 late=1' 'rate=100 delay=10 late=1' 'rate=300 delay=1 loss=3' 'rate=300 delay=10 loss=1' 'rate=100 delay=50 loss=1 buffer=100'; do
	bad_link "$L" $words
	for who; do
		up "$who"
		MOST=12 reading "$who" "$words," down "$SLOW_BYTES" "$C" c2 tx_bytes
		down "$who"
	done
	stop_pid "$link"
done

# share WHO WORDS WHAT HOST...: Mbit/s of each
share() {
	both=$(inside "$L" timeout 30 python3 "$here/tests/tools/share.py" client $((PORT + 1)) "${SHARE_SECONDS:-10}" $4 $5)
	echo "$1, $2, $3: $both Mbit/s"
}
if part 3; then
	start share "$T" python3 "$here/tests/tools/share.py" server $((PORT + 1))
	wait_for "share" 5 listens "$T" $((PORT + 1))
	for words in 'rate=100 delay=10 buffer=5' 'rate=100 delay=10 buffer=10' 'rate=100 delay=10 buffer=20' 'rate=100 delay=10 buffer=40' 'rate=100 delay=10 loss=1'; do
		bad_link "$L" $words
		for who; do
			case $who in kernel | off) continue ;; esac
			up "$who"
			share "$who" "$words" "ours and the kernel's CUBIC" $TARGET 10.90.2.2
			case $who$words in tolerant*buffer=[12]0) share "$who" "$words" "two of ours" $TARGET $TARGET ;; esac
			down "$who"
		done
		stop_pid "$link"
	done
fi

# host_flow WHO WAY: a line "Mbit/s CPU-s/GB" in $work/host.WHO.WAY
host_flow() {
	a=$(cpu_ms "$client") t=$(date +%s%N)
	inside "$C" timeout 20 "$TOOLS/tcpload" "$2" $TARGET $PORT "$BYTES" >"$work/load.out" 2>&1
	ms=$((($(date +%s%N) - t) / 1000000)) b=$(cpu_ms "$client")
	awk "BEGIN { print $BYTES * 8 / $ms / 1000, ($b - $a) * 1e6 / $BYTES }" >>"$work/host.$1.$2"
}
if part 4; then
	for turn in 1 2 3; do
		for who in tolerant off; do
			up $who
			for way in down up; do host_flow $who $way; done
			down $who
		done
	done
	for way in down up; do
		for who in tolerant off; do
			echo "$who $way $(sort -n "$work/host.$who.$way" | sed -n '2s/ .*//p') $(sort -nk2 "$work/host.$who.$way" | sed -n '2s/.* //p')"
		done
	done | awk '{ printf "%-9s the router'"'"'s own flow, %-4s (median of 3) %26.0f Mbit/s   CPU s/GB %.2f\n", $1, $2, $3, $4 }'
fi
