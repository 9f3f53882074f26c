#!/bin/sh
# tests/check.sh - everything a change must pass, one part after another; goes on after a failure and fails at the end.
# CHECK_PARTS picks parts and their order. Each part's closing "N passed, N failed" line is repeated at the end and the
# sum is the last line; a part that has none counts as one check.
parts=${CHECK_PARTS:-format registry build clang plain unit unit-asan fuzz e2e e2e-asan chroot}
logs=build/check
mkdir -p "$logs" && rm -f "$logs"/*.log "$logs/summary" "$logs/total"
make="${MAKE:-make} --no-print-directory -j$(nproc)"

part() {
	case $1 in
	format) if clang-format-14 --version >/dev/null 2>&1 || clang-format --version 2>&1 | grep -q 'version 14\.'; then $make format-check; else exit 77; fi ;;
	registry) if [ -f app/registry.c ]; then sh tests/registry.sh; else exit 77; fi ;;
	build) $make WERROR=1 B=build/strict all ;; # not one warning; the parts below run in spite of them
	clang) if command -v clang >/dev/null; then $make CC=clang WERROR=1 B=build/clang all; else exit 77; fi ;;
	plain) DEPS_CACHE=${DEPS_CACHE:-$PWD/build/deps/dl} $make HOGWEED=0 B=build/plain D=build/plain/deps unit ;; # no nettle, no GMP
	unit) $make unit ;;
	unit-asan) $make ASAN=1 unit ;;
	fuzz) if command -v clang >/dev/null; then $make fuzz; else exit 77; fi ;;
	e2e) $make e2e ;;
	e2e-asan) $make ASAN=1 e2e ;;
	chroot) sh tests/e2e/chroot.sh ;;
	*) echo "no such part" && exit 2 ;;
	esac
}

for p in $parts; do
	echo "== $p"
	start=$(date +%s)
	{ (part "$p") 2>&1; echo $? >"$logs/status"; } | tee "$logs/$p.log"
	status=$(cat "$logs/status")
	set -- $(sed -n 's/^\([0-9][0-9]*\) passed, \([0-9][0-9]*\) failed$/\1 \2/p' "$logs/$p.log" | tail -n 1)
	good=${1:-} bad=${2:-0}
	took=$(($(date +%s) - start))
	if [ "$status" = 77 ]; then
		echo "$p: not run here (${took} s)" >>"$logs/summary"
		continue
	fi
	if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
	if [ -z "$good" ]; then good=$((bad == 0)); fi
	echo "$p: $good passed, $bad failed ($took s)" >>"$logs/summary"
done
echo "== summary"
cat "$logs/summary"
awk '/ passed, / { p += $2; f += $4 } END { print p + 0 " passed, " f + 0 " failed" }' "$logs/summary" | tee "$logs/total"
grep -q ' 0 failed$' "$logs/total"
