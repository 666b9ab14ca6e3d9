#!/usr/bin/env bats
# exec: in which states of the container, in which cgroups, and all of the process
# object at once.
load helpers

@test "exec: a paused container is refused, unless --ignore-paused waits for it; a stopped one always" {
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	silent pause "$ID"
	rt exec "$ID" true
	is "$STATUS" 255
	has "$ERR" 'cannot exec in a paused container'
	background "$RUNTIME" --root "$ROOT" exec --ignore-paused "$ID" sh -c 'echo went on; exit 4' </dev/null >"$T/o" 2>&1
	sleep 0.3
	is "$(<"$T/o")" '' 'while it is paused'
	kill -0 "$PID"
	silent resume "$ID"
	code=0
	wait "$PID" || code=$?
	is "$code:$(<"$T/o")" '4:went on'
	ok kill "$ID" KILL
	wait_for status_is "$ID" stopped
	for flag in '' --ignore-paused; do
		rt exec $flag "$ID" true
		is "$STATUS" 255
		has "$ERR" 'cannot exec in a stopped container'
	done
	ok delete "$ID"
	rt exec "$ID" true
	is "$STATUS" 255
	has "$ERR" 'does not exist'
}

@test "exec: a delete --force ends an exec that waits in a paused container" {
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	silent pause "$ID"
	background "$RUNTIME" --root "$ROOT" exec --ignore-paused "$ID" sleep 60 </dev/null >"$T/o" 2>&1
	sleep 0.2
	silent delete --force "$ID"
	code=0
	wait "$PID" || code=$?
	((code != 0)) || fail 'the exec succeeds in a container that is gone'
	nothing_left
}

@test "exec: all of the process object holds" {
	needs_ids 'user 1000 with groups'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	# shellcheck disable=SC2016 # the container's shell
	jq '.process | .args = ["sh", "-c", $s] | .cwd = "/mnt/full" | .env += ["ONE=1"] | .noNewPrivileges = true
		| .user = {uid: 1000, gid: 1001, additionalGids: [12, 11], umask: 23} | .oomScoreAdj = 77
		| .rlimits = [{type: "RLIMIT_NOFILE", soft: 99, hard: 199}, {type: "RLIMIT_CORE", soft: 1024, hard: 2048}]
		| .capabilities = {bounding: ["CAP_KILL", "CAP_CHOWN"], permitted: ["CAP_KILL"], effective: ["CAP_KILL"], inheritable: ["CAP_KILL"], ambient: ["CAP_KILL"]}
		| .scheduler = {policy: "SCHED_BATCH", nice: 6} | .ioPriority = {class: "IOPRIO_CLASS_BE", priority: 6}' \
		--arg s 'pwd; echo $ONE; echo $(id -u):$(id -g); umask
			awk "/^(Groups|NoNewPrivs|Cap...)/ { \$1 = \$1; print }" /proc/self/status
			awk "/open files|core file/ { print \$(NF-2), \$(NF-1) }" /proc/self/limits
			cat /proc/self/oom_score_adj; cut -d " " -f 19 /proc/self/stat; ionice' "$BUNDLE/config.json" >"$T/process.json"
	ok exec --process "$T/process.json" "$ID"
	is "$OUT" $'/mnt/full\n1\n1000:1001\n0027\nGroups: 11 12\nCapInh: 0000000000000020\nCapPrm: 0000000000000020\nCapEff: 0000000000000020
CapBnd: 0000000000000021\nCapAmb: 0000000000000020\nNoNewPrivs: 1\n1024 2048\n99 199\n77\n6\nbest-effort: prio 6'
	# Nothing of that is the container's.
	ok exec "$ID" sh -c 'id -u; umask; cat /proc/self/oom_score_adj; cut -d " " -f 19 /proc/self/stat'
	is "$OUT" $'0\n0022\n'"$(</proc/self/oom_score_adj)"$'\n'"$(nice)"
}

@test "exec: limits, groups and capabilities of the config are those of an exec without a file" {
	needs_ids 'additional groups'
	config '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 77, hard: 88}] | .process.user.additionalGids = [9]
		| .process.capabilities.ambient = ["CAP_KILL"] | .process.capabilities.inheritable = ["CAP_KILL"] | .process.noNewPrivileges = true'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	ok exec --cap CAP_CHOWN "$ID" sh -c 'ulimit -Sn; ulimit -Hn; awk "/^(Groups|NoNewPrivs|CapAmb|CapInh)/ { \$1 = \$1; print }" /proc/self/status'
	is "$OUT" $'77\n88\nGroups: 9\nCapInh: 0000000000000020\nCapAmb: 0000000000000020\nNoNewPrivs: 1'
}

@test "exec: mounts are made once" {
	mount_add /mnt tmpfs tmpfs
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	ok exec "$ID" sh -c 'echo here >/mnt/file; grep -c . /proc/self/mountinfo'
	is "$OUT" "$(grep -c . "/proc/$(init_pid "$ID")/mountinfo")"
	ok exec "$ID" cat /mnt/file
	is "$OUT" here
}

@test "exec: flags in every form that callers use" {
	needs_ids 'user 5 with group 6'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	jq '.process | .args = ["true"]' "$BUNDLE/config.json" >"$T/process.json"
	silent exec -p "$T/process.json" "$ID"
	silent exec --process="$T/process.json" --detach --pid-file "$T/pid" "$ID"
	silent exec --pid-file "$T/pid" --process "$T/process.json" --detach --preserve-fds 0 "$ID"
	silent exec -d "$ID" true
	ok exec -u 5:6 -e A=b --cwd /tmp -g 7 -c CAP_KILL --tty=false "$ID" sh -c 'echo $(id -u):$(id -g) $A $(pwd)'
	is "$OUT" '5:6 b /tmp'
	ok exec -t=true "$ID" sh -c 'test -t 0 && echo tty'
	is "${OUT%$'\r'}" tty
	# What follows the id is the command's, flags too.
	ok exec "$ID" echo -t --user 1
	is "$OUT" '-t --user 1'
	rt exec "$ID"
	is "$STATUS" 255
	has "$ERR" 'needs a command to execute, or --process'
	rt exec --no-such-flag "$ID" true
	((STATUS != 0))
	rt exec --process "$T/none.json" "$ID"
	is "$STATUS" 255
	has "$ERR" "--process: open $T/none.json"
	echo '{"args": ["true"], "cwd": 3}' >"$T/bad.json"
	rt exec --process "$T/bad.json" "$ID"
	is "$STATUS" 255
	has "$ERR" '/cwd: must be a string, is 3'
}

@test "exec: each hierarchy's cgroup is the container's, on every kind of host" {
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	ok exec --detach --pid-file "$T/pid" "$ID" sleep 61
	is "$(<"/proc/$(<"$T/pid")/cgroup")" "$(<"/proc/$(init_pid "$ID")/cgroup")"
	has "$(<"/proc/$(<"$T/pid")/cgroup")" "$ID"
}

@test "exec: follows a first process into a cgroup v2 below" {
	cgroup2 || [[ -d /sys/fs/cgroup/unified ]] || skip 'no cgroup2 hierarchy'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	mount=/sys/fs/cgroup
	cgroup2 || mount+=/unified
	own=$(sed -n 's/^0:://p' "/proc/$pid/cgroup")
	mkdir "$mount$own/init" "$mount$own/init2"
	echo "$pid" >"$mount$own/init/cgroup.procs"
	ok exec --detach --pid-file "$T/pid" "$ID" sleep 61
	is "$(sed -n 's/^0:://p' "/proc/$(<"$T/pid")/cgroup")" "$own/init"
	# Somewhere else it does not follow.
	elsewhere=$mount${own%/*}/$ID.elsewhere
	mkdir "$elsewhere"
	echo "$pid" >"$elsewhere/cgroup.procs"
	ok exec --detach --pid-file "$T/pid" "$ID" sleep 62
	is "$(sed -n 's/^0:://p' "/proc/$(<"$T/pid")/cgroup")" "$own"
	echo "$pid" >"$mount$own/cgroup.procs"
	rmdir "$elsewhere"
	cgroup2 || return 0 # --cgroup is for all hierarchies
	ok exec --detach --cgroup init2 --pid-file "$T/pid" "$ID" sleep 63
	is "$(sed -n 's/^0:://p' "/proc/$(<"$T/pid")/cgroup")" "$own/init2"
}

@test "exec: where the first process was moved and its cgroup v2 removed, it goes along, or not at all" {
	cgroup2 || skip 'without cgroup2 alone, other hierarchies hold it'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	own=$(sed -n 's/^0:://p' "/proc/$pid/cgroup")
	elsewhere=${own%/*}/$ID.elsewhere
	mkdir "/sys/fs/cgroup$elsewhere" "/sys/fs/cgroup$elsewhere.ns"
	echo "$pid" >"/sys/fs/cgroup$elsewhere/cgroup.procs"
	# systemd removes it by itself.
	removed() { [[ ! -e /sys/fs/cgroup$own ]] || rmdir "/sys/fs/cgroup$own"; }
	wait_for removed
	ok exec --detach --pid-file "$T/pid" "$ID" sleep 61
	is "$(sed -n 's/^0:://p' "/proc/$(<"$T/pid")/cgroup")" "$elsewhere"
	# Who cannot see where that is does not execute it without limits. A cgroup namespace takes root.
	if [[ $WORLD != rootless ]]; then
		status=$(sh -c 'echo $$ >"/sys/fs/cgroup$1/cgroup.procs" && shift && unshare --cgroup "$@" >/dev/null 2>"$0"; echo $?' "$T/err" \
			"$elsewhere.ns" "$RUNTIME" --root "$ROOT" exec "$ID" true)
		is "$status" 255 "status of $(<"$T/err"), which"
		has "$(<"$T/err")" "/linux/cgroupsPath (open the container's cgroup): /sys/fs/cgroup$own is gone"
	fi
	ok delete --force "$ID"
	wait_for rmdir "/sys/fs/cgroup$elsewhere" "/sys/fs/cgroup$elsewhere.ns"
}

@test "kill --all: every process of the container, with any signal" {
	own_rootfs
	args sh -c 'exec 2>/dev/null; trap "echo init >>/tmp/got" USR1; sh -c "trap \"echo child >>/tmp/got\" USR1; touch /tmp/ready; while :; do sleep 0.05; done" & while :; do sleep 0.05; done'
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_for test -e "$ROOTFS/tmp/ready"
	silent kill --all "$ID" USR1
	both() { [[ $(sort "$ROOTFS/tmp/got" 2>/dev/null) == $'child\ninit' ]]; }
	wait_for both
	silent kill -a "$ID" 9
	wait_for status_is "$ID" stopped
	silent kill --all "$ID" KILL
}

@test "kill: without a pid namespace the rest dies too, also when the first process is gone" {
	config '.linux.namespaces |= map(select(.type != "pid"))'
	args sh -c 'sleep 61 & sleep 62 & exec sleep 60'
	ok run --detach --bundle "$BUNDLE" "$ID"
	three() { (($(marked | wc -l) == 3)); }
	wait_for three
	pid=$(init_pid "$ID")
	kill -9 "$pid"
	wait_for status_is "$ID" stopped
	is "$(marked | wc -l)" 2 'the others'
	refused 'container not running' kill "$ID" TERM
	is "$(marked | wc -l)" 2 'the others'
	silent kill "$ID" KILL
	# shellcheck disable=SC2317 # wait_for calls it
	none() { [[ -z $(marked) ]]; }
	wait_for none
	refused 'container not running' kill "$ID" KILL
	silent delete "$ID"
	nothing_left
}

@test "kill: a frozen container without a pid namespace dies as a whole" {
	config '.linux.namespaces |= map(select(.type != "pid"))'
	args sh -c 'sleep 61 & exec sleep 60'
	ok run --detach --bundle "$BUNDLE" "$ID"
	two() { (($(marked | wc -l) == 2)); }
	wait_for two
	silent pause "$ID"
	silent kill "$ID" KILL
	none() { [[ -z $(marked) ]]; }
	wait_for none
	silent delete "$ID"
	nothing_left
}
