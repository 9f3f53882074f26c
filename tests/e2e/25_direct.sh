#!/bin/sh
# tests/e2e/25_direct.sh - by which way our own connections leave: interface (name, address, list, strict, auto), so_mark,
# netns; networks that come, go and move while cgost runs.
#
#     app -> [tungo] -> cgost client -- c0 10.90.1.2, or c2 10.90.3.2 --> server (routes here) --> target says whom it sees
. "$(dirname "$0")/lib.sh"
tool=$here/tests/tools/whoami.py
net_up
net_route
second_up() {
	ip link add c2 netns "$C" type veth peer name s2 netns "$S"
	addr "$C" c2 10.90.3.2/24 fd90:3::2/64
	addr "$S" s2 10.90.3.1/24 fd90:3::1/64
}
second_up
ip -n "$T" route add 10.90.3.0/24 via 10.90.2.1
ip -n "$T" -6 route add fd90:3::/64 via fd90:2::1
ip -n "$C" route del default
ip -n "$C" -6 route del default
inside "$C" sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/src_valid_mark'
start whoami "$T" python3 "$tool" serve "$work/whoami.ready" 9995 "$TARGET" "$TARGET6"
wait_for "target" 10 test -e "$work/whoami.ready"

who() { inside "$C" python3 "$tool" ask "$1" "$2" 9995; } # tcp|udp ADDRESS
# seen DESCRIPTION IPV4 IPV6 [tcp|udp]: what the target sees, or the error
seen() {
	for p in ${4:-tcp udp}; do
		same "$1: $p" "$2" "$(who "$p" "$TARGET")"
		[ -z "$3" ] || same "$1: $p, IPv6" "$3" "$(who "$p" "$TARGET6")"
	done
}
says() { grep -q "$2" "$work/$1.log"; }
A4=10.90.1.2 A6=fd90:1::2 B4=10.90.3.2 B6=fd90:3::2
way() { # add|del|replace c0|c2 METRIC
	case $2 in c0) g4=10.90.1.1 g6=fd90:1::1 ;; *) g4=10.90.3.1 g6=fd90:3::1 ;; esac
	ip -n "$C" route "$1" default via $g4 dev "$2" metric "$3"
	ip -n "$C" -6 route "$1" default via $g6 dev "$2" metric "$3"
}
# the device takes everything: only what is bound gets out
tun() { # NAME QUERY ARGUMENT...
	name=$1 query=$2 && shift 2
	cgost "$name" "$C" -L "tungo://:0?name=tungo&net=192.168.123.1/24,fd12:3::1/64&route=0.0.0.0/0,::/0&udpTimeout=5s${query:+&$query}" "$@"
	wait_for "device" 10 device_up "$C" tungo && wait_for "route" 5 routed "$TARGET" && wait_for "route" 5 routed "$TARGET6" || exit 1
}

# --- auto: no network at start, then one, then a better one, then the first again
tun auto interface=auto
seen "no default route yet" ENETUNREACH ENETUNREACH
logged "and it is said" auto 'there is no default route'
way add c0 20
wait_for "c0 is told" 5 says auto "IPv4 by c0 (10.90.1.2), IPv6 by c0"
seen "auto follows c0" $A4 $A6
mkfifo "$work/keep.in"
inside "$C" python3 "$tool" keep "$TARGET" 9995 <"$work/keep.in" >"$work/keep.out" 2>&1 &
keeper=$! && pids="$keeper $pids"
exec 4>"$work/keep.in"
kept=0
# next_kept: what the long-lived socket's target sees now, or its error
next_kept() { kept=$((kept + 1)); echo >&4; wait_for "an answer of the long-lived socket" 8 sh -c "[ \$(wc -l <'$work/keep.out') -ge $kept ]"; sed -n "${kept}p" "$work/keep.out"; }
same "a long-lived UDP socket" $A4 "$(next_kept)"
kept=1
way add c2 10
wait_for "c2 is told" 5 says auto "IPv4 by c2"
seen "auto follows the better one" $B4 $B6
same "the long-lived UDP socket, too" $B4 "$(next_kept)"
kept=2
ip -n "$C" -6 route del default dev c2
wait_for "families apart" 5 says auto "IPv4 by c2 (10.90.3.2), IPv6 by c0"
seen "IPv4 and IPv6 by different devices" $B4 $A6
ip -n "$C" link del c2
wait_for "c0 again" 5 says auto "IPv4 by c0 (10.90.1.2), IPv6 by c0 (fd90:1::2)\".*"
seen "its device is gone: the other one" $A4 $A6
same "the long-lived UDP socket, too (2)" $A4 "$(next_kept)"
kept=3
stop_pid "$pid_auto" && same "auto ended with status" 0 "$status"
logged_times "that there was no way was said once" 1 auto '"level":"warn".*connections fail until'

# --- an interface that goes and comes back, under another number
second_up
way add c2 30
tun name interface=c2
seen "by name" $B4 $B6
same "the long-lived UDP socket by name" $B4 "$(next_kept)"
kept=4
ip -n "$C" link del c2
wait_for "its end is told" 5 says name "interface c2: no such network interface or address; connections fail"
seen "gone" ENETUNREACH ENETUNREACH
second_up
way add c2 30
wait_for "its return is told" 5 says name "IPv4 by c2 (10.90.3.2)"
seen "back again" $B4 $B6
same "the long-lived UDP socket, too (3)" $B4 "$(next_kept)"
exec 4>&-
stop_pid "$pid_name" && same "name ended with status" 0 "$status"

# --- lists, addresses, strict
tun list interface=nosuch0,c2,c0
seen "list" $B4 $B6
ip -n "$S" link set s2 down
wait_for "the link's end is told" 5 says list "IPv4 by c0"
seen "list, the first without a link" $A4 $A6
stop_pid "$pid_list" && same "list ended with status" 0 "$status"
tun strict 'interface=nosuch0!,c0'
seen "strict" ENETUNREACH ENETUNREACH
stop_pid "$pid_strict"
ip -n "$C" link del c2
second_up
way add c2 30
tun byaddr interface=10.90.3.2,fd90:3::2
seen "by address" $B4 $B6
stop_pid "$pid_byaddr"

# --- mark
ip -n "$C" rule add fwmark 7 lookup 77 pref 10
ip -n "$C" route add default via 10.90.3.1 dev c2 table 77
tun mark so_mark=7
seen "so_mark" $B4 ""
stop_pid "$pid_mark"
ip -n "$C" rule del pref 10
ip -n "$C" route flush table 77

# --- what can't be reached looks as it does without us: the same errors, TCP and UDP, both families
second_part() { ip -n "$S" route add "$1" 10.90.9.78 && ip -n "$S" route add "$2" 10.90.9.79 && ip -n "$S" -6 route add "$1" fd90:9::78 && ip -n "$S" -6 route add "$2" fd90:9::79; }
second_part unreachable prohibit
ask() { inside "$C" python3 "$tool" ask "$@"; }
# a router of Linux may hold an error back: silence is asked again
errors() { for a in "$TARGET" 10.90.9.78 10.90.9.79 10.90.8.8 "$TARGET6" fd90:9::78 fd90:9::79 fd90:8::8; do for p in tcp udp; do
	for try in 1 2 3; do e=$(ask $p $a 9) && [ "$e" = silence ] || break; done
	echo "$p $a $e"
done; done; }
errors >"$work/errors.without"
check "the net itself knows four errors" sh -c "[ \"\$(cut -d' ' -f3 '$work/errors.without' | sort -u | tr '\n' ' ')\" = 'EACCES ECONNREFUSED EHOSTUNREACH ENETUNREACH ' ]"
inside "$C" curl -sS -m 60 "http://$TARGET:9/" >/dev/null 2>"$work/curl.without"
exit_without=$?
tun truth interface=c0
errors >"$work/errors.with"
check "errors as without us" diff "$work/errors.without" "$work/errors.with"
inside "$C" curl -sS -m 60 "http://$TARGET:9/" >/dev/null 2>"$work/curl.with"
same "curl's exit status" $exit_without $?
same "curl's words" "$(sed 's/after [0-9]* ms//' "$work/curl.without")" "$(sed 's/after [0-9]* ms//' "$work/curl.with")"
stop_pid "$pid_truth"
# through nodes as far as their protocol can say it
cgost nodes "$S" -L socks5://:1082 -L relay+tls://:1083
for p in 1082 1083; do wait_for "nodes" 5 listens "$S" $p; done
for node in "socks5 socks5://$SERVER:1082?interface=c0" "relay relay+tls://$SERVER:1083?interface=c0"; do
	tun chained '' -F "${node#* }"
	for v in "$TARGET ECONNREFUSED ECONNREFUSED" "$TARGET6 ECONNREFUSED ECONNREFUSED" '10.90.9.78 EHOSTUNREACH EHOSTUNREACH' 'fd90:9::78 EHOSTUNREACH EHOSTUNREACH' '10.90.8.8 ENETUNREACH ECONNREFUSED'; do
		set -- $v
		[ "${node%% *}" = socks5 ] || shift
		for try in 1 2 3 4 5 6 7 8 9; do # a relay's word that comes late is not waited for until one has come soon
			got=$(ask tcp "${v%% *}" 9)
			[ "$got" != "$2" ] || break
		done
		same "${node%% *}: tcp to ${v%% *}" "$2" "$got"
	done
	stop_pid "$pid_chained"
done
tun nodeauto '' -F "socks5://$SERVER:1082?interface=auto"
seen "a node's interface=auto, the device takes everything" 10.90.2.1 fd90:2::1 tcp
stop_pid "$pid_nodeauto"
stop_pid "$pid_nodes"
check "a namespace that is not there is named" sh -c "! ip netns exec $C timeout 40 '$CGOST' -L 'socks5://:1080?netns=nosuch' >'$work/nosuch.txt' 2>&1 && grep -q 'network namespace nosuch' '$work/nosuch.txt'"
tun rules "interface=c0&bypass=10.90.9.0/24,fd90:9::/64"
for a in "$TARGET EHOSTUNREACH" "$TARGET6 EACCES"; do
	for p in tcp udp; do same "$p to ${a% *} is prohibited by a rule, and says so" "${a#* }" "$(ask $p "${a% *}" 9995)"; done
done
# nobody is there: dropped, counted, told with SIGUSR1
inside "$C" python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"tungo")
for a in "192.168.123.77", "192.168.123.255", "255.255.255.255", "224.0.0.251":
    s.sendto(b"x", (a, 5353))'
dropped() { kill -USR1 "$pid_rules" && says rules 'dropped:.* multicast [1-9].* own-subnet 2'; }
wait_for "the counters" 5 dropped && ok "neighbours, broadcast and groups are dropped and counted"
stop_pid "$pid_rules" && same "rules ended with status" 0 "$status"
# a node behind its own device
tun loop '' -F "socks5://10.90.9.50:1080" -F "socks5://10.90.9.51:1080"
for i in 1 2 3; do same "a dial that comes back is refused at once" EHOSTUNREACH "$(ask tcp 10.90.7.7 80)"; done
same "a flow to the node itself: TCP" EHOSTUNREACH "$(ask tcp 10.90.9.50 1080)"
same "a flow to the node itself: UDP" EHOSTUNREACH "$(ask udp 10.90.9.50 1080)"
stop_pid "$pid_loop"
logged_times "told once, with the mend" 1 loop 'routing loop.*10.90.9.50:1080.*Set `interface`'

# no node, no interface: our own connections come back
tun self ''
for a in "$TARGET" "$TARGET6"; do for p in tcp udp; do same "our own $p to $a comes back: refused at once" 'E(HOST|NET)UNREACH' "$(ask $p "$a" 9995 | sed 's/^E\(HOST\|NET\)UNREACH$/E(HOST|NET)UNREACH/')"; done; done
stop_pid "$pid_self" && same "self ended with status" 0 "$status"
logged_times "told once, with the mend (2)" 1 self 'routing loop: a flow of our own.*Set `interface` on the service'
check "few packets were made of it (2)" sh -c "[ \$(sed -n 's/.*packets: in \([0-9]*\),.*/\1/p' '$work/self.log' | tail -n 1) -lt 60 ]"

# --- pings that really leave
pinged() { inside "$C" ping -n -c 1 -W "${quiet:-15}" "$@" 2>&1; }
echoes() { inside "$T" cat /proc/net/snmp /proc/net/snmp6 | awk '/^Icmp: [0-9]/ { n += $10 } /^Icmp6InEchos / { n += $2 } END { print n }'; }
tun ping 'interface=c0&icmp=forward'
before=$(echoes)
for a in "$TARGET" "$TARGET6"; do
	check "ping of $a" pinged "$a"
	check "ping of $a, 5000 bytes" pinged -s 5000 "$a"
done
same "the target has seen all four" $((before + 4)) "$(echoes)"
for v in '10.90.9.78 Host.Unreachable' '10.90.9.79 Packet.filtered\|Host.Unreachable' '10.90.8.8 Net.Unreachable' 'fd90:9::78 No.route' 'fd90:9::79 Administratively.prohibited'; do
	for try in 1 2 3; do pinged "${v%% *}" >"$work/ping" && break; grep -q 'From' "$work/ping" && break; done # routers hold errors back
	check "ping of ${v%% *} hears what the net says" grep -q "${v#* }" "$work/ping"
done
inside "$C" sh -c 'for i in 1 2 3 4 5 6 7 8; do ping -n -q -c 3 -i 0.2 -W 15 '"$TARGET"' & done; wait' >"$work/pings"
same "eight at once, three each" 8 "$(grep -c ' 3 received' "$work/pings")"
stop_pid "$pid_ping"
ip -n "$C" link del c2 && second_up && way add c2 5
tun pingc2 'interface=c2&icmp=forward'
ip netns exec "$C" ping -n -i 0.2 -c 600 "$TARGET" >"$work/long" 2>&1 &
pinger=$!
wait_for "the long ping" 5 grep -q 'icmp_seq=2 ' "$work/long"
ip -n "$C" link del c2
wait_for "its interface goes" 5 grep -q 'Unreachable' "$work/long"
second_up && way add c2 5
again() { sed -n '/Unreachable/,$p' "$work/long" | grep -q 'time='; }
if wait_for "the long ping goes on" 6 again; then ok "a long ping outlives its interface"; fi
kill "$pinger" 2>/dev/null
wait $pinger
way del c2 5
pid_ping=$pid_pingc2
stop_pid "$pid_ping" && same "ping ended with status" 0 "$status"
tun noping 'interface=c0&icmp=forward' -F "socks5://$SERVER:1"
check "a chain carries no pings, and says so" sh -c "ip netns exec $C ping -n -c 1 -W 15 $TARGET | grep -q 'filtered\|prohibited'"
stop_pid "$pid_noping"
inside "$C" sh -c 'echo "1 0" >/proc/sys/net/ipv4/ping_group_range'
tun mayping 'interface=c0&icmp=forward'
quiet=2 pinged "$TARGET" >"$work/ping" # it gets no answer
logged "no ping socket: told with the mend" mayping 'ping_group_range'
check "and no answer is made up" sh -c "! grep -q '1 received' '$work/ping'"
stop_pid "$pid_mayping"
inside "$C" sh -c 'echo "0 2147483647" >/proc/sys/net/ipv4/ping_group_range'
tun pingloop 'icmp=forward'
check "a ping that comes back to the device ends there" sh -c "! ip netns exec $C ping -n -c 1 -W 2 $TARGET >/dev/null"
stop_pid "$pid_pingloop" && same "pingloop ended with status" 0 "$status"
check "few packets were made of it" sh -c "[ \$(sed -n 's/.*packets: in \([0-9]*\),.*/\1/p' '$work/pingloop.log' | tail -n 1) -lt 60 ]"

# --- namespaces: of the listener and the direct connections, of the latter alone, of a node, of the device
socks() { inside "$1" python3 - "$2" "$3" "$TARGET" <<'PY'
import socket, struct, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 60)
s.sendall(b"\5\1\0"); assert s.recv(2) == b"\5\0"
s.sendall(b"\5\1\0\1" + socket.inet_aton(sys.argv[3]) + struct.pack(">H", 9995))
print(s.recv(10, socket.MSG_WAITALL)[1] or s.recv(64).decode())
PY
}
cgost ns "$C" -L "socks5://:1080?netns=$S"
wait_for "listener" 5 listens "$S" 1080
same "netns: listens there, and dials from there" 10.90.2.1 "$(socks "$C" $SERVER 1080)"
stop_pid "$pid_ns" && same "ns ended with status" 0 "$status"
cgost out "$C" -L "socks5://127.0.0.1:1080?netns.out=$S"
wait_for "listener" 5 listens "$C" 1080
same "netns.out: listens here, dials from there" 10.90.2.1 "$(socks "$C" 127.0.0.1 1080)"
stop_pid "$pid_out"
cgost auto2 "$S" -L "socks5://127.0.0.1:1080?netns.out=$C&interface=auto"
wait_for "listener" 5 listens "$S" 1080
same "interface=auto in another namespace" $A4 "$(socks "$S" 127.0.0.1 1080)"
way add c2 5
wait_for "its change there" 5 says auto2 "IPv4 by c2"
same "followed there, too" $B4 "$(socks "$S" 127.0.0.1 1080)"
way del c2 5
stop_pid "$pid_auto2" && same "auto2 ended with status" 0 "$status"
cgost far "$S" -L "socks5://127.0.0.1:1080"
cgost node "$C" -L "socks5://127.0.0.1:1081" -F "socks5://127.0.0.1:1080?netns=$S"
wait_for "listener" 5 listens "$S" 1080
wait_for "listener" 5 listens "$C" 1081
same "netns of a node" 10.90.2.1 "$(socks "$C" 127.0.0.1 1081)"
stop_pid "$pid_node"
stop_pid "$pid_far"
cgost dev "$S" -L "tungo://:0?name=tungo&net=192.168.123.1/24&route=10.90.9.0/24&netns=$C&netns.out=/proc/self/ns/net"
wait_for "device in the other namespace" 10 device_up "$C" tungo
wait_for "route" 5 routed "$TARGET"
same "netns: the device is made there, netns.out: connections leave from here" 10.90.2.1 "$(who tcp "$TARGET")"
same "and datagrams" 10.90.2.1 "$(who udp "$TARGET")"
stop_pid "$pid_dev" && same "dev ended with status" 0 "$status"
