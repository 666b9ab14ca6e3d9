#!/usr/bin/env bats
# The runtime in a user namespace that somebody else has made, as `podman unshare` and
# `unshare --map-root-user` do: as root in there, and as another.
# shellcheck disable=SC2016 # for the inner shells
# shellcheck disable=SC2034,SC2154 # STATUS, OUT, ERR and what setup makes are of helpers.bash

load helpers
load rootless

setup() { user_setup; }
teardown() { user_teardown; }

# inside_of OPTION...: a user namespace that unshare(1) makes with these options; the
# user's commands are in it from then on.
inside_of() {
	rm -f "$T/xdg/holder"
	IN_USER=()
	background as_user unshare --user "$@" sh -c "echo \$\$ >$T/xdg/holder; exec sleep 1000"
	wait_for test -s "$T/xdg/holder"
	HOLDER=$(<"$T/xdg/holder")
	STARTED+=("$HOLDER")
	IN_USER=(nsenter --user="/proc/$HOLDER/ns/user" --preserve-credentials)
	[[ " $* " != *' --mount '* ]] || IN_USER+=(--mount="/proc/$HOLDER/ns/mnt")
}

# inside_ranges: one with the user as root and 65536 ids behind, as podman makes it.
inside_ranges() {
	ranges
	background as_user unshare --user sh -c "echo \$\$ >$T/xdg/first; exec sleep 1000"
	wait_for test -s "$T/xdg/first"
	local first
	first=$(<"$T/xdg/first")
	STARTED+=("$first")
	wait_for grep -q sleep "/proc/$first/comm" # until then it shows nothing to its user
	as_user newuidmap "$first" 0 2001 1 1 300000 65536
	as_user newgidmap "$first" 0 2001 1 1 300000 65536
	background as_user nsenter --user="/proc/$first/ns/user" unshare --mount sh -c "echo \$\$ >$T/xdg/holder; exec sleep 1000"
	wait_for test -s "$T/xdg/holder"
	HOLDER=$(<"$T/xdg/holder")
	STARTED+=("$HOLDER")
	IN_USER=(nsenter --user="/proc/$HOLDER/ns/user" --mount="/proc/$HOLDER/ns/mnt")
}

# plain: the default config, without a user namespace of its own.
plain() {
	printf '%s\n' "${TEMPLATE//@MARK@/$MARK}" >"$BUNDLE/config.json"
}

# own_users MAPPINGS: the default config with a user namespace of its own.
own_users() {
	plain
	config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = $m | .linux.gidMappings = $m' --argjson m "$1"
}

# without_gid: devpts without the group that is not mapped.
without_gid() {
	config '(.mounts[] | select(.type == "devpts") | .options) |= map(select(startswith("gid=") | not))'
}

# a_life: create, start, exec, kill and delete; OUTER is the uid outside.
a_life() {
	args sh -c 'trap "exit 7" TERM; while :; do sleep 0.1; done'
	user_ok create --bundle "$BUNDLE" "$ID"
	user_ok exec "$ID" id -u
	is "$OUT" 0
	user_ok start "$ID"
	user_ok state "$ID"
	is "$(jq -r .status <<<"$OUT")" running
	is "$(awk '$1 == "Uid:" { print $2 }' "/proc/$(jq .pid <<<"$OUT")/status")" "$1" 'user outside'
	user_ok exec "$ID" sh -c 'cat /proc/1/comm; echo $PPID; ls /dev; : >/dev/null'
	has "$OUT" $'sh\n0\n'
	user_ok ps "$ID"
	has "$OUT" 'sleep 0.1'
	user_ok kill "$ID" TERM
	wait_for user_stopped
	user_ok delete "$ID"
	is "$(ls "$T/xdg/oci-mini")" ''
}

@test "nested: root of one id, with and without a mount namespace of its own" {
	local mounts
	for mounts in --mount ''; do
		# shellcheck disable=SC2086 # one word or none
		inside_of --map-root-user $mounts
		plain
		user_refused '(devpts on /dev/pts): fsconfig ' run --bundle "$BUNDLE" "$ID"
		# Which option it is older kernels do not say.
		like "$ERR" "(devpts: Invalid gid '5'|fsconfig create: invalid argument) \(EINVAL\)"
		has "$ERR" 'hint: in a user namespace, only ids that are mapped there can own anything'
		without_gid
		args sh -c 'id -u; readlink /proc/self/ns/user; cat /proc/self/uid_map; hostname; echo $$'
		config '.hostname = "nested"'
		user_ok run --bundle "$BUNDLE" "$ID"
		is "$(tr -s ' ' <<<"$OUT")" $'0\n'"$(readlink "/proc/$HOLDER/ns/user")"$'\n 0 2001 1\nnested\n1'
		a_life 2001
		user_ok spec --rootless --bundle "$T/xdg"
		is "$(jq -c '[.linux.uidMappings, .linux.gidMappings]' "$T/xdg/config.json")" '[[{"containerID":0,"hostID":0,"size":1}],[{"containerID":0,"hostID":0,"size":1}]]'
		rm "$T/xdg/config.json"
		own_users '[{"containerID": 0, "hostID": 0, "size": 1}]'
		without_gid
		args sh -c 'id -u; readlink /proc/self/ns/user; cat /proc/self/uid_map /proc/self/setgroups'
		user_ok run --bundle "$BUNDLE" "$ID"
		lacks "$OUT" "$(readlink "/proc/$HOLDER/ns/user")"
		is "$(sed 2d <<<"$OUT" | tr -s ' ')" $'0\n 0 0 1\ndeny'
		a_life 2001
	done
}

@test "nested: ids and groups that the namespace around does not have are named" {
	inside_of --map-root-user --mount
	own_users '[{"containerID": 0, "hostID": 0, "size": 1}, {"containerID": 1, "hostID": 1, "size": 1000}]'
	user_refused '/linux/uidMappings: user 1 is not mapped in the user namespace that the runtime is in: its uid_map has 0 2001 1' run --bundle "$BUNDLE" "$ID"
	has "$ERR" '/linux/gidMappings: group 1 is not mapped in the user namespace that the runtime is in: its gid_map has 0 2001 1'
	plain
	without_gid
	config '.process.user.additionalGids = [0]'
	user_refused '/process/user/additionalGids: groups cannot be set' run --bundle "$BUNDLE" "$ID"
}

@test "nested: root of ranges, without a user namespace in the config" {
	inside_ranges
	plain
	mkdir -m 777 "$T/xdg/data"
	config '.process.user.additionalGids = [5, 65536] | .process.capabilities.bounding += ["CAP_CHOWN"] | .process.capabilities.effective += ["CAP_CHOWN"] | .process.capabilities.permitted += ["CAP_CHOWN"]'
	chmod 711 "$OCI_TEST_TMP" "$T" "$BUNDLE" "$T/xdg"
	mount_add /mnt/full bind "$T/xdg/data" bind
	args sh -c 'id -G; readlink /proc/self/ns/user; touch /mnt/full/a /mnt/full/b && chown 1000:1000 /mnt/full/b && stat -c %u:%g /mnt/full/b'
	user_ok run --bundle "$BUNDLE" "$ID"
	is "$OUT" $'0 5 65536\n'"$(readlink "/proc/$HOLDER/ns/user")"$'\n1000:1000'
	is "$(stat -c %u:%g "$T/xdg/data/a" "$T/xdg/data/b")" $'2001:2001\n300999:300999'
	a_life 2001
	config '.process.user = {uid: 1000, gid: 1000}'
	args id -u
	user_ok run --bundle "$BUNDLE" "$ID"
	is "$OUT" 1000
	config '.process.user = {uid: 70000, gid: 0}'
	user_refused '70000' run --bundle "$BUNDLE" "$ID"
}

@test "nested: root of ranges, with a user namespace whose lines span those around" {
	inside_ranges
	own_users '[{"containerID": 0, "hostID": 0, "size": 65537}]'
	args cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups
	user_ok run --bundle "$BUNDLE" "$ID"
	is "$(tr -s ' ' <<<"$OUT")" $' 0 0 1\n 1 1 65536\n 0 0 1\n 1 1 65536\nallow'
	a_life 2001
	own_users '[{"containerID": 0, "hostID": 1000, "size": 5000}]'
	args cat /proc/self/uid_map
	user_ok run --bundle "$BUNDLE" "$ID"
	is "$(tr -s ' ' <<<"$OUT")" ' 0 1000 5000'
	a_life 300999
	own_users '[{"containerID": 0, "hostID": 1, "size": 65537}]'
	user_refused '/linux/uidMappings: user 65537 is not mapped in the user namespace that the runtime is in: its uid_map has 0 2001 1, 1 300000 65536' run --bundle "$BUNDLE" "$ID"
	user_refused 'user 65537' explain --bundle "$BUNDLE" "$ID"
}

@test "nested: id-mapped mounts of file systems that belong to the namespace" {
	inside_ranges
	plain
	mkdir -m 777 "$T/xdg/data"
	chmod 711 "$OCI_TEST_TMP" "$T" "$BUNDLE" "$T/xdg"
	mount_add /mnt bind "$T/xdg/data" bind 'idmap=uids=0-0-10;gids=0-5-10'
	args stat -c %u:%g /mnt /mnt/file
	user_refused 'mount_setattr idmap: operation not permitted (EPERM)' run --bundle "$BUNDLE" "$ID"
	has "$ERR" "not the runtime's to map"
	as_user mount -t tmpfs none "$T/xdg/data"
	as_user touch "$T/xdg/data/file"
	if kernel_since 6.3; then
		user_ok run --bundle "$BUNDLE" "$ID"
		is "$OUT" $'0:5\n0:5'
	else
		user_refused "the file system at $T/xdg/data is tmpfs, which cannot be id-mapped" run --bundle "$BUNDLE" "$ID"
	fi
	config '.mounts[-1].options = ["bind", "idmap=uids=0-70000-10;gids=0-5-10"]'
	user_refused 'user 70000 is not mapped in the user namespace that the runtime is in: its uid_map has 0 2001 1, 1 300000 65536' run --bundle "$BUNDLE" "$ID"
}

@test "nested: a user of the namespace who is not its root" {
	inside_of --map-user=7 --map-group=8
	user_ok spec --rootless --bundle "$T/xdg"
	is "$(jq -c '[.linux.uidMappings[0].hostID, .linux.gidMappings[0].hostID]' "$T/xdg/config.json")" '[7,8]'
	rm "$T/xdg/config.json"
	reset_config
	config '.linux.uidMappings[0].hostID = 7 | .linux.gidMappings[0].hostID = 8'
	args sh -c 'id -u; cat /proc/self/uid_map'
	user_ok run --bundle "$BUNDLE" "$ID"
	is "$(tr -s ' ' <<<"$OUT")" $'0\n 0 7 1'
	a_life 2001
	config '.linux.uidMappings += [{containerID: 1, hostID: 300000, size: 10}]'
	user_refused '/linux/uidMappings: user 300000 is not mapped in the user namespace that the runtime is in' run --bundle "$BUNDLE" "$ID"
	plain
	user_refused 'without a user namespace' run --bundle "$BUNDLE" "$ID"
}

@test "nested: without CAP_SETFCAP, user 0 cannot be mapped, and is told" {
	inside_of --map-root-user --mount
	IN_USER+=(setpriv --bounding-set=-setfcap)
	own_users '[{"containerID": 0, "hostID": 0, "size": 1}]'
	without_gid
	user_refused '/linux/uidMappings/0: mapping user 0 takes CAP_SETFCAP, which the runtime lacks (user_namespaces(7))' run --bundle "$BUNDLE" "$ID"
}

@test "nested: the printed script" {
	inside_of --map-root-user --mount
	cp -a "$SHARED/rootfs" "$BUNDLE/rootfs"
	chown -R 2001:2001 "$BUNDLE/rootfs"
	chmod 711 "$OCI_TEST_TMP" "$T" "$BUNDLE"
	own_users '[{"containerID": 0, "hostID": 0, "size": 1}]'
	without_gid
	config '.root.path = "rootfs" | .hostname = "nested"'
	args sh -c 'id -u; hostname; cat /proc/self/uid_map'
	user_ok explain --format sh --bundle "$BUNDLE" "$ID"
	cp "$T/out" "$T/xdg/script"
	chmod 644 "$T/xdg/script"
	as_user sh "$T/xdg/script" </dev/null >"$T/out" 2>"$T/err" || fail "the script fails: $(<"$T/err")"
	is "$(tr -s ' ' <"$T/out")" $'0\nnested\n 0 0 1'
}
