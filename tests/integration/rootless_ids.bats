#!/usr/bin/env bats
# Ranges of ids of a user without privileges: newuidmap and newgidmap really write the
# maps, as an /etc/subuid and /etc/subgid allow that only the test's user sees; and each way
# in which that goes wrong has its words.
# shellcheck disable=SC2016 # for the inner shells
# shellcheck disable=SC2034,SC2154 # STATUS, OUT, ERR and what setup makes are of helpers.bash

load helpers
load rootless

setup() { user_setup; }
teardown() { user_teardown; }

# shared: a directory of the user's, seen on /mnt/full.
shared() {
	mkdir "$BUNDLE/data"
	chown 2001:2001 "$BUNDLE/data"
	chmod 711 "$OCI_TEST_TMP" "$T" "$BUNDLE"
	mount_add /mnt/full bind data bind
}

@test "rootless ids: files of other ids inside have the subordinate ids outside" {
	ranges
	shared
	caps CAP_CHOWN CAP_SETUID CAP_SETGID
	config '.process.user = {uid: 0, gid: 0, additionalGids: [5, 65536]}'
	args sh -c 'cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; id -G
		cd /mnt/full && touch root user last && chown 1000:1000 user && chown 65536:65536 last && stat -c %u:%g root user last
		chown 65537 last 2>&1; su user -s /bin/sh -c "id -u; touch /mnt/full/no" 2>&1; true'
	user_ok run --bundle "$BUNDLE" "$ID"
	is "$(head -n 6 <<<"$OUT" | tr -s ' ')" $' 0 2001 1\n 1 300000 65536\n 0 2001 1\n 1 300000 65536\nallow\n0 5 65536'
	has "$OUT" $'\n0:0\n1000:1000\n65536:65536\n'
	has "$OUT" 'Invalid argument'
	has "$OUT" $'\n1000\ntouch: /mnt/full/no: Permission denied'
	is "$(cd "$BUNDLE/data" && stat -c '%n %u:%g' last root user)" $'last 365535:365535\nroot 2001:2001\nuser 300999:300999'
	[[ ! -e $BUNDLE/data/no ]]
}

@test "rootless ids: create, exec as root and as others, kill and delete of processes of subordinate ids" {
	ranges
	shared
	chmod 777 "$BUNDLE/data"
	config '.process.user = {uid: 1000, gid: 1000}'
	args sh -c 'sleep 100 & touch /mnt/full/main; exec sleep 101'
	user_ok create --bundle "$BUNDLE" "$ID"
	user_ok exec "$ID" id -u
	is "$OUT" 1000
	user_ok exec --user 0 "$ID" sh -c 'id -u; echo $PPID'
	is "$OUT" $'0\n0'
	user_ok start "$ID"
	wait_for test -e "$BUNDLE/data/main"
	is "$(stat -c %u:%g "$BUNDLE/data/main")" 300999:300999
	user_ok state "$ID"
	local pid
	pid=$(jq .pid <<<"$OUT")
	is "$(awk '$1 == "Uid:" { print $2 }' "/proc/$pid/status")" 300999 'the first process outside'
	user_ok exec --user 1000 "$ID" sh -c 'touch /mnt/full/by-exec; kill -0 1 && id -u'
	is "$OUT" 1000
	is "$(stat -c %u "$BUNDLE/data/by-exec")" 300999
	user_ok exec --user 7:8 --additional-gids 9 "$ID" sh -c 'id -u; id -g; id -G'
	is "$OUT" $'7\n8\n8 9'
	user_ok ps "$ID"
	has "$OUT" 'sleep 100'
	user_rt exec --user 70000 "$ID" true
	is "$STATUS" 255
	has "$ERR" '/process/user/uid: 70000 is not mapped'
	user_ok kill "$ID" KILL
	wait_for user_stopped
	user_ok delete "$ID"
	# one that runs, and one that waits
	user_ok run --detach --bundle "$BUNDLE" "$ID"
	user_ok delete --force "$ID"
	user_ok create --bundle "$BUNDLE" "$ID"
	user_ok delete --force "$ID"
	is "$(marked)" '' 'processes left'
	is "$(ls "$T/xdg/oci-mini")" ''
}

@test "rootless ids: hooks and a terminal of a container whose user is another" {
	ranges
	cp -a "$SHARED/rootfs" "$BUNDLE/rootfs"
	chown -R 2001:2001 "$BUNDLE/rootfs"
	chmod 711 "$OCI_TEST_TMP" "$T" "$BUNDLE"
	args sh -c 'tty; stat -c %u:%g "$(tty)" /dev/console; cat /tmp/container'
	config '.root = {path: "rootfs"} | .process.user = {uid: 1000, gid: 1000} | .process.terminal = true | .hooks = {
		createRuntime: [{path: "/bin/sh", args: ["sh", "-c", "id -u >\($o)/runtime"]}],
		createContainer: [{path: "/bin/sh", args: ["sh", "-c", "id -u >rootfs/tmp/container"]}],
		startContainer: [{path: "/bin/sh", args: ["sh", "-c", "id -u >/tmp/start"]}],
		poststop: [{path: "/bin/sh", args: ["sh", "-c", "id -u >\($o)/stop"]}]}' --arg o "$T/xdg"
	as_user script -qec "$RUNTIME --log $T/xdg/log run --bundle $BUNDLE $ID" /dev/null 2>&1 </dev/null | sed 's/^^@//' >"$T/typescript"
	has "$(tr -d '\r' <"$T/typescript")" $'/dev/pts/0\n1000:0\n1000:0\n0'
	is "$(<"$T/xdg/runtime"):$(<"$T/xdg/stop"):$(stat -c %u "$BUNDLE/rootfs/tmp/container")" 2001:2001:2001
	is "$(<"$BUNDLE/rootfs/tmp/start")" 1000
	# start is another process: it joins a first process that is 1000 already
	config '.process.terminal = false'
	rm "$BUNDLE/rootfs/tmp/start"
	user_ok create --bundle "$BUNDLE" "$ID"
	user_ok start "$ID"
	wait_for test -s "$BUNDLE/rootfs/tmp/start"
	user_ok delete --force "$ID"
}

@test "rootless ids: a second container in the namespaces of the first, by path" {
	local with
	for with in ids one; do
		reset_config
		[[ $with == one ]] || ranges
		config '.linux.namespaces |= (map(select(.type != "network")) + [{type: "network"}])'
		args sleep 100
		user_ok run --detach --bundle "$BUNDLE" "$ID"
		user_ok state "$ID"
		local pid
		pid=$(jq .pid <<<"$OUT")
		# all of them, then the user namespace alone, with others new
		reset_config
		config 'del(.linux.uidMappings, .linux.gidMappings, .hostname) | .linux.namespaces = [{type: "mount"}, {type: "user", path: ($p + "user")}, {type: "ipc", path: ($p + "ipc")},
			{type: "network", path: ($p + "net")}, {type: "pid", path: ($p + "pid")}, {type: "uts", path: ($p + "uts")}, {type: "cgroup", path: ($p + "cgroup")}]' --arg p "/proc/$pid/ns/"
		args sh -c 'id -u; for n in user ipc net pid uts cgroup; do readlink /proc/self/ns/$n; done; cat /proc/1/comm'
		user_ok run --bundle "$BUNDLE" "$ID.b"
		is "$OUT" "0"$'\n'"$(for n in user ipc net pid uts cgroup; do readlink "/proc/$pid/ns/$n"; done)"$'\nsleep'
		config '.linux.namespaces |= map(if .type == "user" then . else del(.path) end) | .hostname = "second"'
		args sh -c 'id -u; readlink /proc/self/ns/user; hostname; echo $$'
		user_ok run --bundle "$BUNDLE" "$ID.b"
		is "$OUT" "0"$'\n'"$(readlink "/proc/$pid/ns/user")"$'\nsecond\n1'
		args sleep 100
		user_ok create --bundle "$BUNDLE" "$ID.b"
		user_ok exec "$ID.b" sh -c 'id -u; hostname'
		is "$OUT" $'0\nsecond'
		user_ok delete --force "$ID.b"
		config '.process.user.uid = 70000'
		user_refused '/process/user/uid: 70000 is not mapped: its uid_map has ' create --bundle "$BUNDLE" "$ID.b"
		user_ok delete --force "$ID"
	done
}

@test "rootless ids: no line, another user's, too few ids, others: each names file and line" {
	ranges
	named_user
	user_refused '/linux/uidMappings (have newuidmap write uid_map): /etc/subuid has no line for ociuser, who can map no user but their own: it needs the line ociuser:300000:65536' run --bundle "$BUNDLE" "$ID"
	named_user other:300000:65536
	user_refused '/etc/subuid has no line for ociuser' run --bundle "$BUNDLE" "$ID"
	named_user ociuser:300000:1000
	user_refused '/etc/subuid gives ociuser only 1000 ids from 300000 on (300000-300999), and the mapping takes 65536: it needs the line ociuser:300000:65536, or the mapping a smaller size' run --bundle "$BUNDLE" "$ID"
	named_user ociuser:400000:65536
	user_refused 'users 300000-365535 are outside of what /etc/subuid gives ociuser (400000-465535)' run --bundle "$BUNDLE" "$ID"
	# lines that newuidmap passes over without a word
	named_user ociuser:300000
	user_refused '/etc/subuid has no sound line for ociuser, who can map no user but their own: it needs the line ociuser:300000:65536; line 1, "ociuser:300000", is not of the form NAME:FIRST:COUNT without spaces' run --bundle "$BUNDLE" "$ID"
	named_user $'ociuser:300000:65536\r'
	user_refused 'line 1, "ociuser:300000:65536\r", is not of the form' run --bundle "$BUNDLE" "$ID"
	named_user ' ociuser:300000:65536' ociuser:300000:1000
	user_refused '/etc/subuid gives ociuser only 1000 ids from 300000 on' run --bundle "$BUNDLE" "$ID"
	has "$ERR" 'line 1, " ociuser:300000:65536", is not of the form'
	named_user ociuser:300000:65536
	: >"$T/etc/upper/subgid"
	user_refused '/linux/gidMappings (have newgidmap write gid_map): /etc/subgid has no line for ociuser, who can map no group but their own: it needs the line ociuser:300000:65536' run --bundle "$BUNDLE" "$ID"
	rm "$T/etc/upper/subgid"
	mknod "$T/etc/upper/subgid" c 0 0 # a whiteout
	user_refused '/etc/subgid has no line for ociuser' run --bundle "$BUNDLE" "$ID"
	is "$(marked)" '' 'processes left'
	is "$(ls "$T/xdg/oci-mini")" ''
	# by number, and in two lines
	rm "$T/etc/upper/subgid"
	named_user 2001:300000:65536 ociuser:500000:1
	user_ok run --bundle "$BUNDLE" "$ID"
}

@test "rootless ids: a user whom nobody knows" {
	ranges
	named_user 2001:300000:65536
	sed -i '/^ociuser:/d' "$T/etc/upper/passwd"
	user_refused 'newuidmap refused: ' run --bundle "$BUNDLE" "$ID"
}

# with_helper COMMAND: the user's commands see a /usr/bin/newuidmap that a shell command
# has changed; in it "$h" is the file.
with_helper() {
	AS_USER+=(sh -c "h=\$(readlink -f \"\$(command -v newuidmap)\"); $1"' && exec "$@"' sh)
}

@test "rootless ids: newuidmap missing, without the setuid bit, on nosuid, without new privileges" {
	ranges
	: >"$T/empty"
	chmod 644 "$T/empty"
	with_helper "mount --bind $T/empty \$h"
	user_refused 'newuidmap is not installed: to map other ids than one'"'"'s own, a user needs it (package uidmap, or shadow-utils)' run --bundle "$BUNDLE" "$ID"
	named_user ociuser:300000:65536
	cp "$(command -v newuidmap)" "$T/plain"
	chmod 755 "$T/plain"
	with_helper "mount --bind $T/plain \$h"
	user_refused 'newuidmap has neither the setuid bit nor file capabilities: as root, chmod u+s ' run --bundle "$BUNDLE" "$ID"
	named_user ociuser:300000:65536
	with_helper 'mount --bind $h $h && mount -o remount,bind,nosuid $h'
	user_refused 'newuidmap is on a file system that is mounted nosuid' run --bundle "$BUNDLE" "$ID"
	named_user ociuser:300000:65536
	AS_USER+=(setpriv --no-new-privs)
	user_refused 'newuidmap has no effect for a process that may gain no privileges (no_new_privs)' run --bundle "$BUNDLE" "$ID"
}
