#!/usr/bin/env bats
# Device nodes, links, and what the device filter lets through.

load helpers

@test "default devices: type, numbers and mode" {
	inside_ok 'stat -c "%n %F %t:%T %a %u:%g" /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty'
	owner=0:0
	[[ $WORLD == root ]] || owner=65534:65534 # the host's root, seen from a user namespace
	is "$OUT" "/dev/null character special file 1:3 666 $owner
/dev/zero character special file 1:5 666 $owner
/dev/full character special file 1:7 666 $owner
/dev/random character special file 1:8 666 $owner
/dev/urandom character special file 1:9 666 $owner
/dev/tty character special file 5:0 666 $owner"
}

@test "default links of /dev, and nothing else in it" {
	inside_ok 'cd /dev; for l in fd stdin stdout stderr ptmx; do echo "$l $(readlink $l)"; done; ls -A | grep -vx core'
	# The link core, to /proc/kcore, is optional.
	is "$OUT" "fd /proc/self/fd
stdin /proc/self/fd/0
stdout /proc/self/fd/1
stderr /proc/self/fd/2
ptmx pts/ptmx
fd
full
mqueue
null
ptmx
pts
random
shm
stderr
stdin
stdout
tty
urandom
zero"
}

@test "default devices can be used" {
	inside_ok 'echo x >/dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; echo x 2>&1 >/dev/full | grep -c space; test -c /dev/pts/ptmx'
	is "$(head -n 2 <<<"$OUT")" $'4\n4'
}

@test "a device of the config: made with mode and owner, allowed or not by its rule" {
	needs_host_users 'makes device nodes with other names and owners than those of the host'
	config '.linux.devices = [
		{type: "c", path: "/dev/mine", major: 1, minor: 5, fileMode: 432, uid: 7, gid: 8},
		{type: "c", path: "/dev/deep/er", major: 1, minor: 3, fileMode: 438},
		{type: "p", path: "/dev/pipe", fileMode: 384}]'
	inside_ok 'stat -c "%n %F %t:%T %a %u:%g" /dev/mine /dev/deep/er; stat -c "%F %a" /dev/pipe'
	is "$OUT" "/dev/mine character special file 1:5 660 7:8
/dev/deep/er character special file 1:3 666 0:0
fifo 600"
}

@test "a device path through a symlink stays inside" {
	needs_host_users 'makes device nodes'
	own_rootfs
	mkdir "$T/canary"
	config '.mounts |= map(select(.destination | startswith("/dev") | not))'
	ln -s "$T/canary" "$ROOTFS/dev/out"
	config '.linux.devices = [{type: "c", path: "/dev/out/node", major: 1, minor: 5, fileMode: 438}]'
	rt run --bundle "$BUNDLE" "$ID"
	is "$(ls -A "$T/canary")" '' 'files of the canary'
}

# A block device of this host as "MAJOR MINOR".
disk() {
	awk 'NR > 2 { print $1, $2; exit }' /proc/partitions
}

@test "the filter denies a disk: mknod or open gives EPERM" {
	needs_host_users 'makes device nodes'
	[[ $(disk) ]] || skip "no block device in /proc/partitions"
	read -r major minor < <(disk)
	caps CAP_MKNOD CAP_DAC_OVERRIDE CAP_SYS_ADMIN
	inside 'mknod /dev/disk b '"$major $minor"' && echo made; head -c 1 /dev/disk >/dev/null && echo opened'
	lacks "$OUT" opened
	has "$ERR" 'Operation not permitted'
}

# usable: finds a device that the container's root could open read-write on this host and
# no default rule allows, as $major and $minor. It becomes /dev/usable.
usable() {
	local device id
	id=$(outside 0)
	for device in /dev/fuse /dev/loop-control /dev/kmsg; do
		if setpriv --reuid "$id" --regid "$id" --clear-groups sh -c ': <>"$1"' sh "$device" 2>/dev/null; then
			major=$((0x$(stat -c %t "$device"))) minor=$((0x$(stat -c %T "$device")))
			caps CAP_MKNOD CAP_DAC_OVERRIDE CAP_SYS_ADMIN CAP_SYSLOG
			config '.linux.devices = [{type: "c", path: "/dev/usable", major: $a, minor: $b, fileMode: 384}]' \
				--argjson a "$major" --argjson b "$minor"
			return
		fi
	done
	skip "no device of this host can be opened to compare with"
}

@test "the filter denies what no rule allows, though the host can open it" {
	needs_root 'sets a device filter'
	usable
	inside '(: </dev/usable) && echo opened'
	is "$OUT" ''
	has "$ERR" 'Operation not permitted'
}

@test "the filter denies mem, kmsg and a disk" {
	needs_host_users 'makes device nodes that its root may open'
	read -r major minor < <(disk; echo 1 11)
	caps CAP_MKNOD CAP_DAC_OVERRIDE CAP_SYS_ADMIN CAP_SYS_RAWIO CAP_SYSLOG
	config '.linux.devices = [{type: "c", path: "/dev/kmsg", major: 1, minor: 11},
		{type: "c", path: "/dev/mem", major: 1, minor: 1},
		{type: "b", path: "/dev/disk", major: $a, minor: $b}]' --argjson a "$major" --argjson b "$minor"
	inside 'for d in kmsg mem disk; do (: </dev/$d) && echo opened $d; done'
	is "$OUT" ''
	is "$(grep -c 'Operation not permitted' <<<"$ERR")" 3 'denied opens'
}

@test "the filter lets through what a rule allows, and only with its access" {
	needs_root 'sets a device filter'
	usable
	config '.linux.resources.devices += [{allow: true, type: "c", major: $a, minor: $b, access: "r"}]' \
		--argjson a "$major" --argjson b "$minor"
	inside '(: </dev/usable) && echo read; (: <>/dev/usable) && echo both'
	is "$OUT" read
	has "$ERR" 'Operation not permitted'
}

@test "a rule with a wildcard minor, and one of the other type" {
	needs_root 'sets a device filter'
	usable
	config '.linux.resources.devices += [{allow: true, type: "c", major: $a, access: "rw"}]' --argjson a "$major"
	inside '(: <>/dev/usable) && echo both'
	is "$OUT" both
	config '.linux.resources.devices[-1].type = "b"'
	inside '(: <>/dev/usable) && echo both'
	is "$OUT" ''
}

@test "the filter keeps the order of rules: a later deny wins" {
	needs_host_users 'makes a device node that its root may open'
	caps CAP_MKNOD CAP_DAC_OVERRIDE CAP_SYS_ADMIN CAP_SYSLOG
	config '.linux.devices = [{type: "c", path: "/dev/kmsg", major: 1, minor: 11}]
		| .linux.resources.devices = [{allow: false, access: "rwm"},
			{allow: true, type: "c", major: 1, minor: 11, access: "rwm"},
			{allow: false, type: "c", major: 1, minor: 11, access: "rwm"}]'
	inside '(: </dev/kmsg) && echo opened'
	is "$OUT" ''
	has "$ERR" 'Operation not permitted'
}

@test "without any device rule the default is still to deny" {
	needs_host_users 'makes a device node that its root may open'
	caps CAP_MKNOD CAP_DAC_OVERRIDE CAP_SYS_ADMIN CAP_SYSLOG
	for rules in null '[]' '[{"allow": true, "type": "c", "major": 1, "minor": 8, "access": "r"}]'; do
		config '.linux.devices = [{type: "c", path: "/dev/kmsg", major: 1, minor: 11}]
			| .linux.resources.devices = $r' --argjson r "$rules"
		inside '(: </dev/kmsg) && echo opened; head -c 1 /dev/null'
		is "$OUT" '' "opened with rules $rules"
	done
}

@test "an allow-all rule allows" {
	needs_host_users 'makes device nodes'
	usable
	for rule in '{"allow": true, "access": "rwm"}' '{"allow": true, "type": "a", "access": "rwm"}'; do
		config '.linux.resources.devices = [$r]' --argjson r "$rule"
		inside "mknod /dev/made c $major $minor && : <>/dev/made && echo both"
		is "$OUT" both
	done
}
