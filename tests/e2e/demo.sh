#!/bin/sh
# tests/e2e/demo.sh [url] - the main job, shown: a machine (a network namespace) whose default route is cgost's TUN device,
# its traffic through relay+wss to a cgost server, from there to a target that nobody can reach otherwise.
. "$(dirname "$0")/lib.sh"
case ${1:-} in '' | url) mode=${1:-yaml} ;; *) echo "demo: unknown word '$1'; ./run demo or ./run demo url" >&2 && trap - EXIT && exit 2 ;; esac
[ -x "$CGOST" ] || { echo "demo: $CGOST is not built; ./run build" >&2 && trap - EXIT && exit 1; }
note() { printf '\n%s\n' "$*"; }

net_up
ip -n "$C" link set c0 down && ip -n "$C" link set c0 name eth0 && ip -n "$C" link set eth0 up
ip -n "$C" route replace default via 10.90.1.1 dev eth0
target_up
note "Three machines (network namespaces): client 10.90.1.2, server 10.90.1.1, target $TARGET behind the server, which routes nothing."
if inside "$C" curl -s -m 2 -o /dev/null "http://$TARGET/"; then bad "the target is reachable without cgost"; else ok "without cgost the client cannot reach $TARGET"; fi

if [ "$mode" = yaml ]; then
	start server "$S" "$CGOST" -C "$here/configs/demo-server.yaml"
	wait_for "server" 10 listens "$S" 443 || exit 1
	start client "$C" "$CGOST" -C "$here/configs/demo-client.yaml"
	note "server: cgost -C configs/demo-server.yaml
client: cgost -C configs/demo-client.yaml"
else
	start server "$S" "$CGOST" -L 'relay+wss://demo:demo-only@:443?bind=true'
	wait_for "server" 10 listens "$S" 443 || exit 1
	url='tungo://:0?name=tungo&net=192.168.123.1/24&mtu=1420&dns=1.1.1.1'
	node='relay+wss://demo:demo-only@10.90.1.1:443?interface=eth0'
	start client "$C" "$CGOST" -L "$url" -F "$node"
	note "server: cgost -L 'relay+wss://...@:443?bind=true'
client: cgost -L '$url' -F 'relay+wss://...@10.90.1.1:443?interface=eth0'
(command lines have no hooks, so the demo sets the routes)"
fi
wait_for "device" 10 device_up "$C" tungo || exit 1
if [ "$mode" = url ]; then
	ip -n "$C" route del default
	ip -n "$C" route add default via 192.168.123.1 dev tungo metric 1
	ip -n "$C" route add default via 10.90.1.1 dev eth0 metric 10
fi
wait_for "route into the device" 10 sh -c "ip -n $C route get $TARGET | grep -q 'dev tungo'" || exit 1
inside "$C" ip route show default | sed 's/^/    /'

note "TCP: curl fetches a file through it"
inside "$C" curl -s -m 20 -o "$work/got" "http://$TARGET/bytes/1000000"
sum="$(wc -c <"$work/got") $(sha256sum <"$work/got" | cut -c1-64)"
want="1000000 $(inside "$T" curl -s "http://$TARGET/bytes/1000000" | sha256sum | cut -c1-64)"
same "1,000,000 bytes by HTTP, same SHA-256" "$want" "$sum"
echo "    the target saw: $(inside "$C" curl -s -m 10 "http://$TARGET/hello")"

note "UDP: a DNS question through it"
answer=$(inside "$C" python3 "$here/tests/tools/ask.py" "$TARGET" example.org)
same "example.org asked at $TARGET" "192.0.2.1" "$answer"

note "ICMP: ping through it"
check "ping $TARGET" inside "$C" ping -c 2 -i 0.2 -W 2 "$TARGET"

note "What travelled where"
grep -h '>-<' "$work/client.log" | tail -n 3 | sed 's/^/    client: /' | cut -c1-260
grep -h '>-<' "$work/server.log" | tail -n 3 | sed 's/^/    server: /' | cut -c1-260
echo "    device tungo: $(ip -n "$C" -s link show tungo | awk '/RX:/{getline; rx=$1} /TX:/{getline; tx=$1} END{print tx " bytes in from applications, " rx " bytes back"}')"
echo "    server link:  $(ip -n "$C" -s link show eth0 | awk '/RX:/{getline; rx=$1} /TX:/{getline; tx=$1} END{print tx " bytes out (TLS), " rx " bytes in"}')"

note "Throughput, one stream down"
bytes=1000000000
a=$(cpu_ms "$pid_client") b=$(cpu_ms "$pid_server") t=$(date +%s%N)
check "1 GB by HTTP" inside "$C" curl -sf -m 120 -o /dev/null "http://$TARGET/bytes/$bytes"
awk -v n="$bytes" -v ms="$((($(date +%s%N) - t) / 1000000))" -v c="$(($(cpu_ms "$pid_client" | cut -d. -f1) - ${a%.*}))" -v s="$(($(cpu_ms "$pid_server" | cut -d. -f1) - ${b%.*}))" \
	'BEGIN { printf "    %.2f Gbit/s; CPU seconds per GB: client %.2f, server %.2f\n", n * 8 / ms / 1e6, c / 1000 / (n / 1e9), s / 1000 / (n / 1e9) }'

note "Clean up"
stop_pid "$pid_client" && same "client ended by SIGTERM, status 0" 0 "$status"
stop_pid "$pid_server" && same "server ended by SIGTERM, status 0" 0 "$status"
if ip -n "$C" link show tungo >/dev/null 2>&1; then bad "the device stayed"; else ok "the device is gone"; fi
