#!/bin/sh
# tests/e2e/33_explain_random.sh - `cgost explain` against the packets, for rules made by chance.
#
#     app -> socks5 svc0, svc1 ... [cgost] -> nodes [cgost] -> targets, all on the loopback device of the client
#
# RANDOM_SEED=N asks for others than those that are always asked. What is made of it is in tests/tools/randomway.py.
. "$(dirname "$0")/lib.sh"
tool=$here/tests/tools/randomway.py
net_up
for seed in ${RANDOM_SEED:-11 12}; do
	python3 "$tool" "$seed" "$work" make || bad "making it"
	# with our names
	ours() { name=$1 && shift && start "$name" "$C" sh -c 'mount --bind "$1/hosts" /etc/hosts && shift && exec "$@"' sh "$work" "$CGOST" "$@" && mine="$mine $pid"; }
	# shellcheck disable=SC2046
	ours nodes $(cat "$work/nodes")
	ours services -C "$work/random.json"
	wait_for "nodes" 20 listens "$C" 9008
	wait_for "services" 20 listens "$C" 11013
	inside "$C" sh -c 'mount --bind "$1/hosts" /etc/hosts && shift && exec timeout 300 python3 "$@"' sh "$work" "$tool" "$seed" "$work" ask "$CGOST" >"$work/table" 2>"$work/table.err" || bad "seed $seed: $(tail -n 1 "$work/table.err")"
	grep '^FAIL' "$work/table" | head -n 5 | while read -r line; do echo "     $line"; done
	same "seed $seed: as explained" "$(python3 "$tool" "$seed" "$work" count)" "$(grep -c '^ok ' "$work/table")"
	for way in direct chain refused; do check "seed $seed: some are $way" grep -q "^ok .*: $way " "$work/table"; done
	stop_pid "$pid_services" && same "the services end with status" 0 "$status"
	stop_pid "$pid_nodes" && same "the nodes end with status" 0 "$status"
done
