#!/usr/bin/env bats
# testdata/every-field.json has every field of the specification's schema. main.TestEveryFieldRoundTrip
# shows that it is read, valid and planned; here it runs, in two halves: some fields exclude
# each other. What this machine lacks is left out, each with its reason, and nothing else is.
# shellcheck disable=SC2016 # jq's variables

load helpers

EVERY=$REPO/testdata/every-field.json

teardown_file() {
	local loaded=/sys/kernel/security/apparmor
	! grep -qs '^oci-mini-every-field ' $loaded/profiles || printf oci-mini-every-field >$loaded/.remove
}

# counterpart: an agent at $T/agent.sock that lets every call go on and writes their numbers
# to $T/calls, and a receiver of ptys at $T/console.sock that writes their size and what
# comes out of them to $T/console.
counterpart() {
	command -v python3 >/dev/null || fail 'python3 is missing: see tests/install-deps'
	cat >"$T/counterpart.py" <<-'PYTHON'
		import array, fcntl, os, socket, struct, sys, termios, threading
		def descriptor(conn):
		    data, control, _, _ = conn.recvmsg(65536, socket.CMSG_SPACE(4))
		    if not control:
		        sys.exit()  # of the thread: somebody only looked
		    return array.array("i", control[0][2][:4])[0]
		def agent(conn):
		    fd = descriptor(conn)
		    while True:
		        request = bytearray(80)
		        try:
		            fcntl.ioctl(fd, 0xc0502100, request)
		            call, nr = struct.unpack_from("QIIi", request)[::3]
		            with open("calls", "a") as f:
		                f.write("%d\n" % nr)
		            fcntl.ioctl(fd, 0xc0182101, bytearray(struct.pack("QqiI", call, 0, 0, 1)))
		        except FileNotFoundError:
		            if not os.path.exists("/proc/self/fd/%d" % fd):
		                return
		        except OSError:
		            return
		def console(conn):
		    fd = descriptor(conn)
		    os.set_blocking(fd, True)
		    with open("console", "ab", buffering=0) as f:
		        f.write(b"%d rows, %d columns\n" % struct.unpack_from("HH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8))))
		        try:
		            while True:
		                f.write(os.read(fd, 4096).replace(b"\r", b""))
		        except OSError:
		            pass
		os.chdir(sys.argv[1])
		def serve(name, handle):
		    s = socket.socket(socket.AF_UNIX)
		    s.bind(name)
		    s.listen(8)
		    def loop():
		        while True:
		            threading.Thread(target=handle, args=(s.accept()[0],), daemon=True).start()
		    threading.Thread(target=loop).start()
		serve("agent.sock", agent)
		serve("console.sock", console)
		print("ready", flush=True)
	PYTHON
	background python3 "$T/counterpart.py" "$T" >"$T/counterpart.out"
	wait_for grep -q ready "$T/counterpart.out"
}

# left FIELD REASON: leaves a field and all below it out of both halves. FIELD is a pointer of
# the schema, where * is any element.
left() {
	printf '%s\t%s\n' "$1" "$2" >>"$T/left"
}

# machine: what this machine lacks.
machine() {
	local lsm file
	: >"$T/left"
	lsm=,$(cat /sys/kernel/security/lsm 2>/dev/null || true),
	[[ $lsm == *,apparmor,* ]] || left /process/apparmorProfile 'this kernel runs without AppArmor'
	[[ $lsm == *,selinux,* ]] || {
		left /process/selinuxLabel 'this kernel runs without SELinux'
		left /linux/mountLabel 'this kernel runs without SELinux'
	}
	grep -q ' - resctrl ' /proc/self/mountinfo || left /linux/intelRdt 'no resctrl file system is mounted'
	[[ -e /sys/devices/system/node/node0 ]] || left /linux/memoryPolicy 'this kernel has no memory nodes'
	[[ -e /dev/fuse ]] || left /linux/devices 'this machine has no /dev/fuse, and a user namespace makes no devices'
	command -v ip >/dev/null || left /linux/netDevices 'no ip (iproute2) to make a device'
	if [[ ! -e /usr/share/containers/seccomp.json ]]; then
		left /linux/seccomp/defaultErrnoRet 'no profile of an engine that lists the calls to allow'
	fi
	[[ -e /sys/class/infiniband/mlx5_1 ]] || left /linux/resources/rdma 'this machine has no RDMA device of that name'
	left /linux/resources/blockIO/leafWeight 'no kernel since 5.0 has it'
	left '/linux/resources/blockIO/weightDevice/*/leafWeight' 'no kernel since 5.0 has it'
	DISK=$(for file in /sys/block/*/device; do [[ -e $file ]] && cat "${file%/device}/dev" && break; done)
	[[ $DISK ]] || left /linux/resources/blockIO 'this machine has no disk'
	for file in memory cpuset cpu pids hugetlb; do
		has_controller "$file" || case $file in
		cpuset) left /linux/resources/cpu/cpus 'no controller cpuset'; left /linux/resources/cpu/mems 'no controller cpuset' ;;
		hugetlb) left /linux/resources/hugepageLimits 'no controller hugetlb' ;;
		*) left "/linux/resources/$file" "no controller $file" ;;
		esac
	done
	if cgroup2; then
		left /linux/resources/network 'of cgroup v1 alone'
		for file in memory/swappiness memory/disableOOMKiller cpu/realtimeRuntime cpu/realtimePeriod; do
			left "/linux/resources/$file" 'of cgroup v1 alone'
		done
		has_controller memory || left /linux/resources/unified 'no controller memory'
		has_controller io || left /linux/resources/blockIO 'no controller io'
	else
		left /linux/resources/unified 'of cgroup v2 alone'
		left /linux/resources/cpu/idle 'of cgroup v2 alone'
		[[ -e /sys/fs/cgroup/cpu/cpu.cfs_burst_us ]] || left /linux/resources/cpu/burst 'this kernel has no cpu.cfs_burst_us'
		[[ -e /sys/fs/cgroup/cpu/cpu.rt_runtime_us ]] || {
			left /linux/resources/cpu/realtimeRuntime 'this kernel gives no realtime budgets to cgroups'
			left /linux/resources/cpu/realtimePeriod 'this kernel gives no realtime budgets to cgroups'
		}
		[[ -e /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes ]] || left /linux/resources/memory/swap 'this kernel does not account for swap'
		has_controller net_cls || left /linux/resources/network/classID 'no controller net_cls'
		has_controller net_prio || left /linux/resources/network/priorities 'no controller net_prio'
		has_controller blkio || left /linux/resources/blockIO 'no controller blkio'
	fi
	weighs 100 || left /linux/resources/blockIO/weight 'no scheduler of this kernel weighs block I/O'
	weighs "${DISK:-0:0} 100" || left /linux/resources/blockIO/weightDevice "the scheduler of this machine's disk weighs no I/O"
}

has_controller() {
	if cgroup2; then
		grep -qw -- "$1" /sys/fs/cgroup/cgroup.controllers
	else
		[[ -e /sys/fs/cgroup/$1/cgroup.procs ]]
	fi
}

# weighs VALUE: a cgroup takes the weight of block I/O, or of that on a device.
weighs() {
	local dir=/sys/fs/cgroup/blkio/$ID.probe file=blkio.bfq.weight taken=1
	! cgroup2 || dir=/sys/fs/cgroup/$ID.probe file=io.bfq.weight
	[[ $1 != *' '* ]] || cgroup2 || file+=_device
	mkdir "$dir" 2>/dev/null || return 1
	[[ ! -e $dir/$file ]] || ! echo "$1" 2>/dev/null >"$dir/$file" || taken=0
	rmdir "$dir"
	return "$taken"
}

# half NAME JQ: the config of one half, adapted to the machine by a filter.
half() {
	config_of="$T/$1.json"
	local path=/$ID
	[[ $(leaf "$ID") == "$ID" ]] || path=system.slice:oci-mini:$ID
	jq --arg path "$path" --arg mark "OCI_TEST_MARK=$MARK" --arg rootfs "$ROOTFS" --arg srv "$T/srv" --arg t "$T" --arg disk "${DISK:-0:0}" \
		--arg net "${NET:-}" --slurpfile names "$T/names" --rawfile left "$T/left" '
		.process.env += [$mark]
		| .root.path = $rootfs
		| .linux.cgroupsPath = $path
		| .hooks |= map_values(map(.path = "/bin/true" | .args = ["true"]))
		| (.linux.namespaces[] | select(.type == "network")).path = $net
		| (.mounts[] | select(.destination == "/mnt")).source = $srv
		| .process.apparmorProfile = "oci-mini-every-field"
		| .process.selinuxLabel = "unconfined_u:unconfined_r:unconfined_t:s0:c1,c2"
		| .linux.mountLabel = "system_u:object_r:tmp_t:s0:c1,c2"
		| .linux.seccomp.listenerPath = $t + "/agent.sock"
		| if $names[0] then .linux.seccomp.syscalls[0].names = ($names[0] - ["getcwd", "personality"]) else .linux.seccomp.defaultAction = "SCMP_ACT_ALLOW" end
		| ($disk | split(":") | map(tonumber)) as [$major, $minor]
		| .linux.resources.blockIO |= with_entries(if .value | type == "array" then .value |= map(.major = $major | .minor = $minor) else . end)
		| reduce ($left | split("\n")[] | select(. != "") | split("\t")[0] | ltrimstr("/") | split("/")) as $f
			(.; if ($f | index("*")) then delpaths([paths | select((map(if type == "number" then "*" else . end)) == $f)]) else delpaths([$f]) end)
		| '"$2" "$EVERY" >"$config_of" || return 1
	cp "$config_of" "$BUNDLE/config.json"
}

# begin: files, an agent, a network of the machine's with a device to give away.
begin() {
	only_oci_mini 'the config is beyond others'
	own_rootfs
	mkdir "$T/srv"
	echo shared >"$T/srv/file"
	chown -R 100000:100000 "$BUNDLE/rootfs" "$T/srv"
	chmod 755 "$T" "$BUNDLE" "$OCI_TEST_TMP"
	ROOTFS=$BUNDLE/rootfs
	machine
	jq '[.syscalls[] | select(.action == "SCMP_ACT_ALLOW").names[]] | unique' /usr/share/containers/seccomp.json >"$T/names" 2>/dev/null ||
		echo null >"$T/names"
	if ! grep -q '^/process/apparmorProfile' "$T/left"; then
		echo 'profile oci-mini-every-field flags=(attach_disconnected, mediate_deleted) {
			file, capability, network, mount, umount, remount, pivot_root, signal, ptrace, unix, dbus, change_profile, }' | apparmor_parser -Kr
	fi
	counterpart
	# The host's network, for this test: eth0 is in it, and moves.
	unshare -n sleep 300 3>&- &
	PID=$!
	STARTED+=("$PID")
	wait_for eval '[[ $(readlink /proc/$PID/ns/net) != "$(readlink /proc/self/ns/net)" ]]'
	HOST=$PID
	printf '#!/bin/sh\nexec nsenter --net=/proc/%s/ns/net "%s" "$@"\n' "$PID" "$RUNTIME" >"$T/runtime"
	chmod 755 "$T/runtime"
	RUNTIME=$T/runtime
	nsenter --net="/proc/$HOST/ns/net" ip link add eth0 type dummy 2>/dev/null ||
		nsenter --net="/proc/$HOST/ns/net" ip tuntap add eth0 mode tap 2>/dev/null ||
		left /linux/netDevices 'the kernel has neither dummy nor tap devices'
}

# The first half: no terminal, a new network namespace, and another scheduler than that of
# deadlines, whose processes can neither fork nor be kept off a CPU.
FIRST_HALF='.process.terminal = false | del(.process.consoleSize)
	| (.linux.namespaces[] | select(.type == "network")) |= del(.path)
	| .process.scheduler = {policy: "SCHED_BATCH", nice: 5, priority: 0, flags: ["SCHED_FLAG_RESET_ON_FORK"]}'

# The second: a terminal, the network namespace of another, deadlines. Such a process has to
# be allowed on all CPUs; the time that it reserves is no cgroup'"'"'s to limit on v1; and a
# device is given away once.
SECOND_HALF='del(.process.execCPUAffinity, .linux.resources.cpu, .linux.netDevices)'

@test "every field: the first half of the config runs, with exec, and leaves nothing" {
	own_users
	begin
	half first "$FIRST_HALF"
	args sh -c 'hostname; id -u; cat /mnt/file /proc/self/oom_score_adj; ulimit -n; umask; cut -d" " -f19 </proc/self/stat
		read -r up _ </proc/uptime; pwd; grep -o "net[0-9]*:" /proc/net/dev; echo end'
	want=$'full\n1\nshared\n100\n512\n0022\n5\n/'
	grep -q ^/linux/netDevices "$T/left" || want+=$'\nnet0:'
	rt run --bundle "$BUNDLE" "$ID"
	is "$STATUS:$ERR" '0:'
	is "$OUT" "$want"$'\nend'
	[[ -s $T/calls ]] || fail 'the agent was asked about no call'
	nsenter --net="/proc/$HOST/ns/net" ip link add eth0 type dummy 2>/dev/null || nsenter --net="/proc/$HOST/ns/net" ip tuntap add eth0 mode tap 2>/dev/null || :
	args sleep 60
	silent run --detach --bundle "$BUNDLE" "$ID"
	ok exec "$ID" hostname
	is "$OUT" full
	silent delete --force "$ID"
}

@test "every field: the second half of the config runs, with exec, and leaves nothing" {
	own_users
	alone deadlines
	begin
	NET=/proc/$HOST/ns/net
	half second "$SECOND_HALF"
	# Nothing that would have to be forked.
	args sh -c 'read -r stat </proc/self/stat; set -- $stat; echo policy ${41}; read -r line </dev/console'
	ok create --bundle "$BUNDLE" --console-socket "$T/console.sock" "$ID"
	silent start "$ID"
	wait_for grep -q 'policy 6' "$T/console" || fail "$(cat "$T/console")"
	has "$(<"$T/console")" '25 rows, 80 columns'
	is "$(readlink "/proc/$(init_pid "$ID")/ns/net")" "$(readlink "$NET")"
	jq '.process.scheduler = {policy: "SCHED_OTHER"} | .process.terminal = false | .process.args = ["hostname"] | .process' "$BUNDLE/config.json" >"$T/process"
	ok exec --process "$T/process" "$ID"
	is "$OUT" full
	silent delete --force "$ID"
}

@test "every field: each is in one of the halves, or left out for a reason that this machine has" {
	own_users
	begin
	half first "$FIRST_HALF"
	NET=/proc/$HOST/ns/net half second "$SECOND_HALF"
	leaves='[paths(type != "object" and type != "array") | map(if type == "number" then "*" else . end)] | unique[] | "/" + join("/")'
	jq -r "$leaves" "$EVERY" | sort -u >"$T/all"
	jq -r "$leaves" "$T/first.json" "$T/second.json" | sort -u >"$T/run"
	while read -r field; do
		grep -qxF -- "$field" "$T/run" || awk -F "\t" -v f="$field" 'f == $1 || index(f, $1 "/") == 1 { found = 1 } END { exit !found }' "$T/left" ||
			fail "$field runs in neither half, and nobody says why"
	done <"$T/all"
	sed 's/^/# left out: /' "$T/left" >&3
}
