#!/usr/bin/env bats
# What a hostile image, or a process inside that has no privileges, could try on the runtime:
# to have it make or read what it must not, on the host or with more rights inside.

load helpers
load swap

# volume: makes a directory of the host's that containers get as a volume, and takes its picture.
volume() {
	VOLUME=$T/volume
	mkdir -p "$VOLUME/net"
	: >"$VOLUME/ptmx"
	give "$VOLUME"
	picture_of_volume >"$T/volume.before"
}

# picture_of_volume: without the times of directories, in which a mount point may be looked for.
picture_of_volume() {
	find "$VOLUME" -printf '%P %y %M %U:%G %s %l\n' | sort
}

same_volume() {
	picture_of_volume >"$T/volume.after"
	diff "$T/volume.before" "$T/volume.after" >&2 || fail 'the volume was touched'
}

@test "/dev of the image as a link to a volume: nothing is made in that, and its ptmx stays" {
	volume
	own_rootfs
	rm -rf "${ROOTFS:?}/dev"
	mkdir "$ROOTFS/vol"
	ln -s /vol "$ROOTFS/dev"
	mount_add /vol bind "$VOLUME" bind
	rt run --bundle "$BUNDLE" "$ID"
	((STATUS == 1)) || fail "it exits $STATUS: $OUT"
	same_volume
	config '.mounts |= map(select(.destination | startswith("/dev") | not))'
	rt run --bundle "$BUNDLE" "$ID"
	((STATUS == 1)) || fail "it exits $STATUS: $OUT"
	same_volume
}

@test "a volume on /dev by a link in the image: nothing is made in that, and its ptmx stays" {
	volume
	own_rootfs
	ln -s /dev "$ROOTFS/vol"
	mount_add /vol bind "$VOLUME" bind
	refused '/dev is in another mount than the config has there' run --bundle "$BUNDLE" "$ID"
	same_volume
	# What the config itself says is done.
	config '.mounts[-1].destination = "/vol2"'
	ok run --bundle "$BUNDLE" "$ID"
}

@test "a volume on a directory of /dev by a link in the image: no device is made in it" {
	needs_host_users 'makes device nodes'
	volume
	own_rootfs
	ln -s /dev/net "$ROOTFS/vol"
	mount_add /vol bind "$VOLUME/net" bind
	config '.linux.devices = [{type: "c", path: "/dev/net/node", major: 1, minor: 5, fileMode: 438}]'
	refused '/dev/net is in another mount than the config has there' run --bundle "$BUNDLE" "$ID"
	same_volume
	config '.mounts[-1].destination = "/dev/net"'
	ok run --bundle "$BUNDLE" "$ID"
	is "$(stat -c '%F %t:%T' "$VOLUME/net/node")" 'character special file 1:5' 'the node that the config asks for'
}

@test "passwd as a link to the kernel's log: exec reads nothing of it, and waits for nobody" {
	own_rootfs
	ln -sf /proc/kmsg "$ROOTFS/etc/passwd"
	config '.process.env |= map(select(startswith("HOME=") | not))'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	RT_TIMEOUT=5 ok exec "$ID" sh -c 'echo "home $HOME"'
	is "$OUT" 'home /'
	# It would be the host's that goes on from where the log was read to.
	ln -sf /sys/kernel/profiling "$ROOTFS/etc/passwd"
	ok exec "$ID" sh -c 'echo "home $HOME"'
	is "$OUT" 'home /'
}

# nobody ARG...: the container's first process is user 1000 without capabilities.
nobody() {
	args "$@"
	config '.process.user = {uid: 1000, gid: 1000} | .process.capabilities = {bounding: ["CAP_DAC_OVERRIDE"]}
		| .process.env |= map(select(startswith("HOME=") | not))'
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_for test -e "$ROOTFS/tmp/evil/ready"
}

# evil: makes a directory in the image in which user 1000 has its way.
evil() {
	mkdir -p "$ROOTFS/tmp/evil/bin" "$ROOTFS/tmp/evil/etc"
	cp "$ROOTFS/bin/busybox" "$ROOTFS/tmp/evil/bin/busybox"
	ln -s busybox "$ROOTFS/tmp/evil/bin/sh"
	echo 'root:x:0:0:root:/tmp/evil:/bin/sh' >"$ROOTFS/tmp/evil/etc/passwd"
	chmod -R a+rwX "$ROOTFS/tmp/evil"
}

@test "a first process that has changed its root in a user namespace: exec has the container's passwd" {
	needs_ids 'user 1000'
	own_rootfs
	evil
	nobody unshare -Ur chroot /tmp/evil /bin/sh -c ': >/ready; exec /bin/busybox sleep 60'
	ok exec --user 0:0 "$ID" sh -c 'echo "home $HOME"'
	is "$OUT" 'home /root'
}

@test "a first process in a mount namespace of its own making: no exec follows it there" {
	needs_host_users 'an exec with more rights than the first process'
	own_rootfs
	evil
	printf '#!/tmp/evil/bin/sh\necho evil\n' >"$ROOTFS/tmp/evil/id"
	chmod 755 "$ROOTFS/tmp/evil/id"
	rm "$ROOTFS/bin/id"
	cp "$ROOTFS/bin/busybox" "$ROOTFS/bin/id"
	nobody unshare -Urm sh -c 'mount --bind /tmp/evil/id /bin/id; : >/tmp/evil/ready; exec sleep 60'
	rt exec --user 0:0 "$ID" id
	is "$STATUS" 255
	has "$ERR" 'a mount namespace of a user namespace that it has made for itself'
	lacks "$OUT" evil
	# Who has the right to a new mount namespace without a user namespace is trusted.
	ok delete --force "$ID"
	rm "$ROOTFS/tmp/evil/ready"
	config '.process.user = {uid: 0, gid: 0}'
	caps CAP_SYS_ADMIN
	args unshare -m sh -c ': >/tmp/evil/ready; exec sleep 60'
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_for test -e "$ROOTFS/tmp/evil/ready"
	ok exec "$ID" id -u
}

@test "root of a user namespace cannot unlock what the host has locked, nor the config's read-only" {
	needs_root 'mounts of the host'
	mkdir -p "$T/src/secret" "$T/host" "$T/plain"
	echo hidden >"$T/src/secret/key"
	chmod -R a+rwX "$T/src" "$T/plain"
	own_rootfs
	mkdir "$ROOTFS/vol" "$ROOTFS/once" "$ROOTFS/own"
	[[ $WORLD == userns ]] || config '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
	chown -Rh 100000:100000 "$ROOTFS"
	caps CAP_SYS_ADMIN
	mount_add /vol bind "$T/host" rbind
	mount_add /once bind "$T/host" bind
	mount_add /own bind "$T/plain" rbind ro
	args sh -c 'for dir in /vol /once; do
			mount -o remount,bind,rw,nosuid,nodev,noexec $dir && echo "rw $dir"
			mount -o remount,bind,ro,suid,nodev,noexec $dir && echo "suid $dir"
			mount -o remount,bind,ro,nosuid,dev,noexec $dir && echo "dev $dir"
			mount -o remount,bind,ro,nosuid,nodev,exec $dir && echo "exec $dir"
			touch $dir/file && echo "written $dir"
		done
		umount /vol/secret && echo unmounted
		cat /vol/secret/key
		mount -o remount,bind,rw /own && echo rw /own
		ls /once/secret
		mount -t tmpfs none /vol && umount /vol && echo may mount' sh
	# The host's mounts are made where nobody else sees them.
	STATUS=0
	# shellcheck disable=SC2016 # for the shell inside
	OCI_TEST_MARK=$MARK unshare -m sh -c 'mount --bind "$1/src" "$1/host" && mount -o remount,bind,ro,nosuid,nodev,noexec "$1/host" &&
		mount -t tmpfs none "$1/host/secret" && shift && exec "$@"' sh "$T" "$RUNTIME" "${STATE[@]}" run --bundle "$BUNDLE" "$ID" >"$T/out" 2>"$T/err" </dev/null 3>&- || STATUS=$?
	is "$STATUS:$(<"$T/out")" $'0:key\nmay mount'
	is "$(ls "$T/src")" secret
}

@test "the directory under /proc exchanged while the container is made: what is read-only or masked stays so" {
	own_rootfs
	mkdir "$ROOTFS/fake"
	swap "$ROOTFS/proc" "$ROOTFS/fake"
	args sh -c 'until cat /proc/self/mountinfo 2>/dev/null; do :; done'
	local ran=0
	for _ in {1..40}; do
		rt run --bundle "$BUNDLE" "$ID"
		((STATUS == 0)) || continue
		ran=$((ran + 1))
		like "$OUT" $' /sys /(proc|fake)/sys ro,'
		like "$OUT" $' /null /(proc|fake)/(keys|timer_list) ro,'
	done
	((ran > 0)) || skip 'no container came to run in spite of the exchange'
}

@test "a volume on / by a link in the image: nothing lies over the root, where an exec would be in it" {
	own_rootfs
	mkdir "$T/volume"
	give "$T/volume"
	ln -s / "$ROOTFS/vol"
	mount_add /vol bind "$T/volume" bind
	refused 'over the root of all' run --bundle "$BUNDLE" "$ID"
	refused 'over the root of all' run --no-pivot --bundle "$BUNDLE" "$ID"
}

@test "exec: a container with CAP_SYS_PTRACE never sees a process that has more capabilities than the config gives" {
	needs_host_users 'the capabilities of the runtime'
	own_rootfs
	caps CAP_SYS_PTRACE CAP_KILL
	# shellcheck disable=SC2016 # for the shell inside
	args sh -c ': >/tmp/ready; while [ ! -e /tmp/stop ]; do
			for file in /proc/[0-9]*/status; do
				while read -r key value; do case $key in CapPrm:) echo "$value" ;; esac; done <$file
			done
		done 2>/dev/null | sort -u >/tmp/seen; : >/tmp/done; exec sleep 60'
	# Without noNewPrivileges, to install a filter takes a capability; and containerd's profile
	# lets no clone3 through.
	local filter='.process.noNewPrivileges = false | .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW",
		syscalls: [{names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38}, {names: ["ptrace"], action: "SCMP_ACT_ERRNO"}]}'
	for change in . "$filter"; do
		rm -f "$ROOTFS/tmp/"{ready,stop,done}
		config "$change"
		ok run --detach --bundle "$BUNDLE" "$ID"
		wait_for test -e "$ROOTFS/tmp/ready"
		for _ in {1..40}; do
			ok exec "$ID" true
			ok exec --tty "$ID" sh -c 'test -t 0 && : </dev/tty'
		done
		: >"$ROOTFS/tmp/stop"
		wait_for test -e "$ROOTFS/tmp/done"
		is "$(<"$ROOTFS/tmp/seen")" 0000000000080020 'permitted capabilities of all that were seen'
		ok delete --force "$ID"
	done
}

@test "a volume into /proc by a link in the image that dangles: refused, and its name does nothing to a terminal" {
	own_rootfs
	rmdir "$ROOTFS/proc"
	config '.mounts += [{destination: "/vol", type: "tmpfs", source: "tmpfs"}]'
	for target in /proc /proc/sys $'/proc/self/\e[31m'; do
		ln -sfn "$target" "$ROOTFS/vol"
		rt run --bundle "$BUNDLE" "$ID"
		((STATUS == 1)) || fail "with a link to $target: it exits $STATUS: $OUT"
		lacks "$ERR" $'\e'
		[[ $target == *$'\e'* ]] || has "$ERR" 'leads into a procfs'
		rm -rf "${ROOTFS:?}/proc"
	done
}

@test "a sysctl, a hostname: not in a namespace by path that is the host's own" {
	needs_host_users 'the host'"'"'s own namespaces'
	local forward
	forward=$(</proc/sys/net/ipv4/ip_forward)
	config '(.linux.namespaces[] | select(.type == "network")).path = $p | .linux.sysctl = {"net.ipv4.ip_forward": $v}' --arg p "/proc/$$/ns/net" --arg v "$forward"
	refused '/linux/sysctl/net.ipv4.ip_forward would change the host' run --bundle "$BUNDLE" "$ID"
	config 'del(.linux.sysctl)'
	ok run --bundle "$BUNDLE" "$ID"
	config '(.linux.namespaces[] | select(.type == "uts")).path = $p | .hostname = $h' --arg p "/proc/$$/ns/uts" --arg h "$(uname -n)"
	refused '/hostname would change the host' run --bundle "$BUNDLE" "$ID"
}
