#!/usr/bin/env bats
# explain --seccomp: what the filter of a bundle does, without installing it.

load helpers

setup_profile() {
	only_oci_mini explain
	config '.linux.seccomp = {
		defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 13,
		architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
		syscalls: [
			{names: ["read", "execve", "openat2", "no_such_call"], action: "SCMP_ACT_ALLOW"},
			{names: ["personality"], action: "SCMP_ACT_LOG", args: [{index: 0, value: 8, op: "SCMP_CMP_EQ"}]},
			{names: ["socket"], action: "SCMP_ACT_ERRNO", errnoRet: 97},
			{names: ["kill"], action: "SCMP_ACT_KILL_PROCESS"}
		]}'
}

@test "explain --seccomp: all calls by their answers, and the program's size" {
	setup_profile
	ok explain --seccomp "$BUNDLE/"
	is "$ERR" ''
	[[ $OUT =~ ^program\ +[1-9][0-9]*\ instructions ]]
	has "$OUT" 'flags         SPEC_ALLOW'
	has "$OUT" 'ignored       no_such_call'
	has "$OUT" '  by their arguments: 1
    personality'
	has "$OUT" '  SCMP_ACT_KILL_PROCESS: 1
    kill'
	has "$OUT" SCMP_ARCH_X32
	ok explain --seccomp --format json "$BUNDLE/"
	is "$(jq -r '.architectures[] | select(.name == "SCMP_ARCH_X86") | .groups[] | select(.data == 97) | .calls[]' <<<"$OUT")" socket
	is "$(jq -r '.unknown[]' <<<"$OUT")" no_such_call
	nothing_left
}

@test "explain --seccomp with a call: the answer, the rule as a JSON pointer, the instructions" {
	setup_profile
	ok explain --seccomp --arch x86_64 "$BUNDLE/" personality 0x8
	has "$OUT" 'personality(0x8), number 135 of SCMP_ARCH_X86_64'
	has "$OUT" 'answer        SCMP_ACT_LOG'
	has "$OUT" 'rule          /linux/seccomp/syscalls/1'
	[[ $OUT =~ instructions\ \ [1-9] ]]
	ok explain --seccomp --arch x86_64 "$BUNDLE/" personality 9
	has "$OUT" 'SCMP_ACT_ERRNO 13 (EACCES)'
	has "$OUT" 'rule          /linux/seccomp/defaultAction'
	ok explain --seccomp --format json --arch x86_64 --bundle "$BUNDLE" 41
	is "$(jq -r '[.name, .action, .data, .rule] | join(" ")' <<<"$OUT")" 'socket SCMP_ACT_ERRNO 97 /linux/seccomp/syscalls/2'
}

@test "explain --seccomp: of entries that overlap, the one that decides, and the order in which they are tried" {
	setup_profile
	config '.linux.seccomp.syscalls += [
		{names: ["clone"], action: "SCMP_ACT_ERRNO", errnoRet: 1, args: [{index: 0, value: 8, op: "SCMP_CMP_LE"}]},
		{names: ["clone"], action: "SCMP_ACT_ERRNO", errnoRet: 2, args: [{index: 0, value: 8, op: "SCMP_CMP_EQ"}]},
		{names: ["clone"], action: "SCMP_ACT_ERRNO", errnoRet: 3, args: [{index: 0, value: 4294967296, op: "SCMP_CMP_GT"}]},
		{names: ["clone"], action: "SCMP_ACT_ERRNO", errnoRet: 4, args: [{index: 1, value: 5, op: "SCMP_CMP_EQ"}]}]'
	while read -r args rule; do
		# shellcheck disable=SC2086 # a list of arguments
		ok explain --seccomp --arch x86_64 "$BUNDLE/" clone ${args//,/ }
		has "$OUT" "rule          /linux/seccomp/$rule"$'\n' "clone $args"
		has "$OUT" 'by arguments  /linux/seccomp/syscalls/7 /linux/seccomp/syscalls/5 /linux/seccomp/syscalls/4 /linux/seccomp/syscalls/6, tried'
	done <<-'ARGS'
		7 syscalls/4
		8 syscalls/5
		8,5 syscalls/7
		9 defaultAction
		0x100000000 defaultAction
		0x100000001 syscalls/6
		0x100000001,5 syscalls/7
	ARGS
	# Two that contradict each other are refused where they would matter, and here.
	config '.linux.seccomp.syscalls += [{names: ["clone"], action: "SCMP_ACT_LOG", args: [{index: 0, value: 8, op: "SCMP_CMP_EQ"}]}]'
	for verb in create run; do
		refused '/linux/seccomp/syscalls/8: answers clone otherwise than entry 5 does under the same conditions' "$verb" --bundle "$BUNDLE" "$ID"
	done
	refused '/linux/seccomp/syscalls/8: answers clone' explain --seccomp "$BUNDLE/" clone 8
	nothing_left
}

@test "explain --seccomp: a call newer than the profile is ENOSYS, one of another architecture kills" {
	setup_profile
	ok explain --seccomp --arch x86_64 "$BUNDLE/" futex_waitv
	has "$OUT" 'SCMP_ACT_ERRNO 38 (ENOSYS)'
	has "$OUT" 'newer than openat2, the newest call that the profile names'
	ok explain --seccomp --arch arm "$BUNDLE/" read
	has "$OUT" SCMP_ACT_KILL_THREAD
	has "$OUT" 'rule          /linux/seccomp/architectures'
	ok explain --seccomp --arch x86 "$BUNDLE/" socketcall 1
	has "$OUT" 'as socket, whose arguments are not seen here'
	has "$OUT" 'SCMP_ACT_ERRNO 97'
}

@test "explain --seccomp: what cannot be explained is told" {
	setup_profile
	rt explain --seccomp "$BUNDLE/" no_such_call
	((STATUS == 1))
	has "$ERR" 'has no system call no_such_call'
	rt explain --seccomp "$BUNDLE/" read five
	((STATUS == 1))
	has "$ERR" 'argument 0: "five" is not a number of 64 bits'
	rt explain --seccomp --format sh "$BUNDLE/"
	((STATUS == 1))
	has "$ERR" '--format: "sh" is not text or json'
	config '.linux.seccomp.syscalls[3].errnoRet = 1'
	rt explain --seccomp "$BUNDLE/"
	((STATUS == 1))
	has "$ERR" /linux/seccomp/syscalls/3/errnoRet
	config 'del(.linux.seccomp)'
	rt explain --seccomp "$BUNDLE/"
	((STATUS == 1))
	has "$ERR" 'every system call is allowed'
}
