#!/usr/bin/env bats
# Mounts: each kind of the default spec, binds, symlinks, modes, errors.

load helpers

# mounted PATH: the mountinfo lines of PATH inside, as "OPTIONS TYPE SUPER".
mounted() {
	awk -v p="$1" '$5 == p { for (i = 7; $i != "-"; i++); print $6, $(i+1), $(i+3) }' <<<"$OUT"
}

@test "the default mounts: types and options" {
	inside_ok 'cat /proc/self/mountinfo'
	like "$(mounted /proc)" '^rw.* proc '
	like "$(mounted /dev)" '^rw,nosuid tmpfs .*size=65536k.*mode=755'
	gid=5
	case $WORLD in userns) gid=$(outside 5) ;; rootless) gid='' ;; esac # one id alone: no group for terminals
	like "$(mounted /dev/pts)" "^rw,nosuid,noexec.* devpts .*${gid:+gid=$gid,}mode=620,ptmxmode=666"
	like "$(mounted /dev/shm)" '^rw,nosuid,nodev,noexec.* tmpfs .*size=65536k'
	like "$(mounted /dev/mqueue)" '^rw,nosuid,nodev,noexec.* mqueue '
	like "$(mounted /sys)" '^ro,nosuid,nodev,noexec.* sysfs '
	like "$(mounted /)" '^ro'
}

@test "the root is read-only when asked, and writable when not" {
	inside_ok 'touch /x 2>&1 || true; touch /tmp/x 2>&1 || true'
	is "$OUT" $'touch: /x: Read-only file system\ntouch: /tmp/x: Read-only file system'
	own_rootfs
	inside_ok 'touch /x && echo made'
	is "$OUT" made
	[[ -e $ROOTFS/x ]]
}

@test "the root and its mounts hide the host: nothing of it is reachable" {
	caps CAP_SYS_CHROOT CAP_SYS_ADMIN CAP_DAC_OVERRIDE
	inside_ok 'cut -d" " -f5 /proc/self/mountinfo | grep -v "^/\(proc\|sys\|dev\)"; cd ../../..; pwd; ls ..'
	is "$OUT" "/"$'\n'"/"$'\n'"$(ls "$ROOTFS")"
}

@test "tmpfs: size, mode, uid, flags, and the mount is empty and writable" {
	needs_ids 'a mount of user 7 and group 8'
	mount_add /mnt tmpfs tmpfs size=4m mode=1750 uid=7 gid=8 nosuid nodev noexec noatime nr_inodes=50
	inside_ok 'stat -c "%a %u:%g" /mnt; ls -A /mnt; touch /mnt/x; cat /proc/self/mountinfo'
	like "$OUT" $'^1750 7:8\n'
	like "$(mounted /mnt)" '^rw,nosuid,nodev,noexec,noatime tmpfs .*size=4096k'
}

@test "tmpfs takes the mode of the directory below, an explicit mode wins" {
	own_rootfs
	mkdir "$ROOTFS/m710" "$ROOTFS/m1777" "$ROOTFS/explicit"
	chmod 710 "$ROOTFS/m710" "$ROOTFS/explicit"
	chmod 1777 "$ROOTFS/m1777"
	mount_add /m710 tmpfs tmpfs
	mount_add /m1777 tmpfs tmpfs
	mount_add /explicit tmpfs tmpfs mode=1755
	mount_add /missing tmpfs tmpfs mode=1777
	inside_ok 'stat -c "%n %a" /m710 /m1777 /explicit /missing'
	is "$OUT" $'/m710 710\n/m1777 1777\n/explicit 1755\n/missing 1777'
}

@test "tmpfs: data the kernel does not like fails create with the kernel's words" {
	mount_add /mnt tmpfs tmpfs size=65536q
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" /mnt
	if is_oci_mini; then
		has "$ERR" "Bad value for 'size'"
		like "$ERR" '/mounts/[0-9]+'
	fi
	nothing_left
	config '.mounts[-1].options = ["no-such-option=1"]'
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" /mnt
	if is_oci_mini; then
		has "$ERR" "Unknown parameter 'no-such-option'"
	fi
	nothing_left
}

@test "an unknown file system and a missing source are errors that name the mount" {
	mount_add /mnt no-such-fs none
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	if is_oci_mini; then
		has "$ERR" no-such-fs
	fi
	has "$ERR" 'no such device'
	config '.mounts[-1] = {destination: "/mnt", type: "bind", source: "/no/such/source", options: ["bind"]}'
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" /no/such/source
	has "$ERR" 'no such file or directory'
	nothing_left
}

@test "bind: read-write, read-only, with flags, and the host's flags are left alone" {
	mkdir "$T/data"
	echo host >"$T/data/file"
	give "$T/data"
	own_rootfs
	mount_add /rw bind "$T/data" bind rw
	mount_add /ro bind "$T/data" bind ro nosuid nodev noexec
	inside 'cat /rw/file; echo in >/rw/in; echo no >/ro/no; cat /proc/self/mountinfo'
	is "$STATUS" 0
	has "$ERR" 'Read-only file system'
	has "$OUT" host
	like "$(mounted /rw)" '^rw'
	like "$(mounted /ro)" '^ro,nosuid,nodev,noexec'
	is "$(<"$T/data/in")" in
	echo still >"$T/data/file"
}

@test "bind takes one mount, rbind takes what is below" {
	own_rootfs
	mkdir -p "$T/data"
	mount_add /one bind "$T/data" bind
	mount_add /all bind "$T/data" rbind
	args cat /proc/self/mountinfo
	needs_root 'makes mounts for the container to bind'
	# The mounts to bind are made where the host does not see them.
	OUT=$(OCI_TEST_MARK=$MARK unshare -m sh -ec '
		data=$1
		shift
		mount --make-rprivate /
		mount -t tmpfs -o size=1m none "$data"
		mkdir "$data/sub"
		mount -t tmpfs -o size=2m none "$data/sub"
		exec "$@"' sh "$T/data" "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null 2>"$T/err" 3>&-)
	[[ -n $(mounted /one) && -z $(mounted /one/sub) ]]
	[[ -n $(mounted /all) && -n $(mounted /all/sub) ]]
}

@test "rbind of the host's /dev brings its mounts, read-only where asked" {
	own_rootfs
	mkdir "$ROOTFS/hostdev"
	mount_add /hostdev bind /dev rbind ro
	inside_ok 'cat /proc/self/mountinfo'
	like "$(mounted /hostdev)" '^ro'
	[[ -n $(mounted /hostdev/pts) ]]
	like "$(mounted /hostdev/pts | tail -n 1)" '^rw'
	config '.mounts[-1].options = ["rbind", "rro"]'
	inside_ok 'cat /proc/self/mountinfo'
	like "$(mounted /hostdev/pts | tail -n 1)" '^ro'
}

@test "bind of a file onto a file, a missing file, a symlink's target" {
	own_rootfs
	echo host >"$T/file"
	give "$T/file"
	ln -s existing "$ROOTFS/etc/link"
	echo inner >"$ROOTFS/etc/existing"
	mount_add /etc/existing bind "$T/file" bind ro
	mount_add /etc/deep/er/missing bind "$T/file" bind ro
	mount_add /etc/hosts bind "$T/file" bind rw
	inside_ok 'cat /etc/existing /etc/deep/er/missing /etc/hosts /etc/link; echo in >/etc/hosts'
	is "$OUT" $'host\nhost\nhost\nhost'
	is "$(<"$T/file")" in
	is "$(<"$ROOTFS/etc/existing")" inner
}

@test "a bind onto what another kind is, is refused" {
	own_rootfs
	echo file >"$T/file"
	mkdir "$T/dir"
	mount_add /etc/passwd bind "$T/dir" bind
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" 'not a directory'
	config '.mounts[-1] = {destination: "/etc", type: "bind", source: $f, options: ["bind"]}' --arg f "$T/file"
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	nothing_left
}

@test "mounts nest in the order of the config, and a later one covers an earlier" {
	own_rootfs
	mkdir "$T/data"
	echo deep >"$T/data/file"
	mount_add /a tmpfs tmpfs
	mount_add /a/b tmpfs tmpfs
	mount_add /a/b/c bind "$T/data" bind
	mount_add /mnt/full bind "$T/data" bind
	mount_add /mnt tmpfs tmpfs
	inside_ok 'cat /a/b/c/file; ls -A /mnt; ls -A /a'
	is "$OUT" $'deep\nb'
}

@test "a symlink in a destination never leaves the rootfs" {
	own_rootfs
	mkdir "$T/canary"
	echo canary >"$T/canary/file"
	find "$T/canary" -printf '%P %y %M %T@\n' >"$T/canary.before"
	ln -s "$T/canary" "$ROOTFS/absolute"
	ln -s "../../../../../../../../..$T/canary" "$ROOTFS/relative"
	ln -s absolute "$ROOTFS/chain"
	ln -s /no/where "$ROOTFS/dangling"
	ln -s ../../../../../../../../../../etc "$ROOTFS/up"
	n=0
	for destination in /absolute/in /relative/in /chain/in /dangling/in /up/in "/../../../..$T/canary/in"; do
		mount_add "$destination" tmpfs tmpfs "size=$((++n))m"
	done
	inside_ok 'cat /proc/self/mountinfo'
	is "$(grep -c 'size=[1-6]024k\|size=[1-6]m\|size=1024k\|size=2048k\|size=3072k\|size=4096k\|size=5120k\|size=6144k' <<<"$(grep ' - tmpfs ' <<<"$OUT")")" 6 'mounts inside'
	find "$T/canary" -printf '%P %y %M %T@\n' >"$T/canary.after"
	diff "$T/canary.before" "$T/canary.after"
	[[ ! -e /etc/in && ! -e /no ]]
	[[ -n $(mounted /etc/in) ]]
	[[ -n $(mounted "$T/canary/in") ]]
}

@test "a symlink as the destination itself, for binds of files and directories" {
	own_rootfs
	mkdir "$T/canary" "$T/data"
	echo canary >"$T/canary/file"
	echo data >"$T/data/file"
	ln -s "$T/canary" "$ROOTFS/dir"
	ln -s "$T/canary/file" "$ROOTFS/file"
	ln -s "$T/canary/made" "$ROOTFS/made"
	mount_add /dir bind "$T/data" bind
	mount_add /file bind "$T/data/file" bind
	mount_add /made bind "$T/data/file" bind
	inside 'cat /proc/self/mountinfo'
	is "$(find "$T/canary" -type f)" "$T/canary/file" 'files of the canary'
	is "$(<"$T/canary/file")" canary
	if ((STATUS == 0)); then
		[[ -n $(mounted "$T/canary") || -n $(mounted /dir) ]]
	fi
}

@test "/proc or /sys being a symlink is refused" {
	own_rootfs
	mkdir "$ROOTFS/other"
	rmdir "$ROOTFS/proc"
	ln -s other "$ROOTFS/proc"
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" 'ordinary directory'
	rm "$ROOTFS/proc"
	mkdir "$ROOTFS/proc"
	rm -rf "$ROOTFS/sys"
	ln -s other "$ROOTFS/sys"
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	nothing_left
}

@test "/dev being a symlink to the host stays inside" {
	own_rootfs
	mkdir "$T/canary"
	: >"$T/canary/ptmx"
	rm -rf "${ROOTFS:?}/dev"
	ln -s "$T/canary" "$ROOTFS/dev"
	rt run --bundle "$BUNDLE" "$ID"
	is "$(ls -A "$T/canary")" ptmx 'files of the canary'
	[[ -f $T/canary/ptmx && ! -s $T/canary/ptmx ]]
}

@test "destinations: relative, doubled and trailing slashes, dots" {
	own_rootfs
	mount_add mnt/relative tmpfs tmpfs size=1m
	mount_add //mnt///doubled// tmpfs tmpfs size=1m
	mount_add /mnt/./dot/../dots tmpfs tmpfs size=1m
	inside 'cat /proc/self/mountinfo'
	is "$STATUS" 0
	[[ -n $(mounted /mnt/relative) ]]
	[[ -n $(mounted /mnt/doubled) ]]
	[[ -n $(mounted /mnt/dots) ]]
}

@test "every option of mount(8) that the spec lists is taken on a tmpfs and a bind" {
	mkdir "$T/data"
	for option in async atime defaults dev diratime dirsync exec iversion nostrictatime \
		noatime nodev nodiratime noexec nosuid ro rw strictatime suid sync relatime norelatime \
		private shared slave unbindable rprivate rslave nosymfollow; do
		config '.mounts |= map(select(.destination != "/mnt")) | .mounts += [
			{destination: "/mnt", type: "tmpfs", source: "tmpfs", options: [$o]}]' --arg o "$option"
		[[ $option != defaults ]] || is_oci_mini || continue
		rt run --bundle "$BUNDLE" "$ID"
		[[ $STATUS:$ERR == 0: ]] || fail "tmpfs with $option: $ERR"
	done
	for option in atime dev diratime exec noatime nodev nodiratime noexec nosuid ro rw suid relatime \
		private slave unbindable rprivate rslave rnoexec rro rnosuid nosymfollow; do
		config '.mounts |= map(select(.destination != "/mnt")) | .mounts += [
			{destination: "/mnt", type: "bind", source: $s, options: ["rbind", $o]}]' --arg o "$option" --arg s "$T/data"
		rt run --bundle "$BUNDLE" "$ID"
		if [[ $WORLD == rootless && $option == no*atime ]]; then
			# The kind of access times is locked for who is root of a user namespace alone.
			is "$STATUS" 1
			has "$ERR" '(EPERM)'
			has "$ERR" 'hint: a user namespace may not change what the host'
			continue
		fi
		[[ $STATUS:$ERR == 0: ]] || fail "bind with $option: $ERR"
	done
}

@test "propagation: private by default, shared and slave where asked" {
	args cat /proc/self/mountinfo
	mount_add /mnt tmpfs tmpfs shared
	ok run --bundle "$BUNDLE" "$ID"
	like "$(grep ' /mnt ' <<<"$OUT")" 'shared:[0-9]+'
	# A host whose root is shared may still send mounts in, and gets none back.
	refute grep -q 'shared:' <<<"$(grep -v ' /mnt ' <<<"$OUT")"
}

@test "tmpcopyup fills the tmpfs with what lies below" {
	supports '.mountOptions | index("tmpcopyup")' 'tmpcopyup'
	own_rootfs
	mkdir -p "$ROOTFS/var/lib/d"
	echo data >"$ROOTFS/var/lib/file"
	owner=7:8
	if [[ $WORLD == rootless ]]; then
		owner=0:0 # all there is
	else
		chown "$(outside 7):$(outside 8)" "$ROOTFS/var/lib/file"
	fi
	chmod 640 "$ROOTFS/var/lib/file"
	ln -s file "$ROOTFS/var/lib/link"
	mount_add /var/lib tmpfs tmpfs tmpcopyup
	caps CAP_DAC_OVERRIDE
	inside_ok 'cd /var/lib && cat file && stat -c "%a %u:%g" file && readlink link && test -d d && echo new >file'
	is "$OUT" $'data\n640 '"$owner"$'\nfile'
	is "$(<"$ROOTFS/var/lib/file")" data
}

@test "a container without any mount still starts" {
	only_oci_mini "no mount is needed to start"
	own_rootfs
	config '.mounts = [] | .linux.maskedPaths = [] | .linux.readonlyPaths = []'
	inside 'echo up'
	is "$STATUS:$OUT:$ERR" 0:up:
}

@test "the host's mount table is the same while a container lives" {
	before=$(</proc/self/mountinfo)
	mkdir "$T/data"
	mount_add /mnt bind "$T/data" bind
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	is "$(</proc/self/mountinfo)" "$before" 'mountinfo when created'
	ok start "$ID"
	is "$(</proc/self/mountinfo)" "$before" 'mountinfo when running'
}

@test "cgroup mount: read-only, and the container sees its own part" {
	config '.linux.namespaces |= (map(select(.type != "cgroup")) + [{type: "cgroup"}])'
	inside_ok 'cat /proc/self/mountinfo; ls /sys/fs/cgroup; mkdir /sys/fs/cgroup/x 2>&1; mkdir /sys/fs/cgroup/devices/x 2>&1; true'
	has "$OUT" 'Read-only file system'
	if cgroup2; then
		like "$(mounted /sys/fs/cgroup)" '^ro.* cgroup2 '
		has "$OUT" cgroup.procs
	else
		like "$(mounted /sys/fs/cgroup/devices)" '^ro.* cgroup '
	fi
}

@test "--no-pivot works and hides the host too" {
	args sh -c 'cat /proc/self/mountinfo; ls /'
	ok run --no-pivot --bundle "$BUNDLE" "$ID"
	has "$OUT" mnt
	nothing_left
}

@test "src-nofollow and copy-symlink inside the rootfs: a link is the source itself, or copied" {
	only_oci_mini 'options of crun, inside the rootfs'
	own_rootfs
	ln -s /etc/passwd "$ROOTFS/link"
	ln -s nowhere "$ROOTFS/place"
	mount_add /place none "$ROOTFS/link" bind src-nofollow dest-nofollow
	mount_add /copy/link none "$ROOTFS/link" bind copy-symlink
	mount_add /followed none "$ROOTFS/link" bind
	inside_ok 'readlink /place; readlink /copy/link; cmp /followed /etc/passwd && [ ! -L /followed ]'
	is "$OUT" $'/etc/passwd\n/etc/passwd'
	[[ ! -e $ROOTFS/nowhere ]]
}
