#!/bin/sh
# tests/e2e/18_bypass.sh - rules with packets: service, hop and node bypass, files that change, admissions.
#
#     app -> socks5, tungo ... [cgost] -- c0, the client's own address: "direct" ------------------> target .9, .10
#                                 \-- relay :9000 (server; seen as 10.90.2.1: "chain") ------------/
#                                  \- relay :9001 (server; seen as 10.90.2.3: "other") -----------/
#
# The target tells whom it sees. Names are those of a hosts file that all our programs have.
. "$(dirname "$0")/lib.sh"
T2=10.90.9.10 T26=fd90:9::10
printf '127.0.0.1 localhost\n%s direct.test www.direct.test chain.test 7seas.test\n%s direct6.test\n' "$TARGET" "$TARGET6" >"$work/hosts"
net_up
net_route
addr "$T" lo "$T2/32" "$T26/128"
ip -n "$S" route add "$T2/32" via 10.90.2.2
ip -n "$S" -6 route add "$T26/128" via fd90:2::2
addr "$S" s1 10.90.2.3/24
addr "$C" c0 10.90.1.3/24
start target "$T" python3 "$here/tests/tools/target.py" --addr "$TARGET" --addr "$TARGET6" --addr "$T2" --addr "$T26" --ready "$work/target.ready"
start who "$T" python3 "$here/tests/tools/udpwho.py" serve "$TARGET" "$TARGET6" "$T2" "$T26"
wait_for "target" 10 test -e "$work/target.ready"
wait_for "UDP target" 10 grep -q ready "$work/who.log"
net_mark

# ours NAME NAMESPACE ARGUMENT...: the program under test, with our names
ours() {
	name=$1 ns=$2 && shift 2
	start "$name" "$ns" sh -c 'mount --bind "$1" /etc/hosts && shift && exec "$@"' sh "$work/hosts" "$CGOST" "$@"
	mine="$mine $pid"
}
# app NAME PORT ARGUMENT...: one of ours in the client, up when PORT listens
app() { name=$1 port=$2 && shift 2 && ours "$name" "$C" "$@" && wait_for "$name" 10 listens "$C" "$port"; }
down() { stop_pid "$1" && same "${2:-it} ends with status 0" 0 "$status"; }
side() { # whom the target saw, in a word
	case $1 in
	10.90.1.2 | fd90:1::2) echo direct ;;
	10.90.2.1 | fd90:2::1) echo chain ;;
	10.90.2.3) echo other ;;
	*) echo "${1:-none}" ;;
	esac
}
# way URL [CURL-WORD...]: direct, chain, other, or the status of curl
way() {
	url=$1 && shift
	answer=$(inside "$C" curl -s -m 60 "$@" "$url/x" 2>/dev/null) || { echo "curl $?" && return; }
	side "${answer##* }"
}
socks="--socks5-hostname 127.0.0.1:1080"
# ways "what" PAIR...: HOST[:PORT]=way for each
ways() {
	what=$1 && shift
	for pair; do same "$what: ${pair%=*}" "${pair##*=}" "$(way "http://${pair%=*}" $socks)"; done
}
# udp WANT HOST...: one association of the socks5 server
udp() {
	what=$1 want=$2 && shift 2
	hosts= wanted=$want # who is expected to be silent is not waited for long
	for h; do case $wanted in none*) hosts="$hosts $h=none" ;; *) hosts="$hosts $h" ;; esac && wanted=${wanted#* }; done
	got= && for a in $(inside "$C" python3 "$here/tests/tools/udpwho.py" ask ${via:-} $hosts); do got="$got$(side "$a") "; done
	same "$what" "$want" "${got% }"
}
reply() { check "$1" probe --via "$2" error "$3" "$4" "$5" 3000; }

ours relays "$S" -L "relay+tcp://:9000?bind=true" -L "relay+tcp://:9001?bind=true&interface=10.90.2.3"
wait_for "relay" 10 listens "$S" 9000
wait_for "relay" 10 listens "$S" 9001
NODE="relay+tcp://$SERVER:9000"

# --- a service refuses, in its client's protocol
rule="direct.test,*.7seas.test,7*.test,$T2/32,fd90:9::10-fd90:9::20,chain.test:81"
app service 1080 -D -L "socks5://:1080?udp=true&bypass=$rule" -L "http://:8080?bypass=$rule" -L "socks4://:1084?bypass=$rule" -L "tcp://:7007/$T2:7?bypass=$rule" -L "relay://:9100?bypass=$rule"
reply "service, socks5: a name is refused with 2" socks5://127.0.0.1:1080 direct.test 80 'socks 2'
reply "service, socks5: in capitals too" socks5://127.0.0.1:1080 DIRECT.Test 80 'socks 2'
reply "service, socks5: wildcard" socks5://127.0.0.1:1080 7seas.test 80 'socks 2'
reply "service, socks5: CIDR" socks5://127.0.0.1:1080 "$T2" 80 'socks 2'
reply "service, socks5: IPv6 range" socks5://127.0.0.1:1080 "$T26" 80 'socks 2'
reply "service, socks5: name and port" socks5://127.0.0.1:1080 chain.test 81 'socks 2'
reply "service, http: 403" http://127.0.0.1:8080 direct.test 80 'http 403'
ways service "chain.test=direct" "www.direct.test=direct" "$TARGET=direct" "[$TARGET6]=direct"
same "service, http: a plain request is 403" 403 "$(inside "$C" curl -s -m 60 -o /dev/null -w '%{http_code}' -x http://127.0.0.1:8080 http://direct.test/)"
same "service, http: others pass" direct "$(way http://chain.test -x http://127.0.0.1:8080)"
same "service, socks4: is refused" "curl 97" "$(way http://direct.test --socks4a 127.0.0.1:1084)"
same "service, socks4: others pass" direct "$(way http://chain.test --socks4a 127.0.0.1:1084)"
check "service, tcp forward to a listed target: closed" sh -c "! ip netns exec $C timeout 5 sh -c 'echo x | nc -w 2 127.0.0.1 7007' | grep x"
via="--via 127.0.0.1:1080" && udp "service, UDP: per destination of one association" "direct none direct none" "$TARGET" "$T2" "$TARGET6" "$T26"
udp "service, UDP: per name" "none direct" direct.test chain.test
logged "the record of a match tells rule and place" service 'bypass-0, \\"direct.test\\" (-L #1'
app through 1081 -L socks5://:1081 -F relay://127.0.0.1:9100
check "service, relay: the far end's no reaches the client" probe --relay --via socks5://127.0.0.1:1081 error direct.test 80 'socks 2' 3000
same "service, relay: others pass" direct "$(way http://chain.test --socks5-hostname 127.0.0.1:1081)"
down "$pid_through" && down "$pid_service" service

# --- what GOST was seen to decide, list by list
vectors="$here/tests/tools/bypassvec.py" recorded="$here/tests/vectors/bypass.txt"
python3 "$vectors" config "$recorded" >"$work/vectors.json"
app vectors 20000 -C "$work/vectors.json"
check "recorded decisions: $(grep -c '^[a-z]' "$recorded") lists" inside "$C" python3 "$vectors" ask "$recorded"
down "$pid_vectors"

# --- a hop: the route ends before it
hop() { app hop 1080 -L "socks5://:1080?udp=true" -F "$NODE?bypass=$1"; }
hop "direct.test,*.direct.test,$T2,fd90:9::10/128,chain.test:7-79"
ways hop direct.test=direct DIRECT.test=direct www.direct.test=direct "$T2=direct" "[$T26]=direct" chain.test=chain "$TARGET=chain" "[$TARGET6]=chain"
udp "hop, UDP: each datagram by its own destination" "chain direct chain direct chain" "$TARGET" "$T2" "$TARGET6" "$T26" "$TARGET"
udp "hop, UDP: by name" "direct chain" direct.test 7seas.test
udp "hop, UDP: the port counts" chain chain.test # 1070 is above 79
down "$pid_hop"
hop "~chain.test,10.90.9.0/29,[fd90:9::9]:80"
ways "hop, whitelist" chain.test=chain "[$TARGET6]=chain" direct.test=direct "$TARGET=direct" "[$T26]=direct"
udp "hop, whitelist, UDP: the port counts" "chain direct" chain.test "$TARGET6"
down "$pid_hop"
app hop 1080 -L "socks5://:1080?udp=true" -F "socks4://$SERVER:9000?bypass=$T2,direct.test"
udp "hop that carries no UDP: what its rule sends past it passes" "none direct none direct" "$TARGET" "$T2" "$TARGET6" direct.test
down "$pid_hop"
app hop 1080 -L "socks5://:1080?udp=true" -F "relay+tcp://$SERVER:9009?bypass=$T2"
udp "hop that is dead: the same" "none direct" "$TARGET" "$T2"
down "$pid_hop"
app hop 1080 -L "socks5://:1080?udp=true" -F "socks4://$SERVER:9000"
same "without rules the association is refused" refused "$(inside "$C" python3 -c 'import socket
s = socket.create_connection(("127.0.0.1", 1080))
s.sendall(b"\5\1\0")
s.recv(2)
s.sendall(b"\5\3\0\1\0\0\0\0\0\0")
print("refused" if s.recv(10)[1] else "served")')"
down "$pid_hop"
app two 1080 -L "socks5://:1080" -F "$NODE" -F "socks5://$SERVER:9002?bypass=direct.test"
ours second "$S" -L "socks5://:9002?interface=10.90.2.3"
wait_for "second hop" 10 listens "$S" 9002
ways "second hop: its bypass leaves from the first" direct.test=chain chain.test=other
down "$pid_two" && down "$pid_second"

# --- sets of a file: groups, network, empty patterns, a node's bypass
yaml() { # SERVICE-LINES HOP-LINES NODE-LINES RULES
	cat <<END
services:
- {name: s, addr: ":1080", $1 handler: {type: socks5, chain: c, metadata: {udp: true}}, listener: {type: tcp}}
chains:
- name: c
  hops:
  - name: h
    $2
    nodes:
    - {name: a, addr: "$SERVER:9000", $3 connector: {type: relay}, dialer: {type: tcp}}
    - {name: b, addr: "$SERVER:9001", connector: {type: relay}, dialer: {type: tcp}}
$4
END
}
yaml "" "" "bypass: d," 'bypasses: [{name: d, matchers: [".direct.test", "10.90.9.0/28"]}]' >"$work/node.yml"
app node 1080 -C "$work/node.yml"
for i in 1 2 3; do ways "node bypass ($i): the other one serves" www.direct.test=other "$TARGET=other"; done
same "node bypass: else both serve in turn" "chain other" "$(for i in 1 2; do way http://chain.test $socks; done | sort | xargs)"
udp "node bypass, UDP: the other one" "other other other" "$TARGET" "$T2" direct.test
down "$pid_node"
sed 's/\(name: b, addr: "[^"]*",\)/\1 bypass: d,/' "$work/node.yml" >"$work/nodes.yml"
app nodes 1080 -C "$work/nodes.yml"
ways "no node left: direct" direct.test=direct
down "$pid_nodes"
yaml 'bypasses: [w, b],' 'bypass: u' '' 'bypasses:
- {name: w, whitelist: true, matchers: [".test", "10.90.9.0/24"]}
- {name: b, matchers: ["7seas.test"]}
- {name: u, network: udp}' >"$work/group.yml"
app group 1080 -D -C "$work/group.yml"
case $(way http://chain.test $socks) in chain | other) ok "group: in the whitelist" ;; *) bad "group: in the whitelist" ;; esac
reply "group: not in the whitelist" socks5://127.0.0.1:1080 "$TARGET6" 80 'socks 2'
reply "group: in the blacklist" socks5://127.0.0.1:1080 7seas.test 80 'socks 2'
udp "network udp without patterns: all UDP leaves directly" "direct direct" "$TARGET" chain.test
logged "the record tells that a whitelist lacks it, and where" group "bypass w, not in its whitelist ($work/group.yml:12:3)"
down "$pid_group"
yaml 'bypass: e,' '' '' 'bypasses: [{name: e, whitelist: true, matchers: [""]}]' >"$work/empty.yml"
app empty 1080 -C "$work/empty.yml"
reply "a whitelist of one empty pattern refuses all" socks5://127.0.0.1:1080 chain.test 80 'socks 2'
logged "and the pattern is told with its place" empty "$work/empty.yml:[0-9:]*: bypass e: pattern"
down "$pid_empty"

# --- a file that changes while we run
put() { printf '%b' "$1" >"$work/list.new" && mv "$work/list.new" "$work/list"; }
put "direct.test\n# chain.test\n"
yaml '' 'bypass: l' '' "bypasses:
- name: l
  matchers: [7seas.test]
  reload: 1s
  file: {path: $work/list}" >"$work/file.yml"
app file 1080 -D -C "$work/file.yml"
is() { [ "$(way "http://$1" $socks)" = "$2" ]; }
isnt() { ! is "$@"; }
ways "file" direct.test=direct 7seas.test=direct
check "file: what is not in it uses the chain" isnt chain.test direct
put "*.direct.test\nhttp://junk/\n  chain.test  # with a comment\n"
wait_for "file: new rules" 6 is chain.test direct && ok "file: new rules within their second"
ways "file: new rules" www.direct.test=direct 7seas.test=direct
check "file: old ones are gone" isnt direct.test direct
logged "file: an odd line is told" file "$work/list:2: pattern"
logged "file: the record tells file and line" file "bypass l, $work/list:3"
rm "$work/list"
logged "file: that it vanished is told" file "$work/file.yml:[0-9:]*: bypass l: cannot read $work/list"
ways "file: old rules while it is gone" chain.test=direct www.direct.test=direct
inside "$C" timeout 3 tail -f /dev/null # three more readings
put "direct.test\n"
wait_for "file: it is back" 6 is direct.test direct && ok "file: it is back"
put "<html>\n<body>404</body>\n</html>\n"
wait_for "file: the warning that it is something else" 6 grep -q 'no line of the file can be meant' "$work/file.log"
ways "file: old rules while it is something else" direct.test=direct
before=$(fds "$pid_file")
put "chain.test\n"
wait_for "file: once more" 6 is chain.test direct
fds_back "file" "$pid_file" "$before" 5
down "$pid_file"
logged_times "file: that it vanished was told once" 1 file '"level":"warn".*cannot read'

sed '/matchers:/d' "$work/file.yml" >"$work/only.yml"
put "chain.test\n"
app only 1080 -C "$work/only.yml"
put "# nothing\n"
logged "file: that it is empty is told" only 'has no pattern'
ways "file: old rules while it is empty" chain.test=direct
down "$pid_only"
rm "$work/list"
app later 1080 -C "$work/only.yml"
logged "a file that is not there yet is an error with its place" later '"error".*only.yml:[0-9:]*: bypass l: cannot read'
check "until it comes nothing is bypassed" is direct.test chain
put "direct.test\n"
wait_for "file: it comes" 6 is direct.test direct && ok "file: it comes"
down "$pid_later"

# --- tungo: refused is ICMP; the first bytes may name the target
answer() { inside "$C" timeout 60 python3 -c '
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=40)
    print("open")
except TimeoutError:
    print("timeout")
except OSError:
    print("refused")' "$@"; }
tun() { name=$1 query=$2 && shift 2 && ours "$name" "$C" -L "$(tungo_url "$query")" "$@" && tungo_is_up; }
tun tunsvc "bypass=$T2,fd90:9::10" -F "$NODE"
same "tungo, service: refused at once" refused "$(answer "$T2" 80)"
same "tungo, service: refused at once, IPv6" refused "$(answer "$T26" 80)"
same "tungo, service: others pass" chain "$(way "http://$TARGET")"
via= && udp "tungo, service, UDP: prohibited" "chain prohibited chain prohibited" "$TARGET" "$T2" "$TARGET6" "$T26"
down "$pid_tunsvc"
tun tunhop "sniffing=true" -F "$NODE?bypass=direct.test,$T2"
same "tungo, hop: the sniffed name leaves directly" direct "$(way http://direct.test --resolve "direct.test:80:$TARGET")"
same "tungo, hop: another name does not" chain "$(way http://chain.test --resolve "chain.test:80:$TARGET")"
same "tungo, hop: only the name counts when there is one" chain "$(way http://chain.test --resolve "chain.test:80:$T2")"
same "tungo, hop: an address" direct "$(way "http://$T2")"
udp "tungo, hop, UDP" "chain direct" "$TARGET" "$T2"
down "$pid_tunhop"
tun tunadm "admission=192.168.123.1"
same "tungo, admission: refused at once" refused "$(answer "$TARGET" 80)"
same "tungo, admission: the other family passes" direct "$(way "http://[$TARGET6]")"
logged "tungo, admission: told" tunadm 'is refused: admission admission-0, \\"192.168.123.1\\"'
down "$pid_tunadm"

# --- dns: a service says that there is nothing, an upstream is not asked
cat >"$work/dns.yml" <<END
services:
- name: d
  addr: ":5300"
  bypass: none
  handler: {type: dns}
  listener: {type: dns}
  forwarder: {nodes: [{name: u1, addr: "udp://$TARGET:53", bypass: all}, {name: u2, addr: "udp://$T2:53", bypass: some}]}
bypasses:
- {name: none, matchers: [hidden.test]}
- {name: all, matchers: ["*"]}
- {name: some, matchers: [.direct.test]}
END
ours dns "$C" -C "$work/dns.yml"
udp_listens() { inside "$1" ss -Hlun "sport = :$2" | grep -q .; }
wait_for "dns" 10 udp_listens "$C" 5300
status() { inside "$C" dig +time=20 +tries=1 -p 5300 @127.0.0.1 "$1" A | sed -n 's/.*status: \([A-Z]*\),.*/\1/p; s/.*, ANSWER: \([0-9]*\).*/\1/p' | xargs; }
same "dns, service: nothing" "NOERROR 0" "$(status hidden.test)"
same "dns: an upstream that no rule excludes" "NOERROR 1" "$(status chain.test)"
same "dns: none is left" "SERVFAIL 0" "$(status www.direct.test)"
down "$pid_dns"

# --- admissions
gone() { ! ip -n "$C" link show tungo 2>/dev/null; }
wait_for "the device goes" 5 gone
from() { inside "$C" curl -s -m 60 --interface "$1" -x "$2://$SERVER:$3" "http://$TARGET/x" >/dev/null 2>&1 && echo in || echo out; }
echo_from() { # FROM PORT SECONDS
	inside "$C" timeout 60 python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 0))
s.settimeout(int(sys.argv[4]))
s.sendto(b"x", (sys.argv[2], int(sys.argv[3])))
try:
    print("in" if s.recv(9) == b"x" else "out")
except OSError:
    print("out")' "$1" "$SERVER" "$2" "$3"; }
ours doors "$S" -L 'socks5://:2001?admission=10.90.1.3' -L 'socks5://:2002?admission=~10.90.1.0/31,10.90.1.2-10.90.1.2' -L "udp://:2003/$TARGET:7?admission=10.90.1.3" -L 'http+tls://:2004?admission=10.90.1.3'
for p in 2001 2002 2004; do wait_for "doors" 10 listens "$S" $p; done
same "admission: not listed" in "$(from 10.90.1.2 socks5 2001)"
same "admission: listed" out "$(from 10.90.1.3 socks5 2001)"
same "admission, whitelist: listed" in "$(from 10.90.1.2 socks5 2002)"
same "admission, whitelist: not listed" out "$(from 10.90.1.3 socks5 2002)"
same "admission, UDP: not listed" in "$(echo_from 10.90.1.2 2003 20)"
same "admission, UDP: listed" out "$(echo_from 10.90.1.3 2003 1)"
same "admission, TLS: not listed" in "$(inside "$C" curl -s -m 60 --proxy-insecure --interface 10.90.1.2 -x "https://$SERVER:2004" "http://$TARGET/x" >/dev/null && echo in)"
same "admission, TLS: listed" out "$(inside "$C" curl -s -m 60 --proxy-insecure --interface 10.90.1.3 -x "https://$SERVER:2004" "http://$TARGET/x" >/dev/null || echo out)"
logged "admission: who was refused, by which rule" doors 'client 10.90.1.3:[0-9]* is refused: admission admission-0, \\"10.90.1.3\\" (-L #1'
before=$(fds "$pid_doors")
since=$(date +%s) # there was one line till now
for i in 1 2 3 4 5 6 7 8 9 10; do from 10.90.1.3 socks5 2001 >/dev/null; done
took=$(($(date +%s) - since))
fds_back doors "$pid_doors" "$before" 5
down "$pid_doors"
lines=$(($(log_count doors 'is refused: admission admission-0') - 1)) # one a second at most
check "admission: a scan does not fill the log ($lines lines)" [ $lines -le $((took + 2)) ]
logged "admission: how many in all" doors '"msg":"11 clients were refused'
printf '10.90.1.3\n' >"$work/people"
cat >"$work/adm.yml" <<END
services:
- {name: a, addr: ":2001", admissions: [x, y], handler: {type: socks5}, listener: {type: tcp}}
- {name: m, addr: ":2002", admission: missing, handler: {type: socks5}, listener: {type: tcp}}
admissions:
- {name: x, whitelist: true, reload: 1s, file: {path: $work/people}}
- {name: y, matchers: ["::ffff:10.90.1.7"]}
END
ours doors "$S" -C "$work/adm.yml"
wait_for "doors" 10 listens "$S" 2002
same "admission, file: listed" in "$(from 10.90.1.3 socks5 2001)"
same "admission, file: not listed" out "$(from 10.90.1.2 socks5 2001)"
same "admission: one that does not exist lets nobody in" out "$(from 10.90.1.3 socks5 2002)"
logged "and is told at start" doors 'adm.yml:3:[0-9]*: admission \\"missing\\" does not exist'
printf '10.90.1.2\n10.90.1.3\n' >"$work/people.new" && mv "$work/people.new" "$work/people"
let_in() { [ "$(from 10.90.1.2 socks5 2001)" = in ]; }
wait_for "admission, file: a new line" 6 let_in && ok "admission, file: a new line"
down "$pid_doors"

# --- the worked example of docs/POLICY.md, told beforehand
explain() { # WANT-RESULT WANT-RULE NETWORK TARGET [--sni NAME]
	result=$1 rule=$2 && shift 2
	inside "$C" "$CGOST" explain -C "$here/configs/policy-client.yaml" "$@" >"$work/out" 2>&1 || bad "explain: $(tail -n 1 "$work/out")"
	if grep -q "^result  *$result" "$work/out" && grep -q "$rule" "$work/out"; then ok "example: $*"; else bad "example: $*: $(tail -n 1 "$work/out")"; fi
}
explain 'direct: target example.com:443' 'bypass direct, "example.com" (.*policy-client.yaml:[0-9]*:5)' tcp 203.0.113.10:443 --sni example.com
explain 'chain: .*www.example.com:443' 'no rule matches' tcp 203.0.113.10:443 --sni www.example.com
explain 'refused' 'bypass never, "\*.ads.example" (.*policy-client.yaml' tcp 203.0.113.10:443 --sni x.ads.example
explain 'direct: target 10.1.2.3:22' 'bypass direct, "10.0.0.0/8" (.*policy-client.yaml' tcp 10.1.2.3:22
explain 'chain: .*203.0.113.10:443' 'no rule matches' udp 203.0.113.10:443

# --- what can't be meant
told() { # what status pattern words...
	what=$1 want=$2 pattern=$3 && shift 3
	inside "$C" timeout 40 "$CGOST" "$@" >"$work/out" 2>&1 </dev/null
	got=$?
	if [ "$got" = "$want" ] && grep -qE -e "$pattern" "$work/out"; then ok "$what: $(grep -E -e "$pattern" "$work/out" | cut -c1-130)"; else bad "$what: status $got: $(head -n 2 "$work/out" | cut -c1-200)"; fi
}
bad_rules() { printf 'services: [{name: s, addr: ":1080", %s}]\n%s\n' "$1" "$2" >"$work/bad.yml"; }
for p in 10.0.0.0/33 http://a.test/ 10.1 10.0.0.9-10.0.0.1 'a b' 'a.test:http' 'a.test:0' '~a.test'; do
	bad_rules 'bypass: b' "bypasses: [{name: b, matchers: [good.test, \"$p\"]}]"
	told "-t, pattern $p" 1 'bad.yml:2:[0-9]+: error: bypass b: pattern' -t -C "$work/bad.yml"
done
told "-t, inline" 1 '-L #1 .* parameter "bypass": error: bypass bypass-0: pattern "10.0.0.0/33"' -t -L 'socks5://:1080?bypass=a.test,10.0.0.0/33'
told "a name as admission" 1 'parameter \\"admission\\": admission admission-0: pattern \\"localhost\\"' -L 'socks5://:1080?admission=localhost'
bad_rules 'bypass: b' "bypasses: [{name: b, file: {path: $work/nothing}}]"
told "no file" 1 'bad.yml:2:[0-9]+: bypass b: cannot read .*/nothing: No such file' -C "$work/bad.yml"
told "-t, no file" 1 'bad.yml:2:[0-9]+: error: bypass b: cannot read .*/nothing: No such file' -t -C "$work/bad.yml"
bad_rules 'bypass: b' "bypasses: [{name: b, file: {path: $work}}]"
told "a folder as file" 1 'bad.yml:2:[0-9]+: bypass b: cannot read .*: not a regular file' -C "$work/bad.yml"
bad_rules 'bypass: b' "bypasses: [{name: b, network: tcp6, matchers: [a.test]}]"
told "-t, network" 1 'bad.yml:2:[0-9]+: error: bypass b: network "tcp6"' -t -C "$work/bad.yml"
for source in 'redis: {addr: x}' 'http: {url: x}' 'plugin: {addr: x}'; do
	bad_rules 'bypass: b' "bypasses: [{name: b, $source}]"
	told "$source" 1 "bad.yml:2:[0-9]+: ${source%%:*} in bypass is not served yet" -C "$work/bad.yml"
done
bad_rules 'bypass: b' "bypasses: [{name: b, matchers: [\"$(head -c 600 /dev/zero | tr '\0' a)*\"]}]"
told "a glob too long" 1 'bad.yml:2:[0-9]+: bypass b: pattern .*too long' -C "$work/bad.yml"
