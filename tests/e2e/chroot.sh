#!/bin/sh
# tests/e2e/chroot.sh - does `./run build` do on a bare Debian? Run as root.
#
#   debootstrap minbase -> copy of the tree, without build/ -> ./run build, twice -> the program says its version
#
# The release is this machine's unless CHROOT_SUITE names one; packages come from the machine's own mirrors, sources
# from them too or from DEPS_CACHE (a second run of this script needs no network for those: build/deps/dl is used).
# Mounts nothing, touches no network namespace, removes the chroot also on failure.
set -u
suite=${CHROOT_SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
cache=${DEPS_CACHE:-build/deps/dl}
passed=0 failed=0

skip() { echo "$*" && exit 77; }
[ "$(id -u)" = 0 ] || skip "chroot needs root"
command -v debootstrap >/dev/null || skip "debootstrap is not installed"

root=$(mktemp -d "${TMPDIR:-/tmp}/cgost-chroot.XXXXXX") || exit 1
trap 'rm -rf --one-file-system "$root"' EXIT
trap 'exit 130' INT TERM

check() { # what command...
	what=$1
	shift
	start=$(date +%s)
	if "$@" >"$root.log" 2>&1; then
		passed=$((passed + 1))
		echo "ok   $what ($(($(date +%s) - start)) s)"
	else
		failed=$((failed + 1))
		echo "FAIL $what"
		tail -n 20 "$root.log"
	fi
	rm -f "$root.log"
}
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C "$@"; }
in_tree() { inside sh -c 'cd /src && "$@"' sh "$@"; }
finish() {
	echo "$passed passed, $failed failed"
	[ $failed = 0 ]
	exit
}

mirror=$(apt-get indextargets --no-release-info --format '$(REPO_URI)' | grep -E '^https?://' | grep -v security | sort | uniq -c |
	sort -rn | awk 'NR == 1 { print $2 }')
[ -n "$mirror" ] || skip "no Debian mirror configured on this machine"
more=
case $mirror in https:*) more=--include=ca-certificates ;; esac

bootstrap() { # a mirror has its bad moments
	for try in 1 2 3; do
		debootstrap --variant=minbase $more "$suite" "$root" "$mirror" && return
		rm -rf --one-file-system "$root" && mkdir "$root" && sleep 5
	done
	false
}
check "debootstrap $suite" bootstrap
[ $failed = 0 ] || finish
# the machine's way to the mirror (proxy), and nothing else of its configuration
apt-config dump Acquire::http::Proxy >"$root/etc/apt/apt.conf.d/99host"
apt-config dump Acquire::https::Proxy >>"$root/etc/apt/apt.conf.d/99host"
echo 'Acquire::Retries "3";' >>"$root/etc/apt/apt.conf.d/99host"

chmod 755 "$root" # mktemp's 0700 would lock the user of the last checks out
mkdir "$root/src" "$root/deps-cache"
tar -cf - --exclude=./build --exclude=./.git . | tar -xf - -C "$root/src"
offline=
if ls "$cache"/*.orig.tar.* >/dev/null 2>&1; then
	cp "$cache"/*.orig.tar.* "$root/deps-cache/"
	offline=DEPS_CACHE=/deps-cache
fi
check "bare: no make, no compiler" sh -c '! chroot "$1" sh -c "command -v make || command -v cc"' sh "$root"
check "./run build" in_tree env $offline ./run build
check "./run build again, nothing to do" in_tree sh -c './run build >log 2>&1; s=$?; cat log; ! grep -E "^ +(CC|LINK|BUILD|FETCH) " log && exit $s'
[ ! -f app/main.c ] || check "build/cgost -V" in_tree ./build/cgost -V
rm -rf "$root/src/build" && chown -R 65534 "$root/src"
check "./run build as a user" in_tree setpriv --reuid=65534 --clear-groups env $offline ./run build
check "./run demo as a user: one line that says what to do" in_tree sh -c \
	'setpriv --reuid=65534 --clear-groups ./run demo >log 2>&1; s=$?; cat log; [ $s = 1 ] && [ "$(wc -l <log)" = 1 ] && grep -q root log'
finish
