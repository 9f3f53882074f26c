#!/bin/sh
# tests/e2e/26_udp_cone.sh - UDP of the device as a full cone over every carrier: one mapping for all destinations, strangers
# let in under their own names, thousands of sources, empty datagrams; and nothing left when all is quiet.
#
#     app -> [tungo] -> cgost client -- c0 | socks5 | relay (bind=true) | ss-local -u --> target
. "$(dirname "$0")/lib.sh"
tool=$here/tests/tools/datagrams.py
other=10.90.9.8 other6=fd90:9::8
net_up
net_route
addr "$T" lo $other/32 $other6/128
ip -n "$S" route add $other/32 via 10.90.2.2
ip -n "$S" -6 route add $other6/128 via fd90:2::2
net_mark
target_up
for v in "$TARGET $other" "$TARGET6 $other6"; do
	rm -f "$work/cone"
	start "cone${v%% *}" "$T" python3 "$tool" cone-server $v "$work/cone"
	wait_for "cone server" 5 test -e "$work/cone"
done
start iperf "$T" iperf3 -s -B "$TARGET" -p 5201
wait_for "iperf3" 5 listens "$T" 5201
count=4000 few=2000 over=4300
[ -z "$slow" ] || count=600 few=300 over=
# counters: the newest record, asked for now
counters() {
	before=$(log_count client 'UDP: sources')
	kill -USR1 "$pid_client"
	wait_for "the counters" 5 log_has client 'UDP: sources' $((before + 1))
	sed -n 's/.*UDP: \(sources [0-9]*, associations [0-9]*\),.*/\1/p' "$work/client.log" | tail -n 1
}
quiet() { [ "$(counters)" = "sources 0, associations 0" ]; }
many() { # way COUNT LEAST [SECONDS]: so many different mappings at least; none is two sources' within SECONDS
	got=$(inside "$C" timeout 200 python3 "$tool" sources "$TARGET" $other "$2" ${4:-} 2>&1)
	if [ "$got" -ge "$3" ] 2>/dev/null; then ok "$1: $2 sources, one mapping each, $got different, full cone"; else bad "$1: $2 sources: $got"; fi
}

carrier() { # way sources empty-datagram
	way=$1 sources=$2 empty=$3
	for v in "$TARGET $other" "$TARGET6 $other6"; do
		a=${v%% *}
		check "$way, $a: one mapping for all, strangers are let in under their own names" inside "$C" python3 "$tool" cone $v
		check "$way, $a: an empty datagram, and the next ones" probe udp "$a" 5 $empty 6 1200
	done
	many "$way" "$sources" 1 4 # udpTimeout is 5 s: after that a mapping may be another source's
	check "$way: iperf3 -u up" inside "$C" timeout 60 iperf3 -u -c "$TARGET" -b 40M -l 1200 -t 1
	check "$way: iperf3 -u down" inside "$C" timeout 60 iperf3 -u -R -c "$TARGET" -b 40M -l 1200 -t 1
	if wait_for "$way: the end of all associations: $(counters)" 20 quiet; then ok "$way: no source and no association is left"; fi
}

tungo_up client 'udpTimeout=5s'
base=$(fds "$pid_client")
carrier direct $count 0
for a in "$TARGET" "$TARGET6"; do check "direct, $a: a closed port is heard of" inside "$C" python3 "$tool" refused "$a"; done
fds_back direct "$pid_client" "$base" 15
stop_pid "$pid_client" && same "client ended with status" 0 "$status"
if [ -n "$over" ]; then
	tungo_up client 'udpTimeout=300s' # none ends by time
	many "direct, past the cap of 4096" $over 4096
	same "the cap holds" "sources 4096" "$(counters | sed 's/,.*//')"
	stop_pid "$pid_client" && same "client ended with status" 0 "$status"
fi

cgost socks "$S" -L 'socks5://:1080?udp=true'
wait_for "socks5 server" 10 listens "$S" 1080
base_server=$(fds "$pid_socks")
tungo_up client 'udpTimeout=5s' -F "socks5://$SERVER:1080"
carrier socks5 $few 0
stop_pid "$pid_client" && same "client ended with status" 0 "$status"
# by a standard association at once
tungo_up client 'udpTimeout=5s' -F "socks5://$SERVER:1080?relay=udp"
for v in "$TARGET $other" "$TARGET6 $other6"; do
	a=${v%% *}
	check "socks5, relay=udp, $a: one mapping for all, strangers are let in" inside "$C" python3 "$tool" cone $v
	check "socks5, relay=udp, $a: an empty datagram, and the next ones" probe udp "$a" 5 0 6 1200
done
stop_pid "$pid_client" && same "client ended with status" 0 "$status"
fds_back socks5 "$pid_socks" "$base_server" 10
stop_pid "$pid_socks" && same "server ended with status" 0 "$status"

cgost server "$S" -L 'relay://:9001?bind=true'
wait_for "relay server" 10 listens "$S" 9001
base_server=$(fds "$pid_server")
tungo_up client 'udpTimeout=5s' -F "relay://$SERVER:9001"
carrier relay $few 0
stop_pid "$pid_client" && same "client ended with status" 0 "$status"
fds_back relay "$pid_server" "$base_server" 10
stop_pid "$pid_server" && same "server ended with status" 0 "$status"

# what nobody answers is forgotten before udpTimeout; what is in use is not
tungo_up client 'udpTimeout=300s'
inside "$C" python3 "$tool" refused "$TARGET" >/dev/null 2>&1
same "two sources" "sources 1, associations 1" "$(counters)"
stop_pid "$pid_client"

# a stranger that serves UDP: ss-local before ss-server
if ss_local=$(sh "$here/tests/tools/stranger.sh" shadowsocks-libev ss-local "$(dirname "$CGOST")/strangers" 2>"$work/why.txt") &&
	ss_server=$(sh "$here/tests/tools/stranger.sh" shadowsocks-libev ss-server "$(dirname "$CGOST")/strangers" 2>"$work/why.txt"); then
	start ssserver "$S" $ss_server -u -s 127.0.0.1 -p 8388 -k demo -m aes-128-gcm
	wait_for "ss-server" 10 sh -c "ip netns exec $S ss -Hlun 'sport = :8388' | grep -q ."
	start sslocal "$S" $ss_local -u -s 127.0.0.1 -p 8388 -k demo -m aes-128-gcm -b "$SERVER" -l 1085
	wait_for "ss-local" 10 listens "$S" 1085
	tungo_up client 'udpTimeout=5s' -F "socks5://$SERVER:1085"
	check "ss-local: datagrams" probe udp "$TARGET" 1 64 512 1200
	check "ss-local: 40 sockets" probe udpmany "$TARGET" 40 3
	check "ss-local: one mapping for all, strangers are let in" inside "$C" python3 "$tool" cone "$TARGET" $other
	if wait_for "ss-local: the end of all associations" 20 quiet; then ok "ss-local: no association is left"; fi
	stop_pid "$pid_client" && same "client ended with status" 0 "$status"
else
	left_out ss-local "$(tail -n 1 "$work/why.txt")"
fi
