#!/bin/sh
# tests/unit.sh PROGRAM... - run Check programs one after another; one closing line each, the sum alone at the end.
# A program that dies or says nothing counts as one failure. Its output is shown when it fails; V=1 shows all.
passed=0 failed=0
export CK_VERBOSITY=${CK_VERBOSITY:-normal} CK_TIMEOUT_MULTIPLIER=${CK_TIMEOUT_MULTIPLIER:-4}
for prog in "$@"; do
	log=$prog.log
	timeout -k 5 300 "$prog" >"$log" 2>&1
	status=$?
	# Check says "83%: Checks: 6, Failures: 1, Errors: 0", once per suite runner
	set -- $(sed -n 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\).*/\1 \2 \3/p' "$log" |
		awk '{ n += $1; bad += $2 + $3 } END { print n - bad, bad + 0 }')
	good=$1 bad=$2
	if [ $((good + bad)) = 0 ] && [ $status = 0 ]; then good=1; fi
	if [ $status != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
	if [ "$bad" != 0 ] || [ -n "${V:-}" ]; then tail -n 60 "$log"; fi
	if [ $status != 0 ]; then why=" (exit $status)"; else why=; fi
	echo "$(basename "$prog"): $good passed, $bad failed$why"
	passed=$((passed + good)) failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
