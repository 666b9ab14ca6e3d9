#!/usr/bin/env bats
# A cgroup v2 directory that root has given to a user without privileges: the user's
# containers have cgroups in it, with all that this means. Which controllers there are
# depends on the host; the limit that is tested is that of huge pages, which may be given
# or not.
# shellcheck disable=SC2034,SC2154 # STATUS, OUT, ERR and what setup makes are of helpers.bash

load helpers
load rootless

setup() {
	user_setup
	[[ ${T:-} ]] || return 0
	cgroup2 || skip 'of the cgroups, only those of version 2 can be given to users'
	only_cgroupfs "a user's systemd makes the cgroup itself: systemd.bats"
}

teardown() {
	[[ ${T:-} ]] || return 0
	user_delete_all
	AS_USER=()
	[[ ! ${GIVEN:-} ]] || find "$ABOVE" -depth -type d -exec rmdir {} +
	plain_teardown
}

# give FILE...: the user's commands run in $GIVEN/session; the directory $GIVEN and these
# files in it are theirs (default: all that a delegation consists of).
give() {
	ABOVE=/sys/fs/cgroup/$MARK.users
	GIVEN=$ABOVE/2001
	mkdir -p "$GIVEN/session"
	(($#)) || set -- cgroup.procs cgroup.subtree_control cgroup.threads
	chown 2001:2001 "$GIVEN" "${@/#/$GIVEN/}"
	chown -R 2001:2001 "$GIVEN/session"
	in_cgroup "$GIVEN/session"
}

# in_cgroup DIR: the user's commands run in that cgroup.
in_cgroup() {
	# shellcheck disable=SC2016 # for the inner shell
	AS_USER=(sh -c 'echo 0 >"$1/cgroup.procs" && shift && exec "$@"' sh "$1")
}

# give_hugetlb: as give, with that controller.
give_hugetlb() {
	need_controller hugetlb
	give
	# The root passes it on or not, for others as well: that stays.
	echo +hugetlb >/sys/fs/cgroup/cgroup.subtree_control
	echo +hugetlb >"$ABOVE/cgroup.subtree_control"
}

# page: a size of huge pages, as in the names of the files.
page() {
	local file
	for file in "$GIVEN"/hugetlb.*.max; do
		file=${file##*/hugetlb.}
		[[ $file == *.rsvd.max ]] || echo "${file%.max}"
	done | head -n 1
}

user_paused() {
	user_rt state "$ID" && [[ $(jq -r .status <<<"$OUT") == paused ]]
}

@test "rootless cgroups: create, pause, resume, exec, events, kill and delete in a delegated directory" {
	give
	args sh -c 'while :; do sleep 0.1; done'
	user_ok create --bundle "$BUNDLE" "$ID"
	is "$ERR" ''
	user_ok state "$ID"
	local pid dir=$GIVEN/$ID
	pid=$(jq .pid <<<"$OUT")
	is "$(cgroup_of "$pid")" "$dir"
	is "$(stat -c %u "$dir" "$dir/cgroup.procs" "$dir/cgroup.freeze" | sort -u)" 2001 owners
	user_ok start "$ID"
	user_ok exec "$ID" grep ^0:: /proc/self/cgroup /proc/1/cgroup
	is "$(cut -d: -f2- <<<"$OUT" | sort -u)" 0::/ 'as they see it'
	user_ok exec --detach --pid-file "$T/xdg/pid" "$ID" sleep 100
	is "$(cgroup_of "$(<"$T/xdg/pid")")" "$dir"
	user_ok ps --format json "$ID"
	(($(jq length <<<"$OUT") >= 2)) || fail "$OUT"
	user_ok pause "$ID"
	user_paused
	is "$(<"$dir/cgroup.freeze")" 1
	user_refused 'paused' exec "$ID" true || is "$STATUS" 255
	user_ok resume "$ID"
	is "$(<"$dir/cgroup.freeze")" 0
	user_ok events --stats "$ID"
	is "$(jq -r '.id + " " + .type' <<<"$OUT")" "$ID stats"
	jq -e .data.cpu.usage.total <<<"$OUT"
	user_ok pause "$ID"
	user_ok kill --all "$ID" KILL
	wait_for user_stopped
	wait_for -t 2 test "$(wc -l <"$dir/cgroup.procs")" = 0
	user_ok delete "$ID"
	[[ ! -e $dir ]]
	user_ok run --detach --bundle "$BUNDLE" "$ID"
	[[ -e $dir ]]
	user_ok delete --force "$ID"
	[[ ! -e $dir ]]
	nothing_user_left
}

nothing_user_left() {
	is "$(marked)" '' 'processes left'
	is "$(ls "$T/xdg/oci-mini")" '' 'state left'
}

@test "rootless cgroups: a limit of a controller that was delegated works, and update changes it" {
	give_hugetlb
	local size
	size=$(page)
	config '.linux.resources.hugepageLimits = [{pageSize: $s, limit: 0}]' --arg s "$size"
	args sleep 100
	user_ok create --bundle "$BUNDLE" "$ID"
	is "$ERR" ''
	is "$(<"$GIVEN/$ID/hugetlb.$size.max")" 0
	has "$(<"$GIVEN/cgroup.subtree_control")" hugetlb
	jq -n --arg s "$size" '{hugepageLimits: [{pageSize: $s, limit: 4294967296}]}' >"$T/xdg/update"
	user_ok update --resources "$T/xdg/update" "$ID"
	is "$(<"$GIVEN/$ID/hugetlb.$size.max")" 4294967296
	user_ok delete --force "$ID"
	config '.linux.cgroupsPath = $p' --arg p "${GIVEN#/sys/fs/cgroup}/deeper/box"
	user_ok create --bundle "$BUNDLE" "$ID"
	is "$(<"$GIVEN/deeper/box/hugetlb.$size.max")" 0
	user_ok delete --force "$ID"
	[[ ! -e $GIVEN/deeper/box ]]
}

@test "rootless cgroups: a limit of a controller that was not delegated is an error with field and remedy" {
	need_controller hugetlb
	give
	local size
	size=$(awk '$1 == "Hugepagesize:" { print $2 / 1024 }' /proc/meminfo)MB
	config '.linux.resources.hugepageLimits = [{pageSize: $s, limit: 0}]' --arg s "$size"
	user_refused "/linux/resources/hugepageLimits/0/limit: the controller hugetlb is not delegated to $GIVEN: root has to write +hugetlb to " run --bundle "$BUNDLE" "$ID"
	echo +hugetlb >/sys/fs/cgroup/cgroup.subtree_control
	in_cgroup "$GIVEN"
	user_refused "the controller hugetlb is not delegated to $GIVEN" run --bundle "$BUNDLE" "$ID"
	echo +hugetlb >"$ABOVE/cgroup.subtree_control"
	user_refused "/linux/resources/hugepageLimits/0/limit: $GIVEN has processes, the runtime's own among them, and so cannot pass on the controller hugetlb: start the runtime in a cgroup below it" run --bundle "$BUNDLE" "$ID"
	in_cgroup "$GIVEN/session"
	nothing_user_left
	[[ ! -e $GIVEN/$ID ]]
	# without the limit it does not matter
	reset_config
	user_ok run --bundle "$BUNDLE" "$ID"
	is "$ERR" ''
}

@test "rootless cgroups: the printed script makes the cgroup too" {
	give_hugetlb
	config '.linux.resources.hugepageLimits = [{pageSize: $s, limit: 0}]' --arg s "$(page)"
	cp -a "$SHARED/rootfs" "$BUNDLE/rootfs"
	chown -R 2001:2001 "$BUNDLE/rootfs"
	chmod 711 "$OCI_TEST_TMP" "$T" "$BUNDLE"
	config '.root.path = "rootfs"'
	args sh -c 'id -u; grep ^0:: /proc/self/cgroup; sleep 1'
	user_ok explain --format sh --bundle "$BUNDLE" "$ID"
	as_user tee "$T/xdg/script" <"$T/out" >/dev/null
	as_user sh "$T/xdg/script" </dev/null >"$T/out" 2>"$T/err" 3>&- &
	wait_for grep -q . "$GIVEN/$ID/cgroup.procs"
	is "$(<"$GIVEN/$ID/hugetlb.$(page).max")" 0 || fail "$(<"$T/err")"
	wait "$!" || fail "the script fails: $(<"$T/err")"
	is "$(<"$T/out")" $'0\n0::/'
	[[ ! -e $GIVEN/$ID ]]
}

@test "rootless cgroups: the runtime's own cgroup is the delegated one: below it" {
	give
	in_cgroup "$GIVEN"
	args sleep 100
	user_ok create --bundle "$BUNDLE" "$ID"
	is "$ERR" ''
	[[ -e $GIVEN/$ID ]]
	user_ok pause "$ID"
	user_ok resume "$ID"
	user_ok delete --force "$ID"
	[[ ! -e $GIVEN/$ID ]]
}

@test "rootless cgroups: delegated by halves, it goes without; an absolute path elsewhere is refused" {
	give cgroup.subtree_control
	user_ok run --bundle "$BUNDLE" "$ID"
	has "$ERR" "warning: the container has no cgroup, so that it cannot be limited or paused: to enter $GIVEN/$ID: access $GIVEN/cgroup.procs: permission denied"
	config '.linux.cgroupsPath = "/elsewhere/box"'
	user_ok run --bundle "$BUNDLE" "$ID"
	has "$ERR" 'warning: the container has no cgroup, so that it cannot be limited or paused: access /sys/fs/cgroup: permission denied'
	user_refused 'make the cgroup' --rootless=false run --bundle "$BUNDLE" "$ID"
	nothing_user_left
}

# writable: the container has a cgroup namespace, and its mount can be written to.
writable() {
	config '.mounts |= (map(select(.destination != "/sys/fs/cgroup")) + [{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev"]}])
		| .linux.namespaces |= (map(select(.type != "cgroup" and .type != "network")) + [{type: "cgroup"}, {type: "network"}])'
}

@test "rootless cgroups: the container's root may divide its cgroup, and delete removes that" {
	give_hugetlb
	writable
	args sh -c 'cd /sys/fs/cgroup && cat /proc/self/cgroup && mkdir sub sub/deeper init && echo 1 >init/cgroup.procs && echo +hugetlb >cgroup.subtree_control && ls sub/hugetlb.*.max && cat /proc/self/cgroup; echo ready; sleep 100'
	config '.process.env += ["X=1"]'
	user_ok run --detach --bundle "$BUNDLE" "$ID"
	wait_for test -e "$GIVEN/$ID/sub/deeper"
	wait_for grep -q . "$GIVEN/$ID/init/cgroup.procs"
	user_ok exec "$ID" grep ^0:: /proc/self/cgroup
	is "$OUT" 0::/init
	user_ok delete --force "$ID"
	[[ ! -e $GIVEN/$ID ]]
	nothing_user_left
}

@test "rootless cgroups: of root in a user namespace that somebody else has made" {
	give_hugetlb
	local size
	size=$(page)
	IN_USER=(unshare --user --map-root-user --mount)
	config '.linux.uidMappings[0].hostID = 0 | .linux.gidMappings[0].hostID = 0 | .linux.resources.hugepageLimits = [{pageSize: $s, limit: 0}]' --arg s "$size"
	args sh -c 'id -u; grep ^0:: /proc/self/cgroup'
	user_ok run --bundle "$BUNDLE" "$ID"
	is "$OUT" $'0\n0::/'
	is "$ERR" ''
	# without a user namespace of its own, and the cgroup mounted to be divided
	config '.linux.namespaces |= map(select(.type != "user")) | del(.linux.uidMappings, .linux.gidMappings)'
	writable
	args sh -c 'cat /sys/fs/cgroup/hugetlb.*.max | sort -u | head -n 1; mkdir /sys/fs/cgroup/sub && echo made'
	user_ok run --bundle "$BUNDLE" "$ID"
	is "$OUT" $'0\nmade'
	[[ ! -e $GIVEN/$ID ]]
}

@test "rootless cgroups: a container of another user inside keeps its cgroup the caller's, and says so" {
	give
	local base=("${AS_USER[@]}")
	ranges
	AS_USER=("${base[@]}" "${AS_USER[@]}")
	writable
	config '.process.user = {uid: 1000, gid: 1000}'
	args sh -c 'mkdir /sys/fs/cgroup/sub 2>&1'
	user_rt run --bundle "$BUNDLE" "$ID"
	has "$OUT" 'Permission denied'
	has "$ERR" "warning: the container's cgroup stays the caller's"
	args sleep 100
	user_ok run --detach --bundle "$BUNDLE" "$ID"
	is "$(stat -c %u "$GIVEN/$ID" "$GIVEN/$ID/cgroup.procs" | sort -u)" 2001
	user_ok exec "$ID" id -u
	is "$OUT" 1000
	user_ok delete --force "$ID"
	[[ ! -e $GIVEN/$ID ]]
}

@test "rootless cgroups: run.oci.delegate-cgroup makes one below, which the container's root divides" {
	give_hugetlb
	writable
	config '.annotations = {"run.oci.delegate-cgroup": "payload"} | .linux.resources.hugepageLimits = [{pageSize: $s, limit: 0}]' --arg s "$(page)"
	args sh -c 'grep ^0:: /proc/self/cgroup; cd /sys/fs/cgroup/payload && mkdir sub && echo $(cat cgroup.controllers)'
	user_ok run --bundle "$BUNDLE" "$ID"
	is "$ERR" ''
	has "$OUT" $'0::/payload\n'
	like "$OUT" $'\n.*hugetlb'
	args sleep 100
	user_ok run --detach --bundle "$BUNDLE" "$ID"
	is "$(stat -c %u "$GIVEN/$ID/payload" "$GIVEN/$ID/payload/cgroup.procs" | sort -u)" 2001
	user_ok exec "$ID" grep ^0:: /proc/self/cgroup
	is "$OUT" 0::/payload
	user_ok delete --force "$ID"
	[[ ! -e $GIVEN/$ID ]]
	# To another than the caller nothing can be given, and nothing less was asked for.
	local base=("${AS_USER[@]}")
	ranges
	AS_USER=("${base[@]}" "${AS_USER[@]}")
	config '.process.user = {uid: 1000, gid: 1000}'
	user_refused '/annotations/run.oci.delegate-cgroup (payload): a user without privileges cannot give a cgroup to user' run --bundle "$BUNDLE" "$ID"
	[[ ! -e $GIVEN/$ID ]]
	nothing_user_left
}

@test "rootless cgroups: run.oci.delegate-cgroup where the container can have no cgroup is an error" {
	config '.annotations = {"run.oci.delegate-cgroup": "payload"}'
	user_refused '/annotations/run.oci.delegate-cgroup: the container has no cgroup: ' create --bundle "$BUNDLE" "$ID"
	nothing_user_left
}
