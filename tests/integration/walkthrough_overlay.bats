#!/usr/bin/env bats
# A minimal container in the terminal: overlay, cpu and memory limits.

load helpers
load walkthrough

needs() {
	own_config
}

LIMIT=524288000

# setup_overlay [LIMITED]: the bundle. On a slow host only the tests that say so have a tenth
# of a cpu: for a script, or to fill memory, that takes minutes there.
setup_overlay() {
	only_oci_mini 'run --overlay and explain'
	example overlay
	make -s -C "$BUNDLE"
	marked_config
	[[ $PATIENCE == 1 || ${1:-} ]] || config 'del(.linux.resources.cpu)'
	find "$BUNDLE/rootfs" -printf '%P %y %M %s %l %T@\n' >"$T/lower"
}

# lower_untouched: nothing in the lower directory has changed.
lower_untouched() {
	find "$BUNDLE/rootfs" -printf '%P %y %M %s %l %T@\n' | diff "$T/lower" - || fail "the lower directory has changed"
}

# the_effects HOW: what the walk-through sees inside.
the_effects() {
	local host
	host=$(uname -n)
	args sh -c 'echo written >/root/file; rm /bin/vi; hostname; hostname changed; hostname; echo --
		ls /dev; echo --
		ls -a / | tr "\n" " "; cat /proc/mounts; echo --
		cat /root/file; [ -e /bin/vi ] || echo no vi
		echo $$; ps | grep -c " [0-9]* "; ls /proc | grep -c "^[0-9]"
		ip -o link | wc -l; ip link show lo; touch /run/x /dev/shm/x && echo writable'
	foreground "$1" --overlay
	is "$STATUS" 0 "exit status ($ERR)"
	lower_untouched
	is "$(uname -n)" "$host" "the host's name"
	local names dev tree rest
	names=${OUT%%$'\n--'*}
	rest=${OUT#*$'\n--\n'}
	dev=${rest%%$'\n--'*}
	rest=${rest#*$'\n--\n'}
	tree=${rest%%$'\n--'*}
	rest=${rest#*$'\n--\n'}
	is "$names" $'overlay\nchanged' hostnames
	own_dev "$dev"
	lacks "$tree" old_root
	like "$tree" 'overlay / overlay rw'
	like "$tree" 'devpts /dev/pts devpts'
	like "$tree" 'shm /dev/shm tmpfs'
	like "$tree" 'sysfs /sys sysfs ro'
	like "$tree" 'tmpfs /run tmpfs'
	like "$tree" 'proc /proc proc'
	lacks "$tree" "$BUNDLE/rootfs /"
	has "$rest" $'written\nno vi\n1\n'
	like "$rest" 'lo: <LOOPBACK,UP,LOWER_UP>'
	has "$rest" writable
	[[ ! -e $BUNDLE/rootfs/old_root && ! -e $BUNDLE/rootfs/.old_root ]]
	nothing_left
}

@test "overlay walk-through: the effects inside, and none outside" {
	setup_overlay
	the_effects run
}

@test "overlay walk-through: the printed script has the same effects" {
	setup_overlay
	the_effects script
}

# kept HOW: the upper layer stays, and is there again the next time.
kept() {
	args sh -c 'echo kept >>/root/file; cat /root/file'
	foreground "$1" --overlay="$T/layer"
	is "$OUT" kept "first time ($ERR)"
	is "$(<"$T/layer/upper/root/file")" kept
	foreground "$1" --overlay="$T/layer"
	is "$OUT" $'kept\nkept'
	lower_untouched
	nothing_left
}

@test "overlay walk-through: --overlay=DIR keeps the upper layer" {
	setup_overlay
	kept run
}

@test "overlay walk-through: the script of --overlay=DIR keeps it too" {
	setup_overlay
	kept script
}

# cpu_usec: what the container has used of a cpu, in microseconds.
cpu_usec() {
	if cgroup2; then
		awk '$1 == "usage_usec" { print $2 }' "$(cgroup_of "$CPID")/cpu.stat"
	else
		echo $(($(<"$(cgroup_of "$CPID" cpuacct)/cpuacct.usage") / 1000))
	fi
}

# a_tenth HOW: a busy loop gets between 8% and 12% of one cpu.
a_tenth() {
	need_controller cpu
	args sh -c 'while :; do :; done'
	start_by "$1" --overlay
	sleep 0.5
	local from used before
	before=${EPOCHREALTIME/[.,]/}
	from=$(cpu_usec)
	sleep 5
	used=$(($(cpu_usec) - from))
	local permille=$((used * 1000 / (${EPOCHREALTIME/[.,]/} - before)))
	((permille >= 80 && permille <= 120)) || fail "a busy loop used $permille thousandths of a cpu, should be 80 to 120"
	end_it
}

@test "overlay walk-through: a busy loop uses a tenth of one cpu" {
	setup_overlay limited
	a_tenth run
}

@test "overlay walk-through: in the script's container as well" {
	setup_overlay limited
	a_tenth script
}

# killed_at_the_limit HOW: a process that reads without end is killed for memory.
killed_at_the_limit() {
	need_controller memory
	args tail /dev/zero
	RT_TIMEOUT=60 RT_KILL_OK=1 foreground "$1" --overlay
	is "$STATUS" 137 "exit status ($ERR)"
	nothing_left
}

@test "overlay walk-through: tail /dev/zero is killed: 137" {
	setup_overlay
	killed_at_the_limit run
}

@test "overlay walk-through: tail /dev/zero in the script's container: 137" {
	setup_overlay
	killed_at_the_limit script
}

# peak: the most memory that the container has used.
peak() {
	if cgroup2; then
		cat "$(cgroup_of "$CPID")/memory.peak"
	else
		cat "$(cgroup_of "$CPID" memory)/memory.max_usage_in_bytes"
	fi
}

@test "overlay walk-through: it is killed at 500 MiB, and nothing else is" {
	setup_overlay
	need_controller memory
	args sleep 120
	start_by run --overlay
	RT_TIMEOUT=60 RT_KILL_OK=1 rt exec "$ID" tail /dev/zero
	is "$STATUS" 137 "exit status ($ERR)"
	local most
	most=$(peak)
	((most > LIMIT * 95 / 100 && most <= LIMIT)) || fail "the peak of memory is $most, the limit $LIMIT"
	status_is "$ID" running
	end_it
}

@test "overlay walk-through: events tells of it" {
	setup_overlay
	need_controller memory
	"$RUNTIME" events --help >/dev/null 2>&1 && "$RUNTIME" --help | grep -qw events || skip "no command events yet"
	args sleep 120
	start_by run --overlay
	background "$RUNTIME" --root "$ROOT" events --interval 60s "$ID" >"$T/events"
	sleep 0.5
	RT_TIMEOUT=60 RT_KILL_OK=1 rt exec "$ID" tail /dev/zero
	is "$STATUS" 137 "exit status ($ERR)"
	wait_for grep -q '"type": *"oom"' "$T/events" || fail "events says: $(<"$T/events")"
	ok delete --force "$ID"
	wait_for gone "$PID"
	nothing_left
}
