#!/usr/bin/env bats
# "Build your own Docker": a Debian system with a service.

load helpers
load walkthrough

needs() {
	own_config
}

# debian_root: the root file system, made once for a run of the tests, or once for
# all of them in OCI_TEST_CACHE.
debian_root() {
	local cache=${OCI_TEST_CACHE:-$OCI_TEST_TMP/cache} log=$OCI_TEST_TMP/debian.log
	DEBIAN=$cache/debian
	[[ ! -x $DEBIAN/usr/sbin/nginx ]] || return 0
	[[ ! -e $OCI_TEST_TMP/debian.skip ]] || skip "$(<"$OCI_TEST_TMP/debian.skip")"
	if ! PATH=$PATH:/usr/sbin:/sbin command -v debootstrap >/dev/null; then
		skip "debootstrap is missing"
	fi
	mkdir -p "$cache"
	PATH=$PATH:/usr/sbin:/sbin timeout 600 make -C "$REPO/examples/debian" ROOTFS="$DEBIAN" >"$log" 2>&1 3>&- && return
	if grep -qE "Failed getting release|Couldn't download|Unable to (fetch|connect)|Could not resolve|Invalid Release" "$log"; then
		echo "debootstrap cannot reach a mirror: $(grep '^E:' "$log" | head -n 1)" >"$OCI_TEST_TMP/debian.skip"
		skip "$(<"$OCI_TEST_TMP/debian.skip")"
	fi
	fail "make -C examples/debian fails:" "$(tail -n 5 "$log")"
}

setup_debian() {
	only_oci_mini 'examples and explain'
	debian_root
	example debian
	marked_config
	config '.root.path = $r' --arg r "$DEBIAN"
}

page() {
	in_it curl -sf --max-time 2 http://127.0.0.1/
}

# the_effects HOW
the_effects() {
	local host
	host=$(uname -n)
	start_by "$1"
	wait_for -t 10 page || fail "no page: $ERR $(cat "$T/script.err" 2>/dev/null)"
	has "$OUT" 'It runs in oci-mini'
	in_it cat /proc/sys/kernel/hostname
	is "$OUT" debian 'the hostname'
	is "$(uname -n)" "$host" "the host's name"
	in_it ps -e -o pid=,comm=
	like "$OUT" '^ *1 nginx'
	is "$(awk '{ print $2 }' <<<"$OUT" | grep -cvxE 'nginx|ps')" 0 "processes of others in: $OUT"
	in_it ip -o link
	is "$(wc -l <<<"$OUT")" 1 interfaces
	like "$OUT" 'lo: <LOOPBACK,UP,LOWER_UP>'
	in_it ls /dev
	own_dev "$OUT"
	in_it cat /proc/mounts
	lacks "$OUT" old_root
	if has_controller cpu; then
		if cgroup2; then
			is "$(<"$(cgroup_of "$CPID")/cpu.max")" '100000 100000'
		else
			is "$(<"$(cgroup_of "$CPID" cpu)/cpu.cfs_quota_us")" 100000
		fi
	fi
	refute grep -qs "$ID" /proc/self/mountinfo
	end_it
	[[ ! -e $DEBIAN/old_root && ! -e $DEBIAN/.old_root ]]
}

@test "debian walk-through: a service of its own, and nothing left of it" {
	setup_debian
	the_effects run
}

@test "debian walk-through: the printed script has the same effects" {
	setup_debian
	the_effects script
}

@test "debian walk-through: the host's devices are not there" {
	setup_debian
	args sh -c 'find /dev -type b; for d in mem sda vda kmsg; do [ ! -e /dev/$d ] || echo "$d"; done; stat -f -c %T /dev'
	foreground run
	is "$OUT" tmpfs
	foreground script
	is "$OUT" tmpfs
	nothing_left
}
