#!/usr/bin/env bats
# checkpoint and restore by CRIU: streams, ptys, hooks, cgroups, namespaces, and the ways of
# writing memory.
# shellcheck disable=SC2016 # jq programs, and scripts for the container

load helpers
load criu

@test "--leave-running leaves it running, also where it is paused" {
	needs_criu
	counting
	checkpoint --leave-running
	gone_on
	silent pause "$ID"
	checkpoint --leave-running
	status_is "$ID" paused
	silent resume "$ID"
	gone_on
	ok delete --force "$ID"
	# Its files have gone on without it, so that its shell may find one missing, and say so.
	ok restore --detach --bundle "$BUNDLE" --image-path "$T/images" "$ID"
	gone_on
}

@test "restore in the foreground waits, and has the exit status of the process" {
	needs_criu
	own_rootfs
	args sh -c 'until [ -e /tmp/go ]; do sleep 0.05; done; echo done; exit 7'
	ok run --detach --bundle "$BUNDLE" "$ID"
	checkpoint
	touch "$BUNDLE/rootfs/tmp/go"
	rt restore --bundle "$BUNDLE" --image-path "$T/images" "$ID"
	is "$STATUS $OUT" '7 done'
	nothing_left
}

@test "restore in the foreground passes signals on" {
	needs_criu
	own_rootfs
	args sh -c 'trap "echo usr1 >>/tmp/got" USR1; trap "exit 9" TERM; touch /tmp/ready; while :; do sleep 0.1; done'
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_for test -e "$BUNDLE/rootfs/tmp/ready"
	checkpoint
	background "$RUNTIME" "${STATE[@]}" "${MANAGER[@]}" restore --bundle "$BUNDLE" --image-path "$T/images" "$ID" >"$T/restore.out" 2>&1
	local restore=$PID
	wait_for status_is "$ID" running
	kill -USR1 "$restore"
	wait_for test -e "$BUNDLE/rootfs/tmp/got"
	kill -TERM "$restore"
	local status=0
	wait "$restore" || status=$?
	is "$status" 9
	is "$(<"$T/restore.out")" ''
	nothing_left
}

@test "streams that are pipes, or files of the host, become those of restore" {
	needs_criu
	own_rootfs
	args sh -c 'echo first; read -r line; echo "$line" >&2; exec sleep 600'
	mkfifo "$T/in" "$T/in2"
	background sleep 600 3<>"$T/in" 4<>"$T/in2"
	rt_stdin run --detach --bundle "$BUNDLE" "$ID" <>"$T/in"
	is "$STATUS$ERR" 0
	checkpoint
	: >"$T/log"
	OCI_TEST_MARK=$MARK "$RUNTIME" "${STATE[@]}" "${MANAGER[@]}" restore --detach --bundle "$BUNDLE" --image-path "$T/images" "$ID" \
		<>"$T/in" >>"$T/log" 2>&1
	echo hello >"$T/in"
	wait_for grep -q hello "$T/log"
}

@test "the restored container is in no keyring and no network of the caller's" {
	needs_criu
	own_rootfs
	args sleep 600
	ok run --detach --bundle "$BUNDLE" "$ID"
	checkpoint
	restore
	ok exec "$ID" ip link show lo
	like "$OUT" 'LOOPBACK,UP'
	local pid
	pid=$(init_pid "$ID")
	refute test "$(readlink "/proc/$pid/ns/net")" = "$(readlink /proc/self/ns/net)"
	refute test "$(readlink "/proc/$pid/ns/cgroup")" = "$(readlink /proc/self/ns/cgroup)"
	rt exec "$ID" cat /proc/1/environ
	lacks "$OUT" "$T"
}

@test "org.criu.config: without it, the file of the machine's administrator is read" {
	needs_criu
	[[ ! -e /etc/criu/oci-mini.conf && ! -e /etc/criu/runc.conf ]] || skip 'this machine has its own'
	alone criu-config
	mkdir -p /etc/criu
	echo 'log-file=runc.log' >/etc/criu/runc.conf
	counting
	rt checkpoint --leave-running --image-path "$T/images" "$ID"
	echo 'log-file=own.log' >/etc/criu/oci-mini.conf
	rt checkpoint --image-path "$T/images" "$ID"
	rm /etc/criu/{runc,oci-mini}.conf
	rmdir --ignore-fail-on-non-empty /etc/criu
	[[ -e $T/images/runc.log && -e $T/images/own.log && ! -e $T/images/dump.log ]] || fail "$ERR" "$(ls "$T/images")"
}

@test "a link in the rootfs does not lead a restore out of it" {
	needs_criu
	own_rootfs
	mkdir -p "$T/data" "$T/canary"
	mount_add /inner/dir bind "$T/data" bind
	args sleep 600
	ok run --detach --bundle "$BUNDLE" "$ID"
	checkpoint
	rm -r "$BUNDLE/rootfs/inner"
	ln -s "$T/canary" "$BUNDLE/rootfs/inner"
	refused 'leads over a symbolic link' restore --detach --bundle "$BUNDLE" --image-path "$T/images" "$ID"
	is "$(ls "$T/canary")" '' canary
	rm "$BUNDLE/rootfs/inner"
	restore # the mount point is made again
	test -d "$BUNDLE/rootfs/inner/dir"
}

@test "a mount within a mount has its mount point made again" {
	needs_criu
	own_rootfs
	mkdir -p "$T/outer" "$T/nested"
	echo file >"$T/nested/file"
	mount_add /outer bind "$T/outer" bind
	mount_add /outer/for/nested bind "$T/nested" bind
	mount_add /single bind "$T/nested/file" bind ro
	args sleep 600
	ok run --detach --bundle "$BUNDLE" "$ID"
	checkpoint
	rm -rf "${T:?}/outer/for" "$BUNDLE/rootfs/single"
	restore
	ok exec "$ID" cat /outer/for/nested/file /single
	is "$OUT" $'file\nfile'
}

@test "hooks: prestart and createRuntime run at a restore, poststop at a checkpoint" {
	needs_criu
	own_rootfs
	local kind
	for kind in prestart createRuntime createContainer poststart poststop; do
		config '.hooks[$k] = [{path: "/bin/sh", args: ["sh", "-c", "echo \($k) $(jq -r .status) >>\($f)"]}]' --arg k "$kind" --arg f "$T/hooks"
	done
	args sleep 600
	ok run --detach --bundle "$BUNDLE" "$ID"
	: >"$T/hooks"
	checkpoint
	is "$(<"$T/hooks")" 'poststop stopped'
	: >"$T/hooks"
	restore
	is "$(<"$T/hooks")" $'prestart creating\ncreateRuntime creating'
	: >"$T/hooks"
	ok delete --force "$ID"
	is "$(<"$T/hooks")" 'poststop stopped'
	config '.hooks.createRuntime = [{path: "/bin/false"}]'
	refused '/hooks/createRuntime/0' restore --detach --bundle "$BUNDLE" --image-path "$T/images" "$ID"
	nothing_left
}

@test "a network namespace by path is entered again" {
	needs_criu
	own_rootfs
	background unshare -n sleep 600
	local path=/proc/$PID/ns/net
	foreign() { [[ $(readlink "$path") != "$(readlink /proc/self/ns/net)" ]]; }
	wait_for foreign
	config '.linux.namespaces |= map(if .type == "network" then .path = $p else . end)' --arg p "$path"
	args sleep 600
	ok run --detach --bundle "$BUNDLE" "$ID"
	checkpoint
	restore
	is "$(readlink "/proc/$(init_pid "$ID")/ns/net")" "$(readlink "$path")"
}

@test "a restored container that is less protected than the config says is ended before it runs" {
	needs_criu
	config '.process.capabilities |= map_values(["CAP_CHOWN", "CAP_SYS_ADMIN"]) | .linux.maskedPaths = ["/home"] | .linux.readonlyPaths = ["/etc"]
		| .mounts += [{destination: "/own", type: "tmpfs", source: "tmpfs", options: ["nosuid"]}]'
	counting
	checkpoint
	local last
	last=$(count)
	cp "$BUNDLE/config.json" "$T/config.json"
	# weaker ERROR PROGRAM: with what the program makes of the config, what is in the images is not enough.
	weaker() {
		cp "$T/config.json" "$BUNDLE/config.json"
		config "$2"
		refused "$1" restore --detach --bundle "$BUNDLE" --image-path "$T/images" "$ID"
		refused 'does not exist' state "$ID"
		is "$(count)" "$last" 'the count of a container that must not run'
		nothing_left
	}
	weaker '/process/capabilities/bounding: it has CAP_SYS_ADMIN, which the config does not give it' \
		'.process.capabilities |= map_values(["CAP_CHOWN"])'
	weaker '/process/rlimits/0: its hard limit of RLIMIT_NOFILE is 1024, the config'\''s is 100' '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 100, hard: 100}]'
	weaker '/linux/seccomp: it is under no filter' '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["syslog"], action: "SCMP_ACT_ERRNO", errnoRet: 1}]}'
	weaker '/root/readonly: what is mounted on / in the container is not ro' '.root.readonly = true'
	weaker "/mounts/$(jq '.mounts | length - 1' "$T/config.json"): what is mounted on /own in the container is not noexec" '.mounts[-1].options += ["noexec"]'
	weaker '/linux/maskedPaths/0: /etc is not masked in the container: what is mounted there is neither the null device nor an empty file system' \
		'.linux.maskedPaths = ["/etc"]'
	weaker '/linux/readonlyPaths/0: /var is not covered in the container' '.linux.readonlyPaths = ["/var"]'
	cp "$T/config.json" "$BUNDLE/config.json"
	restore
	gone_on "$last"
}

@test "images with a filter that lets more through than the config's are refused" {
	needs_criu
	config '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["syslog", "keyctl"], action: "SCMP_ACT_ERRNO", errnoRet: 1}]}'
	counting
	checkpoint
	cp "$BUNDLE/config.json" "$T/config.json"
	config '.linux.seccomp.syscalls[0].names += ["bpf"]'
	refused '/linux/seccomp: the images have another filter, which lets bpf of SCMP_ARCH_' restore --detach --bundle "$BUNDLE" --image-path "$T/images" "$ID"
	nothing_left
	# One that is stricter than the config's stays.
	cp "$T/config.json" "$BUNDLE/config.json"
	config '.linux.seccomp.syscalls[0].names -= ["keyctl"]'
	restore
	gone_on
	rt exec "$ID" dmesg
	has "$ERR" 'Operation not permitted'
}

@test "images that others may read, and a chain of them, are restored" {
	needs_criu
	needs_tracking
	counting
	silent checkpoint --image-path "$T/before" --pre-dump "$ID"
	checkpoint --parent-path ../before
	chmod 755 "$T/before" "$T/images"
	chmod 644 "$T"/before/* "$T"/images/*.img
	restore
	gone_on
	ok delete --force "$ID"
	chmod 666 "$T/before/inventory.img"
	refused "--image-path: $T/before/inventory.img has mode 0666" restore --detach --bundle "$BUNDLE" --image-path "$T/images" "$ID"
}

@test "a checkpoint is not written where others may write" {
	needs_criu
	args sleep 600
	ok run --detach --bundle "$BUNDLE" "$ID"
	mkdir -m 1777 "$T/shared"
	refused "--image-path: $T/shared has mode 1777" checkpoint --image-path "$T/shared" "$ID"
	refused "--work-path: $T/shared has mode 1777" checkpoint --image-path "$T/images" --work-path "$T/shared" "$ID"
	is "$(ls "$T/shared" "$T/images")" ''"$T/images:"$'\n\n'"$T/shared:"
	status_is "$ID" running
}
