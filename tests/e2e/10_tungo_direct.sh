#!/bin/sh
# tests/e2e/10_tungo_direct.sh - TCP from the device to a direct dial (service interface=c0), IPv4 and IPv6.
#
#     app -> [tungo] -> cgost -- c0 --> server (routes here) --> target
. "$(dirname "$0")/lib.sh"
net_up
net_route
# addresses whose fate is not "connected": no route behind the server, and a prohibited one
ip -n "$S" route add unreachable 10.90.9.78
ip -n "$S" -6 route add unreachable fd90:9::78
target_up
net_mark
tungo_up client ''
for a in "$TARGET" "$TARGET6"; do check "warm-up $a" probe echo "$a" 1000; done
before=$(fds "$pid_client")

for a in "$TARGET" "$TARGET6"; do
	check "$a: $BIG bytes up, same SHA-256, then the answer (half-close by the application)" probe up "$a" "$BIG"
	check "$a: $BIG bytes down, same SHA-256" probe down "$a" "$BIG"
	check "$a: 16 MiB both ways at once" probe echo "$a" $((16 << 20))
	check "$a: half-close by the target, 4 MiB still arrive after it" probe late "$a" $((4 << 20))
	check "$a: the target speaks first" probe first "$a"
	check "$a: a reset of the target is a reset" probe reset "$a"
	check "$a: a closed port refuses" probe error "$a" 1 ECONNREFUSED 1000
	check "$a: 100 flows at once" probe flows "$a" 100 200000
done
# IPv6: Linux itself sees the first ICMPv6 error only with the second SYN, after a second
for a in 10.90.9.77 10.90.9.78; do check "$a: unreachable, and at once" probe error $a 80 'ENETUNREACH|EHOSTUNREACH' 1000; done
for a in fd90:9::77 fd90:9::78; do check "$a: unreachable, and soon" probe error $a 80 'ENETUNREACH|EHOSTUNREACH|EACCES' 2500; done
check "10 closed ports in a row" sh -c "for p in 31 32 33 34 35 36 37 38 39 40; do ip netns exec $C python3 $here/tests/tools/probe.py error $TARGET \$p ECONNREFUSED 1000 || exit 1; done"

fds_back client "$pid_client" "$before" 10
