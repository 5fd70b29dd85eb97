# script/lib.sh -- what server, test, demo, soak and fuzz share: installing Debian packages that are missing, and building.
# Sourced with `set -eu`; $top is the project's root.

# as_root COMMAND...: as root, by sudo where we are somebody else.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# need PACKAGE...: install those that dpkg does not know as installed.  Servers among them are not started: they would take our ports.
need() {
	missing=
	for p in "$@"; do
		dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
		echo "missing packages:$missing (install them, or run as root)" >&2
		exit 1
	fi
	echo "installing:$missing" >&2
	# shellcheck disable=SC2086
	as_root sh -c '
		set -eu
		policy=/usr/sbin/policy-rc.d
		if [ ! -e "$policy" ]; then
			trap "rm -f $policy" EXIT
			printf "#!/bin/sh\nexit 101\n" >"$policy"
			chmod 755 "$policy"
		fi
		export DEBIAN_FRONTEND=noninteractive
		log=$(mktemp)
		for command in update "install -y --no-install-recommends $*"; do
			apt-get -q -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 $command >"$log" 2>&1 </dev/null || { tail -30 "$log" >&2; rm -f "$log"; exit 1; }
		done
		rm -f "$log"' need $missing || exit 1
}

# need_command COMMAND PACKAGE...: install the packages unless the command is there, wherever it came from.
need_command() {
	command -v "$1" >/dev/null && return 0
	shift
	need "$@"
}

need_build() {
	need gcc libc6-dev meson ninja-build pkg-config libssl-dev libc-ares-dev libpcre2-dev libwslay-dev python3
}

# build DIR [MESON OPTIONS...]: configure once, then compile.  A failure prints what the compiler said and ends the (sub)shell.
build() {
	dir=$1
	shift
	if [ ! -f "$dir/build.ninja" ]; then
		mkdir -p "$dir"
		meson setup "$dir" "$top" "$@" >"$dir/setup.log" 2>&1 || { cat "$dir/setup.log" >&2; exit 1; }
	fi
	ninja -C "$dir" >"$dir/build.log" 2>&1 || { grep -v '^\[' "$dir/build.log" >&2; exit 1; }
}
