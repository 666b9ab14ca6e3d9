#!/usr/bin/env bats
# pause and resume beyond the states that lifecycle.bats has.

load helpers

# ticks: grows as long as the container runs.
ticks() {
	wc -c <"$BUNDLE/rootfs/tmp/ticks"
}

# ticking: a container that writes a byte every hundredth of a second.
ticking() {
	own_rootfs
	args sh -c 'while :; do printf . >>/tmp/ticks; sleep 0.01; done'
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_for test -s "$BUNDLE/rootfs/tmp/ticks"
}

more_than() {
	(($(ticks) > $1))
}

@test "a paused container does nothing, and goes on where it was" {
	ticking
	silent pause "$ID"
	count=$(ticks)
	sleep 0.2
	is "$(ticks)" "$count" 'ticks while paused'
	silent resume "$ID"
	wait_for more_than "$count"
}

@test "pause of a paused container fails and leaves it paused" {
	ticking
	silent pause "$ID"
	refused 'container not running' pause "$ID"
	is "$OUT" ''
	status_is "$ID" paused
	count=$(ticks)
	sleep 0.1
	is "$(ticks)" "$count" 'ticks while paused'
}

@test "resume of a running container fails and leaves it running" {
	ticking
	refused 'container not paused' resume "$ID"
	status_is "$ID" running
	wait_for more_than "$(ticks)"
}

@test "a created container can be paused, and is created again when resumed" {
	ok create --bundle "$BUNDLE" "$ID"
	silent pause "$ID"
	status_is "$ID" paused
	silent resume "$ID"
	status_is "$ID" created
	ok start "$ID"
	wait_for status_is "$ID" stopped
}

@test "pause and resume of a stopped and of a missing container fail" {
	ok run --keep --bundle "$BUNDLE" "$ID"
	refused 'container not running' pause "$ID"
	refused 'container not paused' resume "$ID"
	status_is "$ID" stopped
	ok delete "$ID"
	refused 'does not exist' pause "$ID"
	refused 'does not exist' resume "$ID"
}

@test "pause stops every process, also in a cgroup below the container's" {
	own_rootfs
	args sh -c '(while :; do printf . >>/tmp/ticks; sleep 0.01; done) & wait'
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_for test -s "$BUNDLE/rootfs/tmp/ticks"
	pid=$(init_pid "$ID")
	dir=$(cgroup_of "$pid" freezer)
	if [[ -d /sys/fs/cgroup/unified ]]; then
		dir=/sys/fs/cgroup/unified$(sed -n 's/^0:://p' "/proc/$pid/cgroup")
	fi
	mkdir "$dir/below"
	pgrep -P "$pid" >"$dir/below/cgroup.procs"
	silent pause "$ID"
	# The loop's present sleep was born in either cgroup.
	count=$(ticks)
	sleep 0.2
	is "$(ticks)" "$count" 'ticks while paused'
	silent resume "$ID"
	wait_for more_than "$count"
}
