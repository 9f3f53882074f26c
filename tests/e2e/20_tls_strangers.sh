#!/bin/sh
# 20_tls_strangers.sh - our TLS floor (tests/tools/tlscat) against OpenSSL's programs and library, on loopback.
. "$(dirname "$0")/lib.sh"
for p in openssl python3; do command -v $p >/dev/null || skip "$p is not installed"; done
cat=$(dirname "$CGOST")/tools/tlscat
peer=$here/tests/tools/tlspeer.py
cd "$work" || exit 1

# --- certificates
cert() { # NAME new-key-options...
	n=$1 && shift
	openssl req -x509 -nodes -days 30 -subj "/CN=example.test" -addext "subjectAltName=DNS:example.test" "$@" -keyout "$n.key" -out "$n.crt" >openssl.log 2>&1 || bad "certificate $n"
}
cert ec -newkey ec -pkeyopt ec_paramgen_curve:P-256
cert p384 -newkey ec -pkeyopt ec_paramgen_curve:P-384
cert rsa -newkey rsa:2048
cert ed -newkey ed25519
pin=$(openssl x509 -in ec.crt -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary | base64)

# --- programs in the background; $port and $pid
background() { # LOG PATTERN command...: the first line of LOG with PATTERN has the port
	log=$1 pattern=$2 && shift 2 && rm -f "$log"
	"$@" </dev/null >"$log" 2>&1 &
	pid=$! && pids="$pid $pids"
	wait_for "$log" 5 grep -q "$pattern[0-9]" "$log" && port=$(sed -n "s/.*$pattern\([0-9]*\).*/\1/p" "$log" | head -n 1)
}
s_server() { background s_server.log 'ACCEPT 127.0.0.1:' openssl s_server -accept 127.0.0.1:0 -rev "$@"; }
serve() { background serve.log 'listening ' "$cat" serve 127.0.0.1:0 "$@"; }
# client WHAT EXPECTED options...: says "abc" to s_server -rev; expected: part of "ANSWER REASON"
client() {
	what=$1 want=$2 && shift 2
	got=$(printf 'abc\n' | timeout 60 "$cat" connect "127.0.0.1:$port" name=example.test "$@" 2>&1 | tr '\n' ' ')
	case $got in *"$want"*) ok "$what" ;; *) bad "$what: got '$got', not '$want'" ;; esac
	stop_pid "$pid"
}
# stranger WHAT PATTERN options...: s_client shakes hands with `serve`
stranger() {
	what=$1 want=$2 && shift 2
	timeout 60 openssl s_client -connect "127.0.0.1:$port" -servername example.test "$@" </dev/null >s_client.log 2>&1
	if grep -q "$want" s_client.log; then ok "$what"; else bad "$what: no '$want'"; fi
	stop_pid "$pid"
}

# --- we are the client
for v in 2 3; do
	s_server -cert ec.crt -key ec.key -tls1_$v
	client "client, TLS 1.$v, P-256 key" "cba tlscat: ok full 1" secure=true caFile=ec.crt
	s_server -cert rsa.crt -key rsa.key -tls1_$v
	client "client, TLS 1.$v, RSA key" "cba tlscat: ok full 1" secure=true caFile=rsa.crt
	s_server -cert p384.crt -key p384.key -tls1_$v -groups P-384
	client "client, TLS 1.$v, P-384 only" "cba tlscat: ok full 1" secure=true caFile=p384.crt
	s_server -cert ec.crt -key ec.key -tls1_$v -groups P-521
	client "client, TLS 1.$v, P-521 only" "cba tlscat: ok full 1"
	s_server -cert rsa.crt -key rsa.key -tls1_$v -cipher ECDHE-RSA-CHACHA20-POLY1305 -ciphersuites TLS_CHACHA20_POLY1305_SHA256
	client "client, TLS 1.$v, ChaCha20" "cba tlscat: ok full 1"
	s_server -cert rsa.crt -key rsa.key -tls1_$v -cipher ECDHE-RSA-AES256-GCM-SHA384 -ciphersuites TLS_AES_256_GCM_SHA384
	client "client, TLS 1.$v, AES-256" "cba tlscat: ok full 1"
	s_server -cert ec.crt -key ec.key -tls1_$v
	client "client, TLS 1.$v, pin" "cba tlscat: ok" secure=true "pin=sha256:$pin"
	s_server -cert rsa.crt -key rsa.key -tls1_$v
	client "client, TLS 1.$v, another pin" "another key than the pin" "pin=sha256:$pin"
	s_server -cert ec.crt -key ec.key -tls1_$v -Verify 1 -CAfile rsa.crt
	client "client, TLS 1.$v, with certificate" "cba tlscat: ok" certFile=rsa.crt keyFile=rsa.key
	s_server -cert ec.crt -key ec.key -tls1_$v -Verify 1 -verify_return_error -CAfile rsa.crt
	[ $v = 2 ] && want="peer sent alert handshake_failure" || want="peer sent alert certificate_required"
	client "client, TLS 1.$v, certificate missing" "$want"
	s_server -cert ec.crt -key ec.key -tls1_$v
	client "client, TLS 1.$v, five connections, tickets" "ok full 1 resumed 4" tickets=1 count=5
	s_server -cert ec.crt -key ec.key -tls1_$v
	client "client, TLS 1.$v, self-signed refused" "self-signed: use pin=, caFile or secure=false" secure=true "caFile=rsa.crt"
done
s_server -cert ec.crt -key ec.key -tls1_2
client "client, TLS 1.3 wanted, 1.2 served" "peer sent alert protocol_version" minVersion=VersionTLS13
s_server -cert ed.crt -key ed.key
client "client, Ed25519 certificate cannot be read" "peer sent alert handshake_failure"

# --- we are the server
for v in 2 3; do
	serve certFile=ec.crt keyFile=ec.key
	stranger "server, TLS 1.$v, P-256 key" "Verification: OK" -tls1_$v -brief -CAfile ec.crt -verify_hostname example.test
	serve certFile=rsa.crt keyFile=rsa.key
	stranger "server, TLS 1.$v, RSA key" "Verification: OK" -tls1_$v -brief -CAfile rsa.crt
	serve certFile=p384.crt keyFile=p384.key
	stranger "server, TLS 1.$v, P-384 only" "Temp Key: ECDH.*384" -tls1_$v -brief -groups P-384
	serve certFile=ec.crt keyFile=ec.key
	stranger "server, TLS 1.$v, X25519" "Temp Key: X25519" -tls1_$v -brief
	serve certFile=ec.crt keyFile=ec.key caFile=rsa.crt
	[ $v = 2 ] && want="alert bad certificate" || want="alert certificate required"
	stranger "server, TLS 1.$v, client certificate missing" "$want" -tls1_$v -ign_eof
	serve certFile=ec.crt keyFile=ec.key caFile=rsa.crt
	stranger "server, TLS 1.$v, client certificate not trusted" "alert unknown ca" -tls1_$v -ign_eof -cert p384.crt -key p384.key
	serve certFile=ec.crt keyFile=ec.key count=2
	rm -f sess.pem # it is written when the ticket comes, which may be after the handshake
	(wait_for "ticket" 5 test -s sess.pem >&2) | openssl s_client -connect "127.0.0.1:$port" -tls1_$v -sess_out sess.pem >/dev/null 2>&1
	stranger "server, TLS 1.$v, ticket" "^Reused" -tls1_$v -sess_in sess.pem
	serve certFile=ec.crt keyFile=ec.key alpn=h2
	stranger "server, TLS 1.$v, ALPN" "ALPN protocol: h2" -tls1_$v -alpn http/1.1,h2
	serve certFile=ec.crt keyFile=ec.key
	same "server, TLS 1.$v, 3 MB back after the client's half-close" same "$(timeout 60 python3 "$peer" client "$port" 3000000 tls1.$v)"
	stop_pid "$pid"
	background peer.log 'listening ' python3 "$peer" server 3000000 ec.crt ec.key tls1.$v
	n=$(head -c 2000000 /dev/zero | timeout 60 "$cat" connect "127.0.0.1:$port" 2>tlscat.log | wc -c)
	same "client, TLS 1.$v, 3 MB after our half-close" 3000000 "$n"
	logged "client, TLS 1.$v, all arrived there" peer "got 2000000"
	stop_pid "$pid"
done
serve certFile=ec.crt keyFile=ec.key
stranger "server, TLS 1.1 refused" "alert protocol version" -tls1_1 -cipher 'DEFAULT@SECLEVEL=0'
serve certFile=ec.crt keyFile=ec.key
stranger "server, RSA-only client refused" "handshake failure" -tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256
