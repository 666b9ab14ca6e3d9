#!/usr/bin/env bats
# update: limits of a container that is there already, all of them or none.

load helpers

# at CONTROLLER V1-FILE [V2-FILE]: what the file of $ID's cgroup says.
at() {
	local file=$2
	cgroup2 && file=${3:-$2}
	cat "$(cgroup_of "$(init_pid "$ID")" "$1")/$file"
}

sleeping() {
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
}

# from_stdin JSON [ARG...]: update with the document on standard input.
from_stdin() {
	local document=$1
	shift
	rt_stdin update --resources=- "$@" "$ID" <<<"$document"
}

@test "update: memory in units, raised and lowered with swap, -1" {
	need_controller memory
	cgroup2 && skip "checked against the files of cgroup v1"
	sleeping
	silent update --memory 64M --memory-swap 128M --memory-reservation 32m "$ID"
	is "$(at memory memory.limit_in_bytes)" 67108864
	is "$(at memory memory.memsw.limit_in_bytes)" 134217728
	is "$(at memory memory.soft_limit_in_bytes)" 33554432
	silent update --memory 256M --memory-swap 512M "$ID"
	is "$(at memory memory.limit_in_bytes)" 268435456
	is "$(at memory memory.memsw.limit_in_bytes)" 536870912
	silent update --memory 32M --memory-swap 32M "$ID"
	is "$(at memory memory.memsw.limit_in_bytes)" 33554432
	silent update --memory=-1 "$ID"
	(($(at memory memory.limit_in_bytes) > 1 << 60))
	(($(at memory memory.memsw.limit_in_bytes) > 1 << 60))
}

@test "update: cpu, one setting at a time keeps the others" {
	need_controller cpu
	config '.linux.resources.cpu = {quota: 30000, period: 60000}'
	sleeping
	silent update --cpu-quota 50000 "$ID"
	silent update --cpu-share 512 "$ID"
	if cgroup2; then
		is "$(at cpu cpu.max)" '50000 60000'
	else
		is "$(at cpu cpu.cfs_quota_us) $(at cpu cpu.cfs_period_us) $(at cpu cpu.shares)" '50000 60000 512'
	fi
	silent update --cpu-period 100000 "$ID"
	if cgroup2; then
		is "$(at cpu cpu.max)" '50000 100000'
	else
		is "$(at cpu cpu.cfs_quota_us) $(at cpu cpu.cfs_period_us) $(at cpu cpu.shares)" '50000 100000 512'
	fi
	silent update --cpu-burst 20000 "$ID"
	is "$(at cpu cpu.cfs_burst_us cpu.max.burst)" 20000
	refused '/cpu/burst' update --cpu-burst 50001 "$ID"
	cgroup2 || has "$ERR" 'the quota is 50000'
	silent update --cpu-idle 1 "$ID"
	is "$(at cpu cpu.idle)" 1
	silent update --cpu-idle 0 --cpu-share 700 "$ID"
	is "$(at cpu cpu.idle)" 0
	silent update --cpu-quota=-1 "$ID"
	is "$(at cpu cpu.cfs_quota_us cpu.max | cut -d' ' -f1 | sed s/max/-1/)" -1
}

@test "update: cpuset, from flags and from a file" {
	need_controller cpuset
	sleeping
	silent update --cpuset-cpus 0 --cpuset-mems 0 "$ID"
	is "$(at cpuset cpuset.cpus)" 0
	is "$(awk '/^Cpus_allowed_list/ { print $2 }' "/proc/$(init_pid "$ID")/status")" 0
	echo '{"cpu": {"cpus": "0-'$(($(nproc) - 1))'"}}' >"$T/r.json"
	silent update -r "$T/r.json" "$ID"
	refused cpuset.cpus update --cpuset-cpus 4000 "$ID"
}

@test "update: a document on standard input, unknown keys and devices ignored, flags win" {
	need_controller pids
	sleeping
	from_stdin '{"pids": {"limit": 41}, "nonsense": {"a": 1}, "devices": [{"allow": false, "access": "rwm"}]}'
	is "$STATUS:$OUT$ERR" 0:
	is "$(at pids pids.max)" 41
	rt_stdin update --resources - "$ID" <<<'{"pids": {"limit": 42}}'
	is "$STATUS:$OUT$ERR" 0:
	is "$(at pids pids.max)" 42
	from_stdin '{"pids": {"limit": 43}}' --pids-limit 44
	is "$STATUS:$OUT$ERR" 0:
	is "$(at pids pids.max)" 44
	from_stdin '{}'
	is "$STATUS:$OUT$ERR" 0:
	is "$(at pids pids.max)" 44
	silent update --pids-limit -1 "$ID"
	is "$(at pids pids.max)" max
}

@test "update: a document with faults names them all and changes nothing" {
	need_controller pids
	config '.linux.resources.pids = {limit: 40}'
	sleeping
	from_stdin '{"pids": {"limit": -5}, "hugepageLimits": [{"pageSize": "2mb", "limit": 1}], "cpu": {"cpus": "3-1"}}'
	((STATUS == 1))
	has "$ERR" /pids/limit
	has "$ERR" /hugepageLimits/0/pageSize
	has "$ERR" /cpu/cpus
	from_stdin '{"pids": {"limit": 50}, "unified": {"a/b": "1"}}'
	((STATUS == 1))
	has "$ERR" '/unified/a~1b'
	from_stdin '{"pids": {"limit": 50}'
	((STATUS == 1))
	has "$ERR" 'standard input'
	from_stdin '{"pids": {"limit": "50"}}'
	((STATUS == 1))
	has "$ERR" /pids/limit
	refused 'no such file' update -r "$T/none" "$ID"
	refused '--memory: "64Q" is not a size' update --memory 64Q --pids-limit 50 "$ID"
	is "$(at pids pids.max)" 40
}

@test "update: when the kernel refuses one value the others are put back" {
	need_controller cpuset
	need_controller cpu
	config '.linux.resources.cpu = {shares: 500}'
	sleeping
	weight=$(at cpu cpu.shares cpu.weight)
	cpus=$(at cpuset cpuset.cpus)
	# No period is that short, but only the kernel knows.
	refused 'nothing was changed' update --cpuset-cpus 0 --cpu-share 900 --cpu-period 1 "$ID"
	has "$ERR" period
	is "$(at cpu cpu.shares cpu.weight)" "$weight"
	# An empty cpuset of cgroup v2 is given back as what it meant.
	is "$(at cpuset cpuset.cpus)" "${cpus:-$(cat /sys/fs/cgroup/cpuset.cpus.effective)}"
}

@test "update: a memory limit below the usage is refused, with wanted, current and peak" {
	need_controller memory
	cgroup2 && skip "cgroup v2 takes every limit, and kills"
	config '.linux.resources.cpu = {shares: 500}'
	sleeping
	limit=$(at memory memory.limit_in_bytes)
	rt update --cpu-share 900 --memory 4k "$ID"
	((STATUS == 1))
	like "$ERR" 'memory limit to 4096 \(current usage: [0-9]+, peak usage: [0-9]+\).*nothing was changed'
	is "$(at memory memory.limit_in_bytes)" "$limit"
	is "$(at cpu cpu.shares)" 500
}

@test "update: checkBeforeUpdate, in the document and in the config" {
	need_controller memory
	sleeping
	from_stdin '{"memory": {"limit": 4096, "checkBeforeUpdate": true}}'
	((STATUS == 1))
	has "$ERR" '/memory/limit: 4096 is below the memory in use'
	ok delete --force "$ID"
	config '.linux.resources.memory.checkBeforeUpdate = true'
	sleeping
	refused 'is below the memory in use' update --memory 4096 "$ID"
	silent update --memory 64M "$ID"
}

@test "update: created and paused containers too, stopped and missing ones not" {
	need_controller pids
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	silent update --pids-limit 31 "$ID"
	ok start "$ID"
	silent pause "$ID"
	silent update --pids-limit 32 "$ID"
	is "$(at pids pids.max)" 32
	status_is "$ID" paused
	ok kill "$ID" KILL
	wait_for status_is "$ID" stopped
	refused 'container not running' update --pids-limit 33 "$ID"
	ok delete "$ID"
	refused 'does not exist' update --pids-limit 33 "$ID"
}

@test "update: hugetlb" {
	need_controller hugetlb
	size=$(find /sys/kernel/mm/hugepages -name hugepages-2048kB -printf 2MB)
	[[ $size ]] || skip "no huge pages of 2 MB"
	config '.linux.resources.hugepageLimits = [{pageSize: "2MB", limit: 8388608}]'
	sleeping
	from_stdin '{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}'
	is "$STATUS:$OUT$ERR" 0:
	is "$(at hugetlb hugetlb.2MB.limit_in_bytes hugetlb.2MB.max)" 4194304
	# The kernel has no file for the second, and the first is put back.
	from_stdin '{"hugepageLimits": [{"pageSize": "2MB", "limit": 2097152}, {"pageSize": "3MB", "limit": 1}]}'
	((STATUS == 1))
	has "$ERR" /hugepageLimits/1
	is "$(at hugetlb hugetlb.2MB.limit_in_bytes hugetlb.2MB.max)" 4194304
	is "$(at hugetlb hugetlb.2MB.rsvd.limit_in_bytes hugetlb.2MB.rsvd.max)" 4194304
}

@test "update: a controller of cgroup v2 that the container did not need before" {
	cgroup2 || skip 'a hierarchy of cgroup v1 has its controllers always'
	need_controller hugetlb
	[[ -d /sys/kernel/mm/hugepages/hugepages-2048kB ]] || skip "no huge pages of 2 MB"
	# Below a cgroup of its own, in which nobody has turned it on.
	if ((${#MANAGER[@]})); then
		config '.linux.cgroupsPath = $p' --arg p "$ID.slice:oci-mini:$ID"
	else
		config '.linux.cgroupsPath = $p' --arg p "/$ID.above/$ID"
	fi
	sleeping
	lacks "$(at - cgroup.controllers)" hugetlb
	from_stdin '{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}'
	is "$STATUS:$OUT$ERR" 0:
	is "$(at hugetlb hugetlb.2MB.max)" 4194304
	ok delete --force "$ID"
	[[ ! -d /sys/fs/cgroup/$ID.above ]] || rmdir "/sys/fs/cgroup/$ID.above"
	((${#MANAGER[@]} == 0)) || systemctl stop "$ID.slice"
}

@test "update: unified adds to what is there" {
	cgroup2 || skip "the machine's cgroups are not unified"
	config '.linux.resources.unified = {"cgroup.max.depth": "7"}'
	sleeping
	from_stdin '{"unified": {"cgroup.max.descendants": "9"}}'
	is "$STATUS:$OUT$ERR" 0:
	is "$(at - cgroup.max.depth) $(at - cgroup.max.descendants)" '7 9'
	from_stdin '{"unified": {"cgroup.max.depth": "8", "cgroup.max.descendants": "x"}}'
	((STATUS == 1))
	has "$ERR" 'nothing was changed'
	is "$(at - cgroup.max.depth) $(at - cgroup.max.descendants)" '7 9'
}

@test "update: what is not there is said" {
	sleeping
	rt update --kernel-memory 1M "$ID"
	((STATUS == 0))
	has "$ERR" 'kernel memory are ignored'
	refused 'created without /linux/intelRdt' update --l3-cache-schema L3:0=f "$ID"
	refused '--mem-bw-schema: must be one line that begins with MB:' update --mem-bw-schema 0=50 "$ID"
	from_stdin '{"rdma": {"mlx5_1": {"hcaHandles": 3}}}'
	# Without such a device it is refused, in whichever way.
	is "$STATUS" 1
	has "$ERR" /rdma/mlx5_1
}

@test "update: block I/O weight, where a scheduler has one" {
	need_controller "$(cgroup2 && echo io || echo blkio)"
	sleeping
	rt update --blkio-weight 321 "$ID"
	for file in blkio.bfq.weight blkio.weight io.bfq.weight io.weight; do
		[[ -e $(cgroup_of "$(init_pid "$ID")" blkio)/$file ]] || continue
		is "$STATUS:$ERR" 0:
		like "$(at blkio "$file")" "^(default )?$([[ $file == io.weight ]] && echo 3142 || echo 321)$"
		return
	done
	is "$STATUS" 1
	has "$ERR" /blockIO/weight
	has "$ERR" 'no such file'
}

@test "update: a realtime budget" {
	need_controller cpu
	sleeping
	if cgroup2 || [[ ! -e /sys/fs/cgroup/cpu/cpu.rt_runtime_us ]]; then
		refused /cpu/realtime update --cpu-rt-runtime 1000 "$ID"
		return
	fi
	silent update --cpu-rt-period 500000 --cpu-rt-runtime 2000 "$ID"
	is "$(at cpu cpu.rt_period_us) $(at cpu cpu.rt_runtime_us)" '500000 2000'
	silent update --cpu-rt-runtime 3000 "$ID"
	is "$(at cpu cpu.rt_period_us) $(at cpu cpu.rt_runtime_us)" '500000 3000'
	# More than the period: what was written before it is put back.
	cpus=$(at cpu cpu.shares)
	refused 'nothing was changed' update --cpu-share 777 --cpu-rt-runtime 600000 "$ID"
	has "$ERR" /cpu/realtimeRuntime
	is "$(at cpu cpu.rt_runtime_us) $(at cpu cpu.shares)" "3000 $cpus"
}

@test "update: swappiness and the out-of-memory killer, of cgroup v1" {
	need_controller memory
	sleeping
	from_stdin '{"memory": {"swappiness": 17, "disableOOMKiller": true}}'
	if cgroup2; then
		is "$STATUS" 1
		has "$ERR" /memory/swappiness
		return
	fi
	is "$STATUS:$ERR" 0:
	is "$(at memory memory.swappiness)" 17
	like "$(at memory memory.oom_control)" 'oom_kill_disable 1'
	from_stdin '{"memory": {"swappiness": 18, "limit": 4096}}'
	is "$STATUS" 1
	has "$ERR" 'nothing was changed'
	is "$(at memory memory.swappiness)" 17
}

@test "update: network class and priorities" {
	if cgroup2; then
		sleeping
		from_stdin '{"network": {"classID": 1048577}}'
		is "$STATUS" 1
		has "$ERR" /network/classID
		return
	fi
	need_controller net_cls
	need_controller net_prio
	sleeping
	from_stdin '{"network": {"classID": 1048577, "priorities": [{"name": "lo", "priority": 5}]}}'
	is "$STATUS:$ERR" 0:
	is "$(at net_cls net_cls.classid)" 1048577
	has "$(at net_prio net_prio.ifpriomap)" 'lo 5'
	from_stdin '{"network": {"classID": 7, "priorities": [{"name": "lo", "priority": 9}, {"name": "no-such-dev", "priority": 1}]}}'
	is "$STATUS" 1
	has "$ERR" /network/priorities/1
	has "$ERR" 'nothing was changed'
	is "$(at net_cls net_cls.classid)" 1048577
	has "$(at net_prio net_prio.ifpriomap)" 'lo 5'
}

@test "update: memory of cgroup v2, with swap apart" {
	cgroup2 || skip 'checked against the files of cgroup v2'
	need_controller memory
	sleeping
	silent update --memory 64M --memory-swap 96M --memory-reservation 32M "$ID"
	is "$(at memory memory.max) $(at memory memory.low)" '67108864 33554432'
	[[ ! -e $(cgroup_of "$(init_pid "$ID")")/memory.swap.max ]] || is "$(at memory memory.swap.max)" 33554432
	silent update --memory-swap 128M "$ID"
	[[ ! -e $(cgroup_of "$(init_pid "$ID")")/memory.swap.max ]] || is "$(at memory memory.swap.max)" 67108864
	refused 'below the memory limit (67108864)' update --memory-swap 32M "$ID"
	silent update --memory=-1 --memory-swap=-1 "$ID"
	is "$(at memory memory.max)" max
	from_stdin '{"memory": {"limit": 33554432}, "unified": {"memory.high": "30000000", "memory.oom.group": "2"}}'
	is "$STATUS" 1
	has "$ERR" '/unified/memory.oom.group'
	has "$ERR" 'nothing was changed'
	is "$(at memory memory.max) $(at memory memory.high)" 'max max'
}

@test "update: values that are no numbers are refused by flag" {
	sleeping
	for flag in blkio-weight cpu-period cpu-quota cpu-burst cpu-share cpu-rt-period cpu-rt-runtime cpu-idle memory memory-reservation memory-swap pids-limit; do
		refused "--$flag: " update "--$flag" 1x "$ID"
	done
	for flag in cpuset-cpus cpuset-mems; do
		refused "/cpu/${flag#cpuset-}: must be a list" update "--$flag" 1x "$ID"
	done
	rt update --no-such-flag 1 "$ID"
	((STATUS != 0))
}
