#!/bin/sh
# tests/e2e/36_parts.sh - `cgost A -- B`: a process for each part; signals, failures and the end are everybody's.
#
#     app -> http :8080 [second part] -> socks5 :1080 [first part] -> c0 -> target
. "$(dirname "$0")/lib.sh"
net_up
net_route
target_up
net_mark
parts_of() { sed 's/(.*) [A-Z]//' /proc/[0-9]*/stat 2>/dev/null | awk -v p="$1" '$2 == p { printf "%s ", $1 }'; } # its children
gone() { ! listens "$C" 1080 && ! listens "$C" 8080; }
up() { # two parts, and both serve
	cgost "$1" "$C" -L socks5://127.0.0.1:1080 -- -L http://127.0.0.1:8080 -F socks5://127.0.0.1:1080
	wait_for "$1: first part" 10 listens "$C" 1080
	wait_for "$1: second part" 10 listens "$C" 8080
	same "$1: a process for each part" 2 "$(parts_of "$pid" | wc -w)"
}

up both
check "through both" probe --via http://127.0.0.1:8080 echo "$TARGET" 100000
kill -HUP "$pid_both"
logged "both hear a signal" both 'SIGHUP: ' 2
stop_pid "$pid_both" && same "SIGTERM: all end, with status" 0 "$status"
logged_times "each of them once" 2 both 'SIGHUP: '
wait_for "the end of the parts" 10 gone && ok "nobody is left"

# one fails: the others are stopped, the status tells
cgost taken "$C" -L socks5://127.0.0.1:1080
wait_for "a port that is taken" 10 listens "$C" 1080
start fails "$C" "$CGOST" -L http://127.0.0.1:8080 -- -L socks5://127.0.0.1:1080
reap "$pid_fails"
same "a part that can't start: status" 1 "$status"
logged "... the log says which" fails 'part 2 of the command line'
other_gone() { ! listens "$C" 8080; }
wait_for "the end of the other one" 10 other_gone && ok "... the other one is stopped"
stop_pid "$pid_taken"

# a hook that hangs on the way down: the second signal ends it, in the part that has it
cat >"$work/hangs.yaml" <<END
services:
- {name: hangs, addr: "127.0.0.1:1080", handler: {type: socks5}, metadata: {preDown: "sleep 1000", postDown: "echo so be it"}}
END
cgost hangs "$C" -C "$work/hangs.yaml" -- -L http://127.0.0.1:8080
wait_for "hangs: first part" 10 listens "$C" 1080
wait_for "hangs: second part" 10 listens "$C" 8080
kill "$pid_hangs"
wait_for "the hook" 10 grep -q 'pre-down. sleep' "$work/hangs.log"
wait_for "the end of the other part" 10 sh -c "! ip netns exec $C ss -Hltn 'sport = :8080' | grep -q ."
kill "$pid_hangs"
reap "$pid_hangs" && logged "another signal ends the hook" hangs 'pre-down.*signal: Terminated'
same "a hook that hangs: status" 0 "$status"
logged "... and what follows it is done" hangs '^so be it'

# the first process is killed: nobody is an orphan
up killed
children=$(parts_of "$pid_killed")
kill -9 "$pid_killed" && reap "$pid_killed"
wait_for "the end of the parts" 10 gone && ok "SIGKILL of the first process ends the parts ($children)"

# what only looks
inside "$C" "$CGOST" -t -L :1 -- -t -L :2 >"$work/test.out" 2>&1
same "-t: all are fine" "0 2" "$? $(grep -c 'configuration ok' "$work/test.out")"
inside "$C" "$CGOST" -t -L :1 -- -t -L :http >"$work/test.out" 2>&1
same "-t: one is wrong" "1" "$?"
inside "$C" timeout 60 "$CGOST" -t -L :1 -- -L socks5://127.0.0.1:1080 >"$work/test.out" 2>&1
same "-t in one part only serves nobody" "2" "$?"
inside "$C" "$CGOST" -t -L :http -- -t -L :2 >"$work/test.out" 2>&1
same "-t: the first is wrong, the second is checked, too" "1 1" "$? $(grep -c 'configuration ok' "$work/test.out")"
inside "$C" "$CGOST" -O yaml -L tcp://:1/a:1 -- -O yaml -L tcp://:1/a:1 >"$work/test.out" 2>&1
same "-O: one after another, targets tell the part" "0 go-0@target-0 go-1@target-0" "$? $(sed -n 's/.*name: go-/go-/p' "$work/test.out" | tr '\n' ' ' | sed 's/ $//')"
inside "$C" timeout 60 "$CGOST" -O yaml -L :1 -- -L socks5://127.0.0.1:1080 >"$work/test.out" 2>&1
same "-O in one part only serves nobody" "2" "$?"
inside "$C" timeout 60 "$CGOST" -L socks5://127.0.0.1:1080 -- -nonsense >"$work/test.out" 2>&1
same "a wrong flag in one part: nobody begins" "2 0" "$? $(grep -c listening "$work/test.out")"
inside "$C" timeout -k 1 60 env --ignore-signal=CHLD "$CGOST" -t -L :1 -- -t -L :http >"$work/test.out" 2>&1
same "started by somebody who ignores SIGCHLD: the end is heard" "1" "$?"
finish
