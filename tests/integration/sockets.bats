#!/usr/bin/env bats
# Sockets between the caller and the runtime: console, pidfd, socket activation,
# readiness.

load helpers

# receiver SOCKET: waits there for one message with one descriptor, and writes to
# $T/got what it was, with the pid of a pidfd or the first line of a terminal.
receiver() {
	cat >"$T/receiver.py" <<'PYTHON'
import array, os, socket, sys
path, out = sys.argv[1:]
s = socket.socket(socket.AF_UNIX)
here = os.open(os.path.dirname(path), os.O_PATH)
s.bind("/proc/self/fd/%d/%s" % (here, os.path.basename(path)))
s.listen(1)
c, _ = s.accept()
data, anc, _, _ = c.recvmsg(4096, 4096)
fds = array.array("i")
for _, _, d in anc:
    fds.frombytes(d)
lines = ["name " + data.decode(), "descriptors %d" % len(fds), "more %r" % c.recv(1)]
kind = os.readlink("/proc/self/fd/%d" % fds[0])
if "pidfd" in kind:
    for line in open("/proc/self/fdinfo/%d" % fds[0]):
        if line.startswith("Pid:"):
            lines.append("pid " + line.split()[1])
elif os.isatty(fds[0]):
    lines.append("blocking %s" % os.get_blocking(fds[0]))
    text = b""
    while b"\n" not in text:
        text += os.read(fds[0], 100)
    lines.append("says " + text.decode().strip())
with open(out + ".new", "w") as f:
    f.write("\n".join(lines) + "\n")
os.rename(out + ".new", out)
PYTHON
	background python3 "$T/receiver.py" "$1" "$T/got"
	wait_for test -S "$1"
}

# got: what the receiver got.
got() {
	wait_for test -e "$T/got" || return 1
	OUT=$(<"$T/got")
	rm "$T/got"
}

need_python() {
	python3 -c '' 2>/dev/null || skip 'python3 is missing: see tests/install-deps'
}

@test "--pidfd-socket: create, run and exec send one pidfd, with the name that callers expect" {
	need_python
	args sleep 60
	receiver "$T/s1"
	silent create --pidfd-socket "$T/s1" --pid-file "$T/pid" --bundle "$BUNDLE" "$ID"
	got
	is "$OUT" $'name standard\ndescriptors 1\nmore b\'\'\npid '"$(init_pid "$ID")"
	is "$(<"$T/pid")" "$(init_pid "$ID")"
	receiver "$T/s2"
	silent run --detach --pidfd-socket "$T/s2" --bundle "$BUNDLE" "$ID.run"
	got
	pid=$(init_pid "$ID.run")
	has "$OUT" $'name standard\ndescriptors 1\n'
	has "$OUT" "pid $pid"
	receiver "$T/s3"
	silent exec --detach --pidfd-socket "$T/s3" --pid-file "$T/pid" "$ID.run" sleep 59
	got
	is "$OUT" $'name setns\ndescriptors 1\nmore b\'\'\npid '"$(<"$T/pid")"
	# In the foreground too.
	args sleep 0.1
	receiver "$T/s4"
	ok run --pidfd-socket "$T/s4" --bundle "$BUNDLE" "$ID.fg"
	got
	has "$OUT" 'name standard'
}

@test "annotations: run.oci.pidfd_receiver gets the first process's pidfd, exec sends none" {
	need_python
	config '.annotations = {"run.oci.pidfd_receiver": "socket"}'
	args sleep 60
	receiver "$BUNDLE/socket"
	silent create --bundle "$BUNDLE" "$ID"
	got
	is "$OUT" $'name standard\ndescriptors 1\nmore b\'\'\npid '"$(init_pid "$ID")"
	# Nobody listens any more: an exec must not notice.
	ok exec "$ID" true
	refused "annotation run.oci.pidfd_receiver: connect $BUNDLE/socket" create --bundle "$BUNDLE" "$ID.b"
	ok delete --force "$ID"
	nothing_left
}

@test "--pidfd-socket: a pid namespace that is joined, the process is the container's" {
	need_python
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID.a"
	config '.linux.namespaces |= map(if .type == "pid" then .path = $p else . end)' \
		--arg p "/proc/$(init_pid "$ID.a")/ns/pid"
	join_users "$(init_pid "$ID.a")"
	receiver "$T/s1"
	ok create --pidfd-socket "$T/s1" --bundle "$BUNDLE" "$ID"
	got
	pid=$(init_pid "$ID")
	has "$OUT" "pid $pid"
}

@test "--pidfd-socket: nobody there is a failed create that leaves nothing" {
	rt create --pidfd-socket "$T/none" --pid-file "$T/pid" --bundle "$BUNDLE" "$ID"
	is "$STATUS" 1
	has "$ERR" 'pidfd-socket'
	has "$ERR" 'no such file or directory'
	[[ ! -e $T/pid ]]
	rt run --pidfd-socket "$T/none" --bundle "$BUNDLE" "$ID"
	is "$STATUS" 1
	nothing_left
}

@test "console and pidfd sockets at paths longer than a socket address" {
	need_python
	long=$T/$(printf 'd%.0s' {1..120})
	mkdir "$long"
	config '.process.terminal = true'
	args sh -c 'tty; sleep 60'
	receiver "$long/console"
	ok create --console-socket "$long/console" --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	got
	is "$OUT" $'name /dev/pts/ptmx\ndescriptors 1\nmore b\'\'\nblocking True\nsays /dev/pts/0'
	receiver "$long/pidfd"
	config '.process.terminal = false'
	ok create --pidfd-socket "$long/pidfd" --bundle "$BUNDLE" "$ID.b"
	got
	pid=$(init_pid "$ID.b")
	has "$OUT" "pid $pid"
}

# activated N ARG...: the runtime as a service manager starts it with N sockets.
activated() {
	local n=$1
	shift
	sh -c 'export LISTEN_PID=$$ LISTEN_FDS='"$n"'; exec "$@"' sh "$RUNTIME" --root "$ROOT" "$@"
}

@test "LISTEN_FDS: the caller's sockets come first, then --preserve-fds" {
	# shellcheck disable=SC2016 # the container's shell
	args sh -c 'echo $LISTEN_FDS:$LISTEN_PID; cat <&3; cat <&4; cat <&5
		for f in /proc/$$/fd/*; do [ -L "$f" ] && echo "${f##*/}"; done; true'
	for n in 3 4 5; do echo "file $n" >"$T/$n"; done
	code=0
	OCI_TEST_MARK=$MARK activated 2 run --preserve-fds 1 --bundle "$BUNDLE" "$ID" \
		</dev/null >"$T/o" 2>"$T/e" 3<"$T/3" 4<"$T/4" 5<"$T/5" 6</etc/passwd || code=$?
	is "$code:$(<"$T/e")" 0:
	is "$(<"$T/o")" $'2:1\nfile 3\nfile 4\nfile 5\n0\n1\n2\n3\n4\n5'
	# create and start: they wait in the created container.
	OCI_TEST_MARK=$MARK activated 2 create --preserve-fds 1 --bundle "$BUNDLE" "$ID" \
		</dev/null >"$T/o" 2>"$T/e" 3<"$T/3" 4<"$T/4" 5<"$T/5" 6</etc/passwd
	ok start "$ID"
	wait_for status_is "$ID" stopped
	is "$(<"$T/o")" $'2:1\nfile 3\nfile 4\nfile 5\n0\n1\n2\n3\n4\n5'
}

@test "LISTEN_FDS: exec passes them too" {
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	echo three >"$T/3"
	# shellcheck disable=SC2016 # the container's shell
	OCI_TEST_MARK=$MARK activated 1 exec "$ID" sh -c 'echo $LISTEN_FDS:$LISTEN_PID; cat <&3' </dev/null >"$T/o" 2>&1 3<"$T/3"
	is "$(<"$T/o")" $'1:1\nthree'
}

@test "LISTEN_FDS of another process are not passed, nor are its variables" {
	# shellcheck disable=SC2016 # the container's shell
	args sh -c 'echo "${LISTEN_FDS-unset} ${LISTEN_PID-unset}"; for f in /proc/$$/fd/*; do [ -L "$f" ] && echo "${f##*/}"; done; true'
	for pid in $$ 1 '' x; do
		LISTEN_FDS=1 LISTEN_PID=$pid OCI_TEST_MARK=$MARK "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" \
			</dev/null >"$T/o" 2>&1 3</etc/passwd
		is "$(<"$T/o")" $'unset unset\n0\n1\n2' "LISTEN_PID=$pid"
	done
}

@test "LISTEN_FDS: a descriptor that is not open is refused" {
	only_oci_mini 'runc passes on what there is'
	code=0
	activated 2 run --bundle "$BUNDLE" "$ID" </dev/null >"$T/o" 2>"$T/e" 3</etc/passwd 4<&- || code=$?
	is "$code" 1
	has "$(<"$T/e")" 'LISTEN_FDS=2: descriptor 4 is not open'
	code=0
	activated 1x run --bundle "$BUNDLE" "$ID" </dev/null >"$T/o" 2>"$T/e" 3</etc/passwd || code=$?
	is "$code" 1
	has "$(<"$T/e")" 'LISTEN_FDS=1x'
	nothing_left
}

# manager ADDRESS: a service manager at a datagram socket. It writes every message to
# $T/told, and answers a barrier half a second later.
manager() {
	: >"$T/told"
	cat >"$T/manager.py" <<'PYTHON'
import os, socket, sys, time
path, out = sys.argv[1:]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\0" + path[1:] if path[0] == "@" else path)
f = open(out, "a", buffering=1)
f.write("listening\n")
while True:
    data, fds, _, _ = socket.recv_fds(s, 4096, 4)
    f.write(data.decode().replace("\n", " ").strip() + " fds=%d\n" % len(fds))
    if fds:
        time.sleep(0.5)
        f.write("answered\n")
    for fd in fds:
        os.close(fd)
PYTHON
	background python3 "$T/manager.py" "$1" "$T/told"
	wait_for grep -q listening "$T/told"
	export NOTIFY_SOCKET=$1
}

# ready_program: the container runs. It is say that speaks for it: busybox has no
# tool for datagram sockets.
ready_program() {
	own_rootfs
	# shellcheck disable=SC2016 # the container's shell
	args sh -c 'echo "$NOTIFY_SOCKET" >/socket; sleep 60'
}

# say TEXT: to the container's socket, as if from inside.
say() {
	python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(sys.argv[1].encode(), sys.argv[2])' "$1" "${2:-/proc/$(init_pid "$ID")/root/run/notify/notify.sock}"
}

# told N: the manager has been told N lines.
told() {
	(($(wc -l <"$T/told") >= $1))
}

@test "NOTIFY_SOCKET: start relays READY=1, MAINPID and a barrier, and then returns" {
	need_python
	ready_program
	manager "$T/manager"
	silent create --bundle "$BUNDLE" "$ID"
	background "$RUNTIME" --root "$ROOT" start "$ID" </dev/null >"$T/o" 2>&1
	start=$PID
	wait_for status_is "$ID" running
	wait_for test -s "$ROOTFS/socket"
	is "$(<"$ROOTFS/socket")" /run/notify/notify.sock
	pid=$(init_pid "$ID")
	is "$(grep -c ' /run/notify ro,nosuid,nodev,noexec' "/proc/$pid/mountinfo")" 1
	# What is not READY=1 stays in.
	say $'STATUS=loading\nNOTREADY=1'
	say $'MAINPID=1\nREADY=10'
	sleep 0.2
	kill -0 "$start"
	is "$(<"$T/told")" listening
	# Meanwhile the container can be looked at and signalled.
	silent kill "$ID" 0
	say $'STATUS=done\nREADY=1'
	code=0
	wait "$start" || code=$?
	is "$code:$(<"$T/o")" 0:
	is "$(<"$T/told")" "$(printf '%s\n' listening "READY=1 MAINPID=$pid fds=0" 'BARRIER=1 fds=1' answered)"
	# Nobody reads any more: the container learns it at once.
	refute say READY=1 2>/dev/null
	# exec has nothing to do with it.
	# shellcheck disable=SC2016 # the container's shell
	ok exec "$ID" sh -c 'echo ${NOTIFY_SOCKET-unset}'
	is "$OUT" unset
	silent delete --force "$ID"
}

@test "NOTIFY_SOCKET: run --detach, with an abstract address" {
	need_python
	ready_program
	manager "@$MARK"
	background "$RUNTIME" --root "$ROOT" run --detach --bundle "$BUNDLE" "$ID" </dev/null >"$T/o" 2>&1
	run=$PID
	wait_for status_is "$ID" running
	pid=$(init_pid "$ID")
	say READY=1
	code=0
	wait "$run" || code=$?
	is "$code:$(<"$T/o")" 0:
	is "$(sed -n 2p "$T/told")" "READY=1 MAINPID=$pid fds=0"
	status_is "$ID" running
}

@test "NOTIFY_SOCKET: in the foreground the main process is the runtime" {
	need_python
	ready_program
	manager "$T/manager"
	background "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null >"$T/o" 2>&1
	run=$PID
	wait_for status_is "$ID" running
	say READY=1
	wait_for told 4
	is "$(sed -n 2p "$T/told")" "READY=1 MAINPID=$run fds=0"
	status_is "$ID" running
	silent kill "$ID" KILL
	code=0
	wait "$run" || code=$?
	is "$code:$(<"$T/o")" 137:
}

@test "NOTIFY_SOCKET: a container that ends, or is deleted, before it is ready" {
	need_python
	own_rootfs
	manager "$T/manager"
	ok create --bundle "$BUNDLE" "$ID"
	silent start "$ID"
	silent delete --force "$ID"
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	background "$RUNTIME" --root "$ROOT" start "$ID" </dev/null >"$T/o" 2>&1
	start=$PID
	wait_for status_is "$ID" running
	silent delete --force "$ID"
	code=0
	wait "$start" || code=$?
	is "$code:$(<"$T/o")" 0:
	is "$(<"$T/told")" listening
}

@test "NOTIFY_SOCKET: nobody at it is a clear error, and no container" {
	only_oci_mini 'the caller hears of a socket that nobody listens at'
	own_rootfs
	for address in "$T/none" relative vsock:2:1 "@$MARK.none"; do
		export NOTIFY_SOCKET=$address
		rt run --bundle "$BUNDLE" "$ID"
		is "$STATUS" 1 "$address"
		has "$ERR" "NOTIFY_SOCKET"
		has "$ERR" "$address"
	done
	nothing_left
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	rt start "$ID"
	is "$STATUS" 1 start
	status_is "$ID" created
	unset NOTIFY_SOCKET
	silent start "$ID"
}
