#!/usr/bin/env bats
# When and where a process runs, reads and gets its memory: scheduler, ioPriority,
# execCPUAffinity, memoryPolicy; personality and kernel parameters.
load helpers

# budget: a real-time budget for the container's cgroup where it needs one of its own.
budget() {
	[[ ! -e /sys/fs/cgroup/cpu/cpu.rt_runtime_us ]] || config '.linux.resources.cpu = {realtimeRuntime: 20000, realtimePeriod: 1000000}'
}

# scheduler JSON: runs a container with it, and a second process by exec. INIT and
# EXEC are their pids on the host.
scheduler() {
	config '.process.scheduler = $s' --argjson s "$1"
	both
}

# both: the container and an exec, detached.
both() {
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	INIT=$(init_pid "$ID")
	ok exec --detach --pid-file "$T/pid" "$ID" sleep 61
	EXEC=$(<"$T/pid")
}

# nice_zero: the runtime is called with a nice value of 0, whatever the suite's is: policies
# without one leave the caller's.
nice_zero() {
	renice -n 0 -p "$BASHPID" >/dev/null
}

# policy PID: how it is scheduled, on one line.
policy() {
	chrt --pid "$1" | sed 's/.*: //' | tr '\n' ' '
	awk '{ print "nice", $19 }' "/proc/$1/stat"
}

@test "scheduler: every policy that the kernel has, for the first process and exec" {
	needs_root 'asks for real time'
	nice_zero
	alone deadlines
	budget
	while IFS='|' read -r json want; do
		scheduler "$json"
		is "$(policy "$INIT")" "$want" "$json"
		is "$(policy "$EXEC")" "$want" "exec with $json"
		ok delete --force "$ID"
	done <<-'END'
		{"policy": "SCHED_OTHER"}|SCHED_OTHER 0 nice 0
		{"policy": "SCHED_OTHER", "nice": 7}|SCHED_OTHER 0 nice 7
		{"policy": "SCHED_OTHER", "nice": -20}|SCHED_OTHER 0 nice -20
		{"policy": "SCHED_BATCH", "nice": 19}|SCHED_BATCH 0 nice 19
		{"policy": "SCHED_IDLE"}|SCHED_IDLE 0 nice 0
		{"policy": "SCHED_FIFO", "priority": 99}|SCHED_FIFO 99 nice 0
		{"policy": "SCHED_RR", "priority": 1}|SCHED_RR 1 nice 0
		{"policy": "SCHED_DEADLINE", "runtime": 1000000, "deadline": 20000000}|SCHED_DEADLINE 0 1000000/20000000/20000000 nice 0
		{"policy": "SCHED_DEADLINE", "runtime": 1000000, "deadline": 20000000, "period": 30000000}|SCHED_DEADLINE 0 1000000/20000000/30000000 nice 0
	END
	nothing_left
}

@test "scheduler: flags, and what is started later" {
	needs_root 'asks for real time'
	nice_zero
	alone deadlines
	budget
	scheduler '{"policy": "SCHED_FIFO", "priority": 5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}'
	is "$(policy "$INIT")" 'SCHED_FIFO|SCHED_RESET_ON_FORK 5 nice 0'
	is "$(policy "$EXEC")" 'SCHED_FIFO|SCHED_RESET_ON_FORK 5 nice 0' exec
	ok delete --force "$ID"
	config '.process.scheduler = {policy: "SCHED_OTHER", nice: 3}'
	inside_ok 'sh -c "cut -d \" \" -f 19 /proc/self/stat; true"'
	is "$OUT" 3 'a grandchild'
	# The policy stays what it was: that of the runtime's caller.
	config '.process.scheduler = {policy: "SCHED_IDLE", nice: 4, flags: ["SCHED_FLAG_KEEP_POLICY"]}'
	inside_ok 'cut -d " " -f 19 /proc/self/stat'
	is "$OUT" 4
	for flag in SCHED_FLAG_RECLAIM SCHED_FLAG_DL_OVERRUN; do
		config '.process.scheduler = {policy: "SCHED_DEADLINE", runtime: 1000000, deadline: 20000000, flags: [$f]}' --arg f "$flag"
		args true
		ok run --bundle "$BUNDLE" "$ID"
	done
}

@test "scheduler: exec takes that of --process" {
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	jq '.process | .args = ["cut", "-d ", "-f19", "/proc/self/stat"] | .scheduler = {policy: "SCHED_BATCH", nice: 11}' "$BUNDLE/config.json" >"$T/process.json"
	ok exec --process "$T/process.json" "$ID"
	is "$OUT" 11
	jq '.scheduler.policy = "SCHED_NONE"' "$T/process.json" >"$T/bad.json"
	rt exec --process "$T/bad.json" "$ID"
	is "$STATUS" 255
	has "$ERR" /scheduler/policy
}

@test "scheduler: what does not fit is refused by place before anything is made" {
	while IFS='|' read -r json place text; do
		config '.process.scheduler = $s' --argjson s "$json"
		refused "/process/scheduler/$place: $text" create --bundle "$BUNDLE" "$ID"
	done <<-'END'
		{"policy": "SCHED_NONE"}|policy|must be one of SCHED_OTHER
		{"nice": 1}|policy|is required: one of SCHED_OTHER
		{"policy": "SCHED_OTHER", "nice": 20}|nice|must be from -20 to 19, is 20
		{"policy": "SCHED_OTHER", "priority": 1}|priority|must be given with SCHED_FIFO and SCHED_RR alone
		{"policy": "SCHED_FIFO"}|priority|must be from 1 to 99 with SCHED_FIFO, is 0
		{"policy": "SCHED_RR", "priority": 100}|priority|must be from 1 to 99 with SCHED_RR, is 100
		{"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_NONE"]}|flags/0|must be one of
		{"policy": "SCHED_FIFO", "priority": 1, "runtime": 5000}|runtime|must be given with SCHED_DEADLINE alone
		{"policy": "SCHED_DEADLINE", "deadline": 20000}|runtime|must be from 1024
		{"policy": "SCHED_DEADLINE", "runtime": 2000}|deadline|must be from 1024
		{"policy": "SCHED_DEADLINE", "runtime": 1023, "deadline": 20000}|runtime|must be from 1024
		{"policy": "SCHED_DEADLINE", "runtime": 3000, "deadline": 2000}|deadline|must be at least the runtime of 3000 ns, is 2000
		{"policy": "SCHED_DEADLINE", "runtime": 2000, "deadline": 3000, "period": 2500}|period|must be at least the deadline of 3000 ns, is 2500
		{"policy": "SCHED_DEADLINE", "runtime": 9223372036854775808, "deadline": 9223372036854775808}|runtime|must be from 1024 to
	END
	nothing_left
}

@test "scheduler: what the kernel refuses has the call, its words and a hint" {
	needs_root "asks for all of the CPUs' bandwidth"
	alone deadlines
	config '.process.scheduler = {policy: "SCHED_ISO"}'
	refused '/process/scheduler (scheduler): sched_setattr SCHED_ISO: invalid argument (EINVAL)' create --bundle "$BUNDLE" "$ID"
	has "$ERR" 'hint: SCHED_ISO is a name that Linux reserves'
	config '.process.scheduler = {policy: "SCHED_DEADLINE", runtime: 2000, deadline: 3000}'
	refused 'invalid argument (EINVAL)' create --bundle "$BUNDLE" "$ID"
	has "$ERR" sched_deadline_period_min_us
	# A CPU's whole time for each container: there are not as many, since some is kept back.
	config '.process.scheduler = {policy: "SCHED_DEADLINE", runtime: 1000000000, deadline: 1000000000}'
	for i in $(seq "$(nproc)"); do
		rt create --bundle "$BUNDLE" "$ID.$i"
		((STATUS == 0)) || break
	done
	refused 'device or resource busy (EBUSY)' create --bundle "$BUNDLE" "$ID"
	has "$ERR" 'hint: the CPUs have no bandwidth left'
	config '.process.scheduler = {policy: "SCHED_FIFO", priority: 1}'
	if [[ -e /sys/fs/cgroup/cpu/cpu.rt_runtime_us ]]; then
		refused 'operation not permitted (EPERM)' create --bundle "$BUNDLE" "$ID"
		has "$ERR" 'hint: real time needs CAP_SYS_NICE on the host and, where the kernel schedules by groups, a budget'
	fi
	for i in $(seq "$(nproc)"); do
		ok delete --force "$ID.$i"
	done
	nothing_left
}

@test "scheduler and ioPriority: in a user namespace the runtime's rights count" {
	own_users
	config '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .linux.gidMappings = .linux.uidMappings
		| .process.ioPriority = {class: "IOPRIO_CLASS_RT", priority: 2}'
	scheduler '{"policy": "SCHED_OTHER", "nice": -7}'
	is "$(policy "$INIT")" 'SCHED_OTHER 0 nice -7'
	is "$(policy "$EXEC")" 'SCHED_OTHER 0 nice -7' exec
	is "$(ionice -p "$INIT")" 'realtime: prio 2'
	is "$(ionice -p "$EXEC")" 'realtime: prio 2' exec
	ok delete --force "$ID"
	config '.process.scheduler = {policy: "SCHED_ISO"}'
	refused '/process/scheduler (scheduler): sched_setattr SCHED_ISO: invalid argument (EINVAL)' create --bundle "$BUNDLE" "$ID"
	nothing_left
}

@test "ioPriority: every class, for the first process and exec; others are refused" {
	needs_root 'asks for real time'
	while IFS='|' read -r json want; do
		config '.process.ioPriority = $p' --argjson p "$json"
		both
		is "$(ionice -p "$INIT")" "$want"
		is "$(ionice -p "$EXEC")" "$want" exec
		ok delete --force "$ID"
	done <<-'END'
		{"class": "IOPRIO_CLASS_RT", "priority": 0}|realtime: prio 0
		{"class": "IOPRIO_CLASS_BE", "priority": 7}|best-effort: prio 7
		{"class": "IOPRIO_CLASS_IDLE", "priority": 0}|idle
	END
	while IFS='|' read -r json place; do
		config '.process.ioPriority = $p' --argjson p "$json"
		refused "/process/ioPriority/$place" create --bundle "$BUNDLE" "$ID"
	done <<-'END'
		{"class": "IOPRIO_CLASS_NONE", "priority": 0}|class
		{"priority": 0}|class
		{"class": "IOPRIO_CLASS_BE", "priority": 8}|priority
		{"class": "IOPRIO_CLASS_BE", "priority": -1}|priority
	END
	nothing_left
}

# cpus: the CPUs of a process that exec starts.
cpus() {
	rt exec "$ID" awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status
}

@test "execCPUAffinity: initial before the cgroup, final in it, for exec alone" {
	(($(nproc) > 1)) || skip 'needs two CPUs'
	all=$(awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status)
	config '.process.execCPUAffinity = {initial: "0", final: "1"}'
	args sh -c 'grep ^Cpus_allowed_list /proc/self/status; sleep 60'
	background "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" >"$T/first"
	wait_for grep -q Cpus "$T/first"
	is "$(awk '{ print $2 }' "$T/first")" "$all" 'the first process'
	wait_for status_is "$ID" running
	cpus
	is "$STATUS:$OUT" 0:1 'with final'

	process() { # AFFINITY: a process file that prints its CPUs
		jq '.process | .args = ["awk", "/^Cpus_allowed_list/ { print $2 }", "/proc/self/status"] | .execCPUAffinity = $a' \
			--argjson a "$1" "$BUNDLE/config.json" >"$T/process.json"
	}
	process '{"initial": "0"}'
	ok exec --process "$T/process.json" "$ID"
	# Before Linux 6.2 the cgroup's CPUs take its place.
	if kernel_since 6.2; then
		is "$OUT" 0 'initial alone'
	else
		like "$OUT" "^(0|$all)$"
	fi
	process '{"initial": "0, 1,", "final": ""}'
	ok exec --process "$T/process.json" "$ID"
	is "$OUT" 0-1
	process '{"final": "0-1,5000"}'
	ok exec --process "$T/process.json" "$ID"
	is "$OUT" 0-1 'CPUs that are not there beside some that are'
	process '{}'
	ok exec --process "$T/process.json" "$ID"
	is "$OUT" "$all" 'neither'

	process '{"final": "5000"}'
	rt exec --process "$T/process.json" "$ID"
	is "$STATUS" 255
	has "$ERR" '/process/execCPUAffinity/final (use the CPUs 5000): sched_setaffinity'
	has "$ERR" 'invalid argument (EINVAL)'
	has "$ERR" 'hint: at least one of the CPUs must be online'
	process '{"initial": "5000"}'
	rt exec --process "$T/process.json" "$ID"
	is "$STATUS" 255
	has "$ERR" '/process/execCPUAffinity/initial (clone on the CPUs 5000): sched_setaffinity: invalid argument (EINVAL)'
	for bad in '{"initial": "a"}' '{"final": "3-1"}' '{"initial": ","}'; do
		process "$bad"
		rt exec --process "$T/process.json" "$ID"
		is "$STATUS" 255
		has "$ERR" '/execCPUAffinity/'
	done
}

@test "execCPUAffinity: the CPUs of initial need not be the cgroup's, and the runtime has its own back" {
	(($(nproc) > 1)) || skip 'needs two CPUs'
	need_controller cpuset
	config '.linux.resources.cpu = {cpus: "1", mems: "0"} | .process.execCPUAffinity = {initial: "0"}'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	cpus
	is "$STATUS:$OUT" 0:1
	background "$RUNTIME" --root "$ROOT" exec "$ID" sleep 62
	runtime=$PID
	sleeps() { marked | while read -r p; do tr '\0' ' ' <"/proc/$p/cmdline"; done | grep -q 'sleep 62 $'; }
	wait_for sleeps
	for status in /proc/"$runtime"/task/*/status; do
		is "$(awk '/^Cpus_allowed_list/ { print $2 }' "$status")" "$(awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status)" "$status"
	done
}

@test "an affinity of the caller does not stay with the container" {
	(($(nproc) > 1)) || skip 'needs two CPUs'
	all=$(awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status)
	args sh -c 'grep ^Cpus_allowed_list /proc/self/status; sleep 60'
	background taskset -c 1 "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" >"$T/first"
	wait_for grep -q Cpus "$T/first"
	is "$(awk '{ print $2 }' "$T/first")" "$all"
	wait_for status_is "$ID" running
	is "$(taskset -c 1 "$RUNTIME" --root "$ROOT" exec "$ID" awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status)" "$all" exec
}

# placed: the memory policy of the first mapping of a process's memory.
placed() {
	awk 'NR == 1 { print $2 }' "/proc/$1/numa_maps"
}

@test "memoryPolicy: modes, flags and nodes, for the first process and exec" {
	[[ -e /proc/self/numa_maps ]] || skip 'the kernel is built without CONFIG_NUMA'
	while IFS='|' read -r json want; do
		config '.linux.memoryPolicy = $p' --argjson p "$json"
		both
		is "$(placed "$INIT")" "$want" "$json"
		is "$(placed "$EXEC")" "$want" "exec with $json"
		ok delete --force "$ID"
	done <<-'END'
		{"mode": "MPOL_DEFAULT"}|default
		{"mode": "MPOL_DEFAULT", "nodes": ""}|default
		{"mode": "MPOL_LOCAL"}|local
		{"mode": "MPOL_BIND", "nodes": "0"}|bind:0
		{"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}|bind=static:0
		{"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]}|bind=balancing:0
		{"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"]}|interleave=relative:0
		{"mode": "MPOL_PREFERRED", "nodes": "0"}|prefer:0
		{"mode": "MPOL_PREFERRED"}|local
	END
}

@test "memoryPolicy: exec without a word about it has the container's" {
	[[ -e /proc/self/numa_maps ]] || skip 'the kernel is built without CONFIG_NUMA'
	config '.linux.memoryPolicy = {mode: "MPOL_INTERLEAVE", nodes: "0"}'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	config 'del(.linux.memoryPolicy)' # later edits change nothing
	jq '.process | .args = ["awk", "NR == 1 { print $2 }", "/proc/self/numa_maps"]' "$BUNDLE/config.json" >"$T/process.json"
	ok exec --process "$T/process.json" "$ID"
	is "$OUT" interleave:0
}

@test "memoryPolicy: faults by place, and what the kernel refuses with a hint" {
	while IFS='|' read -r json text; do
		config '.linux.memoryPolicy = $p' --argjson p "$json"
		refused "/linux/memoryPolicy$text" create --bundle "$BUNDLE" "$ID"
	done <<-'END'
		{"mode": "MPOL_NONE"}|/mode: must be one of MPOL_DEFAULT
		{"nodes": "0"}|/mode
		{"mode": "MPOL_BIND"}|/nodes: must name at least one node with MPOL_BIND
		{"mode": "MPOL_INTERLEAVE", "nodes": ""}|/nodes: must name at least one node
		{"mode": "MPOL_LOCAL", "nodes": "0"}|/nodes: must be empty with MPOL_LOCAL
		{"mode": "MPOL_BIND", "nodes": "x"}|/nodes: must be a list such as 0-3,7
		{"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NONE"]}|/flags/0
		{"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]}|/flags: must not have both
	END
	[[ -e /proc/self/numa_maps ]] || return 0
	config '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "60000"}'
	refused '/linux/memoryPolicy (memory policy): set_mempolicy MPOL_BIND of the nodes 60000: invalid argument (EINVAL)' create --bundle "$BUNDLE" "$ID"
	has "$ERR" 'hint: the nodes must be online'
	config '.linux.memoryPolicy = {mode: "MPOL_INTERLEAVE", nodes: "0", flags: ["MPOL_F_NUMA_BALANCING"]}'
	refused 'invalid argument (EINVAL)' create --bundle "$BUNDLE" "$ID"
	has "$ERR" 'hint: MPOL_F_NUMA_BALANCING goes with MPOL_BIND'
	nothing_left
}

@test "personality: exec has the container's, also with --process" {
	personality32 || skip 'this processor runs no programs of 32 bits'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	ok exec "$ID" uname -m
	is "$OUT" "$MACHINE32"
	jq '.process | .args = ["uname", "-m"]' "$BUNDLE/config.json" >"$T/process.json"
	ok exec --process "$T/process.json" "$ID"
	is "$OUT" "$MACHINE32"
}

@test "sysctl: every kind of namespace that has kernel parameters of its own" {
	with_network
	# Of net.core, Linux 6.1 shows users nothing.
	config '.linux.sysctl = {"kernel.ns_last_pid": "4000", "vm.memfd_noexec": "1", "kernel.domainname": "example.org",
		"kernel.shm_next_id": "5", "net.ipv4.ip_default_ttl": "99", "fs/mqueue/msg_default": "3"}'
	# In a user namespace memfd_noexec stays the host's root's: see below.
	[[ $WORLD == root ]] || config 'del(.linux.sysctl["vm.memfd_noexec"])'
	for name in kernel/ns_last_pid vm/memfd_noexec kernel/shm_next_id; do
		[[ -e /proc/sys/$name ]] || config 'del(.linux.sysctl[$n])' --arg n "${name/\//.}"
	done
	host=$(cat /proc/sys/kernel/domainname)
	inside_ok 'cd /proc/sys; cat kernel/domainname net/ipv4/ip_default_ttl fs/mqueue/msg_default
		[ ! -e vm/memfd_noexec ] || cat vm/memfd_noexec
		[ ! -e kernel/ns_last_pid ] || { sleep 0 & echo "$!" >/dev/shm/pid; cat /dev/shm/pid; }'
	has "$OUT" $'example.org\n99\n3'
	[[ ! -e /proc/sys/vm/memfd_noexec || $WORLD != root ]] || has "$OUT" $'\n1'
	[[ ! -e /proc/sys/kernel/ns_last_pid ]] || like "$OUT" $'\n40[0-9][0-9]$'
	is "$(</proc/sys/kernel/domainname)" "$host" "the host's"
	while read -r kind name; do
		new_bundle "$BUNDLE"
		config 'del(.hostname) | .linux.sysctl = {($n): "1"} | .linux.namespaces |= map(select(.type != $k))' --arg n "$name" --arg k "$kind"
		refused "a namespace of type $kind" create --bundle "$BUNDLE" "$ID"
	done <<-'END'
		pid kernel.ns_last_pid
		pid vm.memfd_noexec
		ipc kernel.msg_next_id
		user user.max_pid_namespaces
	END
	nothing_left
}

@test "sysctl: in a user namespace" {
	own_users
	config '.linux.sysctl = {"kernel.domainname": "example.org", "user.max_mnt_namespaces": "77", "net.ipv4.ip_forward": "1", "kernel.shmmni": "99"}
		| .linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
	host=$(cat /proc/sys/user/max_mnt_namespaces /proc/sys/kernel/domainname)
	inside_ok 'cd /proc/sys; cat kernel/domainname user/max_mnt_namespaces net/ipv4/ip_forward kernel/shmmni'
	is "$OUT" $'example.org\n77\n1\n99'
	is "$(cat /proc/sys/user/max_mnt_namespaces /proc/sys/kernel/domainname)" "$host" "the host's"
	if [[ -e /proc/sys/vm/memfd_noexec ]]; then
		config '.linux.sysctl = {"vm.memfd_noexec": "1"}'
		refused 'permission denied (EACCES)' create --bundle "$BUNDLE" "$ID"
		has "$ERR" "hint: the kernel keeps this parameter for the host's root, also where a user namespace has it for itself"
	fi
}

@test "sysctl: a parameter or a value that the kernel does not have comes with a hint" {
	with_network
	config '.linux.sysctl = {"net.ipv4.no_such_thing": "1"}'
	refused '/linux/sysctl/net.ipv4.no_such_thing' create --bundle "$BUNDLE" "$ID"
	has "$ERR" 'hint: the kernel has no such parameter in this namespace, or only with a module that is not loaded'
	config '.linux.sysctl = {"net.ipv4.ip_forward": "nonsense"}'
	refused 'invalid argument (EINVAL)' create --bundle "$BUNDLE" "$ID"
	has "$ERR" 'hint: the parameter does not take this value'
	nothing_left
}
