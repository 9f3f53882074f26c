# tests/e2e/10_tungo_tcp.sh - TCP through the TUN device and lwIP alone: tunfwd (the tungo listener, direct dials, splice)
# runs in the server's namespace and has its device in the client's. Every byte is compared.
#
#     client: tcpload -> tungo device ... tunfwd in $S -> s1 ---- t0 -> target: tcpload server
. "$(dirname "$0")/lib.sh"
TOOLS=${TOOLS:-$(dirname "$CGOST")/tools}
PORT=5000
net_up
net_mark

load() { inside "$C" timeout 200 "$TOOLS/tcpload" "$@"; }
# fwd_up NAME ARGUMENT...
fwd_up() {
	what_runs=$1 && shift
	start "$what_runs" "$S" "$TOOLS/tunfwd" name=tungo netns="$C" net=192.168.123.1/24,fd12:3::1/64 route=10.90.9.0/24,fd90:9::/64 "$@"
	fwd=$pid
	wait_for "device" 10 device_up "$C" tungo && wait_for "route" 5 routed "$TARGET"
}
counters() { before=$(grep -c '^cpu_s' "$work/$what_runs.log"); kill -USR1 "$fwd"; wait_for "counters" 5 more_counters; grep '^cpu_s' "$work/$what_runs.log" | tail -n 1; }
more_counters() { [ "$(grep -c '^cpu_s' "$work/$what_runs.log")" -gt "$before" ]; }
value() { counters | sed "s/.* $1 \([0-9]*\).*/\1/"; }
nothing_held() { counters | grep -q ' conns 0 .* table 0 blocks 0 .* parked 0 '; }
fwd_down() {
	if wait_for "$what_runs: flows and blocks given back" 10 nothing_held; then ok "$what_runs: no flow, block or parked SYN is held"; fi
	fds_back "$what_runs" "$fwd" "$fds_before" 5
	stop_pid "$fwd"
	same "$what_runs: ends cleanly" 0 "$status"
	check "$what_runs: no sanitizer report" sh -c "! grep -E 'Sanitizer|runtime error:|cgost: bug:' $work/$what_runs.log"
	gone() { ! ip -n "$C" link show tungo; }
	wait_for "the device goes" 5 gone
}

start target "$T" "$TOOLS/tcpload" server "$TARGET" $PORT
start target6 "$T" "$TOOLS/tcpload" server "$TARGET6" $PORT
for a in "$TARGET" "$TARGET6"; do wait_for "target" 5 listens "$T" $PORT "$a"; done

# --- all offloads, MTU 1420
fwd_up plain
load connect $TARGET $PORT >/dev/null
fds_before=$(fds "$fwd")
for a in "$TARGET" "$TARGET6"; do
	for way in up down both; do
		check "256 MiB $way to $a" load $way "$a" $PORT 268435456
	done
	check "8 flows at once, both ways, to $a" load both "$a" $PORT 16777216 8
	check "500 flows of random length to $a" load flows "$a" $PORT 500 7
	for m in half-client half-server rst-client rst-server; do check "$m $a" load $m "$a" $PORT; done
done
check "a slow reader gets every byte" load slow $TARGET $PORT 6000000
check "1000 short connections" load churn $TARGET $PORT 1000 16
same "refused is told at the handshake" "Connection refused" "$(load connect $TARGET 5001 | sed 's/ [0-9]*$//')"
same "refused over IPv6" "Connection refused" "$(load connect $TARGET6 5001 | sed 's/ [0-9]*$//')"
ip -n "$S" route add unreachable 10.90.9.77
same "unreachable is told at the handshake" "No route to host" "$(load connect 10.90.9.77 $PORT | sed 's/ [0-9]*$//')"
ip -n "$S" -6 route add unreachable fd90:9::77
same "unreachable over IPv6" "No route to host" "$(load connect fd90:9::77 $PORT | sed 's/ [0-9]*$//')"
ip -n "$S" route del unreachable 10.90.9.77
ip -n "$S" -6 route del unreachable fd90:9::77

# 300 flows held, then their client is killed
start hold "$C" "$TOOLS/tcpload" hold $TARGET $PORT 300
held() { grep -q held "$work/hold.log"; }
wait_for "300 flows" 10 held
same "300 flows are in the table" 300 "$(value table)"
stop_pid "$pid" KILL
fwd_down

# --- a client whose host is gone: its packets are dropped both ways, so nobody hears of its end
fwd_up vanish
fds_before=$(fds "$fwd")
start hold "$C" "$TOOLS/tcpload" hold $TARGET $PORT 20
wait_for "20 flows" 10 held
ip -n "$C" route replace blackhole 10.90.9.0/24
stop_pid "$pid" KILL
same "flows of a vanished client are kept until keepalives fail" 20 "$(value table)"
ip -n "$C" route replace 10.90.9.0/24 dev tungo
check "and others go on" load up $TARGET $PORT 1000000
stop_pid "$fwd"
same "vanish: ends cleanly with flows held" 0 "$status"

# --- dial later than the handshake, and a small window
fwd_up early early=1 window=65536
load connect $TARGET $PORT >/dev/null
fds_before=$(fds "$fwd")
check "early accept: 32 MiB both ways" load both $TARGET $PORT 33554432
check "early accept: half-close" load half-client $TARGET $PORT
# the reset may be there before connect() returns
same "early accept: refused comes as a reset after the handshake" reset "$(load connect $TARGET 5001 | sed 's/connected.*\|Connection reset.*/reset/')"
fwd_down

# --- every MTU with and without offloads
for off in 1 0; do
	for mtu in 1280 1420 1500 9000; do
		fwd_up "mtu$mtu-offload$off" mtu=$mtu offload=$off quiet=1
		load connect $TARGET $PORT >/dev/null
		fds_before=$(fds "$fwd")
		check "MTU $mtu offload $off: 16 MiB up, down" load both $TARGET $PORT 16777216
		check "MTU $mtu offload $off: IPv6" load both $TARGET6 $PORT 8388608
		check "MTU $mtu offload $off: 50 flows" load flows $TARGET $PORT 50 3
		fwd_down
	done
done

# --- the device is deleted under running flows, and comes back
fwd_up lost
load connect $TARGET $PORT >/dev/null
fds_before=$(fds "$fwd")
ip -n "$C" link del tungo
wait_for "the device returns" 10 device_up "$C" tungo
wait_for "its routes return" 5 routed "$TARGET"
check "traffic passes after the device was lost" load both $TARGET $PORT 4000000
fwd_down

# --- stopped under running flows: their clients hear it
fwd_up stop
start wait "$C" "$TOOLS/tcpload" wait $TARGET $PORT
waits() { grep -q waiting "$work/wait.log"; }
wait_for "a flow" 5 waits
stop_pid "$fwd"
same "stop: ends cleanly" 0 "$status"
heard() { grep -q 'reset\|end' "$work/wait.log"; }
if wait_for "the client of a stopped service hears of it" 5 heard; then ok "a client hears that the service was stopped"; fi
