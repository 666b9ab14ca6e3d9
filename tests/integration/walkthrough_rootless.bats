#!/usr/bin/env bats
# A simple usable container with namespaces: busybox, for a user without privileges.
# shellcheck disable=SC2034 # USER_ENV is of rootless.bash

load helpers
load walkthrough
load rootless

setup_rootless() {
	only_oci_mini "what it does for users"
	example rootless
	USER_ENV=(BUSYBOX_MK="$BUSYBOX_MK")
	mkdir -m 700 "$T/xdg"
	chown -R 2001:2001 "$BUNDLE" "$T/xdg"
	as_user make -s -C "$BUNDLE"
	config '.process.terminal = false | .process.env += ["OCI_TEST_MARK=" + $m]' --arg m "$MARK"
}

@test "rootless walk-through: every effect, and nothing needed root" {
	setup_rootless
	echo outside >"$BUNDLE/shared/there"
	args sh -c 'id -u; hostname; hostname changed; hostname; cat /data/there; echo inside >/data/made; echo --
		cut -d" " -f5 /proc/self/mountinfo; echo --
		ps -o pid,args; ls /proc | grep -c "^[0-9]"; echo --
		ip -o link | wc -l; id -G'
	user_ok run "$BUNDLE/" "$ID"
	is "${OUT%%$'\n--'*}" $'0\nrootless\nchanged\noutside'
	local rest=${OUT#*$'\n--\n'} mount
	while read -r mount; do
		case $mount in / | /proc | /proc/* | /dev | /dev/* | /data) ;; *) fail "a mount of the host's is seen: $mount" ;; esac
	done <<<"${rest%%$'\n--'*}"
	rest=${rest#*$'\n--\n'}
	like "${rest%%$'\n--'*}" '^PID +COMMAND
 +1 sh -c'
	lacks "$rest" bats
	is "${rest##*--$'\n'}" $'1\n0'
	is "$(uname -n)" "$(</proc/sys/kernel/hostname)"
	is "$(<"$BUNDLE/shared/made")" inside
	is "$(stat -c %u:%g "$BUNDLE/shared/made")" 2001:2001 'the owner outside'
	# Without a cgroup: said once, and no error.
	is "$(grep -c 'the container has no cgroup' <<<"$ERR")" 1 "$ERR"
	is "$(wc -l <<<"$ERR")" 1 "$ERR"
}

@test "rootless walk-through: the first process is the user outside" {
	setup_rootless
	args sleep 60
	user_ok run --detach "$BUNDLE/" "$ID"
	user_ok state "$ID"
	local pid
	pid=$(jq .pid <<<"$OUT")
	is "$(stat -c %u:%g "/proc/$pid")" 2001:2001
	is "$(awk '$1 == "Uid:" { print $2, $3, $4, $5 }' "/proc/$pid/status")" '2001 2001 2001 2001'
	user_ok exec "$ID" sh -c 'id -u; touch /data/by-exec'
	is "$OUT" 0
	is "$(stat -c %u "$BUNDLE/shared/by-exec")" 2001
	user_ok delete --force "$ID"
}
