#!/bin/sh
# tests/e2e/35_proxyproto.sh - PROXY headers: who is announced is who the log and the rules see, on every listener; what is
# wrong, cut, missing or not asked for; curl and HAProxy at both ends; a LAN client behind tungo, told to the relay server.
#
#     lan ($L) --l0 10.90.5.2 ---- 10.90.5.1 c1-- client ($C: tungo) --c0---- s0-- server ($S) ----t0-- target ($T)
. "$(dirname "$0")/lib.sh"
L=${tag}l
net_up
inside "$C" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
net_mark
trap 'ip -n "$C" link del c1 2>/dev/null; for p in $(ip netns pids "$L" 2>/dev/null); do kill "$p"; done; ip netns del "$L" 2>/dev/null; finish' EXIT
net_lan "$L" l0 c1 5
target_up

# --- what a listener makes of first bytes: the target behind 2001 echoes, so what comes back is what was passed on
cgost server "$S" -L "tcp://:2001/$TARGET:7?proxyProtocol=1" -L "tcp://:2002/$TARGET:7?proxyProtocol=2&admission=~192.0.2.0/24" \
	-L "tcp://:2003/$TARGET:7" -L "tcp://:2004/$TARGET:25?proxyProtocol=1" -L "tcp://:2005/$TARGET:80?proxyProtocol=2" \
	-L "relay+tls://:2007?proxyProtocol=1" -L "relay+wss://:2008?proxyProtocol=1"
for p in 2001 2002 2003 2004 2005 2007 2008; do wait_for "port $p" 10 listens "$S" $p; done
before=$(fds "$pid_server")
announce() { inside "$C" timeout 60 python3 "$here/tests/tools/announce.py" "$@"; }
seen=0 # lines of the server's log that are of no interest any more
mark() { seen=$(wc -l <"$work/server.log"); }
records() { tail -n +$((seen + 1)) "$work/server.log" | grep -c "$1"; } # pattern
has_records() { [ "$(records "$1")" -ge "$2" ]; }
remote() { # what address (a pattern): is the client in a record
	of=$1
	if wait_for "$of: a record with the client $2" 10 has_records "\"remote\":\"$2\"" 1; then ok "$of: the log says $2"; fi
}
sig='\r\n\r\n\x00\r\nQUIT\n'

# those that take the whole time run beside all else
for who in silent half whole; do
	case $who in
	silent) announce --say '' --want 11 $SERVER 2004 '' ;;
	half) announce --say '' --want 11 $SERVER 2004 'PROXY TCP4 192.0.2.7 ' ;;
	whole) announce --say '' --want 11 $SERVER 2004 'PROXY TCP4 192.0.2.99 198.51.100.1 7 8\r\n' ;;
	esac >"$work/waits.$who" 2>&1 &
	eval "waits_$who=$!"
done

n=0
while read -r first address bytes; do
	for pieces in '' --pieces; do
		n=$((n + 1))
		same "$first${pieces:+, byte by byte}: what follows passes" 'hello\n' "$(announce $pieces $SERVER 2001 "$(printf %s "$bytes" | sed "s/PORT/$((20000 + n))/; s/PP/\\\\x4e\\\\x$(printf %02x $n)/")")"
		case $address in
		-) ;;
		*) remote "$first" "$(echo "$address" | sed "s/PORT/$((20000 + n))/; s/PP/$((78 * 256 + n))/; s/\[/\\\\[/; s/\]/\\\\]/")" ;;
		esac
	done
done <<END
v1,IPv4 192.0.2.7:PORT PROXY TCP4 192.0.2.7 198.51.100.1 PORT 443\\r\\n
v1,IPv6 [2001:db8::7]:PORT PROXY TCP6 2001:db8::7 2001:db8::1 PORT 443\\r\\n
v2,IPv4 192.0.2.8:PP $sig\\x21\\x11\\x00\\x0c\\xc0\\x00\\x02\\x08\\xc6\\x33\\x64\\x01PP\\x01\\xbb
v2,IPv6 [2001:db8::8]:PP $sig\\x21\\x21\\x00\\x24\\x20\\x01\\x0d\\xb8\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x08\\x20\\x01\\x0d\\xb8\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01PP\\x01\\xbb
v2,TLV 192.0.2.9:PP $sig\\x21\\x11\\x00\\x13\\xc0\\x00\\x02\\x09\\xc6\\x33\\x64\\x01PP\\x01\\xbb\\x05\\x00\\x04abcd
v1,UNKNOWN - PROXY UNKNOWN ffff::1 ffff::2 1 2\\r\\n
v2,LOCAL - $sig\\x20\\x00\\x00\\x00
END
unannounced="\"remote\":\"10.90.1.2:[0-9]*\",\"dst\":\"$TARGET:7\""
wait_for "four records of who is not announced" 10 has_records "$unannounced" 4
same "who is not announced is who connects: records" 4 "$(records "$unannounced")"
same "no header: nothing is lost" 'POST / hello\n' "$(announce --want 13 $SERVER 2001 'POST / ')"
same "the beginning of one: nothing is lost" 'PROXYhello\n' "$(announce --want 11 $SERVER 2001 'PROXY')"

# --- what is wrong closes, and the log names the peer and the fault
while read -r fault bytes; do
	got=$(announce $SERVER 2001 "$bytes")
	same "wrong ($fault): closed, nothing passed" " end" "$got"
done <<END
address PROXY TCP4 192.0.2.777 198.51.100.1 1 2\\r\\n
family PROXY TCP5 192.0.2.7 198.51.100.1 1 2\\r\\n
port PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\\r\\n
line-end PROXY TCP4 192.0.2.7 198.51.100.1 1 2\\n
length $sig\\x21\\x11\\x00\\x0b\\xc0\\x00\\x02\\x09\\xc6\\x33\\x64\\x01\\x4e
version $sig\\x31\\x11\\x00\\x0c
checksum $sig\\x21\\x11\\x00\\x13\\xc0\\x00\\x02\\x09\\xc6\\x33\\x64\\x01\\x00\\x01\\x01\\xbb\\x03\\x00\\x04abcd
END
logged "the log names the peer, the fault and what is done" server '"warn".*10.90.1.2:[0-9]*: PROXY header: the source address is not one of its family; closing the connection'

# --- trust: without the option a header is what the client says; rules judge whom it announces
same "not asked for: passed on as it came" 'PROXY TCP4 192.0.2.50 198.51.100.1 1 2\r\nhello\n' "$(announce --want 46 $SERVER 2003 'PROXY TCP4 192.0.2.50 198.51.100.1 1 2\r\n')"
same "admission: announced and admitted" 'hello\n' "$(announce $SERVER 2002 'PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n')"
same "admission: announced and not admitted" ' end' "$(announce $SERVER 2002 'PROXY TCP4 198.51.100.7 198.51.100.1 1 2\r\n')"
same "admission: not announced, so it is the peer, who is not admitted" ' end' "$(announce $SERVER 2002 '')"
logged "the log says who was refused" server 'client 198.51.100.7:1 is refused'

# --- beside a forwarding header of ws, which whoever connects may write: the PROXY header counts; alone it does
cgost ws "$S" -L "socks5+ws://:2011?proxyProtocol=1"
wait_for "ws" 10 listens "$S" 2011
ask='GET /ws HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nX-Forwarded-For: 203.0.113.60\r\n\r\n'
frame='\x82\x81\x00\x00\x00\x00x' # no version of SOCKS
ws_told() { grep -q "\"remote\":\"$1[:\"]" "$work/ws.log"; }
check "ws: announced" announce --say "$frame" --want 4000 $SERVER 2011 "PROXY TCP4 192.0.2.60 198.51.100.1 1 2\r\n$ask"
wait_for "ws: a record of whom the PROXY header names" 10 ws_told 192.0.2.60 && ok "ws: the log says whom the PROXY header names"
if ws_told 203.0.113.60; then bad "ws: a forwarding header overrides the PROXY header"; else ok "ws: a forwarding header does not override it"; fi
check "ws: not announced" announce --say "$frame" --want 4000 $SERVER 2011 "$ask"
wait_for "ws: a record of whom the forwarding header names" 10 ws_told 203.0.113.60 && ok "ws: without a PROXY header the forwarding header counts"
stop_pid "$pid_ws" && same "ws ended with status" 0 "$status"

# --- explain tells of them
explained() { what=$1 pattern=$2 && shift 2 && check "explain: $what" sh -c '"$@" 2>/dev/null | grep -q "$0"' "$pattern" "$CGOST" explain "$@" "tcp" 192.0.2.1:80; }
explained "a service" 'client  *whom the PROXY header names' -L 'socks5://:1?proxyProtocol=1'
explained "a target" 'handler tcp  *a PROXY header of version 2 tells the target' -L 'tcp://:1/192.0.2.9:80?handler.proxyProtocol=2'
explained "a node" 'node node-0 .*a PROXY header of version 2 names the client' -L 'socks5://:1' -F 'relay://192.0.2.2:1?proxyProtocol=2'

# --- curl sends one
check "curl --haproxy-protocol" sh -c "ip netns exec $C curl -sS -m 60 --haproxy-protocol http://$SERVER:2005/hello | grep -q ' /hello from '"

# --- cgost to cgost: a client of a proxy and a LAN client behind tungo, under TLS, each node by its own version
cgost proxies "$C" -L socks5://:1081 -F "relay+tls://$SERVER:2007?proxyProtocol=1" -L socks5://:1082
wait_for "proxies" 10 listens "$C" 1081
lan() { inside "$L" timeout 60 python3 "$here/tests/tools/probe.py" --seconds 30 "$@"; }
check "a client of a socks5 proxy, node relay+tls, twice (the second may resume its TLS session)" \
	sh -c "for i in 1 2; do ip netns exec $L timeout 60 python3 $here/tests/tools/probe.py --via socks5://10.90.5.1:1081 echo $TARGET 1000 || exit 1; done"
remote "the relay server hears of the proxy's client" "10.90.5.2:[0-9]*"
stop_pid "$pid_proxies" && same "proxies ended with status" 0 "$status"
mark
tungo_up tungo '' -F "relay+wss://$SERVER:2008?proxyProtocol=2"
check "a LAN client behind tungo, IPv4" lan echo "$TARGET" 1000
remote "the relay server hears of the LAN client" "10.90.5.2:[0-9]*"
check "a LAN client behind tungo, IPv6" lan echo "$TARGET6" 1000
remote "the relay server hears of the LAN client" "\[fd90:5::2\]:[0-9]*"
check "its datagrams" lan udp "$TARGET" 1 10 500
stop_pid "$pid_tungo" && same "tungo ended with status" 0 "$status"

# --- HAProxy before us, behind us, and between us
if haproxy=$(sh "$here/tests/tools/stranger.sh" haproxy haproxy "$(dirname "$CGOST")/strangers" 2>"$work/why.txt"); then
	cat >"$work/front.cfg" <<-END
		defaults
		  mode tcp
		  timeout client 30s
		  timeout server 30s
		  timeout connect 30s
		listen v1
		  bind :3001
		  server s 127.0.0.1:2001 send-proxy
		listen v2
		  bind :3002
		  server s 127.0.0.1:2001 send-proxy-v2 proxy-v2-options crc32c,unique-id
		listen between
		  bind :3003 accept-proxy
		  server s 127.0.0.1:2007 send-proxy-v2
	END
	cat >"$work/behind.cfg" <<-END
		defaults
		  mode http
		  timeout client 30s
		  timeout server 30s
		  timeout connect 30s
		listen who
		  bind $TARGET:3004 accept-proxy
		  http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] %[dst]:%[dst_port]"
	END
	# shellcheck disable=SC2086
	start front "$S" $haproxy -db -f "$work/front.cfg" && start behind "$T" $haproxy -db -f "$work/behind.cfg"
	wait_for "haproxy" 10 listens "$S" 3003 && wait_for "haproxy" 10 listens "$T" 3004
	mark
	same "HAProxy before us, v1" 'hello\n' "$(announce $SERVER 3001 '')"
	remote "HAProxy's client" "10.90.1.2:[0-9]*"
	mark
	same "HAProxy before us, v2 with a checksum" 'hello\n' "$(announce $SERVER 3002 '')"
	remote "HAProxy's client" "10.90.1.2:[0-9]*"
	printf 'services:\n' >"$work/forward.yaml"
	for v in 1 2; do
		printf -- '- {name: v%s, addr: ":400%s", handler: {type: tcp, metadata: {proxyProtocol: %s}}, listener: {type: tcp}, metadata: {proxyProtocol: 1}, forwarder: {nodes: [{name: t, addr: "%s:3004"}]}}\n' $v $v $v "$TARGET" >>"$work/forward.yaml"
	done
	cgost forward "$S" -C "$work/forward.yaml"
	wait_for "forward" 10 listens "$S" 4002
	for v in 1 2; do
		got=$(inside "$C" curl -sS -m 60 "http://$SERVER:400$v/" | sed 's/:[0-9]* / /')
		same "HAProxy behind us, v$v: it sees our client and where that connected" "10.90.1.2 $SERVER:400$v" "$got"
		got=$(announce --say 'GET / HTTP/1.0\r\n\r\n' --want 4000 $SERVER 400$v 'PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n' | sed 's/.*\\r\\n\\r\\n//')
		same "HAProxy behind us, v$v: it sees who was announced to us" '192.0.2.7:56324 198.51.100.1:443 end' "$got"
	done
	stop_pid "$pid_forward" && same "forward ended with status" 0 "$status"
	mark
	cgost between "$C" -L socks5://:1083 -F "relay+tls://$SERVER:3003?proxyProtocol=2"
	wait_for "between" 10 listens "$C" 1083
	check "HAProxy between us" sh -c "ip netns exec $L timeout 60 python3 $here/tests/tools/probe.py --via socks5://10.90.5.1:1083 echo $TARGET 1000"
	remote "announced through HAProxy" "10.90.5.2:[0-9]*"
	stop_pid "$pid_between" && same "between ended with status" 0 "$status"
	stop_pid "$pid_front" && stop_pid "$pid_behind"
else
	echo "not run: HAProxy at both ends: $(cat "$work/why.txt")"
fi

# --- what has no effect is said
check "a UDP listener has no use for it" sh -c "$CGOST -t -L 'udp://:2009/$TARGET:7?proxyProtocol=1' 2>&1 | grep -q 'proxyProtocol of service .* has no effect with listener udp'"
check "where it has effect nothing is said" sh -c "! $CGOST -t -L 'tcp://:2009/$TARGET:7?proxyProtocol=1' -F 'relay+tls://$SERVER:1?proxyProtocol=2&pin=sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=' 2>&1 | grep -qi proxyProtocol"

# --- those that waited: silence is no header, the beginning of one without its end is none that counts
wait "$waits_silent" && same "a client that waits for the server is served after 10 s" '220 hello\r\n' "$(cat "$work/waits.silent")"
wait "$waits_half" && same "half a header: closed" ' end' "$(cat "$work/waits.half")"
wait "$waits_whole" && same "a header alone: served" '220 hello\r\n' "$(cat "$work/waits.whole")"
fds_back server "$pid_server" "$before" 30
stop_pid "$pid_server" && same "server ended with status" 0 "$status"
not_logged "nobody is believed without proxyProtocol" server '"remote":"192.0.2.50'
