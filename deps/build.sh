#!/bin/sh
# deps/build.sh [DIR] - fetch, check, patch and build the pinned third-party libraries as static archives.
#
# Result (DIR is build/deps unless given): DIR/include, DIR/lib/lib{mbedtls,websockets,lwip}.a, DIR/src, DIR/dl and
# DIR/stamp, which changes only when a library was built anew. Runs as anybody; needs apt, cc, binutils, patch, bzip2,
# xz. The system's apt lists are neither read for contents nor written.
#
#   DEPS_CACHE=dir   take the files of deps/pins from here (offline)   HOGWEED=auto|0|1  curves by nettle and GMP
#   DEPS_MIRROR=uri  ask this Debian mirror first                      JOBS=n            compilers at a time
#   DEPS_NEWER=0     never accept a newer upload of the same series    CC, V=1
set -eu

here=$(cd "$(dirname "$0")" && pwd) root=$(cd "$here/.." && pwd)
dir=${1:-$root/build/deps}
cc=${CC:-cc} jobs=${JOBS:-$(nproc)}
floor=$root/core/floor
suite=trixie # whose signed index is asked when a pinned file has left the archive

say() { printf '  %-8s%s\n' "$1" "$2"; }
die() { echo "deps: $*" >&2 && exit 1; }
sha() { sha256sum | cut -d' ' -f1; }
sha_ok() { [ -f "$1" ] && [ "$(sha <"$1")" = "$2" ]; }

hogweed=${HOGWEED:-auto}
if [ "$hogweed" = auto ]; then
	hogweed=0
	if ${PKG_CONFIG:-pkg-config} --exists hogweed gmp 2>/dev/null; then hogweed=1; fi
fi
case $("$cc" -dumpmachine) in x86_64*) x86=1 ;; *) x86=0 ;; esac

# ---- fetch ----------------------------------------------------------------------------------------------------------

# Where this machine already gets its packages from; works with empty lists.
mirrors() {
	[ -z "${DEPS_MIRROR:-}" ] || echo "${DEPS_MIRROR%/}"
	apt-get indextargets --no-release-info --format '$(REPO_URI)' 2>/dev/null | sed 's#/*$##' | grep -E '^https?://' | sort -u || :
}

# apt's own transport: its proxies, its credentials and its certificates apply.
get() { # uri file sha256
	/usr/lib/apt/apt-helper -q -o APT::Sandbox::User= -o Acquire::Retries=2 download-file "$1" "$2" "SHA256:$3" >/dev/null 2>&1 &&
		sha_ok "$2" "$3" && return
	rm -f "$2" "$2.FAILED" && return 1
}

fetch_pinned() {
	tar=$dir/dl/$file
	sha_ok "$tar" "$sum" && return
	if [ -n "${DEPS_CACHE:-}" ]; then
		sha_ok "$DEPS_CACHE/$file" "$sum" && cp "$DEPS_CACHE/$file" "$tar" && return
		die "DEPS_CACHE=$DEPS_CACHE has no $file with the pinned SHA-256"
	fi
	for m in $(mirrors); do
		case $m in *security*) pool=pool/updates/main ;; *) pool=pool/main ;; esac
		get "$m/$pool/$folder/$file" "$tar" "$sum" && say FETCH "$file" && return
	done
	return 1
}

# A point release may have replaced the pinned file: then what the archive's signed index names now, same series only.
# Its lists live under DIR; only the tar is asked for, the index carries its SHA-256.
fetch_newer() {
	[ "${DEPS_NEWER:-1}" = 1 ] || return 1
	a=$dir/apt key=/usr/share/keyrings/debian-archive-keyring.gpg
	mkdir -p "$a/lists/partial" "$a/cache/archives/partial" "$a/new"
	for m in $(mirrors); do
		case $m in *security*) s=$suite-security ;; *) s=$suite ;; esac
		echo "deb-src [signed-by=$key] $m $s main"
	done >"$a/sources.list"
	set -- -q -o Dir::State::lists="$a/lists" -o Dir::Cache="$a/cache" -o Dir::Etc::sourcelist="$a/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
		-o APT::Sandbox::User= -o APT::Update::Post-Invoke::=true -o Acquire::Languages=none
	[ -f "$a/updated" ] || { apt-get "$@" update >/dev/null 2>&1 && touch "$a/updated"; } || :
	for want in "$package" "$package/$suite"; do # the security pool may lack a tar that the main pool has
		(cd "$a/new" && apt-get "$@" source --download-only --tar-only "$want" >/dev/null 2>&1) && break
	done
	set -- "$a/new/${package}_$series"*.orig.tar.*
	[ -f "$1" ] || return 1
	tar=$dir/dl/$(basename "$1") && mv "$1" "$tar"
	echo "deps: warning: pinned $file has left the archive; using $(basename "$tar"), vouched for by its signed index" >&2
}

# ---- unpack and compile ---------------------------------------------------------------------------------------------

unpack() { # member patterns...
	src=$dir/src/$name
	rm -rf "$src" && mkdir -p "$src"
	tar -xf "$tar" -C "$src" --strip-components=1 --anchored --wildcards --no-wildcards-match-slash "$@"
	for p in "$here/patches/$name"-*.patch; do
		[ ! -f "$p" ] || patch -s -d "$src" -p1 <"$p" || die "$(basename "$p") does not apply to $(basename "$tar")"
	done
}

# "source|object|own flags" lines on stdin become DIR/lib/libNAME.a. Sources are built with their authors' warnings
# in mind, not ours; what they do at run time is hardened as our own code is.
archive() { # common flags...
	obj=$dir/obj/$name
	rm -rf "$obj" && mkdir -p "$obj" "$dir/lib"
	flags="-O3 -DNDEBUG -fPIE -fstack-protector-strong -ffunction-sections -fdata-sections -w $*"
	while IFS='|' read -r c o own; do echo "$cc $flags $own -c -o '$obj/$o.o' '$c'"; done |
		xargs -d '\n' -P "$jobs" -I{} sh -c '{}' >"$obj/log" 2>&1 || { tail -n 20 "$obj/log" >&2 && die "$name does not compile"; }
	rm -f "$dir/lib/lib$name.a" && ar crsD "$dir/lib/lib$name.a" "$obj"/*.o
}

build_mbedtls() {
	unpack '*/library' '*/include' '*/LICENSE'
	cp "$here"/mbedtls/*.h "$dir/include/"
	cp -r "$src/include/mbedtls" "$src/include/psa" "$dir/include/"
	for c in "$src"/library/*.c; do
		o=$(basename "$c" .c) own=
		case $o-$hogweed$x86 in
		aes-?1 | aesni-?1) own='-msse2 -maes -mpclmul' ;; # both must agree; the CPU is asked at run time
		bignum-1?) own=-Dmbedtls_mpi_exp_mod=mbedtls_mpi_exp_mod_stock ;;
		ecp-1?)
			for f in mul mul_restartable muladd muladd_restartable; do
				own="$own -Dmbedtls_ecp_$f=mbedtls_ecp_${f}_stock" # core/floor/ecp_fast.c takes the name
			done
			;;
		esac
		echo "$c|$o|$own"
	done | archive "-I$src/library -I$src/include -I$dir/include '-DMBEDTLS_USER_CONFIG_FILE=<mbedtls_user.h>'"
}

build_websockets() {
	unpack '*/lib' '*/include' '*/LICENSE'
	cp -r "$src/include/." "$here/lws/lws_config.h" "$here/lws/lws_config_private.h" "$dir/include/"
	inc="-I$dir/include"
	while read -r d; do inc="$inc -I$src/lib/$d"; done <"$here/lws/dirs.txt"
	while read -r c; do
		own=
		case $c in
		*/server-ws.c) own=-Dlws_parse_ws=lws_parse_ws_stock ;; # core/floor/ws/lws_bulk.c takes these two names
		*/client-ws.c) own=-Dlws_ws_handshake_client=lws_ws_handshake_client_stock ;;
		esac
		echo "$src/lib/$c|$(echo "${c%.c}" | tr / _)|$own"
	done <"$here/lws/srcs.txt" |
		archive "-D_GNU_SOURCE -DLWS_OS_RENAME -include $floor/ws/lws_os.h -include $floor/ws/lws_bulk.h $inc"
	# every call on a descriptor must end in lws_os.c: a forgotten one would act on a descriptor of somebody else
	calls='socket|connect|accept4?|bind|listen|recv|recvfrom|recvmsg|send|sendto|sendmsg|read|readv|write|writev|close|shutdown'
	calls="$calls|poll|fcntl|ioctl|open|lseek|fsync|eventfd|eventfd_read|eventfd_write|getsockname|getpeername|[gs]etsockopt"
	if nm -u "$dir/lib/libwebsockets.a" | grep -E "^ +U (__)?($calls)(64)?(_2|_chk)?\$" >&2; then
		die "websockets calls the kernel by the names above: add them to core/floor/ws/lws_os.h"
	fi
}

build_lwip() {
	unpack '*/src' '*/COPYING'
	cp -r "$src/src/include/." "$here/lwip/." "$dir/include/"
	for c in "$src"/src/core/*.c "$src"/src/core/ipv4/*.c "$src"/src/core/ipv6/*.c; do
		echo "$c|$(basename "$c" .c)|"
	done | archive "-I$dir/include"
}

# ---- what is new ----------------------------------------------------------------------------------------------------

# Everything a library is made of, one hash. The compiler is not part of it: archives of gcc and clang mix.
inputs() {
	case $name in
	mbedtls) set -- "$here/mbedtls" ;;
	websockets) set -- "$here/lws" "$floor/ws/lws_os.h" "$floor/ws/lws_bulk.h" ;;
	lwip) set -- "$here/lwip" ;;
	esac
	{
		echo "$name $file $sum $x86"
		[ "$name" != mbedtls ] || echo "hogweed $hogweed"
		find "$0" "$@" "$here/patches" -type f \( -not -path '*/patches/*' -o -name "$name-*.patch" \) | LC_ALL=C sort | xargs cat
	} | sha
}

each() { # a failure ends the loop and the script; so nothing here may stand in a condition
	grep -v '^#' "$here/pins" | while IFS='|' read -r name package series file folder sum; do "$@" </dev/null; done
}
stale() { [ "$(cat "$dir/stamp.$name" 2>/dev/null)" = "$(inputs)" ] && [ -f "$dir/lib/lib$name.a" ] || echo "$name"; }

build_one() {
	[ -n "$(stale)" ] || return 0
	rm -f "$dir/stamp.$name"
	fetch_pinned || fetch_newer ||
		die "cannot fetch $file: no mirror of this machine has it; set DEPS_MIRROR=uri of a Debian mirror, or DEPS_CACHE=folder that holds it"
	say BUILD "lib$name.a"
	"build_$name"
	rm -rf "$dir/obj/$name"
	inputs >"$dir/stamp.$name"
	date >"$dir/stamp"
}

if [ -z "$(each stale)" ] && [ -f "$dir/stamp" ]; then exit 0; fi
if [ -L "$dir" ]; then # shared with other trees: leave it as it is and go on with a copy
	shared=$(readlink -f "$dir")
	rm "$dir" && cp -a "$shared" "$dir"
fi
mkdir -p "$dir/dl" "$dir/include" "$dir/lib"
dir=$(cd "$dir" && pwd)
each build_one
