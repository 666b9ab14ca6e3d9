#!/usr/bin/env bats
# What a container of a user without privileges can have beside ids and cgroups: each
# works, or the error says what the host wants for it.
# shellcheck disable=SC2016 # for the inner shells
# shellcheck disable=SC2034,SC2154 # STATUS, OUT, ERR and what setup makes are of helpers.bash

load helpers
load rootless

setup() { user_setup; }
teardown() { user_teardown; }

# own_root: a root file system of the user's.
own_root() {
	cp -a "$SHARED/rootfs" "$BUNDLE/rootfs"
	chown -R 2001:2001 "$BUNDLE/rootfs"
	chmod 711 "$OCI_TEST_TMP" "$T" "$BUNDLE"
	config '.root = {path: "rootfs"}'
}

@test "rootless: tmpcopyup copies what is the user's, and names what is not" {
	own_root
	mkdir -m 750 "$BUNDLE/rootfs/etc/sub"
	echo text >"$BUNDLE/rootfs/etc/sub/file"
	chmod 640 "$BUNDLE/rootfs/etc/sub/file"
	chown -R 2001:2001 "$BUNDLE/rootfs/etc"
	mount_add /etc tmpfs tmpfs tmpcopyup
	mount_add /mnt tmpfs tmpfs tmpcopyup ro mode=700
	args sh -c 'stat -c "%a %u:%g" /etc /etc/sub /etc/sub/file /mnt /mnt/full; cat /etc/sub/file; rm /etc/sub/file && touch /etc/made; touch /mnt/x 2>&1; stat -fc %T /etc'
	user_ok run --bundle "$BUNDLE" "$ID"
	is "$OUT" $'755 0:0\n750 0:0\n640 0:0\n700 0:0\n755 0:0\ntext\ntouch: /mnt/x: Read-only file system\ntmpfs'
	[[ -e $BUNDLE/rootfs/etc/sub/file && ! -e $BUNDLE/rootfs/etc/made ]]
	user_ok create --bundle "$BUNDLE" "$ID"
	user_ok delete --force "$ID"
	chown 2001:0 "$BUNDLE/rootfs/etc/sub/file"
	user_refused '/mounts/7 (tmpfs on /etc): copy of /etc: fchown sub/file: operation not permitted (EPERM)' run --bundle "$BUNDLE" "$ID"
	has "$ERR" 'hint: the copy keeps the owners'
	is "$(ls "$T/xdg/oci-mini")" ''
}

@test "rootless: tmpcopyup in a container that joins a pid namespace" {
	own_root
	args sleep 100
	user_ok run --detach --bundle "$BUNDLE" "$ID"
	mkdir "$BUNDLE/rootfs/one" "$BUNDLE/rootfs/two"
	echo 1 >"$BUNDLE/rootfs/one/file"
	echo 2 >"$BUNDLE/rootfs/two/file"
	chown -R 2001:2001 "$BUNDLE/rootfs"/{one,two}
	mount_add /one tmpfs tmpfs tmpcopyup
	mount_add /none tmpfs tmpfs tmpcopyup
	mount_add /two tmpfs tmpfs tmpcopyup
	joins_first
	args sh -c 'cat /one/file /two/file; ls /none; stat -fc %T /one /none /two; cat /proc/1/comm'
	user_ok run --bundle "$BUNDLE" "$ID.b"
	is "$OUT" $'1\n2\ntmpfs\ntmpfs\ntmpfs\nsleep'
	user_ok delete --force "$ID"
}

@test "rootless: --overlay, thrown away and kept" {
	own_root
	mkdir "$BUNDLE/rootfs/opt" "$BUNDLE/rootfs/opt/sub"
	: >"$BUNDLE/rootfs/opt/sub/file"
	chown -R 2001:2001 "$BUNDLE/rootfs/opt"
	find "$BUNDLE/rootfs" -printf '%P %y %M %s %l %T@\n' >"$T/lower"
	args sh -c 'cat /root/kept 2>/dev/null; echo new >>/root/kept; rm -r /opt/sub && mkdir /opt/sub && ls /opt/sub; rm -f /bin/vi; mv /etc/passwd /etc/moved && stat -c %u /etc/moved; grep " / " /proc/mounts'
	user_ok run --overlay --bundle "$BUNDLE" "$ID"
	like "$OUT" $'^0\noverlay / overlay '
	args sh -c 'cat /root/kept 2>/dev/null; echo new >>/root/kept; rm -rf /opt/sub && mkdir -p /opt/sub && ls /opt/sub'
	user_ok run --overlay="$T/xdg/layer" --bundle "$BUNDLE" "$ID"
	is "$OUT" ''
	user_ok run --overlay="$T/xdg/layer" --bundle "$BUNDLE" "$ID"
	is "$OUT" new
	is "$(stat -c %u "$T/xdg/layer/upper/root/kept")" 2001
	find "$BUNDLE/rootfs" -printf '%P %y %M %s %l %T@\n' | diff "$T/lower" - || fail 'the lower directory has changed'
	user_ok create --overlay --bundle "$BUNDLE" "$ID"
	user_ok exec "$ID" sh -c 'echo x >/root/new'
	user_ok delete --force "$ID"
}

@test "rootless: seccomp, with noNewPrivileges and without, and an agent" {
	config '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 7}]}'
	args sh -c 'mkdir /tmp/x 2>&1; grep Seccomp: /proc/self/status'
	local privileges
	for privileges in true false; do
		config '.process.noNewPrivileges = $p' --argjson p "$privileges"
		user_ok run --bundle "$BUNDLE" "$ID"
		is "$(tr '\t' ' ' <<<"$OUT")" $'mkdir: can\'t create directory \'/tmp/x\': Argument list too long\nSeccomp: 2'
	done
	user_agent nospace
	config '.linux.seccomp.syscalls[0] = {names: ["mkdir", "mkdirat"], action: "SCMP_ACT_NOTIFY"} | .linux.seccomp.listenerPath = $p' --arg p "$T/xdg/agent.sock"
	args mkdir /tmp/x
	for privileges in true false; do
		config '.process.noNewPrivileges = $p' --argjson p "$privileges"
		user_rt run --bundle "$BUNDLE" "$ID"
		has "$ERR" 'No space left on device'
	done
	args sleep 100
	user_ok run --detach --bundle "$BUNDLE" "$ID"
	user_rt exec "$ID" mkdir /tmp/x
	has "$ERR" 'No space left on device'
	user_ok delete --force "$ID"
	# and of a process that is somebody else than root inside
	ranges
	config '.process.user = {uid: 1000, gid: 1000} | .process.args = ["mkdir", "/tmp/x"]'
	user_rt run --bundle "$BUNDLE" "$ID"
	has "$ERR" 'No space left on device'
	args sleep 100
	user_ok create --bundle "$BUNDLE" "$ID"
	user_ok start "$ID"
	user_rt exec "$ID" mkdir /tmp/x
	has "$ERR" 'No space left on device'
	user_ok delete --force "$ID"
}

# user_agent MODE: agent.py of the user's for $T/xdg.
user_agent() {
	cp "$BATS_TEST_DIRNAME/agent.py" "$T/xdg/agent.py"
	background as_user sh -c 'echo $$ >"$1/agent.pid"; exec python3 "$1/agent.py" "$1" "$2" >"$1/agent.out"' sh "$T/xdg" "$1"
	wait_for -t 20 grep -qs ready "$T/xdg/agent.out"
	STARTED+=("$(<"$T/xdg/agent.pid")")
}

# watched_container: one whose first process looks at all others in its pid namespace,
# without a pause, and makes a file /seen/WHAT of what it has seen:
# hidden: a process that may not be looked into; control: one with CONTROL in its
# environment; environment: one with that of the runtime's caller; listener: a listener
watched_container() {
	own_root
	mkdir "$BUNDLE/rootfs/seen" "$BUNDLE/rootfs/usr" "$BUNDLE/rootfs/lib" "$BUNDLE/rootfs/lib64" 2>/dev/null || :
	chown 2001:2001 "$BUNDLE/rootfs"/{seen,usr,lib,lib64}
	cat >"$BUNDLE/rootfs/watch.py" <<-'PYTHON'
		import os
		def saw(what):
		    if not os.path.exists("/seen/" + what):
		        open("/seen/" + what, "w").close()
		saw("started")
		own = str(os.getpid())
		while True:
		    for pid in os.listdir("/proc"):
		        if not pid.isdigit() or pid == own:
		            continue
		        try:
		            with open("/proc/%s/environ" % pid, "rb") as f:
		                environment = f.read()
		        except PermissionError:
		            saw("hidden")
		            environment = b""
		        except OSError:
		            environment = b""
		        if b"CALLERS_OWN" in environment:
		            saw("environment")
		        if b"CONTROL" in environment:
		            saw("control")
		        try:
		            for fd in os.listdir("/proc/%s/fd" % pid):
		                if "seccomp" in os.readlink("/proc/%s/fd/%s" % (pid, fd)):
		                    saw("listener")
		        except OSError:
		            pass
	PYTHON
	local dir
	for dir in /usr /lib /lib64; do
		[[ ! -d $dir ]] || mount_add "$dir" none "$(readlink -f "$dir")" rbind ro
	done
	config '.process.noNewPrivileges = true
		| .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", listenerPath: $p, syscalls: [{names: ["swapon"], action: "SCMP_ACT_NOTIFY"}]}' --arg p "$T/xdg/agent.sock"
	args /usr/bin/python3 /watch.py
	USER_ENV=(CALLERS_OWN=secret)
	user_ok run --detach --bundle "$BUNDLE" "$ID"
	wait_for test -e "$BUNDLE/rootfs/seen/started"
	wait_for grep -q seccomp "$T/xdg/kept"
}

# only_harmless_seen: what the watcher has seen, once it has seen what everybody may see.
only_harmless_seen() {
	user_ok exec --env CONTROL=1 "$ID" sh -c 'while ! test -e /seen/control; do sleep 0.01; done'
	is "$(ls "$BUNDLE/rootfs/seen")" $'control\nhidden\nstarted' 'what the container saw'
}

# joins_first JQ: the config of a container in the user and pid namespaces of $ID.
joins_first() {
	user_ok state "$ID"
	config 'del(.linux.uidMappings, .linux.gidMappings) | .linux.namespaces |= map(if .type == "user" or .type == "pid" then .path = $p + .type else . end)' \
		--arg p "/proc/$(jq .pid <<<"$OUT")/ns/"
}

@test "rootless: an exec under a filter with a listener shows the container neither that nor the caller's environment" {
	user_agent keep
	watched_container
	for _ in {1..25}; do
		user_ok exec "$ID" true
	done
	only_harmless_seen
	is "$(sort "$T/xdg/kept" | uniq -c | tr -s ' ')" ' 27 anon_inode:seccomp notify'
	user_ok delete --force "$ID"
}

@test "rootless: a container that joins a pid namespace by path shows it neither its listener nor the caller's environment" {
	user_agent keep
	watched_container
	joins_first
	args true
	for _ in {1..15}; do
		user_ok run --bundle "$BUNDLE" "$ID.b"
		user_ok create --bundle "$BUNDLE" "$ID.b"
		user_ok start "$ID.b"
		user_ok delete --force "$ID.b"
	done
	only_harmless_seen
	is "$(sort "$T/xdg/kept" | uniq -c | tr -s ' ')" ' 32 anon_inode:seccomp notify'
	user_ok delete --force "$ID"
}

@test "rootless: a profile that keeps a process from sending its listener is refused where it has to" {
	user_agent keep
	local rule why='without privileges, a process that goes into a pid namespace with others in it sends the filter'"'"'s listener by this call, behind the filter: allow it, or run the container as root'
	for rule in '{names: ["swapon"], action: "SCMP_ACT_NOTIFY"}, {names: ["sendmsg"], action: "SCMP_ACT_ERRNO"}' \
		'{names: ["sendmsg"], action: "SCMP_ACT_NOTIFY"}' \
		'{names: ["swapon"], action: "SCMP_ACT_NOTIFY"}, {names: ["sendmsg"], action: "SCMP_ACT_ERRNO", args: [{index: 0, value: 9, op: "SCMP_CMP_EQ"}]}'; do
		reset_config
		config ".linux.seccomp = {defaultAction: \"SCMP_ACT_ALLOW\", listenerPath: \$p, syscalls: [$rule]}" --arg p "$T/xdg/agent.sock"
		args sleep 100
		user_ok run --detach --bundle "$BUNDLE" "$ID" # nobody else is in its pid namespace
		user_rt exec "$ID" true
		is "$STATUS" 255
		like "$ERR" "/linux/seccomp/syscalls/[01]: (SCMP_ACT_[A-Z]+ for sendmsg|judges sendmsg by its arguments): $why"
		joins_first
		user_refused "$why" run --bundle "$BUNDLE" "$ID.b"
		user_refused "$why" create --bundle "$BUNDLE" "$ID.b"
		user_ok delete --force "$ID"
	done
	is "$(wc -l <"$T/xdg/kept")" 3 'listeners'
}

@test "rootless: oomScoreAdj can be raised, and lowering is an error that says so" {
	config '.process.oomScoreAdj = 500'
	args cat /proc/self/oom_score_adj
	user_ok run --bundle "$BUNDLE" "$ID"
	is "$OUT" 500
	config '.process.oomScoreAdj = -500'
	user_refused '/process/oomScoreAdj (set oom_score_adj to -500): write /proc/self/oom_score_adj -500: permission denied (EACCES)' run --bundle "$BUNDLE" "$ID"
	has "$ERR" "hint: a value below the caller's needs CAP_SYS_RESOURCE on the host"
}

@test "rootless: rlimits can be lowered, and raising is an error that says so" {
	config '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 100, hard: 200}, {type: "RLIMIT_CORE", soft: 0, hard: 0}]'
	args sh -c 'ulimit -n; ulimit -Hn; ulimit -c'
	user_ok run --bundle "$BUNDLE" "$ID"
	is "$OUT" $'100\n200\n0'
	config '.process.rlimits = [{type: "RLIMIT_NICE", soft: 40, hard: 40}]'
	user_refused '/process/rlimits/0 (limit RLIMIT_NICE to 40, at most 40): prlimit64 RLIMIT_NICE 40:40: operation not permitted (EPERM)' run --bundle "$BUNDLE" "$ID"
	has "$ERR" 'hint: raising a hard limit needs CAP_SYS_RESOURCE'
}

@test "rootless: scheduling that costs others nothing works, and more is an error that says so" {
	config '.process.scheduler = {policy: "SCHED_BATCH", nice: 19} | .process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 6} | .process.execCPUAffinity = {initial: "0", final: "0"}'
	args sleep 100 # what it said could come late, into the output of exec
	user_ok create --bundle "$BUNDLE" "$ID"
	user_ok start "$ID"
	user_ok exec "$ID" sh -c 'ionice -p 1; cut -d" " -f19,41 /proc/1/stat; grep Cpus_allowed_list /proc/self/status'
	is "$(tr '\t' ' ' <<<"$OUT")" $'best-effort: prio 6\n19 3\nCpus_allowed_list: 0'
	user_ok delete --force "$ID"
	reset_config
	config '.process.scheduler = {policy: "SCHED_FIFO", priority: 10}'
	user_refused '/process/scheduler (scheduler): sched_setattr SCHED_FIFO with priority 10: operation not permitted (EPERM)' run --bundle "$BUNDLE" "$ID"
	has "$ERR" 'hint: real time needs CAP_SYS_NICE on the host'
	config '.process.scheduler = {policy: "SCHED_OTHER", nice: -5}'
	user_refused 'hint: a nice value below the caller'"'"'s needs CAP_SYS_NICE on the host' run --bundle "$BUNDLE" "$ID"
	reset_config
	config '.process.ioPriority = {class: "IOPRIO_CLASS_RT", priority: 4}'
	user_refused 'hint: IOPRIO_CLASS_RT needs CAP_SYS_NICE or CAP_SYS_ADMIN on the host' run --bundle "$BUNDLE" "$ID"
}

# ahead UPTIME: it is that of the host with 8640000 seconds on top.
ahead() {
	local by=$(($1 - $(cut -d. -f1 /proc/uptime)))
	((by >= 8639900 && by <= 8640000)) || fail "the clock is $by s ahead, should be 8640000"
}

@test "rootless: namespaces of network, time and cgroup, sysctl, personality, devices" {
	config '.linux.namespaces |= (map(select(.type != "cgroup" and .type != "network" and .type != "time")) + [{type: "cgroup"}, {type: "network"}, {type: "time"}])
		| .linux.timeOffsets = {boottime: {secs: 8640000}} | .linux.sysctl = {"kernel.msgmax": "1000", "net.ipv4.ip_forward": "1"}
		| .linux.personality = {domain: "LINUX"} | .linux.devices = [{path: "/dev/fuse", type: "c", major: 10, minor: 229}]
		| .linux.resources.devices = [{allow: false, access: "rwm"}]'
	[[ -c /dev/fuse ]] || config 'del(.linux.devices)'
	args sh -c 'cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward; cut -d. -f1 /proc/uptime; ls /sys/class/net; [ ! -e /dev/fuse ] || stat -c %t:%T /dev/fuse'
	user_ok run --bundle "$BUNDLE" "$ID"
	is "$(head -n 2 <<<"$OUT")" $'1000\n1'
	ahead "$(sed -n 3p <<<"$OUT")"
	has "$OUT" $'\nlo'
	[[ ! -c /dev/fuse ]] || has "$OUT" $'\na:e5'
	args sleep 100
	user_ok run --detach --bundle "$BUNDLE" "$ID"
	user_ok exec "$ID" cut -d. -f1 /proc/uptime
	ahead "$OUT"
}

@test "rootless: what takes rights over the host is refused by its field" {
	config '.linux.netDevices = {"eth0": {}} | .linux.namespaces |= (map(select(.type != "network")) + [{type: "network"}])'
	user_refused '/linux/netDevices: needs root' run --bundle "$BUNDLE" "$ID"
	reset_config
	mount_add /mnt bind "$SHARED/rootfs" bind 'idmap=uids=0-0-1;gids=0-0-1'
	user_refused '/options: only root can map the owners of a mount' run --bundle "$BUNDLE" "$ID"
	reset_config
	config '.linux.sysctl = {"net.ipv4.ip_forward": "1"} | .linux.namespaces |= map(select(.type != "network"))'
	user_refused '/linux/sysctl/net.ipv4.ip_forward: needs a namespace of type network' run --bundle "$BUNDLE" "$ID"
	reset_config
	config '.linux.devices = [{path: "/dev/no-such-device", type: "c", major: 510, minor: 77}]'
	user_refused '/linux/devices' run --bundle "$BUNDLE" "$ID"
	has "$ERR" '/dev/no-such-device'
}

@test "rootless: spec --rootless writes what the user may have" {
	reset_config
	is "$(jq -c '[.linux.uidMappings, .linux.gidMappings]' "$BUNDLE/config.json")" '[[{"containerID":0,"hostID":2001,"size":1}],[{"containerID":0,"hostID":2001,"size":1}]]'
	is "$(jq -c '[.linux.namespaces[].type] | index("user") != null' "$BUNDLE/config.json")" true
	is "$(jq -r '[.mounts[].options // [] | .[] | select(startswith("gid="))] | length' "$BUNDLE/config.json")" 0
	is "$(jq -c '.linux.resources // {} | del(.devices)' "$BUNDLE/config.json")" '{}'
}
