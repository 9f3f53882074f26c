#!/bin/sh
# tests/e2e.sh [SCRIPT...] - run the end-to-end scripts (all of tests/e2e unless named) with CGOST=path.
# Each prints its own "N passed, N failed" line last and leaves nothing behind. A script that says nothing counts as
# one failure; one that exits 77 can't run here (it says why) and counts as neither. Files lib*.sh are sourced by
# others; demo.sh and chroot.sh have targets of their own.
: "${CGOST:?path of the program}"
passed=0 failed=0
logs=$(dirname "$CGOST")/e2e
mkdir -p "$logs"
[ $# -gt 0 ] || set -- tests/e2e/*.sh
for script in "$@"; do
	name=$(basename "$script" .sh)
	case $name in lib* | demo | chroot | '*') continue ;; esac
	timeout -k 10 "${E2E_SECONDS:-180}" sh "$script" </dev/null >"$logs/$name.log" 2>&1
	status=$?
	if [ $status = 77 ]; then
		echo "$name: not run here: $(tail -n 1 "$logs/$name.log")"
		continue
	fi
	set -- $(sed -n 's/^\(.*[^0-9]\)\{0,1\}\([0-9][0-9]*\) passed, \([0-9][0-9]*\) failed.*/\2 \3/p' "$logs/$name.log" | tail -n 1)
	good=${1:-0} bad=${2:-0}
	if [ $# = 0 ] || { [ $status != 0 ] && [ "$bad" = 0 ]; }; then bad=$((bad + 1)); fi
	[ "$bad" = 0 ] && [ -z "${V:-}" ] || tail -n 40 "$logs/$name.log"
	echo "$name: $good passed, $bad failed"
	passed=$((passed + good)) failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
