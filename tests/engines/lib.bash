# shellcheck shell=bash
# What the scripts of this directory share. Each is
#
#   tests/engines/NAME [REGEX]
#
# It starts the engine of Debian's package with directories, sockets and a cgroup
# of its own, runs its checks (those whose name matches REGEX) with oci-mini as the
# runtime, and leaves nothing behind. The last line is "N passed, N failed, N skipped".
#
#   RUNTIME   the runtime under test (default: oci-mini in the checkout)
#   KEEP=1    leave the directory of the engine, to look at its logs
#   OCI_TEST_PATIENCE   how many times longer everything may take (default: 1)
#
# Where systemd is init and cgroups are v2 alone, as in the virtual machine of tests/vm, the
# engines use systemd's cgroups, and checks of units come to the others: systemd.bash.
#
# shellcheck disable=SC2034,SC2016 # variables that the scripts read; a program of a container
set -u
export LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$HERE/../.." && pwd)
RUNTIME=$(readlink -f "${RUNTIME:-$REPO/oci-mini}")
ONLY=${1:-}
PASSED=0 FAILED=0 SKIPPED=0

PATIENCE=${OCI_TEST_PATIENCE:-1}
[[ -x $RUNTIME ]] || { echo "${0##*/}: no runtime $RUNTIME: make build" >&2 && exit 1; }

# Who makes the cgroups: systemd, or the runtimes themselves. A script for users without
# privileges has set ROOTLESS before.
MANAGER=cgroupfs
if [[ -d /run/systemd/system && -e /sys/fs/cgroup/cgroup.controllers ]]; then MANAGER=systemd; fi
[[ ${ROOTLESS:-} && $MANAGER == systemd ]] || ((EUID == 0)) || { echo "${0##*/}: needs root" >&2 && exit 1; }

# Everything that is started or made has this word in its command line, path or
# cgroup. A mapped root must be able to pass through the directory. In the name of a slice, a
# hyphen would be another slice.
WORK=${OCI_MINI_APART:-$(mktemp -d "${TMPDIR:-/tmp}/oci_mini_engine_XXXXXX")}
MARK=${WORK##*/}
chmod 711 "$WORK"
mkdir -p "$WORK"/{log,tmp,bin}
export TMPDIR=$WORK/tmp
# What all cgroups are in, as engines are told it: a slice or a path.
CGROUP=/$MARK
[[ $MANAGER != systemd ]] || CGROUP=$MARK.slice

# ---------------------------------------------------------------- verdicts

fail() { printf '%s\n' "$@" && return 1; }
is() { [[ $1 == "$2" ]] || fail "${3:-value}: got '$1', want '$2'"; }
isnt() { [[ $1 != "$2" ]] || fail "${3:-value}: got '$1'"; }
has() { [[ $1 == *"$2"* ]] || fail "'$2' is not in '${1:0:300}'"; }
like() { [[ $1 =~ $2 ]] || fail "'${1:0:300}' is not like '$2'"; }
skip() { echo "$*" && exit 77; }

# exits STATUS COMMAND...: the command's exit status is that.
exits() {
	local want=$1 status=0
	shift
	"$@" || status=$?
	is "$status" "$want" "exit status of $*"
}

# refused COMMAND...: it fails, and not because its time is over.
refused() {
	local status=0
	"$@" || status=$?
	((status != 0 && status != 124 && status != 137)) || fail "exit status $status: $*"
}

# within SECONDS COMMAND...: the command succeeds in time.
within() {
	local end=$((SECONDS + $1 * PATIENCE))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || fail "in vain: $*" || return 1
		sleep 0.1
	done
}

# check FUNCTION: runs it in a subshell under set -e. What it printed last is the
# reason if it fails; skip ends it with one.
check() {
	local name=${1//_/ } out=$WORK/log/$1 status start=$EPOCHREALTIME
	[[ $name =~ $ONLY || $1 == setup ]] || return 0
	# Not with "||" behind it, which would turn set -e off.
	(
		set -e
		"$1"
	) >"$out" 2>&1 </dev/null
	status=$?
	local took=$(((${EPOCHREALTIME/./} - ${start/./}) / 100000))
	took="${took%?}.${took: -1}"
	case $status in
	0)
		PASSED=$((PASSED + 1))
		echo "ok $name (${took/#./0.} s)"
		;;
	77)
		SKIPPED=$((SKIPPED + 1))
		echo "ok $name # skip $(tail -n 1 "$out")"
		;;
	*)
		FAILED=$((FAILED + 1))
		echo "not ok $name: exit $status"
		tail -n 8 "$out" | cut -c 1-400 | sed 's/^/  /'
		sweep >/dev/null 2>&1 || true
		;;
	esac
}

# closing: the last line, and the exit status.
closing() {
	echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
	((FAILED == 0 && PASSED > 0))
}

# need COMMAND...: a missing one is a failure that says how to mend it.
need() {
	local command
	for command; do
		command -v "$command" >/dev/null && continue
		echo "not ok: $command is missing: tests/engines/install-deps"
		FAILED=1
	done
	((FAILED == 0)) || { closing; exit; }
}

# ---------------------------------------------------------------- what the page says

# snippet NAME: the block of docs/engines.md behind "<!-- NAME -->", for the runtime
# that is tested.
snippet() {
	local text
	text=$(awk -v name="<!-- $1 -->" '
		$0 == name { here = 1; next }
		here && /^```/ { if (inside) exit; inside = 1; next }
		inside { print }' "$REPO/docs/engines.md")
	[[ $text ]] || { echo "docs/engines.md has no snippet $1" >&2 && exit 1; }
	echo "${text//\/usr\/local\/bin\/oci-mini/$WRAPPER}"
}

# What turns the engines' default profiles off, for a runtime without seccomp filters.
SECCOMP=(--security-opt seccomp=unconfined)
if "$RUNTIME" features | grep -A 1 '"seccomp"' | grep -q '"enabled": true'; then SECCOMP=(); fi

# The runtime as the engine knows it: a script of the same name, with a --root of its
# own where the engine gives none (wrapper ROOT), that notes its calls.
wrapper() {
	WRAPPER=$WORK/bin/oci-mini
	printf '#!/bin/sh\necho "$*" >>%q\nexec %q %s "$@"\n' "$WORK/calls" "$RUNTIME" "${1:+--root $1}" >"$WRAPPER"
	chmod 755 "$WRAPPER"
}

# ---------------------------------------------------------------- images and cgroups

# rootfs DIR: a root file system of busybox with the programs of the checks.
rootfs() {
	local applet
	mkdir -p "$1"/{bin,dev,etc,proc,root,sys,tmp,var}
	cp "$(command -v busybox)" "$1/bin/busybox"
	for applet in $("$1/bin/busybox" --list); do
		[[ -e $1/bin/$applet ]] || ln -s busybox "$1/bin/$applet"
	done
	echo root:x:0:0:root:/root:/bin/sh >"$1/etc/passwd"
	echo web:x:33:33:web:/var:/bin/false >>"$1/etc/passwd"
	printf 'root:x:0:\nweb:x:33:\n' >"$1/etc/group"
	# idle ends on SIGTERM; count writes a number to /tmp/n again and again.
	printf '#!/bin/sh\ntrap "exit 0" TERM\nsleep 1000000 & wait\n' >"$1/bin/idle"
	printf '#!/bin/sh\ntrap "exit 0" TERM\nwhile :; do n=$((n + 1)); echo $n >/tmp/n; sleep 0.1; done\n' >"$1/bin/count"
	chmod 755 "$1/bin/idle" "$1/bin/count"
	echo text >"$1/bin/noexec"
	chmod 1777 "$1/tmp"
}

# limit PID V1CONTROLLER V1FILE V2FILE: a file of the process's cgroup.
limit() {
	if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
		cat "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$1/cgroup")/$4"
	else
		cat "/sys/fs/cgroup/$2$(sed -nE "s/^[0-9]+:([^:]*,)?$2(,[^:]*)?://p" "/proc/$1/cgroup")/$3"
	fi
}

# counts PID: the container's count of /bin/count goes on.
counts() {
	local before
	before=$(cat "/proc/$1/root/tmp/n")
	sleep 0.5
	[[ $(cat "/proc/$1/root/tmp/n") != "$before" ]]
}

# beyond PID NUMBER: the container's count of /bin/count is that far.
beyond() {
	(($(cat "/proc/$1/root/tmp/n") > $2))
}

# need_criu: skips the check where CRIU does not work, with CRIU's own words.
need_criu() {
	((EUID == 0)) || skip 'only root has CRIU'
	command -v criu >/dev/null || skip 'criu is not installed'
	criu check >"$WORK/criu" 2>&1 || true
	grep -q '^Looks good' "$WORK/criu" || skip "criu check: $(head -n 1 "$WORK/criu")"
}

# all_at_once N COMMAND...: COMMAND with 1 to N as its last argument, at once.
all_at_once() {
	local n=$1 i pids=() bad=0
	shift
	for ((i = 1; i <= n; i++)); do
		"$@" "$i" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i" || bad=$((bad + 1)); done
	is "$bad" 0 'failures'
}

# ---------------------------------------------------------------- leaving nothing

# our_processes: who has the mark in the command line or cgroup, but for this script.
our_processes() {
	local pid
	for pid in /proc/[0-9]*; do
		pid=${pid#/proc/}
		if ((pid != $$ && pid != BASHPID)) && { tr '\0' ' ' <"/proc/$pid/cmdline" && cat "/proc/$pid/cgroup"; } 2>/dev/null | grep -qF "$MARK"; then
			echo "$pid"
		fi
	done
}
our_mounts() { awk -v below="$WORK/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo; }
our_cgroups() { find /sys/fs/cgroup -depth -type d -path "*$MARK*" 2>/dev/null; }

# Where cgroup v1 is mounted on a tmpfs, engines make plain directories in it for
# controllers that are not mounted.
ABSENT=()
if [[ ! -e /sys/fs/cgroup/cgroup.controllers ]]; then
	for name in hugetlb net_cls net_prio net_cls,net_prio perf_event rdma misc cpu,cpuacct; do
		[[ -e /sys/fs/cgroup/$name ]] || ABSENT+=("/sys/fs/cgroup/$name")
	done
fi

# forget PID...: ends processes that the script started, and waits for them.
forget() {
	local pid
	for pid; do
		kill -TERM "$pid" 2>/dev/null
		within 10 eval "! kill -0 $pid" || kill -KILL "$pid" 2>/dev/null
	done
}

# shellcheck source=tests/engines/systemd.bash disable=SC1091
if [[ $MANAGER == systemd ]]; then source "$HERE/systemd.bash"; fi

sweep() { :; }  # the script's own: removes all containers
depart() { :; } # the script's own: ends its daemons
# plain DIR: removes what an engine has made, with files, where a hierarchy would be that is not mounted.
plain() { [[ $(stat -f -c %T "$1") == tmpfs ]] && rm -rf --one-file-system "$1"; }
leave() {
	local status=$? item round
	trap - EXIT
	{
		sweep
		depart
		for round in 1 2 3; do
			for item in $(our_processes); do kill -KILL "$item"; done
			for item in $(our_mounts | sort -r); do umount -l "$item"; done
			for item in $(our_cgroups); do rmdir "$item" || plain "$item"; done
			[[ $(our_processes)$(our_mounts) ]] || break
			sleep 0.3
		done
		[[ $MANAGER != systemd ]] || systemd stop "$CGROUP"
		for item in "${ABSENT[@]}"; do
			[[ -d $item ]] && ! mountpoint -q "$item" && find "$item" -depth -type d -path "*$MARK*" -exec rmdir {} + && rmdir "$item"
		done
	} >/dev/null 2>&1
	if [[ ${KEEP:-} ]]; then echo "# kept: $WORK"; else rm -rf --one-file-system "$WORK"; fi
	exit "$status"
}
trap leave EXIT
trap 'exit 130' INT TERM
