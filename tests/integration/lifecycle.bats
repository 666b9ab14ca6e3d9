#!/usr/bin/env bats
# The life of a container: create, start, state, kill, delete, in and out of order.

load helpers

@test "create, start, kill, delete: each state in turn" {
	args sleep 60
	silent create --bundle "$BUNDLE" "$ID"
	status_is "$ID" created
	silent start "$ID"
	status_is "$ID" running
	silent kill "$ID" KILL
	wait_for status_is "$ID" stopped
	silent delete "$ID"
	refused 'does not exist' state "$ID"
	nothing_left
}

@test "create waits: nothing of the program runs before start" {
	own_rootfs
	args sh -c 'echo ran >/ran'
	silent create --bundle "$BUNDLE" "$ID"
	sleep 0.2
	[[ ! -e $ROOTFS/ran ]]
	silent start "$ID"
	wait_for test -e "$ROOTFS/ran"
	wait_for status_is "$ID" stopped
	silent delete "$ID"
}

@test "a second start fails and leaves the container running" {
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	refused 'cannot start an already running container' start "$ID"
	status_is "$ID" running
}

@test "start after the exit fails" {
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	wait_for status_is "$ID" stopped
	refused 'cannot start a container that has stopped' start "$ID"
	status_is "$ID" stopped
}

@test "a used id is refused and its container is untouched" {
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	ok state "$ID"
	before=$OUT
	refused 'container with given ID already exists' create --bundle "$BUNDLE" "$ID"
	refused 'container with given ID already exists' run --bundle "$BUNDLE" "$ID"
	ok state "$ID"
	is "$OUT" "$before" state
	silent start "$ID"
	status_is "$ID" running
}

@test "every command on an unknown id says that it does not exist" {
	for command in state start kill delete; do
		refused 'does not exist' "$command" "$ID"
	done
	rt exec "$ID" true
	((STATUS == 1 || STATUS == 255))
	has "$ERR" 'does not exist'
	nothing_left
}

@test "a stopped container: kill says not running, kill --all succeeds" {
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	wait_for status_is "$ID" stopped
	refused 'container not running' kill "$ID" TERM
	refused 'container not running' kill "$ID" KILL
	silent kill --all "$ID" KILL
	silent kill -a "$ID" 9
}

@test "delete of a running container is refused, --force kills it" {
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	pid=$(init_pid "$ID")
	refused "cannot delete container $ID that is not stopped: running" delete "$ID"
	status_is "$ID" running
	silent delete --force "$ID"
	gone "$pid"
	nothing_left
}

@test "delete of a created container kills the waiting process" {
	ok create --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	silent delete "$ID"
	wait_for gone "$pid"
	nothing_left
}

@test "delete --force of a created container" {
	ok create --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	silent delete --force "$ID"
	wait_for gone "$pid"
	nothing_left
}

@test "delete --force of a paused container" {
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	pid=$(init_pid "$ID")
	silent pause "$ID"
	status_is "$ID" paused
	silent delete --force "$ID"
	wait_for gone "$pid"
	nothing_left
}

@test "delete --force of a missing id succeeds, without force it fails" {
	silent delete --force "$ID"
	refused 'does not exist' delete "$ID"
}

@test "pause and resume: state, and the wrong order refused without effect" {
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	refused 'not paused' resume "$ID"
	status_is "$ID" running
	silent pause "$ID"
	status_is "$ID" paused
	rt pause "$ID"
	((STATUS == 1))
	status_is "$ID" paused
	silent resume "$ID"
	status_is "$ID" running
}

@test "kill KILL of a paused container takes effect" {
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	pid=$(init_pid "$ID")
	ok pause "$ID"
	ok kill "$ID" KILL
	wait_for gone "$pid"
	wait_for status_is "$ID" stopped
}

@test "run --keep leaves a stopped container, run without it leaves nothing" {
	ok run --keep --bundle "$BUNDLE" "$ID"
	status_is "$ID" stopped
	refused 'container with given ID already exists' run --bundle "$BUNDLE" "$ID"
	silent delete "$ID"
	refused 'does not exist' state "$ID"
	ok run --bundle "$BUNDLE" "$ID"
	nothing_left
}

@test "a deleted bundle: start reports it, kill and delete still work" {
	own_rootfs
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	rm -rf "$BUNDLE"
	rt start "$ID"
	if is_oci_mini; then
		((STATUS == 1))
		has "$ERR" 'no such file or directory'
	fi
	wait_for gone "$pid"
	wait_for status_is "$ID" stopped
	silent delete "$ID"
	nothing_left
}

@test "a bundle deleted under a running container: kill and delete work" {
	own_rootfs
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	rm -rf "$BUNDLE"
	status_is "$ID" running
	silent kill "$ID" KILL
	wait_for status_is "$ID" stopped
	silent delete "$ID"
	nothing_left
}

@test "an edit of config.json after create changes neither start nor poststop hooks" {
	supports '.hooks | index("poststop")' 'poststop hooks'
	args sh -c 'echo "$WHO" >/out; sleep 60'
	own_rootfs
	config '.process.env += ["WHO=first"]
		| .hooks.poststop = [{path: "/bin/sh", args: ["sh", "-c", "echo first >" + $f]}]' --arg f "$T/poststop"
	ok create --bundle "$BUNDLE" "$ID"
	config '.process.env += ["WHO=second"] | .process.args = ["sh", "-c", "echo second >/out"]
		| .hooks.poststop[0].args[2] = "echo second >" + $f' --arg f "$T/poststop"
	ok start "$ID"
	wait_for test -s "$ROOTFS/out"
	is "$(<"$ROOTFS/out")" first
	ok delete --force "$ID"
	is "$(<"$T/poststop")" first
}

@test "exec keeps to the config of create after an edit of config.json" {
	only_oci_mini "exec reads the config that create stored"
	args sleep 60
	config '.process.env += ["WHO=first"]'
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	config '.process.env += ["WHO=second"]'
	# shellcheck disable=SC2016
	ok exec "$ID" sh -c 'echo $WHO'
	is "$OUT" first
	echo '{' >"$BUNDLE/config.json"
	ok exec "$ID" true
}

@test "unknown properties and annotations are ignored" {
	config '.unknown = {a: 1} | .process.unknown = true | .linux.unknown = [1]
		| .annotations = {"org.example.unknown": "yes"} | .linux.resources.unknown = {}
		| .mounts[0].unknown = 1'
	ok run --bundle "$BUNDLE" "$ID"
	is "$ERR" ''
}

@test "an ociVersion that is no version, of another major, or a draft, is refused" {
	only_oci_mini "a bad ociVersion is refused"
	for version in '"bogus"' '"2.0.0"' '""' null '"1.0.0-rc5"'; do
		config '.ociVersion = $v' --argjson v "$version"
		rt create --bundle "$BUNDLE" "$ID"
		((STATUS == 1)) || fail "ociVersion $version is accepted"
		has "$ERR" ociVersion
	done
	nothing_left
}

@test "without a process create works and start fails" {
	only_oci_mini "a config without process can be created"
	config 'del(.process)'
	silent create --bundle "$BUNDLE" "$ID"
	status_is "$ID" created
	rt start "$ID"
	((STATUS == 1))
	has "$ERR" process
	ok delete --force "$ID"
	nothing_left
}

@test "start reports an execve that fails" {
	own_rootfs
	cp "$ROOTFS/bin/busybox" "$ROOTFS/bin/sleep-copy"
	args /bin/sleep-copy sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	rm "$ROOTFS/bin/sleep-copy"
	rt start "$ID"
	if is_oci_mini; then
		((STATUS == 1))
		has "$ERR" '/bin/sleep-copy'
		has "$ERR" 'no such file or directory'
	fi
	wait_for status_is "$ID" stopped
	silent delete "$ID"
	nothing_left
}

@test "start reports a program with a missing interpreter and one of no format" {
	only_oci_mini "start reports what execve answers"
	own_rootfs
	printf '#!/no/such/interpreter\n' >"$ROOTFS/bin/script"
	chmod 755 "$ROOTFS/bin/script"
	args /bin/script
	ok create --bundle "$BUNDLE" "$ID"
	refused 'no such file or directory' start "$ID"
	ok delete --force "$ID"
	printf 'no format at all\n' >"$ROOTFS/bin/script"
	ok create --bundle "$BUNDLE" "$ID"
	refused 'exec format error' start "$ID"
	ok delete --force "$ID"
	nothing_left
}

@test "a recycled pid reads as stopped and is never signalled" {
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	pid=$(init_pid "$ID")
	sleep 60 3>&- &
	victim=$!
	STARTED+=("$victim")
	kill -9 "$pid"
	wait_for gone "$pid"
	file=$ROOT/$ID/state.json
	jq --argjson old "$pid" --argjson new "$victim" \
		'walk(if . == $old then $new else . end)' "$file" >"$T/state.new"
	refute cmp -s "$file" "$T/state.new"
	cat "$T/state.new" >"$file"
	status_is "$ID" stopped
	refused 'container not running' kill "$ID" KILL
	rt delete --force "$ID"
	((STATUS == 0))
	kill -0 "$victim"
}

@test "the state root's directory has mode 0700 and the container's 0711" {
	rm -rf "$ROOT"
	ok create --bundle "$BUNDLE" "$ID"
	mode=700
	[[ $WORLD != rootless ]] || mode=1700 # so that nothing tidies it up (XDG Base Directory Specification)
	is "$(stat -c %a "$ROOT")" "$mode" 'mode of the root'
	is "$(stat -c %a "$ROOT/$ID")" 711 'mode of the container directory'
}
