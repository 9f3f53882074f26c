#!/bin/sh
# tests/e2e/11_tungo_relay_wss.sh - TCP from the device through relay+wss, both ends ours; then through a relay server that
# answers late; then with a server that dies under load and comes back.
#
#     app -> [tungo] -> cgost client -- relay in wss --> cgost server --> target      (nobody routes)
. "$(dirname "$0")/lib.sh"
net_up
target_up
net_mark
flows=500 && [ -z "$slow" ] || flows=150

relay_up server ''
tungo_up client '' -F "$RELAY"
for a in "$TARGET" "$TARGET6"; do check "warm-up $a" probe echo "$a" 1000; done
before=$(fds "$pid_client") before_server=$(fds "$pid_server")

for a in "$TARGET" "$TARGET6"; do
	check "$a: $((BIG / 4)) bytes up, same SHA-256, then the answer (half-close by the application)" probe up "$a" $((BIG / 4))
	check "$a: $((BIG / 4)) bytes down, same SHA-256" probe down "$a" $((BIG / 4))
	check "$a: 8 MiB both ways at once" probe echo "$a" $((8 << 20))
	check "$a: half-close by the target, 4 MiB still arrive after it" probe late "$a" $((4 << 20))
	check "$a: the target speaks first" probe first "$a"
	check "$a: a closed port refuses" probe --relay error "$a" 1 ECONNREFUSED 1500
done
check "an address that the server cannot reach is not connected" probe --relay error 10.90.9.77 80 'ECONNREFUSED|ENETUNREACH|EHOSTUNREACH' 1500
check "$flows flows at once, random lengths" probe --seconds 100 flows "$TARGET" $flows 200000
fds_back client "$pid_client" "$before" 10
fds_back server "$pid_server" "$before_server" 10

# --- clients that vanish: applications killed in the middle, with data under way
start held "$C" python3 "$here/tests/tools/probe.py" hold "$TARGET" 7 100 "$work/held"
wait_for "100 idle flows" 20 test -e "$work/held"
stop_pid "$pid_held"
fds_back client "$pid_client" "$before" 10
fds_back server "$pid_server" "$before_server" 10

# --- the server dies under load
start live "$C" python3 "$here/tests/tools/probe.py" live "$TARGET" 50 "$work/live"
wait_for "50 living flows" 20 test -e "$work/live"
stop_pid "$pid_server" KILL
wait_for "end of all flows of the dead server" 15 ended "$pid_live"
reap "$pid_live" && same "all 50 flows ended, by an error or an end" 0 "$status"
fds_back client "$pid_client" "$before" 10
check "without a server no flow is connected" probe error "$TARGET" 7 'ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|ECONNRESET' 4000
relay_up server ''
wait_for "a new flow through the new server" 15 probe --seconds 15 echo "$TARGET" 1000 && ok "new flows work through the new server"
check "50 flows through the new server" probe flows "$TARGET" 50 100000

# --- an ordinary end under load: status 0, soon, and every flow hears of it
rm -f "$work/live"
start live "$C" python3 "$here/tests/tools/probe.py" live "$TARGET" 50 "$work/live"
wait_for "50 living flows" 20 test -e "$work/live"
since=$(date +%s%N)
stop_pid "$pid_client" && same "client ended under load with status" 0 "$status"
stop_pid "$pid_server" && same "server ended under load with status" 0 "$status"
took=$((($(date +%s%N) - since) / 1000000))
check "both soon ($took ms)" [ $took -le 15000 ]
wait_for "end of the flows" 15 ended "$pid_live" && ok "the flows of an ended client end"
reap "$pid_live"

# --- a relay server that is silent until the target speaks (GOST)
for how in glue split; do
	start "late_$how" "$S" python3 "$here/tests/tools/laterelay.py" 4000 "$work/late.$how" $how
	late=$pid
	wait_for "late relay" 10 test -e "$work/late.$how"
	tungo_up "client_$how" '' -F "relay://$SERVER:4000"
	check "late server ($how): the client speaks first" probe echo "$TARGET" 1000000
	check "late server ($how): the target speaks first" probe first "$TARGET"
	check "late server ($how): up" probe up "$TARGET" 4000000
	check "late server ($how): down" probe down "$TARGET6" 4000000
	check "late server ($how): half-close by the target" probe late "$TARGET" 1000000
	check "late server ($how): 50 flows at once" probe flows "$TARGET" 50 50000
	# such a server is waited for for a quarter of a second at most: a busy machine may need a second try
	refused() { probe error "$TARGET" 1 ECONNREFUSED 4000; }
	wait_for "refusal of a late server ($how)" 20 refused && ok "late server ($how): a closed port is not connected"
	eval "stop_pid \$pid_client_$how" && same "client ended with status" 0 "$status"
	stop_pid "$late"
done

# --- one that answers before any payload is believed to do so always, and waited for: the client sees the truth
start early "$S" python3 "$here/tests/tools/laterelay.py" 4000 "$work/early" early
wait_for "early relay" 10 test -e "$work/early"
tungo_up client_early '' -F "relay://$SERVER:4000"
learnt() { probe first "$TARGET" && probe error "$TARGET" 1 ECONNREFUSED 4000; } # a busy machine may need a second try
wait_for "refusal that comes late" 20 learnt && ok "a node that answers early is waited for: a late refusal is one"
stop_pid "$pid_client_early" && same "client ended with status" 0 "$status"
stop_pid "$pid_early"
