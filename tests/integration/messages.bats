#!/usr/bin/env bats
# What a person reads at three in the morning: the hints below errors, each of which must be
# true of what this test has broken.

load helpers

# broken HINT ARG...: create fails, says the hint in one line, and leaves nothing.
broken() {
	local hint=$1
	shift
	rt create --bundle "$BUNDLE" "$@" "$ID"
	((STATUS == 1)) || fail "create exits $STATUS" || return 1
	has "$ERR" $'\n  hint: '"$hint" || return 1
	is "$(wc -l <<<"$ERR")" 2 lines || return 1
	nothing_left
}

# program NAME TEXT: an executable file of the root file system.
program() {
	printf %b "$2" >"$ROOTFS/bin/$1"
	chmod 755 "$ROOTFS/bin/$1"
}

@test "a program that cannot be found: where it is looked for, its mode, a directory" {
	only_oci_mini "the words of its hints"
	own_rootfs
	args /bin/no-such
	broken 'the path is one inside the container, whose root file system is '
	args no-such
	broken 'the search goes along the PATH in /process/env, inside the container'
	config '.process.env = ["PATH=bin"]'
	broken '/process/env has no PATH with an absolute directory'
	echo text >"$ROOTFS/bin/plain"
	chmod 640 "$ROOTFS/bin/plain"
	give "$ROOTFS/bin/plain"
	args /bin/plain
	broken '/bin/plain is not executable: its mode is 0640 (chmod +x)'
	args /bin
	broken '/bin is a directory'
}

@test "a program that cannot be executed: interpreter, dynamic linker, machine, format" {
	only_oci_mini "the words of its hints"
	own_rootfs
	program script '#!/usr/bin/python9\n'
	program windows '#!/bin/sh\r\n'
	program text 'echo\n'
	program empty ''
	# A header of 64 bits, a program header that says "interpreter", and its name.
	program dynamic '\177ELF\002\001\001'
	{
		printf '\0\0\0\0\0\0\0\0\0\002\0'
		head -c 20 "$ROOTFS/bin/busybox" | tail -c 2
		printf '\001\0\0\0\0\0\0\0\0\0\0\0\100\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\100\0\070\0\001\0\0\0\0\0\0\0'
		printf '\003\0\0\0\0\0\0\0\200\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\020\0\0\0\0\0\0\0\020\0\0\0\0\0\0\0\001\0\0\0\0\0\0\0'
		printf '\0\0\0\0\0\0\0\0/lib/ld-none.so\0'
	} >>"$ROOTFS/bin/dynamic"
	cp "$ROOTFS/bin/dynamic" "$ROOTFS/bin/foreign"
	printf '\026\0' | dd of="$ROOTFS/bin/foreign" bs=1 seek=18 conv=notrunc status=none
	args sleep 100
	ok run --detach --bundle "$BUNDLE" "$ID"
	no() { # NAME HINT: exec and run say so, and start
		rt exec "$ID" "$1"
		((STATUS == 255)) || fail "exec $1 exits $STATUS" || return 1
		has "$ERR" "  hint: $2" || return 1
		args "$1"
		rt run --bundle "$BUNDLE" "$ID.r"
		((STATUS == 1)) || fail "run $1 exits $STATUS" || return 1
		has "$ERR" "  hint: $2" || return 1
		ok create --bundle "$BUNDLE" "$ID.c" || return 1
		rt start "$ID.c"
		((STATUS == 1)) || fail "start of $1 exits $STATUS" || return 1
		has "$ERR" "  hint: $2" || return 1
		ok delete --force "$ID.c"
	}
	no script 'the interpreter of /bin/script, "/usr/bin/python9", is not in the container'
	no /bin/windows 'the first line of /bin/windows ends with a carriage return, so that its interpreter is "/bin/sh\r"'
	no text '/bin/text is neither a program nor a script: a script begins with a line such as #!/bin/sh'
	no empty '/bin/empty is an empty file'
	if [[ $(uname -m) != s390x ]]; then
		no foreign '/bin/foreign is a program for s390x, and this machine is '
	fi
	if [[ $(head -c 6 "$ROOTFS/bin/busybox" | od -An -tx1) == *02\ 01 ]]; then
		no dynamic 'the dynamic linker of /bin/dynamic, "/lib/ld-none.so", is not in the container'
	fi
	# What a mount hides from outside is not spoken of.
	mkdir "$T/over"
	printf '#!/none\n' >"$T/over/script"
	chmod 755 "$T/over" "$T/over/script"
	mount_add /bin "" "$T/over" bind ro
	args /bin/script
	rt run --bundle "$BUNDLE" "$ID.r"
	has "$ERR" 'hint: the file or its interpreter is missing'
}

@test "an argument of a megabyte does not fill the terminal" {
	only_oci_mini "the words of its hints"
	config '.process.args = ["true", "x" * 200000]'
	rt run --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" 'argument list too long (E2BIG)'
	has "$ERR" 'hint: one argument or variable may have 128 KiB'
	((${#ERR} < 1500)) || fail "${#ERR} bytes of error"
}

@test "mounts: each refusal with what to do" {
	only_oci_mini "the words of its hints"
	own_rootfs
	local before
	before=$(<"$BUNDLE/config.json")
	try() { # HINT DESTINATION TYPE SOURCE [OPTION...]
		echo "$before" >"$BUNDLE/config.json"
		mount_add "${@:2}"
		broken "$1"
	}
	ln -s loop "$ROOTFS/loop"
	mkdir "$T/dir"
	: >"$T/file"
	try 'a symbolic link on the way leads to itself' /loop "" "$T/dir" bind
	try 'modes are octal: mode=1777' /mnt tmpfs tmpfs mode=999
	try 'an option that is no mount flag goes to the file system, which does not know this one' /mnt tmpfs tmpfs bogus
	echo "$before" >"$BUNDLE/config.json"
	mount_add /etc "" "$T/file" bind
	refused 'the source is a file, but /etc: is a directory (EISDIR)' create --bundle "$BUNDLE" "$ID"
	echo "$before" >"$BUNDLE/config.json"
	mount_add /etc/passwd "" "$T/dir" bind
	refused 'the source is a directory, but /etc/passwd: not a directory (ENOTDIR)' create --bundle "$BUNDLE" "$ID"
	if [[ $WORLD == root ]] && grep -qw ext4 /proc/filesystems; then
		try 'the source must be a block device: losetup makes one of a file' /mnt ext4 "$T/file"
	fi
}

@test "a root file system that the container's root may not enter" {
	only_oci_mini "the words of its hints"
	[[ $WORLD == userns ]] || needs_host_users 'it makes a user namespace of its own'
	needs_root 'root of the container is another user outside'
	own_rootfs
	if [[ $WORLD != userns ]]; then
		config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
	fi
	chmod 700 "$ROOTFS"
	chown 7:7 "$ROOTFS"
	broken "the container's root may not enter a directory on the way"
}

@test "limits that the machine does not have" {
	only_oci_mini "the words of its hints"
	needs_root 'it writes limits'
	only_cgroupfs 'systemd refuses some of these in its own words'
	local before
	before=$(<"$BUNDLE/config.json")
	try() { # CONTROLLER JQ HINT
		config "$2"
		if has_controller "$1"; then broken "$3"; fi
		echo "$before" >"$BUNDLE/config.json"
	}
	try cpuset '.linux.resources.cpu = {cpus: "9999"}' "/sys/devices/system/cpu/online has this machine's CPUs"
	try cpu '.linux.resources.cpu = {quota: 10}' 'the kernel takes quotas from 1000 us up'
	try hugetlb '.linux.resources.hugepageLimits = [{pageSize: "3MB", limit: 1}]' '/sys/kernel/mm/hugepages has the page sizes of this machine'
}

@test "hooks: where they are looked for, and what they must be" {
	only_oci_mini "the words of its hints"
	config '.hooks = {startContainer: [{path: "/no/hook"}]}'
	rt run --bundle "$BUNDLE" "$ID"
	has "$ERR" 'hint: hooks of this kind are looked for inside the container'
	config '.hooks = {prestart: [{path: "/tmp"}]}'
	broken 'a hook is a file that may be executed, not a directory'
}

@test "seccomp: an agent that is not there" {
	only_oci_mini "the words of its hints"
	config '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/none/agent", syscalls: [{names: ["mkdir"], action: "SCMP_ACT_NOTIFY"}]}'
	broken 'the agent that the profile leaves calls to must listen on this socket before the container is made'
}

@test "a bundle that is none: what a bundle is, and which argument names one" {
	only_oci_mini "the words of its hints"
	broken 'the container'"'"'s files have to be there; oci-mini spec --host writes a config' --config <(jq '.root.path = "/no/rootfs"' "$BUNDLE/config.json")
	rm "$BUNDLE/config.json"
	broken 'a bundle is a directory with a config.json; oci-mini spec --bundle DIR writes one'
	mkdir -p "$T/above/web"
	: >"$T/above/web/config.json"
	cd "$T/above"
	rt run web
	((STATUS == 1))
	has "$ERR" 'hint: a word without a slash is an id, for the bundle in the current directory; the bundle web is web/'
	rt run web/config.json
	has "$ERR" 'hint: a bundle is a directory with a file config.json in it'
}

@test "a config that is no JSON, or has no end" {
	only_oci_mini "the words of its hints"
	local text
	for text in 'ociVersion: 1.3.0' '// comment\n{}' '\xef\xbb\xbf{}'; do
		printf %b "$text" >"$BUNDLE/config.json"
		rt create --bundle "$BUNDLE" "$ID"
		has "$ERR" "$BUNDLE/config.json:1:1: expected a value, found "
		has "$ERR" 'hint: a config is a JSON object, { ... }: without comments, without a byte order mark, and no YAML'
	done
	ln -sf /dev/zero "$BUNDLE/config.json"
	broken 'a config has at most 64 MiB'
	is "$(waiting_for_config)" ended
}

# waiting_for_config: a create whose config is a pipe that nobody writes to ends by SIGTERM.
waiting_for_config() {
	local pid status=0
	rm -f "$BUNDLE/config.json"
	mkfifo "$BUNDLE/config.json"
	"$RUNTIME" "${STATE[@]}" create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 3>&- &
	pid=$!
	sleep 0.3
	kill -TERM "$pid"
	timeout 5 tail --pid="$pid" -f /dev/null || {
		kill -KILL "$pid"
		echo 'waits on'
		return
	}
	wait "$pid" || status=$?
	((status == 143)) && echo ended
}

@test "what nothing reads in a config: explain warns, and what is missing names it" {
	only_oci_mini "the words of its hints"
	config '.proccess = .process | .mounts[0].optoins = ["ro"]'
	ok explain "$BUNDLE/"
	has "$ERR" 'oci-mini: warning: /proccess: is not in the specification, and ignored; there is process'
	has "$ERR" 'oci-mini: warning: /mounts/0/optoins: is not in the specification, and ignored; there is options'
	silent create --bundle "$BUNDLE" "$ID"
	ok delete "$ID"
	config 'del(.process)'
	rt run --bundle "$BUNDLE" "$ID"
	has "$ERR" $'\n  hint: '
	has "$ERR" '/proccess: is not in the specification, and ignored; there is process'
	printf '{"hostname": "a",\n%s' "$(tail -c +2 "$BUNDLE/config.json")" >"$T/c"
	ok explain --config "$T/c" "$BUNDLE/"
	has "$ERR" 'warning: /hostname: is there more than once: the last one, in line '
}

@test "where no cgroup file system is mounted, no container loses its device filter unasked" {
	only_oci_mini "the words of its hints"
	needs_root 'it unmounts /sys/fs/cgroup in a mount namespace of its own'
	only_cgroupfs 'systemd has no part in it'
	without() { # ARG...: rt in a mount namespace without cgroups
		STATUS=0
		unshare -m sh -c 'umount -l /sys/fs/cgroup && exec "$@"' sh "$RUNTIME" "${STATE[@]}" "$@" >"$T/out" 2>"$T/err" </dev/null 3>&- || STATUS=$?
		ERR=$(<"$T/err")
	}
	config '.linux.resources.memory = {limit: 100000000}'
	without run --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" '/linux/resources/memory/limit: '
	config 'del(.linux.resources.memory)'
	without run --bundle "$BUNDLE" "$ID"
	((STATUS == 1))
	has "$ERR" "oci-mini: run $ID: make the cgroup: no cgroup file system is mounted at /sys/fs/cgroup"
	has "$ERR" 'hint: mount -t cgroup2 cgroup2 /sys/fs/cgroup; or go without limits and a device filter: --cgroup-manager disabled'
	without --cgroup-manager disabled run --bundle "$BUNDLE" "$ID"
	is "$STATUS:$ERR" 0:
	without --rootless=true run --bundle "$BUNDLE" "$ID"
	((STATUS == 0)) || fail "$ERR"
	has "$ERR" 'warning: the container has no cgroup'
}

@test "hardly any descriptors: a plain error, and no trace of a panic" {
	only_oci_mini "the words of its hints"
	local n
	for n in 6 7 8 9 10 12; do
		STATUS=0
		(
			ulimit -n "$n"
			exec 3>&-
			"$RUNTIME" "${STATE[@]}" "${MANAGER[@]}" run --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>"$T/err"
		) || STATUS=$?
		((STATUS == 1)) || fail "with $n: $STATUS, $(<"$T/err")"
		lacks "$(<"$T/err")" goroutine
		has "$(<"$T/err")" 'too many open files (EMFILE)'
	done
	nothing_left
}

@test "a command line that is wrong: one error, a hint, nothing on standard output" {
	only_oci_mini "the words of its hints"
	wrong() { # TEXT HINT ARG...
		rt "${@:3}"
		is "$STATUS:$OUT" 1: || return 1
		is "$ERR" "oci-mini: $1"$'\n'"  hint: $2"
	}
	wrong 'run: flag provided but not defined: -bogus' 'oci-mini run --help lists its flags' run --bogus
	wrong 'restore: flag needs an argument: -lsm-mount-context' 'oci-mini restore --help lists its flags' restore --lsm-mount-context
	local general='oci-mini --help lists commands and global flags, which stand before the command'
	wrong 'flag provided but not defined: -bogus' "$general" --bogus
	wrong 'no such command: frob' "$general" frob
	wrong 'run: too many arguments: web bundle/' 'the bundle comes first, and has a slash: BUNDLE/ ID' run web bundle/
	rt run one two three
	is "$STATUS:$OUT:$ERR" '1::oci-mini: run: takes at most 2 argument(s), got 3: see oci-mini run --help'
	mkdir -p "$T/my bundle"
	wrong 'run: invalid container ID format: "my bundle": only letters, digits and _+.- are allowed' \
		"the id is the directory's name unless an argument behind the bundle gives one" run "$T/my bundle/"
	rt --root / list
	is "$STATUS:$OUT:$ERR" '1::oci-mini: list: --root: must not be /, where each directory would be taken for a container'
	rt --log "$T" list
	is "$STATUS:$OUT:$ERR" "1::oci-mini: --log: open $T: is a directory (EISDIR)"
	refused "oci-mini: start: container does not exist: \"$ID\"" start "$ID"
}

@test "explain alone is about the bundle of the current directory" {
	only_oci_mini "the words of its hints"
	cd "$BUNDLE"
	ok explain
	like "$OUT" '^ +1  runtime '
	config '.process.terminal = true'
	wrong="/process/terminal: a process that is detached needs --console-socket"
	rt run --detach --bundle "$BUNDLE" "$ID"
	is "$STATUS:$ERR" "1:oci-mini: run $ID: $wrong"$'\n  hint: a process does without a terminal by "terminal": false in its config, and no --tty'
}

@test "start of a container that was paused before its start" {
	only_oci_mini "the words of its hints"
	args sleep 100
	ok create --bundle "$BUNDLE" "$ID"
	rt pause "$ID"
	((STATUS == 0)) || skip "no cgroup that can be paused: $ERR"
	rt start "$ID"
	((STATUS == 1))
	has "$ERR" 'cannot start a container in the paused state'
	has "$ERR" 'hint: oci-mini resume lets it wait for start again'
	ok resume "$ID"
	status_is "$ID" created
	ok start "$ID"
	ok pause "$ID"
	refused 'cannot start an already running container' start "$ID"
	ok delete --force "$ID"
}

@test "a file system without programs, one that is read-only, a user who may not" {
	only_oci_mini "the words of its hints"
	needs_root 'mounts a root file system'
	needs_host_users 'its files are root'"'"'s alone'
	own_rootfs
	mount_add /data "" "$ROOTFS/bin" bind noexec
	args /data/busybox
	broken '/mounts/7 is noexec'
	config 'del(.mounts[7]) | .process.user.uid = 77777'
	mkdir -m 700 "$ROOTFS/closed"
	cp "$ROOTFS/bin/busybox" "$ROOTFS/closed/prog"
	args /closed/prog
	broken 'user 77777, of /process/user, has to be allowed to execute it, and to enter each directory on the way'
	config '.process.user.uid = 0'
	args true
	local before
	before=$(<"$BUNDLE/config.json")
	on() { # OPTIONS HINT: create fails with the root file system on a mount with these options
		rt_mounted "$1" create --bundle "$BUNDLE" "$ID"
		((STATUS == 1)) || fail "create exits $STATUS" || return 1
		has "$ERR" $'\n  hint: '"$2"
	}
	rt_mounted() { # OPTIONS ARG...
		STATUS=0
		# shellcheck disable=SC2016 # its arguments
		unshare -m sh -c 'mount --bind "$1" "$1" && mount -o "remount,bind,$2" "$1" && shift 2 && exec "$@"' sh \
			"$ROOTFS" "$1" "$RUNTIME" "${STATE[@]}" "${MANAGER[@]}" "${@:2}" >"$T/out" 2>"$T/err" </dev/null 3>&- || STATUS=$?
		ERR=$(<"$T/err")
	}
	on noexec 'the file system of /bin/true is mounted noexec'
	mount_add /none tmpfs tmpfs
	on ro 'the mount point is missing, and cannot be made on a file system that is read-only: make it in the root file system, or use --overlay'
	echo "$before" >"$BUNDLE/config.json"
	config '.process.cwd = "/none"'
	on ro 'it is missing, and cannot be made on a file system that is read-only: --overlay leaves that as it is'
}

@test "a bind without its option, a remount of nothing, a socket at which nobody listens" {
	only_oci_mini "the words of its hints"
	mount_add /mnt none /tmp
	broken 'a bind mount has bind or rbind among its options'
	config '.mounts[-1] = {destination: "/etc", options: ["remount", "ro"]}'
	broken 'remount changes a mount, and nothing is mounted there'
	config 'del(.mounts[-1]) | .process.terminal = true'
	broken 'whoever is to receive it must listen at this AF_UNIX socket before' --console-socket "$T/none"
}

@test "a state that cannot be read: what is left can be removed" {
	only_oci_mini "the words of its hints"
	(umask 077 && mkdir -p "$ROOT/$ID.x")
	echo garbage >"$ROOT/$ID.x/state.json"
	rt delete "$ID.x"
	((STATUS == 1))
	has "$ERR" 'hint: oci-mini delete --force removes what is left of it'
	ok delete --force "$ID.x"
	[[ ! -e $ROOT/$ID.x ]]
}

@test "a run that the kernel has ended for want of memory says so" {
	only_oci_mini "the words of its hints"
	needs_root 'it sets a limit'
	need_controller memory
	config '.linux.resources.memory = {limit: 20000000, swappiness: 0} | .process.args = ["tail", "/dev/zero"]'
	RT_KILL_OK=1 rt run --bundle "$BUNDLE" "$ID"
	is "$STATUS" 137
	has "$ERR" 'oci-mini: warning: the kernel has killed a process of the container for want of memory: /linux/resources/memory/limit is 20000000'
	config 'del(.linux.resources.memory) | .process.args = ["sh", "-c", "kill -KILL $$"]'
	RT_KILL_OK=1 rt run --bundle "$BUNDLE" "$ID"
	lacks "$ERR" memory
}

@test "a capability without its prefix" {
	only_oci_mini "the words of its hints"
	config '.process.capabilities.bounding = ["net_raw"]'
	rt run --bundle "$BUNDLE" "$ID"
	has "$ERR" 'ignored, as the kernel has no such capability: net_raw (names are like CAP_NET_RAW)'
}

@test "exec and update: what nothing reads in their files, and limits that cannot be" {
	only_oci_mini "the words of its hints"
	args sleep 100
	ok run --detach --bundle "$BUNDLE" "$ID"
	echo '{"arg": ["id"], "cwd": "/"}' >"$T/process"
	rt exec --process "$T/process" "$ID"
	is "$STATUS" 255
	has "$ERR" 'hint: /arg: is not in the specification, and ignored; there is args'
	echo '{"memory": {"limits": 5}}' >"$T/resources"
	ok update --resources "$T/resources" "$ID"
	has "$ERR" 'warning: /memory/limits: is not in the specification, and ignored; there is limit'
	rt exec --cap CAP_NONE "$ID" true
	like "$ERR" 'no such capability: CAP_NONE$'
	needs_root 'it changes a limit'
	need_controller cpuset
	rt update --cpuset-cpus 9999 "$ID"
	((STATUS == 1))
	has "$ERR" "hint: /sys/devices/system/cpu/online has this machine's CPUs"
}

@test "spec: a bundle whose directory is missing" {
	only_oci_mini "the words of its hints"
	rt spec --bundle "$T/none"
	is "$STATUS:$ERR" "1:oci-mini: spec: open $T/none/config.json: no such file or directory (ENOENT)"$'\n'"  hint: the bundle's directory has to be there before: mkdir -p $T/none"
}
