#!/bin/sh
# tests/e2e/29_gateway_link.sh - clients of a router that do not read for a minute, whose link goes for some seconds, or for
# ever. The minute runs beside all else; for "ever" the program's clock is made to run 40 times as fast.
#
#     patient ($L) --l0 10.90.5.2 ------------------ 10.90.5.1 c1-- router ($C) -> [tungo]  -> cgost -- c0 --> target .9.9
#     wireless ($M) --m0 10.90.6.2 -- badlink -- 10.90.6.1 c2-/                 \> [tungo2] -> cgost -- c0 -->        .8.8
. "$(dirname "$0")/lib.sh"
badlink=$(dirname "$CGOST")/tools/badlink quick=$(dirname "$CGOST")/tools/quickclock.so
[ -x "$badlink" ] && [ -e "$quick" ] || skip "$badlink or $quick is not built (make tools)"
command -v nft >/dev/null || skip "nft is missing"
L=${tag}l M=${tag}m OTHER=10.90.8.8
quick=$(ldd "$CGOST" | sed -n 's/.*=> \(.*lib[at]san\.so[^ ]*\).*/\1 /p')$quick # the sanitizers want to be the first
net_up
net_route
addr "$T" lo $OTHER/32
ip -n "$S" route add $OTHER/32 via 10.90.2.2
inside "$C" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
net_mark
trap 'for p in $pids; do kill "$p" 2>/dev/null; done; ip -n "$C" link del c1 2>/dev/null; for n in "$L" "$M"; do for p in $(ip netns pids "$n" 2>/dev/null); do kill "$p"; done; ip netns del "$n" 2>/dev/null; done; finish' EXIT
start target "$T" python3 "$here/tests/tools/target.py" --addr "$TARGET" --addr "$TARGET6" --addr $OTHER --ready "$work/target.ready"
wait_for "target" 10 test -e "$work/target.ready"
net_lan "$L" l0 c1 5
tungo_up router ''
does() { # NAME NAMESPACE WORD...: a probe beside all else
	start "$1" "$2" timeout 200 python3 "$here/tests/tools/probe.py" --seconds 150 "$3" "$4" "$5" ${6:+"$6"} ${7:+"$7"}
}
came() { # WHAT NAME: it ends, and every byte is there
	eval "p=\$pid_$2"
	wait_for "$1" 150 ended "$p" || return
	reap "$p"
	same "$1" "0 ok" "$status $(tail -n 1 "$work/$2.log")"
}
# counters NAME: the newest record, asked for now
counters() {
	eval "p=\$pid_$1"
	before=$(log_count "$1" 'packets: in')
	kill -USR1 "$p"
	wait_for "the counters" 15 log_has "$1" 'packets: in' $((before + 1))
	grep 'packets: in' "$work/$1.log" | tail -n 1
}

# --- a client that does not read for 61 s, and a target that does not: each sends what the buffers on the way take, then
# now and then asks whether the window is still closed
lazy=61
inside "$L" nft "add table netdev seen; add chain netdev seen in { type filter hook ingress device l0 priority 0; policy accept; }
	add counter netdev seen probes; add rule netdev seen in ip saddr $TARGET tcp sport 19 counter name probes"
probes() { inside "$L" nft list counter netdev seen probes | sed -n 's/.*packets \([0-9]*\).*/\1/p'; }
for v in "4 $TARGET" "6 $TARGET6"; do
	set -- $v
	does "down_$1" "$L" lazydown "$2" $((12 << 20)) $lazy "$work/reads.$1"
	does "up_$1" "$L" lazyup "$2" $((12 << 20)) $lazy
done

# --- the link goes for 4 s in the middle of transfers
ip netns add "$M"
ip -n "$M" link set lo up
link_up() { # the addresses of IPv6 and all routes went with the link
	addr "$M" m0 fd90:6::2/64
	ip -n "$M" route replace default via 10.90.6.1
	ip -n "$M" -6 route replace default via fd90:6::1
}
"$badlink" "$M" m0 "$C" c2 delay=5 rate=30 buffer=60 </dev/null >"$work/badlink.log" 2>&1 &
link=$! && pids="$link $pids"
wait_for "link" 15 grep -q ready "$work/badlink.log" || exit 1
addr "$M" m0 10.90.6.2/24
addr "$C" c2 10.90.6.1/24 fd90:6::1/64
link_up
carried() { [ "$(inside "$M" cat /sys/class/net/m0/statistics/rx_bytes)" -ge "$1" ] && [ "$(inside "$M" cat /sys/class/net/m0/statistics/tx_bytes)" -ge "$2" ]; }
# seconds of transfer are left when a megabyte has come, for a machine that looks for it seldom
does middle_down "$M" down "$TARGET" 16000000
does middle_down6 "$M" down "$TARGET6" 16000000
does middle_up "$M" up "$TARGET" 16000000
does middle_up6 "$M" up "$TARGET6" 16000000
wait_for "a megabyte each way" 30 carried 1000000 1000000
ip -n "$M" link set m0 down
sleep 4
for p in "$pid_middle_down" "$pid_middle_down6" "$pid_middle_up" "$pid_middle_up6"; do ! ended "$p" || bad "a transfer ended before the link was back"; done
link_up
came "4 s without a link: down" middle_down
came "4 s without a link: down, IPv6" middle_down6
came "4 s without a link: up" middle_up
came "4 s without a link: up, IPv6" middle_up6

# --- the link goes and does not come back: with bytes under way, to a client without SACK, to one that does not read, while
# the client sends, and while nobody says anything
start gone "$C" env LD_PRELOAD="$quick" QUICKCLOCK=40 "$CGOST" -L "tungo://:0?name=tungo2&net=192.168.124.1/24&route=10.90.8.0/24&interface=c0"
mine="$mine $pid"
wait_for "second device" 15 device_up "$C" tungo2 || exit 1
check "the other target, by the other device" inside "$M" timeout 60 python3 "$here/tests/tools/probe.py" echo $OTHER 1000
fds_before=$(fds "$pid_gone")
does gone_down "$M" down $OTHER $((32 << 20))
does gone_up "$M" up $OTHER $((32 << 20))
does gone_closed "$M" lazydown $OTHER $((32 << 20)) 100 "$work/never"
does gone_live "$M" live $OTHER 3 "$work/live"
start hoard "$M" python3 "$here/tests/tools/hoard.py" $OTHER 5
inside "$M" sh -c 'echo 0 >/proc/sys/net/ipv4/tcp_sack'
does gone_nosack "$M" down $OTHER $((32 << 20))
at_target() { inside "$T" ss -Htn state established state close-wait state fin-wait-1 state fin-wait-2 state last-ack src "$1"; }
ends_there() { [ "$(at_target $OTHER | wc -l)" = "$1" ]; }
wait_for "12 flows at the target" 30 ends_there 12
wait_for "live flows" 30 test -e "$work/live"
carried_more() { [ "$(inside "$M" ss -Htin dport = :19 | grep -c 'bytes_received:[0-9]\{6\}')" -ge 2 ]; }
wait_for "bytes of both downloads" 30 carried_more
same "flows, before" 12 "$(counters gone | sed 's/.*TCP: flows \([0-9]*\),.*/\1/')"
ip -n "$M" link set m0 down
kill -USR2 "$pid_gone"
since=$(date +%s%N)
if wait_for "the end of all flows at the target: $(at_target $OTHER | head -n 3)" 60 ends_there 0; then ok "the link went: the target sees the end of each flow"; fi
took=$((($(date +%s%N) - since) / 25000000))
check "after $took s of the program's clock, as keepalive has it" [ $took -ge 290 ]
none_held() { last=$(counters gone) && case $last in *"TCP: flows 0, bytes held 0,"*) ;; *) false ;; esac; }
if wait_for "the end of all flows here" 60 none_held; then ok "no flow and no byte of theirs is left"; fi
count() { echo "$last" | sed -n "s/.*$1 \([0-9]*\).*/\1/p"; }
silent=$(count 'clients silent for too long') # the others by their timeouts, about then
check "ended by keepalive: ${silent:-0} of 12" [ "${silent:-0}" -ge 8 ]
fds_back gone "$pid_gone" "$fds_before" 30
stop_pid "$pid_gone" && same "ended with status" 0 "$status"
stop_pid "$link"

# --- the minute is over
wait_for "the end of the minute" 100 test -e "$work/reads.4"
asked=$(probes)
rm "$work/reads.4" # now it reads
wait_for "the end of the minute, IPv6" 100 test -e "$work/reads.6" && rm "$work/reads.6"
check "a window closed for $lazy s is asked for: $asked packets with those before it" [ "$asked" -ge 5 ]
check "but not often: $asked" [ "$asked" -le 150 ]
for v in "4 $TARGET" "6 $TARGET6"; do
	set -- $v
	came "$2: a client that read nothing for $lazy s: every byte" "down_$1"
	came "$2: a target that read nothing for $lazy s: every byte" "up_$1"
done
if wait_for "the end of their flows" 30 sh -c "[ -z \"\$(ip netns exec $T ss -Htn state established src $TARGET)\" ]"; then ok "nothing is left at the target"; fi
stop_pid "$pid_router" && same "ended with status" 0 "$status"
