#!/bin/sh
# tests/e2e/15_tungo_packets.sh - what an echo does not show: cones, fragments in and out, bursts, closed ports, a LAN behind us.
#
#     LAN host ($L) --l0 10.90.5.2 ---- 10.90.5.1 c1-- client ($C, forwards) -> [tungo] -> cgost -- c0 | relay+wss --> target
. "$(dirname "$0")/lib.sh"
L=${tag}l
tool=$here/tests/tools/datagrams.py
other=10.90.9.8 other6=fd90:9::8
net_up
net_route
addr "$T" lo $other/32 $other6/128
ip -n "$S" route add $other/32 via 10.90.2.2
ip -n "$S" -6 route add $other6/128 via fd90:2::2
inside "$C" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
net_mark
trap 'ip netns del "$L" 2>/dev/null; finish' EXIT
net_lan "$L" l0 c1 5
target_up
for v in "$TARGET $other" "$TARGET6 $other6"; do
	rm -f "$work/cone"
	start "cone${v%% *}" "$T" python3 "$tool" cone-server $v "$work/cone"
	wait_for "cone server" 5 test -e "$work/cone"
done
ends() { wait_for "$1: the end of its associations" "$2" few_fds "$pid_client" "$base" && ok "$1: its associations ended"; }

tungo_up client 'udpTimeout=30s'
base=$(fds "$pid_client")
# the device's MTU is smaller than the LAN's: its first large datagram is lost and tells the host, as behind any router
told_mtu() { ip -n "$L" route get "$1" | grep -q 'mtu 1420'; }
for a in "$TARGET" "$TARGET6"; do
	inside "$L" python3 "$here/tests/tools/probe.py" --seconds 0.1 udp "$a" 1450 >/dev/null 2>&1
	wait_for "the device's MTU is told to the LAN host, $a" 5 told_mtu "$a"
done
for n in "$C" "$L"; do
	who=client && [ "$n" = "$C" ] || who="LAN host"
	for v in "$TARGET $other" "$TARGET6 $other6"; do
		a=${v%% *}
		check "$who, $a: one mapping for all, strangers are let in under their own names" inside "$n" python3 "$tool" cone $v
		check "$who, $a: a closed port is heard of" inside "$n" python3 "$tool" refused "$a"
		check "$who, $a: a burst of 40 datagrams of 1,000 bytes" inside "$n" python3 "$tool" burst "$a" 1000 40
		check "$who, $a: a burst of 60 datagrams of 9 bytes" inside "$n" python3 "$tool" burst "$a" 9 60
		for kind in reversed shuffled doubled tiny overlap; do
			check "$who, $a: fragments, $kind" inside "$n" python3 "$tool" fragments "$a" $kind
		done
		check "$who, $a: every size" inside "$n" python3 "$here/tests/tools/probe.py" udp "$a" 0 1 1372 1373 1392 1393 1452 1453 1472 1473 2800 20000 65507
		check "$who, $a: ping of 1 and of 20000 bytes" sh -c "ip netns exec $n ping -c 1 -W 15 -s 1 $a && ip netns exec $n ping -c 1 -W 15 -s 20000 $a"
	done
done
check "ping of an address that nobody has" inside "$C" ping -c 1 -W 15 10.90.9.77
stop_pid "$pid_client" && same "client ended with status" 0 "$status"

# DNS exchanges do not wait for udpTimeout, nor do sockets that their owner closed
tungo_up client 'udpTimeout=30s'
base=$(fds "$pid_client")
for i in 1 2 3 4 5; do
	check "DNS question $i" sh -c "[ \"\$(ip netns exec $C python3 $here/tests/tools/ask.py $TARGET example.org)\" = 192.0.2.1 ]"
done
ends "DNS" 4
stop_pid "$pid_client" && same "client ended with status" 0 "$status"

# icmp=block: silence; offload=false: the same packets without the kernel's help
tungo_up client 'icmp=block&offload=false'
check "icmp=block: no echo" sh -c "! ip netns exec $C ping -c 1 -W 1 $TARGET"
for a in "$TARGET" "$TARGET6"; do
	check "offload=false, $a: a burst" inside "$L" python3 "$tool" burst "$a" 1000 40
	check "offload=false, $a: fragments" inside "$L" python3 "$tool" fragments "$a" shuffled
	check "offload=false, $a: every size" inside "$L" python3 "$here/tests/tools/probe.py" udp "$a" 0 1 1392 1393 20000 65507
done
stop_pid "$pid_client" && same "client ended with status" 0 "$status"

relay_up server 'bind=true'
tungo_up client '' -F "$RELAY"
for n in "$C" "$L"; do
	who=client && [ "$n" = "$C" ] || who="LAN host"
	for a in "$TARGET" "$TARGET6"; do
		check "relay+wss, $who, $a: a burst" inside "$n" python3 "$tool" burst "$a" 1000 40
		check "relay+wss, $who, $a: fragments" inside "$n" python3 "$tool" fragments "$a" shuffled
	done
done
stop_pid "$pid_client" && same "client ended with status" 0 "$status"
stop_pid "$pid_server" && same "server ended with status" 0 "$status"
