#!/bin/sh
# tests/e2e/29_gateway_clients.sh - two LAN clients on subnets of their own, behind a router with tungo: who is let in, what
# is not believed, and one that floods while the other fetches.
#
#     greedy ($L) --l0 10.90.5.2 ---- 10.90.5.1 c1-- router ($C) -> [tungo] -> cgost -- c0 --> server (routes) --> target
#     modest ($M) --m0 10.90.6.2 ---- 10.90.6.1 c2-/                                 10.90.9.77: swallows what it gets
. "$(dirname "$0")/lib.sh"
L=${tag}l M=${tag}m
flood() { inside "$L" timeout 60 python3 "$here/tests/tools/rawflood.py" "$@"; }
greedy() { inside "$L" timeout 60 python3 "$here/tests/tools/probe.py" "$@"; }
modest() { inside "$M" timeout 60 python3 "$here/tests/tools/probe.py" --seconds 30 "$@"; }
net_up
net_route
inside "$C" sh -c 'cd /proc/sys/net && echo 1 >ipv4/ip_forward && echo 1 >ipv6/conf/all/forwarding && echo 2 >ipv4/conf/default/rp_filter'
ip -n "$S" route add blackhole 10.90.9.77
net_mark
trap 'for d in c1 c2; do ip -n "$C" link del $d 2>/dev/null; done; for n in "$L" "$M"; do for p in $(ip netns pids "$n" 2>/dev/null); do kill "$p"; done; ip netns del "$n" 2>/dev/null; done; finish' EXIT
net_lan "$L" l0 c1 5
net_lan "$M" m0 c2 6
target_up
counted() { sed -n "s/.*$2 \([0-9]*\).*/\1/p" "$work/$1.log" | tail -n 1; }
at_least() { [ "${1:-0}" -ge "$2" ]; }
ends() { stop_pid "$2" && same "$1 ended with status" 0 "$status"; }

# --- both subnets, both families
tungo_up both 'udpTimeout=5s'
for a in "$TARGET" "$TARGET6"; do
	for who in greedy modest; do
		check "$who, $a: up" $who up "$a" 1000000
		check "$who, $a: down" $who down "$a" 1000000
		check "$who, $a: datagrams" $who udp "$a" 1 1000 1300
		check "$who, $a: a closed port is refused" $who error "$a" 1 ECONNREFUSED 10000
	done
done

# --- hop limits: the router answers for 1, we for 2, the target for the rest
hop() { inside "$L" ping "$2" -c 1 -W 10 -t "$3" "$1" 2>&1 | sed -n 's/^From \([^ ]*\) icmp_seq=1 [tT]ime.*/\1/p; s/^\(64\|72\) bytes from \([^ ]*\): .*/\2/p' | sed 's/:$//' | head -n 1; }
same "the first hop is the router" 10.90.5.1 "$(hop "$TARGET" -4 1)"
same "the second are we" 192.168.123.2 "$(hop "$TARGET" -4 2)"
same "then the target" "$TARGET" "$(hop "$TARGET" -4 3)"
same "IPv6: the first hop is the router" fd90:5::1 "$(hop "$TARGET6" -6 1)"
same "IPv6: the second are we" fd12:3::2 "$(hop "$TARGET6" -6 2)"
same "IPv6: then the target" "$TARGET6" "$(hop "$TARGET6" -6 3)"

# --- what must not be believed
check "wrong checksums" flood badsums 10.90.5.2 "$TARGET" 20
check "errors about what was never sent" flood lies 10.90.5.2 "$TARGET" 30
check "the link still works" modest flows "$TARGET" 5 50000
ends both "$pid_both"
check "wrong checksums are dropped and counted: $(counted both checksum) of 60" at_least "$(counted both checksum)" 60
check "lying errors are counted: $(counted both 'not believed') of 30" at_least "$(counted both 'not believed')" 30

# --- with icmp=forward, routers behind us are seen, too
tungo_up pinging 'icmp=forward'
for v in "-4 $TARGET 10.90.5.1 192.168.123.2 10.90.1.1" "-6 $TARGET6 fd90:5::1 fd12:3::2 fd90:1::1"; do
	set -- $v
	for n in 1 2 3 4; do
		want=$2 && [ $n = 4 ] || eval "want=\$$((n + 2))"
		same "$2, forwarded: hop $n" "$want" "$(hop "$2" "$1" $n)"
	done
	same "$2: three pings with 3 hops are told of each" 3 "$(inside "$L" ping "$1" -c 3 -i 0.2 -W 10 -t 3 "$2" | grep -c "^From $5 icmp_seq=[123] ")"
done
ends pinging "$pid_pinging"

# --- admission by subnet
tungo_up admitting 'admission=10.90.5.0/24,fd90:5::/64'
for a in "$TARGET" "$TARGET6"; do
	check "$a: a client that is not admitted hears so" greedy error "$a" 7 "EHOSTUNREACH|EACCES" 10000
	check "$a: the other one is served" modest echo "$a" 1000
done
ends admitting "$pid_admitting"

# --- 2,000 flows of one client, more than there are descriptors
start many "$C" prlimit --nofile=400:400 "$CGOST" -L "$(tungo_url)"
mine="$mine $pid"
tungo_is_up
start hoard "$L" python3 "$here/tests/tools/hoard.py" "$TARGET" 2000
wait_for "2000 flows asked for" 30 grep -q ready "$work/hoard.log"
hoarding() { [ "$(fds "$pid_many")" -ge 260 ]; }
wait_for "260 of them" 30 hoarding && ok "one client has many flows: $(fds "$pid_many") descriptors of 400"
check "the other client: 15 flows at once" modest flows "$TARGET" 15 100000
check "the other client: IPv6" modest down "$TARGET6" 1000000
check "the other client: datagrams" modest udp "$TARGET" 1 1000
stop_pid "$pid_hoard"
none_left() { [ "$(inside "$C" ss -Htn state established state syn-sent | wc -l)" = 0 ]; } # descriptors of pipes are kept
if wait_for "the end of its flows" 30 none_left; then ok "its flows end with it"; fi
ends many "$pid_many"

# --- floods
tungo_up flooded ''
check "10000 SYNs for a target that swallows them" flood syns 10.90.5.2 10.90.9.77 80 10000
check "the other client: 20 flows at once" modest flows "$TARGET" 20 100000
check "datagrams from 20000 ports" flood datagrams 10.90.5.2 10.90.9.77 9 20000
check "the other client: datagrams" modest udpmany "$TARGET" 20 5
check "the other client: 20 flows" modest flows "$TARGET" 20 100000
start acks "$L" python3 "$here/tests/tools/rawflood.py" acks 10.90.5.2 "$TARGET" 4
check "acknowledgements without end, the other client: 10 flows" modest flows "$TARGET" 10 100000
check "acknowledgements without end, the other client: down" modest down "$TARGET" 3000000
stop_pid "$pid_acks"
check "afterwards the flooding client is served, too" greedy echo "$TARGET" 1000
start hops "$L" python3 "$here/tests/tools/rawflood.py" hops 10.90.5.2 "$TARGET" 2 # each one an error of ours, 200 of them a second go out
told_often() { kill -USR1 "$pid_flooded" && at_least "$(counted flooded 'held back')" 2000; }
wait_for "errors held back" 60 told_often && ok "one client is told 200 errors a second: held back $(counted flooded 'held back')"
# were all of them one client's it would hear of one in twenty; while the machine stands still the flood fills the device's queue
for try in 1 2 3; do
	heard=$(inside "$M" ping -c 20 -i 0.2 -W 10 -t 2 "$TARGET" | grep -c '^From 192.168.123.2 ')
	! at_least "$heard" 8 || break
done
check "the other client hears of its errors: $heard of 20" at_least "$heard" 8
kill "$pid_hops"
ends flooded "$pid_flooded"
check "resets were held back: $(counted flooded 'resets held back')" at_least "$(counted flooded 'resets held back')" 100
