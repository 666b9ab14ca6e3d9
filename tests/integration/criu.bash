# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of helpers.bash
# What the files about checkpoint and restore share.

needs() {
	needs_host_users 'CRIU dumps and restores as the machine'\''s root'
}

# needs_criu: skips the test where CRIU does not work, with CRIU's own words.
needs_criu() {
	command -v criu >/dev/null || skip 'criu is not installed'
	[[ -e $SHARED/criu ]] || criu check >"$SHARED/criu" 2>&1 || true
	grep -q '^Looks good' "$SHARED/criu" || skip "criu check: $(head -n 1 "$SHARED/criu")"
}

# needs_tracking: skips the test where the kernel does not tell which pages were written to.
needs_tracking() {
	criu check --feature mem_dirty_track >/dev/null 2>&1 || skip 'this kernel does not tell which pages were written to'
}

# needs_cgroup2: skips the test where CRIU finds other hierarchies, mounted or not.
needs_cgroup2() {
	[[ $(</proc/self/cgroup) =~ ^0::[^[:space:]]*$ ]] || skip 'a host with cgroup2 alone'
}

# counting: a container that counts in a variable, which no file can restore.
counting() {
	own_rootfs
	args sh -c 'i=0; while :; do i=$((i + 1)); echo $i >/tmp/count.new; mv /tmp/count.new /tmp/count; sleep 0.05; done'
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_for beyond 3
}

count() {
	cat "$BUNDLE/rootfs/tmp/count" 2>/dev/null || echo 0
}

beyond() {
	(($(count) > $1))
}

# checkpoint [FLAG...], restore [FLAG...]: to and from $T/images.
checkpoint() {
	silent checkpoint --image-path "$T/images" "$@" "$ID"
}

restore() {
	silent restore --detach --bundle "$BUNDLE" --image-path "$T/images" "$@" "$ID"
}

gone_on() {
	local before
	before=$(count)
	wait_for beyond "$before"
	(($(count) > ${1:-0}))
}
