#!/usr/bin/env bats
# What checkpoint and restore refuse, with or without CRIU.
# shellcheck disable=SC2016 # jq programs, and scripts for the container

load helpers
load criu

@test "org.criu.config: a file that is not there is an error" {
	config '.annotations = {"org.criu.config": "/nowhere/criu.conf"}'
	args sleep 600
	ok run --detach --bundle "$BUNDLE" "$ID"
	refused '/annotations/org.criu.config: stat /nowhere/criu.conf: no such file or directory (ENOENT)' checkpoint --image-path "$T/images" "$ID"
	status_is "$ID" running
	refute test -e "$T/images"
	refused '/annotations/org.criu.config: stat /nowhere/criu.conf' restore --bundle "$BUNDLE" --image-path "$T" "$ID-2"
	refused 'does not exist' state "$ID-2"
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
	refused "--parent-path: stat $T/nowhere: no such file or directory" checkpoint --image-path "$T/images" --parent-path ../nowhere "$ID"
	refused "--parent-path: $T must be relative" checkpoint --image-path "$T/images" --parent-path "$T" "$ID"
	touch "$T/file"
	refused "--parent-path: stat $T/file: not a directory" checkpoint --image-path "$T/images" --parent-path ../file "$ID"
	status_is "$ID" running
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
	refused '--network-lock: "tape" is none of iptables, nftables, skip' checkpoint --network-lock tape "$ID"
	refused '--page-server: "1.2.3.4" is not ADDRESS:PORT' checkpoint --page-server 1.2.3.4 "$ID"
	refused '--page-server: "x" is no port' checkpoint --page-server 1.2.3.4:x "$ID"
	refused '--empty-ns: "ipc"' checkpoint --empty-ns ipc "$ID"
	refused '--status-fd 99: ' checkpoint --status-fd 99 "$ID"
	refused 'does not exist' checkpoint -leave-running --leave-running --empty-ns network --manage-cgroups-mode ignore "$ID"
}

@test "features tells engines that checkpoints can be made" {
	ok features
	is "$(jq -r '.annotations["org.opencontainers.runc.checkpoint.enabled"]' <<<"$OUT")" true
	is "$(jq '.potentiallyUnsafeConfigAnnotations | index("org.criu.config") != null' <<<"$OUT")" true
}
