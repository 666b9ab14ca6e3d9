#!/usr/bin/env bats
# Mounts whose owners are mapped: by mappings of their own, or by those of the
# container's user namespace.

load helpers

needs() {
	needs_root 'maps the owners of mounts'
	own_users
}

# data DIR: files whose owners are 0, 1, 5 and 1000.
data() {
	mkdir -p "$1"
	chmod 755 "$1"
	local id
	for id in 0 1 5 1000; do
		: >"$1/f$id"
		chown "$id:$id" "$1/f$id"
	done
}

# users [MAPPINGS]: the config gets a user namespace of its own and a rootfs for it.
users() {
	local default='[{"containerID": 0, "hostID": 100000, "size": 65536}]'
	config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = $m | .linux.gidMappings = $m' --argjson m "${1:-$default}"
	chmod 711 "$OCI_TEST_TMP" "$T" "$BUNDLE" 2>/dev/null
}

# idmapped DESTINATION SOURCE MAPPINGS OPTION...: a bind with mappings of its own.
idmapped() {
	local destination=$1 source=$2 mappings=$3
	shift 3
	config '.mounts += [{destination: $d, source: $s, uidMappings: $m, gidMappings: $m, options: $ARGS.positional}]' \
		--arg d "$destination" --arg s "$source" --argjson m "$mappings" --args -- "$@"
}

OWNERS='for f in /mnt/f*; do stat -c "%n %u:%g" $f; done'

@test "idmap with mappings of its own, without a user namespace" {
	data "$T/data"
	idmapped /mnt "$T/data" '[{"containerID": 0, "hostID": 1000, "size": 2}, {"containerID": 1000, "hostID": 7, "size": 1}]' bind idmap
	inside_ok "$OWNERS; touch /mnt/made 2>&1 || true"
	has "$OUT" '/mnt/f0 1000:1000'
	has "$OUT" '/mnt/f1 1001:1001'
	has "$OUT" '/mnt/f1000 7:7'
	has "$OUT" '/mnt/f5 65534:65534'
	has "$OUT" 'touch: /mnt/made:' # user 0 is nobody in that file system
	is "$(stat -c %u "$T/data/f0")" 0 'owner outside'
	"$RUNTIME" features | jq -e '.linux.mountExtensions.idmap.enabled and (.mountOptions | index("idmap") and index("ridmap"))'
}

@test "idmap: a user makes files that are another's in the file system" {
	data "$T/data"
	chown 5:5 "$T/data"
	idmapped /mnt "$T/data" '[{"containerID": 5, "hostID": 1000, "size": 1}]' bind idmap
	config '.process.user = {uid: 1000, gid: 1000}'
	inside_ok ': >/mnt/made; stat -c %u:%g /mnt/made'
	is "$OUT" 1000:1000
	is "$(stat -c %u:%g "$T/data/made")" 5:5
}

@test "mappings without an option map the mount, as other runtimes do" {
	data "$T/data"
	idmapped /mnt "$T/data" '[{"containerID": 0, "hostID": 1000, "size": 10}]' bind
	inside_ok "$OWNERS"
	has "$OUT" '/mnt/f5 1005:1005'
}

@test "idmap without mappings takes those of the container's new user namespace" {
	data "$T/data"
	users
	mount_add /mnt none "$T/data" bind idmap
	inside_ok "$OWNERS; : >/mnt/made"
	has "$OUT" '/mnt/f0 0:0'
	has "$OUT" '/mnt/f1000 1000:1000'
	is "$(stat -c %u:%g "$T/data/made")" 0:0
}

@test "idmap over a joined user namespace: its mappings, own ones, and exec" {
	data "$T/data"
	users
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	new_bundle "$BUNDLE"
	config '.linux.namespaces += [{type: "user", path: $p}]' --arg p "/proc/$pid/ns/user"
	mount_add /mnt none "$T/data" bind idmap
	idmapped /srv "$T/data" '[{"containerID": 5, "hostID": 100042, "size": 1}]' bind idmap
	mount_add /home none "$T/data" bind 'idmap=uids=@5-43-1;gids=@5-43-1'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID.b"
	ok exec "$ID.b" sh -c "$OWNERS; stat -c '%n %u:%g' /srv/f5 /srv/f0 /home/f5"
	has "$OUT" '/mnt/f0 0:0'
	has "$OUT" '/mnt/f5 5:5'
	has "$OUT" '/srv/f5 42:42'
	has "$OUT" '/srv/f0 65534:65534'
	has "$OUT" '/home/f5 43:43'
	silent kill "$ID.b" KILL
	wait_for status_is "$ID.b" stopped
	silent delete "$ID.b"
	status_is "$ID" running
}

@test "the option's own mappings, as crun has them: several ranges, @ and errors" {
	data "$T/data"
	mount_add /mnt none "$T/data" bind 'idmap=uids=0-1-1#5-10-1;gids=0-100-10'
	inside_ok "$OWNERS"
	has "$OUT" '/mnt/f0 1:100'
	has "$OUT" '/mnt/f5 10:105'
	new_bundle "$BUNDLE"
	mount_add /mnt none "$T/data" bind 'idmap=uids=@0-1-1;gids=0-0-1'
	refused '/options: idmap: a range with @ counts from the container' create --bundle "$BUNDLE" "$ID"
	new_bundle "$BUNDLE"
	mount_add /mnt none "$T/data" bind 'idmap=uids=0-1;gids=0-0-1'
	refused 'use INSIDE-OUTSIDE-SIZE' create --bundle "$BUNDLE" "$ID"
	for other in 5-3000-1 50-1009-5; do
		new_bundle "$BUNDLE"
		mount_add /mnt none "$T/data" bind "idmap=uids=0-1000-10#$other;gids=0-0-1"
		refused " on /mnt): idmap: the ranges 0 1000 10 and ${other//-/ } overlap" create --bundle "$BUNDLE" "$ID"
	done
	# relative, over a mapping of two parts: split between them
	new_bundle "$BUNDLE"
	users '[{"containerID": 0, "hostID": 100000, "size": 1}, {"containerID": 1, "hostID": 200000, "size": 1000}]'
	config '.mounts |= map(select(.type != "devpts")) | .process.terminal = false'
	mount_add /mnt none "$T/data" bind 'ridmap=uids=@0-0-10;gids=@0-0-10'
	args sh -c "$OWNERS"
	ok run --bundle "$BUNDLE" "$ID.b"
	has "$OUT" '/mnt/f0 0:0'
	has "$OUT" '/mnt/f5 5:5'
	config '.mounts[-1].options = ["bind", "idmap=uids=@0-5000-10;gids=@0-0-10"]'
	refused 'id 5000 of the container is not mapped in its user namespace, which has 0 100000 1, 1 200000 1000' create --bundle "$BUNDLE" "$ID"
	nothing_left
}

@test "idmap of a source inside the rootfs is of what the mounts before it put there" {
	data "$T/data"
	mkdir "$T/data/below"
	own_rootfs
	echo mine >"$ROOTFS/home/f0"
	chown 3:3 "$ROOTFS/home/f0"
	ln -s /mnt "$ROOTFS/link"
	local map='[{"containerID": 0, "hostID": 1000, "size": 10}]'
	mount_add /mnt none "$T/data" bind
	mount_add /mnt/below none "$ROOTFS/home" bind
	idmapped /srv "$ROOTFS/mnt" "$map" rbind idmap
	idmapped /opt "$ROOTFS/link" "$map" rbind ridmap ro
	idmapped /new/file "$ROOTFS/link/f5" "$map" bind idmap
	inside_ok 'stat -c "%n %u:%g" /mnt/f5 /srv/f5 /opt/f5 /new/file /home/f0 /srv/below/f0 /opt/below/f0; touch /opt/f5 2>&1'" || true"
	is "$OUT" $'/mnt/f5 5:5\n/srv/f5 1005:1005\n/opt/f5 1005:1005\n/new/file 1005:1005\n/home/f0 3:3\n/srv/below/f0 3:3\n/opt/below/f0 1003:1003\ntouch: /opt/f5: Read-only file system'
	is "$(stat -c %u:%g "$T/data/f5" "$ROOTFS/home/f0")" $'5:5\n3:3' 'owners outside'
}

@test "idmap of a source inside the rootfs, by the mappings of the container's user namespace" {
	data "$T/data"
	users
	own_rootfs
	mount_add /mnt none "$T/data" bind
	mount_add /srv none "$ROOTFS/mnt" bind idmap
	mount_add /etc/group none "$ROOTFS/mnt/f1" bind 'idmap=uids=@1-7-1;gids=@1-7-1'
	inside_ok 'stat -c "%n %u:%g" /mnt/f5 /srv/f5 /etc/group; : >/srv/made'
	is "$OUT" $'/mnt/f5 65534:65534\n/srv/f5 5:5\n/etc/group 7:7'
	is "$(stat -c %u:%g "$T/data/made")" 0:0
}

@test "idmap of a source inside the rootfs that cannot be: the mount it lies in is named, and no other is made" {
	own_rootfs
	local map='[{"containerID": 0, "hostID": 1000, "size": 10}]'
	mount_add /mnt proc proc
	idmapped /srv "$ROOTFS/mnt/sys" "$map" bind idmap
	refused "/mounts/8 ($ROOTFS/mnt/sys on /srv): the source lies in /mounts/7 (proc on /mnt), or has mounts below, that cannot be id-mapped: mount_setattr idmap: invalid argument" create --bundle "$BUNDLE" "$ID"
	config '.mounts |= .[:-1]'
	idmapped /srv "$ROOTFS/mnt/missing" "$map" bind idmap
	refused "/mounts/8/source" create --bundle "$BUNDLE" "$ID"
	has "$ERR" 'no such file or directory (ENOENT)'
	nothing_left
}

@test "ridmap covers what is mounted below, idmap does not" {
	data "$T/data"
	mkdir "$T/data/below" "$T/other"
	: >"$T/other/f"
	mount --bind "$T/other" "$T/data/below"
	mount --make-rprivate "$T/data/below"
	map='[{"containerID": 0, "hostID": 1000, "size": 10}]'
	idmapped /mnt "$T/data" "$map" rbind idmap
	idmapped /srv "$T/data" "$map" rbind ridmap
	args stat -c '%n %u' /mnt/f0 /mnt/below/f /srv/f0 /srv/below/f
	rt run --bundle "$BUNDLE" "$ID"
	umount "$T/data/below"
	is "$STATUS:$ERR" 0:
	is "$OUT" $'/mnt/f0 1000\n/mnt/below/f 0\n/srv/f0 1000\n/srv/below/f 1000'
}

@test "a mapping table of 340 lines; one more, and one too long for the kernel, are refused" {
	data "$T/data"
	chown 339:339 "$T/data/f1000"
	lines() { jq -nc --argjson n "$1" --argjson first "$2" '[range($n) | {containerID: ., hostID: ($first + ($n - .) * 2), size: 1}]'; }
	idmapped /mnt "$T/data" "$(lines 340 0)" bind idmap
	inside_ok "$OWNERS"
	has "$OUT" '/mnt/f0 680:680'
	has "$OUT" '/mnt/f5 670:670'
	has "$OUT" '/mnt/f1000 2:2'
	new_bundle "$BUNDLE"
	idmapped /mnt "$T/data" "$(lines 341 0)" bind idmap
	refused 'must have at most 340 entries, has 341' create --bundle "$BUNDLE" "$ID"
	new_bundle "$BUNDLE"
	idmapped /mnt "$T/data" "$(lines 340 1000000000)" bind idmap
	refused 'and the kernel takes fewer than' create --bundle "$BUNDLE" "$ID"
	nothing_left
}

@test "neither mappings nor a user namespace, a remount, a cgroup: errors" {
	data "$T/data"
	mount_add /mnt none "$T/data" bind idmap
	refused 'needs uidMappings and gidMappings, or a user namespace' create --bundle "$BUNDLE" "$ID"
	config '.mounts[-1] = {destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["idmap=uids=0-0-1;gids=0-0-1"]}'
	refused 'a cgroup cannot be id-mapped' create --bundle "$BUNDLE" "$ID"
	config '.mounts[-1] = {destination: "/tmp", options: ["remount", "idmap=uids=0-0-1;gids=0-0-1"]}'
	refused 'not in a remount' create --bundle "$BUNDLE" "$ID"
	config '.mounts[-1] = {destination: "/tmp", type: "tmpfs", options: ["idmap"]}'
	users
	refused 'in a user namespace only a bind mount can be id-mapped' create --bundle "$BUNDLE" "$ID"
	nothing_left
}

@test "a file system that has no id-mapped mounts is named, also below the source" {
	data "$T/data"
	idmapped /mnt /proc/sys '[{"containerID": 0, "hostID": 1000, "size": 10}]' bind idmap
	refused 'the file system at /proc/sys is proc, which cannot be id-mapped: mount_setattr idmap: invalid argument (EINVAL)' create --bundle "$BUNDLE" "$ID"
	mkdir "$T/data/p q"
	mount -t proc proc "$T/data/p q"
	mount --make-rprivate "$T/data/p q"
	new_bundle "$BUNDLE"
	idmapped /mnt "$T/data" '[{"containerID": 0, "hostID": 1000, "size": 10}]' rbind ridmap
	rt create --bundle "$BUNDLE" "$ID"
	umount "$T/data/p q"
	((STATUS == 1))
	has "$ERR" "the file system at $T/data/p q is proc, which cannot be id-mapped"
	new_bundle "$BUNDLE"
	config '.mounts += [{destination: "/mnt", type: "proc", source: "proc", options: ["idmap=uids=0-1-1;gids=0-1-1"]}]'
	refused 'mount_setattr idmap of proc' create --bundle "$BUNDLE" "$ID"
	has "$ERR" 'hint: this file system cannot be id-mapped on this kernel'
	nothing_left
}

@test "idmap of a source inside the rootfs, of a file, and read-only" {
	data "$T/data"
	own_rootfs
	data "$ROOTFS/srv/data"
	ln -s /etc "$ROOTFS/srv/link"
	chown 5:5 "$ROOTFS/etc/passwd"
	map='[{"containerID": 0, "hostID": 1000, "size": 10}]'
	idmapped /mnt "$ROOTFS/srv/data" "$map" bind idmap ro
	idmapped /opt/file "$T/data/f5" "$map" bind idmap
	idmapped /opt/etc "$ROOTFS/srv/link" "$map" bind idmap
	inside_ok "$OWNERS; stat -c '%n %u' /opt/file /opt/etc/passwd; touch /mnt/x 2>&1; true"
	has "$OUT" '/mnt/f0 1000:1000'
	has "$OUT" '/opt/file 1005'
	has "$OUT" '/opt/etc/passwd 1005'
	has "$OUT" 'Read-only file system'
}

@test "idmap of a new tmpfs, or why this kernel has none" {
	config '.mounts += [{destination: "/run", type: "tmpfs", source: "tmpfs", options: ["idmap"],
		uidMappings: [{containerID: 0, hostID: 1000, size: 10}], gidMappings: [{containerID: 0, hostID: 1000, size: 10}]}]'
	if kernel_since 6.3; then
		inside_ok 'stat -c %u /run'
		is "$OUT" 1000
	else
		refused '(tmpfs on /run): mount_setattr idmap of tmpfs: invalid argument (EINVAL)' run --bundle "$BUNDLE" "$ID"
		has "$ERR" 'hint: this file system cannot be id-mapped on this kernel'
	fi
}
