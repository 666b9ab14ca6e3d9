#!/usr/bin/env bats
# Containers of a user without any privilege. The suite's root becomes that user: a
# bare number where the ids need no helper, else one who exists in a private mount
# namespace, with /etc/passwd, /etc/subuid and /etc/subgid of the test.
# shellcheck disable=SC2034,SC2154 # USER_ENV is of rootless.bash; STATUS, OUT, ERR and what setup makes of helpers.bash

load helpers
load rootless

setup() { user_setup; }
teardown() { user_teardown; }

@test "rootless: one id needs no helper, and the state is below XDG_RUNTIME_DIR" {
	args sh -c 'id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; echo $$; ls /dev; stat -c %t:%T /dev/null /dev/tty; : >/dev/null'
	user_ok run --bundle "$BUNDLE" "$ID"
	is "$(head -n 6 <<<"$OUT" | tr -s ' ')" $'0\n0\n 0 2001 1\n 0 2001 1\ndeny\n1'
	has "$OUT" $'\n1:3\n5:0'
	is "$(stat -c '%a %u' "$T/xdg/oci-mini")" '1700 2001'
	is "$(ls "$T/xdg/oci-mini")" ''
	is "$(ls "$ROOT")" ''
}

@test "rootless: without the tolerance, the cgroup itself is what cannot be made" {
	user_refused 'make the cgroup' --rootless=false run --bundle "$BUNDLE" "$ID"
	user_refused '"maybe" is not true, false or auto' --rootless maybe run --bundle "$BUNDLE" "$ID"
	user_ok --rootless=true --cgroup-manager disabled run --bundle "$BUNDLE" "$ID"
	is "$ERR" ''
}

@test "rootless: a warning, once, says that there is no cgroup; a limit is an error" {
	user_ok run --bundle "$BUNDLE" "$ID"
	like "$ERR" '^oci-mini: warning: the container has no cgroup, so that it cannot be limited or paused: access /sys/fs/cgroup[^ ]*: permission denied$'
	user_ok --log "$T/xdg/log" --log-format json run --bundle "$BUNDLE" "$ID"
	is "$ERR" ''
	is "$(jq -r .level "$T/xdg/log")" warning
	has "$(jq -r .msg "$T/xdg/log")" 'the container has no cgroup'

	need_controller memory
	need_controller pids
	config '.linux.resources.memory.limit = 10000000 | .linux.resources.pids.limit = 10'
	user_refused '/linux/resources/memory/limit: no limit can be set: access ' run --bundle "$BUNDLE" "$ID"
	has "$ERR" '/linux/resources/pids/limit: no limit can be set: '
	user_refused 'permission denied' --log "$T/xdg/log2" --log-format json run --bundle "$BUNDLE" "$ID"
	is "$(jq -r .level "$T/xdg/log2")" error
}

@test "rootless: create, start, exec, ps, kill, list and delete" {
	args sh -c 'trap "exit 7" TERM; while :; do sleep 0.1; done'
	user_ok create --bundle "$BUNDLE" "$ID"
	is "$OUT$ERR" ''
	user_ok exec "$ID" id -u
	is "$OUT" 0
	user_ok start "$ID"
	user_ok state "$ID"
	is "$(jq -r .status <<<"$OUT")" running
	local pid
	pid=$(jq .pid <<<"$OUT")
	is "$(awk '$1 == "Uid:" { print $2 }' "/proc/$pid/status")" 2001 "the process's user outside"
	user_ok list --quiet
	is "$OUT" "$ID"
	user_ok exec "$ID" sh -c 'readlink /proc/self/ns/user; cat /proc/1/comm; echo $PPID'
	is "$OUT" "$(readlink "/proc/$pid/ns/user")"$'\nsh\n0'
	user_ok ps --format json "$ID"
	has "$(jq -c . <<<"$OUT")" "[$pid"
	user_ok ps "$ID"
	has "$OUT" 'sleep 0.1'
	user_refused 'cannot delete container' delete "$ID"
	user_ok kill "$ID" TERM
	wait_for user_stopped
	user_ok delete "$ID"
	user_ok list --quiet
	is "$OUT" ''
}

@test "rootless: what needs a cgroup says so" {
	args sleep 100
	user_ok create --bundle "$BUNDLE" "$ID"
	user_refused 'it was created without a cgroup, and nothing else can freeze a container' pause "$ID"
	user_refused 'it was created without a cgroup' update --memory 10m "$ID"
	user_refused 'it was created without a cgroup, which would count for it' events --stats "$ID"
	user_ok kill --all "$ID" KILL
	user_ok delete --force "$ID"
}

@test "rootless: a terminal, of run and of exec" {
	args sleep 100
	user_ok create --bundle "$BUNDLE" "$ID"
	as_user script -qec "$RUNTIME exec --tty $ID sh -c 'tty; test -t 0 && echo yes'" /dev/null 2>&1 </dev/null | sed 's/^^@//' >"$T/typescript"
	has "$(tr -d '\r' <"$T/typescript")" $'/dev/pts/0\nyes'
	user_ok delete --force "$ID"
	args sh -c 'tty; stat -c %t:%u /dev/console'
	config '.process.terminal = true'
	as_user script -qec "$RUNTIME --log $T/xdg/log run --bundle $BUNDLE $ID" /dev/null 2>&1 </dev/null | sed 's/^^@//' >"$T/typescript"
	has "$(tr -d '\r' <"$T/typescript")" $'/dev/pts/0\n88:0'
}

@test "rootless: hooks run in the runtime's and in the container's namespaces" {
	cp -a "$SHARED/rootfs" "$BUNDLE/rootfs"
	chown -R 2001:2001 "$BUNDLE/rootfs"
	args cat /tmp/start
	config '.root = {path: "rootfs"} | .hooks = {
		createRuntime: [{path: "/bin/sh", args: ["sh", "-c", "id -u >\($o)/runtime"]}],
		createContainer: [{path: "/bin/sh", args: ["sh", "-c", "id -u >rootfs/tmp/container; readlink /proc/self/ns/mnt >>rootfs/tmp/container"]}],
		startContainer: [{path: "/bin/sh", args: ["sh", "-c", "id -u >/tmp/start"]}],
		poststop: [{path: "/bin/sh", args: ["sh", "-c", "id -u >\($o)/stop"]}]}' --arg o "$T/xdg"
	user_ok run --bundle "$BUNDLE" "$ID"
	is "$OUT" 0
	is "$(<"$T/xdg/runtime")" 2001
	is "$(head -n 1 "$BUNDLE/rootfs/tmp/container")" 0
	lacks "$(<"$BUNDLE/rootfs/tmp/container")" "$(readlink /proc/self/ns/mnt)"
	is "$(<"$T/xdg/stop")" 2001
	is "$(stat -c %u "$BUNDLE/rootfs/tmp/start")" 2001
	user_ok create --bundle "$BUNDLE" "$ID"
	rm "$BUNDLE/rootfs/tmp/start"
	user_ok start "$ID"
	wait_for test -s "$BUNDLE/rootfs/tmp/start"
}

@test "rootless: what is made inside belongs to the user outside" {
	mkdir "$BUNDLE/data" "$BUNDLE/closed"
	chown 2001:2001 "$BUNDLE/data"
	chmod 700 "$BUNDLE/closed"
	echo shared >"$BUNDLE/data/seen"
	mount_add /mnt/full bind data bind
	args sh -c 'cat /mnt/full/seen; touch /mnt/full/made; stat -c %u /mnt/full/made; touch /bin/x'
	user_rt run --bundle "$BUNDLE" "$ID"
	((STATUS != 0)) || fail "a file was made in a root that is read-only"
	is "$OUT" $'shared\n0'
	is "$(stat -c %u "$BUNDLE/data/made")" 2001
	config '.mounts[-1].source = "closed" | .process.args = ["ls", "/mnt/full"]'
	user_rt run --bundle "$BUNDLE" "$ID"
	has "$ERR" 'Permission denied'
}

@test "rootless: without a user namespace in the config, the error says what to do" {
	config '.linux |= del(.uidMappings, .gidMappings) | .linux.namespaces |= map(select(.type != "user"))'
	user_refused '/linux/namespaces: without a user namespace in it, only root can run this config; `oci-mini spec --rootless`' run --bundle "$BUNDLE" "$ID"
}

@test "rootless: groups that cannot be set are refused, and the caller's stay" {
	config '.process.user.additionalGids = [0]'
	user_refused '/process/user/additionalGids: groups cannot be set where a user without privileges maps one group alone' run --bundle "$BUNDLE" "$ID"
	has "$ERR" /etc/subgid
	reset_config
	args sh -c 'grep ^Groups: /proc/self/status'
	STATUS=0
	OUT=$(setpriv --reuid 2001 --regid 2001 --groups 2001,2002 env XDG_RUNTIME_DIR="$T/xdg" OCI_TEST_MARK="$MARK" "$RUNTIME" --log "$T/xdg/log" run --bundle "$BUNDLE" "$ID") || STATUS=$?
	is "$STATUS $(tr -s '\t ' ' ' <<<"$OUT")" '0 Groups: 0 65534 '
}

@test "rootless: root's exec and start in a user's container, once its state is root's, have none of root's groups" {
	own_rootfs
	echo 'of the group' >"$ROOTFS/secret"
	chown 0:4242 "$ROOTFS/secret"
	chmod 640 "$ROOTFS/secret"
	chmod 711 "$OCI_TEST_TMP" "$T" "$BUNDLE"
	local groups='grep ^Groups: /proc/self/status; cat /secret 2>&1; true' said
	config '.hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", $s]}] | .annotations["run.oci.hooks.stdout"] = $o' \
		--arg s "$groups" --arg o "$T/hook"
	args sleep 60
	user_ok create --bundle "$BUNDLE" "$ID"
	root_ok() { STATUS=0; OUT=$(setpriv --groups 4242,4243 "$RUNTIME" --root "$T/xdg/oci-mini" "$@" 2>"$T/err") || fail "$* by root: $(<"$T/err")"; }
	# As long as the state is the user's, root believes none of it: state_owner.bats.
	chown -R 0:0 "$T/xdg/oci-mini"
	root_ok start "$ID"
	root_ok exec "$ID" sh -c "$groups"
	for said in "$OUT" "$(<"$T/hook")"; do
		like "$said" $'^Groups:[\t ]*\n.*/secret.*: Permission denied$'
		lacks "$said" 'of the group'
	done
	root_ok delete --force "$ID"
}

@test "rootless: where the state goes without XDG_RUNTIME_DIR" {
	USER_ENV=(XDG_RUNTIME_DIR=)
	user_refused 'no directory for the state of containers: XDG_RUNTIME_DIR is not set and /run/user/2001 is not there to be written to' run --bundle "$BUNDLE" "$ID"
	has "$ERR" 'or name one with --root'
	user_refused 'XDG_RUNTIME_DIR is not set' list
	user_ok --root "$T/xdg/own" run --bundle "$BUNDLE" "$ID"
	user_ok features
	[[ ! -e /run/user/2001 ]] || skip "there is a /run/user/2001 already"
	mkdir -p /run/user/2001
	chown 2001:2001 /run/user/2001
	args sleep 100
	user_ok create --bundle "$BUNDLE" "$ID"
	local made
	made=$(ls /run/user/2001/oci-mini) || true
	user_ok delete --force "$ID"
	rm -rf /run/user/2001
	rmdir /run/user 2>/dev/null || true
	is "$made" "$ID"
}

@test "rootless: a host that forbids user namespaces is told by the name of its switch" {
	# The limit of a nested user namespace is its root's to set.
	config '.linux.uidMappings[0].hostID = 0 | .linux.gidMappings[0].hostID = 0'
	STATUS=0
	ERR=$(as_user unshare --user --map-root-user --mount sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"' sh \
		"$RUNTIME" --root "$T/xdg/own" run --bundle "$BUNDLE" "$ID" 2>&1) || STATUS=$?
	is "$STATUS" 1
	has "$ERR" 'user namespaces are switched off on this host: user.max_user_namespaces is 0; as root, set it to'
}

# switched NAME=VALUE: the user's commands see these kernel parameters below kernel., and a
# kernel that refuses to clone into new namespaces, as it does for one of the values.
switched() {
	mkdir -p "$T/kernel"
	cp /proc/sys/kernel/cap_last_cap /proc/sys/kernel/overflowuid "$T/kernel"
	printf '%s\n' "${1#*=}" >"$T/kernel/${1%=*}"
	chmod 755 "$T/kernel"
	# shellcheck disable=SC2016 # for the inner shell
	AS_USER=(unshare --mount sh -c 'mount --bind "$1" /proc/sys/kernel && shift && exec "$@"' sh "$T/kernel")
	IN_USER=(strace -f -o "$T/xdg/trace" -e trace=clone3 -e inject=clone3:error=EPERM)
}

@test "rootless: the switches of distributions are told by name too" {
	command -v strace >/dev/null || skip 'strace is missing: see tests/install-deps'
	switched unprivileged_userns_clone=0
	user_refused 'user namespaces are switched off on this host: kernel.unprivileged_userns_clone is 0; as root, set it to 1' run --bundle "$BUNDLE" "$ID"
	has "$ERR" 'clone3: operation not permitted (EPERM)'
	rm "$T/kernel/unprivileged_userns_clone"
	switched apparmor_restrict_unprivileged_userns=1
	user_refused 'user namespaces are switched off on this host: kernel.apparmor_restrict_unprivileged_userns is 1; as root, set it to 0, or a profile of AppArmor that lets oci-mini use them' run --bundle "$BUNDLE" "$ID"
}

# in_closed ARG...: rt as root where no cgroup can be made.
in_closed() {
	STATUS=0
	# shellcheck disable=SC2016 # for the inner shell
	ERR=$(OCI_TEST_MARK=$MARK unshare --mount sh -c 'for m in /sys/fs/cgroup $(awk "index(\$5, \"/sys/fs/cgroup/\") == 1 { print \$5 }" /proc/self/mountinfo); do
			mount -o remount,bind,ro "$m" || exit 9; done; exec "$@"' sh "$RUNTIME" --root "$ROOT" "$@" 2>&1 >/dev/null </dev/null) || STATUS=$?
}

@test "rootless: --rootless=true lets root go without a cgroup as well, false and auto do not" {
	only_cgroupfs 'it makes the cgroup by itself'
	new_bundle "$BUNDLE"
	config '.mounts |= map(select(.type != "cgroup"))'
	local mode
	for mode in false auto; do
		in_closed --rootless="$mode" run --bundle "$BUNDLE" "$ID"
		is "$STATUS" 1 "--rootless=$mode"
		has "$ERR" 'make the cgroup'
		has "$ERR" 'read-only file system (EROFS)'
	done
	in_closed --rootless=true run --bundle "$BUNDLE" "$ID"
	is "$STATUS" 0
	has "$ERR" 'warning: the container has no cgroup, so that it cannot be limited or paused: access /sys/fs/cgroup'
	local field=/linux/resources/pids/limit
	config '.linux.resources.pids.limit = 100'
	if cgroup2 && ! grep -qw pids /sys/fs/cgroup/cgroup.controllers; then
		need_controller hugetlb
		field=/linux/resources/hugepageLimits/0/limit
		config 'del(.linux.resources.pids) | .linux.resources.hugepageLimits = [{pageSize: "2MB", limit: 0}]'
	fi
	in_closed --rootless=true run --bundle "$BUNDLE" "$ID"
	is "$STATUS" 1
	has "$ERR" "$field: no limit can be set: access /sys/fs/cgroup"
}

@test "rootless: the binary stays out of reach, whoever owns it" {
	args sh -c 'exe=$(readlink /proc/self/exe); cat /proc/1/comm; sh -c "exec 3>>/proc/1/exe" && echo open'
	user_rt run --bundle "$BUNDLE" "$ID"
	is "$OUT" sh
	# A user's own binary is sealed before anything runs.
	cp "$RUNTIME" "$T/xdg/oci-mini-own"
	chown 2001 "$T/xdg/oci-mini-own"
	local sum
	sum=$(sha256sum <"$T/xdg/oci-mini-own")
	config '.process.args = ["/proc/self/exe", "--version"]'
	RUNTIME=$T/xdg/oci-mini-own user_rt run --bundle "$BUNDLE" "$ID"
	is "$(head -n 1 <<<"$OUT")" "$(<"$SHARED/version")"
	is "$(sha256sum <"$T/xdg/oci-mini-own")" "$sum"
	args sleep 100
	RUNTIME=$T/xdg/oci-mini-own user_ok create --bundle "$BUNDLE" "$ID"
	local pid
	pid=$(jq .pid < <(user_rt state "$ID"; echo "$OUT"))
	refute as_user sh -c "exec 3>>/proc/$pid/exe"
}

@test "rootless: the first commands of docs/rootless.md work as they are printed" {
	local line count=0
	while IFS= read -r line; do
		# shellcheck disable=SC2016 # its arguments
		as_user bash -c 'cd "$1" && oci-mini() { "$runtime" "$@"; } && runtime=$2 && eval "$3"' bash \
			"$T/xdg" "$RUNTIME" "$line" </dev/null >"$T/out" 2>"$T/err" 3>&- || fail "\$ $line" "$(cat "$T/out" "$T/err")"
		count=$((count + 1))
	done < <(awk '/^    /{sub(/^    /, ""); sub(/ +# .*/, ""); print; shown = 1; next} shown {exit}' "$REPO/docs/rootless.md")
	is "$count" 3 commands
	has "$(<"$T/out")" 'uid=0(root) gid=0(root)'
}
