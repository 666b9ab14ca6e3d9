#!/usr/bin/env bats
# Masked and read-only paths.

load helpers

@test "masked: a file reads empty, a directory is empty, neither can be written" {
	own_rootfs
	echo secret >"$ROOTFS/secret"
	mkdir "$ROOTFS/hidden"
	echo secret >"$ROOTFS/hidden/file"
	config '.linux.maskedPaths += ["/secret", "/hidden"]'
	inside 'cat /secret; ls -A /hidden; touch /hidden/x; echo x >/secret; stat -c "%F %t:%T" /secret'
	is "$OUT" 'character special file 1:3'
	has "$ERR" 'Read-only file system'
	is "$(<"$ROOTFS/secret")" secret
	is "$(<"$ROOTFS/hidden/file")" secret
}

@test "masked: a missing path is passed over, and none is made" {
	own_rootfs
	config '.linux.maskedPaths += ["/missing", "/missing/deeper"]'
	if is_oci_mini; then
		config '.linux.maskedPaths += ["/etc/passwd/below"] | .linux.readonlyPaths += ["/etc/passwd/below"]'
	fi
	inside_ok 'ls -d /missing 2>&1; true'
	has "$OUT" 'No such file'
	[[ ! -e $ROOTFS/missing ]]
}

@test "masked and read-only: a duplicate is one mount, an overlap does no harm" {
	own_rootfs
	mkdir "$ROOTFS/hidden" "$ROOTFS/fixed"
	echo secret >"$ROOTFS/hidden/file"
	echo secret >"$ROOTFS/secret"
	config '.linux.maskedPaths += ["/hidden", "/hidden", "/secret", "/secret", "/hidden/file"]
		| .linux.readonlyPaths += ["/fixed", "/fixed", "/hidden", "/secret"]'
	inside 'ls -A /hidden; cat /secret; touch /fixed/x'
	is "$OUT" ''
	has "$ERR" 'Read-only file system'
	inside 'for p in hidden secret fixed; do echo "$p $(grep -c " /$p " /proc/self/mountinfo)"; done'
	is "$OUT" $'hidden 2\nsecret 2\nfixed 1' 'mounts on each path'
}

@test "masked: a symlink in the path is followed inside the rootfs only" {
	own_rootfs
	mkdir "$T/canary"
	echo canary >"$T/canary/file"
	ln -s "$T/canary/file" "$ROOTFS/link"
	echo secret >"$ROOTFS/secret"
	ln -s secret "$ROOTFS/inner"
	config '.linux.maskedPaths += ["/link", "/inner"]'
	inside 'cat /secret /inner'
	is "$(<"$T/canary/file")" canary
	((STATUS != 0)) || is "$OUT" ''
}

@test "masked: /dev/null swapped in the rootfs does not unmask" {
	own_rootfs
	config '.mounts |= map(select(.destination | startswith("/dev") | not)) | .linux.maskedPaths = ["/proc/kcore", "/secret"]'
	echo secret >"$ROOTFS/secret"
	ln -s /proc/sys/kernel/core_pattern "$ROOTFS/dev/null"
	before=$(</proc/sys/kernel/core_pattern)
	inside 'cat /secret; echo x >/secret'
	lacks "$OUT" core
	((STATUS != 0)) || is "$OUT" ''
	is "$(</proc/sys/kernel/core_pattern)" "$before" core_pattern
}

@test "the default masks and read-only paths hold" {
	caps CAP_DAC_OVERRIDE
	refusal='Read-only file system'
	[[ $WORLD == root ]] || refusal+='\|Permission denied' # which comes first for the files of the host's root
	inside '
		for p in $(echo "$1"); do
			if [ -d $p ]; then ls -A $p; elif [ -e $p ]; then cat $p; fi
		done
		for p in $(echo "$2"); do
			if [ -d $p ]; then p=$(find $p -type f | head -n 1); fi
			[ ! -e "$p" ] || { : >>$p; } 2>&1 | grep -v "$3"
		done
		for p in $(echo "$2"); do
			[ ! -e $p ] || awk -v p=$p "\$5 == p && \$6 ~ /^ro/ { ro = 1 } END { exit !ro }" /proc/self/mountinfo || echo "$p is not read-only"
		done' "$(jq -r '.linux.maskedPaths[]' "$BUNDLE/config.json")" "$(jq -r '.linux.readonlyPaths[]' "$BUNDLE/config.json")" "$refusal"
	is "$OUT" '' 'what masks show and what may be written'
	is "$ERR" ''
	[[ -e /proc/sys/kernel/printk ]]
	inside ': >>/proc/sys/kernel/printk'
	like "$ERR" "${refusal//\\|/|}"
}

@test "read-only: a file, a directory with what is mounted below, a missing one" {
	own_rootfs
	echo fixed >"$ROOTFS/fixed"
	mkdir "$ROOTFS/dir"
	mount_add /dir/below tmpfs tmpfs
	config '.linux.readonlyPaths += ["/fixed", "/dir", "/missing"]'
	inside 'cat /fixed; echo x >/fixed; touch /dir/x; touch /free && echo free'
	is "$OUT" $'fixed\nfree'
	is "$(grep -c 'Read-only file system' <<<"$ERR")" 2 'refused writes'
	is "$(<"$ROOTFS/fixed")" fixed
	[[ ! -e $ROOTFS/missing ]]
}

@test "read-only keeps the flags of the mount it lies on" {
	own_rootfs
	mount_add /mnt tmpfs tmpfs nosuid nodev noexec
	config '.linux.readonlyPaths += ["/mnt"]'
	inside_ok 'grep " /mnt " /proc/self/mountinfo | tail -n 1'
	like "$OUT" 'ro,nosuid,nodev,noexec'
}

@test "a relative path is refused" {
	only_oci_mini "a masked or read-only path must be absolute"
	config '.linux.maskedPaths += ["relative"]'
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" /linux/maskedPaths/
	new_bundle "$BUNDLE"
	config '.linux.readonlyPaths += ["relative"]'
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" /linux/readonlyPaths/
	nothing_left
}
