#!/usr/bin/env bats
# testdata/every-field.json has every field of the specification's schema. main.TestEveryFieldRoundTrip
# shows that it is read, valid and planned; here it runs, without what this machine lacks.

load helpers

# every_field: the bundle's config becomes the one with every field, adapted to the machine.
every_field() {
	local document drop=() lsm
	"$RUNTIME" features >"$T/features"
	lsm=$(cat /sys/kernel/security/lsm 2>/dev/null || true)
	[[ ,$lsm, == *,apparmor,* ]] && grep -q '^profile ' /sys/kernel/security/apparmor/profiles 2>/dev/null || drop+=(.process.apparmorProfile)
	[[ ,$lsm, == *,selinux,* ]] || drop+=(.process.selinuxLabel .linux.mountLabel)
	grep -q ' - resctrl ' /proc/self/mountinfo || drop+=(.linux.intelRdt)
	[[ -e /sys/devices/system/node/node0 ]] || drop+=(.linux.memoryPolicy)
	jq -e .linux.seccomp.enabled "$T/features" >/dev/null || drop+=(.linux.seccomp)
	# Devices of the machine's network, agents and a console are other suites' business.
	drop+=(.linux.netDevices .process.consoleSize .linux.seccomp.listenerPath .linux.seccomp.listenerMetadata .linux.seccomp.defaultErrnoRet)
	# Budgets that the host must have to give, and hardware.
	drop+=(.linux.resources.cpu.realtimeRuntime .linux.resources.cpu.realtimePeriod .linux.resources.blockIO .linux.resources.rdma
		.linux.resources.network .linux.resources.hugepageLimits .linux.resources.memory.swap .process.scheduler)
	if cgroup2; then
		drop+=(.linux.resources.memory.swappiness .linux.resources.memory.disableOOMKiller)
		grep -qw memory /sys/fs/cgroup/cgroup.controllers || drop+=(.linux.resources.memory .linux.resources.unified)
		grep -qw cpuset /sys/fs/cgroup/cgroup.controllers || drop+=(.linux.resources.cpu.cpus .linux.resources.cpu.mems)
		grep -qw cpu /sys/fs/cgroup/cgroup.controllers || drop+=(.linux.resources.cpu)
		grep -qw pids /sys/fs/cgroup/cgroup.controllers || drop+=(.linux.resources.pids)
	else
		drop+=(.linux.resources.unified .linux.resources.cpu.idle)
		[[ -e /sys/fs/cgroup/cpu/cpu.cfs_burst_us ]] || drop+=(.linux.resources.cpu.burst)
	fi
	jq --arg id "$ID" --arg mark "OCI_TEST_MARK=$MARK" --arg rootfs "$ROOTFS" --arg srv "$T/srv" '
		.process.terminal = false
		| .process.env += [$mark]
		| .root.path = $rootfs
		| .linux.cgroupsPath = "/" + $id
		| .hooks |= map_values(map(.path = "/bin/true" | .args = ["true"]))
		| .linux.namespaces |= map(if .type == "network" then del(.path) else . end)
		| (.mounts[] | select(.destination == "/mnt")) |= (.source = $srv)
		| if .linux.seccomp then .linux.seccomp.defaultAction = "SCMP_ACT_ALLOW"
			| .linux.seccomp.syscalls |= map(select(.action != "SCMP_ACT_NOTIFY")) else . end' \
		"$REPO/testdata/every-field.json" >"$T/document" || return 1
	document=$(IFS=,; echo "del(${drop[*]})")
	jq "$document" "$T/document" >"$BUNDLE/config.json" || return 1
	if ! jq -e .linux.mountExtensions.idmap.enabled "$T/features" >/dev/null; then
		config '.mounts |= map(del(.uidMappings, .gidMappings))'
	fi
}

@test "a config with every field that this machine can honour runs, with exec, and leaves nothing" {
	only_oci_mini 'the config is beyond others'
	own_rootfs
	mkdir "$T/srv"
	echo shared >"$T/srv/file"
	chown -R 100000:100000 "$BUNDLE/rootfs" "$T/srv"
	chmod 755 "$T" "$BUNDLE" "$OCI_TEST_TMP"
	ROOTFS=$BUNDLE/rootfs
	every_field
	args sh -c 'hostname; id -u; cat /mnt/file /proc/self/oom_score_adj; ulimit -n; umask; read -r up _ </proc/uptime; echo end'
	rt run --bundle "$BUNDLE" "$ID"
	is "$STATUS:$ERR" '0:'
	is "$OUT" $'full\n1\nshared\n100\n512\n0022\nend'
	args sleep 60
	silent run --detach --bundle "$BUNDLE" "$ID"
	ok exec "$ID" hostname
	is "$OUT" full
	silent delete --force "$ID"
	same_picture
}
