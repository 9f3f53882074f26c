#!/bin/sh
# tests/e2e/24_key_update.sh - TLS 1.3 peers that change their keys in the middle (KeyUpdate): OpenSSL on either side.
#
#     s_client --tls--> cgost --> target's echo          a client's words --> cgost --tls--> s_server
. "$(dirname "$0")/lib.sh"
command -v openssl >/dev/null || skip "openssl is not installed"
net_up
target_up
net_mark
mkfifo "$work/orders" "$work/words"
openssl req -x509 -nodes -days 30 -subj /CN=example.test -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
	-keyout "$work/key" -out "$work/crt" >/dev/null 2>&1 || bad "certificate"
order() { printf '%s\n' "$1" >&3; } # a line of its own: OpenSSL's programs take K and k for commands then
word() { printf '%s\n' "$1" >&4; }
# new_keys LETTER PATTERN LOG COUNT: what is in one read with the letter is lost, so its answer is waited for
new_keys() { order "$1" && wait_for "command $1" 10 log_has "$3" "$2" "$4"; }
heard() { logged "$1" "$3" "$2"; }

# --- the client asks us for new keys (K: and we shall change ours; k: only its own)
cgost server "$S" -L "tcp+tls://:7443/$TARGET:7"
wait_for "server" 10 listens "$S" 7443
exec 3<>"$work/orders"
ip netns exec "$C" openssl s_client -connect "$SERVER:7443" -tls1_3 -servername example.test <"$work/orders" >"$work/s_client.log" 2>&1 3>&- &
pid_s_client=$! && pids="$pid_s_client $pids"
order first-words && heard "server: before" first-words s_client
n=0
for k in K k K; do
	n=$((n + 1))
	new_keys $k KEYUPDATE s_client $n && order "words-$n-$k" && heard "server: after $k ($n)" "words-$n-$k" s_client
done
exec 3>&-
stop_pid "$pid_s_client"

# --- the server does
exec 3<>"$work/orders" 4<>"$work/words"
ip netns exec "$S" openssl s_server -accept 7444 -tls1_3 -cert "$work/crt" -key "$work/key" <"$work/orders" >"$work/s_server.log" 2>&1 3>&- 4>&- &
pid_s_server=$! && pids="$pid_s_server $pids"
wait_for "s_server" 10 listens "$S" 7444
cgost client "$C" -L tcp://127.0.0.1:7001/example.test:1 -F "forward+tls://$SERVER:7444"
wait_for "client" 10 listens "$C" 7001
ip netns exec "$C" python3 -c '
import os, socket, sys, threading
s = socket.create_connection(("127.0.0.1", 7001))
def down():
    while d := s.recv(4096):
        os.write(1, d)
threading.Thread(target=down, daemon=True).start()
while d := os.read(0, 4096):
    s.sendall(d)
' <"$work/words" >"$work/app.log" 2>&1 3>&- 4>&- &
pid_app=$! && pids="$pid_app $pids"
word up-first && heard "client: before" up-first s_server
for k in K K; do # k would be answered by nothing that tells it was read
	n=$((n + 1))
	new_keys $k "SSL_do_handshake -> 1" s_server $((n - 3)) && order "down-$n-$k" && heard "client: down after $k ($n)" "down-$n-$k" app
	word "up-$n-$k" && heard "client: up after $k ($n)" "up-$n-$k" s_server
done
exec 3>&- 4>&-
