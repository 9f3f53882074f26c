#!/bin/sh
# tests/e2e/30_config_errors.sh - what is wrong is said in one clear line with its place, the status is 1 (flags: 2), and
# nothing is left behind. And -V -h -t -O.
. "$(dirname "$0")/lib.sh"
net_up
net_mark
cd "$work" || exit 1

run() { # words...: $got is the status; out and err are the texts
	inside "$C" timeout 40 "$CGOST" "$@" >out 2>err </dev/null
	got=$?
}
# what is no warning and no note about a service's life
errors() { grep -vE '"level":"(trace|debug|info|warn|warning)"|(^| )warning: ' err; }
refused() { # what pattern words...
	what=$1 pattern=$2 && shift 2
	run "$@"
	if [ "$got" != 1 ]; then
		bad "$what: status $got: $(tail -n 1 err | cut -c1-200)"
	elif ! errors | grep -qE "$pattern"; then
		bad "$what: no '$pattern' in: $(errors | head -n 1 | cut -c1-200)"
	elif [ "$(errors | wc -l)" != 1 ]; then
		bad "$what: $(errors | wc -l) lines: $(errors | tail -n 1 | cut -c1-200)"
	else
		ok "$what: $(errors | cut -c1-150)"
	fi
}
file() { printf '%b' "$1" >"$2"; }

# --- the command line
run -L :1080 -nonsense && same "unknown flag" 2 "$got" && check "and it is named" grep -q -e -nonsense err
run -L && same "a flag without its value" 2 "$got" && check "and it is named" grep -q -e -L err
run -D=maybe -L :1 && same "a flag with a bad value" 2 "$got" && check "and it is named" grep -q maybe err
run && same "nothing to do" 1 "$got" && check "is said so" test -s err
refused "unknown parameter" 'nosuchkey' -L 'socks5://127.0.0.1:1080?nosuchkey=1'
refused "a parameter with a typo: hint" 'readTimeout' -L 'socks5://127.0.0.1:1080?readTimout=1s'
refused "a parameter that becomes an object: hint" 'bypas.".*mean ."bypass' -L 'socks5://127.0.0.1:1080?bypas=a.com'
refused "a parameter of a node: hint" 'secur.".*mean ."secure' -L socks5://127.0.0.1:1080 -F 'relay+tls://127.0.0.1:1?secur=true'
refused "a parameter without a value" 'bypass.".*no value' -L 'socks5://127.0.0.1:1080?bypass='
refused "what a device can't have: its URL" 'tungo://:0.*dns.*foo' -L 'tungo://:0?name=tungo&net=10.8.0.1/24&dns=foo'
refused "a type that is not served: one line" 'redirect' -L redirect://:12345
refused "clients that the handler can't serve" 'socks5.*udp' -L socks5+udp://127.0.0.1:1080
refused "no port to listen on" 'socks5://127\.0\.0\.1.*addr' -L socks5://127.0.0.1
refused "a bad duration" 'readTimeout' -L 'socks5://127.0.0.1:1080?readTimeout=soon'
refused "a keepalive that the kernel would not take" 'keepalive.idle.*1000 to 32767000 ms' -L 'socks5://127.0.0.1:1080?keepalive=true&keepalive.idle=0.5s'
many=$(seq -s , -f '127.0.0.1:%g' 1 257)
refused "more nodes than a hop has room for" 'hop hop-0.*256 nodes' -t -L socks5://127.0.0.1:1080 -F "socks5://$many"
refused "more targets than a service has room for" 'service-0.*256 targets' -t -L "tcp://127.0.0.1:1080/$many"
refused "more hops than a chain has room for" 'chain-0.*16 hops' -t -L socks5://127.0.0.1:1080 $(seq -f '-F socks5://127.0.0.1:%g' 1 17)
refused "a target that is an IPv6 address without brackets" 'target-0 \(::1:80\).*\[address\]:port' -t -L tcp://127.0.0.1:1080/::1:80
refused "the same behind a relay handler" 'target-0 \(::1:80\).*\[address\]:port' -t -L relay://127.0.0.1:1080/::1:80
run -t -L socks5://127.0.0.1:1080 -F relay+wss://127.0.0.1:1/hidden && same "a path of a node" 0 "$got" && check "is ignored, which is told with the way out" grep -q 'path behind the host is ignored; path=' err && check "and not shown" sh -c '! grep -q hidden err'
refused "no target, and a chain that is told none" 'service-0 has no target' -t -L tcp://127.0.0.1:1080 -F socks5://127.0.0.1:1
run -t -L tcp://127.0.0.1:1080 -L udp://127.0.0.1:1080 -F relay://127.0.0.1:1 && same "but a relay node may have targets of its own" 0 "$got" && check "and nothing is told" test ! -s err
# what only building tells: -t builds, too
refused "a user that the protocol can't carry" 'over 255 bytes' -t -L socks5://127.0.0.1:1080 -F "relay://$(printf '%0256d' 0):p@127.0.0.1:1"
refused "a connector without a way to its node" 'connector http needs a dialer' -t -L socks5://127.0.0.1:1080 -F http+direct://127.0.0.1:1
refused "a bad upstream" '1\.2\.3\.4:99999' -t -L 'dns://127.0.0.1:53?dns=1.2.3.4:99999'
refused "a handler that can't begin" 'probeResist' -t -L 'http://127.0.0.1:1080?probeResist=web:a'
file 'services:\n- name: a\n  addr: 127.0.0.1:1080\n  handler: {type: socks5, tls: {certFile: nothere.pem, keyFile: nothere.key}}\n' cert.yaml && refused "a handler's certificate" 'cert\.yaml:4:.*nothere\.pem' -t -C cert.yaml
refused "ports of associations that fall" 'udp.bindRange' -t -L 'socks5://127.0.0.1:1080?udp=true&udp.bindRange.min=5000&udp.bindRange.max=4000'
refused "a lowest port without a highest" 'udp.bindRange' -t -L '127.0.0.1:1080?udp=true&udp.bindRange.min=5000'
refused "a time below zero" 'readTimeout' -t -L 'socks5://127.0.0.1:1080?readTimeout=-5s'
refused "a time of a connector below zero" 'parameter "timeout".*not below 0' -t -L socks5://127.0.0.1:1080 -F 'http://127.0.0.1:1?timeout=-1s'
run -t -L 'dns://127.0.0.1:53?dns=192.0.2.1&ttl=-1s' && same "but one that means something" 0 "$got"
# what only one of two services could have
refused "one port twice" 'service-1: TCP port 1080 is that of service service-0' -t -L socks5://127.0.0.1:1080 -L http://:1080
refused "one port twice, by datagrams" 'service-1: UDP port 1080 is that of service service-0' -t -L 'dns://127.0.0.1:1080?dns=192.0.2.1' -L udp://:1080/192.0.2.1:1
refused "one device twice" 'service-1: device tungo is that of service service-0' -t -L "$(tungo_url)" -L 'tungo://:0?net=10.8.0.1/24'
run -t -L socks5://127.0.0.1:1080 -L http://127.0.0.2:1080 -L 'socks5://[::1]:1080' -L udp://:1080/192.0.2.1:1 -L 'socks5://:1081?reuseport=true' -L 'http://:1081?reuseport=true' -L socks5://127.0.0.1:0 -L http://127.0.0.1:0
same "what looks alike and is not" 0 "$got"
refused "a pool that is too small" '198.18.0.0/31 is too small' -t -L 'tungo://:0?net=10.9.0.1/24&dns.fake=198.18.0.0/31'
refused "bad CIDR" '10\.8\.0\.1/40' -L 'tungo://:0?name=tungo&net=10.8.0.1/40'
refused "an address without a prefix" '10\.8\.0\.1' -L 'tungo://:0?name=tungo&net=10.8.0.1'
refused "bad MTU" 'mtu' -L 'tungo://:0?name=tungo&net=10.8.0.1/24&mtu=70000'
refused "a device name that is too long" 'a-name-that-is-too-long' -L 'tungo://:0?name=a-name-that-is-too-long&net=10.8.0.1/24'
refused "bad URL" 'ht_tp' -L 'ht_tp://:1080'
run -L socks5://127.0.0.1:1080 -F socks5:// && same "a node without an address" 1 "$got" && check "and it is named" grep -q 'socks5://.*no host' err
refused "a bad port of a node" '99z' -L socks5://127.0.0.1:1080 -F socks5://127.0.0.1:99z
refused "a missing certificate" 'nothere\.pem' -L 'socks5+tls://127.0.0.1:1080?cert=nothere.pem&key=nothere.key'
refused "a missing authority" 'nothere\.pem' -L socks5://127.0.0.1:1080 -F 'relay+wss://127.0.0.1:1?secure=true&ca=nothere.pem'
run -L socks5://127.0.0.1:1080 -api 127.0.0.1:1 && same "a flag that is not served yet" 2 "$got" && check "and it is named" grep -q -e -api err

# --- files
refused "missing file" 'nothere\.yaml' -C nothere.yaml
file 'services:\n- name: a\n  addr: [1\n' bad.yaml && refused "bad YAML, with its line" 'bad\.yaml:[34]' -C bad.yaml
file '{"services": [{"name": "a",}]}\n' bad.json && refused "bad JSON, with its line" 'bad\.json:1' -C bad.json
file 'services:\n- name: a\n  addr: 127.0.0.1:1080\n  handler:\n    type: sock5\n  listener:\n    type: tcp\n' type.yaml
refused "unknown handler, with its line and a hint" 'type\.yaml:5.*socks5' -C type.yaml
file 'services:\n- name: a\n  addr: 127.0.0.1:1080\n  handler: {type: socks5}\n  listener:\n    type: tpc\n' type.yaml
refused "unknown listener, with its line and a hint" 'type\.yaml:6.*tcp' -C type.yaml
file 'services:\n- name: a\n  addr: 127.0.0.1:1080\n  handlr: {type: socks5}\n' key.yaml
refused "unknown key, with its line and a hint" 'key\.yaml:4.*handler' -C key.yaml
file 'services:\n- name: a\n  addr: 127.0.0.1:1080\n  handler:\n    type: socks5\n    chain: nosuch\n  listener: {type: tcp}\n' ref.yaml
run -t -C ref.yaml && same "a chain that is not there: told, but no reason to stop (as GOST)" 0 "$got" && check "with its line" grep -q 'ref\.yaml:6.*nosuch' err
file 'services:\n- name: a\n  addr: 127.0.0.1:1080\n  handler:\n    type: socks5\n    auther: nosuch\n  listener: {type: tcp}\n' ref.yaml
refused "an auther that is not there" 'nosuch' -C ref.yaml
file 'services:\n- name: a\n  addr: 127.0.0.1:1080\nresolvers:\n- name: r\n  nameservers:\n  - addr: udp://192.0.2.1:99999\n' names.yaml
run -t -C names.yaml && same "-t, a nameserver that can't be one" 1 "$got" && check "with its line" grep -q 'names\.yaml:7.*99999' err
file 'services:\n- name: a\n  addr: 127.0.0.1:1080\n  handler: {type: tcp}\n' target.yaml
run -t -C target.yaml && same "-t, a forwarder without a target" 1 "$got" && check "with its line" grep -q 'target\.yaml:2.*no target' err
file 'services:\n- name: a\n  addr: 127.0.0.1:1080\n  listener: {type: tls, tls: {certFile: nothere.pem, keyFile: nothere.key}}\n' cert.yaml
run -t -C cert.yaml && same "-t, a certificate that is not there" 1 "$got" && check "with its line" grep -q 'cert\.yaml:4.*nothere' err
file 'log: {output: target.yaml/cgost.log}\nservices:\n- name: a\n  addr: 127.0.0.1:1080\n' output.yaml
refused "-t, a log whose folder is a file" 'output\.yaml:1:.*target\.yaml/cgost\.log' -t -C output.yaml
file 'log: {output: logs/new/cgost.log}\nservices:\n- name: a\n  addr: 127.0.0.1:1080\n' output.yaml
run -t -C output.yaml && same "-t, a log whose folder the start would make" 0 "$got" && check "and makes nothing" test ! -e logs
run -t explian -L socks5://127.0.0.1:1080 && check "words that are ignored are told, with a hint" grep -q 'explian.*explain' err
run -O xml -L socks5://127.0.0.1:1080 && same "-O of something else" 2 "$got" && check "and it is named" grep -q xml err
file '# nothing\n' empty.yaml && refused "no service" 'service' -C empty.yaml

# --- the machine
start busy "$C" python3 -c 'import socket, time; s = socket.socket(); s.bind(("127.0.0.1", 1080)); s.listen(); time.sleep(600)'
wait_for "busy port" 10 listens "$C" 1080
refused "busy port" '127\.0\.0\.1:1080.*[Aa]ddress already in use' -L socks5://127.0.0.1:1080
refused "busy port, after a device was made" '127\.0\.0\.1:1080.*[Aa]ddress already in use' -L "$(tungo_url)" -L socks5://127.0.0.1:1080
if ip -n "$C" link show tungo >/dev/null 2>&1; then bad "the device stayed"; else ok "and the device is gone"; fi
ip -n "$C" tuntap add mode tap name tungo
refused "a device of that name is there" 'tungo' -L "$(tungo_url)"
check "and it was left alone" ip -n "$C" link show tungo
ip -n "$C" link del tungo
refused "an address that is not ours" '10\.90\.1\.77' -L socks5://10.90.1.77:1080

# --- started without standard descriptors: what is logged must not go to what took their place
start closed "$C" sh -c 'exec "$0" -L http://127.0.0.1:1083 <&- >&- 2>&-' "$CGOST"
mine="$mine $pid"
wait_for "started with closed descriptors" 10 listens "$C" 1083
same "... it serves, and logs it" 503 "$(inside "$C" curl -s -m 20 -o /dev/null -w '%{http_code}' -x http://127.0.0.1:1083 http://127.0.0.1:1/)"
stop_pid "$pid_closed" && same "... and ends in order" 0 "$status"

# --- what prints and ends
run -V && same "-V" 0 "$got" && check "-V prints name, version and platform" grep -qE '^c?gost [^ ]+ \(.*[a-z]+/[a-z0-9_]+\)$' out
run -h && same "-h" 0 "$got" && check "-h prints the flags on stderr" grep -q -e '-L' err
run -t -L socks5://127.0.0.1:1080 && same "-t, good (the port is busy, nothing is bound)" 0 "$got"
run -t -C "$here/configs/demo-client.yaml" && same "-t, the demo's file" 0 "$got"
run -t -C type.yaml && same "-t, bad" 1 "$got" && check "-t says where" grep -q 'type\.yaml:6' err
run -O json -L socks5://u:p@127.0.0.1:1080 -F relay+wss://127.0.0.1:443 && same "-O json" 0 "$got" &&
	check "-O json is JSON with both" python3 -c 'import json; c = json.load(open("out")); assert c["services"][0]["handler"]["type"] == "socks5" and c["chains"][0]["hops"][0]["nodes"][0]["dialer"]["type"] == "wss"'
run -O yaml -C "$here/configs/demo-client.yaml" && same "-O yaml" 0 "$got" && cp out printed.yaml
run -t -C printed.yaml && same "what -O yaml prints can be read again" 0 "$got"
run -O yaml -C printed.yaml && check "and is printed the same" cmp out printed.yaml
