#!/bin/sh
# tests/unit.sh PROGRAM... - run Check programs, UNIT_JOBS (2) at a time; one closing line each, the sum alone at the end.
# A program that dies or says nothing counts as one failure. Its output is shown when it fails; V=1 shows all. As root each
# has a network namespace of its own, with nothing but loopback: a port that is free for one is nobody else's.
# CHECK_AGAIN=1: if one program failed, and only one, it runs once more, alone (see tests/e2e.sh).
export CK_VERBOSITY=${CK_VERBOSITY:-normal} CK_TIMEOUT_MULTIPLIER=${CK_TIMEOUT_MULTIPLIER:-20}

if [ "${1:-}" = --one ]; then
	prog=$2 log=$2.log
	if [ "$(id -u)" = 0 ] && unshare -n ip link set lo up 2>/dev/null; then
		timeout -k 5 600 unshare -n sh -c 'ip link set lo up && exec "$0"' "$prog" >"$log" 2>&1
	else
		timeout -k 5 600 "$prog" >"$log" 2>&1
	fi
	status=$?
	# Check says "83%: Checks: 6, Failures: 1, Errors: 0", once per suite runner
	set -- $(sed -n 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\).*/\1 \2 \3/p' "$log" |
		awk '{ n += $1; bad += $2 + $3 } END { print n - bad, bad + 0 }')
	good=$1 bad=$2
	if [ $((good + bad)) = 0 ] && [ $status = 0 ]; then good=1; fi
	if [ $status != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
	if [ $status != 0 ]; then why=" (exit $status)"; else why=; fi
	{
		if [ "$bad" != 0 ] || [ -n "${V:-}" ]; then tail -n 60 "$log"; fi
		echo "$(basename "$prog"): $good passed, $bad failed$why"
	} >"$prog.result"
	cat "$prog.result" # in one piece: others print, too
	exit 0
fi

for prog in "$@"; do rm -f "$prog.result"; done
printf '%s\n' "$@" | xargs -P "${UNIT_JOBS:-2}" -I{} sh "$0" --one {}
failed() { tail -n 1 "$1.result" 2>/dev/null | grep ' passed, [1-9][0-9]* failed'; }
# what did not crash and has no sanitizer's report: Check calls these errors
forgivable() { grep -q '^[0-9]*%: Checks: [0-9]*, Failures: [1-9][0-9]*, Errors: 0' "$1.log" && ! grep -qE 'Checks: .*Errors: [1-9]|Sanitizer|runtime error:' "$1.log"; }
if [ "${CHECK_AGAIN:-0}" != 0 ]; then
	count=0
	for prog in "$@"; do ! failed "$prog" >/dev/null || { count=$((count + 1)) && which=$prog; }; done
	if [ $count = 1 ] && forgivable "$which"; then
		first=$(failed "$which" | sed 's/.* passed, \([0-9]*\) failed.*/\1/') && cp "$which.log" "$which.first.log"
		sh "$0" --one "$which"
		if failed "$which" >/dev/null; then again="it failed again"; else again="it passed"; fi
		name=$(basename "$which")
		echo "$name: unsteady: checks that failed at first: $first; run once more, alone, $again"
		grep -E ':[0-9]+:F:' "$which.first.log" | head -n 5 | cut -c1-140 | sed "s/^/$name: unsteady: /"
	fi
fi
for prog in "$@"; do tail -n 1 "$prog.result" 2>/dev/null || echo "$prog: 0 passed, 1 failed"; done |
	awk '{ sub(/ \(exit [0-9]+\)$/, ""); n = NF; p += $(n - 3); f += $(n - 1) } END { print p + 0 " passed, " f + 0 " failed"; exit f > 0 }'
