#!/bin/sh
# tests/e2e/21_two_hops.sh - chains of two and three hops, and nodes that are down.
#
#     app -> [tungo] -> cgost --> socks5 A --> (http B) --> relay+wss C --> target     (A, B, C at the server)
. "$(dirname "$0")/lib.sh"
net_up
target_up
net_mark
relay_up relay 'bind=true'
cgost a "$S" -L 'socks5://demo:demo-only@:1080?udp=true' -L http://demo:demo-only@:8080
start stranger "$S" microsocks -p 1090 -u demo -P demo-only
for p in 1080 8080 1090; do wait_for "port $p" 10 listens "$S" $p; done
near="relay+wss://demo:demo-only@127.0.0.1:443"

chain() { # way words-of-cgost...
	way=$1 && shift
	tungo_up client '' "$@"
	for a in "$TARGET" "$TARGET6"; do check "$way: echo of 4 MiB, $a" probe echo "$a" $((4 << 20)); done
	check "$way: half-close by the application" probe up "$TARGET" 1000000
	check "$way: half-close by the target" probe late "$TARGET" 1000000
	check "$way: the target speaks first" probe first "$TARGET"
	check "$way: a closed port is not connected" probe --relay error "$TARGET" 1 ECONNREFUSED 2000
	check "$way: 50 flows at once" probe flows "$TARGET" 50 50000
	check "$way: datagrams" probe udp "$TARGET" 1 0? 1000 20000
	stop_pid "$pid_client" && same "$way: client ended with status" 0 "$status"
}
chain "socks5, relay+wss" -F "socks5://demo:demo-only@$SERVER:1080" -F "$near"
chain "http, relay+wss" -F "http://demo:demo-only@$SERVER:8080" -F "$near"
chain "relay+wss, relay+wss" -F "$RELAY" -F "$near"
chain "socks5, http, relay+wss" -F "socks5://demo:demo-only@$SERVER:1080" -F http://demo:demo-only@127.0.0.1:8080 -F "$near"
chain "relay+wss, socks5" -F "$RELAY" -F socks5://demo:demo-only@127.0.0.1:1080
chain "a stranger's socks5 first" -F "socks5://demo:demo-only@$SERVER:1090" -F "$near"

# --- nodes that are down. Port 4009 is closed; 4001 is a relay server.
front() { # what-is-after-L what-is-after-F
	cgost front "$C" -L "socks5://127.0.0.1:1100$1" -F "$2"
	wait_for "front end" 10 listens "$C" 1100
}
via=socks5://127.0.0.1:1100
cgost second "$S" -L relay://:4001
wait_for "second relay" 10 listens "$S" 4001

front '' "relay://$SERVER:4009,$SERVER:4001?strategy=fifo&maxFails=1&failTimeout=300s"
check "no retries: the first flow meets the dead node" probe --via $via error "$TARGET" 7 'socks 5|socks 4|socks 3|socks 1' 20000
for i in 1 2 3; do check "the dead node is left out, flow $i" probe --via $via echo "$TARGET" 1000; done
stop_pid "$pid_front" && same "front end ended with status" 0 "$status"

# how long failTimeout is on a slow machine nobody knows: what must come next is waited for
front '' "relay://$SERVER:4009,$SERVER:4001?strategy=fifo&maxFails=1&failTimeout=5s"
passes() { probe --via $via echo "$TARGET" 10; }
refused() { ! passes; }
wait_for "a flow that meets the dead node" 10 refused
wait_for "one that does not" 10 passes
wait_for "another try of the dead node after failTimeout" 25 refused && ok "after failTimeout the dead node is tried again"
wait_for "a flow that leaves it out again" 10 passes && ok "and left out again"
cgost third "$S" -L relay://:4009
wait_for "the first node's return" 10 listens "$S" 4009
returned() { probe --via $via echo "$TARGET" 10 && log_has third '>-<'; }
wait_for "use of the node that returned" 25 returned && ok "a node that returned is used again"
stop_pid "$pid_third"
stop_pid "$pid_front" && same "front end ended with status" 0 "$status"

front '?retries=1' "relay://$SERVER:4009,$SERVER:4001?strategy=round&maxFails=2&failTimeout=30s"
for i in 1 2 3 4 5 6; do check "retries=1: flow $i meets no dead node" probe --via $via echo "$TARGET" 1000; done
stop_pid "$pid_front" && same "front end ended with status" 0 "$status"

front '' "relay://$SERVER:4009,$SERVER:4008?maxFails=1&failTimeout=30s"
for i in 1 2 3; do check "all nodes down: flow $i is refused, never sent past the chain" probe --via $via error "$TARGET" 7 'socks 5|socks 4|socks 3|socks 1' 2000; done
stop_pid "$pid_front" && same "front end ended with status" 0 "$status"
