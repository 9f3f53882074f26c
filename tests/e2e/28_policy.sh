#!/bin/sh
# tests/e2e/28_policy.sh - sniffing and bypass=example.com, proven by packets: what is example.com's leaves directly, all else
# only in the tunnel; by a file and by a command line, over good links and over links that lose 20 % and take 100 ms.
#
#     app -> [tungo, default routes] -> cgost -- e0 10.91.1.2 ------------------------ d0 --> target: example.com .10
#                                         \-- c0 10.90.1.2 -- s0 [relay+wss] s1 ------ t0 -->         all else   .20, 1.1.1.1
#
# e0 carries the client's real default routes: what leaks does arrive, and is seen. sides.py judges each packet of e0, c0, s1.
. "$(dirname "$0")/lib.sh"
TOOLS=$(dirname "$CGOST")/tools
[ -x "$TOOLS/badlink" ] || TOOLS=$here/build/tools
[ -x "$TOOLS/badlink" ] && [ -x "$TOOLS/quicflight" ] || skip "$TOOLS is not built (make tools)"
EX=203.0.113.10 EX6=2001:db8:10::10 OT=203.0.113.20 OT6=2001:db8:10::20 NS=1.1.1.1 NS6=2606:4700:4700::1111
NAME=${POLICY_NAME:-example.com} # the rule's; any other than example.com makes this test fail, which shows that it can
printf '127.0.0.1 localhost\n' >"$work/hosts"
printf 'nameserver %s\noptions attempts:10 timeout:1\n' "$NS" >"$work/resolv"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=target -keyout "$work/key" -out "$work/crt" 2>/dev/null

net_up
ip link add e0 netns "$C" type veth peer name d0 netns "$T"
addr "$C" e0 10.91.1.2/24 fd91:1::2/64
addr "$T" d0 10.91.1.1/24 fd91:1::1/64
addr "$T" lo $EX/32 $EX6/128 $OT/32 $OT6/128 $NS/32 $NS6/128
default_routes() { # of client and server, as a machine has them before anything of ours runs
	ip -n "$C" route replace default via 10.91.1.1 dev e0 metric 10
	ip -n "$C" -6 route replace default via fd91:1::1 dev e0 metric 10
}
ip -n "$C" route del default
ip -n "$C" -6 route del default
default_routes
ip -n "$S" route add default via 10.90.2.2
ip -n "$S" -6 route add default via fd90:2::2
inside "$T" sh -c 'cd /proc/sys/net && echo 0 >ipv4/icmp_ratelimit && echo 0 >ipv6/icmp/ratelimit'

start target "$T" python3 "$here/tests/tools/target.py" --addr $EX --addr $EX6 --addr $OT --addr $OT6 --ready "$work/target.ready"
start h2 "$T" python3 "$here/tests/tools/h2.py" "$work/crt" "$work/key" "$work/h2.ready" $EX $EX6 $OT $OT6
nameserver() { # [--truncate]
	rm -f "$work/ns.ready"
	start nameserver "$T" python3 "$here/tests/tools/nameserver.py" --addr $NS --addr $NS6 --log "$work/asked" --ready "$work/ns.ready" "$@" \
		example.com=$EX example.com=$EX6 www.example.com=$OT www.example.com=$OT6 other.test=$OT other.test=$OT6
	wait_for "nameserver" 10 test -e "$work/ns.ready"
}
nameserver
for a in $EX $EX6 $OT $OT6; do
	start "quic $a" "$T" python3 "$here/tests/tools/flight.py" serve "$a" 443 8443
	wait_for "QUIC target" 10 grep -q ready "$work/quic $a.log"
done
for f in target h2; do wait_for "$f" 10 test -e "$work/$f.ready"; done
named() { # NAME NAMESPACE COMMAND...: with 1.1.1.1 as the machine's resolver
	start "$1" "$2" sh -c 'mount --bind "$1/hosts" /etc/hosts && mount --bind "$1/resolv" /etc/resolv.conf && shift 3 && exec "$@"' sh "$work" "$@"
}
relay_start() {
	named relay "$S" "$CGOST" -L 'relay+wss://demo:demo-only@:443?bind=true'
	mine="$mine $pid"
	wait_for "relay" 10 listens "$S" 443
}
relay_start

# --- the two spellings of the same policy
cat >"$work/policy.yaml" <<END
services:
- name: tungo
  addr: :0
  handler:
    type: tungo
    chain: out
    metadata:
      sniffing: true
      sniffing.udp: true
  listener:
    type: tungo
    metadata:
      name: tungo
      net: 192.168.123.1/24,fd12:3::1/64
      mtu: 1420
      dns: 1.1.1.1
  metadata:
    interface: e0
    postUp:
    - ip route del default
    - ip route add default via 192.168.123.1 dev tungo metric 1
    - ip route add default via 10.91.1.1 dev e0 metric 10
    - ip -6 route del default
    - ip -6 route add default dev tungo metric 1
    - ip -6 route add default via fd91:1::1 dev e0 metric 10
chains:
- name: out
  hops:
  - name: hop-0
    interface: c0
    bypass: direct
    nodes:
    - name: server
      addr: $SERVER:443
      connector:
        type: relay
        auth:
          username: demo
          password: demo-only
      dialer:
        type: wss
bypasses:
- name: direct
  matchers:
  - $NAME
END
client_up() { # yaml | url
	case $1 in
	yaml) named client "$C" "$CGOST" -C "$work/policy.yaml" ;;
	loose) # no interface: what leaves directly comes back in
		named client "$C" "$CGOST" -L "tungo://:0?name=tungo&net=192.168.123.1/24,fd12:3::1/64&sniffing=true&sniffing.udp=true" \
			-F "relay+wss://demo:demo-only@$SERVER:443?interface=c0&bypass=$NAME"
		;;
	url | fake)
		more= && [ "$1" = url ] || more="&dns.fake=198.18.0.0/15,fd00:f::/64&dns.fake.file=none"
		named client "$C" "$CGOST" -L "tungo://:0?name=tungo&net=192.168.123.1/24,fd12:3::1/64&mtu=1420&dns=1.1.1.1&sniffing=true&sniffing.udp=true&interface=e0$more" \
		-F "relay+wss://demo:demo-only@$SERVER:443?interface=c0&bypass=$NAME" ;;
	esac
	client=$pid mine="$mine $pid"
	wait_for "device" 20 device_up "$C" tungo || exit 1
	if [ "$1" != yaml ]; then # a command line has no hooks: its user types them
		ip -n "$C" route add default via 192.168.123.1 dev tungo metric 1
		ip -n "$C" -6 route add default dev tungo metric 1
	fi
	for a in $EX $OT6; do wait_for "default route" 20 routed $a || exit 1; done
}
client_down() {
	stop_pid "$client"
	same "$way: ends with status 0" 0 "$status"
	gone() { ! ip -n "$C" link show tungo 2>/dev/null; }
	wait_for "the device goes" 20 gone
}

# --- watching
watch_up() {
	sides="python3 $here/tests/tools/sides.py --name example.com --node $SERVER:443 --address $EX --address $EX6 --nameserver $NS --nameserver $NS6"
	rm -f "$work"/*.watch
	start sides "$C" $sides --direct e0 --tunnel c0 --own 10.91.1.2 --own fd91:1::2 --own 10.90.1.2 --ready "$work/c.watch"
	start sides-exit "$S" $sides --exit s1 --ready "$work/s.watch"
	for f in c s; do wait_for "watch" 10 test -e "$work/$f.watch"; done
}
seen() { awk -v w="$1" 'substr($0, 1, length(w)) == w { n += $NF } END { print n + 0 }' "$work/sides.log" "$work/sides-exit.log"; }
leaks() { grep -h ' leak ' "$work/sides.log" "$work/sides-exit.log"; }
watch_down() {
	stop_pid "$pid_sides"
	stop_pid "$pid_sides_exit"
	same "$way: packets the watch missed" "0 0" "$(sed -n 's/^unseen //p' "$work/sides.log" "$work/sides-exit.log" | xargs)"
	same "$way: packets where they must not be" 0 "$(leaks | awk '{ n += $NF } END { print n + 0 }')"
	leaks | sed 's/^/     /' | head -n 12
}
some() { # WHAT WORD...: packets of that kind were seen
	what=$1 && shift
	for w; do [ "$(seen "$w")" -gt 0 ] || { bad "$what: none of '$w'" && return; }; done
	ok "$what"
}

# --- what applications do, all at once: does NAME "WHAT MUST COME" COMMAND...; patient ones try again until that comes
jobs= patience=5 limit=120 wait=2
does() {
	job=$1 want=$2 && shift 2
	echo "$want" >"$work/job.$job.want"
	named "job.$job" "$C" sh -c 'job=$1 want=$2 n=$3 && shift 3
		while n=$((n - 1)) && [ $n -ge 0 ]; do
			got=$("$@" 2>"$job.err" | tr "\n" " " | sed "s/ *$//")
			[ "$got" != "$want" ] || break
		done
		echo "$got" >"$job.got"' sh "$work/job.$job" "$want" $patience "$@"
	jobs="$jobs $job:$pid"
}
done_all() {
	over=$(($(date +%s) + limit))
	for j in $jobs; do
		job=${j%:*} p=${j##*:}
		until ended "$p" || [ "$(date +%s)" -ge "$over" ]; do sleep 0.05; done
		same "$way: $job" "$(cat "$work/job.$job.want")" "$(cat "$work/job.$job.got" 2>/dev/null || echo 'no end of it')"
		stop_pid "$p"
		rm -f "$work/job.$job".*
	done
	jobs=
}
web() { # JOB ANSWER CURL-WORD...
	n=$1 want=$2 && shift 2
	does "$n" "$want" curl -sk -m $((wait * 10)) "$@"
}
quic() { # JOB SENDER ADDRESS PORT NAME: the Initial of a client arrives, and from where
	does "$1" "$2" sh -c 'python3 "$1" send $2 $3 --wait $4 $5 | cut -d" " -f1' sh "$here/tests/tools/flight.py" "$3" "$4" "$wait" "$("$TOOLS/quicflight" "$5")"
}
hello3() { # JOB ANSWER ADDRESS NAME: openssl; its ClientHello has 3 records
	does "$1" "$2" sh -c '(printf "GET / HTTP/1.1\r\nHost: %s\r\n\r\n" $2 && exec tail -f /dev/null) | timeout $4 openssl s_client -connect $1:443 -servername $2 -max_send_frag 512 -alpn $3 -quiet 2>/dev/null | tail -n 1' \
		sh "$3" "$4" "$(seq -s, 1000 1180)" $((wait * 5))
}
dns() { # JOB ANSWER SERVER QUESTION...
	n=$1 want=$2 && shift 2
	does "$n" "$want" dig +short +nocookie +time=$wait +tries=2 "@$@"
}
no_dns() { # JOB SERVER QUESTION...: twice nothing; a newer dig hears ICMP and says so
	n=$1 && shift
	does "$n" "2 1" sh -c 'dig +short +nocookie +time=$1 +tries=2 "@$2" $3 $4 | awk "/ error to .*: (timed out|(host|network) unreachable)\$/ { e++ } /no servers could be reached/ { n++ } END { print e, n }"' sh $wait "$@"
}
run_jobs() { # the names are dialled: by IPv4, which our resolvers prefer, whatever the application took
	for v in 4 6; do
		web http-$v "$EX example.com /x $DIRECT" -$v http://example.com/x
		web h2-$v "$EX example.com h2 $DIRECT" -$v https://example.com/
		web http-other-$v "$OT other.test /x $TUNNEL" -$v http://other.test/x
		web h2-www-$v "$OT www.example.com h2 $TUNNEL" -$v https://www.example.com/
	done
	web tls-elsewhere "$EX example.com h2 $DIRECT" --resolve example.com:443:$OT https://example.com/
	web tls-other-there "$OT other.test h2 $TUNNEL" --resolve other.test:443:$EX https://other.test/
	hello3 records "$EX example.com http/1.1 $DIRECT" $EX example.com
	hello3 records-other "$OT other.test http/1.1 $TUNNEL" $EX other.test
	for a in $OT $EX $OT6; do # no name, so it is not example.com's, wherever it goes
		does first-$a "220 hello" sh -c 'nc -w $2 $1 25 </dev/null | head -n 1 | tr -d "\r"' sh $a $((wait * 5))
	done
	quic quic ${DIRECT#* } $EX 443 example.com
	quic quic-6 ${DIRECT6#* } $EX6 443 example.com
	quic quic-other ${TUNNEL#* } $OT 443 other.test
	quic quic-www-6 ${TUNNEL6#* } $OT6 443 www.example.com
	quic quic-other-there ${TUNNEL#* } $EX 8443 other.test
	dns dns-a $EX $NS example.com A
	dns dns-aaaa-6 $EX6 $NS6 example.com AAAA
	dns dns-other "$OT $OT6" $NS other.test A other.test AAAA
	dns dns-www-6 $OT6 $NS6 www.example.com AAAA
	dns dns-tcp $EX $NS +tcp example.com A
	dns dns-other-tcp-6 $OT6 $NS6 +tcp other.test AAAA
	does dns-one-socket "$EX $EX6 $OT $OT6" python3 "$here/tests/tools/ask.py" $NS example.com/A example.com/AAAA other.test/A other.test/AAAA
	done_all
}
DIRECT="from 10.91.1.2" DIRECT6="from fd91:1::2" TUNNEL="from 10.90.2.1" TUNNEL6="from fd90:2::1"

# the program's own question for example.com's address is asked where example.com goes
own_lookup() {
	: >"$work/asked"
	start sides-tun "$C" $sides --exit tungo --ready "$work/t.watch"
	wait_for "watch" 10 test -e "$work/t.watch"
	web tls-elsewhere "$EX example.com h2 $DIRECT" --resolve example.com:443:$OT https://example.com/
	done_all
	stop_pid "$pid_sides_tun"
	check "$way: our own question was asked" grep -q 'udp example.com A' "$work/asked"
	same "$way: and did not come by the device" "" "$(grep 'dns\|:53' "$work/sides-tun.log")"
}
# answers that do not fit: the same questions over TCP, those of applications and our own
truncated() {
	stop_pid "$pid_nameserver"
	nameserver --truncate
	: >"$work/asked"
	dns dns-truncated $EX6 $NS example.com AAAA
	dns dns-other-truncated-6 $OT $NS6 other.test A
	web http-truncated "$EX example.com /x $DIRECT" http://example.com/x
	web h2-other-truncated "$OT other.test h2 $TUNNEL" https://other.test/
	web tls-elsewhere-truncated "$EX example.com h2 $DIRECT" --resolve example.com:443:$OT https://example.com/
	done_all
	check "$way: TCP was asked for both" sh -c "grep -q 'tcp example.com A' '$work/asked' && grep -q 'tcp other.test A' '$work/asked'"
	stop_pid "$pid_nameserver"
	nameserver
}
# without its server the tunnel is shut: nothing takes the other way
server_gone() {
	stop_pid "$pid_relay"
	same "$way: the server ends with status 0" 0 "$status"
	web no-server-http '' http://other.test/x
	web no-server-h2 '' --resolve other.test:443:$OT https://other.test/
	web no-server-http-6 '' --resolve "www.example.com:80:[$OT6]" http://www.example.com/x
	dns no-server-dns ';; communications error to 1.1.1.1#53: connection refused ;; communications error to 1.1.1.1#53: connection refused ;; no servers could be reached' $NS other.test A
	web no-server-direct "$EX example.com h2 $DIRECT" https://example.com/
	done_all
	relay_start
}

# without the direct link example.com is not to be had: nothing takes the other way
direct_gone() {
	ip -n "$C" link set e0 down
	web no-link-http '' http://example.com/x
	web no-link-h2 '' --resolve example.com:443:$EX https://example.com/
	web no-link-h2-6 '' --resolve "example.com:443:[$EX6]" https://example.com/
	no_dns no-link-dns $NS example.com A
	quic no-link-quic sent $EX 443 example.com
	web no-link-other "$OT other.test h2 $TUNNEL" https://other.test/
	done_all
	addr "$C" e0 fd91:1::2/64
	default_routes
	web link-back "$EX example.com /x $DIRECT" http://example.com/x
	done_all
}
# names instead of addresses: no question of an application leaves, only our own for what leaves directly
fake() {
	web fake-http "$EX example.com /x $DIRECT" -4 http://example.com/x
	web fake-h2-6 "$EX example.com h2 $DIRECT" -6 https://example.com/
	web fake-www "$OT www.example.com h2 $TUNNEL" https://www.example.com/
	web fake-other "$OT other.test /x $TUNNEL" http://other.test/x
	does fake-dns 198.18 sh -c "dig +short @$NS unknown.test A | cut -d. -f1,2"
	done_all
}
# what the device got: a handful of packets, not the same question again and again
loop() {
	no_dns dns $NS example.com A
	quic quic sent $EX 443 example.com
	does h2 '' curl -sk -m 4 --resolve example.com:443:$OT https://example.com/
	web http-other "$OT other.test /x $TUNNEL" http://other.test/x
	done_all
	n=$(inside "$C" cat /sys/class/net/tungo/statistics/tx_packets)
	check "$way: no packet goes round and round ($n came)" test "$n" -lt 300
}

policy() { # WAY yaml|url STEP...
	way=$1 && shift
	watch_up
	client_up "$1" && shift
	for step; do $step; done
	client_down
	default_routes
	watch_down
	case $way in
	loop) logged_times "$way: it is told once" 1 client 'routing loop.*Set `interface`' ;;
	fake) some "$way: each on its side" "e0 tcp $EX 80" "e0 tcp $EX 443" "e0 dns example.com $NS" "c0 node" "s1 other" ;;
	truncated) some "$way: DNS over TCP" "e0 tcp-dns example.com $NS" "s1 tcp-dns other.test" ;;
	*)
		some "$way: example.com on the direct side" "e0 tcp $EX 80" "e0 tcp $EX 443" "e0 udp $EX 443" "e0 udp $EX6 443" "e0 dns example.com $NS" "e0 dns example.com $NS6" "e0 tcp-dns example.com $NS"
		some "$way: the others behind the server" "c0 node" "s1 other" "s1 dns other.test" "s1 dns www.example.com" "s1 tcp-dns other.test"
		;;
	esac
}

net_same() { net_state >"$work/net.after" && check "devices and routes as before" diff "$work/net.before" "$work/net.after"; }
net_mark
way=control
watch_up
web before "$OT other.test /x $DIRECT" -4 http://other.test/x
done_all
over() { for n in "$C" "$T"; do [ -z "$(inside "$n" ss -Htn)" ] || return 1; done; } # what the next watch should not see
wait_for "control: its connections end" 20 over
stop_pid "$pid_sides"
stop_pid "$pid_sides_exit"
same "control: without our program the watch sees a leak, of each kind" "dns tcp" "$(leaks | grep ' e0 \|^e0' | sed 's/.* dns .*/dns/; s/.* tcp .*/tcp/' | sort -u | xargs)"
policy yaml yaml own_lookup run_jobs server_gone
policy url url run_jobs direct_gone
policy truncated url truncated
policy fake fake fake
policy loop loose loop
net_same

# --- the same with links that lose 20 % of what they carry, each way, and take 100 ms
ip -n "$C" link del c0
ip -n "$C" link del e0
bad_link() { # NAME DEV NAMESPACE DEV
	"$TOOLS/badlink" "$C" "$2" "$3" "$4" delay=100 loss=20 seed=$1 </dev/null >"$work/link-$2.log" 2>&1 &
	pids="$! $pids"
	wait_for "link" 15 grep -q ready "$work/link-$2.log" || exit 1
}
bad_link 3 c0 "$S" s0
bad_link 4 e0 "$T" d0
addr "$C" c0 10.90.1.2/24 fd90:1::2/64
addr "$S" s0 10.90.1.1/24 fd90:1::1/64
addr "$C" e0 10.91.1.2/24 fd91:1::2/64
addr "$T" d0 10.91.1.1/24 fd91:1::1/64
default_routes
net_mark
patience=12 limit=180 wait=4 # a third of the datagrams there and back is lost
policy "bad links, yaml" yaml own_lookup run_jobs
policy "bad links, url" url run_jobs
net_same
rm "$work/net.before" # the links go before the server does
