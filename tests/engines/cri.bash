# shellcheck shell=bash
# What cri and critest share: containerd with its CRI plugin, Debian's or, to try another, that
# of the directory $CONTAINERD (containerd, its shim and ctr). See kube.bash.
#
# shellcheck disable=SC2034,SC2317,SC2329 # variables and functions of the scripts
# shellcheck source=tests/engines/kube.bash disable=SC1091
source "${BASH_SOURCE[0]%/*}/kube.bash"
PATH=${CONTAINERD:+$CONTAINERD:}$PATH
need containerd containerd-shim-runc-v2 ctr runc
# containerd 2 has other tables: the suffix of the blocks in docs/engines.md, and what else it is told.
if [[ $(containerd --version) == *' '1.* ]]; then
	TABLES='' PLUGIN=io.containerd.grpc.v1.cri PAUSE_IMAGE="sandbox_image = \"$PAUSE\"" NETWORK="bin_dir = \"$PLUGINS\""
else
	TABLES=-2 PLUGIN=io.containerd.cri.v1.runtime PAUSE_IMAGE="" NETWORK="bin_dirs = [\"$PLUGINS\"]"
fi

# Nobody goes below the engine's oom_score_adj without CAP_SYS_RESOURCE.
{
	printf 'root = "%s/root"\nstate = "%s/state"\ndisabled_plugins = ["io.containerd.internal.v1.opt"]\n' "$WORK" "$WORK"
	snippet "containerd-cri$TABLES"
	[[ $MANAGER != systemd ]] || snippet containerd-cri-systemd
	[[ $PAUSE_IMAGE ]] || printf '[plugins."io.containerd.cri.v1.images".pinned_images]\nsandbox = "%s"\n' "$PAUSE"
	cat <<-CONFIG
		[grpc]
		address = "$WORK/c.sock"
		[ttrpc]
		address = "$WORK/c.sock.ttrpc"
		[plugins."$PLUGIN"]
		restrict_oom_score_adj = true
		$PAUSE_IMAGE
		[plugins."$PLUGIN".cni]
		$NETWORK
		conf_dir = "$WORK/cni"
	CONFIG
} >"$WORK/config.toml"

up() {
	containerd --config "$WORK/config.toml" >>"$WORK/log/containerd" 2>&1 </dev/null &
	echo $! >"$WORK/pid"
	disown
	within 30 ready || { tail -n 5 "$WORK/log/containerd" && return 1; }
}

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
depart() {
	forget "$(<"$WORK/pid")"
	local item
	for item in $(our_processes); do kill -KILL "$item"; done
	for item in $(pod_cgroups); do rmdir "$item"; done
}
