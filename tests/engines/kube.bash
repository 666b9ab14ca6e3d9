# shellcheck shell=bash
# What all engines that speak the CRI are given: crictl, and Debian's network plugins with one
# network for pods. See apart.bash and lib.bash. The engine's socket is $WORK/c.sock.
#
# shellcheck disable=SC2034,SC2317,SC2329 # variables and functions of the scripts
# shellcheck source=tests/engines/apart.bash disable=SC1091
source "${BASH_SOURCE[0]%/*}/apart.bash"
need busybox jq ip iptables
PLUGINS=/usr/lib/cni
[[ -x $PLUGINS/bridge ]] || { echo "not ok: no network plugins in $PLUGINS: tests/engines/install-deps" && FAILED=1 && closing || exit 1; }

wrapper ""
export CRI_CONFIG_FILE=$WORK/crictl.yaml
printf 'runtime-endpoint: unix://%s/c.sock\nimage-endpoint: unix://%s/c.sock\ntimeout: %s\n' "$WORK" "$WORK" $((30 * PATIENCE)) >"$CRI_CONFIG_FILE"
PAUSE=localhost/pause:latest
mkdir "$WORK/cni"
jq -n --arg state "$WORK/addresses" '{cniVersion: "0.4.0", name: "pods", plugins: [
	{type: "bridge", bridge: "pods0", isGateway: true, ipMasq: true, ipam: {type: "host-local", dataDir: $state,
		ranges: [[{subnet: "10.88.0.0/16"}]], routes: [{dst: "0.0.0.0/0"}]}},
	{type: "portmap", capabilities: {portMappings: true}, snat: true}]}' >"$WORK/cni/pods.conflist"

crictl() { timeout -k 5 $((60 * PATIENCE)) "$WORK/bin/crictl" "$@"; }
ready() { [[ $(crictl info | jq -c '[.status.conditions[] | select(.type | IN("RuntimeReady", "NetworkReady")).status]') == '[true,true]' ]]; }
sweep() {
	crictl rmp --force --all
}
