#!/bin/sh
# tests/e2e/13_tungo_mtu_offload.sh - every MTU with the device's offloads on and off, 16 MiB each way, IPv4 and IPv6.
#
#     app -> [tungo, mtu=M, offload=B] -> cgost -- c0 --> server (routes here) --> target
. "$(dirname "$0")/lib.sh"
net_up
net_route
target_up
net_mark
n=$((16 << 20)) && [ -z "$slow" ] || n=$((4 << 20))

for mtu in 1280 1420 1500 9000; do
	for offload in true false; do
		tungo_up client "mtu=$mtu&offload=$offload"
		same "mtu $mtu, offload=$offload: the device has it" "$mtu" "$(inside "$C" cat /sys/class/net/tungo/mtu)"
		for a in "$TARGET" "$TARGET6"; do
			check "mtu $mtu, offload=$offload, $a: $n bytes up" probe up "$a" $n
			check "mtu $mtu, offload=$offload, $a: $n bytes down" probe down "$a" $n
			check "mtu $mtu, offload=$offload, $a: datagrams" probe udp "$a" 1 1000 $((mtu - 48)) $((mtu - 28)) $((mtu - 27)) 20000
		done
		stop_pid "$pid_client" && same "mtu $mtu, offload=$offload: ended with status" 0 "$status"
	done
done
