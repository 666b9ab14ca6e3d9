#!/usr/bin/env bats
# Terminals: who owns them, their size, and a person at one, played by tmux.

load helpers
load tmux

# type KEY...: keys as tmux names them.
type_keys() {
	tmux send-keys -t 0 "$@"
}

# on_terminal: the config's process has a terminal and a shell.
on_terminal() {
	args sh -i
	config '.process.terminal = true | .process.env += ["PS1=box> "]'
}

# modes: the state of the person's terminal.
modes() {
	stty -a -F "$(tmux display-message -p -t 0 '#{pane_tty}')" | tail -n +2
}

@test "tty: a person at the container's shell: size, Ctrl-C, Ctrl-Z, exit code" {
	need_tmux
	on_terminal
	at_terminal 80 24
	before=$(modes)
	type_keys "$RUNTIME --root $ROOT run --bundle $BUNDLE $ID; echo code \$?" Enter
	sees 'box>'
	type_keys 'tty; stty size' Enter
	sees '/dev/pts/0'
	sees '24 80'
	tmux resize-window -t 0 -x 100 -y 30
	# The signal may come later than the keys.
	type_keys 'until stty size | grep "30 100"; do sleep 0.05; done' Enter
	sees '30 100'
	# While a program runs, too.
	type_keys 'until stty size | grep "20 90"; do sleep 0.05; done' Enter
	tmux resize-window -t 0 -x 90 -y 20
	sees '20 90'
	type_keys 'clear' Enter
	# Ctrl-C interrupts the program and neither the shell nor the runtime.
	type_keys 'sleep 60; echo after $?' Enter
	sleep 0.3
	type_keys C-c
	sees '.*after 130|.*\^C.*'
	type_keys 'echo still here' Enter
	sees 'still here'
	# Ctrl-Z stops the program, inside; fg continues it.
	type_keys 'cat' Enter
	type_keys 'one' Enter
	sees one
	type_keys C-z
	sees '.*Stopped.*'
	type_keys 'fg' Enter
	type_keys 'two' Enter
	sees two
	type_keys C-d
	type_keys 'exit 7' Enter
	sees 'code 7'
	is "$(modes)" "$before" "the caller's terminal"
	bye
	nothing_left
}

@test "tty: the caller's terminal is restored when the container is killed" {
	need_tmux
	on_terminal
	at_terminal 80 24
	before=$(modes)
	type_keys "$RUNTIME --root $ROOT run --bundle $BUNDLE $ID; echo code \$?" Enter
	sees 'box>'
	[[ $(modes) != "$before" ]] || fail "the caller's terminal is not in raw mode"
	silent kill "$ID" KILL
	sees '(box> ?)?code 137'
	is "$(modes)" "$before" "the caller's terminal"
	type_keys "echo typed" Enter
	sees typed
	bye
	nothing_left
}

@test "tty: the caller's terminal is restored when create fails, and by SIGTERM" {
	need_tmux
	on_terminal
	at_terminal 80 24
	before=$(modes)
	args no-such-program
	type_keys "clear; $RUNTIME --root $ROOT run --bundle $BUNDLE $ID 2>/dev/null; echo code \$?" Enter
	sees 'code 1'
	is "$(modes)" "$before" 'after a failed create'
	# shellcheck disable=SC2016 # the container's shell
	args sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.02; done'
	type_keys "clear; $RUNTIME --root $ROOT run --pid-file $T/pid --bundle $BUNDLE $ID; echo code \$?" Enter
	sees ready
	runtime=$(ps --no-headers -o ppid "$(<"$T/pid")")
	kill -TERM "${runtime// /}"
	sees 'code 9'
	is "$(modes)" "$before" 'after SIGTERM'
	bye
}

@test "tty: exec --tty is a terminal of its own, with size and exit code" {
	need_tmux
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	at_terminal 80 24
	before=$(modes)
	type_keys "$RUNTIME --root $ROOT exec --tty -e 'PS1=box> ' $ID sh -i; echo code \$?" Enter
	sees 'box>'
	type_keys 'tty; stty size' Enter
	sees '/dev/pts/0'
	sees '24 80'
	tmux resize-window -t 0 -x 100 -y 30
	type_keys 'stty size' Enter
	sees '30 100'
	type_keys 'kill -9 $$' Enter
	sees '.*code 137'
	is "$(modes)" "$before" "the caller's terminal"
	# Two at once have two.
	type_keys "clear; $RUNTIME --root $ROOT exec -t $ID sh -c 'tty; $(: )sleep 0.3' & $RUNTIME --root $ROOT exec -t $ID tty </dev/null" Enter
	sees '/dev/pts/[01]'
	bye
}

@test "tty: without a terminal at the caller the output and the end of input come through" {
	needs_ids 'user 1000'
	args sh -c 'cat; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && stat -c "%u %a" "$(tty)"; exit 5'
	config '.process.terminal = true | .process.user = {uid: 1000, gid: 1000}'
	code=0
	printf 'a line\n' | "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" >"$T/o" 2>"$T/e" 3>&- || code=$?
	is "$code:$(<"$T/e")" 5:
	is "$(tr -d '\r' <"$T/o" | grep -v '^\^D' | tail -n 2)" $'a line\n1000 620'
}

@test "tty: consoleSize is the size at the start, 0 and huge values too" {
	args stty size
	for size in '40 132 40 132' '29999 9999 29999 9999' '75536 132 24 132'; do
		# busybox says 24 for 30000 rows and more, and 10000 would be 75536 in 16 bits.
		read -r rows columns want <<<"$size"
		config '.process.terminal = true | .process.consoleSize = {height: $r, width: $c}' \
			--argjson r "$rows" --argjson c "$columns"
		ok run --bundle "$BUNDLE" "$ID"
		is "${OUT%$'\r'}" "$want" "size $rows x $columns"
	done
	# busybox has no words for a size of nothing.
	args test -t 0
	config '.process.consoleSize = {height: 0, width: 0}'
	ok run --bundle "$BUNDLE" "$ID"
}

@test "tty: socket and terminal in combinations that make no sense are refused, with the reason" {
	none='--console-socket: /process/terminal is false, so there is no console to send'
	needs='/process/terminal: a process that is detached needs --console-socket'
	foreground='--console-socket: only for a process that is detached: in the foreground, the terminal is the caller'
	args sleep 60
	refused "$none" create --console-socket "$T/no.sock" --bundle "$BUNDLE" "$ID"
	refused "$none" run --console-socket "$T/no.sock" --bundle "$BUNDLE" "$ID"
	config '.process.terminal = true'
	refused "$needs" create --bundle "$BUNDLE" "$ID"
	refused "$needs" run --detach --bundle "$BUNDLE" "$ID"
	refused "$foreground" run --console-socket "$T/no.sock" --bundle "$BUNDLE" "$ID"
	refused 'no such file or directory' create --console-socket "$T/no.sock" --bundle "$BUNDLE" "$ID"
	nothing_left
	config '.process.terminal = false'
	ok run --detach --bundle "$BUNDLE" "$ID"
	jq '.process | .terminal = true | .args = ["true"]' "$BUNDLE/config.json" >"$T/process.json"
	no_exec() { # REASON ARG...
		local reason=$1
		shift
		rt exec "$@"
		is "$STATUS" 255 "exec $*" || return 1
		has "$ERR" "$reason"
	}
	no_exec "$needs" --detach --process "$T/process.json" "$ID"
	no_exec "$needs" --detach --tty --process "$T/process.json" "$ID"
	no_exec "$needs" --detach --tty "$ID" true
	no_exec "$none" --console-socket "$T/no.sock" --detach "$ID" true
	no_exec "$foreground" --console-socket "$T/no.sock" --tty "$ID" true
	no_exec 'no such file or directory' --console-socket "$T/no.sock" --detach --tty "$ID" true
}

@test "tty: the caller's terminal is restored when the container of an exec goes, and by a failing hook" {
	need_tmux
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	at_terminal 80 24
	before=$(modes)
	type_keys "$RUNTIME --root $ROOT exec --tty -e 'PS1=box> ' $ID sh -i; echo code \$?" Enter
	sees 'box>'
	[[ $(modes) != "$before" ]] || fail "the caller's terminal is not in raw mode"
	silent delete --force "$ID"
	sees '(box> ?)?code 137'
	is "$(modes)" "$before" 'after delete --force'
	on_terminal
	config '.hooks.poststart = [{path: "/bin/sh", args: ["sh", "-c", "sleep 0.2; exit 1"]}]'
	type_keys "clear; $RUNTIME --root $ROOT run --bundle $BUNDLE $ID 2>$T/e; echo code \$?" Enter
	sees '(box> ?)?code 1'
	has "$(<"$T/e")" /hooks/poststart/0
	is "$(modes)" "$before" 'after a failing hook'
	bye
	nothing_left
}

@test "tty: lines in a pipe end in a newline alone, those on a terminal in both" {
	config '.process.terminal = true'
	args sh -c 'echo one; echo two'
	is "$(OCI_TEST_MARK=$MARK "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null 2>&1 3>&- | od -c)" "$(printf 'one\ntwo\n' | od -c)"
	OCI_TEST_MARK=$MARK script -qec "'$RUNTIME' --root '$ROOT' run --bundle '$BUNDLE' '$ID'" /dev/null </dev/null >"$T/typed" 2>&1 3>&-
	has "$(<"$T/typed")" $'one\r\ntwo\r' # the shell takes the last newline off
	nothing_left
}

@test "run: the end of a pipe ends a shell that edits its line, and each reader before it" {
	only_oci_mini "types the end of input again"
	config '.process.terminal = true | .process.args = ["sh"] | .process.env += ["PS1=$ "]'
	RT_TIMEOUT=10 rt_stdin run --bundle "$BUNDLE" "$ID" <<<'echo $((41 + 1))'
	((STATUS == 0)) || fail "$STATUS: $OUT"
	has "$OUT" $'\n42'
	RT_TIMEOUT=10 rt run --bundle "$BUNDLE" "$ID"
	((STATUS == 0)) || fail "$STATUS: $OUT"
	config '.process.args = ["sh", "-c", "cat; sleep 1; cat; echo over"]'
	RT_TIMEOUT=10 rt_stdin run --bundle "$BUNDLE" "$ID" < <(printf unfinished)
	((STATUS == 0)) || fail "$STATUS: $OUT"
	has "$OUT" over
}
