# shellcheck shell=bash
# What cri and critest share: containerd with its CRI plugin and Debian's network plugins,
# in namespaces of its own. Networks, mounts, segments of shared memory and processes
# end with them, and /run and /var/lib are empty there. See lib.bash.
#
# shellcheck disable=SC2034,SC2317,SC2329 # variables and functions of the scripts
# shellcheck source=tests/engines/lib.bash

# The tools are built outside, where there may be a network to get them.
if [[ ! ${OCI_MINI_APART:-} ]]; then
	((EUID == 0)) || { echo "${0##*/}: needs root" >&2 && exit 1; }
	OCI_MINI_APART=$(mktemp -d "${TMPDIR:-/tmp}/oci-mini-engine-XXXXXX")
	export OCI_MINI_APART
	if ! (cd "${BASH_SOURCE[0]%/*}/tools" && CGO_ENABLED=0 tools "$OCI_MINI_APART/bin"); then
		rm -rf "$OCI_MINI_APART"
		printf 'not ok: the tools do not build\n0 passed, 1 failed, 0 skipped\n'
		exit 1
	fi
	exec unshare --mount --net --pid --ipc --uts --fork --kill-child --mount-proc "$0" "$@"
fi
# shellcheck disable=SC1091
source "${BASH_SOURCE[0]%/*}/lib.bash"
need containerd containerd-shim-runc-v2 ctr busybox jq ip iptables
PLUGINS=/usr/lib/cni
[[ -x $PLUGINS/bridge ]] || { echo "not ok: no network plugins in $PLUGINS: tests/engines/install-deps" && FAILED=1 && closing || exit 1; }

# A mount of a volume can reach the "host" only if that shares its mounts.
mount --make-rshared /
names=$(cat /etc/resolv.conf 2>/dev/null)
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/lib
[[ -e /etc/resolv.conf ]] || { mkdir -p "$(dirname "$(readlink -m /etc/resolv.conf)")" && echo "${names:-nameserver 127.0.0.1}" >"$(readlink -m /etc/resolv.conf)"; }
ip link set lo up

wrapper ""
export CRI_CONFIG_FILE=$WORK/crictl.yaml
printf 'runtime-endpoint: unix://%s/c.sock\nimage-endpoint: unix://%s/c.sock\ntimeout: 30\n' "$WORK" "$WORK" >"$CRI_CONFIG_FILE"
PAUSE=localhost/pause:latest
mkdir "$WORK/cni"
jq -n --arg state "$WORK/addresses" '{cniVersion: "0.4.0", name: "pods", plugins: [
	{type: "bridge", bridge: "pods0", isGateway: true, ipMasq: true, ipam: {type: "host-local", dataDir: $state,
		ranges: [[{subnet: "10.88.0.0/16"}]], routes: [{dst: "0.0.0.0/0"}]}},
	{type: "portmap", capabilities: {portMappings: true}, snat: true}]}' >"$WORK/cni/pods.conflist"
# Nobody goes below the engine's oom_score_adj without CAP_SYS_RESOURCE.
{
	printf 'root = "%s/root"\nstate = "%s/state"\ndisabled_plugins = ["io.containerd.internal.v1.opt"]\n' "$WORK" "$WORK"
	snippet containerd-cri
	cat <<-CONFIG
		[grpc]
		address = "$WORK/c.sock"
		[ttrpc]
		address = "$WORK/c.sock.ttrpc"
		[plugins."io.containerd.grpc.v1.cri"]
		sandbox_image = "$PAUSE"
		restrict_oom_score_adj = true
		[plugins."io.containerd.grpc.v1.cri".cni]
		bin_dir = "$PLUGINS"
		conf_dir = "$WORK/cni"
	CONFIG
} >"$WORK/config.toml"

crictl() { timeout -k 5 60 "$WORK/bin/crictl" "$@"; }
up() {
	containerd --config "$WORK/config.toml" >>"$WORK/log/containerd" 2>&1 </dev/null &
	echo $! >"$WORK/pid"
	disown
	within 30 ready || { tail -n 5 "$WORK/log/containerd" && return 1; }
}
ready() { [[ $(crictl info | jq -c '[.status.conditions[].status]') == '[true,true]' ]]; }

# image NAME [CONFIG]: the root file system in $WORK/rootfs becomes an image of containerd's
# CRI; CONFIG is JSON for the image's own config.
image() {
	"$HERE/image" "$WORK/rootfs" "$1" "$WORK/image.tar" "${2:-}"
	ctr --address "$WORK/c.sock" --namespace k8s.io image import "$WORK/image.tar"
	within 10 crictl inspecti "$1"
}

# Pods without a cgroup parent go below these.
pod_parents() { find /sys/fs/cgroup -maxdepth 3 -depth -type d \( -path '*/k8s.io*' -o -path '*/system.slice*' \) 2>/dev/null | sort -r; }
BEFORE=$(pod_parents)
pod_cgroups() { pod_parents | grep -vxF -e "$BEFORE"; }
sweep() {
	crictl rmp --force --all
}
depart() {
	forget "$(<"$WORK/pid")"
	local item
	for item in $(our_processes); do kill -KILL "$item"; done
	for item in $(pod_cgroups); do rmdir "$item"; done
}
