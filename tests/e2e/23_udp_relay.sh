#!/bin/sh
# tests/e2e/23_udp_relay.sh - UDP through relay nodes that serve associations (bind=true) and ones that do not: cones where it can
# be, a flow per destination where not, and never a lost first datagram; then ports forwarded to a target that the client or the
# server names.
#
#     app -> [tungo] or socks5 -> cgost client -- relay+tcp :9001 (bind=true) or :9002 --> cgost server --> target
. "$(dirname "$0")/lib.sh"
tool=$here/tests/tools/datagrams.py
other=10.90.9.8
net_up
addr "$T" lo $other/32
ip -n "$S" route add $other/32 via 10.90.2.2
target_up
net_mark
start cone "$T" python3 "$tool" cone-server "$TARGET" $other "$work/cone"
wait_for "cone server" 5 test -e "$work/cone"
cgost server "$S" -L 'relay://:9001?bind=true' -L relay://:9002
for p in 9001 9002; do wait_for "port $p" 10 listens "$S" $p; done

for port in 9001 9002; do
	way="tungo, :$port"
	tungo_up client '' -D -F "relay://$SERVER:$port"
	check "$way: the first datagrams" probe udp "$TARGET" 1 1200 9000
	check "$way: another socket, IPv6" probe udp "$TARGET6" 1 1200
	check "$way: empty ones" probe udp "$TARGET" 5 0 6 0
	check "$way: an empty one first" probe udp "$TARGET" 0 5
	check "$way: 60 sockets" probe udpmany "$TARGET" 60 3
	check "$way: DNS" sh -c "[ \"\$(ip netns exec $C python3 $here/tests/tools/ask.py $TARGET example.org)\" = 192.0.2.1 ]"
	[ $port = 9002 ] || check "$way: one mapping for all, strangers are let in" inside "$C" python3 "$tool" cone "$TARGET" $other
	stop_pid "$pid_client" && same "client ended with status" 0 "$status"
	logged_times "$way: each flow has a line that tells of its end" "$(log_count client ' <-> ')" client ' >-< '
	check "$way: those that the stop cut, why" sh -c "[ \$(grep '\"network\":\"udp\"' $work/client.log | grep -c ' >-< .*the service stops') -gt 0 ]"

	way="socks5, :$port"
	cgost client "$C" -L 'socks5://127.0.0.1:1080?udp=true' -F "relay://$SERVER:$port"
	wait_for "socks5" 10 listens "$C" 1080
	for i in 1 2; do
		check "$way: association $i" probe --via socks5://127.0.0.1:1080 udp "$TARGET" 1 1200 9000 0 5
		check "$way: association $i, IPv6" probe --via socks5://127.0.0.1:1080 udp "$TARGET6" 1 1200
	done
	stop_pid "$pid_client" && same "client ended with status" 0 "$status"
done

# whose target is named here, through a server without associations, and there
cgost forwarder "$S" -L "relay://:9003/$TARGET:7"
wait_for "port 9003" 10 listens "$S" 9003
for v in "/$TARGET:7 9002 client" " 9003 server"; do
	set -- $v
	[ $# = 3 ] || set -- "" "$@"
	cgost client "$C" -L "udp://127.0.0.1:7$1" -F "relay://$SERVER:$2"
	wait_for "udp port" 10 sh -c "ip netns exec $C ss -Hlun 'sport = :7' | grep -q ."
	check "udp port forward, the $3 names the target" probe udp 127.0.0.1 1 1200 0 9000
	stop_pid "$pid_client" && same "client ended with status" 0 "$status"
done
stop_pid "$pid_server" && same "server ended with status" 0 "$status"
logged_times "a refusal is learnt once for each client" 2 server 'BIND is not enabled'
finish
