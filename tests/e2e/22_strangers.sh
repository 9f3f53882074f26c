#!/bin/sh
# tests/e2e/22_strangers.sh - other people's programs at both ends: iperf3 through the device, openssl and curl at our TLS,
# socat as a TLS server before microsocks, client certificates, pins, verification.
. "$(dirname "$0")/lib.sh"
net_up
target_up
net_mark
cd "$work" || exit 1

# --- certificates: an authority, a server (P-256 and RSA), a client, and a stranger's authority
quiet() { "$@" 2>>"$work/openssl.txt"; }
key() { case $2 in rsa) quiet openssl genrsa -out "$1" 2048 ;; *) quiet openssl ecparam -name "$2" -genkey -noout -out "$1" ;; esac; }
authority() { key "$1.key" prime256v1 && quiet openssl req -x509 -new -key "$1.key" -subj "/CN=$1" -days 30 -out "$1.pem" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign; }
leaf() { # name kind-of-key authority subject-alternative-names
	key "$1.key" "$2" && quiet openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr" &&
		printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$4" >"$1.ext" &&
		quiet openssl x509 -req -in "$1.csr" -CA "$3.pem" -CAkey "$3.key" -CAcreateserial -days 30 -extfile "$1.ext" -out "$1.pem"
}
authority ca && authority other
leaf server prime256v1 ca "DNS:server.test,IP:$SERVER" && leaf serverrsa rsa ca "DNS:server.test,IP:$SERVER" &&
	leaf p384 secp384r1 ca "DNS:server.test" && leaf client prime256v1 ca DNS:client.test && leaf wrong prime256v1 other DNS:client.test

# --- strangers as clients of our TLS
cgost tls "$S" -L http+tls://:8443 -L "http+tls://:8444?cert=$work/serverrsa.pem&key=$work/serverrsa.key" \
	-L "http+tls://:8445?cert=$work/p384.pem&key=$work/p384.key" \
	-L "http+tls://:8446?cert=$work/server.pem&key=$work/server.key&ca=$work/ca.pem" -L relay+wss://:8447
for p in 8443 8444 8445 8446 8447; do wait_for "port $p" 10 listens "$S" $p; done
speaks() { # what port words...: the handshake succeeds with what is asked
	what=$1 port=$2 && shift 2
	inside "$C" timeout 60 openssl s_client -connect "$SERVER:$port" -brief "$@" </dev/null >"$work/s_client" 2>&1
	if grep -q 'CONNECTION ESTABLISHED' "$work/s_client"; then ok "$what"; else bad "$what: $(grep -i 'error\|alert' "$work/s_client" | head -n 1)"; fi
}
refuses() { # the same, and it fails with an alert or an end
	what=$1 port=$2 && shift 2
	inside "$C" timeout 60 openssl s_client -connect "$SERVER:$port" -brief "$@" </dev/null >"$work/s_client" 2>&1
	if grep -q 'CONNECTION ESTABLISHED' "$work/s_client"; then bad "$what: it was accepted"; else ok "$what"; fi
}
speaks "TLS 1.3" 8443 -tls1_3
speaks "TLS 1.2" 8443 -tls1_2
speaks "TLS 1.3, P-384 only" 8443 -tls1_3 -groups P-384
speaks "TLS 1.2, P-384 only" 8443 -tls1_2 -groups P-384:P-256
speaks "TLS 1.3, X25519 only" 8443 -tls1_3 -groups X25519
speaks "TLS 1.3, AES-256-GCM" 8443 -tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384
speaks "TLS 1.3, ChaCha20" 8443 -tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256
speaks "TLS 1.2, ChaCha20" 8443 -tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305
speaks "TLS 1.2, no server name" 8443 -tls1_2 -noservername
speaks "TLS 1.3 and an ALPN nobody asked us for" 8443 -tls1_3 -alpn h2,http/1.1
speaks "an RSA certificate, TLS 1.2, ECDHE-RSA" 8444 -tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256
speaks "an RSA certificate, TLS 1.3" 8444 -tls1_3 -CAfile "$work/ca.pem" -verify_return_error -verify_hostname server.test
speaks "a P-384 certificate, TLS 1.3" 8445 -tls1_3
speaks "a P-384 certificate, TLS 1.2" 8445 -tls1_2
speaks "the wss listener" 8447 -tls1_3
refuses "TLS 1.1 is refused" 8443 -tls1_1 -cipher ALL@SECLEVEL=0
refuses "RSA suites with an ECDSA certificate are refused" 8443 -tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256
page() { inside "$C" curl -sS -m 60 -p "$@" "http://$TARGET/hello" | grep -q ' /hello from '; }
check "curl through our https proxy" page --proxy-insecure -x "https://$SERVER:8443"
check "curl, RSA certificate, verified" page --proxy-cacert "$work/ca.pem" -x "https://$SERVER:8444"
check "curl with a client certificate" page --proxy-cacert "$work/ca.pem" --proxy-cert "$work/client.pem" --proxy-key "$work/client.key" -x "https://$SERVER:8446"
check "curl without the client certificate is refused" sh -c "! ip netns exec $C curl -sS -m 60 -p --proxy-insecure -x https://$SERVER:8446 http://$TARGET/"
check "curl with another authority's client certificate is refused" sh -c \
	"! ip netns exec $C curl -sS -m 60 -p --proxy-insecure --proxy-cert $work/wrong.pem --proxy-key $work/wrong.key -x https://$SERVER:8446 http://$TARGET/"
stop_pid "$pid_tls" && same "server ended with status" 0 "$status"

# --- a stranger as TLS server: socat before microsocks; our socks5+tls and its checks
start micro "$S" microsocks -i 127.0.0.1 -p 1080
start socat "$S" socat OPENSSL-LISTEN:9443,reuseaddr,fork,cert=server.pem,key=server.key,verify=0 TCP:127.0.0.1:1080
start socat_client "$S" socat OPENSSL-LISTEN:9444,reuseaddr,fork,cert=server.pem,key=server.key,cafile=ca.pem,verify=1 TCP:127.0.0.1:1080
for p in 1080 9443 9444; do wait_for "port $p" 10 listens "$S" $p; done
pin=sha256:$(openssl x509 -in server.pem -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | openssl base64 | sed 's/+/%2B/g')
pinhex=sha256:$(openssl x509 -in server.pem -pubkey -noout | openssl pkey -pubin -outform der | sha256sum | cut -c1-64)
wrongpin=sha256:$(openssl x509 -in wrong.pem -pubkey -noout | openssl pkey -pubin -outform der | sha256sum | cut -c1-64)

via=socks5://127.0.0.1:1100
node() { # accepted|refused what node
	cgost front "$C" -L "$via" -F "$3"
	wait_for "front end" 10 listens "$C" 1100
	if [ "$1" = accepted ]; then
		check "$2: accepted" probe --via $via down "$TARGET" 1000000
	else
		check "$2: refused" probe --via $via error "$TARGET" 7 'socks 1|socks 3|socks 4|socks 5' 3000
	fi
	stop_pid "$pid_front" && same "front end ended with status" 0 "$status"
}
n="socks5+tls://$SERVER:9443?notls=true"
node accepted "nothing verified (GOST's default)" "$n"
node accepted "secure, the authority, an address in the certificate" "$n&secure=true&ca=$work/ca.pem"
node accepted "secure, the authority, the name" "$n&secure=true&ca=$work/ca.pem&serverName=server.test"
node refused "secure, the authority, another name" "$n&secure=true&ca=$work/ca.pem&serverName=other.test"
node refused "secure, another authority" "$n&secure=true&ca=$work/other.pem"
node refused "secure, the system's authorities" "$n&secure=true"
node refused "not secure, but another authority" "$n&ca=$work/other.pem"
node accepted "not secure, the authority, another name" "$n&ca=$work/ca.pem&serverName=other.test"
node accepted "pin, base64" "$n&pin=$pin"
node accepted "pin, hex" "$n&pin=$pinhex"
node refused "another pin" "$n&pin=$wrongpin"
n="socks5+tls://$SERVER:9444?notls=true"
node accepted "client certificate" "$n&cert=$work/client.pem&key=$work/client.key"
node refused "no client certificate" "$n"
node refused "another authority's client certificate" "$n&cert=$work/wrong.pem&key=$work/wrong.key"

# --- iperf3 through the device and relay+wss
relay_up server 'bind=true'
tungo_up client 'udpTimeout=2s' -F "$RELAY"
before=$(fds "$pid_client") before_server=$(fds "$pid_server")
start iperf "$T" iperf3 -s -B "$TARGET"
start iperf6 "$T" iperf3 -s -B "$TARGET6" -p 5206
wait_for "iperf3" 10 listens "$T" 5201
wait_for "iperf3" 10 listens "$T" 5206
for words in "" -R "-P 4" "-P 4 -R"; do check "iperf3 $words" inside "$C" timeout 100 iperf3 -c "$TARGET" -t 1 $words; done
# words of iperf3...: at most 1 % of the datagrams is lost, in one of five tries; so few a second that none need be lost when a
# program stands still for one: its socket has room for them
lossless() {
	for try in 1 2 3 4 5; do if two_seconds "$@"; then return 0; fi; done
	return 1
}
two_seconds() {
	inside "$C" timeout 60 iperf3 -J -u -c "$TARGET" -t 2 -b 1M -l 1200 "$@" |
		python3 -c 'import json, sys; r = json.load(sys.stdin)["end"]["sum"]; print(r["packets"], r["lost_percent"]); sys.exit(r["packets"] < 100 or r["lost_percent"] > 1)'
}
check "iperf3 -u, at most 1 % lost" lossless
check "iperf3 -u -R, at most 1 % lost" lossless -R
check "iperf3 -6" inside "$C" timeout 100 iperf3 -c "$TARGET6" -p 5206 -t 1
check "netcat, half-close" sh -c "[ \"\$(echo hello | ip netns exec $C timeout 60 nc -N $TARGET 7)\" = hello ]"
fds_back client "$pid_client" "$before" 15
fds_back server "$pid_server" "$before_server" 15
