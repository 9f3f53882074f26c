# tests/e2e/lib.sh - sourced by every end-to-end test: namespaces, programs, checks, and the proof that nothing stayed.
#
#     client ($C) --c0 10.90.1.2 ---- 10.90.1.1 s0-- server ($S) --s1 10.90.2.1 ---- 10.90.2.2 t0-- target ($T)
#
# The server routes nothing: what reaches the target's address 10.90.9.9 (fd90:9::9) came through cgost. The target runs
# tests/tools/target.py. The binary under test is $CGOST. Works as root; touches nothing outside the namespaces.
#
# To hunt for checks that do not wait (two of them at once see most): SLOW_LOGS=0.7: what programs say comes to their logs so many
# seconds later. STUTTER=0.3: each process in the namespaces stands still for up to so long, again and again.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
CGOST=${CGOST:-$here/build/cgost}
work=$(mktemp -d)
mkdir "$work/home" && export HOME="$work/home" # where generated certificates go
# tests mount files of their own over these, which needs a place: where there is none, an empty one means the same
for f in /etc/hosts /etc/resolv.conf; do [ -e "$f" ] || : >>"$f"; done
tag=cg$$
C=${tag}c S=${tag}s T=${tag}t
SERVER=10.90.1.1 SERVER6=fd90:1::1 TARGET=10.90.9.9 TARGET6=fd90:9::9
passed=0 failed=0 pids= mine= stutter=
# the sanitizers cost much: big transfers are for the plain program
case $CGOST in */asan/*) slow=1 BIG=$((32 << 20)) ;; *) slow= BIG=$((256 << 20)) ;; esac
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:exitcode=99} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

# --- the verdicts
ok() { passed=$((passed + 1)) && echo "ok   $*"; }
bad() {
	failed=$((failed + 1)) && echo "FAIL $*"
	[ $failed -le 3 ] || return 0 # the logs of the first failures tell
	for l in "$work"/*.log; do [ ! -s "$l" ] || { echo "     --- $(basename "$l")" && tail -n "${TAIL:-3}" "$l" | cut -c1-300 | sed 's/^/     /'; }; done
}
check() { # description command...
	what=$1 && shift
	if "$@" >"$work/check.out" 2>&1; then ok "$what"; else bad "$what: $(tail -n 1 "$work/check.out" | cut -c1-200)"; fi
}
same() { if [ "$2" = "$3" ]; then ok "$1"; else bad "$1: expected '$2', got '$3'"; fi; }

# left_out WHAT WHY: some checks of a script that can't run here; told in the closing lines, counted nowhere
left_out() { echo "not run here: $1: $2"; }
skip() { echo "$*" && trap - EXIT && rm -rf "$work" && exit 77; } # what can't run here, before anything was started
[ -d /proc/sys/net/ipv6 ] || skip "this kernel has no IPv6"
needs_nft() { # what counts or drops packets
	unshare -n nft 'table inet t { counter c { }; chain o { type filter hook output priority 0; meta l4proto udp numgen random mod 5 0 counter name c; }; }' 2>/dev/null ||
		skip "nftables can't count here"
}

# --- what programs said. One that runs writes when it likes, also after its peer has had its answer: so what it must say is
# waited for (logged), and what it must not say is judged only when it has ended (logged_times, not_logged).
log_count() { grep -ce "$2" "$work/$1.log"; }
log_has() { [ "$(log_count "$1" "$2")" -ge "${3:-1}" ]; }
logged() { # WHAT NAME PATTERN [COUNT]: such a line (so many at least) comes
	said=$1 && shift # wait_for has names of its own
	if wait_for "$said: a line '$2' of $1" 10 log_has "$@"; then ok "$said"; fi
}
log_ended() {
	eval "p=\${pid_$(echo "$1" | tr -c 'a-z0-9\n' _):-}"
	[ -z "$p" ] || ended "$p" || { bad "$2: $1 still runs: what it has not said yet is no proof" && return 1; }
}
logged_times() { log_ended "$3" "$1" && same "$1" "$2" "$(log_count "$3" "$4")"; } # WHAT COUNT NAME PATTERN
not_logged() { logged_times "$1" 0 "$2" "$3"; }                                     # WHAT NAME PATTERN

# --- the net
inside() { ns=$1 && shift && ip netns exec "$ns" "$@"; }
net_up() {
	for n in "$C" "$S" "$T"; do
		ip netns add "$n" || { bad "no network namespaces here" && exit 1; }
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
	if [ -n "${STUTTER:-}" ]; then python3 "$here/tests/tools/stutter.py" "$STUTTER" "$C" "$S" "$T" & stutter=$!; fi
}
# the client reaches the target without cgost too, by its default route
net_route() {
	inside "$S" sh -c 'cd /proc/sys/net && echo 1 >ipv4/ip_forward && echo 1 >ipv6/conf/all/forwarding && echo 0 >ipv4/icmp_ratelimit && echo 0 >ipv6/icmp/ratelimit'
	ip -n "$T" route add 10.90.1.0/24 via 10.90.2.1
	ip -n "$T" -6 route add fd90:1::/64 via fd90:2::1
}
# net_lan NAMESPACE DEVICE ROUTER-DEVICE SUBNET: a host of a LAN whose router is the client; the script deletes both
net_lan() {
	ip netns add "$1"
	ip -n "$1" link set lo up
	inside "$1" sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad'
	ip link add "$2" netns "$1" type veth peer name "$3" netns "$C"
	addr "$1" "$2" "10.90.$4.2/24" "fd90:$4::2/64"
	addr "$C" "$3" "10.90.$4.1/24" "fd90:$4::1/64"
	ip -n "$1" route add default via "10.90.$4.1"
	ip -n "$1" -6 route add default via "fd90:$4::1"
}
# bad_link NAMESPACE WORD...: what badlink makes of a way l1 -- c2 between this namespace, whose default route it becomes, and
# the client; its pid is $link
bad_link() {
	ns_bad=$1 && shift
	rm -f "$work/badlink.log"
	"${TOOLS:-$(dirname "$CGOST")/tools}/badlink" "$ns_bad" l1 "$C" c2 seed=7 "$@" </dev/null >"$work/badlink.log" 2>&1 &
	link=$! && pids="$link $pids"
	wait_for "link" 15 grep -q ready "$work/badlink.log" || exit 1
	addr "$ns_bad" l1 10.90.6.2/24
	addr "$C" c2 10.90.6.1/24
	ip -n "$ns_bad" route replace default via 10.90.6.1
}
# what must be as before at the end: call it when the net is ready and none of our programs runs
net_state() {
	for n in "$C" "$S"; do
		ip -n "$n" -o link show | sed 's/^[0-9]*: \([^ :@]*\).*/link \1/'
		ip -n "$n" -4 route show table all | sed 's/ *$//'
		ip -n "$n" -6 route show table all | grep -v 'fe80\|ff00\|expires' | sed 's/ *$//'
		ip -n "$n" rule show && ip -n "$n" -6 rule show
	done
}
net_mark() { net_state >"$work/net.before"; }
addr() { n=$1 d=$2 && shift 2 && for a; do case $a in *:*) ip -n "$n" addr add "$a" dev "$d" nodad ;; *) ip -n "$n" addr add "$a" dev "$d" ;; esac; done && ip -n "$n" link set "$d" up; }

# --- programs: start NAME NAMESPACE COMMAND...; the log is $work/NAME.log, the pid $pid. $TUNGO_OPTS (e.g. congestion=off) is
# appended to every tungo URL: a whole script with another setting
start() {
	name=$1 ns=$2 && shift 2
	for word; do
		case $word in tungo://*\?*) word=$word${TUNGO_OPTS:+&$TUNGO_OPTS} ;; esac
		set -- "$@" "$word" && shift
	done
	# what another one of this name said must not be taken for its words
	rm -f "$work/$name.log" && : >"$work/$name.log"
	if [ -n "${SLOW_LOGS:-}" ]; then
		rm -f "$work/$name.pipe" && mkfifo "$work/$name.pipe"
		python3 "$here/tests/tools/slowlog.py" "$SLOW_LOGS" "$work/$name.pipe" >>"$work/$name.log" &
		slow_log=$!
		ip netns exec "$ns" "$@" </dev/null >"$work/$name.pipe" 2>&1 &
		eval "slow_log_$!=$slow_log"
	else
		ip netns exec "$ns" "$@" </dev/null >>"$work/$name.log" 2>&1 &
	fi
	pid=$! && pids="$pid $pids"
	eval "pid_$(echo "$name" | tr -c 'a-z0-9\n' _)=$pid"
}
# cgost NAME NAMESPACE ARGUMENT...: the program under test; must end with status 0
cgost() {
	name=$1 ns=$2 && shift 2
	start "$name" "$ns" "$CGOST" "$@"
	mine="$mine $pid"
}
ended() { case $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) in '' | Z*) ;; *) false ;; esac; }
stop_pid() { # [signal]: waits for it; its exit status is $status
	kill "-${2:-TERM}" "$1" 2>/dev/null
	reap "$1"
}
reap() { # waits for the end of a program; its exit status is $status
	end=$(($(date +%s) + $(patience 15)))
	until ended "$1"; do
		[ "$(date +%s)" -lt "$end" ] || { bad "process $1 does not end" && kill -9 "$1"; break; }
		sleep 0.02
	done
	wait "$1" 2>/dev/null
	status=$?
	eval "slow_log=\${slow_log_$1:-}"
	[ -z "$slow_log" ] || wait "$slow_log"
	left= && for p in $pids; do [ "$p" = "$1" ] || left="$left $p"; done
	pids=$left
}
# what takes SECONDS on an idle machine may take so long on a loaded one
patience() { echo $((3 * $1 + 10)); }
# wait_for "what" SECONDS command...: polls an event that takes at most SECONDS on an idle machine; a time-out is a failed check
wait_for() {
	what=$1 end=$(($(date +%s) + $(patience "$2"))) && shift 2
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$end" ] || { bad "$what did not happen"; return 1; }
		sleep 0.02
	done
}
listens() { inside "$1" ss -Hltn "sport = :$2 ${3:+and src [$3]}" | grep -q .; } # NAMESPACE PORT [ADDRESS]
device_up() { ip -n "$1" link show "$2" 2>/dev/null | grep -q '[<,]UP[,>]' && ip -n "$1" addr show "$2" | grep -q 'inet '; }
target_up() {
	start target "$T" python3 "$here/tests/tools/target.py" --addr "$TARGET" --addr "$TARGET6" --ready "$work/target.ready"
	wait_for "target" 10 test -e "$work/target.ready"
}
cpu_ms() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) * 1000 / hz }' "/proc/$1/stat"; }
fds() { ls "/proc/$1/fd" 2>/dev/null | wc -l; }
few_fds() { [ "$(fds "$1")" -le "$2" ]; }
# fds_back NAME PID COUNT SECONDS: no more descriptors than COUNT, soon
fds_back() { if wait_for "$1: back to $3 descriptors (now $(fds "$2"))" "$4" few_fds "$2" "$3"; then ok "$1: descriptors back to $3"; fi; }
probe() { inside "$C" timeout 200 python3 "$here/tests/tools/probe.py" "$@"; }

# --- tungo in the client: device "tungo", routes of the target's nets into it. tungo_up NAME [QUERY] [ARGUMENT...]
tungo_url() { echo "tungo://:0?name=tungo&net=192.168.123.1/24,fd12:3::1/64&route=10.90.9.0/24,fd90:9::/64&interface=c0${1:+&$1}"; }
tungo_up() {
	name=$1 query=${2:-} && shift 2
	cgost "$name" "$C" -L "$(tungo_url "$query")" "$@"
	tungo_is_up
}
routed() { ip -n "$C" route get "$1" | grep -q 'dev tungo'; }
tungo_is_up() { # without it the rest of a test makes no sense
	wait_for "device" 10 device_up "$C" tungo && wait_for "route" 5 routed "$TARGET" && wait_for "route" 5 routed "$TARGET6" || exit 1
}
# relay_up NAME QUERY: a relay+wss server in the server's namespace; $RELAY is its node
RELAY="relay+wss://demo:demo-only@$SERVER:443"
relay_up() {
	cgost "$1" "$S" -L "relay+wss://demo:demo-only@:443${2:+?$2}"
	wait_for "$1" 10 listens "$S" 443
}

# --- the end: programs stop by SIGTERM with status 0 and no sanitizer report; then nothing of ours is left
finish() {
	trap - EXIT INT TERM
	[ -z "$stutter" ] || { kill "$stutter" && wait "$stutter"; }
	for p in $pids; do kill "$p" 2>/dev/null; done
	for p in $pids; do
		reap "$p"
		case " $mine " in *" $p "*) [ "$status" = 0 ] || bad "a program ended with status $status" ;; esac
	done
	if [ -e "$work/net.before" ]; then
		net_state >"$work/net.after"
		check "devices and routes as before" diff "$work/net.before" "$work/net.after"
	fi
	if grep -lE 'Sanitizer|runtime error:|cgost: bug:' "$work"/*.log >"$work/reports" 2>/dev/null; then
		bad "sanitizer reports"
		grep -hE -A 12 'ERROR: |runtime error:|cgost: bug:' "$work"/*.log | head -n 40
	fi
	# what was told to end gets a moment to do so; what stays after that is a failure
	end=$(($(date +%s) + $(patience 3)))
	while left=$(for n in "$C" "$S" "$T"; do ip netns pids "$n" 2>/dev/null; done) && [ -n "$left" ] && [ "$(date +%s)" -lt "$end" ]; do sleep 0.05; done
	[ -z "$left" ] || { bad "processes stayed: $left"; for p in $left; do kill -9 "$p" 2>/dev/null; done; }
	for n in "$C" "$S" "$T"; do ip netns del "$n" 2>/dev/null; done
	rm -rf "$work"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && exit 0
	exit 1 # said in so many words: a bare exit in a trap is the status from before it
}
trap finish EXIT
trap 'exit 1' INT TERM
