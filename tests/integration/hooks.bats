#!/usr/bin/env bats
# Hooks: where and with what each kind runs, and what a failure of each leads to.
load helpers

# note KIND: a hook that writes to $T/notes what it sees.
note_everywhere() {
	own_rootfs
	mkdir -p "$ROOTFS/notes"
	# Some hooks are of the container's root.
	: >"$ROOTFS/notes/order"
	chmod 777 "$ROOTFS/notes"
	chmod 666 "$ROOTFS/notes/order"
	# The hook of the container's root has its own name for the directory of notes.
	cat >"$ROOTFS/bin/note" <<-'END'
		#!/bin/sh
		kind=$1 dir=$2
		{
			echo "cwd $(pwd)"
			echo "mnt $(readlink /proc/self/ns/mnt)"
			echo "pid $(readlink /proc/self/ns/pid)"
			echo "uts $(readlink /proc/self/ns/uts)"
			echo "root $([ -e /notes ] && echo container || echo host)"
			cat
		} >"$dir/$kind"
		echo "$kind" >>"$dir/order"
	END
	chmod 755 "$ROOTFS/bin/note"
	config '.hooks = (["prestart", "createRuntime", "createContainer", "poststart", "poststop"]
		| map({(.): [{path: "/bin/sh", args: ["sh", ($r + "/bin/note"), ., ($r + "/notes")]}]}) | add)
		| .hooks.startContainer = [{path: "/bin/sh", args: ["sh", "/bin/note", "startContainer", "/notes"]}]' --arg r "$ROOTFS"
}

# noted KIND WORD: what the hook wrote about it; "state" is the document.
noted() {
	if [[ $2 == state ]]; then
		tail -n 1 "$ROOTFS/notes/$1"
	else
		awk -v w="$2" '$1 == w { print $2 }' "$ROOTFS/notes/$1"
	fi
}

@test "hooks: order, place, directory, status and pid of all six kinds" {
	note_everywhere
	config '.annotations = {"com.example.key": "value"}'
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	is "$(tr '\n' ' ' <"$ROOTFS/notes/order")" 'prestart createRuntime createContainer '
	declare -A ns
	for kind in mnt pid uts; do ns[$kind]=$(readlink "/proc/$pid/ns/$kind"); done
	silent start "$ID"
	is "$(tr '\n' ' ' <"$ROOTFS/notes/order")" 'prestart createRuntime createContainer startContainer poststart '
	ok delete --force "$ID"
	is "$(tr '\n' ' ' <"$ROOTFS/notes/order")" 'prestart createRuntime createContainer startContainer poststart poststop '
	while read -r kind status where cwd root; do
		is "$(noted "$kind" state | jq -r .status)" "$status" "status for $kind"
		is "$(noted "$kind" state | jq -r .id)" "$ID" "id for $kind"
		is "$(noted "$kind" state | jq -r .bundle)" "$BUNDLE" "bundle for $kind"
		is "$(noted "$kind" state | jq -r '.annotations["com.example.key"]')" value "annotations for $kind"
		like "$(noted "$kind" state | jq -r .ociVersion)" '^1\.'
		# As it is seen where the hook runs.
		want=$pid
		[[ $where == host ]] || want=1
		[[ $kind == poststop ]] || is "$(noted "$kind" state | jq -r .pid)" "$want" "pid for $kind"
		is "$(noted "$kind" cwd)" "${cwd/BUNDLE/$BUNDLE}" "directory of $kind"
		is "$(noted "$kind" root)" "$root" "root of $kind"
		for each in mnt pid uts; do
			if [[ $where == container ]]; then
				is "$(noted "$kind" "$each")" "${ns[$each]}" "namespace $each of $kind"
			else
				is "$(noted "$kind" "$each")" "$(readlink "/proc/self/ns/$each")" "namespace $each of $kind"
			fi
		done
	done <<-'END'
		prestart        creating host      BUNDLE host
		createRuntime   creating host      BUNDLE host
		createContainer creating container BUNDLE host
		startContainer  created  container /      container
		poststart       running  host      BUNDLE host
		poststop        stopped  host      BUNDLE host
	END
	nothing_left
}

@test "hooks: run calls all six in order, several of a kind in the order of the list" {
	note_everywhere
	config '.hooks.createRuntime += [{path: "/bin/sh", args: ["sh", ($r + "/bin/note"), "second", ($r + "/notes")]}]' --arg r "$ROOTFS"
	inside_ok true
	is "$(tr '\n' ' ' <"$ROOTFS/notes/order")" 'prestart createRuntime second createContainer startContainer poststart poststop '
	nothing_left
}

# failing KIND: a hook of the kind that says why it fails, after poststop and a second
# one of its kind were set to tell that they ran.
failing() {
	new_bundle "$BUNDLE"
	rm -f "$T/ran"
	config '.hooks = {poststop: [{path: "/bin/touch", args: ["touch", ($t + "/ran")]}]}
		| .hooks[$k] = ([{path: "/bin/sh", args: ["sh", "-c", "echo first line >&2; echo the reason >&2; exit 3"]},
			{path: "/bin/touch", args: ["touch", ($t + "/second")]}]) + (.hooks[$k] // [])' --arg k "$1" --arg t "$T"
	args sleep 60
}

@test "hooks: a failing prestart, createRuntime or createContainer undoes create" {
	for kind in prestart createRuntime createContainer; do
		failing "$kind"
		refused "/hooks/$kind/0 ($kind): hook /bin/sh: exit status 3: first line; the reason" create --bundle "$BUNDLE" "$ID"
		refused 'does not exist' state "$ID"
		[[ ! -e $T/second ]] || fail "the second $kind hook runs"
		[[ -e $T/ran ]] || fail "the poststop hook does not run after $kind"
		failing "$kind"
		refused "/hooks/$kind/0" run --detach --bundle "$BUNDLE" "$ID"
		[[ -e $T/ran ]] || fail "the poststop hook does not run after $kind in run"
		nothing_left
	done
}

@test "hooks: a failing startContainer or poststart ends the container, and nothing is left" {
	for kind in startContainer poststart; do
		failing "$kind"
		ok create --bundle "$BUNDLE" "$ID"
		pid=$(init_pid "$ID")
		refused "/hooks/$kind/0: hook /bin/sh: exit status 3: first line; the reason" start "$ID"
		gone "$pid" || fail "the process lives on after $kind"
		[[ ! -e $T/second ]] || fail "the second $kind hook runs"
		[[ -e $T/ran ]] || fail "the poststop hook does not run after $kind"
		refused 'does not exist' state "$ID"
		ok delete --force "$ID"
		for mode in '' --detach; do
			failing "$kind"
			refused "/hooks/$kind/0" run $mode --bundle "$BUNDLE" "$ID"
			[[ -e $T/ran ]] || fail "the poststop hook does not run after $kind in run $mode"
			refused 'does not exist' state "$ID"
		done
		nothing_left
	done
}

@test "hooks: a process that a failing startContainer hook keeps from running never runs" {
	own_rootfs
	config '.hooks = {startContainer: [{path: "/bin/false"}]}'
	args touch /srv/ran
	ok create --bundle "$BUNDLE" "$ID"
	refused /hooks/startContainer/0 start "$ID"
	[[ ! -e $ROOTFS/srv/ran ]]
	nothing_left
}

@test "hooks: a failing poststop is a warning, the others run, and delete succeeds" {
	failing poststop
	ok run --detach --bundle "$BUNDLE" "$ID"
	ok --log "$T/log" --log-format json delete --force "$ID"
	[[ -e $T/second && -e $T/ran ]] || fail 'a hook behind the failing one does not run'
	jq -es 'any(.[]; .level == "warning" and (.msg | contains("/hooks/poststop/0: hook /bin/sh: exit status 3: first line; the reason")))' \
		"$T/log" >/dev/null || fail "no warning: $(cat "$T/log")"
	is "$ERR" '' 'standard error beside a log'
	# Who has no log reads it.
	ok run --detach --bundle "$BUNDLE" "$ID"
	ok delete --force "$ID"
	has "$ERR" 'oci-mini: warning: /hooks/poststop/0: hook /bin/sh: exit status 3: first line; the reason'
	args true
	ok run --bundle "$BUNDLE" "$ID"
	has "$ERR" 'oci-mini: warning: /hooks/poststop/0: '
	nothing_left
}

@test "hooks: one that cannot be executed, is killed, or exits with any status" {
	while IFS='|' read -r hook text; do
		new_bundle "$BUNDLE"
		config '.hooks = {createRuntime: [$h]}' --argjson h "$hook"
		refused "$text" create --bundle "$BUNDLE" "$ID"
	done <<-'END'
		{"path": "/no/such/hook"}|/hooks/createRuntime/0 (createRuntime): hook /no/such/hook: execve
		{"path": "/etc/passwd"}|permission denied (EACCES)
		{"path": "/bin/sh", "args": ["sh", "-c", "kill -KILL $$"]}|hook /bin/sh: killed by signal 9 (SIGKILL)
		{"path": "/bin/sh", "args": ["sh", "-c", "exit 255"]}|exit status 255
	END
	# Of many lines the last ones are quoted, and what a terminal would obey is not.
	config '.hooks = {createRuntime: [{path: "/bin/sh", args: ["sh", "-c", "i=0; while [ $i -lt 5000 ]; do echo line $i >&2; i=$((i+1)); done; printf \"\\033[2Jend\" >&2; exit 1"]}]}'
	refused 'line 4999; \x1b[2Jend' create --bundle "$BUNDLE" "$ID"
	lacks "$ERR" 'line 4990'
	nothing_left
}

@test "hooks: a timeout ends the hook and all that it started" {
	: >"$T/pids"
	give "$T/pids"
	for kind in createRuntime createContainer; do
		new_bundle "$BUNDLE"
		config '.hooks = {($k): [{path: "/bin/sh", timeout: 1,
			args: ["sh", "-c", "sleep 300 & echo $! >>" + $t + "/pids; (trap \"\" TERM INT; sleep 301) & echo $! >>" + $t + "/pids; echo so far >&2; wait"]}]}' \
			--arg k "$kind" --arg t "$T"
		start=$EPOCHSECONDS
		refused "/hooks/$kind/0 ($kind): hook /bin/sh: killed after 1s (timeout): so far" create --bundle "$BUNDLE" "$ID"
		((EPOCHSECONDS - start < 8 * PATIENCE)) || fail "it took $((EPOCHSECONDS - start)) s"
		[[ $kind == createContainer ]] || while read -r pid; do # of the host's pid namespace
			wait_for gone "$pid"
		done <"$T/pids"
		is "$(marked)" '' 'processes alive'
	done
	nothing_left
	# Of those that start and delete run, the first two end the container.
	for kind in startContainer poststart poststop; do
		new_bundle "$BUNDLE"
		config '.hooks = {($k): [{path: "/bin/sh", timeout: 1, args: ["sh", "-c", "sleep 302 & (trap \"\" TERM INT; sleep 303) & echo so far >&2; wait"]}]}' --arg k "$kind"
		args sleep 60
		ok create --bundle "$BUNDLE" "$ID"
		if [[ $kind == poststop ]]; then
			ok start "$ID"
			ok --log "$T/log" delete --force "$ID"
			has "$(<"$T/log")" "/hooks/poststop/0: hook /bin/sh: killed after 1s (timeout): so far"
		else
			refused "/hooks/$kind/0: hook /bin/sh: killed after 1s (timeout): so far" start "$ID"
		fi
		wait_for eval '! pgrep -f "^sleep 30[23]$" >/dev/null'
	done
	nothing_left
}

@test "hooks: a timeout of zero or less, a relative path and an empty one are refused by place" {
	for timeout in 0 -1; do
		config '.hooks = {poststop: [{path: "/bin/true", timeout: $v}]}' --argjson v "$timeout"
		refused "/hooks/poststop/0/timeout: must be greater than zero, is $timeout" create --bundle "$BUNDLE" "$ID"
	done
	for kind in prestart createRuntime createContainer startContainer poststart poststop; do
		for file in bin/true ./true true ''; do
			config '.hooks = {($k): [{path: "/bin/true"}, {path: $p}]}' --arg k "$kind" --arg p "$file"
			refused "/hooks/$kind/1/path" create --bundle "$BUNDLE" "$ID"
		done
	done
	nothing_left
}

@test "hooks: args[0] is kept, and without args it is the path" {
	cp "$(command -v busybox)" "$T/prog"
	# A busybox is the applet that args[0] names.
	config '.hooks = {createRuntime: [{path: $p, args: ["touch", $t + "/one", $t + "/a b"]}]}' --arg p "$T/prog" --arg t "$T"
	ok run --bundle "$BUNDLE" "$ID"
	[[ -e $T/one && -e $T/a\ b ]]
	cp "$(command -v busybox)" "$T/false"
	config '.hooks = {createRuntime: [{path: $p}]}' --arg p "$T/false"
	refused 'exit status 1' run --bundle "$BUNDLE" "$ID"
	nothing_left
}

@test "hooks: env is exact, empty is empty, absent is the runtime's, or inside the process's" {
	env=$(command -v env)
	export OF_THE_CALLER=here
	config '.annotations = {"run.oci.hooks.stdout": $o} | .hooks = {createRuntime: [{path: $e, env: ["A=1", "B=x=y", "A=2"]}]}' --arg o "$T/o" --arg e "$env"
	ok run --bundle "$BUNDLE" "$ID"
	is "$(<"$T/o")" $'A=1\nB=x=y\nA=2'
	rm "$T/o"
	config '.hooks.createRuntime[0].env = []'
	ok run --bundle "$BUNDLE" "$ID"
	is "$(<"$T/o")" ''
	config 'del(.hooks.createRuntime[0].env)'
	ok run --bundle "$BUNDLE" "$ID"
	has "$(<"$T/o")" OF_THE_CALLER=here
	lacks "$(<"$T/o")" TERM=xterm=none
	# What the runtime tells its own language's runtime stays with it.
	lacks "$(<"$T/o")" GOMAXPROCS
	GOMAXPROCS=7 ok run --bundle "$BUNDLE" "$ID"
	is "$(grep GOMAXPROCS "$T/o")" GOMAXPROCS=7
	# A program out of the image gets nothing of the host's: it has the process's own.
	config '.process.env += ["ONE=two"] | .annotations = {"run.oci.hooks.stdout": $o}
		| .hooks = {startContainer: [{path: "/bin/env"}, {path: "/bin/env", env: []}, {path: "/bin/env", env: ["A=1"]}]}' --arg o "$T/o"
	for how in run start; do
		rm "$T/o"
		if [[ $how == run ]]; then
			args env
			ok run --bundle "$BUNDLE" "$ID"
			want=$OUT
		else
			ok create --bundle "$BUNDLE" "$ID"
			ok start "$ID"
			ok delete --force "$ID"
		fi
		has "$want" ONE=two
		has "$want" HOME=
		is "$(sort "$T/o")" "$(printf '%s\nA=1' "$want" | sort)" "environment of startContainer by $how"
	done
	config '.hooks = {createRuntime: [{path: $e}]}' --arg e "$env"
	config '.hooks.createRuntime[0].env = ["no equals sign"]'
	refused /hooks/createRuntime/0/env/0 create --bundle "$BUNDLE" "$ID"
}

@test "hooks: standard input ends behind the state, one that does not read does no harm" {
	config '.annotations = {long: ("x" * 200000)} | .hooks = {createRuntime: [{path: "/bin/true"},
		{path: "/bin/sh", args: ["sh", "-c", "wc -c >" + $t + "/count"]}]}' --arg t "$T"
	ok run --bundle "$BUNDLE" "$ID"
	(($(<"$T/count") > 200000)) || fail "the hook read $(<"$T/count") bytes"
}

@test "annotations: run.oci.hooks.stdout and .stderr append to files, relative ones in the bundle" {
	config '.annotations = {"run.oci.hooks.stdout": $o, "run.oci.hooks.stderr": "errors"}
		| .hooks = (["prestart", "createContainer", "startContainer", "poststart", "poststop"]
			| map({(.): [{path: "/bin/sh", args: ["sh", "-c", "echo out " + . + "; echo err " + . + " >&2"]}]}) | add)' --arg o "$T/output"
	echo before >"$T/output"
	ok run --bundle "$BUNDLE" "$ID"
	is "$(<"$T/output")" $'before\nout prestart\nout createContainer\nout startContainer\nout poststart\nout poststop'
	is "$(<"$BUNDLE/errors")" $'err prestart\nerr createContainer\nerr startContainer\nerr poststart\nerr poststop'
	is "$(stat -c %a "$BUNDLE/errors")" 600
	config '.annotations["run.oci.hooks.stderr"] = "/no/such/directory/file"'
	refused 'annotation run.oci.hooks.stderr: open /no/such/directory/file' create --bundle "$BUNDLE" "$ID"
	nothing_left
}
