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
