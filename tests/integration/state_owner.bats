#!/usr/bin/env bats
# Whose state the runtime takes its word from: what a record says is done with the
# caller's rights, so that a user could have root kill, write and execute.
# shellcheck disable=SC2034,SC2154 # STATUS, OUT, ERR and what setup makes are of helpers.bash

load helpers

needs() {
	own_config
}

# prepared DIR: user 2001 has in DIR the state of a container "trap", which is what root has
# made, but for the first process, who is root's, and hooks.
prepared() {
	only_oci_mini "whose state it reads"
	args sleep 100
	ok create --bundle "$BUNDLE" "$ID"
	background sleep 100
	VICTIM=$PID
	mkdir -p "$1/trap"
	jq --argjson pid "$VICTIM" --argjson start "$(cut -d' ' -f22 "/proc/$VICTIM/stat")" \
		'.id = "trap" | .init = {pid: $pid, startTime: $start} | del(.noHooks)' "$ROOT/$ID/state.json" >"$1/trap/state.json"
	jq --arg f "$T/hooked" '.hooks = {startContainer: [], poststop: [{path: "/bin/touch", args: ["touch", $f]}]}' \
		"$ROOT/$ID/config.json" >"$1/trap/config.json"
	chown -R 2001:2001 "$1"
	chmod 711 "$1" "$1/trap"
	ok delete --force "$ID"
	printf '{"args": ["true"], "cwd": "/"}' >"$T/process.json"
}

# commands: all that read state.
COMMANDS=('state trap' 'kill trap KILL' 'kill --all trap KILL' 'delete trap' 'delete --force trap' 'start trap' 'ps trap' 'exec trap true'
	'exec --process PROCESS trap' 'pause trap' 'resume trap' 'update --pids-limit 5 trap' 'events --stats trap' 'kill --regex trap KILL' 'delete --force --regex trap')

@test "root believes no state of a user's, whatever the command" {
	prepared "$T/state"
	local command why="$T/state belongs to user 2001, who could have the state in it make user 0 do anything: call oci-mini as user 2001, or use a state directory (--root) of user 0"
	STATE=(--root "$T/state")
	for command in "${COMMANDS[@]}" list 'create --bundle BUNDLE new' 'run --bundle BUNDLE new' 'delete --force missing'; do
		command=${command/PROCESS/$T/process.json}
		# shellcheck disable=SC2086 # words
		rt ${command/BUNDLE/$BUNDLE}
		((STATUS != 0)) || fail "$command succeeds: $OUT$ERR"
		has "$ERR" "$why"
		is "$OUT" ''
	done
	kill -0 "$VICTIM"
	[[ ! -e $T/hooked && -e $T/state/trap/state.json && ! -e $T/state/new ]]
	# The same state is believed when it is root's.
	chown -R 0:0 "$T/state"
	ok state trap
	is "$(jq .pid <<<"$OUT")" "$VICTIM"
	ok delete --force trap
	refute kill -0 "$VICTIM"
	[[ -e $T/hooked ]]
}

@test "in a shared directory everybody has containers of their own" {
	prepared "$T/state"
	chown 0:0 "$T/state"
	chmod 1777 "$T/state"
	local command
	STATE=(--root "$T/state")
	for command in "${COMMANDS[@]}"; do
		# shellcheck disable=SC2086 # words
		rt ${command/PROCESS/$T/process.json}
		((STATUS != 0)) || fail "$command succeeds: $OUT$ERR"
		has "$ERR" "$T/state/trap belongs to user 2001"
	done
	kill -0 "$VICTIM"
	[[ ! -e $T/hooked && -e $T/state/trap/state.json ]]
	args true
	rt create --bundle "$BUNDLE" trap
	has "$ERR" 'already exists'
	args sleep 100
	ok run --detach --bundle "$BUNDLE" "$ID"
	ok list --quiet
	is "$OUT" "$ID"
	has "$ERR" "$T/state/trap belongs to user 2001"
	ok delete --force "$ID"
	chmod 777 "$T/state"
	refused "$T/state has mode 0777 and group 0: others than user 0 may write to it, who could have the state in it make user 0 do anything: chmod it to 0700, or to 1777 if it is meant to be shared" state "$ID"
	rm -r "$T/state/trap"
}

@test "a user believes root's state and their own, and nobody else's" {
	only_oci_mini "whose state it reads"
	mkdir -m 700 "$T/state"
	chown 2001:2001 "$T/state"
	chmod 711 "$T"
	as() { setpriv --reuid "$1" --regid "$1" --clear-groups "$RUNTIME" --root "$T/state" list 2>&1; }
	has "$(as 2001)" OWNER
	chmod 755 "$T/state"
	has "$(as 2002)" "$T/state belongs to user 2001, who could have the state in it make user 2002 do anything"
	chown 0:0 "$T/state"
	lacks "$(as 2002)" belongs
	# In a user namespace of their own they are root, and their own.
	chown 2001:2001 "$T/state"
	lacks "$(setpriv --reuid 2001 --regid 2001 --clear-groups unshare -Ur "$RUNTIME" --root "$T/state" list 2>&1)" belongs
	has "$(setpriv --reuid 2002 --regid 2002 --clear-groups unshare -Ur "$RUNTIME" --root "$T/state" list 2>&1)" 'belongs to user 65534'
}
