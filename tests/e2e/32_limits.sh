#!/bin/sh
# tests/e2e/32_limits.sh - too few descriptors, and clients that never end their request.
. "$(dirname "$0")/lib.sh"
net_up
target_up
net_mark
progress() { cat "$work/live" 2>/dev/null || echo 0; }
further() { [ "$(progress)" -ge "$1" ]; }

# --- a server with 64 descriptors: accepting pauses, what runs goes on, later clients are served
start server "$S" prlimit --nofile=64:64 "$CGOST" -L 'socks5://:1080?readTimeout=60s'
mine="$mine $pid"
wait_for "server" 10 listens "$S" 1080
via=socks5://$SERVER:1080
check "warm-up" probe --via $via echo "$TARGET" 1000
before=$(fds "$pid_server")
start live "$C" python3 "$here/tests/tools/probe.py" --via $via --seconds 60 live "$TARGET" 5 "$work/live"
wait_for "5 living flows" 10 further 1
start hold "$C" python3 "$here/tests/tools/probe.py" hold "$SERVER" 1080 100 "$work/held"
wait_for "100 connections" 30 test -e "$work/held"
wait_for "the limit" 30 grep -q 'accepting pauses' "$work/server.log" && ok "the limit is reached and told: $(fds "$pid_server") of 64"
cpu=$(cpu_ms "$pid_server" | cut -d. -f1) since=$(date +%s%N) n=$(progress)
wait_for "50 more rounds of the living flows" 60 further $((n + 50)) && ok "what runs goes on at the limit"
cpu=$(($(cpu_ms "$pid_server" | cut -d. -f1) - cpu)) took=$((($(date +%s%N) - since) / 1000000))
check "accepting pauses, it does not spin: $cpu ms CPU in $took ms" [ $cpu -lt $((took / 2)) ]
if ended "$pid_live"; then bad "the living flows ended: $(cat "$work/live.log")"; else ok "the living flows live"; fi
stop_pid "$pid_hold"
wait_for "service of a later client" 10 probe --seconds 15 --via $via echo "$TARGET" 1000 && ok "later clients are served"
stop_pid "$pid_live"
fds_back server "$pid_server" "$before" 30
check "20 flows at once" probe --via $via flows "$TARGET" 15 10000
stop_pid "$pid_server" && same "server ended with status" 0 "$status"

# --- the same for the device: flows beyond the limit are refused, the program lives
relay_up relay 'bind=true'
start client "$C" prlimit --nofile=64:64 "$CGOST" -L "$(tungo_url udpTimeout=2s)" -F "$RELAY"
mine="$mine $pid"
tungo_is_up
check "warm-up" probe echo "$TARGET" 1000
before=$(fds "$pid_client")
rm -f "$work/live"
start live2 "$C" python3 "$here/tests/tools/probe.py" --seconds 60 live "$TARGET" 5 "$work/live"
wait_for "5 living flows" 10 further 1
start many "$C" python3 "$here/tests/tools/hoard.py" "$TARGET" 150
wait_for "150 flows asked for" 30 grep -q ready "$work/many.log"
full() { [ "$(fds "$pid_client")" -ge 62 ]; }
wait_for "use of all descriptors" 30 full && ok "tungo: all descriptors are in use"
n=$(progress)
wait_for "50 more rounds of the living flows" 60 further $((n + 50)) && ok "tungo: what runs goes on at the limit"
if ended "$pid_live2"; then bad "the living flows ended: $(cat "$work/live2.log")"; else ok "tungo: the living flows live"; fi
stop_pid "$pid_many"
wait_for "a later flow" 10 probe --seconds 15 echo "$TARGET" 1000 && ok "tungo: later flows are served"
stop_pid "$pid_live2"
fds_back client "$pid_client" "$before" 30
check "tungo: 20 flows at once" probe flows "$TARGET" 20 10000
stop_pid "$pid_client" && same "client ended with status" 0 "$status"
stop_pid "$pid_relay" && same "relay ended with status" 0 "$status"

# --- slow loris: every listener and handler ends a client that never ends its request, also one that drips
q='readTimeout=2s'
cgost slow "$S" -L "socks5://:2001?$q" -L "socks4://:2002?$q" -L "http://:2003?$q" -L "relay://:2004?$q" -L "auto://:2005?$q" \
	-L "relay+tls://:2006?$q" -L "relay+ws://:2007?$q" -L "relay+wss://:2008?$q"
for p in 2001 2002 2003 2004 2005 2006 2007 2008; do wait_for "port $p" 10 listens "$S" $p; done
before=$(fds "$pid_slow")
{
	while read -r name port text; do
		ip netns exec "$C" timeout 100 python3 "$here/tests/tools/probe.py" slow "$SERVER" "$port" "$text" 1.2 40 >"$work/slow.$name" 2>&1 &
		echo "$! $name"
	done
} >"$work/slow.list" <<'END'
socks5-silent 2001 \x05
socks5-methods 2001 \x05\xff
socks5-request 2001 \x05\x01\x00\x05\x01\x00\x03\xff
socks4 2002 \x04\x01\x00\x50\x01\x02\x03\x04
http-line 2003 GET\x20
http-head 2003 GET\x20http://a/\x20HTTP/1.1\r\nX:\x20
relay 2004 \x01\x01\xff\xff
auto-socks5 2005 \x05\xff
auto-http 2005 GET\x20http://a/\x20HTTP/1.1\r\nX:\x20
tls 2006 \x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03
ws 2007 GET\x20/ws\x20HTTP/1.1\r\nX:\x20
wss 2008 \x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03
END
while read -r p name; do
	wait "$p"
	same "slow client, $name: closed in time" 0 "$?$(cat "$work/slow.$name" | sed 's/^closed.*//; s/^E[A-Z]* after.*//')"
done <"$work/slow.list"
fds_back slow "$pid_slow" "$before" 30
