#!/usr/bin/env bats
# linux.intelRdt. What becomes of each of its fields is shown by main.TestRdtLife and its
# neighbours on a tree like the kernel's, since few processors have the real one.

load helpers

RESCTRL=/sys/fs/resctrl

@test "intelRdt where no resctrl file system is mounted: an error, nothing left; explain shows the steps" {
	! grep -q ' - resctrl ' /proc/self/mountinfo || skip "a resctrl file system is mounted here"
	config '.linux.intelRdt = {closID: "gold", l3CacheSchema: "L3:0=f", enableMonitoring: true}'
	refused '/linux/intelRdt: no resctrl file system is mounted' create --bundle "$BUNDLE" "$ID"
	refused '/linux/intelRdt: no resctrl file system is mounted' run --bundle "$BUNDLE" "$ID"
	has "$ERR" 'mount -t resctrl resctrl /sys/fs/resctrl'
	nothing_left
	ok explain "$BUNDLE/"
	has "$OUT" 'make the resctrl group gold if it is missing'
	has "$OUT" 'put the process into the resctrl group gold'
}

@test "intelRdt: values that no kernel takes are refused by place" {
	config '.linux.intelRdt = {closID: "a/b", memBwSchema: "L3:0=1", schemata: ["L3:0=1\nL3:1=1"]}'
	refused '/linux/intelRdt/closID' create --bundle "$BUNDLE" "$ID"
	has "$ERR" '/linux/intelRdt/memBwSchema'
	has "$ERR" '/linux/intelRdt/schemata/0'
}

@test "intelRdt on a machine that has it: the group is the container's, and goes with it" {
	grep -q " $RESCTRL .* - resctrl " /proc/self/mountinfo || skip "no resctrl file system is mounted at $RESCTRL: the processor has no RDT, or nobody has mounted it"
	config '.linux.intelRdt = {}'
	args sleep 60
	silent create --bundle "$BUNDLE" "$ID"
	silent start "$ID"
	grep -qx "$(init_pid "$ID")" "$RESCTRL/$ID/tasks" || fail "the process is not in its group"
	silent exec --detach "$ID" sleep 50
	is "$(wc -l <"$RESCTRL/$ID/tasks")" 2 'tasks'
	ok events --stats "$ID"
	jq -e '.data.intel_rdt.schemata | length > 0' <<<"$OUT" >/dev/null || fail "no schemata in the statistics"
	silent delete --force "$ID"
	[[ ! -e $RESCTRL/$ID ]] || fail "the group is left"
}
