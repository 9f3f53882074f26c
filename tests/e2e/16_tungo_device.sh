#!/bin/sh
# tests/e2e/16_tungo_device.sh - the device itself: removed, set down, taken names, DNS servers, another namespace; and that
# nothing of the client's traffic leaves by its default route meanwhile, while cgost's own sockets do.
#
#     app -> [tungo] -> cgost -- c0 --> server (routes here) --> target
. "$(dirname "$0")/lib.sh"
net_up
net_route
target_up
net_mark
both() { probe udp "$TARGET" 100 && probe udp "$TARGET6" 100 && probe echo "$TARGET" 10000 && probe echo "$TARGET6" 10000; }
direct() { inside "$C" ip route get "$1" 2>/dev/null | grep -q 'dev c0'; }
said() { grep -q "$2" "$work/$1.log"; }

tungo_up client 'udpTimeout=5s'
base=$(fds "$pid_client")
check "traffic before" both
for i in 1 2 3; do
	index=$(inside "$C" cat /sys/class/net/tungo/ifindex)
	ip -n "$C" link del tungo
	leaked=
	again() {
		if direct "$TARGET" || direct "$TARGET6"; then leaked=yes; fi
		[ "$(inside "$C" cat /sys/class/net/tungo/ifindex || echo "$index")" != "$index" ] && routed "$TARGET" && routed "$TARGET6"
	}
	wait_for "removed ($i): the device is back" 5 again
	same "removed ($i): nothing could leave by c0" "" "$leaked"
	check "removed ($i): traffic again" both
done
ip -n "$C" link set tungo down
if direct "$TARGET" || direct "$TARGET6"; then bad "set down: traffic leaves by c0"; else ok "set down: nothing leaves by c0"; fi
ip -n "$C" link set tungo up
wait_for "routes back" 5 routed "$TARGET" && wait_for "routes back" 5 routed "$TARGET6" && check "up again: traffic" both
logged "and it was said" client 'is up again'
same "one address per family, as before" 2 "$(ip -n "$C" -o addr show dev tungo scope global | wc -l)"
fds_back client "$pid_client" "$base" 10

# a second one of the same name is refused at once, in words; a long name too
inside "$C" timeout 40 "$CGOST" -L "$(tungo_url)" >"$work/second.log" 2>&1
check "a taken name is refused with a reason" said second 'busy'
inside "$C" timeout 40 "$CGOST" -L 'tungo://:0?name=sixteen-letters-&net=192.168.7.1/24' >"$work/long.log" 2>&1
check "a long name is refused with a reason" said long '15'
inside "$C" timeout 40 "$CGOST" -L 'tungo://:0?name=tx&net=192.168.7.1/24&mtu=70000' >"$work/mtu.log" 2>&1
check "a senseless MTU is refused with a reason" said mtu 'mtu'
check "the first one never noticed" both
stop_pid "$pid_client" && same "client ended with status" 0 "$status"

# DNS servers by resolvectl, undone at the end; without it a warning and all else works
mkdir "$work/bin"
printf '#!/bin/sh\necho "$@" >>%s/calls\n' "$work" >"$work/bin/resolvectl" && chmod +x "$work/bin/resolvectl"
start client "$C" env PATH="$work/bin:$PATH" "$CGOST" -L "$(tungo_url 'dns=1.1.1.1,2606:4700::1111')"
mine="$mine $pid"
tungo_is_up
stop_pid "$pid_client" && same "client ended with status" 0 "$status"
same "resolvectl was called" "dns tungo 1.1.1.1 2606:4700::1111 revert tungo" "$(tr '\n' ' ' <"$work/calls" | sed 's/ $//')"
start client "$C" env PATH=/nonexistent "$CGOST" -L "$(tungo_url 'dns=1.1.1.1')"
mine="$mine $pid"
tungo_is_up
logged "no resolvectl: a warning" client 'resolvectl'
check "no resolvectl: traffic" both
kill -9 "$pid_client" && reap "$pid_client"
mine=$(echo "$mine" | sed "s/ $pid_client\$//")
unchanged() { net_state | cmp -s - "$work/net.before"; }
wait_for "SIGKILL: devices and routes as before" 5 unchanged && ok "SIGKILL: devices and routes as before"
