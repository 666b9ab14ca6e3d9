#!/usr/bin/env bats
# Where the container's cgroup is and what its files say.

load helpers

# value FILE-ON-V1 FILE-ON-V2 CONTROLLER: what the file of $ID's cgroup says.
value() {
	local file=$1
	cgroup2 && file=$2
	cat "$(cgroup_of "$(init_pid "$ID")" "$3")/$file"
}

@test "the container has a cgroup of its own in every hierarchy, gone after delete" {
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	while IFS=: read -r _ names path; do
		if cgroup2 && [[ -n $names ]]; then continue; fi
		has "$path" "$ID"
	done <"/proc/$pid/cgroup"
	ok delete --force "$ID"
	[[ -z $(find /sys/fs/cgroup -type d -name "*$ID*") ]]
	nothing_left
}

@test "cgroupsPath: absolute, and relative somewhere below" {
	only_cgroupfs "a path in the hierarchy"
	args sleep 60
	config '.linux.cgroupsPath = $p' --arg p "/$MARK-outer/inner"
	ok create --bundle "$BUNDLE" "$ID"
	has "$(cgroup_of "$(init_pid "$ID")")/" "/$MARK-outer/inner/"
	ok delete --force "$ID"
	find /sys/fs/cgroup -depth -type d -name "$MARK-outer" -exec rmdir {} +
	config '.linux.cgroupsPath = $p' --arg p "$MARK-relative"
	ok create --bundle "$BUNDLE" "$ID"
	has "$(cgroup_of "$(init_pid "$ID")")" "$MARK-relative"
	ok delete --force "$ID"
	nothing_left
}

@test "cgroupsPath: .. never leads out of the hierarchy" {
	only_cgroupfs "a path in the hierarchy"
	args sleep 60
	config '.linux.cgroupsPath = $p' --arg p "/../../../$MARK-up"
	rt create --bundle "$BUNDLE" "$ID"
	if ((STATUS == 0)); then
		like "$(cgroup_of "$(init_pid "$ID")")" "^/sys/fs/cgroup(/[a-z_,]+)?/$MARK-up"
	fi
	rt delete --force "$ID"
	[[ ! -e /sys/fs/$MARK-up && ! -e /sys/$MARK-up ]]
	nothing_left
}

@test "memory limit and reservation" {
	need_controller memory
	args sleep 60
	config '.linux.resources.memory = {limit: 67108864, reservation: 33554432}'
	ok create --bundle "$BUNDLE" "$ID"
	is "$(value memory.limit_in_bytes memory.max memory)" 67108864
	is "$(value memory.soft_limit_in_bytes memory.low memory)" 33554432
}

@test "a memory limit is enforced" {
	need_controller memory
	config '.linux.resources.memory = {limit: 16777216}'
	inside 'x=x; while :; do x=$x$x; done'
	((STATUS != 0))
	nothing_left
}

@test "cpu: shares, quota and period" {
	need_controller cpu
	args sleep 60
	config '.linux.resources.cpu = {shares: 512, quota: 50000, period: 200000}'
	ok create --bundle "$BUNDLE" "$ID"
	if cgroup2; then
		is "$(value - cpu.max cpu)" '50000 200000'
		like "$(value - cpu.weight cpu)" '^[0-9]+$'
	else
		is "$(value cpu.shares - cpu)" 512
		is "$(value cpu.cfs_quota_us - cpu)" 50000
		is "$(value cpu.cfs_period_us - cpu)" 200000
	fi
}

@test "cpuset: cpus and mems" {
	need_controller cpuset
	args sleep 60
	config '.linux.resources.cpu = {cpus: "0", mems: "0"}'
	ok create --bundle "$BUNDLE" "$ID"
	is "$(value cpuset.cpus cpuset.cpus cpuset)" 0
	is "$(awk '/^Cpus_allowed_list/ { print $2 }' "/proc/$(init_pid "$ID")/status")" 0
}

@test "pids: a limit, enforced, and -1 for none" {
	need_controller pids
	config '.linux.resources.pids = {limit: 5}'
	inside 'for i in 1 2 3 4 5 6 7 8; do sleep 60 & done'
	has "$ERR" "can't fork"
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	is "$(value pids.max pids.max pids)" 5
	ok delete --force "$ID"
	config '.linux.resources.pids = {limit: -1}'
	ok run --detach --bundle "$BUNDLE" "$ID"
	is "$(value pids.max pids.max pids)" max
}

@test "a limit without its controller is an error, not ignored" {
	cgroup2 || skip "cgroup v1 has the pids controller"
	grep -qw pids /sys/fs/cgroup/cgroup.controllers && skip "cgroup2 here has the pids controller"
	config '.linux.resources.pids = {limit: 5}'
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" pids
	nothing_left
}

@test "a value the kernel refuses fails create, names the file, leaves nothing" {
	need_controller cpuset
	config '.linux.resources.cpu = {cpus: "4000"}'
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" cpuset.cpus
	nothing_left
}

@test "sub-cgroups made inside are removed by delete" {
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	dir=$(cgroup_of "$(init_pid "$ID")")
	mkdir -p "$dir/a/b/c" "$dir/d"
	sleep 60 3>&- &
	STARTED+=("$!")
	ok delete --force "$ID"
	[[ ! -e $dir ]]
	nothing_left
}

@test "processes in a sub-cgroup die with the container" {
	args sh -c 'sleep 60 & wait'
	ok run --detach --bundle "$BUNDLE" "$ID"
	dir=$(cgroup_of "$(init_pid "$ID")")
	mkdir "$dir/sub"
	# On cgroup2 the child may move only while no controller is handed down.
	child=$(pgrep -P "$(init_pid "$ID")")
	echo "$child" >"$dir/sub/cgroup.procs"
	ok delete --force "$ID"
	wait_for gone "$child"
	nothing_left
}

@test "unified: files are written as given, a bad one is an error" {
	cgroup2 || skip "the machine's cgroups are not unified"
	args sleep 60
	config '.linux.resources.unified = {"cgroup.max.depth": "7"}'
	ok create --bundle "$BUNDLE" "$ID"
	is "$(value - cgroup.max.depth)" 7
	ok delete --force "$ID"
	for key in no.such.file ../cgroup.max.depth a/b; do
		config '.linux.resources.unified = {($k): "7"}' --arg k "$key"
		rt create --bundle "$BUNDLE" "$ID"
		((STATUS == 1)) || fail "unified key $key is accepted"
	done
	nothing_left
}

@test "update changes a limit of a running container" {
	need_controller pids
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	silent update --pids-limit 33 "$ID"
	is "$(value pids.max pids.max pids)" 33
	rt_stdin update --resources - "$ID" <<<'{"pids": {"limit": 44}}'
	is "$STATUS:$OUT$ERR" 0:
	is "$(value pids.max pids.max pids)" 44
}

@test "--systemd-cgroup without systemd is a clear error" {
	[[ ! -d /run/systemd/system ]] || skip "systemd runs here"
	rt --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" systemd
	nothing_left
}
