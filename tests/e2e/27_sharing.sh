#!/bin/sh
# tests/e2e/27_sharing.sh - a download of a LAN host through tungo shares a bottleneck with one that the kernel carries, by
# CUBIC. The queue, of 10 ms, is too short to show in the round trip. Checked are the parts of both: with margins for a machine
# that has other work.
#
#     LAN host ($L) --l1 10.90.6.2 -- badlink, 30 Mbit/s -- 10.90.6.1 c2-- router ($C) -> tungo -> cgost --> $TARGET of the target
#                                                                            \-> the kernel ------------> 10.90.2.2, the same
. "$(dirname "$0")/lib.sh"
badlink=$(dirname "$CGOST")/tools/badlink
[ -x "$badlink" ] || skip "$badlink is not built (make tools)"
L=${tag}l
trap 'ip netns del "$L" 2>/dev/null; finish' EXIT
net_up
net_route
ip netns add "$L"
ip -n "$L" link set lo up
ip -n "$C" route add 10.90.2.0/24 via 10.90.1.1
ip -n "$S" route add 10.90.6.0/24 via 10.90.1.2
ip -n "$T" route add 10.90.6.0/24 via 10.90.2.1
inside "$C" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
start share "$T" python3 "$here/tests/tools/share.py" server 5000
wait_for "share" 10 listens "$T" 5000

# share KIND: both at once; $ours and $its, Mbit/s
share() {
	tungo_up client "congestion=$1"
	set -- $(inside "$L" timeout 40 python3 "$here/tests/tools/share.py" client 5000 9 $TARGET 10.90.2.2)
	ours=${1:-0} its=${2:-0}
	stop_pid "$pid_client"
}
bad_link "$L" rate=30 delay=10 buffer=10
for kind in tolerant cubic; do
	share $kind
	check "$kind: the kernel's flow is left a fifth, at least: $its beside $ours Mbit/s" [ $((its * 5)) -ge $((ours + its)) ]
	check "$kind: ours has a tenth, at least: $ours beside $its Mbit/s" [ $((ours * 10)) -ge $((ours + its)) ]
	check "$kind: the link is used" [ $((ours + its)) -ge 2 ]
done
