#!/bin/sh
# tests/e2e/20_proxies.sh - http, socks4, socks5 and auto as proxies for curl and the probe; then relay over tcp, tls, ws
# and wss behind a socks5 front end.
#
#     curl, probe (client) --> cgost (server: http :8080, socks5 :1080, auto :8000, ...; with names of its own) --> target
#     probe (client) --> socks5 front end 127.0.0.1:110x (client) -- relay+{tcp,tls,ws,wss} --> cgost (server) --> target
. "$(dirname "$0")/lib.sh"
net_up
target_up
net_mark
printf '127.0.0.1 localhost\n%s target.test\n%s target6.test\n' "$TARGET" "$TARGET6" >"$work/hosts"

# "ip netns exec" gives each program a mount namespace of its own: the names are the server's alone
start proxies "$S" sh -c 'mount --bind "$1" /etc/hosts && shift && exec "$@"' sh "$work/hosts" "$CGOST" \
	-L http://:8080 -L http://demo:demo-only@:8081 -L socks5://:1080?udp=true -L socks5://demo:demo-only@:1081?udp=true \
	-L auto://:8000 -L auto://demo:demo-only@:8001 -L socks4://:1084
mine="$mine $pid"
for p in 8080 8081 1080 1081 8000 8001 1084; do wait_for "port $p" 10 listens "$S" $p; done

fetch() { inside "$C" curl -sS -m 60 "$@"; }
page() { # what target curl-words...: the target's page came
	what=$1 to=$2 && shift 2
	fetch "$@" "http://$to/hello" >"$work/page" 2>&1
	case $(cat "$work/page") in *" /hello from "*) ok "$what" ;; *) bad "$what: $(head -n 1 "$work/page")" ;; esac
}
code() { same "$1" "$2" "$(shift 2 && fetch -o /dev/null "$@" 2>/dev/null)"; }

page "http" "$TARGET" -x "http://$SERVER:8080"
page "http, CONNECT" "$TARGET" -p -x "http://$SERVER:8080"
page "http, IPv6 target" "[$TARGET6]" -x "http://$SERVER:8080"
page "http, CONNECT, IPv6 target" "[$TARGET6]" -p -x "http://$SERVER:8080"
page "http, IPv6 proxy" "$TARGET" -p -x "http://[$SERVER6]:8080"
page "http, a name that only the server knows" target.test -x "http://$SERVER:8080"
page "http, CONNECT to a name" target6.test -p -x "http://$SERVER:8080"
page "http, password" "$TARGET" -x "http://demo:demo-only@$SERVER:8081"
page "http, CONNECT, password" "$TARGET" -p -x "http://demo:demo-only@$SERVER:8081"
code "http, wrong password: 407" 407 -w '%{http_code}' -x "http://demo:wrong@$SERVER:8081" "http://$TARGET/"
code "http, no password: 407" 407 -w '%{http_code}' -x "http://$SERVER:8081" "http://$TARGET/"
code "http, CONNECT, wrong password: 407" 407 -w '%{http_connect}' -p -x "http://demo:wrong@$SERVER:8081" "http://$TARGET/"
code "http, closed port: 503" 503 -w '%{http_code}' -x "http://$SERVER:8080" "http://$TARGET:1/"
code "http, CONNECT, closed port: 503" 503 -w '%{http_connect}' -p -x "http://$SERVER:8080" "http://$TARGET:1/"
code "http, CONNECT, unknown name: 503" 503 -w '%{http_connect}' -p -x "http://$SERVER:8080" "http://nobody.invalid/"
same "http, a PUT of 3 MB" "3000000 $(head -c 3000000 /dev/zero | sha256sum | cut -c1-64)" \
	"$(head -c 3000000 /dev/zero | fetch -x "http://$SERVER:8080" -T - -H 'Content-Length: 3000000' -H 'Transfer-Encoding:' "http://$TARGET/sink")"
same "http, 5,000,000 bytes" "$(inside "$T" curl -s "http://$TARGET/bytes/5000000" | sha256sum)" "$(fetch -x "http://$SERVER:8080" "http://$TARGET/bytes/5000000" | sha256sum)"

page "socks5" "$TARGET" --socks5 "$SERVER:1080"
page "socks5, IPv6 target" "[$TARGET6]" --socks5 "$SERVER:1080"
page "socks5, IPv6 proxy" "$TARGET" --socks5 "[$SERVER6]:1080"
page "socks5, a name that only the server knows" target.test --socks5-hostname "$SERVER:1080"
page "socks5, a name with an IPv6 address" target6.test --socks5-hostname "$SERVER:1080"
page "socks5, password" "$TARGET" --socks5-hostname "demo:demo-only@$SERVER:1081"
check "socks5, wrong password: RFC 1929 failure" probe --via "socks5://demo:wrong@$SERVER:1081" error "$TARGET" 80 'socks password refused' 2000
check "socks5, no password offered: no method" probe --via "socks5://$SERVER:1081" error "$TARGET" 80 'socks method refused' 2000
check "socks5, closed port" probe --via "socks5://$SERVER:1080" error "$TARGET" 1 'socks 5|socks 3|socks 4' 2000
check "socks5, unreachable address" probe --via "socks5://$SERVER:1080" error 10.90.9.77 1 'socks 3|socks 4' 2000
check "socks5, unknown name" probe --via "socks5://$SERVER:1080" error nobody.invalid 1 'socks 3|socks 4' 6000
page "socks4" "$TARGET" --socks4 "$SERVER:1084"
page "socks4a, a name" target.test --socks4a "$SERVER:1084"

page "auto, http" "$TARGET" -x "http://$SERVER:8000"
page "auto, CONNECT" "$TARGET" -p -x "http://$SERVER:8000"
page "auto, socks5" target.test --socks5-hostname "$SERVER:8000"
page "auto, socks4" "$TARGET" --socks4 "$SERVER:8000"
page "auto, http, password" "$TARGET" -x "http://demo:demo-only@$SERVER:8001"
page "auto, socks5, password" "$TARGET" --socks5 "demo:demo-only@$SERVER:8001"
check "auto, socks5, wrong password" probe --via "socks5://demo:wrong@$SERVER:8001" error "$TARGET" 80 'socks password refused' 2000
code "auto, http, wrong password: 407" 407 -w '%{http_code}' -x "http://demo:wrong@$SERVER:8001" "http://$TARGET/"

# who asks a proxy for itself is refused, before it has asked itself ten thousand times
few() { [ "$(fds "$pid_proxies")" -lt 100 ]; }
code "http, asked as a web server" 503 -w '%{http_code}' "http://$SERVER:8080/"
code "http, asked for itself" 503 -w '%{http_code}' -x "http://$SERVER:8080" "http://$SERVER:8080/"
code "auto, asked for itself by a name that is this machine" 503 -w '%{http_code}' -x "http://$SERVER:8000" http://0.0.0.0:8000/
check "... without a crowd of connections" few

whole() { # what via
	check "$1: half-close by the application" probe --via "$2" up "$TARGET" 3000000
	check "$1: half-close by the target" probe --via "$2" late "$TARGET" 3000000
	check "$1: down" probe --via "$2" down "$TARGET6" 3000000
	check "$1: the target speaks first" probe --via "$2" first "$TARGET"
	check "$1: 100 flows at once" probe --via "$2" --seconds 60 flows "$TARGET" 100 50000
}
before=$(fds "$pid_proxies")
whole "http CONNECT" "http://$SERVER:8080"
whole "socks5" "socks5://demo:demo-only@$SERVER:1081"
whole "auto" "socks5://$SERVER:8000"
check "socks5 UDP ASSOCIATE" probe --via "socks5://$SERVER:1080" udp "$TARGET" 1 0 100 1400 9000 60000
check "socks5 UDP ASSOCIATE, IPv6 target" probe --via "socks5://$SERVER:1080" udp "$TARGET6" 1 1400
check "socks5 UDP ASSOCIATE, 30 at once, password" probe --via "socks5://demo:demo-only@$SERVER:1081" udpmany "$TARGET" 30 3
fds_back proxies "$pid_proxies" "$before" 10
start rest "$C" python3 "$here/tests/tools/probe.py" --via "socks5://$SERVER:1080" rest "$TARGET" 40 400000 "$work/rest"
wait_for "40 flows that had much to say" 60 test -e "$work/rest"
fds_back "40 flows that rest hold their sockets and nothing else" "$pid_proxies" $((before + 80)) 10
stop_pid "$pid_rest"
fds_back proxies "$pid_proxies" "$before" 10

# --- targets that the relay server has, for a client that names none
cgost targets "$S" -L "relay://:4100/$TARGET:25" -L "relay+wss://:4101/$TARGET:7"
cgost names_none "$C" -L tcp://127.0.0.1:4100 -F "relay://$SERVER:4100" -- -L tcp://127.0.0.1:4101 -L udp://127.0.0.1:4101 -F "relay+wss://$SERVER:4101"
for p in 4100 4101; do wait_for "port $p" 10 listens "$C" $p; done
check "no target of ours: the relay server's, which speaks first" sh -c "ip netns exec $C timeout 30 nc -N 127.0.0.1 4100 </dev/null | grep -q '^220 hello'"
check "no target of ours: the relay server's echo over wss" sh -c "[ \"\$(echo hello | ip netns exec $C timeout 60 nc -N 127.0.0.1 4101)\" = hello ]"
stop_pid "$pid_names_none" && stop_pid "$pid_targets"

# --- relay over each carrier, behind a socks5 front end
cgost relays "$S" -L 'relay://demo:demo-only@:4001?bind=true' -L 'relay+tls://demo:demo-only@:4002?bind=true' \
	-L 'relay+ws://demo:demo-only@:4003?bind=true' -L 'relay+wss://demo:demo-only@:4004?bind=true'
for p in 4001 4002 4003 4004; do wait_for "port $p" 10 listens "$S" $p; done
{
	echo services:
	for k in 1:tcp 2:tls 3:ws 4:wss; do
		printf -- '- name: %s\n  addr: 127.0.0.1:110%s\n  handler: {type: socks5, chain: %s, metadata: {udp: true}}\n  listener: {type: tcp}\n' "${k#*:}" "${k%:*}" "${k#*:}"
	done
	echo chains:
	for k in 1:tcp 2:tls 3:ws 4:wss; do
		cat <<-END
			- name: ${k#*:}
			  hops:
			  - name: hop
			    nodes:
			    - name: node
			      addr: $SERVER:400${k%:*}
			      connector: {type: relay, auth: {username: demo, password: demo-only}}
			      dialer: {type: ${k#*:}}
		END
	done
} >"$work/front.yaml"
cgost front "$C" -C "$work/front.yaml"
for p in 1101 1102 1103 1104; do wait_for "port $p" 10 listens "$C" $p; done
for k in 1:tcp 2:tls 3:ws 4:wss; do check "warm-up ${k#*:}" probe --via "socks5://127.0.0.1:110${k%:*}" echo "$TARGET" 1000; done
before=$(fds "$pid_front") before_relays=$(fds "$pid_relays")
for k in 1:tcp 2:tls 3:ws 4:wss; do
	whole "socks5, relay+${k#*:}" "socks5://127.0.0.1:110${k%:*}"
	check "socks5, relay+${k#*:}: a closed port is not connected" probe --relay --via "socks5://127.0.0.1:110${k%:*}" error "$TARGET" 1 'socks 5|socks 4|socks 3' 2000
	check "socks5, relay+${k#*:}: UDP" probe --via "socks5://127.0.0.1:110${k%:*}" udp "$TARGET" 1 0? 100 1400 9000 60000
done
fds_back front "$pid_front" "$before" 10
fds_back relays "$pid_relays" "$before_relays" 10
