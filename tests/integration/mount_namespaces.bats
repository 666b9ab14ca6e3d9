#!/usr/bin/env bats
# Mount namespaces joined by path: the container is in it, and has mounts and a root of its
# own that nobody else sees; its owner's stay as they are.

load helpers

# owner: a container to whose mount namespace others come. Its pid is in OWNER, the link to
# the namespace in NS, and what it has mounted in TABLE. The config is that of a joiner then.
owner() {
	mount_add /mnt tmpfs tmpfs shared
	args sleep 600
	ok run --detach --bundle "$BUNDLE" "$ID"
	OWNER=$(init_pid "$ID")
	NS=$(readlink "/proc/$OWNER/ns/mnt")
	TABLE=$(<"/proc/$OWNER/mountinfo")
	ok exec "$ID" touch /mnt/of-the-owner
	new_bundle "$BUNDLE"
	joiner "$OWNER"
}

# joiner PID: the config joins the mount namespace of a process, and its user namespace
# where it has one.
joiner() {
	config '.linux.namespaces |= map(if .type == "mount" then .path = $p else . end)' --arg p "/proc/$1/ns/mnt"
	join_users "$1"
}

# unchanged: the owner's mounts and root are what they were.
unchanged() {
	is "$(<"/proc/$OWNER/mountinfo")" "$TABLE" "the owner's mounts"
	[[ -e /proc/$OWNER/root/mnt/of-the-owner ]] || fail "the owner's root is another one"
}

# on_terminal ARG...: rt on a pty; STATUS, and for what comes there see typed.
on_terminal() {
	STATUS=0
	OCI_TEST_MARK=$MARK timeout $((20 * PATIENCE)) script -qec "$RUNTIME ${STATE[*]} $*" /dev/null \
		</dev/null >"$T/typed" 2>&1 3>&- || STATUS=$?
}

# typed: what script(1) has recorded, without the end of file that it types itself.
typed() {
	tr -d '\r\0\b' <"$T/typed" | sed 's/\^[@D]//g'
}

# within ID SCRIPT: executes the script in a container.
within() {
	ok exec "$1" sh -c "$2"
}

@test "a mount namespace by path: the container is in it, with mounts of its own that nobody sees" {
	owner
	own_rootfs
	mkdir "$T/data"
	echo data >"$T/data/file"
	give "$T/data"
	mount_add /data none "$T/data" rbind ro
	mount_add /scratch tmpfs tmpfs size=1m
	config '.linux.maskedPaths = ["/proc/uptime", "/etc"] | .linux.readonlyPaths = ["/proc/sys", "/home"]'
	args sh -c 'readlink /proc/self/ns/mnt; cat /data/file; echo $$; ls -d /proc/[0-9]*
		echo x >/scratch/x && cat /scratch/x; echo x >/data/x; echo x >/home/x; echo x >/proc/sys/kernel/domainname
		ls /etc; wc -c </proc/uptime; stat -c %t:%T /dev/null /dev/zero; test -e /mnt/of-the-owner || echo hidden; wc -l </proc/self/mountinfo'
	ok run --bundle "$BUNDLE" "$ID.b"
	is "$OUT" "$NS
data
1
/proc/1
x
0
1:3
1:5
hidden
0"
	is "$(grep -c 'Read-only file system' <<<"$ERR")" 3 'refused writes'
	unchanged
	args sh -c 'echo x >/scratch/x; sleep 61'
	ok run --detach --bundle "$BUNDLE" "$ID.b"
	pid=$(init_pid "$ID.b")
	is "$(readlink "/proc/$pid/ns/mnt")" "$NS" 'mount namespace'
	wait_for test -e "/proc/$pid/root/scratch/x"
	unchanged
	ok delete --force "$ID.b"
	unchanged
}

@test "a mount namespace by path: exec, ps, update, kill and delete" {
	owner
	own_rootfs
	echo 'me:x:5:5::/home/me:/bin/sh' >>"$ROOTFS/etc/passwd"
	echo here >"$ROOTFS/tmp/here"
	mount_add /scratch tmpfs tmpfs
	args sleep 61
	ok create --bundle "$BUNDLE" "$ID.b"
	within "$ID.b" 'cat /tmp/here; readlink /proc/self/ns/mnt; echo >/scratch/made; ls /proc/self/fd'
	is "$OUT" "here
$NS
0
1
2
3"
	silent start "$ID.b"
	status_is "$ID.b" running
	within "$ID.b" 'ls /scratch; pwd; cat /proc/1/cmdline | tr "\0" " "; test -e /mnt/of-the-owner || echo hidden'
	is "$OUT" $'made\n/\nsleep 61 hidden'
	ok exec --cwd /tmp "$ID.b" cat here
	is "$OUT" here
	if [[ $WORLD != rootless ]]; then
		ok exec --user 5:5 "$ID.b" sh -c 'id -u; echo $HOME'
		is "$OUT" $'5\n/home/me'
	fi
	rt exec "$ID.b" no-such-program
	is "$STATUS" 255
	has "$ERR" 'executable file not found in $PATH'
	ok ps "$ID.b"
	has "$OUT" 'sleep 61'
	ok exec --detach "$ID.b" sleep 62
	ok kill "$ID.b" KILL
	wait_for status_is "$ID.b" stopped
	silent delete "$ID.b"
	unchanged
	status_is "$ID" running
}

@test "a mount namespace by path: exec does not follow where the first process has changed its root to" {
	owner
	own_rootfs
	echo ours >"$ROOTFS/tmp/whose"
	mkdir -p "$ROOTFS/deep/er/tmp" "$ROOTFS/deep/er/bin"
	cp "$ROOTFS/bin/busybox" "$ROOTFS/deep/er/bin/"
	ln -s busybox "$ROOTFS/deep/er/bin/sleep"
	echo theirs >"$ROOTFS/deep/er/tmp/whose"
	mkdir "$ROOTFS/deep/er/etc"
	echo 'root:x:0:0::/theirs:/bin/sh' >"$ROOTFS/deep/er/etc/passwd"
	echo 'root:x:0:0::/ours:/bin/sh' >"$ROOTFS/etc/passwd"
	caps CAP_SYS_CHROOT CAP_SYS_ADMIN CAP_SYS_PTRACE
	args chroot /deep/er sleep 61
	ok run --detach --bundle "$BUNDLE" "$ID.b"
	pid=$(init_pid "$ID.b")
	wait_for grep -qs theirs "/proc/$pid/root/tmp/whose"
	within "$ID.b" 'cat /tmp/whose; pwd; echo $HOME'
	is "$OUT" $'ours\n/\n/ours'
	# One that has gone elsewhere altogether cannot be found.
	args nsenter --mount=/proc/1/ns/mnt sleep 61
	ok run --detach --bundle "$BUNDLE" "$ID.c"
	pid=$(init_pid "$ID.c")
	wait_for test -e "/proc/$pid/root/mnt/of-the-owner"
	rt exec "$ID.c" true
	is "$STATUS" 255
	has "$ERR" "the container's first process has left the container's root directory"
	silent delete --force "$ID.c"
	unchanged
}

@test "a mount namespace by path is no way out: .., chroot, mounts, user namespaces" {
	owner
	own_rootfs
	mkdir -p "$ROOTFS/a/b"
	cat >"$ROOTFS/look" <<'LOOK'
cd /tmp && cd ../../../../../../.. && pwd
ls -d /../../of-the-owner /../../mnt/of-the-owner /proc/1/root/../mnt/of-the-owner /proc/self/cwd/../../mnt/of-the-owner
wc -c </proc/uptime
LOOK
	config '.linux.maskedPaths += ["/proc/uptime"] | .process.args = ["sh", "/look"]'
	rt run --bundle "$BUNDLE" "$ID.b"
	is "$OUT" $'/\n0'
	is "$(grep -c 'No such file' <<<"$ERR")" 4 'names of the owner'
	# The classic: a root below, and from a directory above that upwards.
	caps CAP_SYS_CHROOT CAP_DAC_OVERRIDE
	args chroot /a/b /busybox true
	cp "$ROOTFS/bin/busybox" "$ROOTFS/a/b/busybox"
	ok run --bundle "$BUNDLE" "$ID.b"
	args sh -c 'exec 5</; chroot /a/b /busybox sh -c "cd /proc/self/fd/5 2>/dev/null; for i in 1 2 3 4 5 6 7 8; do cd ..; done; /busybox ls mnt home; /busybox test -e mnt/of-the-owner || echo none" 2>&1'
	rt run --bundle "$BUNDLE" "$ID.b"
	lacks "$OUT" of-the-owner:
	has "$OUT" none
	# Whoever is in a chroot makes no user namespace, and so gets no more rights.
	caps CAP_SYS_CHROOT
	args unshare -U true
	rt run --bundle "$BUNDLE" "$ID.b"
	((STATUS != 0)) || fail "a user namespace is made inside"
	args nsenter --mount=/proc/1/ns/mnt ls /mnt
	rt run --bundle "$BUNDLE" "$ID.b"
	((STATUS != 0)) || fail "CAP_SYS_CHROOT alone enters the namespace: $OUT"
	# With CAP_SYS_ADMIN: no mask can be lifted, nothing mounted.
	caps CAP_SYS_ADMIN
	args sh -c 'umount /proc/uptime; umount /proc; mount -t tmpfs none /mnt; mount -o remount,bind,rw /proc/sys; mount --bind / /mnt
		wc -c </proc/uptime; echo x >/proc/sys/kernel/domainname; nsenter --mount=/proc/1/ns/mnt ls /mnt'
	rt run --bundle "$BUNDLE" "$ID.b"
	is "$OUT" 0
	has "$ERR" 'Read-only file system'
	# With both it is root of the namespace, as its owner is: that is what joining means.
	caps CAP_SYS_ADMIN CAP_SYS_CHROOT
	args nsenter --mount=/proc/1/ns/mnt ls /mnt
	ok run --bundle "$BUNDLE" "$ID.b"
	has "$OUT" of-the-owner
	unchanged
}

@test "a mount namespace by path: its mounts are gone with the container" {
	command -v python3 >/dev/null || skip 'needs python3 to watch a file system'
	owner
	own_rootfs
	mount_add /scratch tmpfs tmpfs
	args sleep 61
	ok run --detach --bundle "$BUNDLE" "$ID.b"
	pid=$(init_pid "$ID.b")
	# A file system that ends says so to those who watch it (inotify(7), IN_UNMOUNT).
	cat >"$T/watch.py" <<'PYTHON'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.inotify_init()
if libc.inotify_add_watch(fd, sys.argv[1].encode(), 0x400) < 0:
    sys.exit(os.strerror(ctypes.get_errno()))
print("watching", flush=True)
while not int.from_bytes(os.read(fd, 4096)[4:8], sys.byteorder) & 0x2000:
    pass
print("unmounted", flush=True)
PYTHON
	background python3 "$T/watch.py" "/proc/$pid/root/scratch" >"$T/events"
	wait_for -t 30 grep -q watching "$T/events"
	within "$ID.b" 'test -d /scratch'
	is "$(<"$T/events")" watching 'events while it runs'
	ok kill "$ID.b" KILL
	wait_for grep -q unmounted "$T/events"
	silent delete "$ID.b"
	# and they stay without the owner
	ok run --detach --bundle "$BUNDLE" "$ID.b"
	ok delete --force "$ID"
	within "$ID.b" 'readlink /proc/self/ns/mnt; echo x >/scratch/x; cat /scratch/x'
	is "$OUT" "$NS"$'\nx'
}

@test "a mount namespace by path: propagation, recursive attributes and unbindable mounts" {
	owner
	own_rootfs
	mkdir -p "$T/data"
	mount_add /private tmpfs tmpfs private
	mount_add /unbindable tmpfs tmpfs unbindable
	mount_add /ro none "$T/data" rbind rro rnoexec
	for form in private rprivate unbindable runbindable; do
		config '.linux.rootfsPropagation = $f' --arg f "$form"
		args sh -c 'echo x >/unbindable/x && cat /unbindable/x; echo x >/ro/x'
		rt run --bundle "$BUNDLE" "$ID.b"
		is "$OUT" x "$form: $ERR"
		has "$ERR" 'Read-only file system'
	done
	for form in shared rshared slave rslave; do
		config '.linux.rootfsPropagation = $f' --arg f "$form"
		refused "/linux/rootfsPropagation: $form cannot be had in a mount namespace that is joined" create --bundle "$BUNDLE" "$ID.b"
	done
	config 'del(.linux.rootfsPropagation)'
	mount_add /shared none "$T/data" rbind rslave
	refused "options: shared or slave cannot be had in a mount namespace that is joined" create --bundle "$BUNDLE" "$ID.b"
	unchanged
}

@test "a mount namespace by path: hooks see the container before it goes there, and in it" {
	owner
	own_rootfs
	cat >"$T/hook" <<'HOOK'
#!/bin/sh
exec >>"$1" 2>&1
echo "$2 $(readlink /proc/self/ns/mnt)"
[ "$2" != createContainer ] || mount -t tmpfs hook "$3/home"
[ "$2" != createContainer ] || echo hook >"$3/home/hook"
HOOK
	chmod 755 "$T/hook"
	chmod 711 "$OCI_TEST_TMP" "$T" "$BUNDLE"
	: >"$T/said"
	chmod 666 "$T/said"
	cat >"$ROOTFS/bin/hook" <<'HOOK'
#!/bin/sh
echo "startContainer $(readlink /proc/self/ns/mnt) $(cat /home/hook)" >/tmp/said
HOOK
	chmod 755 "$ROOTFS/bin/hook"
	config '.hooks = {
			createRuntime: [{path: $h, args: ["hook", $said, "createRuntime"]}],
			createContainer: [{path: $h, args: ["hook", $said, "createContainer", $r]}],
			startContainer: [{path: "/bin/hook", env: ["PATH=/bin"]}]}' --arg h "$T/hook" --arg said "$T/said" --arg r "$ROOTFS"
	args cat /home/hook /tmp/said
	ok run --bundle "$BUNDLE" "$ID.b"
	is "$OUT" "hook
startContainer $NS hook"
	like "$(<"$T/said")" "^createRuntime mnt:\[[0-9]+\]"$'\n'"createContainer mnt:\[[0-9]+\]$"
	is "$(sed -n 's/createRuntime //p' "$T/said")" "$(readlink /proc/self/ns/mnt)" 'namespace of createRuntime'
	# The container's mounts are made in a namespace that is nobody's.
	lacks "$(sed -n 's/createContainer //p' "$T/said")" "$NS"
	unchanged
	# start is another process
	rm "$ROOTFS/tmp/said"
	args sh -c 'cat /tmp/said >/tmp/copy; sleep 61'
	ok create --bundle "$BUNDLE" "$ID.b"
	silent start "$ID.b"
	wait_for grep -qsF "startContainer $NS hook" "$ROOTFS/tmp/copy"
	unchanged
}

@test "a mount namespace by path, with the others of its owner" {
	owner
	config '.linux.namespaces |= map(if .path or .type == "user" then . else .path = $p + ({network: "net"}[.type] // .type) end) | del(.hostname)
		| .mounts |= map(select(.type != "cgroup"))' --arg p "/proc/$OWNER/ns/"
	args sleep 61
	ok run --detach --bundle "$BUNDLE" "$ID.b"
	pid=$(init_pid "$ID.b")
	for n in ipc mnt net pid uts; do
		is "$(readlink "/proc/$pid/ns/$n")" "$(readlink "/proc/$OWNER/ns/$n")" "$n"
	done
	within "$ID.b" 'cat /proc/1/comm; test -e /mnt/of-the-owner || echo hidden; readlink /proc/self/ns/mnt'
	is "$OUT" $'sleep\nhidden\n'"$NS"
	unchanged
	ok delete --force "$ID.b"
	config '.linux.namespaces |= map(select(.type != "pid")) + [{type: "pid"}]'
	config '.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {"boottime": {"secs": 864000}}'
	args sh -c 'echo $$; cut -d. -f1 /proc/uptime'
	ok run --bundle "$BUNDLE" "$ID.b"
	like "$OUT" $'^1\n[0-9]+$'
	((${OUT#*$'\n'} >= 864000)) || fail "the clock is not shifted: $OUT"
	unchanged
}

@test "a mount namespace by path: a terminal" {
	owner
	config '.process.terminal = true'
	args sh -c 'tty; test -t 2 && stat -c %n /dev/pts/0; echo yes >/dev/tty'
	on_terminal run --bundle "$BUNDLE" "$ID.b"
	is "$STATUS" 0
	has "$(typed)" $'/dev/console\n/dev/pts/0\nyes'
	config '.process.terminal = false'
	args sleep 61
	ok run --detach --bundle "$BUNDLE" "$ID.b"
	on_terminal exec --tty "$ID.b" tty
	has "$(typed)" /dev/pts/0
	unchanged
}

@test "a mount namespace by path: the runtime's own, whose mounts stay as they are" {
	needs_host_users "a user namespace has no right to the host's mount namespace"
	joiner self
	before=$(</proc/self/mountinfo)
	own_rootfs
	args sh -c 'mount -t tmpfs none /home 2>/dev/null; sleep 61'
	caps CAP_SYS_ADMIN
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	is "$(readlink "/proc/$pid/ns/mnt")" "$(readlink /proc/self/ns/mnt)"
	is "$(</proc/self/mountinfo)" "$before" mountinfo
	within "$ID" "test ! -e '$T'"
	ok delete --force "$ID"
	is "$(</proc/self/mountinfo)" "$before" mountinfo
	nothing_left
}

@test "a mount namespace by path: --no-pivot, --overlay, and a root that a mount covers" {
	owner
	args sh -c 'readlink /proc/self/ns/mnt; touch /made && echo writable; test -e /mnt/of-the-owner || echo hidden'
	config '.root.readonly = false'
	ok run --overlay --bundle "$BUNDLE" "$ID.b"
	is "$OUT" "$NS"$'\nwritable\nhidden'
	own_rootfs
	ok run --no-pivot --bundle "$BUNDLE" "$ID.b"
	is "$OUT" "$NS"$'\nwritable\nhidden'
	unchanged
}

@test "a mount namespace by path: the wrong kind, none, and twice" {
	owner
	config '(.linux.namespaces[] | select(.type == "mount")).path = $p' --arg p "/proc/$OWNER/ns/uts"
	refused 'is a namespace of another kind than mount' create --bundle "$BUNDLE" "$ID.b"
	config '(.linux.namespaces[] | select(.type == "mount")).path = "/etc/passwd"'
	refused '/etc/passwd is not a namespace' create --bundle "$BUNDLE" "$ID.b"
	joiner "$OWNER"
	config '.linux.namespaces += [{type: "mount"}]'
	refused /linux/namespaces create --bundle "$BUNDLE" "$ID.b"
	unchanged
}

# users: the config gets a new user namespace.
users() {
	config '.linux.namespaces |= map(select(.type != "user")) + [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
	chmod 711 "$OCI_TEST_TMP" "$T" "$BUNDLE"
}

@test "a mount namespace of the host's root in a new user namespace, which has no right to it" {
	own_users
	owner
	own_rootfs
	users
	chown -R 100000:100000 "$ROOTFS"
	mount_add /scratch tmpfs tmpfs size=1m
	config '.linux.maskedPaths = ["/proc/uptime"] | .linux.readonlyPaths = ["/home"]'
	caps CAP_SYS_ADMIN
	args sh -c 'readlink /proc/self/ns/mnt; cat /proc/self/uid_map; echo $$; echo x >/scratch/x && cat /scratch/x; touch /made && stat -c %u /made
		echo x >/home/x; wc -c </proc/uptime; test -e /mnt/of-the-owner || echo hidden; echo x >/dev/null && echo null
		umount /proc/uptime; nsenter --mount=/proc/self/ns/mnt ls /mnt; cat /proc/self/cgroup | grep -v : ; ls -d /sys/class/net/lo'
	rt run --bundle "$BUNDLE" "$ID.b"
	like "$OUT" "^mnt:\[[0-9]+\]"$'\n +0 +100000 +65536\n1\nx\n0\n0\nhidden\nnull\n/sys/class/net/lo$'
	is "${OUT%%$'\n'*}" "$NS"
	has "$ERR" 'Read-only file system'
	# CAP_SYS_ADMIN of the user namespace is nothing in the owner's.
	has "$ERR" 'Operation not permitted'
	unchanged
	# One more process inside has not been left over.
	args sleep 61
	ok create --bundle "$BUNDLE" "$ID.b"
	silent start "$ID.b"
	within "$ID.b" 'readlink /proc/self/ns/mnt; id -u; set -- /proc/[0-9]*; echo $#; test -e /mnt/of-the-owner || echo hidden; echo x >/scratch/y; ls /scratch'
	is "$OUT" "$NS"$'\n0\n2\nhidden\ny'
	pid=$(init_pid "$ID.b")
	is "$(cat "/proc/$pid/task/$pid/children")" '' 'children of the first process'
	is "$(stat -c %u "/proc/$pid")" 100000 'owner of the first process'
	ok delete --force "$ID.b"
	args sh -c 'touch /upper && echo writable'
	ok run --overlay --bundle "$BUNDLE" "$ID.c"
	is "$OUT" writable
	[[ ! -e $ROOTFS/upper ]] || fail "it is in the rootfs"
	unchanged
}

@test "a mount namespace of the host's root in a new user namespace: hooks, a terminal, the host's pids" {
	own_users
	owner
	own_rootfs
	users
	chown -R 100000:100000 "$ROOTFS"
	cat >"$T/hook" <<'HOOK'
#!/bin/sh
exec >>"$1" 2>&1
readlink /proc/self/ns/mnt
id -u
mount -t tmpfs hook "$2/home"
echo hook >"$2/home/hook"
HOOK
	chmod 755 "$T/hook"
	: >"$T/said"
	chmod 666 "$T/said"
	printf '#!/bin/sh\necho "$(readlink /proc/self/ns/mnt) $(cat /home/hook)" >/tmp/said\n' >"$ROOTFS/bin/hook"
	chmod 755 "$ROOTFS/bin/hook"
	config '.hooks = {createContainer: [{path: $h, args: ["hook", $said, $r]}], startContainer: [{path: "/bin/hook", env: ["PATH=/bin"]}]}' \
		--arg h "$T/hook" --arg said "$T/said" --arg r "$ROOTFS"
	args cat /home/hook /tmp/said
	ok run --bundle "$BUNDLE" "$ID.b"
	is "$OUT" "hook
$NS hook"
	like "$(<"$T/said")" $'^mnt:\\[[0-9]+\\]\n0$'
	lacks "$(<"$T/said")" "$NS"
	lacks "$(<"$T/said")" "$(readlink /proc/self/ns/mnt)"
	unchanged
	config 'del(.hooks) | .process.terminal = true'
	args sh -c 'tty; echo yes >/dev/tty'
	on_terminal run --bundle "$BUNDLE" "$ID.b"
	is "$STATUS" 0
	has "$(typed)" $'/dev/console\nyes'
	config '.process.terminal = false'
	# A failure aside is told of like any other.
	mount_add /x tmpfs tmpfs size=1x
	refused "(tmpfs on /x): fsconfig size=1x: tmpfs: Bad value for 'size'" create --bundle "$BUNDLE" "$ID.b"
	config '.mounts |= .[:-1] | .linux.namespaces |= map(select(.type != "pid")) | .mounts |= map(select(.type != "proc"))'
	args sh -c 'readlink -f /mnt; test -e /mnt/of-the-owner || echo hidden'
	ok run --bundle "$BUNDLE" "$ID.b"
	is "$OUT" $'/mnt\nhidden'
	unchanged
}

@test "a mount namespace of one user namespace in another, both by path" {
	own_users
	users
	owner
	new_bundle "$BUNDLE"
	users
	args sleep 600
	ok run --detach --bundle "$BUNDLE" "$ID.other"
	other=$(init_pid "$ID.other")
	new_bundle "$BUNDLE"
	joiner "$OWNER"
	config '.linux.namespaces += [{type: "user", path: $p}]' --arg p "/proc/$other/ns/user"
	args sh -c 'readlink /proc/self/ns/mnt; readlink /proc/self/ns/user; test -e /mnt/of-the-owner || echo hidden'
	ok run --bundle "$BUNDLE" "$ID.b"
	is "$OUT" "$NS
$(readlink "/proc/$other/ns/user")
hidden"
	unchanged
	# and with the one that it belongs to
	new_bundle "$BUNDLE"
	joiner "$OWNER"
	config '.linux.namespaces += [{type: "user", path: $p}]' --arg p "/proc/$OWNER/ns/user"
	args sh -c 'readlink /proc/self/ns/mnt; readlink /proc/self/ns/user; test -e /mnt/of-the-owner || echo hidden'
	ok run --bundle "$BUNDLE" "$ID.b"
	is "$OUT" "$NS
$(readlink "/proc/$OWNER/ns/user")
hidden"
	unchanged
}

# With both a process copies the namespace, which is its own then, and enters the copy: that
# has the owner's root, and nothing asks for rights over the owner (unshare -m; setns(2)).
@test "a mount namespace that another user namespace owns is no way out: CAP_SYS_ADMIN with CAP_SYS_CHROOT is refused" {
	own_users
	owner
	own_rootfs
	users
	chown -R 100000:100000 "$ROOTFS"
	caps CAP_SYS_ADMIN CAP_SYS_CHROOT
	args true
	refused '/process/capabilities: CAP_SYS_ADMIN and CAP_SYS_CHROOT together lead from' run --bundle "$BUNDLE" "$ID.b"
	# What root gets by an execve counts.
	config '.process.capabilities = {bounding: ["CAP_SYS_ADMIN", "CAP_SYS_CHROOT"]}'
	refused '/process/capabilities: CAP_SYS_ADMIN and' run --bundle "$BUNDLE" "$ID.b"
	# Each alone does not do, and exec is held to the same.
	caps CAP_SYS_ADMIN
	args sleep 61
	ok run --detach --bundle "$BUNDLE" "$ID.b"
	rt exec "$ID.b" nsenter --mount=/proc/self/ns/mnt ls /mnt
	((STATUS != 0)) || fail "CAP_SYS_ADMIN alone enters the namespace: $OUT"
	rt exec --cap CAP_SYS_CHROOT "$ID.b" true
	is "$STATUS" 255
	has "$ERR" '/process/capabilities: CAP_SYS_ADMIN and'
	other=$(init_pid "$ID.b")
	# The same by path: a user namespace that is not the owner, then the one that is.
	new_bundle "$BUNDLE"
	joiner "$OWNER"
	config '.linux.namespaces += [{type: "user", path: $p}]' --arg p "/proc/$other/ns/user"
	caps CAP_SYS_ADMIN CAP_SYS_CHROOT
	args true
	refused '/process/capabilities: CAP_SYS_ADMIN and' run --bundle "$BUNDLE" "$ID.c"
	caps CAP_SYS_CHROOT
	args sleep 61
	ok run --detach --bundle "$BUNDLE" "$ID.c"
	rt exec --cap CAP_SYS_ADMIN "$ID.c" true
	is "$STATUS" 255
	has "$ERR" '/process/capabilities: CAP_SYS_ADMIN and'
	# In the owner's own user namespace they are the owner's rights.
	new_bundle "$BUNDLE"
	users
	args sleep 61
	ok run --detach --bundle "$BUNDLE" "$ID.d"
	new_bundle "$BUNDLE"
	joiner "$(init_pid "$ID.d")"
	config '.linux.namespaces += [{type: "user", path: $p}]' --arg p "/proc/$(init_pid "$ID.d")/ns/user"
	caps CAP_SYS_ADMIN CAP_SYS_CHROOT
	args sleep 61
	ok run --detach --bundle "$BUNDLE" "$ID.e"
	within "$ID.e" 'test ! -e /mnt/of-the-owner'
	unchanged
}

@test "a mount namespace by path that the runtime has no right to" {
	[[ $WORLD == rootless ]] || skip "root may join every mount namespace"
	owner
	config '.linux.namespaces |= map(if .type == "user" then del(.path) else . end)'
	refused 'setns /proc/' create --bundle "$BUNDLE" "$ID.b"
	has "$ERR" '(join the mount namespace'
	has "$ERR" 'hint: a namespace can be joined by who is root in the user namespace that it belongs to: join that one too'
	unchanged
	config '(.linux.namespaces[] | select(.type == "mount")).path = "/proc/1/ns/mnt"'
	refused '/linux/namespaces' create --bundle "$BUNDLE" "$ID.b"
}
