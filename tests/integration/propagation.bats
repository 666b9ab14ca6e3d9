#!/usr/bin/env bats
# Propagation of mounts between host and container, seen from both sides. The
# host is a mount namespace made for the test, so that the machine's own mounts
# can be private.

load helpers

# two_sides: runs the container in that namespace, with $T/root as its rootfs and
# $T/data as a source, both shared there. Then mounts on the host below both, and
# in the container below / and /mnt. OUT says what arrived on the other side:
#   in-root in-data out-root out-data
# and the tags of mounts in the container, as "tags PATH TAG...".
two_sides() {
	mkdir -p "$T/rootfs" "$T/data"
	config '.root = {path: $r, readonly: false}' --arg r "$T/rootfs"
	args sleep 60
	STATUS=0
	OCI_TEST_MARK=$MARK unshare -m --propagation private bash -ec '
		t=$1 rootfs=$2
		shift 2
		mount --bind "$rootfs" "$t/rootfs"
		mount --make-shared "$t/rootfs"
		mount -t tmpfs none "$t/data"
		mount --make-shared "$t/data"
		mkdir "$t/data/in" "$t/data/out" "$t/data/sub"
		mount -t tmpfs none "$t/data/sub"
		mount --make-shared "$t/data/sub"
		"$@"
		pid=$(cat "$t/pid")
		mount -t tmpfs none "$t/rootfs/home"
		mount -t tmpfs none "$t/data/in"
		inside() { nsenter -t "$pid" -m -- /bin/busybox "$@"; }
		inside mount -t tmpfs none /srv
		inside mount -t tmpfs none /mnt/out 2>/dev/null || true
		has() { awk -v p="$2" "\$5 == p { found = 1 } END { exit !found }" "$1"; }
		if has "/proc/$pid/mountinfo" /home; then echo in-root; fi
		if has "/proc/$pid/mountinfo" /mnt/in; then echo in-data; fi
		if has /proc/self/mountinfo "$t/rootfs/srv"; then echo out-root; fi
		if has /proc/self/mountinfo "$t/data/out"; then echo out-data; fi
		awk "{ tags = \"\"; for (i = 7; \$i != \"-\"; i++) { sub(/:.*/, \"\", \$i); tags = tags \" \" \$i }; print \"tags \" \$5 tags }" "/proc/$pid/mountinfo"
		if inside mount -o bind /etc /root 2>/dev/null; then echo bindable-root; fi
	' bash "$T" "$SHARED/rootfs" "$RUNTIME" --root "$ROOT" run --detach --pid-file "$T/pid" --bundle "$BUNDLE" "$ID" \
		</dev/null >"$T/out" 2>"$T/err" 3>&- || STATUS=$?
	OUT=$(<"$T/out")
	ERR=$(<"$T/err")
	rt_out=$OUT
	ok delete --force "$ID"
	OUT=$rt_out
	is "$STATUS" 0
	[[ -z $ERR ]] || fail "two_sides: $ERR"
}

# arrived: the words of two_sides that are there, on one line.
arrived() {
	grep -E '^(in|out|bindable)-' <<<"$OUT" | tr '\n' ' '
}

# tags PATH: the tags of the mount at PATH inside.
tags() {
	awk -v p="$1" '$1 == "tags" && $2 == p { sub("tags " p " ?", ""); print }' <<<"$OUT"
}

@test "by default nothing goes out to the host" {
	needs_root "makes the host's mounts"
	mount_add /mnt bind "$T/data" rbind
	two_sides
	refute grep -q ^out- <<<"$OUT"
	lacks "$(tags /)" shared
	lacks "$(tags /mnt)" shared
}

@test "rootfsPropagation: each of its eight forms, from both sides" {
	needs_root "makes the host's mounts"
	mount_add /var tmpfs tmpfs
	while read -r form want below; do
		config '.linux.rootfsPropagation = $f' --arg f "$form"
		two_sides
		is "$(arrived)" "$(tr + ' ' <<<"$want" | sed 's/-$//')" "what arrives with $form"
		case $form in
		*shared) has "$(tags /)" shared ;;
		*slave) is "$(tags /)" master ;;
		*unbindable) is "$(tags /)" unbindable ;;
		*private) is "$(tags /)" '' ;;
		esac
		is "$(tags /var)" "${below#-}" "tags of a mount below with $form"
	done <<-'END'
		shared in-root+bindable-root+ -
		rshared in-root+bindable-root+ shared
		slave in-root+bindable-root+ -
		rslave in-root+bindable-root+ -
		private bindable-root+ -
		rprivate bindable-root+ -
		unbindable - -
		runbindable - unbindable
	END
}

@test "an unknown rootfsPropagation is refused with the names there are" {
	config '.linux.rootfsPropagation = "shard"'
	refused shard create --bundle "$BUNDLE" "$ID"
	has "$ERR" /linux/rootfsPropagation
	has "$ERR" rslave
	nothing_left
}

@test "each propagation of a bind, from both sides" {
	needs_root "makes the host's mounts"
	while read -r form want top below; do
		config '.mounts |= map(select(.destination != "/mnt"))'
		mount_add /mnt bind "$T/data" rbind "$form"
		config '.linux.rootfsPropagation = "rslave"'
		two_sides
		is "$(arrived | tr ' ' '\n' | grep data | tr '\n' ' ')" "$(tr + ' ' <<<"$want" | sed 's/-$//')" "what arrives with $form"
		is "$(tags /mnt | tr ' ' +)" "${top#-}" "tags with $form"
		is "$(tags /mnt/sub | tr ' ' +)" "${below#-}" "tags of the mount below with $form"
	done <<-'END'
		private - - master
		rprivate - - -
		slave in-data+ master master
		rslave in-data+ master master
		unbindable - unbindable master
		runbindable - unbindable unbindable
	END
}

@test "a bind that is shared below a shared root: mounts go out to the host" {
	needs_root "makes the host's mounts"
	# How an engine asks for a volume whose mounts are to be seen on the host.
	for form in shared rshared; do
		config '.mounts |= map(select(.destination != "/mnt"))
			| .linux.rootfsPropagation = $f' --arg f "$form"
		mount_add /mnt bind "$T/data" rbind "$form"
		two_sides
		has "$(arrived)" in-data
		has "$(arrived)" out-data
		lacks "$(arrived)" out-root
	done
}

@test "the host's mounts are what they were, whatever the propagation" {
	own_rootfs
	before=$(</proc/self/mountinfo)
	caps CAP_SYS_ADMIN
	for form in shared rshared slave private unbindable; do
		config '.linux.rootfsPropagation = $f' --arg f "$form"
		inside_ok 'mount -t tmpfs none /mnt && grep -c " /mnt " /proc/self/mountinfo'
		is "$OUT" 1
		is "$(</proc/self/mountinfo)" "$before" mountinfo
	done
}

@test "without a mount namespace the host's mount table stays as it is" {
	needs_host_users "a new user namespace has no right to the host's mount namespace"
	# Tried in a mount namespace of its own, lest a runtime that fails this
	# takes the machine with it.
	own_rootfs
	mkdir "$T/data"
	config '.linux.namespaces |= map(select(.type != "mount")) | .linux.maskedPaths = [] | .linux.readonlyPaths = []'
	for mounts in keep none; do
		[[ $mounts == keep ]] || config '.mounts = []'
		STATUS=0
		OCI_TEST_MARK=$MARK RT=$RUNTIME timeout $((20 * PATIENCE)) unshare -m --propagation private bash -c '
			before=$(</proc/self/mountinfo)
			"$RT" "$@" </dev/null >/dev/null 2>"$0/err" 3>&-
			echo "$?" >"$0/code"
			after=$(</proc/self/mountinfo)
			[[ $after == "$before" ]] || diff <(echo "$before") <(echo "$after") >&2' \
			"$T" --root "$ROOT" run --bundle "$BUNDLE" "$ID" 2>"$T/diff" || STATUS=$?
		is "$STATUS:$(<"$T/diff")" 0: "the mount table with mounts: $mounts"
		like "$(<"$T/code")" '^[01]$'
	done
	nothing_left
}
