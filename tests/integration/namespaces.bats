#!/usr/bin/env bats
# The namespaces of the default spec, and what joins and combinations do.

load helpers

@test "the default spec makes every namespace new but user and time" {
	inside_ok 'for n in cgroup ipc mnt net pid uts user time; do echo $n $(readlink /proc/self/ns/$n); done'
	new=(ipc mnt pid uts) same=(time)
	if [[ $WORLD == root ]]; then same+=(user); else new+=(user); fi
	if [[ $WORLD == rootless ]]; then same+=(net); else new+=(net); fi
	for n in "${new[@]}"; do
		lacks "$OUT" "$n $(readlink "/proc/self/ns/$n")"
	done
	for n in "${same[@]}"; do
		has "$OUT" "$n $(readlink "/proc/self/ns/$n")"
	done
	if jq -e '.linux.namespaces | map(.type) | index("cgroup")' "$BUNDLE/config.json"; then
		lacks "$OUT" "cgroup $(readlink /proc/self/ns/cgroup)"
	fi
}

@test "pid namespace: the program is 1 and sees only its own" {
	inside_ok 'echo $$; ls -d /proc/[0-9]*; grep NSpid /proc/self/status'
	is "${OUT%%$'\n'*}" 1
	is "$(grep -c '^/proc/' <<<"$OUT")" 1 'processes seen'
}

@test "network namespace: lo alone, up, and the host's untouched" {
	with_network
	inside_ok 'ls /sys/class/net; cat /sys/class/net/lo/flags; ip -o addr show lo; ping -c 1 -W 1 127.0.0.1 >/dev/null 2>&1; cat /proc/net/dev | wc -l'
	like "$OUT" $'^lo\n0x9\n'
	has "$OUT" 127.0.0.1/8
}

@test "uts namespace: hostname and domainname" {
	config '.hostname = "inner.example" | .domainname = "domain.example"'
	before=$(hostname)
	inside_ok 'hostname; cat /proc/sys/kernel/domainname'
	is "$OUT" $'inner.example\ndomain.example'
	is "$(hostname)" "$before"
}

@test "ipc namespace: System V and POSIX queues of its own" {
	queue=$(ipcmk -Q | sed 's/.*: //')
	inside 'cat /proc/sysvipc/msg; ls -A /dev/mqueue'
	ipcrm -q "$queue"
	is "$STATUS" 0
	is "$(wc -l <<<"$OUT")" 1 'the header and no queue'
}

@test "mount namespace: nothing inside is seen outside" {
	caps CAP_SYS_ADMIN
	before=$(</proc/self/mountinfo)
	inside_ok 'mount -t tmpfs none /tmp && grep -c " /tmp " /proc/self/mountinfo'
	is "$OUT" 1
	is "$(</proc/self/mountinfo)" "$before" mountinfo
}

@test "cgroup namespace: the container's cgroup is /" {
	config '.linux.namespaces |= (map(select(.type != "cgroup")) + [{type: "cgroup"}])'
	inside_ok 'cat /proc/self/cgroup'
	if cgroup2; then
		is "$(grep '^0:' <<<"$OUT")" '0::/'
	else
		is "$(grep -c ':devices:/$' <<<"$OUT")" 1
		is "$(grep -c ':memory:/$' <<<"$OUT")" "$(grep -c :memory: /proc/self/cgroup)"
	fi
}

@test "without a cgroup namespace the real path is seen" {
	config '.linux.namespaces |= map(select(.type != "cgroup"))'
	inside_ok 'cat /proc/self/cgroup'
	has "$OUT" "$ID"
}

@test "without a cgroup namespace, a mount of cgroup2 is the caller's, so that its paths lead there" {
	cgroup2 || skip "of version 1, a container without a cgroup namespace sees its own cgroups alone"
	config '.linux.namespaces |= map(select(.type != "cgroup"))'
	inside_ok 'own=$(sed -n s/^0:://p /proc/self/cgroup); grep -qx $$ /sys/fs/cgroup/cgroup.procs && echo own part
		grep -qx $$ "/sys/fs/cgroup$own/cgroup.procs" && echo by its path; mkdir /sys/fs/cgroup/x 2>&1; true'
	if [[ $WORLD == root ]]; then
		has "$OUT" 'by its path'
		lacks "$OUT" 'own part'
	else
		# In a user namespace nobody may mount it.
		has "$OUT" 'own part'
	fi
	has "$OUT" 'Read-only file system'
	# Nor may a container with a user namespace of its own.
	[[ $WORLD == root ]] || return 0
	config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
	inside_ok 'grep -qx $$ /sys/fs/cgroup/cgroup.procs && echo own part'
	is "$OUT" 'own part'
}

@test "namespaces left out are the caller's" {
	config '.linux.namespaces |= map(select(.type == "mount" or .type == "user")) | del(.hostname)
		| .mounts |= map(select(.type != "sysfs" and .type != "cgroup" and .type != "mqueue"))
		| .linux.readonlyPaths = [] | .linux.maskedPaths = []'
	inside_ok 'for n in ipc net pid uts; do readlink /proc/self/ns/$n; done'
	is "$OUT" "$(for n in ipc net pid uts; do readlink "/proc/self/ns/$n"; done)"
}

@test "join by path: network, ipc, uts and pid of another container" {
	with_network
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	config '.linux.namespaces |= map(if .type == "network" then .path = $p + "net"
			elif .type == "ipc" or .type == "uts" or .type == "pid" then .path = $p + .type else . end)
		| del(.hostname)' --arg p "/proc/$pid/ns/"
	join_users "$pid"
	args sh -c 'for n in net ipc uts pid mnt; do readlink /proc/self/ns/$n; done; test -d /proc/1 && cat /proc/1/comm'
	ok run --bundle "$BUNDLE" "$ID.b"
	for n in net ipc uts pid; do
		has "$OUT" "$(readlink "/proc/$pid/ns/$n")"
	done
	lacks "$OUT" "$(readlink "/proc/$pid/ns/mnt")"
	has "$OUT" sleep
}

@test "a joined pid namespace: KILL and delete spare its owner's processes" {
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	config '.linux.namespaces |= map(if .type == "pid" then .path = $p else . end)' --arg p "/proc/$pid/ns/pid"
	join_users "$pid"
	args sh -c 'sleep 61 & sleep 62'
	ok run --detach --bundle "$BUNDLE" "$ID.b"
	silent kill "$ID.b" KILL
	wait_for status_is "$ID.b" stopped
	silent delete "$ID.b"
	status_is "$ID" running
	is "$(marked)" "$pid" 'processes alive'
}

@test "a path of the wrong kind, a missing one and a duplicate are refused" {
	with_network
	config '.linux.namespaces |= map(if .type == "network" then .path = "/proc/self/ns/uts" else . end)'
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	new_bundle "$BUNDLE"
	with_network
	config '.linux.namespaces |= map(if .type == "network" then .path = "/no/such/ns" else . end)'
	refused 'no such file or directory' create --bundle "$BUNDLE" "$ID"
	new_bundle "$BUNDLE"
	config '.linux.namespaces += [{type: "ipc"}]'
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	nothing_left
}

@test "a user namespace of its own with a mapping" {
	own_users
	supports '.linux.namespaces | index("user")' 'user namespaces'
	config '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
		| .linux.gidMappings = [{containerID: 0, hostID: 100000, size: 65536}]'
	own_rootfs
	chown -R 100000:100000 "$ROOTFS"
	chmod 711 "$T" "$BUNDLE" "$OCI_TEST_TMP" 2>/dev/null
	inside 'id -u; cat /proc/self/uid_map; touch /made'
	is "$STATUS:$ERR" '0:'
	like "$OUT" $'^0\n +0 +100000 +65536'
	is "$(stat -c %u:%g "$ROOTFS/made")" 100000:100000 owner
}

@test "sysctl: set inside, not outside; without its namespace refused" {
	before=$(</proc/sys/kernel/msgmax)
	config '.linux.sysctl = {"kernel.msgmax": "4242"}'
	inside_ok 'cat /proc/sys/kernel/msgmax'
	is "$OUT" 4242
	is "$(</proc/sys/kernel/msgmax)" "$before" "the host's msgmax"
	config '.linux.namespaces |= map(select(.type != "ipc"))'
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	is "$(</proc/sys/kernel/msgmax)" "$before" "the host's msgmax"
	nothing_left
}
