#!/usr/bin/env bats
# The process: user, groups, capabilities, limits, directory, environment, program.

load helpers

@test "uid, gid, additional groups" {
	needs_ids 'user 1000 with groups'
	config '.process.user = {uid: 1000, gid: 1001, additionalGids: [5, 27, 1001, 27]}'
	inside_ok 'grep -E "^(Uid|Gid|Groups)" /proc/self/status'
	like "$OUT" $'^Uid:\t1000\t1000\t1000\t1000\nGid:\t1001\t1001\t1001\t1001\nGroups:'
	for gid in 5 27 1001; do
		like "$OUT" "Groups:.*[[:space:]]$gid "
	done
}

@test "no additional groups of the caller are kept" {
	[[ $WORLD != rootless || $(grep ^Groups /proc/self/status) =~ ^Groups:[[:space:]]*$ ]] ||
		skip "the caller has groups, and a user namespace of one id cannot drop them"
	inside_ok 'grep Groups /proc/self/status'
	like "$OUT" $'^Groups:[\t ]*$'
}

@test "a numeric name in passwd is no other user" {
	needs_ids 'user 31337'
	own_rootfs
	echo '31337:x:0:0::/:/bin/sh' >>"$ROOTFS/etc/passwd"
	config '.process.user = {uid: 31337, gid: 31337}'
	inside_ok 'id -u'
	is "$OUT" 31337
}

# sets: the five capability sets of the program, in hex, as one line.
sets() {
	args awk '/^Cap/ { printf "%s ", $2 }' /proc/self/status
	ok run --bundle "$BUNDLE" "$ID"
	OUT=${OUT% }
}

@test "capabilities: the default spec's three, nothing inherited or ambient" {
	sets
	is "$OUT" '0000000000000000 0000000020000420 0000000020000420 0000000020000420 0000000000000000' \
		'inheritable permitted effective bounding ambient'
}

@test "capabilities: none, all of bounding, and each set for itself" {
	config '.process.capabilities = {}'
	sets
	is "$OUT" '0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000'
	config '.process.capabilities = {bounding: ["CAP_KILL", "CAP_CHOWN"], permitted: ["CAP_KILL", "CAP_CHOWN"],
		effective: ["CAP_CHOWN"], inheritable: ["CAP_KILL"], ambient: []}'
	config '.process.user.uid = 0'
	sets
	like "$OUT" '^0000000000000020 .* 0000000000000021 0000000000000000$'
}

@test "capabilities: another user has none unless ambient" {
	needs_ids 'user 1000'
	config '.process.user = {uid: 1000, gid: 1000}'
	sets
	is "$OUT" '0000000000000000 0000000000000000 0000000000000000 0000000020000420 0000000000000000'
	config '.process.capabilities = (["bounding", "effective", "permitted", "inheritable", "ambient"]
		| map({(.): ["CAP_KILL"]}) | add)'
	sets
	is "$OUT" '0000000000000020 0000000000000020 0000000000000020 0000000000000020 0000000000000020'
}

@test "capabilities: an unknown name does not stop the container" {
	config '.process.capabilities.bounding += ["CAP_NO_SUCH"]'
	rt run --bundle "$BUNDLE" "$ID"
	is "$STATUS" 0
}

@test "noNewPrivileges on and off" {
	inside_ok 'grep NoNewPrivs /proc/self/status'
	is "$OUT" $'NoNewPrivs:\t1'
	config '.process.noNewPrivileges = false'
	inside_ok 'grep NoNewPrivs /proc/self/status'
	is "$OUT" $'NoNewPrivs:\t0'
	config 'del(.process.noNewPrivileges)'
	inside_ok 'grep NoNewPrivs /proc/self/status'
	is "$OUT" $'NoNewPrivs:\t0'
}

@test "rlimits: what is asked, the rest as the caller has it" {
	config '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 200, hard: 300},
		{type: "RLIMIT_CORE", soft: 0, hard: 0}, {type: "RLIMIT_STACK", soft: 1048576, hard: 2097152}]'
	inside_ok 'cat /proc/self/limits'
	like "$OUT" 'Max open files +200 +300 '
	like "$OUT" 'Max core file size +0 +0 '
	like "$OUT" 'Max stack size +1048576 +2097152 '
	is "$(grep 'Max processes' <<<"$OUT")" "$(grep 'Max processes' /proc/self/limits)"
	config '.process.rlimits = []'
	inside_ok 'cat /proc/self/limits'
	is "$(grep 'Max open files' <<<"$OUT")" "$(grep 'Max open files' /proc/self/limits)" "the caller's own limit"
}

@test "rlimits: an unknown type and a duplicate are refused" {
	config '.process.rlimits = [{type: "RLIMIT_NO_SUCH", soft: 1, hard: 1}]'
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" RLIMIT_NO_SUCH
	nothing_left
	is_oci_mini || return 0
	config '.process.rlimits = [{type: "RLIMIT_CORE", soft: 0, hard: 0}, {type: "RLIMIT_CORE", soft: 0, hard: 0}]'
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	nothing_left
}

@test "cwd: an existing one, a missing one is made, one that is a file is refused" {
	own_rootfs
	config '.process.cwd = "/mnt/full"'
	inside_ok 'pwd; ls'
	is "$OUT" $'/mnt/full\nfile'
	config '.process.cwd = "/made/here"'
	inside_ok pwd
	is "$OUT" /made/here
	config '.process.cwd = "/etc/passwd"'
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" 'not a directory'
	nothing_left
}

@test "cwd through /proc/self/fd never leads to the host" {
	exec 7</ 8<"$T"
	for fd in {3..24}; do
		config '.process.cwd = "/proc/self/fd/'"$fd"'"'
		args sh -c 'pwd -P; ls; ls ../../../../'
		rt run --bundle "$BUNDLE" "$ID"
		((STATUS != 0)) || fail "cwd /proc/self/fd/$fd is accepted: $OUT"
		lacks "$OUT" boot
	done
	exec 7<&- 8<&-
	nothing_left
}

@test "cwd readable by the user only" {
	needs_ids 'user 1000'
	own_rootfs
	mkdir -m 700 "$ROOTFS/private"
	chown "$(outside 1000)" "$ROOTFS/private"
	config '.process.cwd = "/private" | .process.user = {uid: 1000, gid: 1000}
		| .process.capabilities = {}'
	inside_ok pwd
	is "$OUT" /private
}

@test "environment: exactly the config's, HOME from passwd when missing" {
	needs_ids 'user 1000'
	config '.process.env = ["PATH=/bin", "A=b", "EMPTY=", "SPACE= x y ", "OCI_TEST_MARK=" + $m]' --arg m "$MARK"
	inside_ok env
	for line in 'A=b' 'EMPTY=' 'SPACE= x y ' 'PATH=/bin' 'HOME=/root'; do
		grep -qx -- "$line" <<<"$OUT" || fail "environment lacks $line" "$OUT"
	done
	is "$(grep -cvE '^(A|EMPTY|SPACE|PATH|HOME|OCI_TEST_MARK|PWD|SHLVL|_)=' <<<"$OUT")" 0 'variables of the caller' || [[ -z $OUT ]]
	config '.process.user = {uid: 1000, gid: 1000}'
	inside_ok 'echo $HOME'
	is "$OUT" /home
	config '.process.env += ["HOME=/elsewhere"]'
	inside_ok 'echo $HOME'
	is "$OUT" /elsewhere
}

@test "environment: a long one arrives whole, a later duplicate wins" {
	config '.process.env += ["LONG=" + ("x" * 100000), "TWICE=one", "TWICE=two"]'
	inside_ok 'echo ${#LONG} $TWICE'
	is "$OUT" '100000 two'
}

@test "the program: absolute, along PATH, relative to cwd, through a script" {
	own_rootfs
	printf '#!/bin/sh\necho script "$0" "$@"\n' >"$ROOTFS/srv/script"
	chmod 755 "$ROOTFS/srv/script"
	args /srv/script a b
	ok run --bundle "$BUNDLE" "$ID"
	is "$OUT" 'script /srv/script a b'
	config '.process.env |= map(if startswith("PATH=") then "PATH=/nowhere:/srv" else . end)'
	args script
	ok run --bundle "$BUNDLE" "$ID"
	like "$OUT" 'script .*script'
	config '.process.cwd = "/srv"'
	args ./script
	ok run --bundle "$BUNDLE" "$ID"
	is "$OUT" 'script ./script'
}

@test "the program: not found along PATH fails create with the agreed text" {
	args no-such-program
	refused 'executable file not found in $PATH' create --bundle "$BUNDLE" "$ID"
	has "$ERR" no-such-program
	config '.process.env |= map(if startswith("PATH=") then "PATH=/nowhere" else . end)'
	args sh
	refused 'executable file not found in $PATH' create --bundle "$BUNDLE" "$ID"
	nothing_left
}

@test "the program: an empty args is refused" {
	config '.process.args = []'
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	nothing_left
}

@test "umask: 0022 by default, the config's otherwise, also 0" {
	inside_ok umask
	is "$OUT" 0022
	config '.process.user.umask = 0'
	inside_ok umask
	is "$OUT" 0000
	config '.process.user.umask = 63'
	inside_ok umask
	is "$OUT" 0077
}

@test "oomScoreAdj: what is asked, the caller's otherwise" {
	inside_ok 'cat /proc/self/oom_score_adj'
	is "$OUT" "$(</proc/self/oom_score_adj)"
	config '.process.oomScoreAdj = 321'
	inside_ok 'cat /proc/self/oom_score_adj'
	is "$OUT" 321
}

@test "the process is dumpable again after execve and has no tracer" {
	inside_ok 'stat -c %u /proc/self/status; grep TracerPid /proc/self/status'
	is "$OUT" $'0\nTracerPid:\t0'
}

@test "personality LINUX32 shows in uname" {
	if ! personality32; then
		refused '/linux/personality/domain (set the execution domain to LINUX32): personality LINUX32: invalid argument (EINVAL)' run --bundle "$BUNDLE" "$ID"
		has "$ERR" 'hint: LINUX32 is for 32-bit programs, and this processor runs none'
		return
	fi
	inside_ok 'uname -m'
	is "$OUT" "$MACHINE32"
}

@test "hooks: each kind runs once, in order, with the state on standard input" {
	supports '.hooks | index("createRuntime")' 'hooks'
	: >"$T/hooks"
	chmod 666 "$T/hooks" # one of them is of the container's root
	config '.hooks = (["prestart", "createRuntime", "createContainer", "poststart", "poststop"]
		| map({(.): [{path: "/bin/sh", args: ["sh", "-c", "printf \"" + . + " \" >>" + $f + "; cat >>" + $f + "; echo >>" + $f]}]}) | add)' --arg f "$T/hooks"
	ok run --bundle "$BUNDLE" "$ID"
	is "$(sed 's/ *{.*//' "$T/hooks" | grep -E '^[a-zA-Z]+$' | tr '\n' ' ')" 'prestart createRuntime createContainer poststart poststop '
	has "$(<"$T/hooks")" "$ID"
	nothing_left
}

@test "hooks: a failing createRuntime aborts create and leaves nothing" {
	supports '.hooks | index("createRuntime")' 'hooks'
	config '.hooks = {createRuntime: [{path: "/bin/sh", args: ["sh", "-c", "echo why >&2; exit 3"]}]}'
	rt create --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" why
	refused 'does not exist' state "$ID"
	nothing_left
}
