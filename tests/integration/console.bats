#!/usr/bin/env bats
# The console: its socket, its size, its owner.

load helpers

# receive SOCKET: listens at SOCKET, as an engine does, in the background; what
# comes is written to $T/received as JSON: {payload, fds, size, owner, output}.
receive() {
	command -v python3 >/dev/null || skip 'needs python3 to receive a descriptor'
	cat >"$T/receive.py" <<'PYTHON'
import array, fcntl, json, os, socket, struct, sys, termios
path, result, first = sys.argv[1:4]
os.chdir(os.path.dirname(path))  # the name may be longer than sun_path
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.bind(os.path.basename(path))
s.listen(1)
print("ready", flush=True)
c, _ = s.accept()
payload, anc, flags, _ = c.recvmsg(4096, socket.CMSG_SPACE(16 * 4))
fds = array.array("i")
for level, kind, data in anc:
    if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
        fds.frombytes(data[: len(data) - len(data) % 4])
rest = c.recv(1)  # the peer closes after one message
fd = fds[0]
rows, cols = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8))[:2]
out = {"nonblock": bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK), "payload": payload.decode(), "rest": len(rest), "fds": len(fds), "size": "%d %d" % (rows, cols), "isatty": os.isatty(fd)}
def write():
    with open(result + ".new", "w") as f:
        json.dump(out, f)
    os.rename(result + ".new", result)
out["output"] = ""
os.set_blocking(fd, True)
write()
if first:
    os.write(fd, first.encode() + b"\n")
text = b""
while True:
    try:
        got = os.read(fd, 4096)
    except OSError:
        break
    if not got:
        break
    text += got
    out["output"] = text.decode(errors="replace").replace("\r", "")
    write()
PYTHON
	rm -f "$T/received"
	background python3 "$T/receive.py" "$1" "$T/received" "${2:-}" >"$T/receive.out"
	wait_for grep -q ready "$T/receive.out"
}

# received FIELD: a field of what came.
received() {
	jq -r ".$1" "$T/received"
}

said() {
	[[ $(received output) == *"$1"* ]]
}

@test "a console socket gets one message with one descriptor, a pty's master" {
	config '.process.terminal = true | .process.consoleSize = {height: 33, width: 101}'
	args sh -c 'stty size; tty; ls -l /proc/self/fd/0 | sed "s/.*-> //"; test -t 1 && test -t 2 && read -r line && echo "got <$line>"'
	receive "$T/sock" typed
	silent create --console-socket "$T/sock" --bundle "$BUNDLE" "$ID"
	wait_for test -s "$T/received"
	is "$(received fds)" 1 descriptors
	is "$(received rest)" 0 'bytes behind the message'
	is "$(received isatty)" true
	is "$(received nonblock)" false 'O_NONBLOCK of the master'
	is "$(received size)" '33 101'
	[[ -n $(received payload) ]]
	is "$(received output | grep -c got)" 0 'output before start'
	silent start "$ID"
	wait_for said 'got <typed>'
	has "$(received output)" '33 101'
	like "$(received output)" '/dev/(pts/0|console)'
}

@test "a console socket whose path is longer than 108 bytes" {
	long=$T/$(printf 'd%.0s' {1..120})
	mkdir "$long"
	config '.process.terminal = true'
	args echo hello
	receive "$long/sock"
	ok run --detach --console-socket "$long/sock" --bundle "$BUNDLE" "$ID"
	wait_for said hello
	# A relative path, too.
	ok delete --force "$ID"
	cd "$long" || return
	receive "$long/sock2"
	ok run --detach --console-socket sock2 --bundle "$BUNDLE" "$ID"
	wait_for said hello
	cd "$T" || return
}

@test "a console socket that is not there, or where nobody listens, fails create" {
	config '.process.terminal = true'
	refused 'no such file or directory' create --console-socket "$T/none" --bundle "$BUNDLE" "$ID"
	nothing_left
	echo >"$T/file"
	refused "$T/file" create --console-socket "$T/file" --bundle "$BUNDLE" "$ID"
	nothing_left
}

@test "consoleSize over a socket: 0 and the greatest values, in part and as a whole" {
	config '.process.terminal = true'
	args stty size
	while read -r height width want; do
		config '.process.consoleSize = {height: $h, width: $w}' --argjson h "$height" --argjson w "$width"
		rm -f "$T/sock"
		receive "$T/sock"
		rt run --detach --console-socket "$T/sock" --bundle "$BUNDLE" "$ID"
		is "$STATUS:$OUT$ERR" 0:
		wait_for said ' '
		is "$(received size)" "${want/x/ }" "size for $height x $width"
		wait_for status_is "$ID" stopped
		ok delete "$ID"
	done <<-'END'
		0 0 0x0
		0 80 0x80
		24 0 24x0
		65535 65535 65535x65535
	END
}

@test "the pty belongs to the process's user, with devpts' own group" {
	needs_ids 'user 1000'
	config '.process.terminal = true | .process.user = {uid: 1000, gid: 1001}'
	args sh -c 'stat -c "%u:%g %a" /dev/pts/0 && echo x >/dev/tty && echo y >/dev/pts/0 && echo done'
	receive "$T/sock"
	ok run --detach --console-socket "$T/sock" --bundle "$BUNDLE" "$ID"
	wait_for said "done"
	like "$(received output)" '^1000:5 6[0-9]0'
}

@test "a terminal: no devpts of the container's own is an error, not the host's pty" {
	own_rootfs
	config '.process.terminal = true | .mounts |= map(select(.destination != "/dev/pts"))'
	receive "$T/sock"
	rt create --console-socket "$T/sock" --bundle "$BUNDLE" "$ID"
	is "$STATUS" 1
	has "$ERR" /dev/pts/ptmx
	has "$ERR" /process/terminal
	[[ ! -e $T/received ]]
}

@test "exec with a terminal: a socket when detached, its size and owner" {
	needs_ids 'user 1000'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	jq '.process | .terminal = true | .args = ["sh", "-c", "stty size; stat -c %u /dev/pts/0; echo done"]
		| .user = {uid: 1000, gid: 1000} | .consoleSize = {height: 12, width: 34}' "$BUNDLE/config.json" >"$T/process.json"
	rt exec --detach --process "$T/process.json" "$ID"
	((STATUS != 0)) || fail 'a detached terminal without a socket is accepted'
	has "$ERR" console
	receive "$T/sock"
	ok exec --detach --process "$T/process.json" --console-socket "$T/sock" "$ID"
	wait_for said "done"
	is "$(received output)" $'12 34\n1000\ndone'
	is "$(received fds)" 1 descriptors
}

@test "a terminal in the foreground: a resize reaches the container, the caller's modes come back" {
	command -v python3 >/dev/null || skip 'needs python3 to resize a pty'
	cat >"$T/resize.py" <<'PYTHON'
import fcntl, os, struct, subprocess, sys, termios, time
fd, slave = os.openpty()
before = termios.tcgetattr(slave)
child = subprocess.Popen(sys.argv[1:], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                         preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
def size(rows, cols):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
text = b""
stage = 0
end = time.time() + 20
while time.time() < end:
    try:
        got = os.read(fd, 4096)
    except OSError:
        break
    if not got:
        break
    text += got
    if stage == 0 and b"ready" in text:
        stage = 1
        size(44, 155)
    if b"final 44 155" in text:
        stage = 2
        break
code = child.wait()
after = termios.tcgetattr(slave)
print("stage", stage, "exit", code, "modes", "same" if before == after else "differ")
PYTHON
	config '.process.terminal = true'
	args sh -c 'trap "set -- \$(stty size); [ \$1 = 44 ] && { echo final \$1 \$2; exit 7; }" WINCH; echo ready; while :; do sleep 0.1; done'
	OCI_TEST_MARK=$MARK timeout $((30 * PATIENCE)) python3 "$T/resize.py" "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null >"$T/resized" 2>&1 3>&-
	is "$(<"$T/resized")" 'stage 2 exit 7 modes same'
	nothing_left
}
