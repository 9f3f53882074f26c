#!/bin/sh
# tests/e2e/19_names.sh - names: resolvers over udp, tcp, tls and https, by a chain, hosts, the dns handler and its cache, DNS over
# TCP where a chain carries nothing else; and every question of ours leaves marked and by its interface.
#
#     app -> [cgost client] -- c0 --> relay :9001, socks4 :9004, microsocks :9005, http :9006 (server) --> target .9
#                 \-- names: 10.90.9.53 in the target's namespace: dnsmasq :53, unbound :853 (TLS), doh.py :8443 (HTTPS)
#
# dnsmasq and unbound write down who asked them, dnsmasq with the port: a question that is asked again from the same one, because
# the machine was slow, is the same question. unbound is used when it is there (./run check unpacks it).
. "$(dirname "$0")/lib.sh"
N=10.90.9.53 N6=fd90:9::53
command -v dnsmasq >/dev/null || skip "dnsmasq is missing (package dnsmasq-base)"
needs_nft
unbound=$(command -v unbound || ls "$here/build/strangers/usr/sbin/unbound" 2>/dev/null)
net_up
net_route
addr "$T" lo $N/32 $N6/128
ip -n "$S" route add $N/32 via 10.90.2.2
ip -n "$S" -6 route add $N6/128 via fd90:2::2
target_up
net_mark
cd "$work" || exit 1

# --- the strangers
quiet() { "$@" 2>>"$work/openssl.txt"; }
authority() { quiet openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" && quiet openssl req -x509 -new -key "$1.key" -subj "/CN=$1" -days 30 -out "$1.pem" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign; }
authority ca && authority other
quiet openssl ecparam -name prime256v1 -genkey -noout -out ns.key && quiet openssl req -new -key ns.key -subj /CN=ns -out ns.csr &&
	printf 'subjectAltName=DNS:ns.test,IP:%s\nextendedKeyUsage=serverAuth\n' $N >ns.ext &&
	quiet openssl x509 -req -in ns.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile ns.ext -out ns.pem
big=$(for i in 1 2 3 4 5 6 7 8; do printf ',%0200d' "$i"; done)
start dnsmasq "$T" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root --pid-file= --cache-size=0 \
	--listen-address=$N,$N6 --bind-interfaces --log-queries=extra --log-facility=- --local-ttl=60 --local=/test/ \
	--host-record=web.test,"$TARGET","$TARGET6" --host-record=four.test,"$TARGET" --host-record=six.test,"$TARGET6" \
	--host-record=relay.test,$SERVER --txt-record="big.test$big" --cname=alias.test,web.test
wait_for "dnsmasq" 10 listens "$T" 53
start doh "$T" python3 "$here/tests/tools/doh.py" $N 8443 ns.pem ns.key $N
start doh_chunked "$T" python3 "$here/tests/tools/doh.py" $N 8444 ns.pem ns.key $N chunked
start doh_status "$T" python3 "$here/tests/tools/doh.py" $N 8445 ns.pem ns.key $N status
for l in doh doh_chunked doh_status; do wait_for "$l" 10 grep -q ready $l.log; done
if [ -n "$unbound" ]; then
	cat >unbound.conf <<-END
		server:
		  directory: "$work"
		  username: ""
		  chroot: ""
		  pidfile: ""
		  use-syslog: no
		  do-daemonize: no
		  num-threads: 1
		  interface: $N@853
		  interface: $N@443
		  https-port: 443
		  access-control: 0.0.0.0/0 allow
		  tls-port: 853
		  tls-service-key: "$work/ns.key"
		  tls-service-pem: "$work/ns.pem"
		  module-config: "iterator"
		  log-queries: yes
		  local-zone: "test." static
		  local-data: "test. 120 IN SOA ns.test. root.test. 1 2 3 4 90"
		  local-data: "web.test. 60 IN A $TARGET"
		  local-data: "web.test. 60 IN AAAA $TARGET6"
		remote-control:
		  control-enable: no
	END
	start unbound "$T" env "LD_LIBRARY_PATH=$(echo "$here"/build/strangers/usr/lib/*-linux-gnu*)" "$unbound" -d -p -c unbound.conf
	wait_for "unbound" 10 listens "$T" 853
fi
start silence "$T" socat -u UDP4-RECV:5998,bind=$N /dev/null
echo "nameserver $N" >resolv.conf
start micro "$S" microsocks -i 0.0.0.0 -p 9005
cgost server "$S" -L relay://:9001?bind=true -L socks4://:9004 -L "http://:9006?udp=false"
for p in 9001 9004 9005 9006; do wait_for "port $p" 10 listens "$S" $p; done
export SSL_CERT_FILE="$work/ca.pem"

# --- what is checked with
# dnsmasq and unbound write down what they are asked before they answer, but who reads the log may be faster: a question of the
# target's own, asked behind all others, comes behind them in the log, too. written PROGRAM DIG-WORD...
written() {
	log=$1 last=behind$(date +%s%N).test && shift
	inside "$T" dig +time=20 +tries=3 "$@" "$last" >/dev/null
	wait_for "the last question in the log of $log" 10 log_has "$log" "$last"
}
# asked NAME [FROM]: so many questions for it have come to dnsmasq (from there)
asked() { written dnsmasq @$N >&2; count_asked "$@"; }
count_asked() { grep -o "[^ ]* query\[[A-Z]*\] $1 from ${2:-}.*" dnsmasq.log | sort -u | grep -c .; }
one_port() { inside "$C" python3 "$here/tests/tools/ask.py" "$1" web.test/A web.test/AAAA | tr '\n' ' '; } # dig 9.20 can't
page() { inside "$C" curl -sS -m 60 --socks5-hostname "127.0.0.1:${2:-1080}" "http://$1/x" 2>&1 | tail -n 1; }
sees() { # what name seen-from [port]
	same "$1" "$3" "$(page "$2" "${4:-1080}" | sed 's/.* from //')"
}
up() { name=$1 port=$2 && shift 2 && cgost "$name" "$C" "$@" && wait_for "$name" 10 listens "$C" "$port"; }
down() { stop_pid "$1" && same "it ends with status 0" 0 "$status"; }
# resolver ADDRESS [KEY: VALUE...]: a socks5 service with one nameserver, by the relay or directly (chain=)
resolver() {
	ns="{addr: \"$1\"" && shift
	for word; do ns="$ns, $word"; done
	cat >resolver.yaml <<-END
		services:
		- name: front
		  addr: 127.0.0.1:1080
		  resolver: r
		  handler: {type: socks5${chain-, chain: relay}}
		  listener: {type: tcp}
		  metadata: {so_mark: 100, interface: c0}
		resolvers:
		- name: r
		  nameservers:
		  - $ns, timeout: 20s}
		chains:
		- name: relay
		  hops:
		  - name: h
		    nodes: [{name: n, addr: "$SERVER:9001", connector: {type: relay}, dialer: {type: tcp}}]
		- name: streams
		  hops:
		  - name: s
		    nodes: [{name: s4, addr: "$SERVER:9004", connector: {type: socks4}, dialer: {type: tcp}}]
		- name: micro
		  hops:
		  - name: m
		    nodes: [{name: m5, addr: "$SERVER:9005", connector: {type: socks5}, dialer: {type: tcp}}]
	END
	up client 1080 -C resolver.yaml
}
# every question to the nameservers that does not go through a chain carries the mark; none leaves otherwise
inside "$C" nft -f - <<-END
	table inet names {
	  counter marked {}
	  counter bare {}
	  counter opened {}
	  chain out {
	    type filter hook output priority 0;
	    oifname "c0" ip daddr $N tcp flags & (syn | ack) == syn counter name opened
	    oifname "c0" ip daddr $N meta l4proto { tcp, udp } th dport { 53, 443, 853, 8443, 8444, 8445 } meta mark 100 counter name marked accept
	    oifname "c0" ip daddr $N meta l4proto { tcp, udp } th dport { 53, 443, 853, 8443, 8444, 8445 } counter name bare
	  }
	}
END
packets() { inside "$C" nft list counter inet names "$1" | sed -n 's/.*packets \([0-9]*\).*/\1/p'; }
marked_more() { # what: since the last call
	now=$(packets marked)
	if [ "$now" -gt "${before:-0}" ] && [ "$(packets bare)" = 0 ]; then ok "$1: marked, by c0"; else bad "$1: $((now - ${before:-0})) packets marked, $(packets bare) not"; fi
	before=$now
}

# --- resolvers
for scheme in udp tcp https; do
	case $scheme in https) at=https://$N:8443/dns-query ;; *) at=$scheme://$N ;; esac
	resolver "$at"
	sees "$scheme: resolved here, dialled by the relay" web.test 10.90.2.1
	marked_more "$scheme"
	same "$scheme: a name that is not there" 'curl: (97) cannot complete SOCKS5 connection to nothere.test. (4)' "$(page nothere.test | sed "s/Can't/cannot/")"
	down "$pid_client"
done
logged "https: the request is as RFC 8484 wants it" doh "$N:8443 /dns-query True"
resolver "udp://$N"
for name in four.test six.test alias.test WEB.Test; do sees "udp: $name" $name "$(case $name in six*) echo fd90:2::1 ;; *) echo 10.90.2.1 ;; esac)"; done
n=$(asked web.test)
for i in 1 2 3; do page web.test >/dev/null; done
same "an answer is kept" "$n" "$(asked web.test)"
down "$pid_client"
chain= resolver "udp://$N" 'prefer: ipv6'
sees "prefer: ipv6, directly" web.test fd90:1::2
sees "... and the other family" four.test 10.90.1.2
down "$pid_client"
chain= resolver "udp://$N" 'only: ipv4' 'ttl: -1s'
sees "only: ipv4" web.test 10.90.1.2
n=$(asked web.test) && page web.test >/dev/null
same "ttl below 0: asked each time" $((n + 1)) "$(asked web.test)"
same "only: ipv4 and a name without" 4 "$(page six.test | sed 's/.*(\([0-9]*\)).*/\1/')"
down "$pid_client"
resolver "https://$N:8444/dns-query"
sees "https: a chunked answer" web.test 10.90.2.1
down "$pid_client"

fails() { # what words: no page, and the log has the reason
	got=$(page web.test)
	case $got in *" from "*) bad "$1: $got" && return ;; esac
	logged "$1" client "web.test: .*$2"
}
resolver "https://$N:8445/dns-query"
fails "https: an error of the server" 'HTTP status 503'
down "$pid_client"
resolver "udp://$N:5999"
fails "udp: nobody there" 'refused'
down "$pid_client"
if [ -n "$unbound" ]; then
	resolver "tls://$N" 'hostname: ns.test'
	sees "tls: verified, port 853 by itself" web.test 10.90.2.1
	marked_more "tls"
	same "tls: no such name" 4 "$(page nothere.test | sed 's/.*(\([0-9]*\)).*/\1/')"
	written unbound +tls -p 853 @$N && n=$(log_count unbound 'nothere.test. A') && page nothere.test >/dev/null
	written unbound +tls -p 853 @$N && same "tls: a no is kept as long as its SOA says" "$n" "$(log_count unbound 'nothere.test. A')"
	down "$pid_client"
	resolver "https://$N/dns-query"
	sees "https: HTTP/2" web.test 10.90.2.1
	marked_more "https: HTTP/2"
	same "https: HTTP/2, no such name" 4 "$(page nothere.test | sed 's/.*(\([0-9]*\)).*/\1/')"
	down "$pid_client"
	resolver "tls://$N"
	sees "tls: without hostname nobody checks" web.test 10.90.2.1
	logged "tls: ... and the log names it" client "resolver.yaml:.*set its hostname"
	down "$pid_client"
	resolver "tls://$N" 'hostname: other.test'
	fails "tls: another name" 'certificate'
	down "$pid_client"
	SSL_CERT_FILE=$work/other.pem resolver "tls://$N" 'hostname: ns.test'
	fails "tls: another authority" 'certificate'
	down "$pid_client"
	SSL_CERT_FILE=$work/other.pem resolver "https://$N:8443/dns-query"
	fails "https: another authority" 'certificate'
	down "$pid_client"
else
	left_out "DNS over TLS, HTTP/2" "unbound is not here"
fi
# a nameserver by a chain that needs it for its node
resolver "udp://$N" 'chain: relay'
down "$pid_client"
sed "s/{name: n, addr: \"$SERVER:9001\"/{name: n, resolver: r, addr: \"relay.test:9001\"/" resolver.yaml >loop.yaml
up client 1080 -C loop.yaml
logged "a loop of resolver and chain is told" client 'loop.yaml:.*: a loop'
down "$pid_client"
same "no question left without its mark" 0 "$(packets bare)"

# --- the machine's own resolver: the name of a node and of a direct target
for way in "-L socks5://127.0.0.1:1080?interface=c0&so_mark=100" \
	"-L socks5://127.0.0.1:1080 -F relay://relay.test:9001?interface=c0&so_mark=100"; do
	start client "$C" sh -c 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"' sh "$work/resolv.conf" "$CGOST" $way
	mine="$mine $pid"
	wait_for "client" 10 listens "$C" 1080
	case $way in *-F*) page "$TARGET" ;; *) page web.test ;; esac >page.out
	check "resolv.conf: $(case $way in *-F*) echo a node ;; *) echo a direct target ;; esac)" grep -q ' from ' page.out
	marked_more "... asked"
	down "$pid_client"
done

# --- by a chain
for c in relay streams micro; do
	n=$(asked web.test 10.90.2.1)
	resolver "udp://$N" "chain: $c"
	sees "by chain $c" web.test 10.90.2.1
	[ "$(asked web.test 10.90.2.1)" -gt "$n" ] && ok "by chain $c: it is the far end that asks" || bad "by chain $c: asked by $(tail -n 2 dnsmasq.log)"
	down "$pid_client"
	logged_times "by chain $c: the log tells of TCP" "$(case $c in relay) echo 0 ;; *) echo 1 ;; esac)" client "can't carry UDP; it is asked over TCP"
done

# --- hosts
cat >hosts.yaml <<-END
	services:
	- {name: front, addr: "127.0.0.1:1080", hosts: h, resolver: r, handler: {type: socks5}, listener: {type: tcp}}
	resolvers: [{name: r, nameservers: [{addr: "udp://$N"}]}]
	hosts:
	- name: h
	  mappings:
	  - {ip: $TARGET, hostname: One.example, aliases: [two.example]}
	  - {ip: $TARGET, hostname: .domain.example}
	  file: {path: $work/names.hosts}
END
echo "$TARGET file.example # one" >names.hosts
up client 1080 -C hosts.yaml
for name in one.example TWO.example domain.example a.b.Domain.example file.example web.test; do sees "hosts: $name" $name 10.90.1.2; done
same "hosts: another name is asked for" 1 "$(asked web.test 10.90.1.2 | grep -c '[1-9]')"
echo "$TARGET later.example" >>names.hosts
later() { page later.example | grep -q ' from 10.90.1.2'; }
wait_for "the hosts file is read again" 10 later && ok "hosts: a changed file counts"
down "$pid_client"

# --- the dns handler
dig() { inside "$C" dig +time=60 +tries=1 -p "${port:-5300}" @127.0.0.1 "$@"; }
short() { dig +short "$@" | sort | tr '\n' ' '; }
has() { # what WORDS dig-arguments...
	what=$1 want=$2 && shift 2
	dig "$@" >dig.out 2>&1
	if grep -qE "$want" dig.out; then ok "$what"; else bad "$what: no '$want' in $(tr '\n' ' ' <dig.out | cut -c1-300)"; fi
}
up client 5300 -L "dns://127.0.0.1:5300?dns=$N" -L "dns://127.0.0.1:5300?mode=tcp&dns=udp://$N" \
	-L "dns+dns://127.0.0.1:8530?mode=tls&dns=tcp://$N&cert=$work/ns.pem&key=$work/ns.key" \
	-L "dns://127.0.0.1:5301?mode=tcp&dns=udp://$N:5999,udp://$N" -L "dns://127.0.0.1:5302?mode=tcp&dns=udp://$N:5999&timeout=20s" \
	-L "dns://127.0.0.1:5305?mode=tcp&dns=udp://$N:5998,udp://$N&timeout=40s" \
	-L "dns://127.0.0.1:5303?mode=tcp&dns=udp://$N&bypass=web.test&hosts=my.test:192.0.2.9"
fds=$(fds "$pid_client")
same "dns over udp: A" "$TARGET " "$(short web.test)"
n=$(asked web.test)
same "dns over tcp" "$TARGET " "$(short +tcp web.test)"
same "A and AAAA from one port" "$TARGET $TARGET6 " "$(one_port 127.0.0.1#5300)"
same "two on one connection" "$TARGET $TARGET6 " "$(short +tcp +keepopen web.test A web.test AAAA)"
n=$(asked four.test)
for p in 1 2 3; do short four.test >/dev/null; done
same "three clients, one question of ours" $((n + 1)) "$(asked four.test)"
ttl() { dig +noall +answer four.test | awk '{ print $2; exit }'; }
counted_down() { [ "$(ttl)" -lt 60 ]; }
wait_for "the TTL counts down" 5 counted_down && ok "a kept answer's TTL counts down"
same "the case of the question comes back" fOUR.teST. "$(dig +noall +answer fOUR.teST | awk '{ print $1; exit }')"
port=8530 same "dns over tls" "$TARGET " "$(port=8530 short +tls web.test)"
has "dns over tls, verified" 'ANSWER: 1' -p 8530 +tls-ca="$work/ca.pem" +tls-hostname=ns.test +tls web.test
has "NXDOMAIN is passed on" 'status: NXDOMAIN' nothere.test
has "an answer too long for who asks is cut" 'flags:[a-z ]* tc' +ignore +noedns +bufsize=0 TXT big.test
has "... and whole over TCP" '0{199}8' +noedns TXT big.test
port=5301 has "an upstream that is dead is stepped over" 'status: NOERROR' -p 5301 +tcp web.test
since=$(date +%s%N)
has "an upstream that is silent holds nobody up" 'status: NOERROR' -p 5305 +tcp web.test AAAA
[ $((($(date +%s%N) - since) / 1000000)) -lt 20000 ] && ok "... the next one is asked beside it" || bad "a silent upstream cost $((($(date +%s%N) - since) / 1000000)) ms"
since=$(date +%s)
has "all upstreams dead: SERVFAIL" 'status: SERVFAIL' -p 5302 +tcp web.test
[ $(($(date +%s) - since)) -le 15 ] && ok "... in time" || bad "SERVFAIL took $(($(date +%s) - since)) s"
logged "... and the log says which and why" client "no upstream answers.*$N:5999: .*refused"
has "the service's bypass: no answer, no error" 'status: NOERROR.*ANSWER: 0|ANSWER: 0' -p 5303 +tcp web.test
has "hosts of the service" '192\.0\.2\.9' -p 5303 +tcp my.test
has "EDNS is answered by EDNS" 'EDNS: version: 0' -p 5303 +tcp my.test
fds_back client "$pid_client" "$fds" 20
down "$pid_client"
inside "$C" nft reset counters >/dev/null
for at in udp://$N tcp://$N https://$N:8443 ${unbound:+tls://$N https://$N}; do
	before=0
	up client 5304 -L "dns://127.0.0.1:5304?mode=tcp&dns=$at&so_mark=100&interface=c0"
	has "the dns handler asks $at" 'status: NOERROR' -p 5304 +tcp web.test AAAA
	want=$(case $at in udp*) echo 0 ;; *) echo 1 ;; esac)
	for try in 1 2 3 4 5; do # an answer that takes a second, as on a slow machine, costs another connection
		[ $try = 1 ] || { inside "$C" nft reset counters >/dev/null; want=0; } # the one that there is now
		for n in 1 2 3 4 5; do dig -p 5304 +tcp "$n.$try.test" >/dev/null; done
		[ "$(packets opened)" != "$want" ] || break
	done
	same "... five more questions, connections" "$want" "$(packets opened)"
	marked_more "the dns handler, $at"
	inside "$C" nft reset counters >/dev/null
	down "$pid_client"
done

# --- a fifth of all datagrams is lost, both ways
inside "$S" nft -f - <<-END
	table inet loss {
	  chain way { type filter hook forward priority 0; meta l4proto udp numgen random mod 5 0 drop; }
	}
END
# each server is asked seven times within the minute: one question of 10^5 is lost for good
up client 5300 -L "dns://127.0.0.1:5300?mode=tcp&so_mark=100&dns=udp://$N,udp://[$N6]&timeout=60s"
asking= && for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	inside "$C" dig +time=100 +tries=1 +tcp -p 5300 @127.0.0.1 "lost$n.test" >"dig.$n" 2>&1 &
	asking="$asking $!"
done
for p in $asking; do wait "$p"; done
same "20 % loss: questions answered" 20 "$(grep -l 'status: NXDOMAIN' dig.[0-9]* | wc -l)"
inside "$S" nft delete table inet loss
down "$pid_client"

# --- through the device: the nameserver is behind it, our own questions are not
tungo_up client so_mark=100 -F "relay://relay.test:9001?resolver=udp://$N&interface=c0&so_mark=100"
before=$(packets marked)
check "a node's name by a nameserver behind the device" probe echo "$TARGET" 20000
marked_more "the node's question"
same "dig through the device" "$TARGET" "$(inside "$C" dig +short +time=30 +tries=2 @$N web.test)"
same "... two questions from one port" "$TARGET $TARGET6 " "$(one_port $N)"
down "$pid_client"

start client "$C" sh -c 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"' sh "$work/resolv.conf" "$CGOST" -L "$(tungo_url so_mark=100)" \
	-F "relay://relay.test:9001?interface=c0&so_mark=100"
mine="$mine $pid" && tungo_is_up
before=$(packets marked)
check "a node's name by the machine's own nameserver, which is behind the device" probe echo "$TARGET" 20000
marked_more "... the node's question"
down "$pid_client"

# --- a chain that carries streams only
inside "$C" nft reset counters >/dev/null
for f in "socks4://$SERVER:9004" "socks5://$SERVER:9005" "http://$SERVER:9006"; do
	tungo_up client '' -F "$f?interface=c0"
	n=$(asked web.test 10.90.2.1)
	same "${f%%:*} without UDP: dig by UDP" "$TARGET" "$(inside "$C" dig +short +time=30 +tries=2 +notcp @$N web.test)"
	same "${f%%:*} without UDP: two from one port" "$TARGET $TARGET6 " "$(one_port $N)"
	same "${f%%:*} without UDP: a long answer" 8 "$(inside "$C" dig +short +time=30 +tries=2 @$N big.test TXT | tr ' ' '\n' | grep -c '^"0')"
	[ "$(asked web.test 10.90.2.1)" -gt "$n" ] && ok "${f%%:*}: the far end asks" || bad "${f%%:*}: asked by $(tail -n 1 dnsmasq.log)"
	check "${f%%:*}: other UDP is refused" sh -c "! ip netns exec $C python3 $here/tests/tools/probe.py --seconds 1 udp $TARGET 5"
	down "$pid_client"
	logged_times "${f%%:*}: the log says so, once" 1 client "DNS questions go over TCP"
done
# --- a chain that is down: who asked hears of it
cgost far "$S" -L 'relay://:9098?bind=true'
cgost client "$C" -L "udp://127.0.0.1:5301/$N:53" -L 'socks5://127.0.0.1:1080?udp=true' -F "relay://$SERVER:9098?interface=c0"
wait_for "relay" 10 listens "$S" 9098
wait_for "socks5" 10 listens "$C" 1080
cat >asker.py <<'END'
import os, socket, struct, sys, time
c = socket.create_connection(("127.0.0.1", 1080))
for ask in b"\5\1\0", b"\5\3\0\1\0\0\0\0\0\0":
    c.sendall(ask)
    told = c.recv(100)
open("asker.ready", "w").close()
while not os.path.exists("far.down"):
    time.sleep(0.05)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.settimeout(2)
question = bytes.fromhex("12340100 00010000 00000000 03776562 04746573 74000001 0001")
for _ in range(10):  # the first may be what finds out
    u.sendto(b"\0\0\0\1" + socket.inet_aton(sys.argv[1]) + b"\0\x35" + question, ("127.0.0.1", struct.unpack(">H", told[8:10])[0]))
    try:
        sys.exit(u.recv(600)[10:14].hex() != "12348182")
    except TimeoutError:
        pass
sys.exit("no answer")
END
inside "$C" python3 asker.py "$N" 2>asker.err &
asker=$!
wait_for "an association" 10 test -e asker.ready
stop_pid "$pid_far"
: >far.down
wait "$asker" && ok "a chain that is down: the client of an association hears of it" || bad "the client of an association: $(tail -n 1 asker.err)"
same "... and that of a forwarded port" SERVFAIL "$(inside "$C" dig +time=60 +tries=1 -p 5301 @127.0.0.1 web.test | sed -n 's/.*status: \([A-Z]*\),.*/\1/p')"
down "$pid_client"
same "no question left beside the chain" 0 "$(($(packets bare) + $(packets marked)))"
inside "$C" nft delete table inet names
finish
