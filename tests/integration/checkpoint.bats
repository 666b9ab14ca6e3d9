#!/usr/bin/env bats
# checkpoint and restore by CRIU, where CRIU and the kernel suit each other, as they do in the
# virtual machine: what most depends on it. checkpoint_more.bats has the rest.
# shellcheck disable=SC2016 # jq programs, and scripts for the container

load helpers
load criu

@test "a container goes on where it was, more than once, and is like any other" {
	needs_criu
	counting
	local last
	for _ in 1 2; do
		checkpoint
		refused 'does not exist' state "$ID"
		last=$(count)
		sleep 0.2
		is "$(count)" "$last" 'the count of a container that is no more'
		restore --pid-file "$T/pid"
		status_is "$ID" running
		is "$(<"$T/pid")" "$(init_pid "$ID")" 'pid file'
		gone_on "$last"
	done
	ok exec "$ID" sh -c 'echo $$ in $(hostname); cat /proc/uptime >/dev/null'
	like "$OUT" '^[0-9]+ in '
	silent pause "$ID"
	status_is "$ID" paused
	silent resume "$ID"
	if ! cgroup2 || grep -qw pids /sys/fs/cgroup/cgroup.controllers; then
		ok update --pids-limit 20 "$ID"
		is "$(<"$(cgroup_of "$(init_pid "$ID")" pids)/pids.max")" 20 pids.max
	fi
	ok events --stats "$ID"
	like "$OUT" '"pids"'
	ok ps --format json "$ID"
	silent kill "$ID" KILL
	wait_for status_is "$ID" stopped
	silent delete "$ID"
	nothing_left
}

@test "what protects the host from the container is there again" {
	needs_criu
	own_rootfs
	mkdir "$T/data"
	touch "$T/data/file"
	mount_add /data bind "$T/data" rbind ro nosuid nodev noexec
	config '.process.noNewPrivileges = true
		| .process.capabilities |= map_values(["CAP_CHOWN", "CAP_MKNOD"])
		| .process.rlimits = [{type: "RLIMIT_NOFILE", soft: 100, hard: 100}]
		| .process.oomScoreAdj = 77
		| .linux.maskedPaths = ["/proc/kcore", "/proc/acpi", "/sys/firmware", "/proc/timer_list", "/usr/bin"]
		| .linux.readonlyPaths = ["/proc/sys", "/proc/bus", "/home"]
		| .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["syslog"], action: "SCMP_ACT_ERRNO", errnoRet: 1}]}'
	args sleep 600
	ok run --detach --bundle "$BUNDLE" "$ID"
	# look: all of it, as a process of the container sees it.
	look() {
		ok exec "$ID" sh -c 'sed "s/^[0-9]* [0-9]* [0-9:]* //; s/master:[0-9]* //" /proc/1/mountinfo | sort; grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/1/status
			cat /proc/1/limits /proc/1/oom_score_adj /proc/1/cgroup; ls /usr/bin /sys/firmware; wc -c </proc/kcore; stat -c "%F %a %U" /dev/*
			readlink /proc/1/ns/cgroup >/dev/null; ls /sys/fs/cgroup'
		echo "$OUT"
	}
	local before after
	before=$(look)
	checkpoint
	restore
	after=$(look)
	[[ $after == "$before" ]] || fail 'it is not what it was:' "$(diff <(echo "$before") <(echo "$after"))"
	rt exec "$ID" touch /data/new
	has "$ERR" 'Read-only file system'
	rt exec "$ID" touch /home/new
	has "$ERR" 'Read-only file system'
	rt exec "$ID" sh -c 'echo 0 >/proc/sys/kernel/panic'
	has "$ERR" 'Read-only file system'
	rt exec "$ID" dmesg
	has "$ERR" 'Operation not permitted'
	rt exec "$ID" sh -c 'mknod /tmp/kmsg c 1 11 && cat /tmp/kmsg'
	has "$ERR" 'Operation not permitted'
}

@test "org.criu.config: CRIU reads its settings there, after what the runtime says" {
	needs_criu
	echo 'log-file=other.log' >"$BUNDLE/criu.conf"
	config '.annotations = {"org.criu.config": "criu.conf"}'
	counting
	mkdir "$T/logs"
	checkpoint --work-path "$T/logs"
	[[ -e $T/logs/other.log && ! -e $T/logs/dump.log ]] || fail "$(ls "$T/logs")"
	rm "$T/logs/other.log"
	restore --work-path "$T/logs"
	[[ -e $T/logs/other.log && ! -e $T/logs/restore.log ]] || fail "$(ls "$T/logs")"
	gone_on
	# Images of now: a file that was open when older ones were made may have another name.
	checkpoint --work-path "$T/logs"
	# An empty one is none.
	config '.annotations = {"org.criu.config": ""}'
	restore --work-path "$T/logs"
	test -e "$T/logs/restore.log"
	gone_on
}

@test "a failure has CRIU's own last words, says where its log is, and leaves the container alone" {
	needs_criu
	own_rootfs
	# More of a file without a name than CRIU keeps, unless its settings say otherwise.
	args sh -c 'exec 9>/tmp/ghost; head -c 3000000 /dev/zero >&9; rm /tmp/ghost; touch /tmp/done; exec sleep 600'
	config '.annotations = {"org.criu.config": "criu.conf"}'
	: >"$BUNDLE/criu.conf"
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_for test -e "$BUNDLE/rootfs/tmp/done"
	refused 'criu dump: Error (' checkpoint --image-path "$T/images" --work-path "$T/logs" "$ID"
	has "$ERR" 'ghost'
	has "$ERR" "the whole log is $T/logs/dump.log"
	has "$ERR" 'hint: the setting ghost-limit'
	status_is "$ID" running
	echo 'ghost-limit 4000000' >"$BUNDLE/criu.conf"
	checkpoint
	restore
	ok exec "$ID" wc -c /proc/1/fd/9
	like "$OUT" '^3000000 '
	ok delete --force "$ID"
	rm "$T/images/inventory.img"
	refused 'criu restore: ' restore --detach --bundle "$BUNDLE" --image-path "$T/images" "$ID"
	has "$ERR" "$T/images/restore.log"
	nothing_left
}
