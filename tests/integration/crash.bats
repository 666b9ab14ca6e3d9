#!/usr/bin/env bats
# A runtime that fails or is killed at any point leaves nothing, or only what
# delete --force removes.

load helpers

@test "a create that fails, early or late, leaves nothing" {
	mkdir "$T/data"
	while read -r filter; do
		new_bundle "$BUNDLE"
		with_network
		config "$filter"
		rt create --bundle "$BUNDLE" "$ID"
		((STATUS == 1)) || fail "accepted: $filter"
		[[ -n $ERR ]] || fail "silent: $filter"
		[[ ! -e $ROOT/$ID ]] || fail "state is left: $filter"
		nothing_left
	done <<'END'
.root.path = "/no/such/rootfs"
.mounts += [{destination: "/mnt", type: "tmpfs", source: "x", options: ["size=nonsense"]}]
.mounts += [{destination: "/mnt", type: "bind", source: "/no/such", options: ["bind"]}]
.process.args = ["/no/such/program"]
.process.cwd = "/etc/passwd"
.linux.namespaces |= map(if .type == "network" then .path = "/no/such" else . end)
.hooks.createRuntime = [{path: "/bin/false"}]
.hooks.prestart = [{path: "/no/such/hook"}]
.hooks.createContainer = [{path: "/bin/false"}]
.linux.sysctl = {"kernel.no_such_key": "1"}
.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 3, hard: 2}]
.linux.devices = [{type: "x", path: "/dev/x", major: 1, minor: 1}]
.linux.seccomp = {defaultAction: "SCMP_ACT_NO_SUCH"}
END
}

@test "a run that fails leaves nothing" {
	args /no/such/program
	rt run --bundle "$BUNDLE" "$ID"
	((STATUS != 0))
	refused 'does not exist' state "$ID"
	nothing_left
}

@test "a create killed at any moment: delete --force cleans up" {
	args sleep 60
	for delay in 0 .001 .002 .003 .004 .005 .006 .008 .01 .012 .015 .02 .03; do
		OCI_TEST_MARK=$MARK setsid "$RUNTIME" --root "$ROOT" create --bundle "$BUNDLE" "$ID" \
			</dev/null >"$T/o" 2>&1 3>&- &
		pid=$!
		sleep "$delay"
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
		silent delete --force "$ID"
		[[ ! -e $ROOT/$ID ]] || fail "state is left after a kill at $delay s"
		same_picture || fail "after a kill at $delay s"
	done
}

@test "a create killed at a system call: delete --force cleans up" {
	strace -qq -o /dev/null true 2>/dev/null || skip "strace cannot trace here"
	args sleep 60
	n=0
	for call in mkdirat:1 mkdirat:2 mkdirat:4 openat:20 openat:40 openat:60 write:1 write:3 write:6 \
		renameat:1 renameat2:1 fsync:1 clone3:1 clone:3 move_mount:1 move_mount:5 mount:3 fsopen:1 \
		fsconfig:3 mount_setattr:1 open_tree:1 openat2:2 pivot_root:1 bpf:1 bpf:2 bind:1 listen:1 \
		unshare:1 sethostname:1 prctl:3 capset:1 setresuid:1 setgroups:1 chdir:1 fchdir:1 close_range:1 \
		accept4:1 poll:1 ppoll:1 pidfd_send_signal:1 umount2:1; do
		name=${call%:*} when=${call#*:}
		rm -f "$T/pid"
		# A container that was made keeps strace waiting: the pid file ends the wait.
		OCI_TEST_MARK=$MARK timeout -k 1 $((5 * PATIENCE)) strace -f -qq -o "$T/trace" -e "trace=$name" \
			-e "inject=$name:signal=KILL:when=$when" \
			"$RUNTIME" --root "$ROOT" create --pid-file "$T/pid" --bundle "$BUNDLE" "$ID" </dev/null >"$T/o" 2>&1 3>&- &
		pid=$!
		ended() { [[ -e $T/pid ]] || ! kill -0 "$pid" 2>/dev/null; }
		wait_for -t 7 ended
		kill -0 "$pid" 2>/dev/null && sleep 0.05
		! grep -q 'killed by SIGKILL' "$T/trace" || ((++n))
		rt delete --force "$ID"
		[[ $STATUS == 0 ]] || fail "delete --force after KILL at $call exits $STATUS: $ERR"
		wait "$pid" || true
		[[ ! -e $ROOT/$ID ]] || fail "state is left after KILL at $call"
		same_picture || fail "after KILL at $call"
	done
	((n > 4)) || fail "only $n of the kills hit"
}

@test "a state half written before the kill is no obstacle to the same id" {
	strace -qq -o /dev/null true 2>/dev/null || skip "strace cannot trace here"
	args sleep 60
	OCI_TEST_MARK=$MARK timeout -k 1 $((3 * PATIENCE)) strace -f -qq -o "$T/trace" -e inject=clone3,clone:signal=KILL:when=1 \
		"$RUNTIME" --root "$ROOT" create --bundle "$BUNDLE" "$ID" </dev/null >"$T/o" 2>&1 3>&- || true
	silent delete --force "$ID"
	silent create --bundle "$BUNDLE" "$ID"
	status_is "$ID" created
}

@test "TERM to a create that waits for a hook: unwound, nothing left" {
	supports '.hooks | index("createRuntime")' 'createRuntime hooks'
	config '.hooks.createRuntime = [{path: "/bin/sleep", args: ["sleep", "60"]}]'
	background "$RUNTIME" --root "$ROOT" create --bundle "$BUNDLE" "$ID" </dev/null >"$T/o" 2>&1
	waits() { marked | while read -r p; do cat "/proc/$p/comm"; done | grep -q sleep; }
	wait_for waits
	kill -TERM "$PID"
	code=0
	wait "$PID" || code=$?
	((code != 0))
	if ! is_oci_mini; then
		for pid in $(marked); do kill -9 "$pid"; done
		rt delete --force "$ID"
	fi
	[[ ! -e $ROOT/$ID ]]
	nothing_left
}

@test "the first process killed while created: state is stopped, start fails, delete works" {
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	kill -9 "$pid"
	wait_for gone "$pid"
	status_is "$ID" stopped
	rt start "$ID"
	((STATUS == 1))
	silent delete "$ID"
	nothing_left
}

@test "the runtime killed in the foreground: the container can be deleted" {
	args sleep 60
	background "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null >"$T/o" 2>&1
	wait_for status_is "$ID" running
	kill -9 "$PID"
	wait "$PID" || true
	silent delete --force "$ID"
	nothing_left
}

@test "state polled during create, start and delete never sees half of it" {
	args sleep 60
	(
		while [[ ! -e $T/stop ]]; do
			out=$("$RUNTIME" --root "$ROOT" state "$ID" 2>"$T/poll.err" 3>&-) || {
				grep -q 'does not exist' "$T/poll.err" || cat "$T/poll.err" >>"$T/bad"
				continue
			}
			answer=$(jq -r .status <<<"$out") || echo "unreadable: $out" >>"$T/bad"
			[[ $answer =~ ^(creating|created|running|stopped)$ ]] || echo "status $answer" >>"$T/bad"
		done
	) 3>&- &
	poller=$!
	STARTED+=("$poller")
	for _ in 1 2 3 4 5 6; do
		ok create --bundle "$BUNDLE" "$ID"
		ok start "$ID"
		ok delete --force "$ID"
	done
	: >"$T/stop"
	wait "$poller"
	[[ ! -s $T/bad ]] || fail "$(<"$T/bad")"
}

@test "one id, many creates at once: exactly one wins" {
	args sleep 60
	pids=()
	for i in 1 2 3 4 5 6; do
		OCI_TEST_MARK=$MARK "$RUNTIME" --root "$ROOT" create --bundle "$BUNDLE" "$ID" </dev/null >"$T/o$i" 2>&1 3>&- &
		pids+=("$!")
	done
	won=0
	for pid in "${pids[@]}"; do
		if wait "$pid"; then ((++won)); fi
	done
	is "$won" 1 'creates that succeeded'
	status_is "$ID" created
	if is_oci_mini; then
		is "$(cat "$T"/o? | grep -c 'container with given ID already exists')" 5 'refused creates'
	fi
}
