# tests/e2e/lib.sh - sourced by every end-to-end test: namespaces, programs, checks, and the proof that nothing stayed.
#
#     client ($C) --c0 10.90.1.2 ---- 10.90.1.1 s0-- server ($S) --s1 10.90.2.1 ---- 10.90.2.2 t0-- target ($T)
#
# The server routes nothing: what reaches the target's address 10.90.9.9 (fd90:9::9) came through cgost. The target runs
# tests/tools/target.py. The binary under test is $CGOST. Works as root; touches nothing outside the namespaces.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
CGOST=${CGOST:-$here/build/cgost}
work=$(mktemp -d)
tag=cg$$
C=${tag}c S=${tag}s T=${tag}t
SERVER=10.90.1.1 SERVER6=fd90:1::1 TARGET=10.90.9.9 TARGET6=fd90:9::9
passed=0 failed=0 pids=
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:exitcode=99} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

# --- the verdicts
ok() { passed=$((passed + 1)) && echo "ok   $*"; }
bad() {
	failed=$((failed + 1)) && echo "FAIL $*"
	for l in "$work"/*.log; do [ ! -s "$l" ] || { echo "     --- $(basename "$l")" && tail -n "${TAIL:-6}" "$l" | cut -c1-300 | sed 's/^/     /'; }; done
}
check() { # description command...
	what=$1 && shift
	if "$@" >"$work/check.out" 2>&1; then ok "$what"; else bad "$what: $(tail -n 1 "$work/check.out" | cut -c1-200)"; fi
}
same() { if [ "$2" = "$3" ]; then ok "$1"; else bad "$1: expected '$2', got '$3'"; fi; }

# --- the net
inside() { ns=$1 && shift && ip netns exec "$ns" "$@"; }
net_up() {
	for n in "$C" "$S" "$T"; do
		ip netns add "$n"
		inside "$n" sh -c 'for f in all default; do echo 0 >/proc/sys/net/ipv4/conf/$f/rp_filter; echo 0 >/proc/sys/net/ipv6/conf/$f/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/$f/disable_ipv6; done; echo "0 2147483647" >/proc/sys/net/ipv4/ping_group_range'
		ip -n "$n" link set lo up
	done
	ip link add c0 netns "$C" type veth peer name s0 netns "$S"
	ip link add s1 netns "$S" type veth peer name t0 netns "$T"
	addr "$C" c0 10.90.1.2/24 fd90:1::2/64
	addr "$S" s0 10.90.1.1/24 fd90:1::1/64
	addr "$S" s1 10.90.2.1/24 fd90:2::1/64
	addr "$T" t0 10.90.2.2/24 fd90:2::2/64
	addr "$T" lo "$TARGET/32" "$TARGET6/128"
	ip -n "$C" route add default via 10.90.1.1 dev c0
	ip -n "$C" -6 route add default via fd90:1::1 dev c0
	ip -n "$S" route add "$TARGET/32" via 10.90.2.2
	ip -n "$S" -6 route add "$TARGET6/128" via fd90:2::2
}
addr() { n=$1 d=$2 && shift 2 && for a; do case $a in *:*) ip -n "$n" addr add "$a" dev "$d" nodad ;; *) ip -n "$n" addr add "$a" dev "$d" ;; esac; done && ip -n "$n" link set "$d" up; }

# --- programs: start NAME NAMESPACE COMMAND...; the log is $work/NAME.log, the pid $pid
start() {
	name=$1 ns=$2 && shift 2
	ip netns exec "$ns" "$@" </dev/null >"$work/$name.log" 2>&1 &
	pid=$! && pids="$pid $pids"
	eval "pid_$(echo "$name" | tr -c 'a-z0-9\n' _)=$pid"
}
stop_pid() { # waits for it; its exit status is $status
	kill "$1" 2>/dev/null
	wait "$1" 2>/dev/null
	status=$?
	left= && for p in $pids; do [ "$p" = "$1" ] || left="$left $p"; done
	pids=$left
}
# wait_for "what" SECONDS command...: polls an event; a time-out is a failed check
wait_for() {
	what=$1 end=$(($(date +%s) + $2)) && shift 2
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$end" ] || { bad "$what did not happen"; return 1; }
		sleep 0.02
	done
}
listens() { inside "$1" ss -Hltn "sport = :$2" | grep -q .; }
device_up() { ip -n "$1" link show "$2" 2>/dev/null | grep -q '[<,]UP[,>]' && ip -n "$1" addr show "$2" | grep -q 'inet '; }
target_up() {
	start target "$T" python3 "$here/tests/tools/target.py" --addr "$TARGET" --addr "$TARGET6" --ready "$work/target.ready"
	wait_for "target" 10 test -e "$work/target.ready"
}
cpu_ms() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) * 1000 / hz }' "/proc/$1/stat"; }
fds() { ls "/proc/$1/fd" 2>/dev/null | wc -l; }

# --- the end: programs stop by SIGTERM with status 0 and no sanitizer report; then nothing of ours is left
finish() {
	trap - EXIT INT TERM
	for p in $pids; do kill "$p" 2>/dev/null; done
	for p in $pids; do wait "$p" 2>/dev/null; done
	if grep -lE 'Sanitizer|runtime error:|cgost: bug:' "$work"/*.log >"$work/reports" 2>/dev/null; then
		bad "sanitizer reports"
		grep -hE -A 12 'ERROR: |runtime error:|cgost: bug:' "$work"/*.log | head -n 40
	fi
	left=$(for n in "$C" "$S" "$T"; do ip netns pids "$n" 2>/dev/null; done)
	[ -z "$left" ] || { bad "processes stayed: $left"; for p in $left; do kill -9 "$p" 2>/dev/null; done; }
	for n in "$C" "$S" "$T"; do ip netns del "$n" 2>/dev/null; done
	rm -rf "$work"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
	exit
}
trap finish EXIT
trap 'exit 1' INT TERM
