#!/usr/bin/env bats
# The systemd cgroup manager: units, their properties, and what becomes of them.
load helpers

# sd ARG...: the runtime with the systemd manager must succeed.
sd() {
	ok --systemd-cgroup "$@"
}

# The systemd that the containers are units of: the user's own for all but root.
SYSTEMD=() SLICE=system.slice
((EUID == 0)) || SYSTEMD=(--user) SLICE=user.slice

# ctl ARG...: systemctl of that systemd.
ctl() {
	systemctl "${SYSTEMD[@]}" "$@"
}

# show UNIT PROPERTY: its value.
show() {
	ctl show --value --property "$2" "$1"
}

# unloaded UNIT: systemd knows no such unit.
unloaded() {
	[[ $(show "$1" LoadState) == not-found ]]
}

# unit_cgroup: the cgroup of the test's own container, as its first process has it.
unit_cgroup() {
	sed -n 's/^0:://p; s/^[0-9]*:name=systemd://p' "/proc/$(init_pid "$ID")/cgroup" | tail -n 1
}

# above: the cgroup that all units of this systemd lie in, "" for the system's.
above() {
	local dir
	dir=$(ctl show --value --property ControlGroup)
	echo "${dir%/}"
}

@test "systemd: a scope of its own in system.slice, with the container's processes and a description" {
	need_systemd
	args sleep 600
	sd run --detach --bundle "$BUNDLE" "$ID"
	unit=oci-mini-$ID.scope
	is "$(unit_cgroup)" "$(above)/$SLICE/$unit"
	is "$(show "$unit" ActiveState)" active
	is "$(show "$unit" Slice)" "$SLICE"
	is "$(show "$unit" Description)" "oci-mini container $ID in $ROOT/$ID"
	is "$(show "$unit" Delegate)" yes
	is "$(show "$unit" DefaultDependencies)" no
	is "$(show "$unit" MemoryAccounting)$(show "$unit" TasksAccounting)$(show "$unit" CPUAccounting)" yesyesyes
	ok exec "$ID" cat /proc/self/cgroup
	has "$OUT" "0::/"
	ok exec --detach --pid-file "$T/pid" "$ID" sleep 600
	has "$(<"/proc/$(<"$T/pid")/cgroup")" "$unit"
	ok ps --format json "$ID"
	is "$(jq length <<<"$OUT")" 2
	ok pause "$ID"
	status_is "$ID" paused
	ok resume "$ID"
	status_is "$ID" running
	ok delete --force "$ID"
	wait_for unloaded "$unit"
	nothing_left
}

@test "systemd: cgroupsPath names slice, prefix and name; a slice lies in those that its name begins with" {
	need_systemd
	args sleep 600
	config '.linux.cgroupsPath = $p' --arg p "machine-$MARK-a.slice:pre:$ID"
	sd run --detach --bundle "$BUNDLE" "$ID"
	is "$(unit_cgroup)" "$(above)/machine.slice/machine-$MARK.slice/machine-$MARK-a.slice/pre-$ID.scope"
	ok delete --force "$ID"
	wait_for unloaded "pre-$ID.scope"

	config '.linux.cgroupsPath = $p' --arg p "::$ID"
	sd run --detach --bundle "$BUNDLE" "$ID"
	is "$(unit_cgroup)" "$(above)/$SLICE/$ID.scope"
	ok delete --force "$ID"
	ctl stop "machine-$MARK.slice"
}

@test "systemd: a name that ends in .slice is a slice" {
	need_systemd
	args sleep 600
	config '.linux.cgroupsPath = $p' --arg p "::$ID.slice"
	sd run --detach --bundle "$BUNDLE" "$ID"
	is "$(unit_cgroup)" "$(above)/$ID.slice"
	ok delete --force "$ID"
	# systemd has every slice that is asked for.
	is "$(show "$ID.slice" ActiveState)" inactive
}

@test "systemd: a cgroupsPath that is none of its names is refused" {
	for p in /a/b a:b 'nonsense:x:y' 'a--b.slice:x:y' 'system.slice:x:' "system.slice:a/b:c" 'a.slice:x:b-c.slice'; do
		config '.linux.cgroupsPath = $p' --arg p "$p"
		refused /linux/cgroupsPath --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	done
	nothing_left
}

@test "systemd: limits are properties of the unit and values in its files" {
	need_systemd
	cgroup2 || skip "checked against the files of cgroup v2"
	need_controller memory
	args sleep 600
	config '.linux.resources += {memory: {limit: 67108864, reservation: 33554432}, pids: {limit: 20},
		cpu: {quota: 20000, period: 100000, shares: 512, cpus: "0"}, unified: {"memory.high": "60000000"}}'
	sd run --detach --bundle "$BUNDLE" "$ID"
	unit=oci-mini-$ID.scope
	is "$(show "$unit" MemoryMax)" 67108864
	is "$(show "$unit" MemoryLow)" 33554432
	is "$(show "$unit" MemoryHigh)" 60000000
	is "$(show "$unit" TasksMax)" 20
	is "$(show "$unit" CPUQuotaPerSecUSec)" 200ms
	is "$(show "$unit" CPUWeight)" 59
	is "$(show "$unit" AllowedCPUs)" 0
	dir=/sys/fs/cgroup$(unit_cgroup)
	is "$(<"$dir/memory.max")" 67108864
	is "$(<"$dir/pids.max")" 20
	is "$(<"$dir/cpu.max")" "20000 100000"
	is "$(<"$dir/cpuset.cpus")" 0
}

@test "systemd: an update and the device filter outlive a daemon-reload" {
	need_systemd
	cgroup2 || skip "checked against the files of cgroup v2"
	need_controller memory
	args sleep 600
	# Without privileges nobody makes a device, and there is no filter to be set.
	if ((EUID == 0)); then
		args sh -c 'mknod /dev/forbidden c 10 229; sleep 600'
		caps CAP_MKNOD
	fi
	config '.linux.resources += {memory: {limit: 67108864}, cpu: {quota: 20000, period: 50000}}'
	sd run --detach --bundle "$BUNDLE" "$ID"
	ok update --memory 33554432 --cpu-quota 30000 --pids-limit 30 "$ID"
	ctl daemon-reload
	unit=oci-mini-$ID.scope
	is "$(show "$unit" MemoryMax)" 33554432
	is "$(show "$unit" CPUQuotaPerSecUSec)" 600ms
	dir=/sys/fs/cgroup$(unit_cgroup)
	is "$(<"$dir/memory.max")" 33554432
	is "$(<"$dir/cpu.max")" "30000 50000"
	is "$(<"$dir/pids.max")" 30
	# A property set by hand makes systemd apply them all again.
	ctl set-property --runtime "$unit" MemoryHigh=32M
	is "$(<"$dir/memory.max")" 33554432
	ok exec "$ID" sh -c 'echo >/dev/null'
	((EUID == 0)) || return 0
	rt exec "$ID" cat /dev/forbidden
	has "$ERR" 'Operation not permitted'
}

@test "systemd: what systemd rounds or scales stands in the files as it was asked for" {
	need_systemd
	cgroup2 || skip "checked against the files of cgroup v2"
	need_controller cpu
	args sleep 600
	# Of a period's quota systemd knows hundredths of a cpu: 84% are 50400.
	config '.linux.resources += {cpu: {quota: 50000, period: 60000}}'
	sd run --detach --bundle "$BUNDLE" "$ID"
	unit=oci-mini-$ID.scope
	dir=/sys/fs/cgroup$(unit_cgroup)
	is "$(show "$unit" CPUQuotaPerSecUSec)" 840ms
	is "$(<"$dir/cpu.max")" "50000 60000"
	silent update --cpu-quota 40000 --pids-limit 30 "$ID"
	is "$(show "$unit" CPUQuotaPerSecUSec)" 670ms
	is "$(<"$dir/cpu.max")" "40000 60000"
	silent update --cpu-share 512 "$ID"
	is "$(<"$dir/cpu.max") $(<"$dir/cpu.weight")" "40000 60000 59"
	silent update --cpu-period 70000 "$ID"
	is "$(show "$unit" CPUQuotaPerSecUSec)" 580ms
	is "$(<"$dir/cpu.max")" "40000 70000"
}

@test "systemd: the weight of block I/O is one that systemd makes the same number of" {
	need_systemd
	cgroup2 || skip "checked against the files of cgroup v2"
	need_controller io
	[[ -e /sys/fs/cgroup/user.slice/io.bfq.weight ]] || skip "the host has no BFQ scheduler"
	args sleep 600
	config '.linux.resources += {blockIO: {weight: 321}}'
	sd run --detach --bundle "$BUNDLE" "$ID"
	unit=oci-mini-$ID.scope
	dir=/sys/fs/cgroup$(unit_cgroup)
	is "$(<"$dir/io.bfq.weight")" "default 321"
	for weight in 10 1000 321; do
		silent update --blkio-weight "$weight" "$ID"
		is "$(<"$dir/io.bfq.weight")" "default $weight"
		# A property of the same controller makes systemd write all of them.
		ctl set-property --runtime "$unit" StartupIOWeight="$weight"
		is "$(<"$dir/io.bfq.weight")" "default $weight"
	done
	is "$(show "$unit" IOWeight)" 2531
}

@test "systemd: an idle cpu, and a busy one again" {
	need_systemd
	cgroup2 || skip "checked against the files of cgroup v2"
	need_controller cpu
	version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
	((version >= 252)) || skip "systemd $version knows no idle groups"
	args sleep 600
	config '.linux.resources += {cpu: {idle: 1}}'
	sd run --detach --bundle "$BUNDLE" "$ID"
	unit=oci-mini-$ID.scope
	dir=/sys/fs/cgroup$(unit_cgroup)
	is "$(<"$dir/cpu.idle") $(show "$unit" CPUWeight)" "1 idle"
	silent update --cpu-idle 0 "$ID"
	is "$(<"$dir/cpu.idle") $(<"$dir/cpu.weight") $(show "$unit" CPUWeight)" "0 100 100"
	silent update --cpu-share 512 "$ID"
	is "$(<"$dir/cpu.weight") $(show "$unit" CPUWeight)" "59 59"
	silent update --cpu-idle 0 "$ID"
	is "$(<"$dir/cpu.weight") $(show "$unit" CPUWeight)" "59 59"
	silent update --cpu-idle 1 "$ID"
	is "$(<"$dir/cpu.idle") $(show "$unit" CPUWeight)" "1 idle"
}

@test "systemd: an update that systemd refuses changes nothing, neither there nor in the files" {
	need_systemd
	cgroup2 || skip "checked against the files of cgroup v2"
	need_controller memory
	args sleep 600
	config '.linux.resources += {memory: {limit: 67108864}, pids: {limit: 20}}'
	sd run --detach --bundle "$BUNDLE" "$ID"
	unit=oci-mini-$ID.scope
	dir=/sys/fs/cgroup$(unit_cgroup)
	# A number that the kernel takes, and systemd does not.
	rt_stdin update --resources - "$ID" <<<'{"pids": {"limit": 30}, "memory": {"limit": 33554432}, "unified": {"memory.high": "0"}}'
	is "$STATUS" 1
	has "$ERR" "SetUnitProperties $unit: "
	has "$ERR" MemoryHigh
	has "$ERR" "; nothing was changed"
	is "$(<"$dir/pids.max") $(<"$dir/memory.max") $(<"$dir/memory.high")" "20 67108864 max"
	is "$(show "$unit" TasksMax) $(show "$unit" MemoryMax) $(show "$unit" MemoryHigh)" "20 67108864 infinity"
	silent update --pids-limit 31 "$ID"
	is "$(<"$dir/pids.max") $(show "$unit" TasksMax)" "31 31"
}

@test "systemd: annotations become properties: strings, booleans, numbers, arrays, seconds" {
	need_systemd
	args sleep 600
	config '.annotations += {
		"org.systemd.property.CollectMode": "'\''inactive'\''",
		"org.systemd.property.TimeoutStopUSec": "uint64 9000000",
		"org.systemd.property.RuntimeMaxSec": "1234.5",
		"org.systemd.property.IgnoreOnIsolate": "true",
		"org.systemd.property.After": "['\''basic.target'\'', '\''dbus.service'\'']"}'
	sd run --detach --bundle "$BUNDLE" "$ID"
	unit=oci-mini-$ID.scope
	is "$(show "$unit" CollectMode)" inactive
	is "$(show "$unit" TimeoutStopUSec)" 9s
	like "$(show "$unit" RuntimeMaxUSec)" '^20min 34\.50*s$'
	is "$(show "$unit" IgnoreOnIsolate)" yes
	has " $(show "$unit" After) " " dbus.service "
}

@test "systemd: an annotation that is no property, or the runtime's own, is refused by its name" {
	refuses() { # NAME VALUE TEXT
		config '.annotations = {($n): $v}' --arg n "org.systemd.property.$1" --arg v "$2"
		refused "/annotations/org.systemd.property.$1: " --systemd-cgroup create --bundle "$BUNDLE" "$ID"
		has "$ERR" "$3"
	}
	refuses TimeoutStopUSec nonsense 'is not a value in GVariant text'
	refuses TimeoutStopSec "'soon'" 'is not a number of seconds'
	refuses After "['a', 5]" '5 is not of type s'
	refuses lower true 'not the name of a property'
	refuses 'With Space' true 'not the name of a property'
	refuses Delegate false 'the runtime sets this property itself'
	refuses Slice "'other.slice'" 'the runtime sets this property itself'
	need_controller memory
	config '.linux.resources.memory.limit = 67108864'
	if cgroup2; then name=MemoryMax; else name=MemoryLimit; fi
	refuses "$name" 'uint64 1' '/linux/resources sets this property'
	nothing_left
}

@test "systemd: a property that systemd does not know fails create, and nothing is left" {
	need_systemd
	config '.annotations = {"org.systemd.property.NoSuchThing": "true"}'
	refused "StartTransientUnit oci-mini-$ID.scope: " --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	has "$ERR" '; /annotations has NoSuchThing=true'
	# Of a value of another type systemd does not say which property it is of.
	config '.annotations = {"org.systemd.property.CPUWeight": "77"}'
	refused "StartTransientUnit oci-mini-$ID.scope: " --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	has "$ERR" '; /annotations has CPUWeight=77'
	has "$ERR" "hint: each value must be of systemd's own type"
	wait_for unloaded "oci-mini-$ID.scope"
	nothing_left
}

@test "systemd: a failed unit that somebody left does not block" {
	need_systemd
	unit=oci-mini-$ID.scope
	systemd-run "${SYSTEMD[@]}" --quiet --scope --unit="$unit" -p RuntimeMaxSec=1 sleep 600 3>&- || true
	is "$(show "$unit" ActiveState)" failed 'the unit left over'
	args sleep 600
	sd run --detach --bundle "$BUNDLE" "$ID"
	is "$(show "$unit" ActiveState)" active
	ok delete --force "$ID"
	wait_for unloaded "$unit"
}

@test "systemd: a unit of somebody else's with the name is refused, and left alone" {
	need_systemd
	unit=oci-mini-$ID.scope
	background systemd-run "${SYSTEMD[@]}" --quiet --scope --unit="$unit" sleep 600 </dev/null
	is_active() { [[ $(show "$unit" ActiveState) == active ]]; }
	wait_for is_active
	refused "$unit" --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	is_active
	# A create that was killed in time has that name on record, and no unit.
	OCI_TEST_MARK=$MARK strace -qq -o /dev/null -e inject=clone3:signal=KILL "$RUNTIME" --root "$ROOT" --systemd-cgroup \
		create --bundle "$BUNDLE" "$ID" </dev/null >"$T/o" 2>&1 3>&- || true
	ok delete --force "$ID"
	is_active
	ctl stop "$unit"
}

@test "systemd: a create killed on its way: delete --force stops the unit" {
	need_systemd
	args sleep 600
	unit=oci-mini-$ID.scope
	# As it connects, as soon as there is a unit, between the unit and the record. Which
	# thread it is that makes a call, whose calls strace counts, is known for the first alone.
	for at in connect cgroup record; do
		case $at in
		connect) calls=sendmsg only=() ;;
		cgroup) calls=openat,openat2 only=(-P "/sys/fs/cgroup$(above)/$SLICE/$unit") ;;
		record) calls=renameat only=() ;;
		esac
		# strace waits for the first process, too: its own words tell the end of the runtime.
		: >"$T/trace"
		background strace -f -q -o "$T/trace" "${only[@]}" -e trace="$calls" -e inject="$calls:signal=KILL:when=1" \
			"$RUNTIME" --root "$ROOT" --systemd-cgroup create --bundle "$BUNDLE" "$ID" </dev/null >"$T/o" 2>&1
		wait_for -t 20 grep -q 'killed by SIGKILL' "$T/trace" || fail "at $at: $(<"$T/o")" "$(<"$T/trace")"
		ok delete --force "$ID"
		wait "$PID" || true
		wait_for unloaded "$unit"
	done
	nothing_left
}

@test "systemd: a create that fails late stops the unit" {
	need_systemd
	args /no/such/program
	refused /no/such/program --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	wait_for unloaded "oci-mini-$ID.scope"
	nothing_left
}

@test "systemd: a create that fails as soon as there is a unit stops it, and does not wait" {
	((EUID == 0)) || skip "needs root: a controller of the whole machine"
	need_systemd
	cgroup2 || skip "a controller is passed on by cgroup v2 alone"
	need_controller hugetlb
	grep -qw hugetlb /sys/fs/cgroup/system.slice/cgroup.controllers && skip "system.slice has all controllers already"
	[[ -d /sys/kernel/mm/hugepages/hugepages-2048kB ]] || skip "no huge pages of 2 MB"
	args sleep 600
	config '.linux.resources.hugepageLimits = [{pageSize: "2MB", limit: 4194304}]'
	began=$SECONDS
	OCI_TEST_MARK=$MARK timeout -k 1 $((60 * PATIENCE)) strace -f -qq -o /dev/null -P /sys/fs/cgroup/cgroup.subtree_control -e trace=write -e inject=write:error=EIO \
		"$RUNTIME" --root "$ROOT" --systemd-cgroup create --bundle "$BUNDLE" "$ID" </dev/null >"$T/o" 2>&1 3>&- && fail "it succeeds"
	has "$(<"$T/o")" "+hugetlb"
	lacks "$(<"$T/o")" "no answer"
	((SECONDS - began < 30 + 5 * PATIENCE))
	wait_for unloaded "oci-mini-$ID.scope"
	nothing_left
}

@test "systemd: no answer is an error that names the unit and the call, and no container is left" {
	((EUID == 0)) || skip "needs root: a /run of its own"
	[[ -d /run ]] || skip "there is no /run to put the socket in"
	[[ ${OCI_TEST_PATIENCE:-1} != 1 ]] || skip "it takes the half minute of the deadline: done in the virtual machine"
	# It says the words that it is given, and then nothing more.
	cat >"$T/mute.py" <<-'X'
		import os, socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.bind(sys.argv[1])
		s.listen(5)
		kept = []
		while True:
		    c, _ = s.accept()
		    kept.append(c)
		    c.recv(4096)
		    c.send(sys.argv[2].encode())
	X
	# mute ID WORDS: create, by such a systemd.
	mute() {
		background unshare -m sh -c 'mount -t tmpfs none /run && mkdir /run/systemd && (python3 "$1" /run/systemd/private "$2" &) &&
			until [ -e /run/systemd/private ]; do sleep 0.1; done; shift 2; exec "$@"' sh "$T/mute.py" "$2" \
			"$RUNTIME" --root "$ROOT" --systemd-cgroup create --bundle "$BUNDLE" "$1" </dev/null >"$T/$1.out" 2>&1
	}
	mute "$ID" $'DATA\r\nOK 00112233445566778899aabbccddeeff\r\n'
	first=$PID
	mute "$ID.b" ''
	for pid in "$first" "$PID"; do
		code=0
		wait "$pid" || code=$?
		is "$code" 1
	done
	for pid in $(marked); do kill "$pid"; done
	has "$(<"$T/$ID.out")" "StartTransientUnit oci-mini-$ID.scope: systemd gave no answer within 30s"
	has "$(<"$T/$ID.b.out")" "connect to systemd for oci-mini-$ID.b.scope: systemd gave no answer within 30s"
	[[ ! -e $ROOT/$ID && ! -e $ROOT/$ID.b ]]
}

@test "systemd: delete fails where systemd is and cannot be reached, and goes without one that is not there" {
	((EUID == 0)) || skip "needs root: a /run of its own"
	need_systemd
	args sleep 600
	sd run --detach --bundle "$BUNDLE" "$ID"
	unit=oci-mini-$ID.scope
	# without COMMAND...: where /run has nothing but what the command makes first.
	without() {
		OCI_TEST_MARK=$MARK unshare -m sh -c 'mount -t tmpfs none /run && '"$1"' && exec "$@"' sh \
			"$RUNTIME" --root "$ROOT" delete --force "$ID" </dev/null >"$T/o" 2>&1 3>&-
	}
	refute without 'mkdir -p /run/systemd/system'
	has "$(<"$T/o")" "no systemd answers"
	status_is "$ID" stopped
	without true || fail "$(<"$T/o")"
	[[ ! -e $ROOT/$ID ]]
	wait_for unloaded "$unit"
	nothing_left
}

@test "systemd: a user's container is a unit of the user's own systemd" {
	((EUID == 0)) || skip "needs root: it becomes that user"
	need_systemd
	command -v as-rootless >/dev/null || skip "no user with a session here: tests/vm/boot has one"
	cgroup2 || skip "a user gets cgroups on cgroup v2 alone"
	mkdir "$T/user"
	chown rootless: "$T/user"
	as-rootless "$RUNTIME" spec --rootless --bundle "$T/user"
	jq --arg root "$SHARED/rootfs" '.process.terminal = false | .root.path = $root | .process.args = ["sleep", "600"]
		| .linux.resources = {memory: {limit: 67108864}, pids: {limit: 20}}' "$T/user/config.json" >"$T/user/new"
	mv "$T/user/new" "$T/user/config.json"
	as_user() { as-rootless "$RUNTIME" --root "$T/user/root" --systemd-cgroup "$@" 3>&-; }
	as_user run --detach --bundle "$T/user" "$ID"
	unit=oci-mini-$ID.scope
	has "$(as-rootless systemctl --user show "$unit")" MemoryMax=67108864
	pid=$(as_user state "$ID" | jq .pid)
	is "$(<"/proc/$pid/cgroup")" "0::/user.slice/user-1000.slice/user@1000.service/user.slice/$unit"
	is "$(<"/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/user.slice/$unit/pids.max")" 20
	as_user exec "$ID" true
	as_user update --memory 33554432 "$ID"
	as-rootless systemctl --user daemon-reload
	has "$(as-rootless systemctl --user show "$unit")" MemoryMax=33554432
	as_user delete --force "$ID"
	has "$(as-rootless systemctl --user show "$unit")" LoadState=not-found
}

@test "systemd: a limit that the user's systemd was not given is told by its field" {
	need_systemd
	((EUID != 0)) || skip "root has all controllers"
	grep -qsw hugetlb /sys/fs/cgroup/cgroup.controllers || skip "cgroup2 here has no hugetlb controller"
	! grep -qw hugetlb "/sys/fs/cgroup$(above)/cgroup.controllers" || skip "the user has the controller"
	config '.linux.resources.hugepageLimits = [{pageSize: "2MB", limit: 4194304}]'
	refused "/linux/resources/hugepageLimits/0/limit: the controller hugetlb is not delegated to /sys/fs/cgroup/user.slice" \
		--systemd-cgroup create --bundle "$BUNDLE" "$ID"
	has "$ERR" "Delegate=hugetlb"
	nothing_left
}

@test "systemd: explain shows the unit and its properties" {
	need_controller pids
	config '.linux.resources.pids.limit = 7'
	ok --systemd-cgroup explain "$BUNDLE/" "$ID"
	has "$OUT" "start the scope oci-mini-$ID.scope in $SLICE"
	has "$OUT" "TasksMax=uint64 7"
	has "$OUT" "Delegate=true"
	ok --systemd-cgroup explain --format sh "$BUNDLE/" "$ID"
	has "$OUT" "StartTransientUnit 'ssa(sv)a(sa(sv))' oci-mini-$ID.scope replace"
}
