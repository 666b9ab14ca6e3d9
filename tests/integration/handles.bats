#!/usr/bin/env bats
# Handles on the host that a container must not find, while its processes are being
# made or after: descriptors, the root directory, the null device.

load helpers

@test "CVE-2024-21626: an entrypoint through /proc/self/fd/N reaches no file of the host" {
	own_rootfs
	printf '#!/bin/sh\necho escaped\n' >"$T/hostprogram"
	chmod 755 "$T/hostprogram"
	up=../../../../../../../../../../..
	for n in {3..25}; do
		ln -s "/proc/self/fd/$n/$up$T/hostprogram" "$ROOTFS/entry$n"
	done
	for n in {3..25}; do
		args "/entry$n"
		rt run --bundle "$BUNDLE" "$ID"
		((STATUS != 0)) || fail "entry$n was executed: $OUT"
		lacks "$OUT" escaped
	done
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	for n in {3..25}; do
		rt exec "$ID" "/entry$n"
		((STATUS != 0)) || fail "exec of entry$n: $OUT"
		lacks "$OUT" escaped
	done
	silent delete --force "$ID"
}

@test "a masked file is no handle on the mode or owner of the host's /dev/null" {
	before=$(stat -c '%a %u:%g' /dev/null)
	config '.linux.maskedPaths = ["/proc/version"] | .linux.readonlyPaths = []'
	caps CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE
	inside 'chmod 600 /proc/version && echo changed; chown 5 /proc/version && echo changed
		cat /proc/version; echo x >/proc/version && echo written'
	is "$(stat -c '%a %u:%g' /dev/null)" "$before" 'the host null device'
	lacks "$OUT" changed
	has "$OUT" written
}

@test "a device of the host's in a user namespace that maps its owner is no handle on its mode, owner or times" {
	own_users
	before=$(stat -c '%a %u:%g %y' /dev/full)
	config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
	caps CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE
	# The mode that it has anyway, so that nobody suffers if it can be set.
	inside 'chmod 666 /dev/full && echo changed; chown 0:0 /dev/full && echo changed; touch /dev/full && echo changed
		echo x >/dev/null && echo written; head -c 3 /dev/zero | wc -c'
	lacks "$OUT" changed
	has "$OUT" written
	has "$OUT" 3
	is "$(stat -c '%a %u:%g %y' /dev/full)" "$before" 'the host device'
}

@test "a startContainer hook gets no handle on the mode of the host's /dev/null" {
	before=$(stat -c '%a %u:%g' /dev/null)
	config '.hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", "chmod 640 /proc/self/fd/1; exit 0"]}]'
	args true
	rt run --bundle "$BUNDLE" "$ID"
	is "$(stat -c '%a %u:%g' /dev/null)" "$before" 'the host null device'
}

@test "CVE-2016-9962: a spy inside sees no root and no directory of the host in exec's processes" {
	own_rootfs
	mkdir "$T/canary"
	: >"$T/canary/of-the-host"
	caps CAP_SYS_PTRACE CAP_DAC_OVERRIDE
	# It looks at every process but itself for a root with the canary, and for a
	# descriptor that leads to one.
	args sh -c 'echo ready
		while [ ! -e /tmp/stop ]; do
			for p in /proc/[0-9]*; do
				[ "$p" = /proc/1 ] && continue
				[ -e $p/root'"$T"'/canary/of-the-host ] && echo root >>/tmp/seen
				[ -e $p/cwd/../../../../../../../..'"$T"'/canary/of-the-host ] && echo cwd >>/tmp/seen
				for f in $p/fd/*; do
					[ -e $f/../../../../../../../..'"$T"'/canary/of-the-host ] && echo "fd ${f##*/}" >>/tmp/seen
				done
			done 2>/dev/null
		done'
	ok run --detach --bundle "$BUNDLE" "$ID"
	for _ in {1..60}; do
		rt exec "$ID" true
	done
	: >"$ROOTFS/tmp/stop"
	[[ ! -e $ROOTFS/tmp/seen ]] || fail "the spy saw: $(sort "$ROOTFS/tmp/seen" | uniq -c)"
	silent delete --force "$ID"
}

@test "a device in the image under the name of passwd is not opened on the host" {
	own_rootfs
	rm "$ROOTFS/etc/passwd"
	mkfifo "$ROOTFS/etc/passwd"
	# Whoever opens a fifo for reading waits for a writer.
	args sh -c 'echo "home $HOME"'
	RT_TIMEOUT=5 rt run --bundle "$BUNDLE" "$ID"
	is "$STATUS:$OUT" '0:home /'
}

@test "a volume is not mounted over /proc through a link in the image" {
	own_rootfs
	ln -s /proc "$ROOTFS/vol"
	config '.mounts += [{destination: "/vol", type: "tmpfs", source: "tmpfs"}]'
	args sh -c 'cat /proc/self/comm'
	rt run --bundle "$BUNDLE" "$ID"
	((STATUS == 1)) || fail "it runs: $OUT"
	has "$ERR" procfs
	nothing_left
}

# picture_of_null: what of the host's null device its owner could change. Its times tell of
# every change.
picture_of_null() { stat -c '%F %t:%T %a %u:%g %y %z' /dev/null; }

# NULL_ATTACKS do what changes nothing but the time of the change, so that nobody suffers.
NULL_ATTACKS='for fd in 0 1 2; do chmod 666 /proc/self/fd/$fd; chown 0:0 /proc/self/fd/$fd; touch /proc/self/fd/$fd; done
	cat; echo discarded; echo discarded >&2; for fd in 0 1 2; do stat -Lc %t:%T /proc/$$/fd/$fd; done | sort | uniq -c >/tmp/said'

@test "streams on the null device are no handle on the mode, owner or times of the host's" {
	needs_root 'nobody else can change it'
	own_users
	local before users
	own_rootfs
	caps CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE
	config '.mounts |= map(select(.destination != "/tmp"))'
	before=$(picture_of_null)
	for users in '[]' '[{"containerID": 0, "hostID": 0, "size": 65536}]'; do
		config '.linux.namespaces |= map(select(.type != "user")) | if $m != [] then
			.linux.namespaces += [{type: "user"}] | .linux.uidMappings = $m | .linux.gidMappings = $m else . end' --argjson m "$users"
		args sh -c "$NULL_ATTACKS"
		"$RUNTIME" "${STATE[@]}" run --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
		is "$(picture_of_null)" "$before" "the host's null device, with mappings $users"
		is "$(tr -s ' ' <"$ROOTFS/tmp/said")" ' 3 1:3'
		args sleep 60
		ok run --detach --bundle "$BUNDLE" "$ID"
		"$RUNTIME" "${STATE[@]}" exec "$ID" sh -c "$NULL_ATTACKS" </dev/null >/dev/null 2>&1
		is "$(picture_of_null)" "$before" "the host's null device, after exec with mappings $users"
		is "$(tr -s ' ' <"$ROOTFS/tmp/said")" ' 3 1:3'
		silent delete --force "$ID"
	done
}

@test "exec with streams on the null device where the container's is something else" {
	needs_root 'nobody else can change it'
	own_users
	local before there
	before=$(picture_of_null)
	own_rootfs
	caps CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE CAP_MKNOD
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	for there in ':' 'ln -s /dev/zero /dev/null' 'echo text >/dev/null' 'mkfifo /dev/null' 'mknod /dev/null c 1 5' 'mkdir /dev/null' 'mknod /dev/null b 1 3'; do
		ok exec "$ID" sh -c "rm -rf /dev/null; $there"
		"$RUNTIME" "${STATE[@]}" exec "$ID" sh -c "$NULL_ATTACKS" </dev/null >/dev/null 2>&1
		is "$(picture_of_null)" "$before" "the host's null device, after $there"
		is "$(tr -s ' ' <"$ROOTFS/tmp/said")" ' 3 1:3' "the streams after $there"
	done
}
