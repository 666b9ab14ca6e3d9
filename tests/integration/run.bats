#!/usr/bin/env bats
# run in the foreground and detached: exit codes, stdio, signals, pid files.

load helpers

@test "the exit code of the program is the exit code of run" {
	for code in 0 1 2 7 125 126 127 128 137 254 255; do
		args sh -c "exit $code"
		rt run --bundle "$BUNDLE" "$ID"
		is "$STATUS" "$code" 'exit code'
		is "$ERR" ''
	done
	nothing_left
}

@test "a program killed by signal n makes 128+n" {
	config '.linux.namespaces |= map(select(.type != "pid"))'
	for signal in HUP INT ABRT USR1 SEGV TERM KILL; do
		inside "ulimit -c 0; kill -$signal \$\$; sleep 5"
		is "$STATUS" $((128 + $(kill -l "$signal"))) "exit code after $signal"
	done
	nothing_left
}

@test "a container killed from outside makes run exit 137" {
	args sleep 60
	background "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null >"$T/o" 2>&1
	wait_for status_is "$ID" running
	silent kill "$ID" KILL
	code=0
	wait "$PID" || code=$?
	is "$code" 137 'exit code'
	is "$(<"$T/o")" '' output
	nothing_left
}

@test "standard output and error stay apart, input is read from a pipe" {
	inside 'echo one; echo two >&2; exit 3'
	is "$STATUS" 3
	is "$OUT" one
	is "$ERR" two
	args cat
	rt_stdin run --bundle "$BUNDLE" "$ID" < <(seq 1 20000)
	is "$STATUS" 0
	is "$(wc -l <"$T/out")" 20000 lines
	is "$(tail -n 1 "$T/out")" 20000
}

@test "stdio on /dev/null, closed, and a full pipe's reader gone" {
	args sh -c 'echo x; cat'
	"$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 3>&-
	is "$(stat -c '%U:%G %a' /dev/null)" 'root:root 666' '/dev/null'
	code=0
	"$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" <&- >&- 2>&- 3>&- || code=$?
	is "$code" 0 'exit code with stdio closed' || ! is_oci_mini
	args sh -c 'while :; do echo y || exit 9; done'
	OCI_TEST_MARK=$MARK "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null 2>"$T/err" 3>&- | head -n 1
	nothing_left
}

@test "another user can open /dev/stdout and /dev/stderr; /dev/null keeps its owner" {
	needs_ids 'user 1000'
	config '.process.user = {uid: 1000, gid: 1000}'
	inside_ok 'id -u; echo out >>/dev/stdout; echo err >>/dev/stderr'
	is "$OUT" $'1000\nout'
	is "$ERR" err
	out=$(OCI_TEST_MARK=$MARK "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null 2>/dev/null 3>&-)
	is "$out" $'1000\nout' 'through a pipe'
	is "$(stat -c %u:%a /dev/null)" 0:666 '/dev/null'
}

@test "a terminal: run in the foreground gives the program one of its own" {
	config '.process.terminal = true'
	args sh -c 'test -t 0 && test -t 1 && test -t 2 && tty && ls -l /dev/console && exit 5'
	code=0
	OCI_TEST_MARK=$MARK script -qec "'$RUNTIME' --root '$ROOT' run --bundle '$BUNDLE' '$ID'" /dev/null \
		</dev/null >"$T/typed" 2>&1 3>&- || code=$?
	is "$code" 5 'exit code'
	like "$(<"$T/typed")" '/dev/(pts/0|console)'
	has "$(<"$T/typed")" '/dev/console'
	nothing_left
}

@test "a terminal: size and owner of the pty, and what is typed arrives" {
	needs_ids 'user 1000'
	config '.process.terminal = true | .process.user = {uid: 1000, gid: 1000}
		| .process.consoleSize = {height: 33, width: 101}'
	args sh -c 'stty size; stat -c "%u" "$(tty)"; read -r line; echo "got <$line>"'
	(sleep 1; echo typed; sleep 0.3) |
		OCI_TEST_MARK=$MARK script -qec "'$RUNTIME' --root '$ROOT' run --bundle '$BUNDLE' '$ID'" /dev/null \
			>"$T/typed" 2>&1 3>&-
	has "$(<"$T/typed")" 'got <typed>'
	if is_oci_mini; then
		has "$(<"$T/typed")" '33 101'
	fi
	like "$(<"$T/typed")" $'(^|\n)1000'
	nothing_left
}

@test "a terminal and a socket: what cannot go together is refused" {
	config '.process.terminal = true'
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" console
	rt run --detach --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	config '.process.terminal = false'
	rt create --console-socket "$T/sock" --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" console
	nothing_left
}

@test "signals sent to run in the foreground reach the program" {
	for signal in TERM HUP USR1 USR2 WINCH; do
		args sh -c "trap 'echo got; exit 42' $signal; echo ready; while :; do sleep 0.02; done"
		: >"$T/o"
		background "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null >"$T/o" 2>"$T/e"
		wait_for grep -q ready "$T/o"
		[[ $signal != WINCH ]] || {
			# Without a terminal a change of size is of no concern to the program.
			kill -WINCH "$PID"
			sleep 0.1
			kill -0 "$PID"
			silent kill "$ID" KILL
			wait "$PID" || true
			continue
		}
		kill "-$signal" "$PID"
		code=0
		wait "$PID" || code=$?
		is "$code" 42 "exit code after $signal"
		has "$(<"$T/o")" got
		is "$(<"$T/e")" '' 'standard error'
	done
	nothing_left
}

@test "kill: signals by name, SIG-name, number and real-time name" {
	for pair in TERM:15 SIGTERM:15 15:15 term:15 HUP:1 SIGUSR1:10 USR2:12 RTMIN+3:37 SIGRTMIN:34 64:64; do
		name=${pair%:*} number=${pair#*:}
		own=$ID.$number.${name/+/_}
		args sh -c "trap 'exit 42' $number; while :; do sleep 0.02; done"
		if ((number >= 32)) && ! is_oci_mini; then continue; fi
		background "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$own" </dev/null >"$T/o" 2>&1
		trapped() { (($(awk '$1 == "SigCgt:" { print "0x" $2 }' "/proc/$(init_pid "$own")/status" 2>/dev/null) >> (number - 1) & 1)); }
		wait_for status_is "$own" running
		wait_for trapped
		silent kill "$own" "$name"
		code=0
		wait "$PID" || code=$?
		is "$code" 42 "exit code after kill $name"
	done
}

@test "kill: TERM is the default, 0 asks for existence, nonsense is refused" {
	args sh -c 'trap "exit 42" TERM; echo ready; while :; do sleep 0.02; done'
	background "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null >"$T/o" 2>&1
	wait_for grep -q ready "$T/o"
	silent kill "$ID" 0
	for signal in NONSENSE SIG SIGNONSENSE -1 65 1000 1.5 'TERM KILL' RTMIN+31 RTMAX+1 0x9; do
		rt kill "$ID" "$signal"
		((STATUS != 0)) || fail "kill ID '$signal' is accepted"
	done
	if is_oci_mini; then
		rt kill "$ID" ''
		((STATUS != 0)) || fail "kill ID '' is accepted"
	fi
	status_is "$ID" running
	silent kill "$ID"
	code=0
	wait "$PID" || code=$?
	is "$code" 42 'exit code'
}

@test "KILL without a pid namespace takes the whole container along" {
	config '.linux.namespaces |= map(select(.type != "pid"))'
	args sh -c 'sleep 61 & sleep 60 & wait'
	ok run --detach --bundle "$BUNDLE" "$ID"
	two() { (($(marked | wc -l) == 3)); }
	wait_for two
	silent kill "$ID" KILL
	none() { [[ -z $(marked) ]]; }
	wait_for none
	wait_for status_is "$ID" stopped
	silent delete "$ID"
	nothing_left
}

@test "signals that the caller ignored or blocked are as new in the container" {
	only_oci_mini "a caller's nohup is no concern of the container"
	args grep -E '^Sig(Blk|Ign)' /proc/self/status
	(
		trap '' HUP INT QUIT TERM USR1
		ok run --bundle "$BUNDLE" "$ID"
		is "$OUT" $'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000'
	)
}

@test "run --detach returns while the program runs, silently" {
	args sleep 60
	silent run --detach --bundle "$BUNDLE" "$ID"
	status_is "$ID" running
	pid=$(init_pid "$ID")
	silent kill "$ID" KILL
	wait_for gone "$pid"
	wait_for status_is "$ID" stopped
	silent run -d --bundle "$BUNDLE" "$ID.b"
	status_is "$ID.b" running
}

@test "a detached container is the child of the caller's subreaper, its own session" {
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	# /proc/PID/stat: pid (comm) state ppid pgrp session
	read -r _ _ _ ppid _ session _ <"/proc/$pid/stat"
	refute grep -qs -- "$RUNTIME" "/proc/$ppid/cmdline"
	is "$session" "$pid" session
	is "$(tr '\0' ' ' <"/proc/$pid/cmdline")" 'sleep 60 '
}

@test "--pid-file: digits without a newline, a path relative to here" {
	args sleep 60
	cd "$T"
	ok run --detach --pid-file pid --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	is "$(od -An -c pid | tr -d ' \n')" "$pid" 'bytes of the pid file'
	ok create --pid-file "$T/pid2" --bundle "$BUNDLE" "$ID.b"
	is "$(od -An -c pid2 | tr -d ' \n')" "$(init_pid "$ID.b")" 'bytes of the pid file'
	is "$(find "$T" -maxdepth 1 -name '*pid*' | wc -l)" 2 'files named pid'
}

@test "--pid-file: an old file is replaced, never written through" {
	args sleep 60
	echo keep >"$T/other"
	ln "$T/other" "$T/pid"
	ok create --pid-file "$T/pid" --bundle "$BUNDLE" "$ID"
	is "$(<"$T/other")" keep 'the file behind the old name'
	is "$(<"$T/pid")" "$(init_pid "$ID")"
}

@test "--pid-file: absent after a failed create, and a bad path fails create" {
	args /no/such/program
	rt create --pid-file "$T/pid" --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	[[ ! -e $T/pid ]]
	args sleep 60
	rt create --pid-file "$T/no/such/pid" --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" 'no such file or directory'
	nothing_left
}

@test "only 0, 1 and 2 reach the container, whatever the caller left open" {
	args sh -c 'for f in /proc/1/fd/*; do [ -L "$f" ] && echo "${f##*/}"; done; true'
	# A redirection, not exec: the descriptors may be in use by who runs the suite.
	RT_TIMEOUT=20 rt run --bundle "$BUNDLE" "$ID" 5</etc/passwd 6</ 7>>"$T/written" 9< <(:)
	is "$STATUS" 0
	is "$OUT" $'0\n1\n2' 'descriptors in the container'
}

@test "--preserve-fds passes exactly that many, a hole is refused" {
	args sh -c 'cat <&3; for f in /proc/1/fd/*; do [ -L "$f" ] && echo "${f##*/}"; done; true'
	echo third >"$T/third"
	code=0
	"$RUNTIME" --root "$ROOT" run --preserve-fds 1 --bundle "$BUNDLE" "$ID" \
		</dev/null >"$T/o" 2>"$T/e" 3<"$T/third" 4</etc/passwd || code=$?
	is "$code:$(<"$T/e")" '0:' 'exit code and errors'
	is "$(<"$T/o")" $'third\n0\n1\n2\n3'
	is_oci_mini || return 0
	code=0
	"$RUNTIME" --root "$ROOT" run --preserve-fds 2 --bundle "$BUNDLE" "$ID" \
		</dev/null >"$T/o" 2>"$T/e" 4</etc/passwd 3<&- || code=$?
	((code != 0)) || fail 'a hole in the preserved descriptors is accepted'
	nothing_left
}

@test "a created container waits with nothing of the host's file system open" {
	only_oci_mini "the waiting process holds no file of the host"
	ok create --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	for fd in "/proc/$pid/fd"/*; do
		target=$(readlink "$fd") || continue
		case $target in
		/dev/null | "$T/out" | "$T/err" | pipe:* | socket:* | anon_inode:* | /memfd:*) ;;
		*) fail "descriptor ${fd##*/} of the waiting process is $target" ;;
		esac
	done
}

@test "exec: exit codes, stdio, environment, and a program that is missing" {
	needs_ids 'user 1000'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	rt exec "$ID" sh -c 'echo one; echo two >&2; exit 7'
	is "$STATUS:$OUT:$ERR" 7:one:two
	rt exec "$ID" sh -c 'kill -KILL $$'
	is "$STATUS" 137
	rt exec --env A=b --cwd /tmp "$ID" sh -c 'echo $A $PWD'
	is "$OUT" 'b /tmp'
	rt exec "$ID" no-such-program
	is "$STATUS" 255
	has "$ERR" 'executable file not found in $PATH'
	rt exec --user 1000:1000 "$ID" id -u
	is "$OUT" 1000
	rt exec "$ID" sh -c 'for f in /proc/$$/fd/*; do [ -L "$f" ] && echo "${f##*/}"; done; true'
	is "$STATUS:$OUT" $'0:0\n1\n2' 'descriptors of exec'
}

@test "exec joins the container's namespaces and cgroup, for --process too" {
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	rt exec "$ID" sh -c 'for n in cgroup ipc mnt net pid uts; do readlink /proc/self/ns/$n; done'
	is "$OUT" "$(for n in cgroup ipc mnt net pid uts; do readlink "/proc/$pid/ns/$n"; done)" namespaces
	rt exec --detach --pid-file "$T/pid" "$ID" sleep 59
	is "$STATUS:$OUT:$ERR" '0::'
	is "$(cgroup_of "$(<"$T/pid")")" "$(cgroup_of "$pid")" cgroup
	jq '.process | .args = ["sh", "-c", "echo $FROM"] | .env += ["FROM=file"]' "$BUNDLE/config.json" >"$T/process.json"
	ok exec --process "$T/process.json" "$ID"
	is "$OUT" file
}

@test "run in the foreground gives back what it does not need to wait" {
	only_oci_mini 'the runtime in the foreground takes 3 MiB at most after a second'
	[[ -r /proc/self/smaps_rollup ]] || skip 'needs smaps_rollup, Linux 4.14'
	args sh -c 'trap "exit 42" TERM; echo ready; while :; do sleep 0.02; done'
	background "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null >"$T/o" 2>"$T/e"
	wait_for grep -q ready "$T/o"
	small() { (($(awk '/^Rss:/ { print $2 }' "/proc/$PID/smaps_rollup") < 3072)); }
	wait_for small
	# And it still works.
	kill -TERM "$PID"
	code=0
	wait "$PID" || code=$?
	is "$code" 42
	nothing_left
}

@test "run: a container that somebody else has deleted, and whose id another has by then" {
	args sh -c 'echo up; exec sleep 600'
	background "$RUNTIME" "${STATE[@]}" "${MANAGER[@]}" run --bundle "$BUNDLE" "$ID" >"$T/first" 2>&1
	local first=$PID status=0
	wait_for status_is "$ID" running
	# Held back while it is deleted, and its id is given away.
	kill -STOP "$first"
	ok delete --force "$ID"
	ok run --detach --bundle "$BUNDLE" "$ID"
	kill -CONT "$first"
	wait "$first" || status=$?
	is "$status $(<"$T/first")" '137 up'
	status_is "$ID" running
}
