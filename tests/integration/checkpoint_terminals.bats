#!/usr/bin/env bats
# checkpoint and restore: a terminal of the container's own, and one of somebody outside.

load helpers
load criu
load tmux

# enter LINE: as if typed.
enter() {
	tmux send-keys -t 0 -l "$1"
	tmux send-keys -t 0 Enter
}

# at_host COMMAND...: what is to be typed for it, with the exit status after it.
at_host() {
	enter "$RUNTIME ${STATE[*]} ${MANAGER[*]} $*; echo code \$?"
}

@test "restore in the foreground with a terminal: a person goes on at the container's shell" {
	needs_criu
	need_tmux
	own_rootfs
	args sh -i
	config '.process.terminal = true | .process.env += ["PS1=box> "]'
	at_terminal 80 24
	at_host run --bundle "$BUNDLE" "$ID"
	sees 'box>'
	enter 'x=kept; stty size'
	sees '24 80'
	checkpoint
	# The run of before ends, as its container has.
	sees '.*code 137'
	tmux resize-window -t 0 -x 100 -y 30
	enter clear
	sees 'host>'
	at_host restore --bundle "$BUNDLE" --image-path "$T/images" "$ID"
	enter 'echo "[$x]"'
	sees '.kept.'
	enter 'tty; stty size'
	sees '/dev/pts/0'
	sees '30 100'
	tmux resize-window -t 0 -x 90 -y 20
	enter 'until stty size | grep "20 90"; do sleep 0.05; done'
	sees '20 90'
	# Ctrl-C interrupts the program, not the shell.
	enter 'sleep 60; echo after $?'
	sleep 0.5
	tmux send-keys -t 0 C-c
	enter 'echo still $x'
	sees 'still kept'
	enter 'exit 5'
	sees '.*code 5'
	# The host's terminal is as before: what is typed is echoed, once.
	enter 'echo at home'
	sees 'at home'
	bye
	nothing_left
}

@test "a container on a terminal of the host's is not checkpointed, with --shell-job or without" {
	need_tmux
	own_rootfs
	args sh -c 'while read -r line; do echo "[$line]"; done; exit 3'
	at_terminal 80 24
	at_host run --bundle "$BUNDLE" "$ID"
	enter one
	sees '.one.'
	refused 'descriptor 0 of the first process is a terminal of the host, which CRIU cannot restore: with /process/terminal, a container has one of its own' \
		checkpoint --image-path "$T/images" "$ID"
	refused 'descriptor 0 of the first process is a terminal of the host' checkpoint --shell-job --image-path "$T/images" "$ID"
	refute test -e "$T/images"
	enter two
	sees '.two.'
	tmux send-keys -t 0 C-d
	sees '.*code 3'
	bye
}

@test "--shell-job: is no hindrance to a container with a terminal of its own" {
	needs_criu
	need_tmux
	own_rootfs
	args sh -c 'while read -r line; do echo "[$line]"; done; exit 3'
	config '.process.terminal = true'
	at_terminal 80 24
	at_host run --bundle "$BUNDLE" "$ID"
	enter one
	sees '.one.'
	checkpoint --shell-job
	sees '.*code 137'
	at_host restore --bundle "$BUNDLE" --image-path "$T/images" --shell-job "$ID"
	enter three
	sees '.three.'
	tmux send-keys -t 0 C-d
	sees '.*code 3'
	bye
}

# receiver: takes two masters at the console socket, and greets who reads there.
receiver() {
	command -v python3 >/dev/null || skip 'needs python3 to receive a descriptor'
	cat >"$T/receive.py" <<'PYTHON'
import array, os, socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
os.chdir(sys.argv[1])
s.bind("console")
s.listen(1)
print("ready", flush=True)
for _ in range(2):
    c, _ = s.accept()
    name, anc, _, _ = c.recvmsg(4096, socket.CMSG_SPACE(4))
    fd = array.array("i", anc[0][2])[0]
    os.write(fd, b"hello\n")
    text = b""
    while b"[hello]" not in text:
        text += os.read(fd, 100)
    print("got", name.decode(), flush=True)
time.sleep(600)
PYTHON
	background python3 "$T/receive.py" "$T" >"$T/receive.out"
	wait_for -t 20 grep -q ready "$T/receive.out"
}

twice() {
	(($(grep -c got "$T/receive.out") == 2))
}

# echoing: a container with a terminal, whose master the receiver has.
echoing() {
	own_rootfs
	config '.process.terminal = true'
	args sh -c 'while read -r line; do echo "[$line]"; done'
	receiver
	ok run --detach --bundle "$BUNDLE" --console-socket "$T/console" "$ID"
	wait_for grep -q got "$T/receive.out"
}

@test "a pty: its master goes to the console socket again" {
	needs_criu
	echoing
	checkpoint
	refused 'needs --console-socket' restore --detach --bundle "$BUNDLE" --image-path "$T/images" "$ID"
	restore --console-socket "$T/console"
	wait_for twice
	ok exec "$ID" ls -l /dev/console
}

@test "a pty: that of an exec is not taken for the container's" {
	needs_criu
	echoing
	cat >"$T/hold.py" <<'PYTHON'
import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.bind(sys.argv[1])
s.listen(1)
print("ready", flush=True)
held = s.accept()[0].recvmsg(4096, socket.CMSG_SPACE(4))
time.sleep(600)
PYTHON
	background python3 "$T/hold.py" "$T/other" >"$T/hold.out"
	wait_for -t 20 grep -q ready "$T/hold.out"
	ok exec --detach --tty --console-socket "$T/other" "$ID" sleep 600
	rt exec "$ID" ps -o args
	like "$OUT" $'(^|\n)sleep 600(\n|$)'
	checkpoint
	restore --console-socket "$T/console"
	wait_for twice
	# Whose own has hung up.
	ended() { rt exec "$ID" ps -o args && [[ ! $OUT =~ (^|$'\n')'sleep 600'($'\n'|$) ]]; }
	wait_for ended
}
