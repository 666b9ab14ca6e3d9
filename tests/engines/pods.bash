# shellcheck shell=bash
# The checks of pods that cri and crio share, driven by crictl as the kubelet would. A script
# has its engine's functions up, image, cgroup_name (of a container), and left_of_pods (cgroups and mounts), and the
# variables STATE (the runtime's --root), REFUSED (whether it is create or start that says that a
# program cannot run), CAPABILITIES (of a container that asks for none), HOST (the address
# of the host's ports) and, where it is not the container's own, ENDED_UNSEEN (the exit status of
# one that ended while the engine was down).
#
# shellcheck disable=SC2016,SC2154,SC2317,SC2329 # programs of containers; check calls the functions by name
BB=localhost/bb:latest

# pod NAME [JQ [OPTION...]]: runs a pod of that name; JQ changes its config.
pod() {
	mkdir -p "$WORK/pods/$1"
	jq -n --arg name "$1" --arg parent "$CGROUP" --arg logs "$WORK/pods/$1" '{
		metadata: {name: $name, uid: $name, namespace: "tests", attempt: 0}, log_directory: $logs,
		linux: {cgroup_parent: $parent}} | '"${2:-.}" >"$WORK/pods/$1/pod.json"
	crictl runp "${@:3}" "$WORK/pods/$1/pod.json" >"$WORK/pods/$1/id"
}
# create POD NAME [JQ] [ARG...]: makes a container in a pod, without starting it.
create() {
	local dir=$WORK/pods/$1
	mkdir -p "$dir/$2"
	jq -n --arg name "$2" --arg image "$BB" '{metadata: {name: $name, attempt: 0}, image: {image: $image},
		log_path: "\($name).log", command: $ARGS.positional, linux: {}} | '"${3:-.}" --args -- "${@:4}" >"$dir/$2/config.json"
	crictl create "$(<"$dir/id")" "$dir/$2/config.json" "$dir/pod.json" >"$dir/$2/id"
}
# start POD NAME [JQ] [ARG...]: makes and starts it.
start() { create "$@" && crictl start "$(id "$1" "$2")"; }
# says POD NAME [JQ] [ARG...]: starts it, waits for its end, and prints what it printed.
says() {
	start "$@" >/dev/null
	within 20 state_is "$1" "$2" CONTAINER_EXITED
	crictl logs "$(id "$1" "$2")"
	remove "$1" "$2"
}
id() { cat "$WORK/pods/$1${2:+/$2}/id"; }
get() { crictl inspect "$(id "$1" "$2")" | jq -r "$3"; }
state_is() { [[ $(get "$1" "$2" .status.state) == "$3" ]]; }
pid() { get "$1" "$2" .info.pid; }
pod_pid() { crictl inspectp "$(id "$1")" | jq -r .info.pid; }
within_it() { crictl exec --sync "$(id "$1" "$2")" "${@:3}"; }
remove() { crictl rm --force "$(id "$1" "$2")" >/dev/null; }
remove_pod() { crictl rmp --force "$(id "$1")" >/dev/null; }
logged() { grep -q -- "$3" "$WORK/pods/$1/$2.log"; }
listed() { "$WRAPPER" --root "$STATE" list --quiet; }

life_of_a_pod() {
	pod life
	is "$(crictl inspectp "$(id life)" | jq -r .status.state)" SANDBOX_READY
	create life one . sh -c 'trap "exit 7" TERM; echo up; while :; do sleep 0.1; done'
	state_is life one CONTAINER_CREATED
	crictl start "$(id life one)"
	within 10 logged life one up
	state_is life one CONTAINER_RUNNING
	is "$(listed | sort)" "$(sort "$WORK"/pods/life/id "$WORK"/pods/life/one/id)"
	has "$(cat "/proc/$(pid life one)/cgroup")" "$CGROUP/$(cgroup_name "$(id life one)")"
	crictl stop --timeout 10 "$(id life one)"
	is "$(get life one '"\(.status.state) \(.status.exitCode) \(.status.reason)"')" 'CONTAINER_EXITED 7 Error'
	crictl rm "$(id life one)"
	is "$(listed)" "$(id life)"
	crictl stopp "$(id life)"
	crictl rmp "$(id life)"
	is "$(listed)" ''
	has "$(<"$WORK/calls")" ' create --bundle'
}
a_runtime_class_by_its_handler() {
	local handler
	handler=$(snippet runtimeclass | sed -n 's/^handler: //p')
	pod named . --runtime "$handler"
	is "$(crictl inspectp "$(id named)" | jq -r '.status.runtimeHandler // .info.runtimeHandler // .info.runtimeSpec.annotations["io.kubernetes.cri-o.RuntimeHandler"]')" "$handler"
	remove_pod named
	has "$(refused pod other . --runtime no-such-handler 2>&1)" 'no-such-handler'
}
output_and_logs() {
	pod log
	is "$(says log both . sh -c 'echo out; echo err >&2' 2>"$WORK/err")" out
	is "$(<"$WORK/err")" err
	is "$(says log env '.envs = [{key: "A", value: "b c"}] | .working_dir = "/var"' sh -c 'echo "$A $PWD"')" 'b c /var'
	is "$(says log big . sh -c 'head -c 300000 /dev/zero | tr "\0" x; echo' | tr -d '\n' | wc -c)" 300000
	start log end . sh -c 'exit 42'
	within 10 state_is log end CONTAINER_EXITED
	is "$(get log end .status.exitCode)" 42
	remove_pod log
}
what_cannot_start() {
	pod bad
	has "$(refused start bad missing . /no/such/program 2>&1)" 'no such file or directory'
	case $REFUSED in
	start) is "$(get bad missing '"\(.status.state) \(.status.exitCode)"')" 'CONTAINER_EXITED 128' ;;
	create) is "$(crictl ps --all --quiet)" '' ;;
	esac
	has "$(refused start bad path . nosuchprogram 2>&1)" 'executable file not found'
	has "$(refused start bad text . /bin/noexec 2>&1)" 'permission denied'
	remove_pod bad
}
exec_in_a_container() {
	pod exec
	start exec one . idle
	is "$(within_it exec one echo in it)" 'in it'
	has "$(refused within_it exec one sh -c 'exit 33' 2>&1)" 'exited with 33'
	has "$(refused within_it exec one /no/such/program 2>&1)" 'no such file or directory'
	local id
	id=$(id exec one)
	is "$(echo abc | crictl exec --interactive "$id" cat)" abc
	exits 1 crictl exec "$id" sh -c 'exit 5' 2>"$WORK/err"
	has "$(<"$WORK/err")" 'exit code 5'
	has "$(timeout 60 script -qefc "$WORK/bin/crictl exec -it $id sh -c 'tty; sleep 0.5'" /dev/null </dev/null)" /dev/pts/
	refused crictl exec --sync --timeout 1 "$id" sleep 60
	within 5 eval "! crictl exec --sync $id pidof -o 1 sleep 60"
	numbered() { is "$(within_it exec one echo "$1")" "$1"; }
	all_at_once 8 numbered
	remove_pod exec
}
attach_to_a_container() {
	pod att
	start att one '.stdin = true | .stdin_once = true' sh -c 'read x; echo "read $x"'
	is "$(echo line | crictl attach --stdin "$(id att one)")" 'read line'
	within 10 state_is att one CONTAINER_EXITED
	remove_pod att
}
stop_kills_who_does_not_listen() {
	pod deaf
	start deaf one . sh -c 'trap "" TERM; echo up; while :; do sleep 0.1; done'
	within 10 logged deaf one up
	crictl stop --timeout 1 "$(id deaf one)"
	is "$(get deaf one '"\(.status.state) \(.status.exitCode)"')" 'CONTAINER_EXITED 137'
	remove_pod deaf
}
stats() {
	pod stats
	start stats one . count
	within 10 test -s "/proc/$(pid stats one)/root/tmp/n"
	like "$(crictl stats --output json | jq -r '.stats[0] | "\(.cpu.usageCoreNanoSeconds.value) \(.memory.workingSetBytes.value)"')" '^[1-9][0-9]* [1-9][0-9]*$'
	like "$(crictl statsp --output json | jq -r '.stats[0].linux | (.process.processCount // .containers[0].memory.workingSetBytes).value')" '^[1-9]'
	remove_pod stats
}
limits_and_updates() {
	pod lim
	start lim one '.linux.resources = {memory_limit_in_bytes: 67108864, cpu_period: 100000, cpu_quota: 50000,
		cpu_shares: 512, cpuset_cpus: "0", oom_score_adj: 500}' idle
	local pid
	pid=$(pid lim one)
	is "$(limit "$pid" memory memory.limit_in_bytes memory.max)" 67108864
	like "$(limit "$pid" cpu cpu.cfs_quota_us cpu.max)" ^50000
	is "$(limit "$pid" cpuset cpuset.cpus cpuset.cpus)" 0
	is "$(cat "/proc/$pid/oom_score_adj")" 500
	crictl update --memory 100663296 --cpu-quota 25000 "$(id lim one)"
	is "$(limit "$pid" memory memory.limit_in_bytes memory.max)" 100663296
	like "$(limit "$pid" cpu cpu.cfs_quota_us cpu.max)" ^25000
	remove_pod lim
}
out_of_memory() {
	pod oom
	start oom one '.linux.resources = {memory_limit_in_bytes: 25165824, memory_swap_limit_in_bytes: 25165824}' \
		dd if=/dev/zero of=/dev/null bs=200M count=1
	within 15 state_is oom one CONTAINER_EXITED
	is "$(get oom one '"\(.status.exitCode) \(.status.reason)"')" '137 OOMKilled'
	remove_pod oom
}
users_and_groups() {
	pod user
	security() { says user "$1" ".linux.security_context = {$2}" "${@:3}"; }
	is "$(security number 'run_as_user: {value: 1000}, run_as_group: {value: 1002}, supplemental_groups: [77]' sh -c 'id -u; id -g; id -G' | xargs)" \
		'1000 1002 1002 77'
	is "$(security name 'run_as_username: "web"' id -u)" 33
	start user one '.linux.security_context = {run_as_user: {value: 1000}}' idle
	is "$(within_it user one id -u)" 1000
	remove_pod user
}
capabilities() {
	pod caps
	held() { says caps "$1" ".linux.security_context = {$2}" awk '/^Cap(Eff|Bnd|Amb)/ { print $2 }' /proc/self/status | xargs; }
	local none=0000000000000000 all
	all=$(awk '/CapBnd/ { print $2 }' /proc/self/status)
	is "$(held none 'capabilities: {drop_capabilities: ["ALL"]}')" "$none $none $none"
	is "$(held one 'capabilities: {drop_capabilities: ["ALL"], add_capabilities: ["NET_RAW"]}')" \
		"0000000000002000 0000000000002000 $none"
	is "$(held every 'capabilities: {add_capabilities: ["ALL"]}')" "$all $all $none"
	is "$(held user 'run_as_user: {value: 1000}')" "$none $CAPABILITIES $none"
	remove_pod caps
}
no_new_privileges_and_a_read_only_root() {
	pod ro
	has "$(says ro nnp '.linux.security_context = {no_new_privs: true}' grep NoNewPrivs /proc/self/status)" 1
	is "$(says ro root '.linux.security_context = {readonly_rootfs: true}' sh -c 'touch /x 2>/dev/null || echo ro')" ro
	remove_pod ro
}
seccomp() {
	((${#SECCOMP[@]} == 0)) || skip 'the runtime has no seccomp filters'
	pod filter
	filtered() { says filter "$1" ".linux.security_context = {seccomp: {$2}}" sh -c 'awk "/Seccomp:/ { print \$2 }" /proc/self/status; mkdir /x && echo made' 2>/dev/null | xargs; }
	is "$(filtered default 'profile_type: 0')" '2 made'
	is "$(filtered free 'profile_type: 1')" '0 made'
	echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}' >"$WORK/profile.json"
	is "$(filtered ours "profile_type: 2, localhost_ref: \"$WORK/profile.json\"")" 2
	has "$(refused start filter none ".linux.security_context = {seccomp: {profile_type: 2, localhost_ref: \"$WORK/none.json\"}}" idle 2>&1)" none.json
	remove_pod filter
}
masked_and_read_only_paths() {
	pod masks
	is "$(says masks masked '.linux.security_context = {masked_paths: ["/proc/kcore", "/proc/acpi", "/etc"]}' \
		sh -c 'head -c 1 /proc/kcore | wc -c; ls /etc | wc -l' | xargs)" '0 0'
	is "$(says masks readonly '.linux.security_context = {readonly_paths: ["/proc/sys", "/tmp"]}' \
		sh -c 'touch /tmp/x 2>/dev/null || echo ro; echo 1 2>/dev/null >/proc/sys/vm/swappiness || echo ro' | xargs)" 'ro ro'
	remove_pod masks
}
privileged() {
	pod priv '.linux.security_context = {privileged: true}'
	is "$(says priv one '.linux.security_context = {privileged: true}' sh -c '
		mkdir /m && mount -t tmpfs x /m && awk "/CapEff/ { print \$2 }" /proc/self/status
		test -w /proc/sys/kernel/hostname && test -w /sys/fs/cgroup && ls /dev/null && awk "/Seccomp:/ { print \$2 }" /proc/self/status' | xargs)" \
		"$(awk '/CapEff/ { print $2 }' /proc/self/status) /dev/null 0"
	remove_pod priv
	pod plain
	has "$(refused start plain one '.linux.security_context = {privileged: true}' idle 2>&1)" privileged
	remove_pod plain
}
namespaces_of_a_pod() {
	pod shared '.linux.security_context = {namespace_options: {pid: 0}}'
	start shared one '.linux.security_context = {namespace_options: {pid: 0}}' idle
	start shared two '.linux.security_context = {namespace_options: {pid: 0}}' idle
	local kind
	for kind in pid ipc net uts; do
		is "$(within_it shared one readlink "/proc/self/ns/$kind")" "$(readlink "/proc/$(pod_pid shared)/ns/$kind")" "$kind"
	done
	isnt "$(readlink "/proc/$(pid shared one)/ns/mnt")" "$(readlink "/proc/$(pid shared two)/ns/mnt")"
	has "$(within_it shared one ps)" idle
	# The other one's processes end with it, and the pod's stay.
	within_it shared two sh -c 'sleep 1234 >/dev/null 2>&1 &'
	crictl stop --timeout 0 "$(id shared two)"
	within 5 eval '! within_it shared one pgrep -f "sleep 1234"'
	is "$(within_it shared one echo still)" still
	remove_pod shared
	pod own '.hostname = "boxed"'
	start own one '.linux.security_context = {namespace_options: {pid: 1}}' idle
	is "$(within_it own one hostname)" boxed
	isnt "$(readlink "/proc/$(pid own one)/ns/pid")" "$(readlink "/proc/$(pod_pid own)/ns/pid")"
	within_it own one sh -c 'echo shared >/dev/shm/x'
	start own two '.linux.security_context = {namespace_options: {pid: 1}}' idle
	is "$(within_it own two cat /dev/shm/x)" shared
	remove_pod own
}
namespaces_of_the_host() {
	pod host '.linux.security_context = {namespace_options: {network: 2, pid: 2, ipc: 2}}'
	start host one '.linux.security_context = {namespace_options: {network: 2, pid: 2, ipc: 2}}' sh -c 'sleep 1000 & sleep 1001 & wait'
	local kind pid child
	for kind in net pid ipc; do
		is "$(within_it host one readlink "/proc/self/ns/$kind")" "$(readlink "/proc/self/ns/$kind")" "$kind"
	done
	pid=$(pid host one)
	within 5 pgrep -P "$pid"
	child=$(pgrep -P "$pid" | head -n 1)
	crictl stop --timeout 0 "$(id host one)"
	within 5 eval "! kill -0 $child"
	remove_pod host
}
a_target_for_the_pid_namespace() {
	pod debug
	start debug one '.linux.security_context = {namespace_options: {pid: 1}}' idle
	start debug two '.linux.security_context = {namespace_options: {pid: 3, target_id: "'"$(id debug one)"'"}}' idle
	is "$(readlink "/proc/$(pid debug two)/ns/pid")" "$(readlink "/proc/$(pid debug one)/ns/pid")"
	remove_pod debug
}
sysctls() {
	pod sys '.linux.sysctls = {"net.ipv4.ip_default_ttl": "33", "kernel.shm_rmid_forced": "1"}'
	is "$(says sys one . cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/shm_rmid_forced | xargs)" '33 1'
	remove_pod sys
	has "$(refused pod bad '.linux.sysctls = {"net.no.such": "1"}' 2>&1)" net
}
addresses_ports_and_names() {
	pod net '.port_mappings = [{protocol: 0, container_port: 80, host_port: 12080}]
		| .dns_config = {servers: ["10.10.10.10"], searches: ["example.test"], options: ["ndots:8"]}'
	start net web . sh -c 'mkdir /www && echo served >/www/index.html && exec httpd -f -p 80 -h /www'
	local address
	address=$(crictl inspectp "$(id net)" | jq -r .status.network.ip)
	like "$address" '^10\.88\.'
	fetched() { [[ $(busybox wget -q -O - "http://$1/") == served ]]; }
	within 10 fetched "$address:80"
	within 10 fetched "$HOST:12080"
	is "$(within_it net web cat /etc/resolv.conf)" $'search example.test\nnameserver 10.10.10.10\noptions ndots:8'
	timeout 30 "$WORK/bin/crictl" port-forward "$(id net)" 12081:80 >/dev/null 2>&1 &
	local forwarder=$!
	within 10 fetched 127.0.0.1:12081
	kill "$forwarder"
	pod peer
	is "$(says peer one . wget -q -O - "http://$address/")" served
	remove_pod peer
	remove_pod net
}
mounts_and_devices() {
	mkdir "$WORK/shared" && echo host >"$WORK/shared/f"
	pod vol
	is "$(says vol ro ".mounts = [{container_path: \"/d\", host_path: \"$WORK/shared\", readonly: true}]" \
		sh -c 'cat /d/f; touch /d/g 2>/dev/null || echo ro' | xargs)" 'host ro'
	says vol rw ".mounts = [{container_path: \"/d/e\", host_path: \"$WORK/shared\"}]" touch /d/e/made
	[[ -e $WORK/shared/made ]]
	is "$(says vol file ".mounts = [{container_path: \"/etc/f\", host_path: \"$WORK/shared/f\"}]" cat /etc/f)" host
	local spare
	for spare in /dev/loop-control /dev/fuse /dev/net/tun; do [[ ! -c $spare ]] || break; done
	[[ ! -c $spare ]] ||
		is "$(says vol dev ".devices = [{container_path: \"/dev/mine\", host_path: \"$spare\", permissions: \"r\"}]" \
			sh -c 'true </dev/mine && { true 2>/dev/null >/dev/mine || echo r; }')" r
	remove_pod vol
}
propagation_of_mounts() {
	local kind spread
	pod prop '.linux.security_context = {privileged: true}'
	mkdir "$WORK/outer"
	mount -t tmpfs tmpfs "$WORK/outer"
	mkdir "$WORK/outer"/{in,out}
	for kind in 0 1 2; do
		start prop "k$kind" ".mounts = [{container_path: \"/o\", host_path: \"$WORK/outer\", propagation: $kind}]
			| .linux.security_context = {privileged: true}" idle
		mount -t tmpfs tmpfs "$WORK/outer/in" && touch "$WORK/outer/in/seen"
		within_it prop "k$kind" sh -c 'mount -t tmpfs tmpfs /o/out && touch /o/out/seen'
		spread=$(within_it prop "k$kind" sh -c '[ ! -e /o/in/seen ] || echo in')
		[[ ! -e $WORK/outer/out/seen ]] || spread+=' out'
		case $kind in
		0) is "$spread" '' private ;;
		1) is "$spread" in 'host to container' ;;
		2) is "$spread" 'in out' bidirectional ;;
		esac
		umount "$WORK/outer/in"
		remove prop "k$kind"
		[[ $kind != 2 ]] || umount "$WORK/outer/out"
	done
	umount "$WORK/outer"
	remove_pod prop
}
the_engine_restarts_under_pods() {
	pod stays
	start stays counts . count
	start stays waits . sh -c 'until test -e /tmp/go; do sleep 0.1; done; exit 23'
	local pid
	pid=$(pid stays counts)
	forget "$(<"$WORK/pid")"
	counts "$pid"
	up
	is "$(pid stays counts)" "$pid"
	is "$(within_it stays counts echo back)" back
	within_it stays waits touch /tmp/go
	within 10 state_is stays waits CONTAINER_EXITED
	is "$(get stays waits .status.exitCode)" 23
	start stays more . idle
	remove_pod stays
}
the_engine_is_killed() {
	pod ends
	start ends one . sh -c 'until test -e /tmp/go; do sleep 0.1; done; exit 24'
	local pid
	pid=$(pid ends one)
	kill -KILL "$(<"$WORK/pid")"
	touch "/proc/$pid/root/tmp/go"
	within 10 eval "! kill -0 $pid"
	up
	within 10 state_is ends one CONTAINER_EXITED
	is "$(get ends one .status.exitCode)" "${ENDED_UNSEEN:-24}"
	remove_pod ends
}
killed_from_outside() {
	pod out
	start out one . idle
	kill -KILL "$(pid out one)"
	within 10 state_is out one CONTAINER_EXITED
	is "$(get out one .status.exitCode)" 137
	kill -KILL "$(pod_pid out)"
	notready() { [[ $(crictl inspectp "$(id out)" | jq -r .status.state) == SANDBOX_NOTREADY ]]; }
	within 10 notready
	remove_pod out
}
parallel_pods() {
	whole() { pod "p$1" && start "p$1" one . idle && within_it "p$1" one true; }
	all_at_once 8 whole
	is "$(listed | wc -l)" 16
	crictl rmp --force --all >/dev/null
}
nothing_is_left() {
	sweep >/dev/null
	is "$(crictl pods --quiet)$(crictl ps --all --quiet)" ''
	alone() { [[ $(our_processes) == $(<"$WORK/pid") ]]; }
	within 10 alone
	is "$(listed)" '' state
	is "$(left_of_pods)" '' 'cgroups and mounts'
	[[ $MANAGER != systemd ]] || is "$(units_left)" '' units
	is "$(ls /run/netns)" '' 'network namespaces'
}
