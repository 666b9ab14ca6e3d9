#!/usr/bin/env bats
# User namespaces: new ones, and those that others have made, with any other
# namespaces; what the container's root owns in them.

load helpers

needs() {
	own_users
}

MAP='[{"containerID": 0, "hostID": 100000, "size": 65536}]'

# users [MAPPINGS]: the config gets a user namespace of its own.
users() {
	config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = $m | .linux.gidMappings = $m' --argjson m "${1:-$MAP}"
	chmod 711 "$OCI_TEST_TMP" "$T" "$BUNDLE" 2>/dev/null
}

# users_of PID: the config joins the user namespace of a process.
users_of() {
	config '.linux.namespaces += [{type: "user", path: $p}]' --arg p "/proc/$1/ns/user"
}

# owner_running: a container with a user namespace, whose pid is in OWNER.
owner_running() {
	users "$@"
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	OWNER=$(init_pid "$ID")
	new_bundle "$BUNDLE"
}

@test "a user namespace by path: the others are new, belong to it, and work" {
	owner_running
	users_of "$OWNER"
	config '.linux.namespaces |= (map(select(.type != "cgroup")) + [{type: "cgroup"}, {type: "time"}]) | .hostname = "joiner" | .linux.timeOffsets = {"boottime": {"secs": 864000}}'
	args sh -c 'id -u; cat /proc/self/uid_map; hostname; echo $$; cut -d. -f1 /proc/uptime
		for n in user cgroup ipc mnt net pid uts time; do readlink /proc/self/ns/$n; done; cat /sys/class/net/lo/flags; ls -d /proc/[0-9]*'
	ok run --bundle "$BUNDLE" "$ID.b"
	is "$ERR" ''
	like "$OUT" $'^0\n +0 +100000 +65536\njoiner\n1\n'
	# the fifth line is the uptime, ten days ahead
	local ahead
	ahead=$(($(sed -n 5p <<<"$OUT") - $(cut -d. -f1 /proc/uptime)))
	((ahead >= 863900 && ahead <= 864000)) || fail "the clock is $ahead s ahead, should be 864000: $OUT"
	has "$OUT" "$(readlink "/proc/$OWNER/ns/user")"
	for n in cgroup ipc mnt net pid uts time; do
		lacks "$OUT" "$(readlink "/proc/$OWNER/ns/$n")"
		lacks "$OUT" "$(readlink "/proc/self/ns/$n")"
	done
	has "$OUT" 0x9
	is "$(grep -c '^/proc/' <<<"$OUT")" 1 'processes seen'
}

@test "a user namespace by path, together with all others of its owner" {
	owner_running
	users_of "$OWNER"
	config '.linux.namespaces |= map(if .type == "mount" or .path then . else .path = $p + ({network: "net"}[.type] // .type) end) | del(.hostname)' --arg p "/proc/$OWNER/ns/"
	args sh -c 'for n in user cgroup ipc net pid uts; do readlink /proc/self/ns/$n; done; cat /proc/1/comm'
	ok run --bundle "$BUNDLE" "$ID.b"
	for n in user ipc net pid uts; do
		has "$OUT" "$(readlink "/proc/$OWNER/ns/$n")"
	done
	has "$OUT" sleep
}

@test "a user namespace by path: exec, state, kill and delete" {
	owner_running
	users_of "$OWNER"
	args sh -c 'sleep 61 & sleep 62'
	ok create --bundle "$BUNDLE" "$ID.b"
	ok exec "$ID.b" sh -c 'id -u; readlink /proc/self/ns/user; cat /proc/1/comm; readlink /proc/1/exe; ls /proc/self/fd'
	has "$OUT" "$(readlink "/proc/$OWNER/ns/user")"
	is "$(tail -n 4 <<<"$OUT")" $'0\n1\n2\n3' 'descriptors in exec'
	ok start "$ID.b"
	status_is "$ID.b" running
	ok exec --user 1000:1000 "$ID.b" sh -c 'id -u; grep -h . /proc/self/gid_map'
	like "$OUT" $'^1000\n +0 +100000'
	pid=$(init_pid "$ID.b")
	is "$(stat -c %u "/proc/$pid")" 100000 'owner of the first process'
	silent kill "$ID.b" KILL
	wait_for status_is "$ID.b" stopped
	silent delete "$ID.b"
	status_is "$ID" running
	is "$(marked)" "$OWNER" 'processes alive'
	# --force on one that is only created
	ok create --bundle "$BUNDLE" "$ID.b"
	silent delete --force "$ID.b"
	is "$(marked)" "$OWNER" 'processes alive'
}

@test "a user namespace by path: equal mappings are taken, others are an error" {
	owner_running '[{"containerID": 0, "hostID": 100000, "size": 1000}, {"containerID": 1000, "hostID": 101000, "size": 64536}]'
	users_of "$OWNER"
	config '.linux.uidMappings = $m | .linux.gidMappings = $m' --argjson m "$MAP"
	args id -u
	ok run --bundle "$BUNDLE" "$ID.b"
	config '.linux.gidMappings[0].hostID = 200000'
	refused 'gidMappings differ: they have 0 200000 65536, its gid_map has 0 100000 1000, 1000 101000 64536' create --bundle "$BUNDLE" "$ID.b"
	has "$ERR" '/linux/namespaces/'
}

@test "a user namespace bind-mounted elsewhere, and one whose owner has ended" {
	owner_running
	: >"$T/users"
	mount --bind "/proc/$OWNER/ns/user" "$T/users"
	silent kill "$ID" KILL
	wait_for status_is "$ID" stopped
	config '.linux.namespaces += [{type: "user", path: $p}]' --arg p "$T/users"
	args sh -c 'id -u; cat /proc/self/uid_map'
	rt run --bundle "$BUNDLE" "$ID.b"
	umount "$T/users"
	is "$STATUS:$ERR" 0:
	like "$OUT" $'^0\n +0 +100000 +65536'
}

# with_groups [OPTION...]: what runs in place of the runtime is the runtime, with groups
# and what else the options of setpriv(1) give.
with_groups() {
	printf '#!/bin/sh\nexec setpriv --groups 4242,4243 %s "%s" "$@"\n' "$*" "$RUNTIME" >"$T/with_groups"
	chmod +x "$T/with_groups"
}

# denying: a user namespace of user 2001's in which setgroups(2) is denied, of the process
# PID, and a config that joins it, whose rootfs has a file for the caller's group 4242.
denying() {
	background setpriv --reuid 2001 --regid 2001 --clear-groups unshare --user --map-root-user sleep 60
	denied() { [[ $(cat "/proc/$PID/setgroups" "/proc/$PID/gid_map") =~ ^deny[[:space:]]+0\ +2001\ +1$ ]]; }
	wait_for denied
	users_of "$PID"
	config '.mounts |= map(if .type == "devpts" then .options -= ["gid=5"] else . end)'
	own_rootfs
	groups_file
	chmod 711 "$OCI_TEST_TMP" "$T" "$BUNDLE"
}

# groups_file: a file of the rootfs that root and the caller's group may read.
groups_file() {
	echo 'of the group' >"$ROOTFS/secret"
	chown 0:4242 "$ROOTFS/secret"
	chmod 640 "$ROOTFS/secret"
}

# GROUPS_OF prints the groups of a process, and tries to read the file.
GROUPS_OF='grep ^Groups: /proc/self/status; cat /secret 2>&1; true'

# none TEXT: what GROUPS_OF has printed tells of no group.
none() {
	like "$1" $'^Groups:[\t ]*\n.*/secret.*: Permission denied$'
	lacks "$1" 'of the group'
}

@test "a user namespace by path in which no groups can be set: the caller's are dropped, others refused" {
	denying
	with_groups
	args grep -h . /proc/self/setgroups /proc/self/uid_map /proc/self/status
	RUNTIME=$T/with_groups ok run --bundle "$BUNDLE" "$ID"
	like "$OUT" $'^deny\n +0 +2001 +1\n'
	like "$OUT" $'\nGroups:[\t ]*\n'
	config '.process.user.additionalGids = [0]'
	refused '/process/user/additionalGids: no groups can be set, as setgroups(2) is denied in it' create --bundle "$BUNDLE" "$ID"
}

@test "a user namespace by path in which no groups can be set: exec and hooks inside have none of the caller's" {
	denying
	with_groups
	hooks_had_none() {
		like "$(head -n 1 "$T/hook")" $'^Groups:[\t ]*$'
		none "$(tail -n +2 "$T/hook")"
	}
	# one of createContainer is a program of the host's, in the container's namespaces
	config '.hooks.createContainer = [{path: "/bin/sh", args: ["sh", "-c", "grep ^Groups: /proc/thread-self/status"]}]
		| .hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", $s]}] | .annotations["run.oci.hooks.stdout"] = $o' \
		--arg s "$GROUPS_OF" --arg o "$T/hook"
	args sh -c "$GROUPS_OF; exec sleep 60"
	RUNTIME=$T/with_groups ok create --bundle "$BUNDLE" "$ID"
	RUNTIME=$T/with_groups ok start "$ID"
	hooks_had_none
	RUNTIME=$T/with_groups ok exec "$ID" sh -c "$GROUPS_OF"
	none "$OUT"
	rm "$T/hook"
	args sh -c "$GROUPS_OF"
	RUNTIME=$T/with_groups ok run --bundle "$BUNDLE" "$ID.b"
	none "$OUT"
	hooks_had_none
	RUNTIME=$T/with_groups rt exec -g 0 "$ID" true
	((STATUS == 255)) || fail "exec -g 0 exits $STATUS"
	has "$ERR" '/process/user/additionalGids: '
}

@test "a user namespace by path in which no groups can be set: a runtime without CAP_SETUID drops them too" {
	denying
	with_groups --bounding-set -setuid
	args sh -c "$GROUPS_OF; exec sleep 60"
	config '.hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", $s]}] | .annotations["run.oci.hooks.stdout"] = $o' \
		--arg s "$GROUPS_OF" --arg o "$T/hook"
	RUNTIME=$T/with_groups ok create --bundle "$BUNDLE" "$ID"
	RUNTIME=$T/with_groups ok start "$ID"
	none "$(<"$T/hook")"
	RUNTIME=$T/with_groups ok exec "$ID" sh -c "$GROUPS_OF"
	none "$OUT"
	args sh -c "$GROUPS_OF"
	RUNTIME=$T/with_groups ok run --bundle "$BUNDLE" "$ID.b"
	none "$OUT"
}

@test "a new user namespace of a runtime without CAP_SETUID: groups can be mapped, and the caller's are dropped" {
	users '[{"containerID": 0, "hostID": 0, "size": 1}]'
	config '.linux.gidMappings = [{containerID: 0, hostID: 0, size: 10}]'
	with_groups --bounding-set -setuid
	args grep -h . /proc/self/setgroups /proc/self/status
	RUNTIME=$T/with_groups ok run --bundle "$BUNDLE" "$ID"
	like "$OUT" $'^allow\n.*\nGroups:[\t ]*\n'
}

@test "a user namespace in which no groups can be set: the caller's stay where the config asks for them" {
	denying
	with_groups
	config '.annotations["run.oci.keep_original_groups"] = "1" | .hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", $s]}]
		| .annotations["run.oci.hooks.stdout"] = $o' --arg s "$GROUPS_OF" --arg o "$T/hook"
	args sleep 60
	RUNTIME=$T/with_groups ok create --bundle "$BUNDLE" "$ID"
	RUNTIME=$T/with_groups ok start "$ID"
	RUNTIME=$T/with_groups ok exec "$ID" sh -c "$GROUPS_OF"
	for said in "$OUT" "$(<"$T/hook")"; do
		like "$said" $'^Groups:\t65534 65534 *\nof the group$'
	done
}

@test "a container that has made itself a user namespace in which no groups can be set: exec drops the caller's" {
	users
	own_rootfs
	groups_file
	with_groups
	# as its first process, which every exec follows
	config '.process.user = {uid: 1000, gid: 1000}'
	args unshare -U -r sleep 60
	RUNTIME=$T/with_groups ok run --detach --bundle "$BUNDLE" "$ID"
	wait_for grep -q deny "/proc/$(init_pid "$ID")/setgroups"
	RUNTIME=$T/with_groups ok exec --user 0:0 "$ID" sh -c "$GROUPS_OF"
	none "$OUT"
}

@test "a user namespace by path: the wrong kind, no namespace, the runtime's own" {
	for p in /proc/self/ns/uts /etc/passwd /no/such /proc/self/ns/user; do
		new_bundle "$BUNDLE"
		config '.linux.namespaces += [{type: "user", path: $p}]' --arg p "$p"
		case $p in
		*uts) refused "$p is a namespace of another kind than user" create --bundle "$BUNDLE" "$ID" ;;
		/etc*) refused "$p is not a namespace" create --bundle "$BUNDLE" "$ID" ;;
		/no*) refused 'no such file or directory' create --bundle "$BUNDLE" "$ID" ;;
		*) refused "$p is the runtime's own user namespace: leave the entry out to stay in it" create --bundle "$BUNDLE" "$ID" ;;
		esac
	done
	nothing_left
}

@test "a new user namespace with namespaces of the host by path" {
	# Those that the host owns can be joined with the runtime's rights alone.
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	new_bundle "$BUNDLE"
	users
	config '.linux.namespaces |= map(if .type == "network" then .path = $p + "net" elif .type == "uts" or .type == "ipc" then .path = $p + .type else . end)
		| del(.hostname)' --arg p "/proc/$pid/ns/"
	# which keep their queues to themselves
	refused '(mqueue on /dev/mqueue): fsconfig create: operation not permitted' create --bundle "$BUNDLE" "$ID.b"
	has "$ERR" 'hint: the namespace that it shows belongs to another user namespace'
	config '.mounts |= map(select(.type != "mqueue"))'
	args sh -c 'id -u; cat /proc/self/uid_map; for n in net uts ipc user pid; do readlink /proc/self/ns/$n; done; echo $$'
	ok run --bundle "$BUNDLE" "$ID.b"
	is "$ERR" ''
	like "$OUT" $'^0\n +0 +100000 +65536\n'
	for n in net uts ipc; do
		has "$OUT" "$(readlink "/proc/$pid/ns/$n")"
	done
	for n in user pid; do
		lacks "$OUT" "$(readlink "/proc/$pid/ns/$n")"
	done
	is "$(tail -n 1 <<<"$OUT")" 1 'pid inside'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID.b"
	ok exec "$ID.b" sh -c 'readlink /proc/self/ns/net; id -u'
	has "$OUT" "$(readlink "/proc/$pid/ns/net")"
}

KINDS=(ipc network pid uts cgroup time)

# file_of KIND: its name in /proc/PID/ns.
file_of() {
	if [[ $1 == network ]]; then echo net; else echo "$1"; fi
}

# all_ways PID CONFIG: runs the config with each of KINDS new, joined from the process, or
# the host's, so that every two of them meet in every way, half of them in the process's mount namespace; and looks which they are. The
# config's mounts of joined namespaces are left out if LEAVE_OUT says so.
all_ways() {
	local x y z i kind file got want ways list out mounts filter
	for x in 0 1 2; do for y in 0 1 2; do for z in 0 1 2; do
		ways=("$x" "$y" "$z" $(((x + y) % 3)) $(((x + z) % 3)) $(((y + z) % 3)))
		list='[]' out='["none"'
		for i in "${!KINDS[@]}"; do
			kind=${KINDS[i]}
			case ${ways[i]} in
			1) list+=" + [{type: \"$kind\"}]" ;;
			2) list+=" + [{type: \"$kind\", path: \"/proc/$1/ns/$(file_of "$kind")\"}]" ;;
			esac
			[[ ${ways[i]} != 2 || ! ${LEAVE_OUT:-} ]] || case $kind in
			pid) out+=', "proc"' ;;
			ipc) out+=', "mqueue"' ;;
			cgroup) out+=', "cgroup"' ;;
			esac
		done
		# The mount namespace is a new one or joined.
		filter='.'
		(((x + y + z) % 2)) || filter="(.linux.namespaces[] | select(.type == \"mount\")).path = \"/proc/$1/ns/mnt\""
		mounts='.'
		[[ $out != *proc* ]] || mounts='. + [{destination: "/proc", type: "bind", source: "/proc", options: ["rbind"]}]'
		jq ".linux.namespaces += $list | .mounts |= (map(select(.type as \$t | $out] | index(\$t) | not)) | $mounts) | $filter" "$2" >"$BUNDLE/config.json"
		ok run --bundle "$BUNDLE" "$ID.ways"
		got=${OUT##*$'\n'} want=$(readlink "/proc/$1/ns/mnt") OUT=${OUT%$'\n'*}
		if [[ $filter == . ]]; then lacks "$want" "$got"; else is "$got" "$want" "the mount namespace with ${ways[*]}"; fi
		i=0
		for got in $OUT; do
			kind=${KINDS[i]} file=$(file_of "${KINDS[i]}")
			want="$(readlink "/proc/self/ns/$file") $(readlink "/proc/$1/ns/$file")"
			case ${ways[i]} in
			0) is "$got" "${want% *}" "$kind, the host's, with ${ways[*]}" ;;
			1) lacks "$want" "$got" ;;
			2) is "$got" "${want#* }" "$kind, joined, with ${ways[*]}" ;;
			esac
			((i += 1))
		done
		is "$i" "${#KINDS[@]}" 'namespaces seen'
	done; done; done
}

# seen: the config has no namespaces but the mount namespace, and shows all.
seen() {
	config 'del(.hostname) | .linux.namespaces = [{type: "mount"}]'
	args sh -c 'for n in ipc net pid uts cgroup time mnt; do readlink /proc/self/ns/$n; done'
}

@test "a user namespace by path, with all others new, joined or the host's, in every pair" {
	users
	config '.linux.namespaces |= (map(select(.type != "cgroup" and .type != "time")) + [{type: "cgroup"}, {type: "time"}])'
	args sleep $((120 * PATIENCE))
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	new_bundle "$BUNDLE"
	seen
	users_of "$pid"
	cp "$BUNDLE/config.json" "$T/base"
	all_ways "$pid" "$T/base"
}

@test "a new user namespace, with all others new, joined from the host's root or the host's, in every pair" {
	config '.linux.namespaces |= (map(select(.type != "cgroup" and .type != "time")) + [{type: "cgroup"}, {type: "time"}])'
	args sleep $((120 * PATIENCE))
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	new_bundle "$BUNDLE"
	seen
	users
	cp "$BUNDLE/config.json" "$T/base"
	# What shows a namespace of the host's root, only that may mount.
	LEAVE_OUT=1 all_ways "$pid" "$T/base"
}

@test "a user namespace by path: what is not mapped in it is named" {
	owner_running '[{"containerID": 0, "hostID": 100000, "size": 100}]'
	users_of "$OWNER"
	config '.process.user = {uid: 500, gid: 600, additionalGids: [5, 700]}'
	rt create --bundle "$BUNDLE" "$ID.b"
	((STATUS == 1))
	for said in '/process/user/uid: 500 is not mapped: its uid_map has 0-99' '/process/user/gid: 600 is not mapped: its gid_map has 0-99' '/process/user/additionalGids/1: 700 is not mapped'; do
		has "$ERR" "$said"
	done
	lacks "$ERR" 'additionalGids/0'
	# exec says the same, of a new namespace and of a joined one
	rt exec --user 500:600 "$ID" true
	is "$STATUS" 255
	has "$ERR" '/process/user/uid: 500 is not mapped'
	new_bundle "$BUNDLE"
	users_of "$OWNER"
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID.b"
	rt exec --user 500:600 "$ID.b" true
	is "$STATUS" 255
	has "$ERR" '/process/user/uid: 500 is not mapped: its uid_map has 0-99'
	has "$ERR" '/process/user/gid: 600 is not mapped'
}

@test "a user namespace without a root: joined, it is refused" {
	background unshare --user --map-user=7 --map-group=7 sleep 60
	users_of "$PID"
	wait_for grep -q ' 7 ' "/proc/$PID/uid_map"
	refused 'user 0, as which the container is set up, is not mapped: its uid_map has 7 0 1' create --bundle "$BUNDLE" "$ID"
}

@test "a bundle below a directory that only root may read, with binds from there" {
	mkdir -p "$T/closed/bundle" "$T/closed/data"
	cp -a "$SHARED/rootfs" "$T/closed/bundle/rootfs"
	chown -R 100000:100000 "$T/closed/bundle/rootfs"
	echo secret >"$T/closed/data/file"
	chmod 755 "$T/closed/data"
	chmod 644 "$T/closed/data/file"
	chmod 700 "$T/closed"
	BUNDLE=$T/closed/bundle
	new_bundle "$BUNDLE"
	config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = $m | .linux.gidMappings = $m | .root = {path: "rootfs"}' --argjson m "$MAP"
	mount_add /data none "$T/closed/data" rbind ro
	mount_add /file none "$T/closed/data/file" bind
	inside_ok 'cat /data/file /file; touch /made && stat -c %u /made; id -u'
	is "$OUT" $'secret\nsecret\n0\n0'
	is "$(stat -c %u "$T/closed/bundle/rootfs/made")" 100000
}

@test "sysfs, mqueue and proc of namespaces that are the host's: the host's, sysfs read-only" {
	users
	config '.linux.namespaces |= map(select(.type != "network" and .type != "ipc"))'
	args sh -c 'grep -E " (/sys|/dev/mqueue|/proc) " /proc/self/mountinfo; touch /sys/x 2>&1; true'
	mkdir -p /dev/mqueue
	mountpoint -q /dev/mqueue || mount -t mqueue mqueue /dev/mqueue
	picture >"$T.before"
	ok --debug --log "$T/log" run --bundle "$BUNDLE" "$ID"
	like "$OUT" ' /sys ro,nosuid,nodev,noexec,relatime .*- sysfs '
	like "$OUT" ' /dev/mqueue rw,nosuid,nodev,noexec,relatime .*- mqueue '
	has "$OUT" 'Read-only file system'
	has "$(<"$T/log")" "it has the host's /sys"
	has "$(<"$T/log")" "it has the host's /dev/mqueue"

	# a network of its own: a sysfs of its own
	new_bundle "$BUNDLE"
	users
	args sh -c 'ls /sys/class/net'
	ok --debug --log "$T/log2" run --bundle "$BUNDLE" "$ID.c"
	is "$OUT" lo
	lacks "$(<"$T/log2")" "it has the host's"

	# the host's pids
	new_bundle "$BUNDLE"
	users
	config '.linux.namespaces |= map(select(.type != "pid"))'
	args sh -c 'readlink /proc/self/ns/pid; test -d /proc/2'
	ok run --bundle "$BUNDLE" "$ID.d"
	is "$OUT" "$(readlink /proc/self/ns/pid)"
}

@test "read-only over a bind keeps the flags that its source has, in a user namespace" {
	users
	own_rootfs
	chown -R 100000:100000 "$ROOTFS"
	mkdir "$T/source"
	mount -t tmpfs -o nosuid,nodev,noexec,noatime,mode=755 none "$T/source"
	mount_add /a none "$T/source" bind ro
	mount_add /b none "$T/source" bind
	mount_add /b none '' remount bind ro
	mount_add /c none "$T/source" rbind rro
	config '.linux.readonlyPaths += ["/b"]'
	args sh -c 'grep -E " /[abc] " /proc/self/mountinfo'
	rt run --bundle "$BUNDLE" "$ID"
	umount "$T/source"
	is "$STATUS:$ERR" 0:
	is "$(grep -c ' ro,nosuid,nodev,noexec,noatime ' <<<"$OUT")" 4 "mounts with all flags in: $OUT"
}

@test "the config's remounts of what is locked, in a user namespace, and none of its root's" {
	users
	own_rootfs
	chown -R 100000:100000 "$ROOTFS"
	mkdir "$T/source"
	mount -t tmpfs -o ro,nosuid,nodev,noexec,relatime,mode=755 none "$T/source"
	mount_add /a none "$T/source" bind noatime
	mount_add /b none "$T/source" bind noatime
	mount_add /b none '' remount bind relatime rw suid
	mount_add /c none "$T/source" bind
	mount_add /c none '' remount bind ro strictatime
	mount_add /d none "$T/source" rbind
	mount_add /d tmpfs tmpfs
	mount_add /d none '' remount ro
	caps CAP_SYS_ADMIN
	args sh -c 'grep -E " /[abcd] " /proc/self/mountinfo | cut -d " " -f 5-6
		for dir in a c; do mount -o remount,bind,rw,nosuid,nodev,noexec,$(grep " /$dir " /proc/self/mountinfo | grep -o noatime) /$dir && echo "rw $dir"; done
		umount /d && mount -o remount,bind,rw,nosuid,nodev,noexec /d && echo rw d; true'
	rt run --bundle "$BUNDLE" "$ID"
	umount "$T/source"
	is "$STATUS" 0 "status with $ERR;"
	is "$OUT" $'/a ro,nosuid,nodev,noexec,noatime\n/b rw,nodev,noexec,relatime\n/c ro,nosuid,nodev,noexec\n/d ro,nosuid,nodev,noexec,relatime\n/d ro,relatime'
}

@test "root and other users of a user namespace: console, devpts, devices, streams" {
	users
	own_rootfs
	chown -R 100000:100000 "$ROOTFS"
	config '.process.terminal = true | .process.user = {uid: 1000, gid: 1000}'
	args sh -c 'stat -c "%u:%g %n" /dev/console "$(tty)" /dev/pts/ptmx; stat -c "%t:%T %n" /dev/null /dev/tty; echo x >/dev/null; echo y >/dev/tty; stat -fc %T /dev/pts'
	ok run --bundle "$BUNDLE" "$ID"
	has "$OUT" '1000:5 /dev/console'
	has "$OUT" '1000:5 /dev/pts/0'
	has "$OUT" '1:3 /dev/null'
	has "$OUT" '5:0 /dev/tty'
	has "$OUT" y
	# streams: the user may open them by name, and they are the id outside that it stands for
	new_bundle "$BUNDLE"
	users
	config '.process.user = {uid: 1000, gid: 1000}'
	args sh -c 'stat -Lc %u /proc/self/fd/2; echo named >>/dev/stdout'
	ok run --bundle "$BUNDLE" "$ID.b"
	is "$OUT" 1000$'\n'named
	is "$(stat -c %u "$T/err")" 101000
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID.b"
	ok exec --user 5:5 "$ID.b" sh -c 'echo named >>/dev/stdout'
	is "$OUT" named
	is "$(stat -c %u "$T/out")" 100005
	is "$(stat -c %u /dev/null)" 0
}

@test "a device of the config in a user namespace: under another name, and one that the host does not have" {
	users
	config '.linux.devices = [{path: "/dev/nothing/else", type: "c", major: 1, minor: 3}, {path: "/dev/zero2", type: "u", major: 1, minor: 5}]'
	inside_ok 'stat -c %F:%t:%T /dev/nothing/else /dev/zero2; echo x >/dev/nothing/else'
	is "$OUT" $'character special file:1:3\ncharacter special file:1:5'
	for device in '{"path": "/dev/none", "type": "c", "major": 1, "minor": 250}|/linux/devices/0: open_tree /dev/none: no such file or directory' \
		'{"path": "/etc/passwd", "type": "c", "major": 1, "minor": 250}|/linux/devices/0: the host'\''s /etc/passwd is something else' \
		'{"path": "/dev/zero1", "type": "b", "major": 1, "minor": 250}|none below /dev is b 1:250: make it there (mknod), or leave it out'; do
		config '.linux.devices = [$d]' --argjson d "${device%%|*}"
		refused "${device#*|}" create --bundle "$BUNDLE" "$ID"
	done
	nothing_left
}

@test "a device of the config in a user namespace is the host's" {
	users
	config '.linux.devices = [{path: "/dev/fuse", type: "c", major: 10, minor: 229}, {path: "/run/pipe", type: "p"}]
		| .linux.resources.devices = [{allow: true, type: "c", major: 10, minor: 229, access: "rw"}]'
	[[ -c /dev/fuse ]] || skip 'the host has no /dev/fuse'
	own_rootfs
	chown -R 100000:100000 "$ROOTFS"
	inside_ok 'stat -c "%F %t:%T %u" /dev/fuse; stat -c %F /run/pipe'
	like "$OUT" '^character special file a:e5'
	has "$OUT" fifo
}

@test "a gid of an option that is not mapped: the hint says so" {
	users '[{"containerID": 0, "hostID": 100000, "size": 1}]'
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" 'devpts on /dev/pts'
	has "$ERR" 'hint: in a user namespace, only ids that are mapped there can own anything'
	nothing_left
}

@test "a /proc with covered parts: a user namespace gets no procfs of its own, and is told" {
	users
	args true
	code=0
	# A procfs that somebody has elsewhere on the host, uncovered, would do.
	OCI_TEST_MARK=$MARK unshare --mount sh -c 'grep " - proc " /proc/self/mountinfo | cut -d" " -f5 | grep -vx /proc | xargs -r -n 1 umount -l
		mount -t tmpfs none /proc/driver && exec "$@"' sh \
		"$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" >"$T/o" 2>"$T/e" </dev/null || code=$?
	is "$code" 1
	has "$(<"$T/e")" '/mounts/0 (proc on /proc): fsmount'
	has "$(<"$T/e")" 'hint: parts of the /proc that the runtime sees are covered'
}

@test "explain: a script for a new user namespace, and for one that is joined, does what it says" {
	only_oci_mini explain
	own_rootfs
	chown -R 100000:100000 "$ROOTFS"
	users
	args sh -c 'id -u; cat /proc/self/uid_map; readlink /proc/self/ns/user; echo x >/dev/null; stat -c %t:%T /dev/null; hostname'
	config '.hostname = "scripted"'
	ok explain --format sh "$BUNDLE/" "$ID.s"
	printf '%s\n' "$OUT" >"$T/script"
	is "$(OCI_TEST_MARK=$MARK sh "$T/script" 2>&1 </dev/null | sed -E 's/ +/ /g; /^user:/d')" $'0\n 0 100000 65536\n1:3\nscripted'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	config 'del(.linux.uidMappings, .linux.gidMappings) | .linux.namespaces |= map(if .type == "user" then .path = $p else . end)' --arg p "/proc/$pid/ns/user"
	args readlink /proc/self/ns/user
	ok explain --format sh "$BUNDLE/" "$ID.s"
	printf '%s\n' "$OUT" >"$T/script"
	is "$(OCI_TEST_MARK=$MARK sh "$T/script" 2>&1 </dev/null)" "$(readlink "/proc/$pid/ns/user")"
}
