#!/bin/sh
# tests/e2e.sh [SCRIPT...] - run the end-to-end scripts (all of tests/e2e unless named) with CGOST=path, E2E_JOBS at a time
# (each has namespaces of its own). Each prints its own "N passed, N failed" line last and leaves nothing behind. A script
# that says nothing counts as one failure; one that exits 77 can't run here (it says why) and counts as neither, as do checks
# of a script that are left out; both are told. Files lib*.sh are sourced by others; demo.sh and chroot.sh have targets of
# their own. E2E_LOGS: where logs and results go.
#
# CHECK_AGAIN=1: if one script failed, and only one, it runs once more, alone. What passes then counts as passed; the closing
# lines tell it as "unsteady", with what had failed, and its first log stays (NAME.first.log). Two that fail are no accident.
# A sanitizer's report, a program that crashed or a script that did not come to its end is never forgiven.
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
rm -f "$logs"/*.result "$logs"/*.first.log
for script in "$@"; do
	case $(basename "$script" .sh) in lib* | demo | chroot | '*') continue ;; esac
	echo "$script"
done | xargs -P "${E2E_JOBS:-3}" -I{} sh "$0" --one {}
failed() { tail -n 1 "$logs/$1.result" 2>/dev/null | grep ' passed, [1-9][0-9]* failed'; }
# its log has the sum of its checks, and nothing of what must never be
forgivable() {
	grep -aqE '^([^ ]* )*[0-9]+ passed, [1-9][0-9]* failed' "$logs/$1.log" &&
		! grep -aqE "Sanitizer|runtime error:|cgost: bug:|^FAIL .*(got '|ended with status )(99|1[23][0-9])'?$" "$logs/$1.log"
}
if [ "${CHECK_AGAIN:-0}" != 0 ]; then
	count=0
	for script in "$@"; do ! failed "$(basename "$script" .sh)" >/dev/null || { count=$((count + 1)) && which=$script; }; done
	if [ $count = 1 ] && name=$(basename "$which" .sh) && forgivable "$name"; then
		first=$(failed "$name" | sed 's/.* passed, \([0-9]*\) failed.*/\1/') && mv "$logs/$name.log" "$logs/$name.first.log"
		sh "$0" --one "$which"
		if failed "$name" >/dev/null; then again="it failed again"; else again="it passed"; fi
		echo "$name: unsteady: checks that failed at first: $first; run once more, alone, $again"
		grep -a '^FAIL' "$logs/$name.first.log" | head -n 5 | cut -c1-140 | sed "s/^/$name: unsteady: /"
	fi
fi
cat "$logs"/*.result 2>/dev/null | awk '/ passed, [0-9]+ failed \([0-9]+ s\)$/ { p += $2; f += $4 } END { print p + 0 " passed, " f + 0 " failed"; exit f > 0 }'
