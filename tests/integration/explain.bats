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

@test "explain --restore: what criu is told, and what the runtime makes sure of, without doing it" {
	setup_explain
	needs_host_users 'CRIU restores as the machine'\''s root'
	refused '--image-path: open ' explain --restore --image-path "$T/images" --bundle "$BUNDLE" "$ID"
	mkdir -m 700 "$T/images" "$T/data"
	echo '["pipe:[1]", "file[1:2]", ""]' >"$T/images/descriptors.json"
	echo '{"manageCgroupsMode": "ignore"}' >"$T/images/oci-mini.json"
	mount_add /data bind "$T/data" rbind ro
	ok explain --restore --image-path "$T/images" --tcp-established --work-path "$T/work" --bundle "$BUNDLE" "$ID"
	is "$ERR" ''
	like "$OUT" "runtime  tell criu that the root is $ROOTFS +/root/path"
	like "$OUT" "runtime  tell criu that $T/data belongs on /data +/mounts/[0-9]+"
	has "$OUT" 'give criu descriptor 0 in the place of the container'
	has "$OUT" --tcp-established
	like "$OUT" 'criu     make the namespaces'
	like "$OUT" 'criu     let the processes go on$'
	refute test -e "$T/work"
	ok explain --restore --format json --image-path "$T/images" --bundle "$BUNDLE" "$ID"
	is "$(jq -r '[.steps[].by] | unique | join(" ")' <<<"$OUT")" 'criu runtime'
	refused '--format sh: there is no script for --restore' explain --restore --format sh --image-path "$T/images" --bundle "$BUNDLE" "$ID"
	nothing_left
}
