#!/bin/sh
# tests/fuzz.sh PROGRAM... - run libFuzzer programs for FUZZ_SECONDS (30) each, three at a time, from their seeds; twice as
# long what decides who goes where (names and rules).
# What they learn stays beside the program in corpus/NAME, what breaks them in crash/; both survive the run.
seconds=${FUZZ_SECONDS:-30}
[ $# -gt 0 ] || { echo "0 passed, 0 failed" && exit 0; }
dir=$(dirname "$1")
mkdir -p "$dir/crash"
one='
prog=$1 name=$(basename "$1") && name=${name#fuzz_}
mkdir -p "$2/corpus/$name"
seeds= && [ ! -d "tests/fuzz/seeds/$name" ] || seeds=tests/fuzz/seeds/$name
dict= && [ ! -f "tests/fuzz/$name.dict" ] || dict=-dict=tests/fuzz/$name.dict
seconds=$3
case $name in sniff_* | dns | matcher) seconds=$((2 * seconds)) ;; esac
if "$prog" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=2048 -print_final_stats=1 $dict \
	-artifact_prefix="$2/crash/$name-" "$2/corpus/$name" $seeds >"$prog.log" 2>&1; then
	echo "fuzz_$name: $(sed -n "s/^stat::number_of_executed_units: *//p" "$prog.log") runs, 1 passed, 0 failed"
else
	tail -n 40 "$prog.log"
	echo "fuzz_$name: 0 passed, 1 failed"
fi'
printf '%s\n' "$@" | xargs -P "${FUZZ_JOBS:-3}" -I{} sh -c "$one" fuzz {} "$dir" "$seconds" | tee "$dir/fuzz.log"
awk '/^fuzz_.*: .* passed, [0-9]+ failed$/ { n = NF; p += $(n - 3); f += $(n - 1) }
	END { print p + 0 " passed, " f + 0 " failed"; exit f > 0 }' "$dir/fuzz.log"
