#!/usr/bin/env bats
# exec: where the process runs, as whom, with what, and how its end is told.
# The plain cases are in run.bats and lifecycle.bats, pause in pause.bats.
# shellcheck disable=SC2016 # the scripts are the container's

load helpers

# running [ARG...]: the container sleeps.
running() {
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
}

@test "exec: every exit code there is comes through, foreground and --process" {
	running
	for code in 0 1 2 63 64 125 126 127 128 129 137 143 254 255; do
		rt exec "$ID" sh -c "exit $code"
		is "$STATUS:$OUT$ERR" "$code:"
	done
	jq '.process | .args = ["sh", "-c", "exit 42"]' "$BUNDLE/config.json" >"$T/process.json"
	rt exec --process "$T/process.json" "$ID"
	is "$STATUS" 42
}

@test "exec: a user who may have one process more" {
	needs_ids 'user 4242'
	config '.process.rlimits = [{type: "RLIMIT_NPROC", soft: 1, hard: 1}]'
	running
	ok exec --user 4242:4242 "$ID" true
	ok exec --user 4242:4242 --tty "$ID" true
}

@test "exec: death by a signal is 128 and its number" {
	running
	for signal in HUP INT KILL USR1 SEGV PIPE ALRM TERM 34 64; do
		number=$signal
		[[ $signal == [0-9]* ]] || number=$(kill -l "$signal")
		rt exec "$ID" sh -c "ulimit -c 0; kill -$number \$\$"
		is "$STATUS" "$((128 + number))" "exit code after SIG$signal"
	done
}

@test "exec: a signal to the runtime reaches the process" {
	only_oci_mini "no output is lost while the runtime starts"
	running
	background "$RUNTIME" --root "$ROOT" exec "$ID" sh -c 'trap "exit 9" USR1; echo ready; while :; do sleep 0.02; done' </dev/null >"$T/o" 2>&1
	wait_for grep -q ready "$T/o"
	kill -USR1 "$PID"
	code=0
	wait "$PID" || code=$?
	is "$code" 9
}

@test "exec: a program that is missing, unreadable, a directory, or of no format" {
	needs_ids 'a file that user 1000 may execute and not read'
	own_rootfs
	printf 'x\n' >"$ROOTFS/plain"
	printf 'no format\n' >"$ROOTFS/formless"
	printf '#!/no/interpreter\n' >"$ROOTFS/script"
	chmod 755 "$ROOTFS/formless" "$ROOTFS/script"
	mkdir "$ROOTFS/locked"
	cp "$ROOTFS/bin/busybox" "$ROOTFS/locked/true"
	chmod 111 "$ROOTFS/locked/true"
	running
	no() { # NAME TEXT
		rt exec "$ID" "$1"
		((STATUS == 255)) || fail "exec $1 exits $STATUS: $ERR" || return 1
		like "$ERR" "$2" || return 1
		is "$(wc -l <"$T/err")" "$(grep -c '^oci-mini: \|^  hint: ' "$T/err")" 'lines that are no error and no hint'
	}
	is_oci_mini || skip 'the texts are of oci-mini'
	no no-such 'executable file not found in \$PATH'
	no /no/such 'no such file or directory'
	no /etc/passwd/x 'no such file or directory|not a directory'
	no /plain 'permission denied'
	no /etc 'permission denied|is a directory'
	no /formless 'exec format error'
	no /script 'no such file or directory'
	has "$ERR" 'hint: the interpreter of /script, "/no/interpreter", is not in the container'
	# To execute a file one need not be able to read it.
	rt exec --user 1000:1000 "$ID" /locked/true
	is "$STATUS:$ERR" 0:
	chmod 700 "$ROOTFS/locked/true"
	rt exec --user 1000:1000 "$ID" /locked/true
	is "$STATUS" 255
	has "$ERR" 'permission denied'
}

@test "exec: of a container that there is not is 255 too, which no program's own status means" {
	rt exec "$ID" true
	is "$STATUS" 255
	has "$ERR" "exec: container does not exist: \"$ID\""
}

@test "exec: --detach fails like the foreground when the program cannot be executed" {
	running
	rt exec --detach --pid-file "$T/pid" "$ID" /no/such
	is "$STATUS" 255
	has "$ERR" 'no such file or directory'
	[[ ! -e $T/pid ]]
}

@test "exec into a container that waits for start" {
	args sh -c 'cp /mark /seen; sleep 60'
	own_rootfs
	ok create --bundle "$BUNDLE" "$ID"
	ok exec "$ID" sh -c 'echo made before start >/mark; cat /proc/1/comm; hostname; pwd'
	rt exec "$ID" sh -c 'exit 3'
	is "$STATUS" 3
	status_is "$ID" created
	silent start "$ID"
	status_is "$ID" running
	wait_for test -s "$ROOTFS/seen"
	is "$(<"$ROOTFS/seen")" 'made before start'
}

@test "exec: additional groups, each once, of the config and the flags" {
	needs_ids 'additional groups'
	config '.process.user.additionalGids = [20, 10, 20]'
	running
	groups_of() {
		ok exec "$@" "$ID" grep Groups /proc/self/status
		OUT=${OUT#*$'\t'}
		OUT=${OUT% }
	}
	groups_of
	is "$OUT" '10 20'
	groups_of --additional-gids 30 -g 10 -g 30
	is "$OUT" '10 20 30'
	jq '.process | .args = ["grep", "Groups", "/proc/self/status"] | .user.additionalGids = [7, 5, 7]' "$BUNDLE/config.json" >"$T/process.json"
	ok exec --process "$T/process.json" "$ID"
	like "$OUT" $'^Groups:\t5 7 *$'
	for bad in -1 4294967295 4294967296 x; do
		rt exec --additional-gids="$bad" "$ID" true
		((STATUS != 0)) || fail "--additional-gids $bad is accepted"
	done
}

@test "exec --user: numbers only, and never read as another user" {
	needs_ids 'other users'
	running
	last=4294967294
	[[ $WORLD == root ]] || last=65535
	for pair in 0=0:0 1=1:0 1:2=1:2 $last=$last:0; do
		ok exec --user "${pair%%=*}" "$ID" sh -c 'echo $(id -u):$(id -g)'
		is "$OUT" "${pair#*=}" "--user ${pair%%=*}"
	done
	is_oci_mini || return 0
	for bad in '1:' ':1' -1 4294967295 4294967296 user root:root 1:2:3 ' 1' 0x1 1.0; do
		rt exec --user="$bad" "$ID" true
		is "$STATUS" 255 "exec --user '$bad'"
	done
}

@test "exec: the last of several values of a variable counts, commas and newlines stay" {
	config '.process.env += ["TWICE=config", "KEPT=config", "TWICE=config again"]'
	running
	ok exec --env TWICE=flag --env 'LIST=a,b, c' -e $'LINES=1\n2' -e EMPTY= "$ID" sh -c \
		'env | grep -c ^TWICE=; echo "$TWICE|$KEPT|$LIST|$LINES|${EMPTY-unset}"'
	is "$OUT" $'1\nflag|config|a,b, c|1\n2|'
	jq '.process | .args = ["sh", "-c", "echo ${KEPT-unset} $ONLY; env | grep -c ONLY"] | .env = ["PATH=/bin", "ONLY=1", "ONLY=2"]' \
		"$BUNDLE/config.json" >"$T/process.json"
	ok exec --process "$T/process.json" "$ID"
	is "$OUT" $'unset 2\n1'
}

@test "exec: HOME is that of the user in the container's passwd, unless it is set" {
	needs_ids 'other users'
	running
	home() {
		ok exec "$@" "$ID" sh -c 'echo "$HOME"'
	}
	home
	is "$OUT" /root
	home --user 1000
	is "$OUT" /home
	home --user 31337
	is "$OUT" /
	home --user 1000 --env HOME=/elsewhere
	is "$OUT" /elsewhere
	home --user 1000 --env HOME=
	is "$OUT" ''
}

@test "exec: HOME comes from the passwd that the container sees now" {
	needs_ids 'user 77'
	only_oci_mini "passwd is read inside the container"
	mount_add /etc tmpfs tmpfs
	running
	ok exec "$ID" sh -c 'echo "new:x:77:77::/new/home:/bin/sh" >/etc/passwd'
	ok exec --user 77 "$ID" sh -c 'echo "$HOME"'
	is "$OUT" /new/home
	# A link in the image names a file of the container's.
	ok exec "$ID" sh -c 'ln -sf /../../../../proc/self/environ /etc/passwd'
	ok exec --user 77 "$ID" sh -c 'echo "$HOME"'
	is "$OUT" /
}

@test "exec --cwd: a directory, one that is missing, a file, and one outside" {
	running
	ok exec --cwd /mnt/full "$ID" sh -c 'pwd; ls'
	is "$OUT" $'/mnt/full\nfile'
	for bad in '/no/such: no such file or directory' '/etc/passwd: not a directory' 'relative: '; do
		rt exec --cwd "${bad%%:*}" "$ID" true
		((STATUS == 255)) || fail "exec --cwd $bad exits $STATUS"
		is_oci_mini || continue
		like "$ERR" '/(process/)?cwd' # which of directory, program and interpreter it is
		[[ $bad == relative* ]] || has "$ERR" "chdir ${bad/: /: }"
	done
	for fd in {3..20}; do
		rt exec --cwd "/proc/self/fd/$fd" "$ID" sh -c '[ . -ef / ]'
		((STATUS == 255)) || is "$STATUS:$ERR" 0: "--cwd /proc/self/fd/$fd"
	done
}

@test "exec --preserve-fds: in order, exactly those, and a hole is refused" {
	running
	echo three >"$T/3"
	echo four >"$T/4"
	code=0
	"$RUNTIME" --root "$ROOT" exec --preserve-fds 2 "$ID" \
		sh -c 'cat <&3; cat <&4; for f in /proc/$$/fd/*; do [ -L "$f" ] && echo "${f##*/}"; done; true' \
		</dev/null >"$T/o" 2>"$T/e" 3<"$T/3" 4<"$T/4" 5</etc/passwd || code=$?
	is "$code:$(<"$T/e")" 0:
	is "$(<"$T/o")" $'three\nfour\n0\n1\n2\n3\n4'
	code=0
	"$RUNTIME" --root "$ROOT" exec --preserve-fds 2 "$ID" true </dev/null >"$T/o" 2>"$T/e" 3<"$T/3" 4<&- || code=$?
	is "$code" 255
	has "$(<"$T/e")" 4
	rt exec --preserve-fds=-1 "$ID" true
	((STATUS != 0)) || fail 'a negative --preserve-fds is accepted'
}

@test "exec: a pipe and a file become the user's, /dev/null stays root's" {
	needs_ids 'user 1000'
	running
	before=$(stat -c %u:%g:%a /dev/null)
	: >"$T/file"
	"$RUNTIME" --root "$ROOT" exec --user 1000:1000 "$ID" sh -c 'echo text >>/dev/stdout; stat -L -c %u /proc/self/fd/0' \
		</dev/null >>"$T/file" 2>&1 3>&-
	owner=0
	[[ $WORLD == root ]] || owner=65534 # the host's root, seen from a user namespace
	is "$(<"$T/file")" $'text\n'"$owner"
	is "$(stat -c %u "$T/file")" "$(outside 1000)" 'owner of the file'
	is "$("$RUNTIME" --root "$ROOT" exec --user 1000:1000 "$ID" sh -c 'stat -L -c %u /proc/self/fd/1 >&2; echo again >/dev/stdout' </dev/null 2>"$T/e" 3>&- | cat)" again
	is "$(<"$T/e")" 1000 'owner of the pipe'
	is "$(stat -c %u:%g:%a /dev/null)" "$before" '/dev/null'
}

@test "exec --cap adds to three sets, and to no inheritable or ambient one" {
	caps CAP_KILL
	running
	ok exec --cap CAP_CHOWN -c CAP_NET_RAW "$ID" awk '/^Cap/ { printf "%s ", $2 }' /proc/self/status
	is "$OUT" '0000000000000000 0000000000002021 0000000000002021 0000000000002021 0000000000000000 ' \
		'inheritable permitted effective bounding ambient'
	ok exec --no-new-privs "$ID" grep NoNewPrivs /proc/self/status
	is "$OUT" $'NoNewPrivs:\t1'
}

@test "exec --cap makes ambient what is inheritable, so that another user keeps it" {
	needs_ids 'user 1000'
	config '.process.capabilities.inheritable = ["CAP_KILL"]'
	running
	ok exec --user 1000:1000 --cap CAP_KILL --cap CAP_CHOWN "$ID" awk '/^Cap/ { printf "%s ", $2 }' /proc/self/status
	is "$OUT" '0000000000000020 0000000000000020 0000000000000020 0000000020000421 0000000000000020 ' \
		'inheritable permitted effective bounding ambient'
}

# below PATH...: makes cgroups below the container's in every hierarchy.
below() {
	local dir at path part
	while IFS= read -r dir; do
		for path; do
			at=$dir
			for part in ${path//\// }; do
				at+=/$part
				mkdir -p "$at"
				# A cpuset takes no process before it has both.
				[[ $dir == */cpuset* ]] || continue
				cat "$dir/cpuset.cpus" >"$at/cpuset.cpus"
				cat "$dir/cpuset.mems" >"$at/cpuset.mems"
			done
		done
	done < <(find /sys/fs/cgroup -type d -name "$(leaf "$ID")")
}

@test "exec --cgroup PATH: below the container's, and never above" {
	running
	below one/two
	at=$(cgroup_of "$(init_pid "$ID")")
	for path in one/two /one/two /one//two/ one/../one/./two; do
		ok exec --detach --cgroup "$path" --pid-file "$T/pid" "$ID" sleep 30
		is "$(cgroup_of "$(<"$T/pid")")" "$at/one/two" "--cgroup $path"
		kill -9 "$(<"$T/pid")"
	done
	for path in / one/.. . ''; do
		ok exec --detach --cgroup "$path" --pid-file "$T/pid" "$ID" sleep 30
		is "$(cgroup_of "$(<"$T/pid")")" "$at" "--cgroup '$path'"
		kill -9 "$(<"$T/pid")"
	done
	for path in none one/none; do
		rt exec --cgroup "$path" "$ID" true
		is "$STATUS" 255
		like "$ERR" 'none.*no such file or directory'
	done
	for path in .. ../x /.. "../$ID/one" one/../../one/two; do
		rt exec --cgroup "$path" "$ID" true
		is "$STATUS" 255 "--cgroup $path"
		has "$ERR" "--cgroup $path: leads out of the container's cgroup"
	done
}

@test "exec --cgroup CONTROLLER:PATH: each v1 hierarchy for itself" {
	cgroup2 && skip 'no cgroup v1 hierarchies'
	need_controller memory
	running
	below one two
	pid=$(init_pid "$ID")
	ok exec --detach --cgroup memory:one --cgroup devices,pids:/two --pid-file "$T/pid" "$ID" sleep 30
	exec_pid=$(<"$T/pid")
	is "$(cgroup_of "$exec_pid" memory)" "$(cgroup_of "$pid" memory)/one"
	is "$(cgroup_of "$exec_pid" devices)" "$(cgroup_of "$pid" devices)/two"
	is "$(cgroup_of "$exec_pid" pids)" "$(cgroup_of "$pid" pids)/two"
	is "$(cgroup_of "$exec_pid" freezer)" "$(cgroup_of "$pid" freezer)"
	wrong() { # TEXT ARG...
		local text=$1
		shift
		rt exec "$@" "$ID" true
		is "$STATUS" 255 "$*" || return 1
		has "$ERR" "$text"
	}
	wrong 'no such file or directory' --cgroup memory:none
	wrong 'no-such-controller' --cgroup no-such-controller:one
	wrong "name is empty" --cgroup :one
	wrong "name is empty" --cgroup memory,:one
	wrong 'already' --cgroup memory:one --cgroup pids,memory:two
	wrong 'CONTROLLER:PATH' --cgroup memory:one --cgroup two
}

@test "exec in a container without a cgroup" {
	only_oci_mini '--cgroup-manager disabled'
	args sleep 60
	ok --cgroup-manager disabled run --detach --bundle "$BUNDLE" "$ID"
	ok exec "$ID" sh -c 'echo $$'
	like "$OUT" '^[0-9]+$'
	ok exec --detach --pid-file "$T/pid" "$ID" sleep 30
	is "$(<"/proc/$(<"$T/pid")/cgroup")" "$(<"/proc/$$/cgroup")" "the caller's cgroups"
	rt exec --cgroup sub "$ID" true
	is "$STATUS" 255
	has "$ERR" 'without a cgroup'
}

@test "kill --regex and delete --regex: every container whose id matches" {
	args sleep 60
	for name in a1 a2 b1; do ok run --detach --bundle "$BUNDLE" "$ID.$name"; done
	refused '--regex' kill --regex '(' KILL
	silent kill --regex "^$ID\\.c"
	silent kill --regex "^$ID\\.a[0-9]+\$" KILL
	wait_for status_is "$ID.a1" stopped
	wait_for status_is "$ID.a2" stopped
	status_is "$ID.b1" running
	# Each gets its turn, though one of them cannot be deleted.
	rt delete -r "$ID\\.(a1|b1)"
	is "$STATUS" 1
	has "$ERR" "$ID.b1"
	has "$ERR" 'not stopped: running'
	refused 'does not exist' state "$ID.a1"
	status_is "$ID.a2" stopped
	# An entry that says nothing can still be removed, and hinders no other.
	mkdir "$ROOT/$ID.broken"
	echo nonsense >"$ROOT/$ID.broken/state.json"
	silent delete --force --regex "$ID"
	is "$(ls -A "$ROOT")" ''
	rm -rf "$ROOT"
	silent kill --regex .
	mkdir "$ROOT"
	nothing_left
}
