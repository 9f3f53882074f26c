#!/bin/sh
# tests/e2e/27_recovery.sh - a LAN host whose link loses, delays and reorders, behind a router with tungo. Every byte is
# compared, both ways; what the router sends again is counted on the wire.
#
#     LAN host ($L) --l0 10.90.5.2 ---- 10.90.5.1 c1-- router ($C) -> [tungo] -> cgost -- c0 --> server (routes) --> target
#                   \-l1 10.90.6.2 -- badlink -- 10.90.6.1 c2-/
#
# Drops are nft's, at the receiver of the data; without segmentation offload they are of single packets.
. "$(dirname "$0")/lib.sh"
badlink=$(dirname "$CGOST")/tools/badlink
[ -x "$badlink" ] || skip "$badlink is not built (make tools)"
command -v nft >/dev/null && command -v ethtool >/dev/null || skip "nft or ethtool is missing"
L=${tag}l
net_up
net_route
inside "$C" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
net_mark
trap 'ip -n "$C" link del c1 2>/dev/null; ip netns del "$L" 2>/dev/null; finish' EXIT
net_lan "$L" l0 c1 5
inside "$L" ethtool -K l0 tso off gso off gro off >/dev/null 2>&1
inside "$C" ethtool -K c1 tso off gso off gro off >/dev/null 2>&1
target_up
n=$((32 << 20)) && [ -z "$slow" ] || n=$((8 << 20))

# drop PARTS_OF_10000 [all]: on both ends; only long packets unless "all"
drop() {
	for at in "$L l0" "$C c1"; do
		nft_in="inside ${at% *} nft"
		$nft_in delete table netdev bad 2>/dev/null
		[ "$1" != 0 ] || continue
		$nft_in "add table netdev bad; add chain netdev bad in { type filter hook ingress device ${at#* } priority 0; policy accept; }" || skip "no netdev tables here"
		if [ "${2:-}" ]; then rule=; else rule='meta length > 200'; fi
		$nft_in "add rule netdev bad in meta protocol { ip, ip6 } $rule numgen random mod 10000 < $1 drop"
	done
}
lan() { inside "$L" timeout 60 python3 "$here/tests/tools/probe.py" --seconds 60 "$@"; }
received() { inside "$L" cat /sys/class/net/l0/statistics/rx_bytes; }
# down WHAT HOST PARTS_OF_10000_LOST: within the time, and without much more on the wire than must be: headers, and what
# is lost twice. lwIP alone makes 1700 at 1 %, 2900 at 3 %. A busy machine drops and delays on its own: the best of three.
down() {
	least=$((10400000 / (10000 - $3))) most=
	for turn in 1 2 3; do
		before=$(received)
		check "$1: $n bytes down" lan down "$2" $n
		wire=$((($(received) - before) * 1000 / n)) most=$((least * 12 / 10))
		[ -z "$slow" ] || most=$((least * 13 / 10))
		[ "$wire" -gt "$most" ] || break
	done
	check "$1: at most $most bytes on the wire per 1000 ($least must be): $wire" [ "$wire" -le "$most" ]
}

tungo_up client 'mtu=1500'
fds_before=$(fds "$pid_client")
for loss in 0 10 100 300 500; do
	drop $loss
	down "$loss/10000 of the data lost" $TARGET $loss
	check "$loss/10000 of the data lost: $((n / 4)) bytes up" lan up $TARGET $((n / 4))
done
drop 100 all
down "1 % of everything lost, IPv6" $TARGET6 100
check "1 % of everything lost, IPv6: up" lan up $TARGET6 $((n / 8))
check "1 % of everything lost: 20 flows at once" lan flows $TARGET 20 100000
for loss in 10 300 500; do
	drop $loss all
	check "$loss/10000 of everything lost: down" lan down $TARGET $((n / 4))
	check "$loss/10000 of everything lost: up" lan up $TARGET $((n / 8))
done

drop 100
knob() { inside "$L" sh -c "echo '$2' >/proc/sys/net/ipv4/$1"; }
knob tcp_timestamps 0
down "without timestamps" $TARGET 100
check "without timestamps: up" lan up $TARGET $((n / 8))
knob tcp_timestamps 1
for window in 2304 16384; do
	rmem=$(inside "$L" cat /proc/sys/net/ipv4/tcp_rmem) wmem=$(inside "$L" cat /proc/sys/net/ipv4/tcp_wmem)
	knob tcp_rmem "$window $window $window"
	check "a window of $window bytes: down" lan down $TARGET 300000
	knob tcp_wmem "$((window * 2)) $((window * 2)) $((window * 2))" # the kernel counts its own bytes, too
	check "a window of $window bytes: up, with as little to send from" lan up $TARGET 300000
	knob tcp_rmem "$rmem"
	knob tcp_wmem "$wmem"
done
knob tcp_sack 0
for loss in 10 100; do
	drop $loss
	check "without SACK, $loss/10000 of the data lost: down" lan down $TARGET 2000000
	check "without SACK, $loss/10000 of the data lost: up" lan up $TARGET 2000000
done
knob tcp_timestamps 0
check "without SACK and timestamps: down" lan down $TARGET 1000000
check "without SACK and timestamps: up" lan up $TARGET 1000000
knob tcp_timestamps 1
knob tcp_sack 1
drop 0
# the router's link carries less than the host thinks: told by the router's kernel, then by nobody
ip -n "$C" link set c1 mtu 1300
for a in $TARGET $TARGET6; do check "a link of 1300 bytes: $a, down" lan down $a 2000000; done
inside "$C" nft 'add table inet mute; add chain inet mute out { type filter hook output priority 0; policy accept; }; add rule inet mute out icmp type destination-unreachable drop; add rule inet mute out icmpv6 type packet-too-big drop'
for a in $TARGET $TARGET6; do check "a link of 1300 bytes that nobody tells of: $a, down" lan down $a 2000000; done
inside "$C" nft delete table inet mute
ip -n "$C" link set c1 mtu 1500
fds_back client "$pid_client" "$fds_before" 20
stop_pid "$pid_client" && same "ended with status" 0 "$status"

# every loss a full queue, as the kernel has it
tungo_up client 'mtu=1500&congestion=cubic'
for loss in 10 300; do
	drop $loss all
	check "cubic, $loss/10000 of everything lost: down" lan down $TARGET $((n / 16))
	check "cubic, $loss/10000 of everything lost: up" lan up $TARGET $((n / 16))
done
drop 0
stop_pid "$pid_client" && same "cubic: ended with status" 0 "$status"

for words in 'delay=5 loss=1 reorder=1' 'delay=5 loss=2 burst=8' 'delay=50 loss=1' 'delay=50 reorder=1' 'delay=200 loss=0.1'; do
	bad_link "$L" $words
	for kind in tolerant cubic; do
		tungo_up client "congestion=$kind"
		check "$words, $kind: down" lan down $TARGET 1000000
		check "$words, $kind: up" lan up $TARGET 500000
		stop_pid "$pid_client" && same "$words, $kind: ended with status" 0 "$status"
	done
	stop_pid "$link"
	rm -f "$work/badlink.log"
done
