#!/bin/sh
# tests/check.sh - everything a change must pass, one part after another; goes on after a failure and fails at the end.
# CHECK_PARTS picks parts and their order; parts joined by "+" run at the same time. Each part's closing "N passed, N
# failed" line is repeated at the end, with what could not run here and what passed only when it was run again
# (CHECK_AGAIN=1); the sum is the last line; a part that has none counts as one check.
parts=${CHECK_PARTS:-format registry build clang plain unit unit-asan e2e+fuzz+chroot e2e-off e2e-asan}
logs=build/check
mkdir -p "$logs" && rm -f "$logs"/*.log "$logs"/*.status "$logs/summary" "$logs/total"
make="${MAKE:-make} --no-print-directory -j$(nproc)"

part() {
	case $1 in
	format) if clang-format-14 --version >/dev/null 2>&1 || clang-format --version 2>&1 | grep -q 'version 14\.'; then $make format-check; else exit 77; fi ;;
	registry) if [ -f app/registry.c ]; then sh tests/registry.sh; else exit 77; fi ;;
	build) $make WERROR=1 all || { $make all && false; } ;; # not one warning; the parts below run in spite of them
	clang) if command -v clang >/dev/null; then $make CC=clang WERROR=1 B=build/clang all; else exit 77; fi ;;
	plain) # no nettle, no GMP: what shakes hands
		DEPS_CACHE=${DEPS_CACHE:-$PWD/build/deps/dl} $make HOGWEED=0 B=build/plain D=build/plain/deps \
			UNIT="test_tls test_tls_trust test_wss test_dial test_exchange" all unit ;;
	unit) $make unit ;;
	unit-asan) $make ASAN=1 unit ;;
	fuzz) if command -v clang >/dev/null; then nice -n 19 $make fuzz; else exit 77; fi ;;
	e2e) $make e2e ;;
	e2e-off) # lwIP's own retransmission; TUNGO_OPTS=congestion=off makes any script of the device run so
		$make all tools && TUNGO_OPTS=congestion=off CGOST=$PWD/build/cgost E2E_LOGS=$PWD/build/e2e-off \
			sh tests/e2e.sh tests/e2e/10_tungo_tcp.sh tests/e2e/29_gateway_clients.sh ;;
	e2e-asan) $make ASAN=1 e2e ;;
	chroot) nice -n 19 sh tests/e2e/chroot.sh ;;
	*) echo "no such part" && exit 2 ;;
	esac
}

# run PART: its output, also in its log; its status and seconds beside it
run() {
	start=$(date +%s)
	{ (part "$1") 2>&1; echo "$? $(($(date +%s) - start))" >"$logs/$1.status"; } | tee "$logs/$1.log"
}

# told PART: its line of the summary
told() {
	read -r status took <"$logs/$1.status"
	name=$1
	set -- $(sed -n 's/^\([0-9][0-9]*\) passed, \([0-9][0-9]*\) failed$/\1 \2/p' "$logs/$name.log" | tail -n 1)
	good=${1:-} bad=${2:-0}
	if [ "$status" = 77 ]; then
		echo "$name: not run here ($took s)"
		return
	fi
	if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
	if [ -z "$good" ]; then good=$((bad == 0)); fi
	echo "$name: $good passed, $bad failed ($took s)"
	grep -aE '^[0-9a-z_]+: (not run here|unsteady): ' "$logs/$name.log" | cut -c1-200 | sed "s/^/$name: /"
}

for group in $parts; do
	echo "== $group"
	together=$(echo "$group" | tr + ' ')
	for p in $together; do run "$p" & done
	wait
	for p in $together; do told "$p"; done >>"$logs/summary"
done
echo "== summary"
cat "$logs/summary"
awk '/^[a-z0-9-]+: [0-9]+ passed, / { p += $2; f += $4 } END { print p + 0 " passed, " f + 0 " failed" }' "$logs/summary" | tee "$logs/total"
grep -q ' 0 failed$' "$logs/total"
