#!/bin/sh
# tests/tools/stranger.sh PACKAGE PROGRAM DIRECTORY - where is PROGRAM of Debian's PACKAGE? Prints the command that runs it:
# the installed one, or one from PACKAGE unpacked below DIRECTORY with the libraries it lacks. Nothing is installed, no
# daemon starts. Status 1 and a reason where it can't be had (no network, another system).
set -eu
package=$1 program=$2 dir=$3
if command -v "$program" >/dev/null; then command -v "$program" && exit 0; fi
root=$dir/$package
if [ ! -e "$root/complete" ]; then
	command -v apt-get >/dev/null || { echo "$program is not installed" >&2 && exit 1; }
	rm -rf "$root" && mkdir -p "$root/debs"
	lacks=$(apt-get -s --no-install-recommends install "$package" 2>/dev/null | sed -n 's/^Inst \([^ ]*\).*/\1/p')
	for p in ${lacks:-$package}; do
		(cd "$root/debs" && timeout 60 apt-get -q download "$p" >/dev/null 2>&1) || { echo "$p can't be downloaded" >&2 && exit 1; }
	done
	for d in "$root"/debs/*.deb; do dpkg-deb -x "$d" "$root"; done
	touch "$root/complete"
fi
found=$(find "$root" -path "*bin/$program" | head -n 1)
[ -n "$found" ] || { echo "$package has no $program" >&2 && exit 1; }
echo "env LD_LIBRARY_PATH=$(find "$root" -name 'lib*.so*' -exec dirname {} \; | sort -u | paste -sd:) $found"
