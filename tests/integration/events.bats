#!/usr/bin/env bats
# events: the statistics that engines parse, the stream and its end.

load helpers

sleeping() {
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
}

# stream ARG...: events in the background; its output is in $T/stream, and its
# exit status in $T/status when it has ended.
stream() {
	# shellcheck disable=SC2016 # for the inner shell
	background bash -c '"$@" >"$OUTPUT/stream" 2>"$OUTPUT/stream.err"; echo $? >"$OUTPUT/status"' - \
		"$RUNTIME" --root "$ROOT" events "$@"
}

lines() {
	(($(wc -l <"$T/stream") >= $1))
}

@test "events --stats: one line with the envelope and every group" {
	sleeping
	ok events --stats "$ID"
	is "$ERR" ''
	is "$(wc -l <<<"$OUT")" 1 lines
	is "$(jq -r '.type + " " + .id' <<<"$OUT")" "stats $ID"
	is "$(jq -r '.data | keys - ["network_interfaces"] | join(" ")' <<<"$OUT")" \
		'blkio cpu cpuset hugetlb intel_rdt memory pids'
	(($(jq .data.cpu.usage.total <<<"$OUT") > 0))
	is "$(jq .data.pids.current <<<"$OUT")" 1
	is "$(jq '.data.cpu.usage | has("kernel") and has("user")' <<<"$OUT")" true
}

@test "events --stats: limits and usage are those of the container" {
	need_controller memory
	need_controller pids
	config '.linux.resources = {memory: {limit: 67108864}, pids: {limit: 33}}'
	sleeping
	ok events --stats "$ID"
	is "$(jq .data.memory.usage.limit <<<"$OUT")" 67108864
	is "$(jq .data.pids.limit <<<"$OUT")" 33
	is "$(jq '.data.memory.usage | .usage > 0 and .max >= .usage and has("failcnt")' <<<"$OUT")" true
	is "$(jq '.data.memory.raw | length > 10' <<<"$OUT")" true
	if ! cgroup2; then
		is "$(jq '.data.cpu.usage | (.percpu | length) == (.percpu_user | length)' <<<"$OUT")" true
		is "$(jq -c .data.cpuset.mems <<<"$OUT")" '[0]'
	fi
}

@test "events --stats: created and paused containers; not stopped or missing ones" {
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	ok events --stats "$ID"
	ok start "$ID"
	ok pause "$ID"
	ok events --stats "$ID"
	is "$(jq .data.pids.current <<<"$OUT")" 1
	ok kill "$ID" KILL
	wait_for status_is "$ID" stopped
	refused 'not running' events --stats "$ID"
	refused 'not running' events "$ID"
	ok delete "$ID"
	refused 'does not exist' events --stats "$ID"
}

@test "events: pressure where the kernel tells it" {
	[[ -r /proc/pressure/cpu ]] || skip "the kernel has no pressure stall information"
	cgroup2 || [[ -d /sys/fs/cgroup/unified ]] || skip "no cgroup2 hierarchy"
	sleeping
	ok events --stats "$ID"
	is "$(jq -c '[.data.cpu, .data.memory, .data.blkio] | map(.psi.some | keys) | unique' <<<"$OUT")" \
		'[["avg10","avg300","avg60","total"]]'
}

@test "events: a line at every interval, and the end with the container" {
	sleeping
	export OUTPUT=$T
	stream --interval 100ms "$ID"
	wait_for lines 3
	ok kill "$ID" KILL
	wait_for -t 1 test -s "$T/status"
	is "$(<"$T/status")" 0 'exit status'
	is "$(<"$T/stream.err")" ''
	is "$(jq -r .type "$T/stream" | sort -u)" stats
}

@test "events: the end is noticed long before the interval is over" {
	args sleep "$((PATIENCE / 2)).5"
	ok run --detach --bundle "$BUNDLE" "$ID"
	export OUTPUT=$T
	stream --interval=1h "$ID"
	wait_for -t 3 test -s "$T/status"
	is "$(<"$T/status")" 0 'exit status'
	is "$(<"$T/stream")" ''
}

@test "events: a wrong interval is refused" {
	sleeping
	refused interval events --interval 0s "$ID"
	refused interval events --interval=-5s "$ID"
	rt events --interval 5 "$ID"
	((STATUS == 1))
}

@test "events: the out-of-memory killer is told at once, once" {
	need_controller memory
	config '.linux.resources.memory = {limit: 16777216, swap: 16777216}'
	args sh -c 'sleep 0.5; tail /dev/zero; sleep 60'
	ok run --detach --bundle "$BUNDLE" "$ID"
	export OUTPUT=$T
	stream --interval 1h "$ID"
	wait_for lines 1
	is "$(jq -c '[.type, .id]' "$T/stream")" '["oom","'"$ID"'"]'
	sleep 0.2
	is "$(wc -l <"$T/stream")" 1 lines
	ok delete --force "$ID"
	wait_for test -s "$T/status"
	# The removal of the cgroup is no such event.
	is "$(wc -l <"$T/stream")" 1 lines
}

@test "events: the killer's last blow comes before the end" {
	need_controller memory
	config '.linux.resources.memory = {limit: 16777216, swap: 16777216}'
	args sh -c 'sleep 0.5; exec tail /dev/zero'
	ok run --detach --bundle "$BUNDLE" "$ID"
	export OUTPUT=$T
	stream --interval 1h "$ID"
	wait_for test -s "$T/status"
	is "$(<"$T/status")" 0 'exit status'
	is "$(jq -r .type "$T/stream")" oom
}
