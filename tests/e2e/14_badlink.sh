#!/bin/sh
# tests/e2e/14_badlink.sh - a bad network between client and server: delay, reordering, loss, duplication.
#
#     app -> [tungo] -> cgost client --b0 10.90.5.2 -- badlink -- 10.90.5.1 b1-- cgost server --> target
. "$(dirname "$0")/lib.sh"
badlink=$(dirname "$CGOST")/tools/badlink
[ -x "$badlink" ] || skip "$badlink is not built (make tools)"
net_up
target_up
net_mark
cgost server "$S" -L 'relay+wss://demo:demo-only@:443?bind=true'
wait_for "server" 10 listens "$S" 443
bytes=$((4 << 20))

over() { # way words-of-badlink...
	way=$1 && shift
	rm -f "$work/badlink.log" # its "ready" is of the link before
	"$badlink" "$C" b0 "$S" b1 seed=7 "$@" </dev/null >"$work/badlink.log" 2>&1 &
	link=$! && pids="$link $pids"
	wait_for "link" 15 grep -q ready "$work/badlink.log" || exit 1
	addr "$C" b0 10.90.5.2/24
	addr "$S" b1 10.90.5.1/24
	cgost client "$C" -L "$(tungo_url udpTimeout=5s)" -F 'relay+wss://demo:demo-only@10.90.5.1:443'
	tungo_is_up
	check "$way: $bytes bytes up" probe --seconds 60 up "$TARGET" "$bytes"
	check "$way: $bytes bytes down" probe --seconds 60 down "$TARGET" "$bytes"
	check "$way: 20 flows at once" probe --seconds 60 flows "$TARGET" 20 50000
	check "$way: the target speaks first" probe --seconds 60 first "$TARGET"
	check "$way: half-close by the target" probe --seconds 60 late "$TARGET" 200000
	check "$way: datagrams (TCP carries them: none is lost)" probe --seconds 60 udp "$TARGET" 1 1000 5000
	stop_pid "$pid_client" && same "$way: client ended with status" 0 "$status"
	stop_pid "$link"
}

over "50 ms" delay=50
[ "$slow" ] || over "200 ms" delay=200 jitter=20
over "reordering" delay=10 reorder=20
[ "$slow" ] || over "loss of 2 % and doubles" delay=10 loss=2 dup=2
bytes=$((1 << 20))
over "all at once" delay=30 jitter=10 loss=0.5 reorder=5 dup=1
