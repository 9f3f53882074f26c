#!/bin/sh
# tests/registry.sh - every plug-in that a folder defines stands in app/registry.c, and the other way round.
# (An entry without its plug-in fails the link too; a plug-in without its entry would be dead code in silence.)
passed=0 failed=0
for kind in listener handler dialer connector; do
	folder=${kind}s
	defined=$(find "$folder" -name '*.c' -exec sed -n "s/^const struct ${kind}_type \(${kind}_[a-z0-9_]*\) = .*/\1/p" {} + | sort)
	listed=$(grep -o "&${kind}_[a-z0-9_]*" app/registry.c | tr -d '&' | sort)
	for name in $(printf '%s\n%s\n' "$defined" "$listed" | sort -u); do
		why=
		echo "$defined" | grep -qx "$name" || why="in app/registry.c, but nothing in $folder/ defines it"
		echo "$listed" | grep -qx "$name" || why="defined in $folder/, but missing in app/registry.c"
		[ "$(echo "$listed" | grep -cx "$name")" -lt 2 ] || why="twice in app/registry.c"
		if [ -z "$why" ]; then
			passed=$((passed + 1))
		else
			failed=$((failed + 1))
			echo "$name: $why"
		fi
	done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
