#!/usr/bin/env bats
# Seccomp filters, and agents that decide about calls.
# shellcheck disable=SC2016 # scripts for the container's shell

load helpers

setup_file() {
	export SECCOMP_PROFILE=/usr/share/containers/seccomp.json
}

# profile JQ...: sets linux.seccomp.
profile() {
	config ".linux.seccomp = $1"
}

# agent MODE: agent.py for $T.
agent() {
	command -v python3 >/dev/null || fail 'python3 is missing: see tests/install-deps'
	background python3 "$BATS_TEST_DIRNAME/agent.py" "$T" "$1" >"$T/agent.out"
	wait_for -t 20 grep -q ready "$T/agent.out"
}

# notifies ACTION_OF_OTHERS NAME...: a profile that leaves these calls to the agent.
notifies() {
	local others=$1
	shift
	config '.linux.seccomp = {defaultAction: $d, listenerPath: $p, listenerMetadata: "the metadata",
		syscalls: (if ($ARGS.positional | length) > 0 then [{names: $ARGS.positional, action: "SCMP_ACT_NOTIFY"}] else [] end)}' \
		--arg d "$others" --arg p "$T/agent.sock" --args -- "$@"
}

# number NAME: of a system call on this machine.
number() {
	case $1-$(uname -m) in
	mkdir-x86_64) echo 83 ;;
	mkdir-*) echo 34 ;; # mkdirat, which has no predecessor
	execve-x86_64) echo 59 ;;
	execve-*) echo 221 ;;
	getppid-x86_64) echo 110 ;;
	getppid-*) echo 173 ;;
	esac
}

@test "a filter holds in run, create and start, and exec, with and without noNewPrivileges" {
	profile '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28}]}'
	mount_add /tmp tmpfs tmpfs
	users=(0)
	[[ $WORLD == rootless ]] || users+=(1000)
	for nnp in true false; do
		for user in "${users[@]}"; do
			config '.process.noNewPrivileges = $n | .process.user = {uid: $u, gid: $u}' --argjson n "$nnp" --argjson u "$user"
			inside 'mkdir /tmp/d; grep -E "^(Seccomp|CapPrm|CapEff):" /proc/self/status'
			has "$ERR" 'No space left on device'
			has "$OUT" $'Seccomp:\t2'
			# What the process kept to install the filter is gone.
			with=$(grep ^Cap <<<"$OUT")
			cp "$BUNDLE/config.json" "$T/with.json"
			config 'del(.linux.seccomp)'
			inside_ok 'grep -E "^(CapPrm|CapEff):" /proc/self/status'
			is "$with" "$OUT" "capabilities of user $user, noNewPrivileges $nnp"
			cp "$T/with.json" "$BUNDLE/config.json"
			args sleep 60
			ok create --bundle "$BUNDLE" "$ID"
			ok start "$ID"
			rt exec "$ID" mkdir /tmp/d
			has "$ERR" 'No space left on device'
			ok delete --force "$ID"
		done
	done
}

@test "unknown names are ignored, and a profile of few calls is enough" {
	profile '{defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 1, syscalls: [{action: "SCMP_ACT_ALLOW", names:
		(["call_of_tomorrow"] + ("execve exit_group exit read write open openat close fstat stat newfstatat brk mmap mprotect munmap arch_prctl set_tid_address set_robust_list prlimit64 readlink readlinkat getrandom rt_sigaction rt_sigprocmask getuid geteuid getgid getegid setuid setgid prctl uname ioctl getpid getppid wait4 fork vfork clone getcwd lseek dup dup2 dup3 fcntl poll ppoll rseq" / " "))}]}'
	inside_ok 'echo fine'
	is "$OUT" fine
}

@test "an unknown name is told in the debug log alone" {
	profile '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["call_of_tomorrow", "mkdirat"], action: "SCMP_ACT_ERRNO"}]}'
	silent --log "$T/log" run --bundle "$BUNDLE" "$ID"
	lacks "$(cat "$T/log")" call_of_tomorrow
	silent --debug --log "$T/log" run --bundle "$BUNDLE" "$ID"
	has "$(cat "$T/log")" 'call_of_tomorrow'
	lacks "$(cat "$T/log")" 'such a call: call_of_tomorrow, mkdirat'
}

# caller: builds $T/bin/caller, which makes system call NUMBER by the ABI native (x32 is its
# numbers with a bit more) or i386 and prints the result, as /srv/caller of the container.
caller() {
	cat >"$T/caller.c" <<-'C'
		#include <errno.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <unistd.h>
		int main(int argc, char **argv) {
			long r, nr = strtol(argv[2], NULL, 0);
		#ifdef __x86_64__
			if (!strcmp(argv[1], "i386"))
				__asm__ volatile("int $0x80" : "=a"(r) : "a"(nr), "b"(0) : "memory", "r8", "r9", "r10", "r11");
			else
		#endif
				if ((r = syscall(nr)) < 0)
					r = -errno;
			printf("%d\n", (int)r);
			return 0;
		}
	C
	mkdir "$T/bin"
	cc -O1 -static -o "$T/bin/caller" "$T/caller.c" || fail 'cc cannot build it: see tests/install-deps'
	mount_add /srv bind "$T/bin" bind ro
}

@test "a call newer than the profile's newest is ENOSYS, an older one gets the default errno" {
	caller
	profile '{defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 1, syscalls: [{action: "SCMP_ACT_ALLOW", names:
		("execve exit_group exit read write close fstat newfstatat brk mmap mprotect munmap arch_prctl set_tid_address set_robust_list rseq prlimit64 readlink readlinkat getrandom ioctl faccessat2" / " ")}]}'
	for call in '438 -1' "$(number getppid) -1" '440 -38' '462 -38' '4000 -38'; do
		args /srv/caller native "${call% *}"
		ok run --bundle "$BUNDLE" "$ID"
		is "$OUT" "${call#* }" "call ${call% *}"
	done
}

@test "i386 and x32 calls on amd64 are under the filter, or kill where the profile leaves their ABI out" {
	[[ $(uname -m) == x86_64 ]] || skip 'the ABIs are those of amd64'
	caller
	"$T/bin/caller" i386 64 >/dev/null || skip 'this kernel takes no i386 calls (CONFIG_IA32_EMULATION)'
	local rule='syscalls: [{names: ["getppid"], action: "SCMP_ACT_ERRNO", errnoRet: 77}]'
	profile '{defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"], '"$rule}"
	for call in 'native 110' 'i386 64' 'native 0x4000006e'; do
		# shellcheck disable=SC2086 # two words
		args /srv/caller $call
		ok run --bundle "$BUNDLE" "$ID"
		is "$OUT" -77 "$call"
	done
	args /srv/caller i386 20 # getpid, which is the container's
	ok run --bundle "$BUNDLE" "$ID"
	is "$OUT" 1
	profile '{defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64"], '"$rule}"
	args /srv/caller native 110
	ok run --bundle "$BUNDLE" "$ID"
	is "$OUT" -77
	for call in 'i386 20' 'native 0x40000027'; do
		# shellcheck disable=SC2086 # two words
		args /srv/caller $call
		rt run --bundle "$BUNDLE" "$ID"
		is "$STATUS" 159 "$call"
		is "$OUT" ''
	done
}

# arm_caller NUMBER: $ROOTFS/caller, a program of 32-bit ARM that makes system call NUMBER without
# arguments and exits with the negated result.
arm_caller() {
	local code word
	# An ELF header, one segment with all of the file, and five instructions.
	code=(0x464c457f 0x00010101 0 0 0x00280002 1 0x10054 52 0 0x5000200 0x200034 1 0
		1 0 0x10000 0x10000 104 104 5 0x1000
		"$((0xe3a07000 | $1))" 0xef000000 0xe2600000 0xe3a07001 0xef000000) # mov r7; svc; rsb r0, r0, 0; mov r7, 1; svc
	for word in "${code[@]}"; do
		# shellcheck disable=SC2059
		printf "$(printf '\\x%02x' $((word & 255)) $((word >> 8 & 255)) $((word >> 16 & 255)) $((word >> 24 & 255)))"
	done >"$ROOTFS/caller"
	chmod 755 "$ROOTFS/caller"
}

@test "32-bit calls on arm64 are under the filter, or kill where the profile leaves their ABI out" {
	[[ $(uname -m) == aarch64 ]] || skip 'the ABIs are those of arm64'
	setarch linux32 true 2>/dev/null || skip 'this processor runs no programs of 32 bits'
	own_rootfs
	args /caller
	local rule='syscalls: [{names: ["getppid"], action: "SCMP_ACT_ERRNO", errnoRet: 77}]'
	profile '{defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"], '"$rule}"
	arm_caller 64
	rt run --bundle "$BUNDLE" "$ID"
	is "$STATUS" 77
	arm_caller 20 # getpid, which is 1
	rt run --bundle "$BUNDLE" "$ID"
	is "$STATUS" 255
	profile '{defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_AARCH64"], '"$rule}"
	rt run --bundle "$BUNDLE" "$ID"
	is "$STATUS" 159
}

@test "errnoRet only where it makes sense, default errno, unknown flags and actions" {
	profile '{defaultAction: "SCMP_ACT_ALLOW", defaultErrnoRet: 1}'
	refused /linux/seccomp/defaultErrnoRet create --bundle "$BUNDLE" "$ID"
	profile '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir"], action: "SCMP_ACT_KILL", errnoRet: 1}]}'
	refused /linux/seccomp/syscalls/0/errnoRet create --bundle "$BUNDLE" "$ID"
	profile '{defaultAction: "SCMP_ACT_ALLOW", flags: ["SECCOMP_FILTER_FLAG_NONSENSE"]}'
	refused /linux/seccomp/flags/0 create --bundle "$BUNDLE" "$ID"
	profile '{defaultAction: "SCMP_ACT_NONSENSE"}'
	refused /linux/seccomp/defaultAction create --bundle "$BUNDLE" "$ID"
	profile '{defaultAction: "SCMP_ACT_ALLOW", flags: ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]}'
	inside_ok true
	nothing_left
}

@test "KILL_PROCESS ends the process by SIGSYS" {
	profile '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_KILL_PROCESS"}]}'
	args mkdir /tmp/d
	rt run --bundle "$BUNDLE" "$ID"
	is "$STATUS" 159
}

@test "a profile that forbids the execve is refused by its rule, any other call may be forbidden" {
	profile '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir"], action: "SCMP_ACT_ERRNO"}, {names: ["execve"], action: "SCMP_ACT_ERRNO"}]}'
	refused '/linux/seccomp/syscalls/1' create --bundle "$BUNDLE" "$ID"
	has "$ERR" 'SCMP_ACT_ERRNO for execve'
	profile '{defaultAction: "SCMP_ACT_KILL_PROCESS"}'
	refused '/linux/seccomp/defaultAction' create --bundle "$BUNDLE" "$ID"
	nothing_left
	# Nothing but execve: the program starts, and is killed by its own first call.
	profile '{defaultAction: "SCMP_ACT_KILL_PROCESS", syscalls: [{names: ["execve"], action: "SCMP_ACT_ALLOW"}]}'
	for nnp in true false; do
		config '.process.noNewPrivileges = $n' --argjson n "$nnp"
		rt run --bundle "$BUNDLE" "$ID"
		is "$STATUS" 159
		ok create --bundle "$BUNDLE" "$ID"
		ok start "$ID"
		wait_for status_is "$ID" stopped
		ok delete "$ID"
	done
}

@test "a failing execve behind the filter is told, whatever the filter forbids" {
	own_rootfs
	printf 'no program' >"$ROOTFS/bin/broken"
	chmod +x "$ROOTFS/bin/broken"
	args /bin/broken
	for others in SCMP_ACT_ERRNO SCMP_ACT_KILL_PROCESS SCMP_ACT_TRAP; do
		profile '{defaultAction: "'$others'", syscalls: [{names: ["execve"], action: "SCMP_ACT_ALLOW"}]}'
		refused 'exec format error' run --bundle "$BUNDLE" "$ID"
		ok create --bundle "$BUNDLE" "$ID"
		refused 'exec format error' start "$ID"
		ok delete --force "$ID"
	done
}

@test "hooks of startContainer are under the filter too" {
	profile '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28}]}'
	config '.hooks.startContainer = [{path: "/bin/mkdir", args: ["mkdir", "/tmp/d"]}]'
	mount_add /tmp tmpfs tmpfs
	refused 'No space left on device' run --bundle "$BUNDLE" "$ID"
	nothing_left
}

@test "agent: run, create and start, and exec send the listener with the state" {
	agent answer
	notifies SCMP_ACT_ALLOW mkdir mkdirat
	mount_add /tmp tmpfs tmpfs
	inside_ok 'mkdir /tmp/d && echo made'
	is "$OUT" made
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	is "$(wc -l <"$T/documents")" 1 'documents before start'
	ok start "$ID"
	pid=$(init_pid "$ID")
	ok exec "$ID" mkdir /tmp/e
	is "$(cut -d' ' -f1 "$T/documents" | sort -u)" 1 'descriptors of a message'
	is "$(cut -d' ' -f2- "$T/documents" | jq -r '[.fds[], .metadata, .state.id, .state.status, .state.bundle, (.pid == .state.pid)] | join(" ")')" \
		"seccompFd the metadata $ID creating $BUNDLE true
seccompFd the metadata $ID created $BUNDLE true
seccompFd the metadata $ID running $BUNDLE false"
	is "$(sed -n '2,3s/^1 //p' "$T/documents" | jq .state.pid | sort -u)" "$pid"
}

@test "agent: WAIT_KILLABLE_RECV, where the kernel has it, and its name where it has not" {
	agent answer
	notifies SCMP_ACT_ALLOW mkdir mkdirat
	config '.linux.seccomp.flags = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]'
	mount_add /tmp tmpfs tmpfs
	inside 'mkdir /tmp/d && echo made'
	if kernel_since 5.19; then
		is "$STATUS $OUT" '0 made' "$ERR"
		is "$(sort -u "$T/calls")" "$(number mkdir)" 'calls that the agent saw'
	else
		has "$ERR" 'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: not known by this kernel'
	fi
}

@test "agent: a missing, dead or wrong one is an error before the process runs" {
	own_rootfs
	notifies SCMP_ACT_ALLOW mkdir mkdirat
	args touch /ran
	for verb in run create; do
		refused /linux/seccomp/listenerPath "$verb" --bundle "$BUNDLE" "$ID"
		: >"$T/agent.sock"
		refused /linux/seccomp/listenerPath "$verb" --bundle "$BUNDLE" "$ID"
		rm "$T/agent.sock"
	done
	config '.linux.seccomp.listenerPath = "" | del(.linux.seccomp.listenerMetadata)'
	refused '/linux/seccomp/listenerPath: required with SCMP_ACT_NOTIFY' create --bundle "$BUNDLE" "$ID"
	config 'del(.linux.seccomp.listenerPath, .linux.seccomp.listenerMetadata) | .annotations = {"run.oci.seccomp.receiver": "relative"}'
	refused '/annotations/run.oci.seccomp.receiver: must be an absolute path' create --bundle "$BUNDLE" "$ID"
	[[ ! -e $ROOTFS/ran ]]
	nothing_left
	# It dies between create and start: the container goes on waiting for another.
	agent answer
	notifies SCMP_ACT_ALLOW mkdir mkdirat
	ok create --bundle "$BUNDLE" "$ID"
	kill -9 "$PID"
	refused /linux/seccomp/listenerPath start "$ID"
	status_is "$ID" created
	rm "$T/agent.sock"
	agent answer
	ok start "$ID"
	wait_for test -e "$ROOTFS/ran"
}

@test "agent: by annotation; a profile without NOTIFY needs none" {
	agent answer
	notifies SCMP_ACT_ALLOW mkdir mkdirat
	config 'del(.linux.seccomp.listenerPath, .linux.seccomp.listenerMetadata) | .annotations = {"run.oci.seccomp.receiver": $p}' --arg p "$T/agent.sock"
	inside_ok 'mkdir /dev/shm/d && echo made'
	is "$OUT" made
	is "$(wc -l <"$T/documents")" 1
	profile '{defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/no/such"}'
	config 'del(.annotations)'
	inside_ok 'echo fine'
	is "$OUT" fine
}

@test "agent: no deadlock, whatever calls are its to decide about" {
	agent answer
	for calls in 'read writev' 'futex close' 'sendto sendmsg recvmsg connect' 'prctl capset seccomp' 'execve exit_group' \
		'execve brk mmap mprotect arch_prctl set_tid_address openat open read fstat close getuid wait4 rt_sigprocmask exit_group'; do
		# shellcheck disable=SC2086 # a list of words
		notifies SCMP_ACT_ALLOW $calls
		for nnp in true false; do
			config '.process.noNewPrivileges = $n | .process.args = ["true"]' --argjson n "$nnp"
			RT_TIMEOUT=20 ok run --bundle "$BUNDLE" "$ID"
			args sleep 60
			RT_TIMEOUT=20 ok create --bundle "$BUNDLE" "$ID"
			RT_TIMEOUT=20 ok start "$ID"
			if [[ $WORLD == rootless && " $calls " == *' sendmsg '* ]]; then
				RT_TIMEOUT=20 rt exec "$ID" true
				is "$STATUS" 255
				has "$ERR" '/linux/seccomp/syscalls/0: SCMP_ACT_NOTIFY for sendmsg: without privileges'
			else
				RT_TIMEOUT=20 ok exec "$ID" true
			fi
			ok delete --force "$ID"
		done
	done
	grep -qx "$(number execve)" "$T/calls"
}

@test "agent: NOTIFY for write, or for all calls, is refused by run, create, exec and explain, for any other call it is not" {
	own_rootfs
	agent answer
	args touch /ran
	local why='a process whose agent is late or gone could not even write that it is, and runc refuses it too'
	notifies SCMP_ACT_ALLOW mkdir write
	local rule="/linux/seccomp/syscalls/0/action: must not be SCMP_ACT_NOTIFY for write: $why"
	for verb in run create; do
		refused "$rule" "$verb" --bundle "$BUNDLE" "$ID"
	done
	refused "$rule" explain "$BUNDLE"
	refused "$rule" explain --seccomp "$BUNDLE"
	# Conditions, or another entry of the call, make no difference.
	config '.linux.seccomp.syscalls = [{names: ["write"], action: "SCMP_ACT_ALLOW"},
		{names: ["write"], action: "SCMP_ACT_NOTIFY", args: [{index: 0, value: 9, op: "SCMP_CMP_EQ"}]}]'
	refused "/linux/seccomp/syscalls/1/action: must not be SCMP_ACT_NOTIFY for write: $why" run --bundle "$BUNDLE" "$ID"
	notifies SCMP_ACT_NOTIFY
	for verb in run create; do
		refused "/linux/seccomp/defaultAction: must not be SCMP_ACT_NOTIFY: $why" "$verb" --bundle "$BUNDLE" "$ID"
	done
	[[ ! -e $ROOTFS/ran && ! -e $T/documents && ! -e $ROOT/$ID ]]
	# exec: where the config of the container says so, as an older version might have taken it.
	notifies SCMP_ACT_ALLOW mkdir mkdirat
	args sleep 60
	ok create --bundle "$BUNDLE" "$ID"
	ok start "$ID"
	cp "$ROOT/$ID/config.json" "$T/kept.json"
	jq '.linux.seccomp.syscalls[0].names += ["write"]' "$T/kept.json" >"$ROOT/$ID/config.json"
	rt exec "$ID" touch /ran
	is "$STATUS" 255
	has "$ERR" "$rule"
	[[ ! -e $ROOTFS/ran ]]
	jq '.linux.seccomp.syscalls[0].names += ["writev", "pwrite64", "read", "close"]' "$T/kept.json" >"$ROOT/$ID/config.json"
	ok exec "$ID" touch /ran
	[[ -e $ROOTFS/ran ]]
}

@test "agent: one that dies at once makes its calls fail, and nobody waits" {
	agent gone
	notifies SCMP_ACT_ALLOW execve
	rt run --bundle "$BUNDLE" "$ID"
	is "$STATUS" 1
	has "$ERR" ENOSYS
	nothing_left
}

@test "the default profile of podman: a container runs, and a filter of its own is in place" {
	[[ -e $SECCOMP_PROFILE ]] || skip "no $SECCOMP_PROFILE (package golang-github-containers-common)"
	local machine='' abis=''
	case $(uname -m) in
	x86_64) machine=amd64 abis='["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]' ;;
	aarch64) machine=arm64 abis='["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]' ;;
	*) skip "translated for amd64 and arm64, not for $(uname -m)" ;;
	esac
	config '.linux.seccomp = {defaultAction: $p[0].defaultAction, defaultErrnoRet: $p[0].defaultErrnoRet,
		architectures: $abis,
		syscalls: [$p[0].syscalls[] | select((.includes.caps // []) == [] and ((.includes.arches // [$machine]) | index($machine)) and (.excludes // {}) == {} and (.includes.minKernel // null) == null)
			| {names, action} + (if .errnoRet then {errnoRet} else {} end) + (if (.args // []) == [] then {} else {args} end)]}' --slurpfile p "$SECCOMP_PROFILE" --argjson abis "$abis" --arg machine "$machine"
	inside_ok 'grep ^Seccomp: /proc/self/status; unshare -m true 2>&1 || echo denied'
	has "$OUT" $'Seccomp:\t2'
	has "$OUT" denied
}
