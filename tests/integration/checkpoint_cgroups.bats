#!/usr/bin/env bats
# checkpoint and restore: the cgroup is the config's, made by the runtime or by systemd, and
# those that the container has made below it are CRIU's.
# shellcheck disable=SC2034 # MANAGER is for helpers.bash

load helpers
load criu

@test "cgroups: limits are the config's, whatever they were, and the cgroup may be another" {
	needs_criu
	cgroup2 || skip 'a host with cgroup2 alone'
	only_cgroupfs 'cgroupsPath is a directory'
	need_controller pids
	need_controller memory
	config '.linux.resources.memory.limit = 100000000 | .linux.resources.pids.limit = 30'
	counting
	checkpoint
	# shellcheck disable=SC2016 # jq's
	config '.linux.cgroupsPath = $p | .linux.resources.pids.limit = 40' --arg p "/$MARK-other"
	restore
	local dir
	silent pause "$ID"
	silent resume "$ID"
	dir=$(cgroup_of "$(init_pid "$ID")")
	is "$dir" "/sys/fs/cgroup/$MARK-other"
	is "$(<"$dir/pids.max")" 40 pids.max
	is "$(<"$dir/memory.max")" 99999744 memory.max
	gone_on
	ok exec "$ID" cat /proc/1/cgroup
	like "$OUT" '(^|
)0::/$'
}

# inner_cgroup: the container moves into a cgroup that it makes below its own.
inner_cgroup() {
	own_rootfs
	config '(.mounts[] | select(.destination == "/sys/fs/cgroup") | .options) -= ["ro"]'
	args sh -c 'mkdir -p /sys/fs/cgroup/inner/most && echo $$ >/sys/fs/cgroup/inner/most/cgroup.procs && exec sleep 600'
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_for inner
}

inner() {
	rt exec "$ID" grep -x '0::/inner/most' /proc/1/cgroup && ((STATUS == 0))
}

@test "cgroups that the container has made below its own are there again" {
	needs_criu
	needs_cgroup2
	inner_cgroup
	local options
	options=$(grep ' - cgroup2 ' /proc/self/mountinfo)
	checkpoint
	is "$(jq -r .manageCgroupsMode "$T/images/oci-mini.json")" soft
	restore
	inner || fail "$(cat "/proc/$(init_pid "$ID")/cgroup")"
	ok delete --force "$ID"
	is "$(grep ' - cgroup2 ' /proc/self/mountinfo)" "$options"
}

@test "cgroups that the container has made below its own are there again in another cgroup" {
	needs_criu
	needs_cgroup2
	only_cgroupfs 'cgroupsPath is a directory'
	inner_cgroup
	local old
	old=$(cgroup_of "$(init_pid "$ID")")
	checkpoint
	refute test -e "${old%/inner/most}"
	# shellcheck disable=SC2016 # jq's
	config '.linux.cgroupsPath = $p' --arg p "/$MARK-parent/$MARK-other"
	restore
	is "$(cgroup_of "$(init_pid "$ID")")" "/sys/fs/cgroup/$MARK-parent/$MARK-other/inner/most"
	refute test -e "${old%/inner/most}"
	inner || fail "$(cat "/proc/$(init_pid "$ID")/cgroup")"
	ok delete --force "$ID"
	rmdir "/sys/fs/cgroup/$MARK-parent"
}

@test "--manage-cgroups-mode ignore: what the container has made below its own cgroup is gone" {
	needs_criu
	cgroup2 || skip 'a host with cgroup2 alone'
	inner_cgroup
	checkpoint --manage-cgroups-mode ignore
	is "$(jq -r .manageCgroupsMode "$T/images/oci-mini.json")" ignore
	restore --manage-cgroups-mode ignore
	ok exec "$ID" grep '^0:' /proc/1/cgroup
	is "$OUT" 0::/
}

@test "--manage-cgroups-mode: none, props, soft and full leave the container in its own cgroup" {
	needs_criu
	needs_cgroup2
	local mode
	counting
	for mode in none props soft full; do
		checkpoint --manage-cgroups-mode "$mode"
		restore --manage-cgroups-mode "$mode"
		gone_on
		ok exec "$ID" grep '^0:' /proc/1/cgroup
		is "$OUT" 0::/ "cgroup after mode $mode"
	done
}

# show PROPERTY: that of the container's scope.
show() {
	systemctl show --value --property "$1" "oci-mini-$ID.scope"
}

@test "systemd: the scope ends with a checkpoint, and is made again by a restore" {
	needs_criu
	need_systemd
	MANAGER=(--systemd-cgroup)
	config '.linux.resources.memory.limit = 100000000 | .linux.resources.pids.limit = 30'
	counting
	is "$(show ActiveState) $(show TasksMax)" 'active 30'
	local cgroup
	cgroup=$(show ControlGroup)
	checkpoint
	wait_for eval '[[ $(show LoadState) == not-found ]]'
	refute test -e "/sys/fs/cgroup$cgroup"
	config '.linux.resources.pids.limit = 40'
	restore
	is "$(show ActiveState) $(show TasksMax) $(show MemoryMax)" 'active 40 100000000'
	is "$(show ControlGroup)" "$cgroup"
	is "$(cgroup_of "$(init_pid "$ID")")" "/sys/fs/cgroup$cgroup"
	is "$(<"/sys/fs/cgroup$cgroup/pids.max")" 40
	gone_on
	systemctl daemon-reload
	is "$(<"/sys/fs/cgroup$cgroup/pids.max")" 40
	ok exec "$ID" true
	ok delete --force "$ID"
	wait_for eval '[[ $(show LoadState) == not-found ]]'
}

@test "systemd: a restore into another slice, with the cgroups of the container's own making" {
	needs_criu
	need_systemd
	MANAGER=(--systemd-cgroup)
	inner_cgroup
	checkpoint
	wait_for eval '[[ $(show LoadState) == not-found ]]'
	# shellcheck disable=SC2016 # jq's
	config '.linux.cgroupsPath = "user.slice:oci-mini:" + $id' --arg id "$ID"
	restore
	is "$(cgroup_of "$(init_pid "$ID")")" "/sys/fs/cgroup/user.slice/oci-mini-$ID.scope/inner/most"
	inner || fail "$(cat "/proc/$(init_pid "$ID")/cgroup")"
	is "$(show ActiveState)" active
}

@test "systemd: a restore that fails leaves no scope" {
	needs_criu
	need_systemd
	MANAGER=(--systemd-cgroup)
	counting
	checkpoint
	mv "$T/images/pstree.img" "$T/images/pstree"
	refused 'criu restore: ' restore --detach --bundle "$BUNDLE" --image-path "$T/images" "$ID"
	wait_for eval '[[ $(show LoadState) == not-found ]]'
	mv "$T/images/pstree" "$T/images/pstree.img"
	restore
	is "$(show ActiveState)" active
	gone_on
}
