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
	named_user
	as_user make -s -C "$BUNDLE"
	config '.process.terminal = false | .process.env += ["OCI_TEST_MARK=" + $m]' --arg m "$MARK"
}

# by HOW: runs the bundle as the user to its end, by oci-mini ("run") or by the printed
# script ("script"); OUT and ERR are what it says.
by() {
	if [[ $1 == run ]]; then
		user_ok run "$BUNDLE/" "$ID"
		return
	fi
	user_ok explain --format sh "$BUNDLE/" "$ID"
	is "$ERR" ''
	as_user tee "$T/xdg/script" <"$T/out" >/dev/null
	STATUS=0
	as_user timeout --foreground -k 2 $((60 * PATIENCE)) sh "$T/xdg/script" </dev/null >"$T/out" 2>"$T/err" 3>&- || STATUS=$?
	OUT=$(<"$T/out")
	ERR=$(<"$T/err")
	((STATUS == 0)) || fail "the script exits $STATUS" "  stdout: $OUT" "  stderr: $ERR"
}

# the_effects HOW [GROUPS]: what the walk-through sees, and what the process's groups are.
the_effects() {
	local host
	host=$(uname -n)
	setup_rootless
	[[ ! ${2:-} ]] || ranges
	echo outside >"$BUNDLE/shared/there"
	args sh -c 'id -u; hostname; hostname changed; hostname; cat /data/there; echo inside >/data/made; echo --
		cut -d" " -f5 /proc/self/mountinfo; echo --
		ps -o pid,args; ls /proc | grep -c "^[0-9]"; echo --
		cat /proc/self/uid_map; ip -o link | wc -l; id -G'
	by "$1"
	is "${OUT%%$'\n--'*}" $'0\nrootless\nchanged\noutside'
	local rest=${OUT#*$'\n--\n'} mount
	while read -r mount; do
		case $mount in / | /proc | /proc/* | /dev | /dev/* | /data) ;; *) fail "a mount of the host's is seen: $mount" ;; esac
	done <<<"${rest%%$'\n--'*}"
	rest=${rest#*$'\n--\n'}
	like "${rest%%$'\n--'*}" '^PID +COMMAND
 +1 sh -c'
	lacks "$rest" bats
	is "$(grep -c . <<<"${rest%%$'\n--'*}")" 4 'lines about processes: sh, ps and how many there are'
	is "$(tr -s ' ' <<<"${rest##*--$'\n'}")" $' 0 2001 1\n'"${2:+ 1 300000 65536$'\n'}"$'1\n0'
	is "$(uname -n)" "$host" "the host's name"
	is "$(<"$BUNDLE/shared/made")" inside
	is "$(stat -c %u:%g "$BUNDLE/shared/made")" 2001:2001 'the owner outside'
	nothing_left
}

@test "rootless walk-through: every effect, and nothing needed root" {
	the_effects run
	# Without a cgroup: said once, and no error.
	is "$(grep -c 'the container has no cgroup' <<<"$ERR")" 1 "$ERR"
	is "$(wc -l <<<"$ERR")" 1 "$ERR"
}

@test "rootless walk-through: the printed script has the same effects" {
	the_effects script
	is "$ERR" ''
	is "$(stat -c %u "$T/xdg/script")" 2001
	has "$(<"$T/xdg/script")" 'Run it as user 2001: it needs no privileges.'
	has "$(<"$T/xdg/script")" 'unshare --map-root-user --mount'
}

@test "rootless walk-through: ranges of ids, with newuidmap and newgidmap" {
	the_effects run ranges
}

@test "rootless walk-through: the printed script of ranges" {
	the_effects script ranges
	has "$(<"$T/xdg/script")" 'newuidmap '
	has "$(<"$T/xdg/script")" ' 0 2001 1 1 300000 65536'
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
