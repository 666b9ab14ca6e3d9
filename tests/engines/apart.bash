# shellcheck shell=bash
# For scripts that run in namespaces of their own: the engine's networks, mounts, segments of
# shared memory and processes end with it, and /run and /var/lib are empty. Only systemd, whom
# the engine tells process ids, must know the same processes.
#
# Such a script has a function tools DIR before, which builds what is not in Debian's packages. It
# runs outside, in the directory tools, where there may be a network to get it from; with
# --build [DIR] as its arguments a script does nothing else, and leaves what it built in DIR, and in
# Go's cache. TOOLS=DIR takes what is there instead.
#
# shellcheck disable=SC2034 # variables of the scripts
if [[ ! ${OCI_MINI_APART:-} ]]; then
	[[ ${1:-} == --build ]] || ((EUID == 0)) || { echo "${0##*/}: needs root" >&2 && exit 1; }
	OCI_MINI_APART=$(mktemp -d "${TMPDIR:-/tmp}/oci_mini_engine_XXXXXX")
	export OCI_MINI_APART
	mkdir "$OCI_MINI_APART/bin"
	if [[ ${TOOLS:-} ]]; then
		cp "$TOOLS"/* "$OCI_MINI_APART/bin/"
	elif ! (cd "${BASH_SOURCE[0]%/*}/tools" && CGO_ENABLED=0 tools "$OCI_MINI_APART/bin"); then
		rm -rf "$OCI_MINI_APART"
		printf 'not ok: the tools do not build\n0 passed, 1 failed, 0 skipped\n'
		exit 1
	fi
	if [[ ${1:-} == --build ]]; then
		[[ ! ${2:-} ]] || cp -P "$OCI_MINI_APART/bin"/* "$2/"
		rm -rf "$OCI_MINI_APART"
		exit
	fi
	namespaces=(--mount --net --ipc --uts)
	[[ -d /run/systemd/system ]] || namespaces+=(--pid --fork --kill-child --mount-proc)
	exec unshare "${namespaces[@]}" "$0" "$@"
fi
# shellcheck disable=SC1091
source "${BASH_SOURCE[0]%/*}/lib.bash"
(($$ == 1)) || [[ $MANAGER == systemd ]] || { echo "${0##*/}: OCI_MINI_APART is for inner use" >&2 && exit 1; }

# A mount of a volume can reach the "host" only if that shares its mounts.
mount --make-rshared /
# It may be a link into /run.
names=$(cat /etc/resolv.conf 2>/dev/null)
# The host's is kept aside, private: what is mounted over /run would be mounted over it as well.
[[ $MANAGER != systemd ]] || { mkdir "$WORK/run" && mount --rbind /run "$WORK/run" && mount --make-rprivate "$WORK/run"; }
mount -t tmpfs -o mode=755 tmpfs /run
if [[ $MANAGER == systemd ]]; then
	mkdir /run/systemd /run/dbus
	for name in /run/systemd /run/dbus; do mount --rbind "$WORK$name" "$name"; done
	umount -l "$WORK/run"
fi
mount -t tmpfs -o mode=755 tmpfs /var/lib
[[ -e /etc/resolv.conf ]] || { mkdir -p "$(dirname "$(readlink -m /etc/resolv.conf)")" && echo "${names:-nameserver 127.0.0.1}" >"$(readlink -m /etc/resolv.conf)"; }
ip link set lo up
