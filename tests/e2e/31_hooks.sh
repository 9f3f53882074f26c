#!/bin/sh
# tests/e2e/31_hooks.sh - preUp postUp preDown postDown: order, words, environment; on SIGTERM, SIGINT, a failed start; and
# what happens when somebody deletes the device.
. "$(dirname "$0")/lib.sh"
net_up
net_route
target_up
net_mark
hooks=$work/hooks.txt
cat >"$work/hook" <<END
#!/bin/sh
# hook WORDS: one line with the words, the environment and whether the device is there
if ip link show tungo >/dev/null 2>&1; then there=there; else there=gone; fi
echo "\$* | \$CGOST_TUN \$CGOST_MTU \$CGOST_ADDR | \$there" >>"$hooks"
END
chmod +x "$work/hook"
cat >"$work/hooks.yaml" <<END
services:
- name: whole
  addr: :0
  handler: {type: tungo}
  listener:
    type: tungo
    metadata: {name: tungo, net: "192.168.123.1/24,fd12:3::1/64", mtu: 1400, route: "10.90.9.0/24,fd90:9::/64"}
  metadata:
    interface: c0
    preUp:
    - $work/hook preUp 1
    - "false"
    - /no/such/command
    - $work/hook 'unbalanced
    - $work/hook preUp 'two words' "\$HOME" *
    postUp: ["$work/hook postUp", "ip route add 10.91.0.0/16 dev tungo"]
    preDown: ["$work/hook preDown"]
    postDown: ["$work/hook postDown 1", "$work/hook postDown 2"]
END
env='tungo 1400 192.168.123.1/24,fd12:3::1/64'
said() { [ "$(wc -l <"$hooks" 2>/dev/null)" -ge "$1" ]; }
words() { sed 's/ |.*//' "$hooks" | tr '\n' ' ' | sed 's/ $//'; }
up="preUp 1 | $env | there
preUp two words \$HOME * | $env | there
postUp | $env | there"

for signal in TERM INT; do
	rm -f "$hooks"
	cgost "hooks_$signal" "$C" -C "$work/hooks.yaml"
	program=$pid
	wait_for "postUp" 10 said 3
	tungo_is_up
	same "order, words and environment on the way up" "$up" "$(cat "$hooks")"
	check "a route of postUp" sh -c "ip -n $C route show dev tungo | grep -q 10.91.0.0/16"
	logged "a failing command is a warning" "hooks_$signal" 'warn.*false'
	logged "a missing command is a warning" "hooks_$signal" 'warn.*/no/such/command'
	logged "an unbalanced quote is a warning" "hooks_$signal" 'warn.*unbalanced'
	check "traffic flows" probe echo "$TARGET" 1000
	stop_pid "$program" $signal && same "SIG$signal: ended with status" 0 "$status"
	same "SIG$signal: preDown while the device is there" "preDown | $env | there" "$(sed -n 4p "$hooks")"
	same "SIG$signal: order on the way down" "preUp 1 preUp two words \$HOME * postUp preDown postDown 1 postDown 2" "$(words)"
	if ip -n "$C" link show tungo >/dev/null 2>&1; then bad "SIG$signal: the device stayed"; else ok "SIG$signal: the device is gone"; fi
done

# --- the device is deleted: it returns, with routes, and the hooks run again
rm -f "$hooks"
cgost gone "$C" -C "$work/hooks.yaml"
wait_for "postUp" 10 said 3
tungo_is_up
check "before: traffic flows" probe echo "$TARGET" 1000
before=$(fds "$pid_gone")
index_of() { ip -n "$C" -o link show tungo 2>/dev/null | cut -d: -f1; }
anew() { [ -n "$(index_of)" ] && [ "$(index_of)" != "$index" ]; }
more_postup() { [ "$(grep -c '^postUp' "$hooks")" -ge "$1" ]; }
for i in 1 2 3; do
	index=$(index_of)
	ip -n "$C" link del tungo
	wait_for "return of the device, time $i" 10 anew
	tungo_is_up
	wait_for "another postUp, time $i" 10 more_postup $((i + 1)) && ok "the device returned and postUp ran again, time $i"
	wait_for "traffic, time $i" 10 probe --seconds 10 echo "$TARGET" 1000 && ok "traffic flows again, time $i"
	check "IPv6 too" probe echo "$TARGET6" 1000
done
check "a route of postUp is back" sh -c "ip -n $C route show dev tungo | grep -q 10.91.0.0/16"
fds_back gone "$pid_gone" "$before" 10
stop_pid "$pid_gone" && same "ended with status" 0 "$status"

# --- down and up again by hand
rm -f "$hooks"
cgost again "$C" -C "$work/hooks.yaml"
wait_for "postUp" 10 said 3
tungo_is_up
ip -n "$C" link set tungo down
ip -n "$C" link set tungo up
ip -n "$C" route replace 10.90.9.0/24 dev tungo
wait_for "traffic after down and up" 10 probe --seconds 10 echo "$TARGET" 1000 && ok "traffic flows after down and up"
wait_for "another postUp" 10 more_postup 2 && ok "postUp ran again, for the kernel took its routes"

# --- as a network manager that takes the device for its own: addresses or routes go, the link stays up
hook_route() { ip -n "$C" route show dev tungo | grep -q 10.91.0.0/16; }
n=2
for strip in 'addr flush' 'route flush' '-6 addr flush'; do
	n=$((n + 1))
	wait_for "route of postUp" 10 hook_route
	ip -n "$C" $strip dev tungo
	wait_for "postUp after $strip" 30 more_postup $n && ok "$strip: postUp ran again"
	wait_for "address" 10 device_up "$C" tungo
	wait_for "traffic after $strip" 10 probe --seconds 10 echo "$TARGET" 1000 && ok "$strip: traffic flows again"
	check "$strip: IPv6 too" probe echo "$TARGET6" 1000
done
stop_pid "$pid_again" && same "ended with status" 0 "$status"
logged_times "the log tells it once each time" 3 again 'was stripped of'

# --- signals while a hook is waited for. The command is told once it sleeps; one that does not listen is killed
cat >"$work/sleeps" <<END
#!/bin/sh
# sleeps WORD [deaf]: tells that it is there, then sleeps
if [ "\${2:-}" = deaf ]; then
	trap 'echo heard >>"$hooks"' TERM
	echo "\$1" >>"$hooks"
	while :; do sleep 0.1; done
fi
echo "\$1" >>"$hooks"
exec sleep 1000
END
chmod +x "$work/sleeps"
slow_yaml() { # NAME PREUP PREDOWN
	cat >"$work/$1.yaml" <<-END
		services:
		- {name: a, addr: "127.0.0.1:1081", handler: {type: socks5}, metadata: {preUp: ["$2", "$work/hook preUp-end"], postUp: ["$work/hook postUp"], preDown: ["$3", "$work/hook preDown-end"], postDown: ["$work/hook postDown"]}}
		- {name: b, addr: "127.0.0.1:1082", handler: {type: socks5}, metadata: {preUp: ["$work/hook b"]}}
	END
}
slow_yaml start "$work/sleeps preUp" true
rm -f "$hooks"
cgost start "$C" -C "$work/start.yaml"
wait_for "preUp that sleeps" 10 said 1
stop_pid "$pid_start" && same "SIGTERM during the start: status" 0 "$status"
same "... the start ends there, and is taken back" "preUp preDown-end postDown" "$(words)"
slow_yaml stop true "$work/sleeps preDown deaf"
rm -f "$hooks"
cgost stop "$C" -C "$work/stop.yaml"
wait_for "postUp" 10 grep -q postUp "$hooks"
kill -INT "$pid_stop"
wait_for "preDown that sleeps" 10 grep -q '^preDown' "$hooks"
kill -INT "$pid_stop" # the second: it is told
wait_for "preDown hears" 10 grep -q heard "$hooks"
kill -INT "$pid_stop" # the third: it is killed
reap "$pid_stop" && same "SIGINT three times: status" 0 "$status"
same "... what follows is done" "preUp-end b postUp preDown heard preDown-end postDown" "$(words)"
check "... and the log tells" grep -q 'pre-down.*deaf: signal: Killed' "$work/stop.log"

# --- a start that fails after the hooks of the first service
start busy "$C" python3 -c 'import socket, time; s = socket.socket(); s.bind(("127.0.0.1", 1080)); s.listen(); time.sleep(600)'
wait_for "busy port" 10 listens "$C" 1080
rm -f "$hooks"
{ cat "$work/hooks.yaml" && printf -- '- name: busy\n  addr: 127.0.0.1:1080\n  handler: {type: socks5}\n  listener: {type: tcp}\n'; } >"$work/fail.yaml"
inside "$C" timeout 60 "$CGOST" -C "$work/fail.yaml" >"$work/fail.log" 2>&1
same "failed start: status" 1 $?
same "failed start: what preUp did is taken back, postUp never ran" "preUp 1 preUp two words \$HOME * preDown postDown 1 postDown 2" "$(words)"
if ip -n "$C" link show tungo >/dev/null 2>&1; then bad "failed start: the device stayed"; else ok "failed start: the device is gone"; fi
