#!/usr/bin/env bats
# explain: the plan of a container, before anything happens.

load helpers

setup_explain() {
	only_oci_mini explain
}

@test "explain: the steps in words, each with the field that asks for it" {
	setup_explain
	ok explain --bundle "$BUNDLE"
	is "$ERR" ''
	count=$(jq '.mounts | length' "$BUNDLE/config.json")
	for ((i = 0; i < count; i++)); do
		has "$OUT" "/mounts/$i"
	done
	has "$OUT" /process
	has "$OUT" /hostname
	has "$OUT" /linux/namespaces
	nothing_left
}

@test "explain DIR/ is the same as explain --bundle DIR" {
	setup_explain
	ok explain --bundle "$BUNDLE"
	text=$OUT
	ok explain "$BUNDLE/"
	is "$OUT" "$text"
}

@test "explain --format json parses and mentions each mount and mask" {
	setup_explain
	ok explain --format json --bundle "$BUNDLE"
	jq -e . <<<"$OUT" >/dev/null
	while read -r destination; do
		has "$OUT" "$destination"
	done < <(jq -r '.mounts[].destination, .linux.maskedPaths[], .linux.readonlyPaths[]' "$BUNDLE/config.json")
	for ((i = 0; i < $(jq '.mounts | length' "$BUNDLE/config.json"); i++)); do
		is "$(jq --arg p "/mounts/$i" '[.. | strings | select(. == $p)] | length > 0' <<<"$OUT")" true "a step for /mounts/$i"
	done
	nothing_left
}

@test "explain shows a limit as the file and value that it becomes" {
	setup_explain
	need_controller pids
	config '.linux.resources.pids = {limit: 77}'
	ok explain --bundle "$BUNDLE"
	has "$OUT" pids.max
	has "$OUT" 77
	has "$OUT" /linux/resources/pids
}

@test "explain has no effect, and a faulty config is told as create tells it" {
	setup_explain
	own_rootfs
	find "$ROOTFS" -printf '%P %y %M %T@\n' >"$T/before"
	ok explain "$BUNDLE/"
	find "$ROOTFS" -printf '%P %y %M %T@\n' >"$T/after"
	cmp "$T/before" "$T/after"
	[[ -z $(ls -A "$ROOT") ]]
	config '.process.cwd = "relative"'
	rt explain "$BUNDLE/"
	((STATUS == 1))
	has "$ERR" /process/cwd
}
