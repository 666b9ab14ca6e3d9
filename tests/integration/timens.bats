#!/usr/bin/env bats
# The time namespace: its clocks, joined by path, kept in exec.

load helpers

# time_namespace [OFFSETS]: the config gets one of its own, with offsets as JSON.
time_namespace() {
	config '.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = $o' --argjson o "${1:-null}"
}

# uptime_ahead SECONDS: the first line of OUT is an uptime of that much more than the
# host's, give or take half a minute.
uptime_ahead() {
	local inside=${OUT%% *} host
	host=$(cut -d' ' -f1 /proc/uptime)
	awk -v a="$inside" -v b="$host" -v want="$1" 'BEGIN { d = a - b - want; exit !(d > -30 && d < 30) }' ||
		fail "uptime inside $inside, host's $host, should be $1 ahead"
}

@test "a time namespace of its own: both clocks, to the nanosecond" {
	time_namespace '{"monotonic": {"secs": 172800, "nanosecs": 7}, "boottime": {"secs": 864000}}'
	inside_ok 'cat /proc/uptime; readlink /proc/self/ns/time; readlink /proc/self/ns/time_for_children; cat /proc/self/timens_offsets'
	uptime_ahead 864000
	readarray -t lines <<<"$OUT"
	is "${lines[1]}" "${lines[2]}" "its children's namespace"
	lacks "$OUT" "$(readlink /proc/self/ns/time)"
	like "$OUT" 'monotonic +172800 +7'
	like "$OUT" 'boottime +864000 +0'
}

@test "a time namespace: the monotonic clock itself, by a program in it" {
	command -v python3 >/dev/null || skip 'needs python3 to read a clock'
	time_namespace '{"monotonic": {"secs": 500000}}'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	users=()
	[[ $WORLD != rootless ]] || users=(--user="/proc/$pid/ns/user" --preserve-credentials)
	inside=$(nsenter "${users[@]}" --time="/proc/$pid/ns/time" python3 -c 'import time; print(int(time.monotonic()))')
	host=$(python3 -c 'import time; print(int(time.monotonic()))')
	((inside - host > 499900 && inside - host <= 500000)) || fail "$inside inside, $host on the host"
}

@test "a time namespace without offsets: another one, with the host's clocks" {
	time_namespace
	inside_ok 'cat /proc/uptime; readlink /proc/self/ns/time'
	uptime_ahead 0
	lacks "$OUT" "$(readlink /proc/self/ns/time)"
}

@test "a time namespace is kept in exec, and by the hooks inside" {
	time_namespace '{"boottime": {"secs": 864000}}'
	config '.hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", "readlink /proc/self/ns/time >/tmp/hook"]}]'
	mount_add /tmp tmpfs tmpfs
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	ok exec "$ID" cat /proc/uptime
	uptime_ahead 864000
	ok start "$ID"
	ok exec "$ID" sh -c 'cat /proc/uptime /tmp/hook; readlink /proc/self/ns/time; readlink /proc/1/ns/time'
	uptime_ahead 864000
	is "$(tail -n +2 <<<"$OUT" | sort -u | wc -l)" 1 'time namespaces of the first process, exec and hook'
	silent kill "$ID" KILL
	wait_for status_is "$ID" stopped
	silent delete "$ID"
	nothing_left
}

@test "a time namespace joined by path: the clocks of its owner" {
	time_namespace '{"boottime": {"secs": 864000}}'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	new_bundle "$BUNDLE"
	config '.linux.namespaces += [{type: "time", path: $p}]' --arg p "/proc/$pid/ns/time"
	join_users "$pid"
	args sh -c 'cat /proc/uptime; readlink /proc/self/ns/time'
	ok run --bundle "$BUNDLE" "$ID.b"
	uptime_ahead 864000
	has "$OUT" "$(readlink "/proc/$pid/ns/time")"
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID.b"
	ok exec "$ID.b" cat /proc/uptime
	uptime_ahead 864000
	silent kill "$ID.b" KILL
	wait_for status_is "$ID.b" stopped
	status_is "$ID" running
}

@test "a time namespace with a user namespace, and with another's pid namespace" {
	own_users
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	time_namespace '{"boottime": {"secs": 864000}}'
	config '.linux.namespaces |= map(if .type == "pid" then .path = $p else . end)' --arg p "/proc/$pid/ns/pid"
	args cat /proc/uptime
	ok run --bundle "$BUNDLE" "$ID.b"
	uptime_ahead 864000

	new_bundle "$BUNDLE"
	time_namespace '{"boottime": {"secs": 864000}}'
	config '({containerID: 0, hostID: 100000, size: 65536} | [.]) as $m
		| .linux.namespaces += [{type: "user"}] | .linux.uidMappings = $m | .linux.gidMappings = $m'
	chmod 711 "$T" "$BUNDLE" "$OCI_TEST_TMP" 2>/dev/null
	args sh -c 'cat /proc/uptime; id -u'
	ok run --bundle "$BUNDLE" "$ID.c"
	uptime_ahead 864000
	has "$OUT" $'\n0'
}

@test "time offsets: without the namespace, with a joined one, an unknown clock, out of range" {
	config '.linux.timeOffsets = {"boottime": {"secs": 1}}'
	refused '/linux/timeOffsets: needs a time namespace' create --bundle "$BUNDLE" "$ID"
	new_bundle "$BUNDLE"
	config '.linux.namespaces += [{type: "time", path: "/proc/self/ns/time"}] | .linux.timeOffsets = {"boottime": {"secs": 1}}'
	refused '/linux/timeOffsets: must be empty' create --bundle "$BUNDLE" "$ID"
	new_bundle "$BUNDLE"
	time_namespace '{"realtime": {"secs": 1}}'
	refused '/linux/timeOffsets/realtime: must be one of monotonic, boottime' create --bundle "$BUNDLE" "$ID"
	new_bundle "$BUNDLE"
	time_namespace '{"boottime": {"secs": -999999999}}'
	refused '/timens_offsets boottime -999999999 0: ' create --bundle "$BUNDLE" "$ID"
	like "$ERR" '/linux/timeOffsets \(shift the clocks\): write /proc/(self|[0-9]+)/timens_offsets '
	has "$ERR" '(ERANGE)'
	has "$ERR" 'hint: a clock may not begin below 0'
	nothing_left
}

@test "a time namespace by a path of another kind is refused" {
	config '.linux.namespaces += [{type: "time", path: "/proc/self/ns/uts"}]'
	refused 'is a namespace of another kind than time' create --bundle "$BUNDLE" "$ID"
	nothing_left
}
