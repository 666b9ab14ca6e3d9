#!/usr/bin/env bats
# Old vulnerabilities of container runtimes, one test each: what went wrong
# there must fail, or do no harm, here. The canary stands for the host's files.

load helpers
load swap

# canary: makes a directory of the host's that nothing may touch.
canary() {
	CANARY=$T/canary
	mkdir -p "$CANARY/dir"
	echo canary >"$CANARY/file"
	: >"$CANARY/ptmx"
	: >"$CANARY/null"
	: >"$CANARY/console"
	canary_picture >"$T/canary.before"
}

canary_picture() {
	find "$CANARY" -printf '%P %y %M %U:%G %s %T@ %C@\n' | sort
}

# untouched: the canary is as it was.
untouched() {
	canary_picture >"$T/canary.after"
	diff "$T/canary.before" "$T/canary.after" >&2 || fail 'the canary was touched'
}

# without_dev: no mount of the config is at or below /dev, so that the image's
# own directory is used.
without_dev() {
	config '.mounts |= map(select(.destination | startswith("/dev") | not))'
}

# race N: runs the container N times while names are exchanged; OUTS has what all
# that got far enough printed, and RAN how many there were.
race() {
	local i
	OUTS='' RAN=0
	for ((i = 0; i < $1; i++)); do
		rt run --bundle "$BUNDLE" "$ID"
		OUTS+=$OUT$'\n'
		((STATUS != 0)) || RAN=$((RAN + 1))
		((STATUS == 0 || STATUS == 1)) || fail "run exits $STATUS: $ERR" || return 1
		lacks "$ERR" panic || return 1
	done
}

@test "CVE-2016-3697: a user name made of digits is no user id" {
	needs_ids 'user 31337'
	own_rootfs
	echo '31337:x:0:0::/root:/bin/sh' >>"$ROOTFS/etc/passwd"
	echo '31337:x:0:' >>"$ROOTFS/etc/group"
	config '.process.user = {uid: 31337, gid: 31337} | .process.noNewPrivileges = false'
	inside_ok 'id -u; id -g; echo $HOME'
	is "$OUT" $'31337\n31337\n/'
	config '.process.user = {uid: 0, gid: 0}'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	ok exec -u 31337 "$ID" id -u
	is "$OUT" 31337 'uid of exec -u 31337'
	ok exec -u 31337:31337 "$ID" id -g
	is "$OUT" 31337 'gid of exec -u 31337:31337'
}

@test "CVE-2016-8867: a user gets no capabilities that nobody asked for" {
	needs_ids 'user 1000'
	args awk '/^Cap/ { print $1 $2 }' /proc/self/status
	for process in '.process.capabilities = {}' 'del(.process.capabilities)'; do
		config "$process | .process.user = {uid: 1000, gid: 1000}"
		ok run --bundle "$BUNDLE" "$ID"
		for set in Inh Prm Eff Amb; do
			has "$OUT" "Cap$set:0000000000000000"
		done
	done
}

@test "CVE-2019-16884: a fake /proc of the image takes no write of the runtime" {
	own_rootfs
	canary
	mkdir -p "$T/proc/self/attr" "$T/proc/thread-self/attr"
	echo fake >"$T/proc/self/oom_score_adj"
	: >"$T/proc/self/attr/exec"
	: >"$T/proc/self/attr/current"
	config '.mounts |= map(select(.destination != "/proc")) | .process.oomScoreAdj = 432
		| .linux.maskedPaths = [] | .linux.readonlyPaths = []'
	mount_add /proc bind "$T/proc" bind
	args sleep 60
	rt run --detach --bundle "$BUNDLE" "$ID"
	is "$(<"$T/proc/self/oom_score_adj")" fake 'the fake file'
	is "$(cat "$T/proc/self/attr/"*)" '' 'the fake attributes'
	if ((STATUS == 0)); then
		is "$(<"/proc/$(init_pid "$ID")/oom_score_adj")" 432 'the real oom_score_adj'
	fi
	untouched
}

@test "CVE-2019-19921: /proc or /sys as a symlink is refused" {
	own_rootfs
	canary
	for name in proc sys; do
		mkdir "$ROOTFS/fake-$name"
		for target in "fake-$name" "/fake-$name" "../../../../../..$CANARY/dir" "$CANARY/dir" /no/such; do
			rm -rf "${ROOTFS:?}/$name"
			ln -s "$target" "$ROOTFS/$name"
			refused 'ordinary directory' create --bundle "$BUNDLE" "$ID"
		done
		rm "$ROOTFS/$name"
		mkdir "$ROOTFS/$name"
	done
	rm -rf "${ROOTFS:?}/proc"
	echo file >"$ROOTFS/proc"
	rt create --bundle "$BUNDLE" "$ID"
	is "$STATUS" 1 '/proc is a file'
	untouched
	nothing_left
}

@test "CVE-2023-27561: /proc of the image as a symlink to another of its directories" {
	own_rootfs
	rm -rf "${ROOTFS:?}/proc"
	mkdir "$ROOTFS/proc2" "$ROOTFS/proc2/self"
	ln -s proc2 "$ROOTFS/proc"
	config '.linux.readonlyPaths = ["/proc/sys"] | .linux.maskedPaths = ["/proc/kcore"]'
	refused 'ordinary directory' run --bundle "$BUNDLE" "$ID"
	nothing_left
}

@test "CVE-2019-18837: links in every path the config may name end inside" {
	own_rootfs
	canary
	mkdir "$T/data"
	echo data >"$T/data/file"
	ln -s "$CANARY" "$ROOTFS/a"
	ln -s ../a "$ROOTFS/srv/b"
	ln -s /srv/../srv/b "$ROOTFS/c"
	ln -s "../../../../../../../../../..$CANARY" "$ROOTFS/up"
	ln -s loop "$ROOTFS/loop"
	ln -s "$CANARY/made" "$ROOTFS/dangling"
	for p in /a /c /up /a/dir /c/dir /up/made/deep /dangling /dangling/deep; do
		new_bundle "$BUNDLE"
		config '.root = {path: "rootfs"}'
		mount_add "$p" tmpfs tmpfs
		rt run --bundle "$BUNDLE" "$ID"
		untouched
		config '.mounts[-1] = {destination: $p, type: "bind", source: $s, options: ["bind", "rw"]}' --arg p "$p/file" --arg s "$T/data/file"
		rt run --bundle "$BUNDLE" "$ID"
		untouched
		config '.mounts |= .[:-1] | .linux.devices = [{type: "c", path: $p, major: 1, minor: 3}]' --arg p "$p/device"
		rt run --bundle "$BUNDLE" "$ID"
		untouched
		config 'del(.linux.devices) | .process.cwd = $p' --arg p "$p/cwd"
		rt run --bundle "$BUNDLE" "$ID"
		untouched
		config '.process.cwd = "/" | .linux.maskedPaths += [$p] | .linux.readonlyPaths += [$p]' --arg p "$p"
		rt run --bundle "$BUNDLE" "$ID"
		untouched
	done
	new_bundle "$BUNDLE"
	config '.root = {path: "rootfs"}'
	mount_add /loop/in tmpfs tmpfs
	refused 'too many levels of symbolic links' create --bundle "$BUNDLE" "$ID"
	nothing_left
}

# openable: a character device of this host that root opens and that no default
# rule allows, as $major and $minor.
openable() {
	local device
	for device in /dev/fuse /dev/loop-control /dev/net/tun /dev/kmsg; do
		if (: <>"$device") 2>/dev/null; then
			major=$((0x$(stat -c %t "$device"))) minor=$((0x$(stat -c %T "$device")))
			return
		fi
	done
	skip 'no device of this host can be opened to compare with'
}

@test "GO-2022-0396: the device list is what is allowed, not what is denied" {
	needs_host_users 'makes device nodes'
	openable
	caps CAP_MKNOD CAP_DAC_OVERRIDE CAP_SYS_ADMIN CAP_SYSLOG CAP_NET_ADMIN
	config '.linux.devices = [{type: "c", path: "/dev/probe", major: $a, minor: $b, fileMode: 438}]' \
		--argjson a "$major" --argjson b "$minor"
	for resources in '{}' '{"devices": []}' '{"devices": [{"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"}]}' \
		'{"devices": [{"allow": false, "type": "c", "major": 1, "minor": 3, "access": "rwm"}]}' \
		'{"devices": [{"allow": false, "access": "rwm"}]}'; do
		config '.linux.resources = $r' --argjson r "$resources"
		inside '(: </dev/probe) && echo opened; (: <>/dev/probe) && echo opened; mknod /dev/other c '"$major $minor"' && (: </dev/other) && echo opened'
		is "$OUT" '' "opened with $resources"
		has "$ERR" 'Operation not permitted'
	done
	config 'del(.linux.resources)'
	inside '(: </dev/probe) && echo opened'
	is "$OUT" '' 'opened without resources'
}

@test "CVE-2021-30465: a destination exchanged for a symlink while it is mounted on" {
	own_rootfs
	canary
	# The attack: a volume shared with another container, which exchanges a
	# directory of it for a link to the root.
	mkdir -p "$T/volume/dir/sub"
	ln -s / "$T/volume/link"
	mkdir "$ROOTFS/sub"
	mount_add /volume bind "$T/volume" rbind
	mount_add /volume/dir/sub tmpfs tmpfs size=3m
	mount_add /volume/dir bind "$T/volume" bind
	args sh -c 'cut -d" " -f4,5 /proc/self/mountinfo; ls -A /volume/dir / /sub'
	swap "$T/volume/dir" "$T/volume/link"
	before=$(</proc/self/mountinfo)
	race 120
	is "$(</proc/self/mountinfo)" "$before" "the host's mounts"
	# No mount shows more of the host's file system than the rootfs and the volume.
	source_of() { findmnt -no FSROOT -T "$1"; }
	root=$(source_of "$ROOTFS")
	[[ $root == / ]] || root=$root/
	while read -r from to; do
		case $from in
		/ | "$root"* | *"${T#/}"/volume | *"${T#/}"/bundle/rootfs | /null | /"$ID"* | */"$ID" | /..* | /sys | /bus | /fs | /irq | /sysrq-trigger) ;;
		*) [[ -z $to || $to == /proc/* || $to == /sys/* ]] || fail "a mount of $from at $to" ;;
		esac
	done < <(grep '^/.* /' <<<"$OUTS" | sort -u)
	lacks "$OUTS" canary
	refute grep -qxE 'boot|lib64|usr/share' <<<"$OUTS"
	echo "# $RAN of 120 ran" >&3
	untouched
}

@test "CVE-2024-45310: missing destinations made while a parent is exchanged" {
	own_rootfs
	canary
	mkdir -p "$T/volume/dir"
	ln -s "$CANARY" "$T/volume/link"
	echo file >"$T/volume/file"
	mount_add /volume bind "$T/volume" rbind
	mount_add /volume/dir/made/deep/er tmpfs tmpfs
	mount_add /volume/dir/file/in/it bind "$T/volume/file" bind
	config '.process.cwd = "/volume/dir/cwd"
		| .linux.devices = [{type: "p", path: "/volume/dir/fifo"}]'
	swap "$T/volume/dir" "$T/volume/link"
	race 120
	untouched
}

@test "CVE-2022-29162: exec --cap and spec give no inheritable capabilities" {
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	ok exec --cap CAP_CHOWN --cap CAP_SYS_ADMIN "$ID" awk '/^Cap(Inh|Amb|Prm)/ { print $2 }' /proc/self/status
	is "$(sed -n 1p <<<"$OUT")" 0000000000000000 CapInh
	refute grep -qx 0000000000000000 <<<"$(sed -n 2p <<<"$OUT")"
	is "$(sed -n 3p <<<"$OUT")" 0000000000000000 CapAmb
	mkdir "$T/spec"
	ok spec --bundle "$T/spec"
	is "$(jq -c '.process.capabilities | (.inheritable // []) + (.ambient // [])' "$T/spec/config.json")" '[]'
}

@test "CVE-2024-21626: a working directory that is a descriptor of the runtime" {
	canary
	args sh -c 'pwd -P; ls -A'
	for fd in {3..30} 1023; do
		for cwd in "/proc/self/fd/$fd" "/proc/thread-self/fd/$fd" "/proc/1/fd/$fd" "/dev/fd/$fd"; do
			config '.process.cwd = $c' --arg c "$cwd"
			rt run --bundle "$BUNDLE" "$ID" 7<"$CANARY" 8</
			((STATUS != 0)) || fail "cwd $cwd is accepted: $OUT"
			lacks "$OUT" ptmx
		done
		# What is above a mount of the container's is the container's as well.
		for cwd in "/proc/self/fd/$fd/.." "/proc/self/fd/$fd/../.."; do
			config '.process.cwd = $c | .process.oomScoreAdj = 432' --arg c "$cwd"
			rt run --bundle "$BUNDLE" "$ID" 7<"$CANARY" 8</
			((STATUS != 0)) || like "${OUT%%$'\n'*}" '^/($|proc|dev|sys)'
			lacks "$OUT" "${REPO#/}"
			lacks "$OUT" boot
			lacks "$OUT" canary
		done
	done
	config '.process.cwd = "/"'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	for fd in {3..40}; do
		rt exec --cwd "/proc/self/fd/$fd" "$ID" sh -c 'pwd -P; ls -A'
		((STATUS != 0)) || fail "exec --cwd /proc/self/fd/$fd is accepted: $OUT"
	done
	ok exec "$ID" sh -c 'ls /proc/self/fd'
	is "$(tr '\n' ' ' <<<"$OUT")" '0 1 2 3 ' 'descriptors of exec, with that of ls itself'
	untouched
}

@test "CVE-2025-31133: /dev/null of the image as a symlink" {
	own_rootfs
	canary
	echo secret >"$ROOTFS/secret"
	before=$(</proc/sys/kernel/core_pattern)
	for target in /proc/sys/kernel/core_pattern "$CANARY/file" "../../../../../../..$CANARY/file" /secret /no/such; do
		new_bundle "$BUNDLE"
		config '.root = {path: "rootfs"} | .linux.maskedPaths = ["/secret", "/proc/keys", "/proc/timer_list"] | .linux.readonlyPaths = []'
		rm -f "$ROOTFS/dev/null"
		ln -s "$target" "$ROOTFS/dev/null"
		# The image's /dev is covered by a mount: the masks are the real device.
		inside_ok 'stat -c "%F %t:%T" /secret /proc/keys /proc/timer_list /dev/null'
		is "$(sort -u <<<"$OUT")" 'character special file 1:3'
		# The image's /dev is used as it is: refused.
		without_dev
		rt run --bundle "$BUNDLE" "$ID"
		is "$STATUS" 1 "start with /dev/null -> $target"
		has "$ERR" 'null'
	done
	rm "$ROOTFS/dev/null"
	: >"$ROOTFS/dev/null"
	if [[ $WORLD == root ]]; then
		rt run --bundle "$BUNDLE" "$ID"
		is "$STATUS" 1 'start with /dev/null as a regular file'
		rm "$ROOTFS/dev/null"
		mknod "$ROOTFS/dev/null" c 1 5
		rt run --bundle "$BUNDLE" "$ID"
		is "$STATUS" 1 'start with /dev/null as /dev/zero'
	else # the host's device covers what the image has
		inside_ok 'stat -c "%F %t:%T" /secret /dev/null'
		is "$(sort -u <<<"$OUT")" 'character special file 1:3'
		is "$(stat -c %F "$ROOTFS/dev/null")" 'regular empty file'
	fi
	is "$(</proc/sys/kernel/core_pattern)" "$before" core_pattern
	untouched
	nothing_left
}

# on_terminal: runs the container in the foreground on a pty; STATUS and OUT.
on_terminal() {
	STATUS=0
	OCI_TEST_MARK=$MARK timeout $((20 * PATIENCE)) script -qec "'$RUNTIME' --root '$ROOT' run --bundle '$BUNDLE' '$ID'" /dev/null \
		</dev/null >"$T/typed" 2>&1 3>&- || STATUS=$?
	OUT=$(tr -d '\r\0' <"$T/typed")
}

@test "CVE-2025-52565: hostile /dev/console and /dev/pts under a terminal" {
	canary
	before=$(</proc/sys/kernel/core_pattern)
	for hostile in console pts ptmx; do
		new_bundle "$BUNDLE"
		rm -rf "${BUNDLE:?}/rootfs"
		own_rootfs
		without_dev
		config '.process.terminal = true | .process.user.uid = 1000'
		case $hostile in
		console) # devpts is real, the mount point of the console is not
			mount_add /dev/pts devpts devpts newinstance ptmxmode=0666 mode=0620
			mkdir -p "$ROOTFS/dev/pts"
			ln -s "$CANARY/console" "$ROOTFS/dev/console"
			;;
		pts) # no devpts at all, and the image's own directory has links
			mkdir -p "$ROOTFS/dev/pts"
			ln -s "$CANARY/ptmx" "$ROOTFS/dev/pts/ptmx"
			ln -s "$CANARY/console" "$ROOTFS/dev/pts/0"
			;;
		ptmx) # a regular file and a link to procfs
			mkdir -p "$ROOTFS/dev/pts"
			: >"$ROOTFS/dev/pts/ptmx"
			ln -s /proc/sys/kernel/core_pattern "$ROOTFS/dev/pts/0"
			;;
		esac
		args sh -c 'tty; ls -l /dev/console'
		on_terminal
		((STATUS != 0)) || fail "runs with a hostile $hostile: $OUT"
		untouched
	done
	is "$(</proc/sys/kernel/core_pattern)" "$before" core_pattern
	# With the mounts of the default config, the console is the pty itself.
	new_bundle "$BUNDLE"
	config '.process.terminal = true'
	args sh -c 'test "$(stat -c %t:%T /dev/console)" = "$(stat -c %t:%T "$(readlink -f /proc/self/fd/0)")" && stat -f -c %T /dev/pts && echo same'
	on_terminal
	has "$OUT" same
	nothing_left
}

@test "CVE-2025-52881: sysctls and attributes are written to the real procfs alone" {
	own_rootfs
	canary
	host=$(</proc/sys/kernel/msgmax)
	pattern=$(</proc/sys/kernel/core_pattern)
	mkdir -p "$T/proc/sys/kernel" "$T/proc/self" "$T/real"
	ln -s "$CANARY/file" "$T/proc/sys/kernel/msgmax"
	ln -s /proc/sysrq-trigger "$T/proc/self/oom_score_adj"
	config '.process.oomScoreAdj = 432 | .linux.sysctl = {"kernel.msgmax": "4242"}
		| .linux.maskedPaths = [] | .linux.readonlyPaths = []'
	args sleep 60
	for how in bind tmpfs over; do
		config '.mounts |= map(select(.destination | startswith("/proc") | not))'
		case $how in
		bind) mount_add /proc bind "$T/proc" bind ;;
		tmpfs) mount_add /proc tmpfs tmpfs ;;
		over) # a real one with a fake file over it
			mount_add /proc proc proc
			mount_add /proc/sys/kernel/core_pattern bind "$CANARY/null" bind
			mount_add /proc/sys/kernel/msgmax bind "$CANARY/null" bind
			;;
		esac
		rt run --detach --bundle "$BUNDLE" "$ID"
		untouched
		is "$(</proc/sys/kernel/msgmax)" "$host" "the host's msgmax"
		is "$(</proc/sys/kernel/core_pattern)" "$pattern" core_pattern
		if ((STATUS == 0)); then
			pid=$(init_pid "$ID")
			is "$(<"/proc/$pid/oom_score_adj")" 432 'the real oom_score_adj'
			is "$(nsenter -t "$pid" -i cat /proc/sys/kernel/msgmax)" 4242 "the container's msgmax"
			ok delete --force "$ID"
		fi
	done
	nothing_left
}

@test "CVE-2025-24965: what the runtime makes in the rootfs, there already as symlinks" {
	canary
	for name in null zero full random urandom tty fd stdin stdout stderr core ptmx console mine; do
		rm -rf "${BUNDLE:?}/rootfs"
		new_bundle "$BUNDLE"
		own_rootfs
		without_dev
		config '.linux.devices = [{type: "c", path: "/dev/mine", major: 1, minor: 5}]'
		ln -s "$CANARY/file" "$ROOTFS/dev/$name"
		rt run --bundle "$BUNDLE" "$ID"
		((STATUS == 0 || STATUS == 1)) || fail "/dev/$name: $STATUS $ERR"
		untouched
		ln -sfn "$CANARY/new" "$ROOTFS/dev/$name"
		rt run --bundle "$BUNDLE" "$ID"
		untouched
	done
	rm -rf "${BUNDLE:?}/rootfs"
	new_bundle "$BUNDLE"
	own_rootfs
	ln -s "$CANARY/new" "$ROOTFS/etc/hosts"
	ln -s "$CANARY" "$ROOTFS/job"
	echo data >"$T/data"
	mount_add /etc/hosts bind "$T/data" bind
	config '.process.cwd = "/job/new"'
	rt run --bundle "$BUNDLE" "$ID"
	untouched
}

@test "CVE-2026-30892: exec --user takes numbers, and means them" {
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	while read -r user want; do
		# What the user namespace does not map is refused.
		case $WORLD in
		userns) [[ $want != 4294967294:* ]] || want=refused ;;
		rootless) [[ $want == 0:0 ]] || want=refused ;;
		esac
		rt exec --user "$user" "$ID" sh -c 'echo $(id -u):$(id -g)'
		if [[ $want == refused ]]; then
			((STATUS != 0)) || fail "exec --user $user is accepted: $OUT"
		else
			is "$STATUS:$OUT" "0:$want" "exec --user $user"
		fi
	done <<-'END'
		0 0:0
		1 1:0
		1:2 1:2
		1000 1000:0
		65534:65534 65534:65534
		4294967294 4294967294:0
		4294967295 refused
		4294967296 refused
		-1 refused
		1:-1 refused
		1:4294967296 refused
		1:2:3 refused
		0x1 refused
		1a refused
	END
	# A part that is empty is no way to be root.
	for user in 1: :1 : ' 1'; do
		rt exec --user "$user" "$ID" sh -c 'echo $(id -u):$(id -g)'
		((STATUS != 0)) || case $user:$OUT in
		1::1:0 | :1:0:1 | ::0:0) ;;
		*) fail "exec --user '$user' runs as $OUT" ;;
		esac
	done
}

@test "CVE-2026-41579: /dev of the image as a symlink" {
	canary
	for target in absolute relative chain; do
		for dev in mounted own; do
			rm -rf "${BUNDLE:?}/rootfs"
			new_bundle "$BUNDLE"
			own_rootfs
			rm -rf "${ROOTFS:?}/dev"
			case $target in
			absolute) ln -s "$CANARY" "$ROOTFS/dev" ;;
			relative) ln -s "../../../../../../../../..$CANARY" "$ROOTFS/dev" ;;
			chain)
				ln -s srv/dev "$ROOTFS/dev"
				ln -s "$CANARY" "$ROOTFS/srv/dev"
				;;
			esac
			[[ $dev == mounted ]] || without_dev
			rt run --bundle "$BUNDLE" "$ID"
			((STATUS == 0 || STATUS == 1)) || fail "$target $dev: $STATUS $ERR"
			untouched
		done
	done
}

@test "CVE-2026-88264: /dev/console and /dev/null as symlinks, standard streams as pipes" {
	needs_ids 'user 1000'
	canary
	for target in "$CANARY/file" "../../../../../../../..$CANARY/file"; do
		rm -rf "${BUNDLE:?}/rootfs"
		new_bundle "$BUNDLE"
		own_rootfs
		without_dev
		config '.process.user = {uid: 1000, gid: 1000}'
		ln -s "$target" "$ROOTFS/dev/console"
		ln -s "$target" "$ROOTFS/dev/null"
		echo in | rt_stdin run --bundle "$BUNDLE" "$ID"
		untouched
		rm "$ROOTFS/dev/null"
		# A character device with the right number and another type is none either.
		mknod "$ROOTFS/dev/null" b 1 3
		rt run --bundle "$BUNDLE" "$ID"
		owner=65534
		if [[ $WORLD == root ]]; then
			is "$STATUS" 1 'a block device 1:3 as /dev/null'
			owner=0
		fi # else the host's device covers it
		rm "$ROOTFS/dev/null"
		inside_ok 'echo up; stat -c %u:%t:%T /dev/null'
		is "$OUT" $'up\n'"$owner:1:3"
		untouched
	done
}

@test "CVE-2026-115521: a read-only root in spite of a hostile /proc/self/fd" {
	own_rootfs
	canary
	rm -rf "${ROOTFS:?}/proc"
	mkdir -p "$ROOTFS/proc/self" "$ROOTFS/proc/thread-self" "$ROOTFS/other"
	for n in {0..40}; do
		mkdir -p "$ROOTFS/proc/self/fd"
		ln -s /other "$ROOTFS/proc/self/fd/$n"
	done
	ln -s ../self/fd "$ROOTFS/proc/thread-self/fd"
	config '.root.readonly = true | .mounts |= map(select(.destination != "/proc")) | .linux.readonlyPaths = ["/etc", "/srv"]'
	mount_add /mnt bind "$CANARY" bind ro
	inside 'for d in / /etc /srv /mnt /other /root; do touch $d/x && echo wrote $d; done'
	is "$OUT" ''
	is "$(grep -c 'Read-only file system' <<<"$ERR")" 6 'refused writes'
	untouched
}

@test "without pivot_root no procfs or sysfs of the host is there that would allow a bare one" {
	config '.process.user = {uid: 1000, gid: 1000}'
	# The program must be able to try: a user namespace can be made inside.
	args unshare -m -r true
	rt run --no-pivot --bundle "$BUNDLE" "$ID"
	((STATUS == 0)) || skip "no user namespace can be made in a container here: $ERR"
	for kind in 'proc -p -f' 'sysfs -n'; do
		# shellcheck disable=SC2086 # the flags are words
		args unshare -m -r ${kind#* } sh -c "mount -t ${kind%% *} none /mnt && echo bare"
		for how in --no-pivot --keep=false; do
			rt run "$how" --bundle "$BUNDLE" "$ID"
			((STATUS != 0)) || fail "$kind can be mounted with $how: $OUT"
			lacks "$OUT" bare
		done
	done
	# What the container has of its own is still there.
	args cat /proc/self/mountinfo
	ok run --no-pivot --bundle "$BUNDLE" "$ID"
	has "$OUT" ' /proc '
	nothing_left
}
