#!/usr/bin/env bats
# Which cgroup a container gets, which are refused, and what each limit becomes.

load helpers

# file CONTROLLER NAME: a file of $ID's cgroup.
file() {
	cat "$(cgroup_of "$(init_pid "$ID")" "$1")/$2"
}

# own: the runtime's own cgroup, of devices on v1.
own() {
	cgroup_of self devices
}

# v1_only: what follows speaks of files of cgroup v1.
v1_only() {
	cgroup2 && skip 'about files of cgroup v1'
	[[ -d /sys/fs/cgroup/$1 ]] || skip "no cgroup v1 hierarchy with the $1 controller"
}

@test "cgroupsPath absent: the id, beside or below the runtime's own cgroup" {
	only_cgroupfs "a path in the hierarchy"
	args sleep 60
	config 'del(.linux.cgroupsPath)'
	ok create --bundle "$BUNDLE" "$ID"
	dir=$(cgroup_of "$(init_pid "$ID")")
	if cgroup2; then
		is "$dir" "$(dirname "$(own)/.")/$ID" 2>/dev/null || is "$dir" "$(dirname "$(own)")/$ID"
	else
		is "$dir" "$(own | sed 's,/$,,')/$ID"
	fi
}

@test "cgroupsPath relative: below the runtime's own cgroup; absolute: from the mount point" {
	only_cgroupfs "a path in the hierarchy"
	args sleep 60
	config '.linux.cgroupsPath = $p' --arg p "$MARK-a/b"
	ok create --bundle "$BUNDLE" "$ID"
	dir=$(cgroup_of "$(init_pid "$ID")")
	has "$dir/" "/$MARK-a/b/"
	cgroup2 || is "$dir" "$(own | sed 's,/$,,')/$MARK-a/b"
	ok delete "$ID"
	find /sys/fs/cgroup -depth -type d -name "$MARK-a" -exec rmdir {} +
	config '.linux.cgroupsPath = $p' --arg p "//$MARK-a/./b/../c/"
	ok create --bundle "$BUNDLE" "$ID"
	dir=$(cgroup_of "$(init_pid "$ID")")
	like "$dir" "^/sys/fs/cgroup(/devices)?/$MARK-a/c\$"
	ok delete "$ID"
	find /sys/fs/cgroup -depth -type d -name "$MARK-a" -exec rmdir {} +
	nothing_left
}

@test "cgroupsPath: the root of the hierarchy and what leads out are refused" {
	only_cgroupfs "a path in the hierarchy"
	for p in / // /. /a/.. .; do
		config '.linux.cgroupsPath = $p' --arg p "$p"
		refused /linux/cgroupsPath create --bundle "$BUNDLE" "$ID"
	done
	for p in .. ../x a/../../x /../x; do
		config '.linux.cgroupsPath = $p' --arg p "$p"
		rt create --bundle "$BUNDLE" "$ID"
		((STATUS == 1)) || fail "cgroupsPath $p is accepted"
	done
	nothing_left
}

# occupied: makes the cgroup /$MARK-there in the hierarchy of devices, or the
# unified one, and prints it.
occupied() {
	local top=/sys/fs/cgroup/devices
	cgroup2 && top=/sys/fs/cgroup
	mkdir "$top/$MARK-there"
	echo "$top/$MARK-there"
	config '.linux.cgroupsPath = $p' --arg p "/$MARK-there"
}

@test "an existing cgroup with a process in it is refused, and left alone" {
	only_cgroupfs "a path in the hierarchy"
	dir=$(occupied)
	sleep 60 3>&- &
	sleeper=$!
	STARTED+=("$sleeper")
	echo "$sleeper" >"$dir/cgroup.procs"
	refused 'not empty' create --bundle "$BUNDLE" "$ID"
	has "$ERR" "$dir"
	is "$(<"$dir/cgroup.procs")" "$sleeper" 'processes in the cgroup'
	kill "$sleeper"
	wait "$sleeper" || true
	# Empty, it may be used.
	args true
	ok run --bundle "$BUNDLE" "$ID"
	[[ ! -d $dir ]] || rmdir "$dir"
	nothing_left
}

@test "an existing cgroup that is frozen is refused, and stays frozen" {
	only_cgroupfs "a path in the hierarchy"
	if cgroup2; then
		dir=/sys/fs/cgroup/$MARK-there freeze=cgroup.freeze frozen=1 thawed=0
	else
		[[ -d /sys/fs/cgroup/freezer ]] || skip 'no freezer hierarchy'
		dir=/sys/fs/cgroup/freezer/$MARK-there freeze=freezer.state frozen=FROZEN thawed=THAWED
	fi
	mkdir "$dir"
	echo "$frozen" >"$dir/$freeze"
	for p in "/$MARK-there" "/$MARK-there/below"; do
		config '.linux.cgroupsPath = $p' --arg p "$p"
		RT_TIMEOUT=10 refused frozen create --bundle "$BUNDLE" "$ID"
	done
	is "$(<"$dir/$freeze")" "$frozen" state
	echo "$thawed" >"$dir/$freeze"
	rmdir "$dir"
	nothing_left
}

@test "two containers with one cgroupsPath: the second is refused" {
	only_cgroupfs "a path in the hierarchy"
	args sleep 60
	config '.linux.cgroupsPath = $p' --arg p "/$MARK-one"
	ok run --detach --bundle "$BUNDLE" "$ID"
	refused 'not empty' create --bundle "$BUNDLE" "$ID.b"
	status_is "$ID" running
}

@test "--cgroup-manager disabled: no cgroup is made, the container runs in the caller's" {
	args sleep 60
	ok --cgroup-manager disabled run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	[[ -z $(find /sys/fs/cgroup -type d -path "*$MARK*") ]]
	is "$(cut -d: -f2- "/proc/$pid/cgroup" | sort)" "$(cut -d: -f2- /proc/self/cgroup | sort)" cgroups
	silent kill "$ID" KILL
	wait_for status_is "$ID" stopped
	silent delete "$ID"
	args cat /proc/self/cgroup
	ok --cgroup-manager=disabled run --bundle "$BUNDLE" "$ID"
	refused cgroupfs --cgroup-manager nonsense run --bundle "$BUNDLE" "$ID"
	nothing_left
}

@test "--cgroup-manager disabled: in the caller's cgroup namespace, a mount of cgroup2 takes nothing from the host's" {
	only_oci_mini 'no mount of its own there'
	local before after
	before=$(sed -n 's/.* - cgroup2 //p' /proc/self/mountinfo)
	[[ $before ]] || skip "cgroup2 is mounted nowhere"
	config '.linux.namespaces |= map(select(.type != "cgroup"))'
	args sh -c 'own=$(sed -n s/^0:://p /proc/self/cgroup); grep -qx $$ "/sys/fs/cgroup$own/cgroup.procs" && echo by its path'
	rt --cgroup-manager disabled run --bundle "$BUNDLE" "$ID"
	after=$(sed -n 's/.* - cgroup2 //p' /proc/self/mountinfo)
	is "$after" "$before" 'the options of cgroup2'
	# In a user namespace nobody may mount it.
	[[ $WORLD != root ]] || is "$STATUS:$OUT" '0:by its path'
}

@test "pids limit 0: the process runs and can have no children; absent and -1 are none" {
	need_controller pids
	config '.linux.resources.pids = {limit: 0}'
	inside 'echo up; (echo child); echo after'
	has "$OUT" up
	lacks "$OUT" child
	has "$ERR" "can't fork"
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	is "$(file pids pids.max)" 0
	ok delete --force "$ID"
	# A unit that says nothing gets what systemd gives to all.
	local unsaid=max
	((${#MANAGER[@]} == 0)) || unsaid=$(systemctl "--$([[ $WORLD == rootless ]] && echo user || echo system)" show --property DefaultTasksMax --value)
	for pids in '{"limit": -1}' '{}' null; do
		config '.linux.resources.pids = $p' --argjson p "$pids"
		ok run --detach --bundle "$BUNDLE" "$ID"
		if [[ $pids == *-1* ]]; then
			is "$(file pids pids.max)" max "limit of $pids"
		else
			is "$(file pids pids.max)" "${unsaid/infinity/max}" "limit of $pids"
		fi
		ok delete --force "$ID"
	done
	config '.linux.resources.pids = {limit: -2}'
	refused /linux/resources/pids/limit create --bundle "$BUNDLE" "$ID"
	nothing_left
}

@test "swap is memory and swap together: above the limit, equal, -1, 0 and below" {
	need_controller memory
	args sleep 60
	plain=$((64 << 20))
	while read -r swap v1 v2; do
		config '.linux.resources.memory = {limit: $l, swap: $s}' --argjson l "$plain" --argjson s "$swap"
		if [[ $v1 == refused ]]; then
			refused /linux/resources/memory/swap create --bundle "$BUNDLE" "$ID"
			continue
		fi
		ok create --bundle "$BUNDLE" "$ID"
		if cgroup2; then
			is "$(file memory memory.max)" "$plain"
			is "$(file memory memory.swap.max)" "$v2" "swap $swap"
		else
			is "$(file memory memory.limit_in_bytes)" "$plain"
			[[ $v1 == most ]] && v1=$(cat /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes)
			is "$(file memory memory.memsw.limit_in_bytes)" "$v1" "swap $swap"
		fi
		ok delete "$ID"
	done <<-'END'
		134217728 134217728 67108864
		67108864 67108864 0
		-1 most max
		0 most max
		33554432 refused refused
	END
	nothing_left
}

@test "swap without a memory limit: as it is on v1, an error on v2" {
	need_controller memory
	args sleep 60
	config '.linux.resources.memory = {swap: 134217728}'
	if cgroup2; then
		refused 'needs a memory limit' create --bundle "$BUNDLE" "$ID"
		return
	fi
	# The kernel holds memory <= memory and swap, so it refuses this by itself.
	rt create --bundle "$BUNDLE" "$ID"
	is "$STATUS" 1
	has "$ERR" memory.memsw.limit_in_bytes
	has "$ERR" 'invalid argument'
	nothing_left
}

@test "cpu: shares at their bounds and over, quota -1, burst, idle" {
	v1_only cpu
	args sleep 60
	for shares in 2 1024 262144; do
		config '.linux.resources.cpu = {shares: $s}' --argjson s "$shares"
		ok create --bundle "$BUNDLE" "$ID"
		is "$(file cpu cpu.shares)" "$shares"
		ok delete "$ID"
	done
	config '.linux.resources.cpu = {shares: 0}'
	ok create --bundle "$BUNDLE" "$ID"
	is "$(file cpu cpu.shares)" 1024 'shares of 0, which is "not set"'
	ok delete "$ID"
	for shares in 1 262145; do
		config '.linux.resources.cpu = {shares: $s}' --argjson s "$shares"
		refused /linux/resources/cpu/shares create --bundle "$BUNDLE" "$ID"
	done
	config '.linux.resources.cpu = {quota: -1, period: 50000}'
	ok create --bundle "$BUNDLE" "$ID"
	is "$(file cpu cpu.cfs_quota_us) $(file cpu cpu.cfs_period_us)" '-1 50000'
	ok delete "$ID"
	config '.linux.resources.cpu = {quota: 20000, period: 100000, burst: 10000}'
	ok create --bundle "$BUNDLE" "$ID"
	is "$(file cpu cpu.cfs_quota_us) $(file cpu cpu.cfs_burst_us)" '20000 10000'
	ok delete "$ID"
	config '.linux.resources.cpu = {quota: 20000, burst: 30000}'
	refused /linux/resources/cpu/burst create --bundle "$BUNDLE" "$ID"
	config '.linux.resources.cpu = {idle: 1}'
	ok create --bundle "$BUNDLE" "$ID"
	is "$(file cpu cpu.idle)" 1
}

@test "a realtime budget is written where the kernel has it, and is no silent no-op" {
	v1_only cpu
	config '.linux.resources.cpu = {realtimeRuntime: 0, realtimePeriod: 1000000}'
	args sleep 60
	rt create --bundle "$BUNDLE" "$ID"
	if [[ -e /sys/fs/cgroup/cpu/cpu.rt_period_us ]]; then
		is "$STATUS:$ERR" 0:
		is "$(file cpu cpu.rt_period_us)" 1000000
	else
		is "$STATUS" 1
		has "$ERR" cpu.rt_period_us
	fi
}

@test "unified needs cgroup v2" {
	cgroup2 && skip 'the cgroups here are v2'
	config '.linux.resources.unified = {"pids.max": "10"}'
	refused /linux/resources/unified create --bundle "$BUNDLE" "$ID"
	has "$ERR" 'cgroup v2'
	nothing_left
}

@test "unified: a controller that is missing, files that act on processes, no controller" {
	cgroup2 || skip "the machine's cgroups are not unified"
	for key in nonsense.max plain .max cgroup.procs cgroup.kill cgroup.freeze cgroup.threads a/b.c; do
		config '.linux.resources.unified = {($k): "1"}' --arg k "$key"
		refused /linux/resources/unified/ create --bundle "$BUNDLE" "$ID"
	done
	nothing_left
}

@test "block I/O: throttles, and a weight where the scheduler has one" {
	v1_only blkio
	args sleep 60
	read -r major minor < <(lsblk -dnro MAJ:MIN 2>/dev/null | tr : ' ' | head -n 1) || skip 'no block device'
	config '.linux.resources.blockIO = {throttleReadBpsDevice: [{major: $a, minor: $b, rate: 1048576}],
		throttleWriteIOPSDevice: [{major: $a, minor: $b, rate: 100}]}' --argjson a "$major" --argjson b "$minor"
	ok create --bundle "$BUNDLE" "$ID"
	is "$(file blkio blkio.throttle.read_bps_device)" "$major:$minor 1048576"
	is "$(file blkio blkio.throttle.write_iops_device)" "$major:$minor 100"
	ok delete "$ID"
	config '.linux.resources.blockIO = {weight: 500}'
	rt create --bundle "$BUNDLE" "$ID"
	if ((STATUS == 0)); then
		like "$(file blkio blkio.bfq.weight 2>/dev/null || file blkio blkio.weight)" '500$'
	else
		has "$ERR" /linux/resources/blockIO/weight
	fi
	config '.linux.resources.blockIO = {weight: 5}'
	refused /linux/resources/blockIO/weight create --bundle "$BUNDLE" "$ID.b"
}

@test "huge pages: a limit, and a size that is none" {
	config '.linux.resources.hugepageLimits = [{pageSize: "2MB", limit: 4194304}]'
	args sleep 60
	rt create --bundle "$BUNDLE" "$ID"
	if ((STATUS == 0)); then
		dir=/sys/fs/cgroup/unified name=hugetlb.2MB.max
		cgroup2 && dir=/sys/fs/cgroup
		path=$(sed -n 's/^0:://p' "/proc/$(init_pid "$ID")/cgroup")
		if [[ -e $dir$path/$name ]]; then
			is "$(<"$dir$path/$name")" 4194304
			is "$(<"$dir$path/hugetlb.2MB.rsvd.max")" 4194304
		else
			is "$(file hugetlb hugetlb.2MB.limit_in_bytes)" 4194304
		fi
		ok delete "$ID"
	else
		has "$ERR" /linux/resources/hugepageLimits/0
	fi
	for size in 2 2M 02MB MB 2mb ../2MB; do
		config '.linux.resources.hugepageLimits = [{pageSize: $s, limit: 1}]' --arg s "$size"
		refused /linux/resources/hugepageLimits/0/pageSize create --bundle "$BUNDLE" "$ID.b"
	done
}

@test "a cgroup namespace joined by path, and the mount shows that cgroup" {
	args sleep 60
	config '.linux.namespaces |= (map(select(.type != "cgroup")) + [{type: "cgroup"}])'
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	config '.linux.namespaces |= map(if .type == "cgroup" then .path = $p else . end)' --arg p "/proc/$pid/ns/cgroup"
	# It belongs to the user namespace that its owner has.
	case $WORLD in
	userns) refused 'hint: the namespace that it shows belongs to another user namespace' create --bundle "$BUNDLE" "$ID.b" ;;
	rootless) refused 'hint: a namespace can be joined by who is root in the user namespace that it belongs to' create --bundle "$BUNDLE" "$ID.b" ;;
	esac
	join_users "$pid"
	args sh -c 'readlink /proc/self/ns/cgroup; cat /proc/self/cgroup'
	ok run --bundle "$BUNDLE" "$ID.b"
	is "$(head -n 1 <<<"$OUT")" "$(readlink "/proc/$pid/ns/cgroup")"
	has "$OUT" "/../$(leaf "$ID.b")"
}
