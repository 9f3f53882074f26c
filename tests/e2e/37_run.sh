#!/bin/sh
# tests/e2e/37_run.sh - `./run` where it can't do what is asked: one line that says why, nothing installed or made.
. "$(dirname "$0")/lib.sh"
mkdir "$work/tree" && cp "$here/run" "$work/tree" && chmod 755 "$work" "$work/tree"
caps='setpriv --bounding-set'

# refused WHAT WORD COMMAND...: status 1, one line, the word in it, no build/
refused() {
	asked=$1 word=$2 && shift 2
	"$@" >"$work/said" 2>&1
	same "$asked: status" 1 $?
	same "$asked: one line" 1 "$(wc -l <"$work/said")"
	check "$asked: it says $word" grep -q "$word" "$work/said"
	check "$asked: nothing is made" test ! -e "$work/tree/build"
}

for w in demo check; do
	refused "$w as a user" 'as root' setpriv --reuid=65534 --clear-groups "$work/tree/run" $w
	refused "$w without /dev/net/tun" modprobe unshare -m sh -c 'mount -t tmpfs tmpfs /dev/net && exec "$@"' sh "$work/tree/run" $w
	refused "$w without CAP_NET_ADMIN" CAP_NET_ADMIN $caps -net_admin --inh-caps -net_admin "$work/tree/run" $w
	refused "$w without CAP_SYS_ADMIN" CAP_SYS_ADMIN $caps -sys_admin --inh-caps -sys_admin "$work/tree/run" $w
done
refused "check with a tun that can't be opened" modprobe unshare -m sh -c 'mount --bind /dev/net/tun /dev/net/tun &&
	mount -o remount,bind,nodev /dev/net/tun && exec "$@"' sh "$work/tree/run" check

# no Debian: a PATH without its tools
mkdir "$work/bin" && for p in id sh dirname sed grep; do ln -s "$(command -v $p)" "$work/bin/$p"; done
refused "build on no Debian" 'no Debian.*gcc.*then call make$' env "PATH=$work/bin" "$work/tree/run" build
ln -s "$(command -v unshare)" /bin/true "$work/bin"
refused "demo on no Debian" 'no Debian.*curl.*then call make demo$' env "PATH=$work/bin" "$work/tree/run" demo

# root was here before
mkdir "$work/tree/build"
setpriv --reuid=65534 --clear-groups "$work/tree/run" build >"$work/said" 2>&1
same "build where root built before: status" 1 $?
same "... one line" 1 "$(wc -l <"$work/said")"
check "... it says what to do" grep -Eq 'remove it|packages are missing' "$work/said"
