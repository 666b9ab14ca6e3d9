#!/usr/bin/env bats
# Whom the container's cgroup belongs to (config-linux.md, "Cgroup ownership"): its
# user, on cgroup2, with a cgroup namespace of its own and a mount that can be written to.

load helpers

# writable: the container's cgroup mount is read-write.
writable() {
	config '(.mounts[] | select(.type == "cgroup") | .options) |= map(select(. != "ro"))
		| .linux.namespaces |= (map(select(.type != "cgroup")) + [{type: "cgroup"}])'
}

users() {
	config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = $m | .linux.gidMappings = $m' \
		--argjson m '[{"containerID": 0, "hostID": 100000, "size": 65536}]'
	chmod 711 "$OCI_TEST_TMP" "$T" "$BUNDLE" 2>/dev/null
}

need_v2() {
	cgroup2 || skip 'a cgroup of version 1 is never given away'
}

# running ID: a container that stays; its cgroup is in DIR.
running() {
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$1"
	DIR=$(cgroup_of "$(init_pid "$1")")
}

# belongs UID: the directory and the listed files are that user's, all others root's.
belongs() {
	local file owner
	is "$(stat -c %u "$DIR")" "$1" 'owner of the directory' || return 1
	for file in "$DIR"/*; do
		[[ -f $file ]] || continue
		owner=0
		! grep -qxF "${file##*/}" /sys/kernel/cgroup/delegate || owner=$1
		is "$(stat -c %u "$file")" "$owner" "owner of ${file##*/}" || return 1
	done
	is "$(stat -c %g "$DIR")" 0 'group'
}

@test "delegation: to the id outside that a user namespace's root is" {
	need_v2
	writable
	users
	running "$ID"
	belongs 100000
	# who owns it can divide it, and not raise its limits
	ok exec "$ID" sh -c 'cd /sys/fs/cgroup && mkdir sub && echo $$ >sub/cgroup.procs && cat /proc/self/cgroup'
	has "$OUT" 0::/sub
	rt exec "$ID" sh -c 'echo 5 >/sys/fs/cgroup/cgroup.max.descendants'
	is "$STATUS" 1
	has "$ERR" 'Permission denied'
	is "$(<"$DIR/cgroup.max.descendants")" max
	silent kill "$ID" KILL
	wait_for status_is "$ID" stopped
	silent delete "$ID"
	[[ ! -e $DIR ]]
}

@test "delegation: to another user than root, in a user namespace and without one" {
	need_v2
	writable
	config '.process.user = {uid: 1000, gid: 1000}'
	running "$ID"
	belongs 1000
	ok exec --user 1000:1000 "$ID" mkdir /sys/fs/cgroup/sub
	new_bundle "$BUNDLE"
	writable
	users
	config '.process.user = {uid: 7, gid: 7}'
	running "$ID.b"
	belongs 100007
}

@test "delegation: to the root of a user namespace that is joined" {
	need_v2
	users
	running "$ID"
	belongs 0
	pid=$(init_pid "$ID")
	new_bundle "$BUNDLE"
	writable
	config '.linux.namespaces += [{type: "user", path: $p}]' --arg p "/proc/$pid/ns/user"
	running "$ID.b"
	belongs 100000
	ok exec "$ID.b" mkdir /sys/fs/cgroup/sub
	silent delete --force "$ID.b"
	[[ ! -e $DIR ]]
}

@test "no delegation: a read-only mount, none, no cgroup namespace, version 1" {
	if ! cgroup2; then
		writable
		users
		running "$ID"
		is "$(stat -c %u "$DIR")" 0
		return
	fi
	users
	running "$ID"
	belongs 0
	writable
	config '.mounts |= map(select(.type != "cgroup"))'
	running "$ID.b"
	belongs 0
	new_bundle "$BUNDLE"
	writable
	users
	config '.linux.namespaces |= map(select(.type != "cgroup"))'
	running "$ID.c"
	belongs 0
}
