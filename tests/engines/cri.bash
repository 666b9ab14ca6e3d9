# shellcheck shell=bash
# What cri and critest share: containerd with its CRI plugin and Debian's network plugins. See
# apart.bash and lib.bash.
#
# shellcheck disable=SC2034,SC2317,SC2329 # variables and functions of the scripts
# shellcheck source=tests/engines/apart.bash disable=SC1091
source "${BASH_SOURCE[0]%/*}/apart.bash"
need containerd containerd-shim-runc-v2 ctr busybox jq ip iptables runc
PLUGINS=/usr/lib/cni
[[ -x $PLUGINS/bridge ]] || { echo "not ok: no network plugins in $PLUGINS: tests/engines/install-deps" && FAILED=1 && closing || exit 1; }

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
