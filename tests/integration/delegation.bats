#!/usr/bin/env bats
# Whom the container's cgroup belongs to (config-linux.md, "Cgroup ownership"): its
# user, on cgroup2, with a cgroup namespace of its own and a mount that can be written to.

load helpers

needs() {
	own_users
}

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

@test "delegation: cgroups below the container's, deeper than a path is long: ps, kill and delete reach all" {
	need_v2
	writable
	users
	running "$ID"
	# shellcheck disable=SC2016 # for the shell inside
	ok exec "$ID" sh -c 'name=$(printf %0200d 0); cd /sys/fs/cgroup
		for level in $(seq 30); do mkdir "$name" && cd -P "$name" 2>/dev/null; done
		sleep 61 & echo $! >cgroup.procs'
	is "$(find "$DIR" -mindepth 1 -type d | wc -l)" 30 'cgroups below'
	ok ps --format json "$ID"
	is "$(jq length <<<"$OUT")" 2 'number of processes'
	ok kill --all "$ID" USR1
	silent delete --force "$ID"
	[[ ! -e $DIR ]] || fail "$DIR is left"
}

@test "delegation: the files of the specification's list, where the kernel has none" {
	need_v2
	only_cgroupfs 'the directory is made by the runtime'
	writable
	users
	# the kernel lets no user namespace mount a sysfs where parts of the host's are covered
	config '(.mounts[] | select(.type == "sysfs")) |= {destination: "/sys", type: "tmpfs", source: "tmpfs"}'
	args sleep 60
	# shellcheck disable=SC2016 # for the inner shell
	OCI_TEST_MARK=$MARK unshare --mount sh -c 'mount -t tmpfs none /sys/kernel/cgroup && exec "$@"' sh \
		"$RUNTIME" --root "$ROOT" run --detach --bundle "$BUNDLE" "$ID" </dev/null >"$T/out" 2>&1 || fail "$(<"$T/out")"
	DIR=$(cgroup_of "$(init_pid "$ID")")
	local file
	for file in "$DIR"/*; do
		[[ $(stat -c %u "$file") != 100000 ]] || echo "${file##*/}"
	done | sort >"$T/given"
	is "$(<"$T/given")" $'cgroup.procs\ncgroup.subtree_control\ncgroup.threads'
	is "$(stat -c %u "$DIR")" 100000 'owner of the directory'
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

# sub NAME: asks for a cgroup of that name below the container's.
sub() {
	config '.annotations["run.oci.delegate-cgroup"] = $n' --arg n "$1"
}

# running_in NAME ID: running, and the process is in NAME below the container's cgroup,
# which is in ABOVE.
running_in() {
	running "$2" || return 1
	ABOVE=${DIR%"/$1"}
	[[ $ABOVE != "$DIR" ]] || fail "the process is in $DIR, should be in $1 below the container's cgroup" || return 1
	has "${ABOVE##*/}" "$2"
}

@test "run.oci.delegate-cgroup: the process and every exec are in it, below the root of their cgroup namespace" {
	need_v2
	only_oci_mini 'the cgroup is always below the one of cgroupsPath'
	writable
	sub /payload
	running_in payload "$ID"
	is "$(<"$ABOVE/cgroup.subtree_control")" "$(<"$ABOVE/cgroup.controllers")" 'what is passed on'
	ok exec "$ID" cat /proc/self/cgroup
	has "$OUT" 0::/payload
	# It divides what it has, and exec follows.
	ok exec "$ID" sh -c 'cd /sys/fs/cgroup/payload && mkdir one && echo 1 >one/cgroup.procs && echo $$ >one/cgroup.procs'
	ok exec "$ID" cat /proc/self/cgroup
	has "$OUT" 0::/payload/one
	# What means the container means all of it.
	ok ps --format json "$ID"
	is "$(jq length <<<"$OUT")" 1
	ok pause "$ID"
	is "$(<"$ABOVE/cgroup.freeze")" 1
	wait_for grep -q 'frozen 1' "$DIR/cgroup.events"
	ok resume "$ID"
	silent kill "$ID" KILL
	wait_for status_is "$ID" stopped
	silent delete "$ID"
	[[ ! -e $ABOVE ]]
}

@test "run.oci.delegate-cgroup: it is the user's, the limits above are not" {
	need_v2
	sub payload/deep
	users
	config '.process.user = {uid: 7, gid: 7}'
	running_in payload/deep "$ID"
	belongs 100007
	for dir in "$ABOVE" "$ABOVE/payload"; do
		is "$(stat -c %u "$dir" "$dir/cgroup.procs" "$dir/cgroup.subtree_control" | sort -u)" 0 "$dir"
	done
	if grep -qw hugetlb "$ABOVE/cgroup.controllers"; then
		size=$(cd "$ABOVE" && echo hugetlb.*.max | cut -d. -f2)
		rt_stdin update --resources - "$ID" <<<"{\"hugepageLimits\": [{\"pageSize\": \"$size\", \"limit\": 0}]}"
		is "$STATUS" 0
		is "$(<"$ABOVE/hugetlb.$size.max")" 0
		refute grep -qx 0 "$DIR/hugetlb.$size.max"
	fi
}

@test "run.oci.delegate-cgroup: hooks of startContainer run in it, by run and by start" {
	need_v2
	sub payload
	config '.hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", "grep ^0: /proc/self/cgroup >>/dev/shm/seen"]}]'
	inside_ok 'cat /dev/shm/seen'
	is "$OUT" 0::/payload
	args sh -c 'cat /dev/shm/seen; sleep 60'
	"$RUNTIME" --root "$ROOT" "${MANAGER[@]}" create --bundle "$BUNDLE" "$ID" >"$T/created" 2>&1 3>&- </dev/null
	ok start "$ID"
	wait_for grep -qx 0::/payload "$T/created"
	ok delete --force "$ID"
	# Without a cgroup namespace the path is the host's.
	config '.linux.namespaces |= map(select(.type != "cgroup")) | del(.hooks)'
	inside_ok 'grep ^0: /proc/self/cgroup'
	like "$OUT" '/payload$'
	nothing_left
}

@test "run.oci.delegate-cgroup: what cannot be had is refused, and a failed create leaves nothing" {
	only_oci_mini 'the words of the refusals'
	for name in .. a/../b / ./.; do
		sub "$name"
		refused '/annotations/run.oci.delegate-cgroup: ' create --bundle "$BUNDLE" "$ID"
		has "$ERR" "must be a path below the container's cgroup"
	done
	sub payload
	refused "/annotations/run.oci.delegate-cgroup: the container has no cgroup" --cgroup-manager disabled create --bundle "$BUNDLE" "$ID"
	if ! cgroup2; then
		refused '/annotations/run.oci.delegate-cgroup: takes a host with cgroup2 alone' create --bundle "$BUNDLE" "$ID"
	else
		config '.process.args = ["/missing"]'
		refused missing create --bundle "$BUNDLE" "$ID"
		sub cgroup.procs
		args true
		refused '/annotations/run.oci.delegate-cgroup' run --bundle "$BUNDLE" "$ID"
	fi
	nothing_left
	sub ''
	inside_ok true
}
