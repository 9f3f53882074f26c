#!/bin/sh
# tests/bench/readings.sh - printed, never asserted: speed, CPU seconds per GB, connections per second and memory of both ends,
# side by side in one run on this machine. Uses the topology of tests/e2e/lib.sh (veth pairs, MTU 1500) and its own load tool.
#
#     client: tcpload -> tungo device, cgost -> s0 server: cgost -> t0 target: tcpload server
. "$(dirname "$0")/../e2e/lib.sh"
TOOLS=${TOOLS:-$(dirname "$CGOST")/tools}
BYTES=${BYTES:-2000000000}
PORT=5000
ulimit -n "$(ulimit -Hn)"
most=$(($(ulimit -n) / 2 - 200)) # the server needs two descriptors a flow
FLOWS=${FLOWS:-10000}
[ "$FLOWS" -lt "$most" ] || FLOWS=$most
net_up
export HOME="$work"
start target "$T" "$TOOLS/tcpload" server "$TARGET" $PORT
wait_for "target" 5 listens "$T" $PORT
load() { inside "$C" timeout 120 "$TOOLS/tcpload" "$@"; }
rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }

echo "machine: $(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), kernel $(uname -r), $(. /etc/os-release && echo "$PRETTY_NAME"); everything shares the cores"

# up URL_OF_SERVER URL_OF_NODE
up() {
	start server "$S" "$CGOST" -L "$1" && server=$pid
	wait_for "server" 10 listens "$S" 443
	start client "$C" "$CGOST" -L 'tungo://:0?name=tungo&net=192.168.123.1/24&route=10.90.9.0/24' -F "$2" && client=$pid
	wait_for "device" 10 device_up "$C" tungo
	wait_for "route" 10 sh -c "ip -n $C route get $TARGET | grep -q 'dev tungo'"
}
down() { stop_pid "$client" && stop_pid "$server"; }

# spent COMMAND...: sets out, ms, and the CPU milliseconds of both ends
spent() {
	a=$(cpu_ms "$client") b=$(cpu_ms "$server") t=$(date +%s%N)
	out=$("$@" 2>&1)
	ms=$((($(date +%s%N) - t) / 1000000)) a=$(awk "BEGIN{print $(cpu_ms "$client") - $a}") b=$(awk "BEGIN{print $(cpu_ms "$server") - $b}")
}

bulk() {
	for way in up down; do
		spent load $way $TARGET $PORT "$BYTES"
		awk -v w="$1 $way" -v n="$BYTES" -v ms="$ms" -v a="$a" -v b="$b" 'BEGIN { printf "%-28s %6.2f Gbit/s   CPU s/GB: client %.3f server %.3f\n", w, n * 8 / ms / 1e6, a * 1e6 / n, b * 1e6 / n }'
	done
}

churn() { # name flows threads
	spent load churn $TARGET $PORT "$2" "$3"
	awk -v w="$1, $3 at a time" -v n="$2" -v ms="$ms" -v a="$a" -v b="$b" 'BEGIN { printf "%-36s %6.0f connections/s   CPU us each: client %.0f server %.0f\n", w, n * 1000 / ms, a * 1000 / n, b * 1000 / n }'
}

idle() { # name flows
	fresh_c=$(rss_kb "$client") fresh_s=$(rss_kb "$server")
	start hold "$C" "$TOOLS/tcpload" hold $TARGET $PORT "$2" && hold=$pid
	wait_for "$2 flows" 60 grep -q '^held' "$work/hold.log"
	c=$(rss_kb "$client") s=$(rss_kb "$server")
	stop_pid "$hold"
	flows_gone() { [ "$(ls "/proc/$client/fd" | wc -l)" -lt 100 ]; }
	wait_for "their end" 30 flows_gone
	sleep 3 # the reading is defined as 3 s after they ended
	awk -v w="$1" -v n="$2" -v fc="$fresh_c" -v fs="$fresh_s" -v c="$c" -v s="$s" -v ec="$(rss_kb "$client")" -v es="$(rss_kb "$server")" \
		'BEGIN { printf "%-16s RSS MB fresh %.1f / %.1f (client / server); KB per idle flow at %d: %.2f / %.2f; MB 3 s after they ended: %.1f / %.1f\n", w, fc / 1024, fs / 1024, n, (c - fc) / n, (s - fs) / n, ec / 1024, es / 1024 }'
}

up 'socks5://:443' "socks5://10.90.1.1:443?notls=true"
bulk "tungo -> socks5"
churn "tungo -> socks5" 5000 64
idle "tungo -> socks5" "$FLOWS"
down
up 'relay+wss://:443' "relay+wss://10.90.1.1:443"
bulk "tungo -> relay+wss"
churn "tungo -> relay+wss (resumed)" 1000 1
churn "tungo -> relay+wss (resumed)" 5000 64
idle "tungo -> relay+wss" "$FLOWS"
down
if [ -x "$TOOLS/tlsbench" ]; then "$TOOLS/tlsbench" 2>&1 | sed 's/^/tls floor alone: /'; fi
