#!/bin/sh
# tests/e2e.sh [SCRIPT...] - run the end-to-end scripts (all of tests/e2e unless named) with CGOST=path, E2E_JOBS at a time
# (each has namespaces of its own). Each prints its own "N passed, N failed" line last and leaves nothing behind. A script
# that says nothing counts as one failure; one that exits 77 can't run here (it says why) and counts as neither, as do checks
# of a script that are left out; both are told. Files lib*.sh are sourced by others; demo.sh and chroot.sh have targets of
# their own. E2E_LOGS: where logs and results go. CHECK_AGAIN=1: what failed runs once more, alone; what passes then counts as
# passed, and is told ("unsteady").
: "${CGOST:?path of the program}"
logs=${E2E_LOGS:-$(dirname "$CGOST")/e2e}
mkdir -p "$logs"

if [ "${1:-}" = --one ]; then
	script=$2 name=$(basename "$2" .sh) start=$(date +%s)
	timeout -k 10 "${E2E_SECONDS:-480}" sh "$script" </dev/null >"$logs/$name.log" 2>&1
	status=$?
	took="($(($(date +%s) - start)) s)"
	if [ $status = 77 ]; then
		echo "$name: not run here: $(tail -n 1 "$logs/$name.log")" | tee "$logs/$name.result"
		exit 0
	fi
	set -- $(sed -n 's/^\(.*[^0-9]\)\{0,1\}\([0-9][0-9]*\) passed, \([0-9][0-9]*\) failed.*/\2 \3/p' "$logs/$name.log" | tail -n 1)
	good=${1:-0} bad=${2:-0}
	if [ $# = 0 ] || { [ $status != 0 ] && [ "$bad" = 0 ]; }; then bad=$((bad + 1)); fi
	{
		[ "$bad" = 0 ] && [ -z "${V:-}" ] || { grep -a -A 12 '^FAIL' "$logs/$name.log" || tail -n 20 "$logs/$name.log"; } | head -n 60
		sed -n "s/^not run here: /$name: &/p" "$logs/$name.log"
		echo "$name: $good passed, $bad failed $took"
	} >"$logs/$name.result"
	cat "$logs/$name.result"
	exit 0
fi

[ $# -gt 0 ] || set -- tests/e2e/*.sh
rm -f "$logs"/*.result
for script in "$@"; do
	case $(basename "$script" .sh) in lib* | demo | chroot | '*') continue ;; esac
	echo "$script"
done | xargs -P "${E2E_JOBS:-3}" -I{} sh "$0" --one {}
failed() { tail -n 1 "$1" 2>/dev/null | grep ' passed, [1-9][0-9]* failed'; }
for script in ${CHECK_AGAIN:+"$@"}; do
	name=$(basename "$script" .sh) && first=$(failed "$logs/$name.result") || continue
	mv "$logs/$name.log" "$logs/$name.first.log"
	sh "$0" --one "$script"
	failed "$logs/$name.result" >/dev/null || echo "$name: unsteady: passed when it ran again, alone; at first ${first#*: }"
done
cat "$logs"/*.result 2>/dev/null | awk '/ passed, [0-9]+ failed \([0-9]+ s\)$/ { p += $2; f += $4 } END { print p + 0 " passed, " f + 0 " failed"; exit f > 0 }'
