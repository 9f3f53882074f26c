#!/bin/sh
# tests/e2e/12_tungo_udp.sh - datagrams and pings from the device: direct, through relay+wss, through socks5 with udp=true.
#
#     app -> [tungo] -> cgost client -- (c0 | relay+wss | socks5) --> target
. "$(dirname "$0")/lib.sh"
net_up
net_route
target_up
net_mark
sizes="1 2 63 64 511 512 513 1232 1391 1392 1393 1400 1472 1473 2000 4096 4097 8972 9000 16384 32767 32768 40000 65000 65507"
many=200 && [ -z "$slow" ] || many=80

# An answer that takes longer than udpTimeout is lost, and on a slow machine that may be seconds: what must not lose any has 30 s
datagrams() { # way words-of-cgost...
	way=$1 && shift
	tungo_up client 'udpTimeout=30s' "$@"
	for a in "$TARGET" "$TARGET6"; do
		check "$way, $a: echo of every size" probe udp "$a" $sizes
		check "$way, $a: an empty datagram, and the next one" probe udp "$a" 0 5
		check "$way, $a: $many sockets to one address" probe udpmany "$a" $many 5
		for n in 1500 9000 30000 65507; do check "$way, $a: an answer of $n bytes" probe udpbig "$a" $n; done
		check "$way, $a: DNS A" sh -c "[ \"\$(ip netns exec $C python3 $here/tests/tools/ask.py $a example.org)\" = 192.0.2.1 ]"
		check "$way, $a: DNS AAAA by dig" sh -c "[ \"\$(ip netns exec $C dig +short +time=15 +tries=1 @$a example.org AAAA)\" = 2001:db8::1 ]"
		check "$way, $a: DNS by TCP" sh -c "[ \"\$(ip netns exec $C dig +tcp +short +time=15 +tries=1 @$a example.org A)\" = 192.0.2.1 ]"
		check "$way, $a: ping" inside "$C" ping -c 3 -i 0.2 -W 15 "$a"
		check "$way, $a: ping of 1400 bytes" inside "$C" ping -c 2 -i 0.2 -W 15 -s 1400 "$a"
		check "$way, $a: ping of 5000 bytes" inside "$C" ping -c 2 -i 0.2 -W 15 -s 5000 "$a"
	done
	stop_pid "$pid_client" && same "client ended with status" 0 "$status"
	tungo_up client 'udpTimeout=2s' "$@"
	base=$(fds "$pid_client")
	for a in "$TARGET" "$TARGET6"; do
		wait_for "$way, $a: an echo" 10 probe --seconds 3 udp "$a" 10
		wait_for "$way, $a: many sockets" 10 probe --seconds 3 udpmany "$a" 50 1
	done
	late() { probe --seconds 3 udplate "$TARGET" 3; }
	wait_for "$way: another answer after a silence beyond udpTimeout" 10 late && ok "$way: one socket, silence beyond udpTimeout, again"
	wait_for "$way: the end of all associations (client $(fds "$pid_client"), was $base)" 12 few_fds "$pid_client" "$base" && ok "$way: all associations are gone"
	stop_pid "$pid_client" && same "client ended with status" 0 "$status"
}

datagrams direct

relay_up server 'bind=true'
base_server=$(fds "$pid_server")
datagrams relay+wss -F "$RELAY"
fds_back server "$pid_server" "$base_server" 10
stop_pid "$pid_server" && same "server ended with status" 0 "$status"

cgost socks "$S" -L 'socks5://demo:demo-only@:1080?udp=true'
wait_for "socks5 server" 10 listens "$S" 1080
base_server=$(fds "$pid_socks")
datagrams socks5 -F "socks5://demo:demo-only@$SERVER:1080"
fds_back socks "$pid_socks" "$base_server" 10
