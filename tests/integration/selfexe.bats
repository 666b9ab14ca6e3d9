#!/usr/bin/env bats
# The runtime's own binary is out of the container's reach.

load helpers

# Every test here works on a copy, so that a runtime that fails them is not
# lost for the tests that follow.
copied() {
	mkdir "$T/bin"
	cp "$RUNTIME" "$T/bin/${RUNTIME##*/}"
	RUNTIME=$T/bin/${RUNTIME##*/}
	SUM=$(sha256sum <"$RUNTIME")
}

unchanged() {
	is "$(sha256sum <"$RUNTIME")" "$SUM" "the runtime's binary"
}

@test "an entrypoint that is /proc/self/exe does not reach the binary" {
	copied
	own_rootfs
	printf '#!/proc/self/exe\n' >"$ROOTFS/bin/entry"
	chmod 755 "$ROOTFS/bin/entry"
	caps CAP_DAC_OVERRIDE CAP_SYS_ADMIN CAP_SYS_PTRACE
	args /bin/entry
	RT_TIMEOUT=5 rt run --bundle "$BUNDLE" "$ID"
	rt delete --force "$ID"
	args /proc/self/exe --version
	RT_TIMEOUT=5 rt run --bundle "$BUNDLE" "$ID"
	rt delete --force "$ID"
	unchanged
	nothing_left
}

# The poller opens /proc/N/exe of every process that appears and is not
# busybox, keeps it, and tries to write to it, at once and after its end.
POLLER='
	own=$(stat -L -c %i /bin/busybox)
	echo ready
	while [ ! -e /tmp/stop ]; do
		for e in /proc/[0-9]*/exe; do
			case $e in /proc/1/*) continue ;; esac
			[ /bin/busybox -ef $e ] && continue
			if { command exec 5<$e; } 2>/dev/null; then # command: a failure must not end the shell
				[ /bin/busybox -ef /proc/self/fd/5 ] && continue
				echo caught >>/tmp/caught
				(echo x >>/proc/self/fd/5) 2>>/tmp/errors && echo wrote >>/tmp/caught
				(echo x >>$e) 2>>/tmp/errors && echo wrote >>/tmp/caught
				while [ -d ${e%/exe} ]; do :; done
				(echo x >>/proc/self/fd/5) 2>>/tmp/errors && echo wrote >>/tmp/caught
			fi
		done
	done'

@test "a poller inside never gets a writable handle on the binary of exec" {
	copied
	own_rootfs
	caps CAP_DAC_OVERRIDE CAP_SYS_PTRACE CAP_SYS_ADMIN CAP_MKNOD
	args sh -c "$POLLER"
	ok run --detach --bundle "$BUNDLE" "$ID"
	for _ in {1..20}; do
		ok exec "$ID" true
	done
	if strace -qq -o /dev/null true 2>/dev/null; then
		# The moment between joining and execve, drawn out.
		for _ in 1 2 3; do
			OCI_TEST_MARK=$MARK timeout $((10 * PATIENCE)) strace -f -qq -o /dev/null -e trace=execve -e inject=execve:delay_enter=100000 \
				"$RUNTIME" --root "$ROOT" exec "$ID" true </dev/null >"$T/o" 2>&1 3>&- || true
		done
	fi
	: >"$ROOTFS/tmp/stop"
	unchanged
	if [[ -e $ROOTFS/tmp/caught ]]; then
		lacks "$(<"$ROOTFS/tmp/caught")" wrote
	fi
}

@test "a poller in a shared pid namespace never gets a writable handle on the binary of create" {
	copied
	own_rootfs
	caps CAP_DAC_OVERRIDE CAP_SYS_PTRACE CAP_SYS_ADMIN CAP_MKNOD
	args sh -c "$POLLER"
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	config '.linux.namespaces |= map(if .type == "pid" then .path = $p else . end) | .process.args = ["true"]' \
		--arg p "/proc/$pid/ns/pid"
	join_users "$pid"
	for _ in {1..10}; do
		ok run --bundle "$BUNDLE" "$ID.b"
	done
	ok create --bundle "$BUNDLE" "$ID.b"
	sleep 0.2
	ok delete --force "$ID.b"
	: >"$ROOTFS/tmp/stop"
	unchanged
	if [[ -e $ROOTFS/tmp/caught ]]; then
		lacks "$(<"$ROOTFS/tmp/caught")" wrote
	fi
}

@test "the binary is not writable through /proc/1/exe while created" {
	supports '.hooks | index("startContainer")' 'startContainer hooks'
	copied
	own_rootfs
	config '.hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", "echo x >>/proc/1/exe"]}]'
	caps CAP_DAC_OVERRIDE CAP_SYS_PTRACE
	ok create --bundle "$BUNDLE" "$ID"
	rt start "$ID"
	rt delete --force "$ID"
	unchanged
}

@test "whoever runs beside the waiting first process finds no handle on the mount of the binary" {
	# The runtime opens a clone of the mount on which its binary lies, and lets it go while
	# the first process begins. Here every descriptor of the two is looked at, where
	# a hook makes the first process wait for the runtime.
	supports '.hooks | index("createContainer")' 'createContainer hooks'
	copied
	own_rootfs
	cat >"$T/look" <<-'END'
		#!/bin/sh
		# look DIRECTORY RESULT: whose descriptors are on the directory?
		of=$(stat -L -c %d:%i "$1")
		pid=$(jq .pid)
		echo looked >>"$2"
		for process in "$pid" "$PPID"; do
			for fd in /proc/"$process"/fd/*; do
				[ "$(stat -L -c %d:%i "$fd" 2>/dev/null)" != "$of" ] || echo "process $process has $fd" >>"$2"
			done
		done
	END
	chmod 755 "$T/look"
	args true
	config '.hooks = {createRuntime: [$h], prestart: [$h]}' --argjson h "$(jq -n --arg l "$T/look" --arg d "$T/bin" --arg r "$T/result" \
		'{path: $l, args: ["look", $d, $r], env: ["PATH=/usr/bin:/bin:/usr/sbin:/sbin"]}')"
	ok run --bundle "$BUNDLE" "$ID"
	is "$(sort "$T/result" | uniq -c | tr -s ' ')" ' 2 looked'
	unchanged
	nothing_left
}
