#!/usr/bin/env bats
# The corners of the process object: limits, directory, environment, capabilities,
# umask, oom score; and of what goes with it: sysctls, personality.

load helpers

# sets: the five capability sets of the program, in hex, as one line.
sets() {
	args awk '/^Cap/ { printf "%s ", $2 }' /proc/self/status
	ok run --bundle "$BUNDLE" "$ID"
	OUT=${OUT% }
}

@test "rlimits: every type of the specification, and unlimited" {
	unlimited=18446744073709551615
	config '.process.rlimits = [["CPU", 10000, 20000], ["FSIZE", 1000000000, 2000000000], ["DATA", $u, $u], ["STACK", 1048576, 2097152],
			["CORE", 0, 0], ["RSS", $u, $u], ["NPROC", 5000, 5000], ["NOFILE", 100, 200], ["MEMLOCK", 65536, 65536],
			["AS", $u, $u], ["LOCKS", 7, 8], ["SIGPENDING", 100, 100], ["MSGQUEUE", 1000, 1000], ["NICE", 0, 0],
			["RTPRIO", 0, 0], ["RTTIME", 100, 200]]
		| .process.rlimits |= map({type: ("RLIMIT_" + .[0]), soft: .[1], hard: .[2]})' --argjson u "$unlimited"
	args cat /proc/self/limits
	# jq rounds numbers of this size.
	sed -Ei "s/1844674407370955[0-9]+/$unlimited/g" "$BUNDLE/config.json"
	ok run --bundle "$BUNDLE" "$ID"
	for want in 'cpu time +10000 +20000' 'file size +1000000000 +2000000000' 'stack size +1048576 +2097152' 'core file size +0 +0' \
		'resident set +unlimited +unlimited' 'processes +5000 +5000' 'open files +100 +200' 'locked memory +65536 +65536' \
		'address space +unlimited +unlimited' 'file locks +7 +8' 'pending signals +100 +100' 'msgqueue size +1000 +1000' \
		'nice priority +0 +0' 'realtime priority +0 +0' 'realtime timeout +100 +200' 'data size +unlimited +unlimited'; do
		like "$OUT" "Max $want " || fail "limit $want"
	done
}

@test "rlimits: a duplicate and a soft limit above the hard one are refused by place" {
	only_oci_mini 'rlimits are checked before anything is made'
	config '.process.rlimits = [{type: "RLIMIT_CORE", soft: 1, hard: 1}, {type: "RLIMIT_NOFILE", soft: 9, hard: 9}, {type: "RLIMIT_CORE", soft: 1, hard: 1}]'
	refused /process/rlimits/2/type create --bundle "$BUNDLE" "$ID"
	config '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 300, hard: 200}]'
	refused /process/rlimits/0/soft create --bundle "$BUNDLE" "$ID"
	nothing_left
}

@test "rlimits: a hard limit above the caller's needs the right to raise it" {
	hard=$(ulimit -Hn)
	[[ $hard != unlimited ]] || skip 'the hard limit is unlimited'
	config '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 100, hard: $h}]' --argjson h "$((hard + 1))"
	args sh -c 'ulimit -Hn'
	rt run --bundle "$BUNDLE" "$ID"
	if ((STATUS == 0)); then
		is "$OUT" "$((hard + 1))"
	else
		is "$STATUS" 1
		has "$ERR" RLIMIT_NOFILE
		has "$ERR" 'operation not permitted'
	fi
	nothing_left
}

@test "cwd: missing and made below a tmpfs, under a read-only root" {
	needs_ids 'user 1000'
	config '.process.cwd = "/mnt/made/here" | .root.readonly = true'
	mount_add /mnt tmpfs tmpfs
	inside_ok pwd
	is "$OUT" /mnt/made/here
	own_rootfs
	config '.process.cwd = "/srv/made" | .root.readonly = true | .process.user = {uid: 1000, gid: 1000}'
	inside_ok 'pwd; stat -c "%u %a" .'
	is "$OUT" $'/srv/made\n0 755'
}

@test "cwd: relative and empty ones are refused, a link is followed inside" {
	own_rootfs
	ln -s /mnt/full "$ROOTFS/link"
	config '.process.cwd = "/link"'
	inside_ok 'pwd -P'
	is "$OUT" /mnt/full
	for cwd in relative ./x ''; do
		config '.process.cwd = $c' --arg c "$cwd"
		refused /process/cwd create --bundle "$BUNDLE" "$ID"
	done
	nothing_left
}

@test "cwd: one that the user may not enter" {
	needs_ids 'user 1000'
	own_rootfs
	mkdir -m 700 "$ROOTFS/closed"
	config '.process.cwd = "/closed" | .process.user = {uid: 1000, gid: 1000} | .process.capabilities = {}'
	inside 'pwd'
	# The runtime enters it with its own rights, as the directory may be the
	# administrator's choice.
	is "$STATUS:$OUT" 0:/closed
}

@test "HOME: of an unknown user, explicitly empty, from an unreadable passwd" {
	needs_ids 'user 4242'
	own_rootfs
	config '.process.user = {uid: 4242, gid: 4242}'
	inside_ok 'echo "<$HOME>"'
	is "$OUT" '</>'
	config '.process.env += ["HOME="]'
	inside_ok 'echo "<$HOME>"; env | grep -c ^HOME='
	is "$OUT" $'<>\n1'
	config '.process.env |= map(select(startswith("HOME=") | not)) | .process.user = {uid: 0, gid: 0}'
	rm "$ROOTFS/etc/passwd"
	mkfifo "$ROOTFS/etc/passwd"
	RT_TIMEOUT=10 inside_ok 'echo "<$HOME>"'
	is "$OUT" '</>'
	rm "$ROOTFS/etc/passwd"
	printf 'broken\nroot:x:zero:0::/no:/bin/sh\n:::\nroot:x:0:0::/right:/bin/sh\n' >"$ROOTFS/etc/passwd"
	inside 'echo "<$HOME>"'
	is "$STATUS" 0
	like "$OUT" '^</(right)?>$'
}

@test "environment: duplicates, a newline, an equals sign, no equals sign, no name" {
	args env
	config '.process.env += ["A=1", "B=x=y=z", "A=2", "NL=one\ntwo", "A=3", "UTF=äß", "lower=1"]'
	ok run --bundle "$BUNDLE" "$ID"
	is "$(grep -c ^A= <<<"$OUT")" 1
	has "$OUT" A=3
	has "$OUT" B=x=y=z
	has "$OUT" $'NL=one\ntwo'
	has "$OUT" UTF=äß
	for entry in '=value' 'NUL=a\u0000b'; do
		config '.process.env = ["PATH=/bin", ($e | gsub("\\\\u0000"; "\u0000"))]' --arg e "$entry"
		refused /process/env/1 create --bundle "$BUNDLE" "$ID"
	done
	nothing_left
}

@test "capabilities: an unknown name warns in the log, with its place, and the rest holds" {
	config '.process.capabilities.bounding += ["CAP_NO_SUCH"] | .process.capabilities.effective += ["CAP_NO_SUCH", "nonsense"]'
	args awk '/^CapBnd/ { print $2 }' /proc/self/status
	ok --log "$T/log" --log-format json run --bundle "$BUNDLE" "$ID"
	is "$OUT" 0000000020000420
	jq -es 'any(.[]; .level == "warning" and (.msg | contains("CAP_NO_SUCH")))' "$T/log" >/dev/null || fail "no warning: $(cat "$T/log")"
	jq -es 'all(.[]; .level != "error")' "$T/log" >/dev/null
	jq -es 'any(.[]; .msg | contains("/process/capabilities"))' "$T/log" >/dev/null
}

@test "capabilities: ambient without inheritable or permitted stays out" {
	needs_ids 'user 1000'
	config '.process.user = {uid: 1000, gid: 1000} | .process.capabilities = {
		bounding: ["CAP_KILL", "CAP_CHOWN", "CAP_FOWNER"], permitted: ["CAP_KILL", "CAP_CHOWN"], effective: [],
		inheritable: ["CAP_KILL", "CAP_FOWNER"], ambient: ["CAP_KILL", "CAP_CHOWN", "CAP_FOWNER"]}'
	rt --log "$T/log" --log-format json run --bundle "$BUNDLE" "$ID"
	is "$STATUS" 0
	jq -es '[.[] | select(.level == "warning").msg] | length == 1
		and (.[0] | contains("/process/capabilities/ambient") and endswith(": CAP_CHOWN, CAP_FOWNER"))' "$T/log" >/dev/null || fail "no warning: $(cat "$T/log")"
	sets
	is "$OUT" '0000000000000028 0000000000000020 0000000000000020 0000000000000029 0000000000000020' \
		'inheritable permitted effective bounding ambient'
}

@test "capabilities: effective without permitted is refused by the kernel, with a name" {
	config '.process.capabilities = {bounding: ["CAP_KILL"], permitted: [], effective: ["CAP_KILL"]}'
	rt create --bundle "$BUNDLE" "$ID"
	is "$STATUS" 1
	has "$ERR" /process/capabilities
	has "$ERR" 'operation not permitted'
	nothing_left
}

@test "capabilities: one that the runtime does not have warns in the log, and the rest holds" {
	needs_host_users 'whoever makes a user namespace has all capabilities there'
	command -v setpriv >/dev/null || skip 'needs setpriv (util-linux)'
	printf '#!/bin/sh\nexec setpriv --bounding-set -sys_time --inh-caps -sys_time "%s" "$@"\n' "$RUNTIME" >"$T/runtime"
	chmod 755 "$T/runtime"
	RUNTIME=$T/runtime
	config '.process.capabilities = (["CAP_KILL", "CAP_SYS_TIME"] | {bounding: ., permitted: ., effective: ., inheritable: ., ambient: .})'
	args grep Cap /proc/self/status
	ok --log "$T/log" --log-format json run --bundle "$BUNDLE" "$ID"
	for set in Inh Prm Eff Amb; do
		like "$OUT" "Cap$set:.0000000000000020"
	done
	jq -es 'any(.[]; .level == "warning" and .msg == "/process/capabilities: not granted, as the runtime does not have it itself: CAP_SYS_TIME")' \
		"$T/log" >/dev/null || fail "no warning: $(cat "$T/log")"
	is "$ERR" ''
	# Who has no log reads it where the errors are.
	ok run --bundle "$BUNDLE" "$ID"
	is "$ERR" 'oci-mini: warning: /process/capabilities: not granted, as the runtime does not have it itself: CAP_SYS_TIME'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	ok --log "$T/log2" exec "$ID" grep CapPrm /proc/self/status
	like "$OUT" 'CapPrm:.0000000000000020'
	has "$(<"$T/log2")" CAP_SYS_TIME
	is "$ERR" ''
	ok exec "$ID" true
	has "$ERR" CAP_SYS_TIME
	# In a user namespace of its own there is nothing that it lacks.
	ok delete --force "$ID"
	config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
	args grep Cap /proc/self/status
	inside_ok 'grep CapPrm /proc/self/status'
	like "$OUT" 'CapPrm:.0000000002000020'
}

@test "capabilities: inheritable outside bounding, ambient with noNewPrivileges off" {
	needs_ids 'user 1000'
	config '.process.capabilities = {bounding: [], permitted: ["CAP_KILL"], effective: ["CAP_KILL"], inheritable: [], ambient: []}
		| .process.noNewPrivileges = false | .process.user = {uid: 1000, gid: 1000}'
	sets
	is "$OUT" '0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000'
}

@test "umask: a file made by the process, by exec, and one above 0777" {
	own_rootfs
	config '.process.user.umask = 7'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	ok exec "$ID" sh -c 'umask; touch /srv/by-exec'
	is "$OUT" 0007
	is "$(stat -c %a "$ROOTFS/srv/by-exec")" 660
	ok delete --force "$ID"
	config '.process.user.umask = 512'
	refused /process/user/umask create --bundle "$BUNDLE" "$ID"
	nothing_left
}

@test "the umask of the caller changes nothing that the runtime makes" {
	own_rootfs
	config '.process.cwd = "/srv/made"'
	mount_add /srv/mounted/here tmpfs tmpfs
	umask 077
	inside_ok 'umask; stat -c %a /srv/made /srv/mounted /dev/null /dev/shm'
	umask 022
	is "$OUT" $'0022\n755\n755\n666\n1777'
}

@test "oomScoreAdj: bounds, exec as well, out of range refused" {
	# Nobody goes below the caller's without CAP_SYS_RESOURCE; systemd gives users 100.
	local own
	own=$(</proc/self/oom_score_adj)
	for value in "$own" $((own + 1)) 1000; do
		config '.process.oomScoreAdj = $v' --argjson v "$value"
		inside_ok 'cat /proc/self/oom_score_adj'
		is "$OUT" "$value"
	done
	config '.process.oomScoreAdj = 432'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	ok exec "$ID" cat /proc/self/oom_score_adj
	is "$OUT" 432 'that of exec'
	for value in 1001 -1001; do
		config '.process.oomScoreAdj = $v' --argjson v "$value"
		refused /process/oomScoreAdj create --bundle "$BUNDLE" "$ID.b"
	done
}

@test "sysctl: both spellings, several kinds; the host's and the unknown are refused" {
	with_network
	config '.linux.sysctl = {"kernel.shmmni": "99", "kernel/msgmnb": "5555", "net.ipv4.ip_forward": "1", "fs.mqueue.msg_max": "12"}'
	inside_ok 'cd /proc/sys; cat kernel/shmmni kernel/msgmnb net/ipv4/ip_forward fs/mqueue/msg_max'
	is "$OUT" $'99\n5555\n1\n12'
	for name in kernel.core_pattern vm.swappiness kernel.hostname fs.file-max user.max_user_namespaces \
		net net..core ../sysrq-trigger net.../../x; do
		[[ $WORLD == root || $name != user.* ]] || continue # there for each user namespace
		config '.linux.sysctl = {($n): "1"}' --arg n "$name"
		refused /linux/sysctl/ create --bundle "$BUNDLE" "$ID"
	done
	config '.linux.sysctl = {"net.ipv4.no_such_thing": "1"}'
	refused 'no such file or directory' create --bundle "$BUNDLE" "$ID"
	config '.linux.sysctl = {"net.ipv4.ip_forward": "nonsense"}'
	refused 'invalid argument' create --bundle "$BUNDLE" "$ID"
	while read -r kind name; do
		new_bundle "$BUNDLE"
		config 'del(.hostname) | .linux.sysctl = {($n): "1"} | .linux.namespaces |= map(select(.type != $k))' --arg n "$name" --arg k "$kind"
		refused "a namespace of type $kind" create --bundle "$BUNDLE" "$ID"
	done <<-'END'
		network net.ipv4.ip_forward
		ipc kernel.msgmax
		ipc fs.mqueue.msg_max
		uts kernel.domainname
	END
	nothing_left
}

@test "personality: LINUX, an unknown domain, flags" {
	config '.linux.personality = {domain: "LINUX"}'
	inside_ok 'uname -m'
	is "$OUT" "$(uname -m)"
	config '.linux.personality = {domain: "LINUX64"}'
	refused /linux/personality/domain create --bundle "$BUNDLE" "$ID"
	config '.linux.personality = {domain: "LINUX", flags: ["ADDR_NO_RANDOMIZE"]}'
	refused /linux/personality/flags create --bundle "$BUNDLE" "$ID"
	nothing_left
}

@test "user: ids that stand for none, groups that repeat, many groups" {
	needs_ids 'other users and a thousand groups'
	for user in '{"uid": 4294967295}' '{"gid": 4294967295}' '{"additionalGids": [4294967295]}'; do
		config '.process.user = ({uid: 0, gid: 0} + $u)' --argjson u "$user"
		refused /process/user/ create --bundle "$BUNDLE" "$ID"
	done
	last=4294967294
	[[ $WORLD == root ]] || last=65535
	config '.process.user = {uid: $last, gid: $last, additionalGids: [range(1; 1001)]}' --argjson last "$last"
	inside_ok 'id -u; awk "/^Groups/ { print NF - 1 }" /proc/self/status'
	is "$OUT" "$last"$'\n1000'
}

@test "namespaces: a path of another kind, of no namespace, a relative one, for every kind" {
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	declare -A file=([pid]=pid [network]=net [ipc]=ipc [uts]=uts [mount]=mnt [cgroup]=cgroup)
	for kind in "${!file[@]}"; do
		other=uts
		[[ $kind != uts ]] || other=ipc
		new_bundle "$BUNDLE"
		config '.linux.namespaces |= (map(select(.type != $k)) + [{type: $k, path: $p}])' --arg k "$kind" --arg p "/proc/$pid/ns/$other"
		rt create --bundle "$BUNDLE" "$ID.b"
		is "$STATUS" 1 "$kind with the path of $other"
		like "$ERR" "/linux/namespaces/.*another kind"
		config '.linux.namespaces[-1].path = "/etc/passwd"'
		rt create --bundle "$BUNDLE" "$ID.b"
		is "$STATUS" 1 "$kind with the path of a file"
		like "$ERR" "/linux/namespaces/.*not a namespace"
		config '.linux.namespaces[-1].path = "relative"'
		refused /linux/namespaces/ create --bundle "$BUNDLE" "$ID.b"
	done
	config '.linux.namespaces += [{type: "nonsense"}]'
	refused nonsense create --bundle "$BUNDLE" "$ID.b"
}

@test "capabilities: an absent object is none, for exec with --process the container's" {
	config 'del(.process.capabilities) | .process.noNewPrivileges = false'
	inside_ok 'grep ^Cap /proc/self/status'
	is "$(tr -d '\t' <<<"$OUT" | sort -u)" $'CapAmb:0000000000000000\nCapBnd:0000000000000000\nCapEff:0000000000000000\nCapInh:0000000000000000\nCapPrm:0000000000000000'
	caps CAP_KILL
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	jq -n '{cwd: "/", args: ["grep", "^Cap", "/proc/self/status"], env: ["PATH=/bin"], user: {uid: 0, gid: 0}}' >"$T/process.json"
	ok exec --process "$T/process.json" "$ID"
	has "$OUT" $'CapEff:\t0000000000000020'
	has "$OUT" $'CapBnd:\t0000000000000020'
}

@test "run.oci.keep_original_groups: the caller's groups in place of the config's" {
	needs_root 'gives the runtime groups'
	printf '#!/bin/sh\nexec setpriv --groups 4242,4243 "%s" "$@"\n' "$RUNTIME" >"$T/with_groups"
	chmod +x "$T/with_groups"
	RUNTIME=$T/with_groups
	config '.process.user = {uid: 1000, gid: 1000, additionalGids: [7]}'
	inside_ok 'grep ^Groups /proc/self/status'
	is "${OUT// /}" $'Groups:\t7'
	config '.annotations = {"run.oci.keep_original_groups": "0"}'
	inside_ok 'grep ^Groups /proc/self/status'
	is "${OUT// /}" $'Groups:\t7'
	config '.annotations = {"run.oci.keep_original_groups": "1"}'
	inside_ok 'grep ^Groups /proc/self/status'
	kept='4242 4243'
	[[ $WORLD == root ]] || kept='65534 65534' # which the user namespace does not map
	is "$OUT" $'Groups:\t'"$kept "
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	ok exec "$ID" grep ^Groups /proc/self/status
	is "$OUT" $'Groups:\t'"$kept "
}

@test "timer slack: the caller's, also of an exec and of a hook" {
	# The runtime's own threads have another.
	[[ -w /proc/self/timerslack_ns ]] || skip 'needs timerslack_ns, Linux 4.6'
	printf '#!/bin/sh\nexec cat /proc/self/timerslack_ns >"%s"\n' "$T/hook" >"$T/slack"
	chmod 755 "$T/slack"
	config '.hooks.createRuntime = [{path: $h}]' --arg h "$T/slack"
	args sh -c 'cat /proc/self/timerslack_ns; exec sleep 100'
	echo 61234 >/proc/$$/timerslack_ns
	background "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null >"$T/o" 2>"$T/e"
	wait_for grep -q 61234 "$T/o"
	is "$(<"$T/hook")" 61234 'of the hook'
	ok exec "$ID" cat /proc/self/timerslack_ns
	echo 0 >/proc/$$/timerslack_ns
	is "$OUT" 61234 'of the exec'
	if is_oci_mini && ((EUID == 0)); then
		# What the binary is linked for: the monitor of the Go runtime sleeps long.
		for task in "/proc/$PID/task/"*; do cat "/proc/${task##*/}/timerslack_ns"; done >"$T/slacks"
		has "$(<"$T/slacks")" 10000000
	fi
	silent kill "$ID" KILL
	wait "$PID" || true
	nothing_left
}
