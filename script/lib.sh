# script/lib.sh -- what server, test and demo share: installing Debian packages that are missing, and building.
# Sourced with `set -eu`; $top is the project's root.

# need PACKAGE...: install those that dpkg does not know as installed.
need() {
	missing=
	for p in "$@"; do
		dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	as_root=
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || { echo "missing packages:$missing (install them, or run as root)" >&2; exit 1; }
		as_root=sudo
	fi
	echo "installing:$missing" >&2
	$as_root apt-get update -qq
	# shellcheck disable=SC2086
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

need_build() {
	need gcc libc6-dev meson ninja-build pkg-config libssl-dev libc-ares-dev libpcre2-dev libwslay-dev python3
}

# build DIR [MESON OPTIONS...]: configure once, then compile.
build() {
	dir=$1
	shift
	[ -f "$dir/build.ninja" ] || meson setup "$dir" "$top" "$@" >"$dir.setup.log" 2>&1 || { cat "$dir.setup.log" >&2; exit 1; }
	rm -f "$dir.setup.log"
	ninja -C "$dir" >"$dir/build.log" 2>&1 || { grep -v '^\[' "$dir/build.log" >&2; exit 1; }
}
