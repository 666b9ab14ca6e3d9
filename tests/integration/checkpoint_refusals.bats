#!/usr/bin/env bats
# What checkpoint and restore refuse, with or without CRIU.
# shellcheck disable=SC2016 # jq programs, and scripts for the container

load helpers
load criu

@test "org.criu.config: a file that is not there is an error" {
	config '.annotations = {"org.criu.config": "/nowhere/criu.conf"}'
	args sleep 600
	ok run --detach --bundle "$BUNDLE" "$ID"
	refused '/annotations/org.criu.config: open /nowhere/criu.conf: no such file or directory (ENOENT)' checkpoint --image-path "$T/images" "$ID"
	status_is "$ID" running
	refute test -e "$T/images"
	refused '/annotations/org.criu.config: open /nowhere/criu.conf' restore --bundle "$BUNDLE" --image-path "$T" "$ID-2"
	refused 'does not exist' state "$ID-2"
}

@test "org.criu.config: settings that another user could have written are not believed" {
	args sleep 600
	config '.annotations = {"org.criu.config": "criu.conf"}'
	echo 'action-script /bin/true' >"$BUNDLE/criu.conf"
	ok run --detach --bundle "$BUNDLE" "$ID"
	try() {
		refused "/annotations/org.criu.config: $BUNDLE/criu.conf $1" checkpoint --image-path "$T/images" "$ID"
		has "$ERR" 'CRIU obeys them as root'
		refused "/annotations/org.criu.config: $BUNDLE/criu.conf $1" restore --bundle "$BUNDLE" --image-path "$T/images" "$ID-2"
		refute test -e "$T/images"
		status_is "$ID" running
	}
	chmod 646 "$BUNDLE/criu.conf"
	try 'has mode 0646 and group 0: others than user 0 may write to it, who could have the settings in it make user 0 do anything'
	chmod 644 "$BUNDLE/criu.conf"
	chown 54321 "$BUNDLE/criu.conf"
	try 'belongs to user 54321, who could have the settings in it make user 0 do anything'
}

@test "a destination that could lead CRIU astray is refused by checkpoint and restore" {
	own_rootfs
	mkdir "$T/data"
	local destination
	for destination in '/a]:/b' '/a,b' $'/a\nb' '/a\b' $'/a\tb'; do
		new_bundle "$BUNDLE"
		config '.root.path = "rootfs" | .root.readonly = false'
		mount_add "$destination" bind "$T/data" bind
		args sleep 600
		ok run --detach --bundle "$BUNDLE" "$ID"
		refused 'would take a part of it for another' checkpoint --image-path "$T/images" "$ID"
		has "$ERR" "/mounts/$(jq '.mounts | length - 1' "$BUNDLE/config.json")/destination: "
		status_is "$ID" running
		ok delete --force "$ID"
		refused 'would take a part of it for another' restore --bundle "$BUNDLE" --image-path "$T/images" "$ID"
		refute test -e "$T/images"
	done
	new_bundle "$BUNDLE"
	config '.linux.maskedPaths += ["/etc]:/x"]'
	refused "/linux/maskedPaths/$(jq '.linux.maskedPaths | length - 1' "$BUNDLE/config.json"): " restore --bundle "$BUNDLE" --image-path "$T/images" "$ID"
}

@test "a destination with a symbolic link in it is refused by checkpoint and restore" {
	own_rootfs
	mkdir -p "$T/data" "$BUNDLE/rootfs/real/dir"
	ln -s /real "$BUNDLE/rootfs/link"
	mount_add /link/dir bind "$T/data" bind
	args sleep 600
	ok run --detach --bundle "$BUNDLE" "$ID"
	refused '/link/dir leads over a symbolic link' checkpoint --image-path "$T/images" "$ID"
	status_is "$ID" running
	ok delete --force "$ID"
	refused '/link/dir leads over a symbolic link' restore --bundle "$BUNDLE" --image-path "$T/images" "$ID"
	refused 'does not exist' state "$ID"
}

@test "a container that has put another mount in a mount's place is not checkpointed" {
	own_rootfs
	mkdir -p "$T/secret" "$T/own"
	# What is named is read-only; what the container moves there is not.
	mount_add /a/dir bind "$T/secret" bind ro
	mount_add /b/dir bind "$T/own" bind
	args sh -c 'mv /a /c && mv /b /a && exec sleep 600'
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_for test -e "$BUNDLE/rootfs/c"
	refused 'what is mounted on /a/dir in the container is not ro, as the config has it' checkpoint --image-path "$T/images" "$ID"
	status_is "$ID" running
}

@test "--parent-path must be there, and relative" {
	args sleep 600
	ok run --detach --bundle "$BUNDLE" "$ID"
	refused "--parent-path: open $T/nowhere: no such file or directory" checkpoint --image-path "$T/images" --parent-path ../nowhere "$ID"
	refused "--parent-path: $T must be relative" checkpoint --image-path "$T/images" --parent-path "$T" "$ID"
	mkdir -m 777 "$T/open"
	refused "--parent-path: $T/open has mode 0777 and group 0: others than user 0 may write to it" checkpoint --image-path "$T/images" --parent-path ../open "$ID"
	touch "$T/file"
	refused "--parent-path: open $T/file: not a directory" checkpoint --image-path "$T/images" --parent-path ../file "$ID"
	status_is "$ID" running
}

@test "images that another user could have written, or a directory where one may, are refused" {
	mkdir -m 700 "$T/images" "$T/work"
	touch "$T/images/core-1.img"
	try() { refused "$1" restore --bundle "$BUNDLE" --image-path "$T/images" "${@:2}" "$ID"; }
	chmod 606 "$T/images/core-1.img"
	try "--image-path: $T/images/core-1.img has mode 0606 and group 0: others than user 0 may write to it, who could have what is in it make user 0 do anything: images must be root's"
	chmod 600 "$T/images/core-1.img"
	chown 54321 "$T/images/core-1.img"
	try "--image-path: $T/images/core-1.img belongs to user 54321, who could have what is in it make user 0 do anything: images must be root's"
	chown 0 "$T/images/core-1.img"
	ln -s /etc/passwd "$T/images/pages-1.img"
	try "--image-path: $T/images/pages-1.img is a symbolic link"
	rm "$T/images/pages-1.img"
	mkdir -m 700 "$T/before"
	ln -s ../before "$T/images/parent"
	chmod 770 "$T/before"
	chgrp 54321 "$T/before"
	try "--image-path: $T/before has mode 0770 and group 54321"
	rm "$T/images/parent"
	echo '["", "", ""]' >"$T/images/descriptors.json"
	chmod 1777 "$T/work"
	try "--work-path: $T/work has mode 1777 and group 0: others than user 0 may write to it, who could have what is in it make user 0 do anything: use a directory of root's" --work-path "$T/work"
	chown 54321 "$T/images"
	try "--image-path: $T/images belongs to user 54321"
	chown 0 "$T/images"
	rm "$T/images/descriptors.json"
	try "there is no checkpoint in $T/images"
	refused 'does not exist' state "$ID"
}

@test "CRIU gets no environment but PATH" {
	mkdir -m 755 "$T/bin"
	mkdir -m 700 "$T/images"
	echo '["", "", ""]' >"$T/images/descriptors.json"
	printf '#!/bin/sh\nexec cat /proc/$$/environ >%q\n' "$T/environ" >"$T/bin/criu"
	chmod 755 "$T/bin/criu"
	PATH=$T/bin:$PATH HOME=/home/somebody CRIU_CONFIG_FILE=/home/somebody/criu.conf CRIU_LIBS_DIR=/home/somebody \
		refused 'criu ' restore --bundle "$BUNDLE" --image-path "$T/images" "$ID"
	# PWD is the shell's own.
	is "$(tr '\0' '\n' <"$T/environ" | grep -v '^PWD=')" "PATH=$T/bin:$PATH"
}

@test "a container that is less protected than its config says is not checkpointed" {
	own_rootfs
	config '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"] | unique) | .linux.readonlyPaths = ["/proc/sys"] | .mounts[0].options = ["nosuid"] | .root.readonly = true'
	args sh -c "$(printf '%s\n' 'trap "mount -o remount,bind,rw /" USR1; trap "mount -o remount,bind,ro / && mount -o remount,bind,suid /proc" USR2' 'while :; do sleep 0.05; done')"
	ok run --detach --bundle "$BUNDLE" "$ID"
	options() { grep -q "^[^ ]* [^ ]* [^ ]* [^ ]* $1 $2" "/proc/$(init_pid "$ID")/mountinfo"; }
	wait_for options / ro
	silent kill "$ID" USR1
	wait_for options / rw
	refused '/root/readonly: what is mounted on / in the container is not ro, as the config has it' checkpoint --image-path "$T/images" "$ID"
	silent kill "$ID" USR2
	wait_for options /proc rw,relatime
	refused '/mounts/0: what is mounted on /proc in the container is not nosuid, as the config has it' checkpoint --image-path "$T/images" "$ID"
	status_is "$ID" running
	refute test -e "$T/images"
}

@test "a process with more than the config gives is not checkpointed" {
	own_rootfs
	args sleep 600
	ok run --detach --bundle "$BUNDLE" "$ID"
	# An orphan of an exec is a child of the first process.
	ok exec --cap CAP_SYS_BOOT "$ID" sh -c 'sleep 500 >/dev/null 2>&1 & echo $!'
	refused 'it has CAP_SYS_BOOT, which the config does not give it' checkpoint --image-path "$T/images" "$ID"
	has "$ERR" '/process/capabilities/'
	like "$ERR" 'process [0-9]+ of the container'
	status_is "$ID" running
	refute test -e "$T/images"
}

@test "where criu is not installed, the error says what to install" {
	args sleep 600
	ok run --detach --bundle "$BUNDLE" "$ID"
	local hide='mount --make-rprivate / && for f in $(type -ap criu); do mount --bind /dev/null "$f"; done && exec "$@"'
	STATUS=0
	ERR=$(unshare -m bash -c "$hide" bash "$RUNTIME" "${STATE[@]}" "${MANAGER[@]}" checkpoint --image-path "$T/images" "$ID" 2>&1 </dev/null) || STATUS=$?
	is "$STATUS" 1
	has "$ERR" 'criu: executable file not found'
	has "$ERR" 'hint: checkpoint and restore are done by CRIU: install the package criu'
	status_is "$ID" running
}

@test "a container is checkpointed when it runs, and an id restored when it is free" {
	args sleep 600
	refused 'does not exist' checkpoint --image-path "$T/images" "$ID"
	ok create --bundle "$BUNDLE" "$ID"
	refused 'cannot checkpoint a container that is created' checkpoint --image-path "$T/images" "$ID"
	silent kill "$ID" KILL
	wait_for status_is "$ID" stopped
	refused 'cannot checkpoint a container that is stopped' checkpoint --image-path "$T/images" "$ID"
	refused "there is no checkpoint in $T/bundle" restore --bundle "$BUNDLE" --image-path "$T/bundle" "$ID-2"
	refused '--image-path: open /nowhere: no such file' restore --bundle "$BUNDLE" --image-path /nowhere "$ID-2"
}

@test "what CRIU cannot keep is refused, all of it at once" {
	local two=/linux/seccomp/listenerPath
	config '.linux.namespaces |= map(if .type == "cgroup" then .path = "/proc/self/ns/cgroup" else . end)
		| .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/run/agent",
			syscalls: [{names: ["getcwd"], action: "SCMP_ACT_NOTIFY"}]}'
	# Of version 1, a cgroup below is refused for itself.
	if cgroup2; then
		config '.annotations = {"run.oci.delegate-cgroup": "payload"}'
		two=/annotations/run.oci.delegate-cgroup
	fi
	mkdir -p "$T/images"
	refused "$two: " restore --bundle "$BUNDLE" --image-path "$T/images" "$ID"
	has "$ERR" 'CRIU cannot put processes into a cgroup namespace that exists'
	has "$ERR" '/linux/seccomp/listenerPath: '
	refused '--no-pivot: ' restore --no-pivot --bundle "$BUNDLE" --image-path "$T/images" "$ID"
}

@test "flags: those of runc and crun are known, and what they say is checked" {
	only_oci_mini 'the words of errors'
	local flag
	ok checkpoint --help
	for flag in image-path work-path parent-path leave-running tcp-established tcp-skip-in-flight link-remap ext-unix-sk shell-job \
		lazy-pages status-fd page-server file-locks pre-dump manage-cgroups-mode empty-ns auto-dedup network-lock; do
		has "$OUT" "--$flag"
	done
	ok restore --help
	for flag in console-socket image-path work-path tcp-established tcp-close ext-unix-sk shell-job file-locks manage-cgroups-mode bundle \
		detach pid-file no-subreaper no-pivot empty-ns auto-dedup lazy-pages lsm-profile lsm-mount-context network-lock; do
		has "$OUT" "--$flag"
	done
	rt restore --lsm-mount-context
	has "$ERR" 'flag needs an argument'
	refused '--manage-cgroups-mode: "hard" is none of ignore, none, props, soft, full, strict' checkpoint --manage-cgroups-mode hard "$ID"
	refused '--manage-cgroups-mode: strict restores nothing where the container'\''s cgroup is there' checkpoint --manage-cgroups-mode strict "$ID"
	refused '--manage-cgroups-mode: strict restores nothing' restore --manage-cgroups-mode strict "$ID"
	refused '--network-lock: "tape" is none of iptables, nftables, skip' checkpoint --network-lock tape "$ID"
	refused '--page-server: "1.2.3.4" is not ADDRESS:PORT' checkpoint --page-server 1.2.3.4 "$ID"
	refused '--page-server: "x" is no port' checkpoint --page-server 1.2.3.4:x "$ID"
	refused '--page-server: "localhost" is no IP address' checkpoint --page-server localhost:99 "$ID"
	refused '--lazy-pages: needs --page-server' checkpoint --lazy-pages "$ID"
	refused '--lazy-pages: --pre-dump writes the memory' checkpoint --lazy-pages --pre-dump --page-server 127.0.0.1:99 "$ID"
	refused '--status-fd: tells when the memory can be asked for, which takes --lazy-pages' checkpoint --status-fd 2 "$ID"
	refused '--lsm-profile: "web" is not apparmor:PROFILE or selinux:LABEL' restore --lsm-profile web "$ID"
	refused '--empty-ns: "ipc"' checkpoint --empty-ns ipc "$ID"
	refused '--status-fd 99: ' checkpoint --status-fd 99 "$ID"
	refused 'does not exist' checkpoint -leave-running --leave-running --empty-ns network --manage-cgroups-mode ignore "$ID"
}

@test "features tells engines that checkpoints can be made" {
	ok features
	is "$(jq -r '.annotations["org.opencontainers.runc.checkpoint.enabled"]' <<<"$OUT")" true
	is "$(jq '.potentiallyUnsafeConfigAnnotations | index("org.criu.config") != null' <<<"$OUT")" true
}
