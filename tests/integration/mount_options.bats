#!/usr/bin/env bats
# Mount options, one by one and in their pairs, and odd destinations and sources.

load helpers

# mounted PATH: the last mountinfo line of PATH inside, as "OPTIONS [TAGS] TYPE SUPER".
mounted() {
	awk -v p="$1" '$5 == p { tags = ""; for (i = 7; $i != "-"; i++) tags = tags $i " "; line = $6 " " tags $(i+1) " " $(i+3) }
		END { print line }' <<<"$OUT"
}

# around PREPARE: run, in a mount namespace in which PREPARE has made mounts; $1
# of it is the directory $T/data.
around() {
	needs_root 'makes mounts for the container to bind'
	STATUS=0
	mkdir -p "$T/data"
	OCI_TEST_MARK=$MARK unshare -m --propagation private sh -ec "$1"'
		shift
		exec "$@"' sh "$T/data" "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" \
		</dev/null >"$T/out" 2>"$T/err" 3>&- || STATUS=$?
	OUT=$(<"$T/out")
	ERR=$(<"$T/err")
	[[ $STATUS:$ERR == 0: ]] || fail "run exits $STATUS: $ERR"
}

# one_mount TYPE SOURCE OPTION...: the config's only mount at /mnt.
one_mount() {
	local type=$1 source=$2
	shift 2
	config '.mounts |= map(select(.destination != "/mnt"))'
	mount_add /mnt "$type" "$source" "$@"
	# These need to know which ids become which.
	case ${!#} in
	idmap | ridmap) config '.mounts[-1] += {uidMappings: $m, gidMappings: $m}' --argjson m '[{"containerID": 0, "hostID": 0, "size": 65536}]' ;;
	esac
}

@test "every option that features lists is taken on a tmpfs" {
	args cat /proc/self/mountinfo
	while read -r option; do
		case $option in
		bind | rbind | remount) continue ;;
		# A new file system has the user namespace's ids; what the kernel says before 6.3: idmap.bats.
		idmap | ridmap) if [[ $WORLD != root ]] || ! kernel_since 6.3; then continue; fi ;;
		esac
		one_mount tmpfs tmpfs "$option"
		rt run --bundle "$BUNDLE" "$ID"
		[[ $STATUS:$ERR == 0: ]] || fail "tmpfs with $option: $ERR"
		[[ -n $(mounted /mnt) ]] || fail "tmpfs with $option is not mounted"
	done < <("$RUNTIME" features | jq -r '.mountOptions[]')
}

@test "every option that features lists is taken on a bind" {
	args cat /proc/self/mountinfo
	mkdir "$T/data"
	while read -r option; do
		case $option in
		noatime | strictatime | rnoatime | rstrictatime | nodiratime | rnodiratime) [[ $WORLD != rootless ]] || continue ;; # locked; mounts.bats
		remount | tmpcopyup) continue ;;
		idmap | ridmap) [[ $WORLD != rootless ]] || continue ;; # a right of root
		esac
		one_mount bind "$T/data" rbind "$option"
		rt run --bundle "$BUNDLE" "$ID"
		[[ $STATUS:$ERR == 0: ]] || fail "bind with $option: $ERR"
		[[ -n $(mounted /mnt) ]] || fail "bind with $option is not mounted"
	done < <("$RUNTIME" features | jq -r '.mountOptions[]')
}

@test "options that set something, on a new tmpfs" {
	args cat /proc/self/mountinfo
	while read -r option want; do
		one_mount tmpfs tmpfs "$option"
		ok run --bundle "$BUNDLE" "$ID"
		like "$(mounted /mnt)" "$want" || fail "with $option"
	done <<-'END'
		ro ^ro,relatime.tmpfs
		rw ^rw,relatime.tmpfs
		nosuid ,nosuid
		nodev ,nodev
		noexec ,noexec
		noatime ,noatime
		nodiratime ,nodiratime,relatime
		relatime ^rw,relatime.tmpfs
		strictatime ^rw.tmpfs
		atime ^rw,relatime.tmpfs
		nostrictatime ^rw,relatime.tmpfs
		nosymfollow nosymfollow
		rro ^ro
		rnosuid ,nosuid
		rnodev ,nodev
		rnoexec ,noexec
		rnoatime ,noatime
		rnodiratime ,nodiratime
		rstrictatime ^rw.tmpfs
		rnosymfollow nosymfollow
		sync tmpfs.rw,sync
		dirsync tmpfs.rw,dirsync
		lazytime tmpfs.rw,lazytime
		shared shared:[0-9]
		rshared shared:[0-9]
		unbindable unbindable
		runbindable unbindable
	END
}

@test "options that take something away, on a bind whose source has it" {
	args cat /proc/self/mountinfo
	all='mount -t tmpfs -o ro,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow none "$1"; '
	one_mount bind "$T/data" bind
	around "$all"
	for flag in ro nosuid nodev noexec noatime nodiratime nosymfollow; do
		like "$(mounted /mnt)" "(^|,)$flag" || fail "$flag of the source is lost"
	done
	while read -r option gone; do
		one_mount bind "$T/data" rbind "$option"
		around "$all"
		[[ ! $(mounted /mnt) =~ (^|,)${gone}[,\ ] ]] || fail "$option leaves: $(mounted /mnt)"
		# The others stay.
		is "$(mounted /mnt | cut -d' ' -f1 | tr , '\n' | grep -cE '^(ro|nosuid|nodev|noexec|noatime|nodiratime|nosymfollow)$')" 6 "flags left by $option"
	done <<-'END'
		rw ro
		suid nosuid
		dev nodev
		exec noexec
		atime noatime
		relatime noatime
		strictatime noatime
		diratime nodiratime
		symfollow nosymfollow
		rrw ro
		rsuid nosuid
		rdev nodev
		rexec noexec
		ratime noatime
		rrelatime noatime
		rstrictatime noatime
		rdiratime nodiratime
		rsymfollow nosymfollow
	END
}

@test "of two options that contradict each other the later one wins" {
	args cat /proc/self/mountinfo
	while read -r first second want; do
		one_mount tmpfs tmpfs "$first" "$second"
		ok run --bundle "$BUNDLE" "$ID"
		like "$(mounted /mnt)" "$want" || fail "with $first $second"
	done <<-'END'
		ro rw ^rw,relatime.tmpfs.rw
		rw ro ^ro
		nosuid suid ^rw,relatime.tmpfs
		suid nosuid nosuid
		noatime strictatime ^rw.tmpfs
		strictatime noatime noatime
		noatime relatime ^rw,relatime
		sync async tmpfs.rw(,[^s]|$)
		private shared shared:
	END
}

@test "a recursive option reaches the mounts below, a plain one does not" {
	args cat /proc/self/mountinfo
	mkdir -p "$T/data"
	below='mount -t tmpfs none "$1"; mkdir "$1/sub" "$1/sub/deep"; mount -t tmpfs none "$1/sub"; mkdir "$1/sub/deep"; mount -t tmpfs none "$1/sub/deep"; '
	while read -r plain recursive flag; do
		one_mount bind "$T/data" rbind "$plain"
		around "$below"
		like "$(mounted /mnt)" "(^|,)$flag"
		for path in /mnt/sub /mnt/sub/deep; do
			[[ -n $(mounted "$path") && ! $(mounted "$path") =~ (^|,)${flag}[,\ ] ]] || fail "$plain reaches $path: $(mounted "$path")"
		done
		one_mount bind "$T/data" rbind "$recursive"
		around "$below"
		for path in /mnt /mnt/sub /mnt/sub/deep; do
			like "$(mounted "$path")" "(^|,)$flag" || fail "$recursive does not reach $path"
		done
	done <<-'END'
		ro rro ro
		nosuid rnosuid nosuid
		nodev rnodev nodev
		noexec rnoexec noexec
		noatime rnoatime noatime
		nodiratime rnodiratime nodiratime
		nosymfollow rnosymfollow nosymfollow
	END
}

@test "recursive access times: each of a pair undoes the other, below too" {
	args cat /proc/self/mountinfo
	for set in noatime strictatime; do
		below='mount -t tmpfs -o '$set' none "$1"; mkdir "$1/sub"; mount -t tmpfs -o '$set',nodiratime none "$1/sub"; '
		for option in ratime rrelatime rnostrictatime; do
			one_mount bind "$T/data" rbind "$option"
			around "$below"
			for path in /mnt /mnt/sub; do
				like "$(mounted "$path")" '^rw,(nodiratime,)?relatime ' || fail "$set, then $option at $path"
			done
			like "$(mounted /mnt/sub)" nodiratime
		done
	done
	below='mount -t tmpfs -o relatime none "$1"; mkdir "$1/sub"; mount -t tmpfs -o relatime none "$1/sub"; '
	for pair in 'rnoatime rw,noatime' 'rstrictatime rw' 'rnorelatime rw,relatime'; do
		one_mount bind "$T/data" rbind "${pair% *}"
		around "$below"
		for path in /mnt /mnt/sub; do
			like "$(mounted "$path")" "^${pair#* } tmpfs" || fail "${pair% *} at $path"
		done
	done
}

@test "a recursive option with a plain one for the top: rro rw, rnosuid suid" {
	args cat /proc/self/mountinfo
	below='mount -t tmpfs none "$1"; mkdir "$1/sub"; mount -t tmpfs none "$1/sub"; '
	one_mount bind "$T/data" rbind rro rw
	around "$below"
	like "$(mounted /mnt)" '^rw'
	like "$(mounted /mnt/sub)" '^ro'
	one_mount bind "$T/data" rbind ro rrw
	around "$below"
	like "$(mounted /mnt)" '^rw'
	like "$(mounted /mnt/sub)" '^rw'
}

@test "remount changes what a mount before it made" {
	args cat /proc/self/mountinfo
	one_mount tmpfs tmpfs size=1m nosuid
	mount_add /mnt '' '' remount ro noexec
	ok run --bundle "$BUNDLE" "$ID"
	like "$(mounted /mnt)" '^ro,.*noexec'
	config '.mounts[-1].options = ["remount", "bind", "ro"]'
	ok run --bundle "$BUNDLE" "$ID"
	like "$(mounted /mnt)" '^ro,nosuid'
	like "$(mounted /mnt)" 'tmpfs rw'
	config '.mounts[-1].options = ["remount", "size=2m"]'
	ok run --bundle "$BUNDLE" "$ID"
	like "$(mounted /mnt)" 'size=2048k'
}

@test "a bind takes no options of a file system" {
	mkdir "$T/data"
	one_mount bind "$T/data" bind size=1m
	refused 'size=1m' create --bundle "$BUNDLE" "$ID"
	has "$ERR" /mounts/
	nothing_left
}

@test "type bind without a bind option, and a bind option without a type" {
	mkdir "$T/data"
	echo data >"$T/data/file"
	config '.mounts |= map(select(.destination != "/mnt")) + [{destination: "/mnt", source: $s, options: ["bind"]}]' --arg s "$T/data"
	inside_ok 'cat /mnt/file'
	is "$OUT" data
	is_oci_mini || return 0
	config '.mounts[-1] = {destination: "/mnt", type: "bind", source: $s}' --arg s "$T/data"
	inside_ok 'cat /mnt/file'
	is "$OUT" data
}

@test "a tmpfs without a source, and without any member but the type" {
	config '.mounts |= map(select(.destination != "/mnt")) + [{destination: "/mnt", type: "tmpfs"}]'
	inside_ok 'grep -c " /mnt " /proc/self/mountinfo; touch /mnt/x'
	is "$OUT" 1
}

@test "a source that is relative counts from the bundle" {
	mkdir "$BUNDLE/files"
	echo bundle >"$BUNDLE/files/file"
	one_mount bind files bind
	inside_ok 'cat /mnt/file'
	is "$OUT" bundle
	cd / || return
	inside_ok 'cat /mnt/file'
	is "$OUT" bundle
}

@test "a source inside the rootfs is what the mounts before it put there" {
	own_rootfs
	mkdir "$T/data" "$ROOTFS/srv/below"
	echo host >"$T/data/file"
	echo image >"$ROOTFS/srv/below/file"
	mount_add /first bind "$ROOTFS/srv/below" bind
	mount_add /srv/below bind "$T/data" bind
	mount_add /second bind "$ROOTFS/srv/below" bind
	mount_add /third bind "$ROOTFS/srv/below/file" bind ro
	inside_ok 'cat /first/file /srv/below/file /second/file /third; stat -c %F /third'
	is "$OUT" $'image\nhost\nhost\nhost\nregular file'
}

@test "a destination that is a fifo, a socket, a device or a link to one" {
	command -v python3 >/dev/null || skip 'needs python3 to make a socket'
	own_rootfs
	echo data >"$T/data"
	mkfifo "$ROOTFS/srv/fifo"
	(cd "$ROOTFS/srv" && python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")')
	if [[ $WORLD == rootless ]]; then
		: >"$ROOTFS/srv/device" # a file, as a user can make no device
	else
		mknod "$ROOTFS/srv/device" c 1 3
	fi
	ln -s fifo "$ROOTFS/srv/link"
	: >"$ROOTFS/srv/file"
	for name in fifo socket device link file missing; do
		config '.mounts |= map(select(.destination | startswith("/srv") | not))'
		mount_add "/srv/$name" bind "$T/data" bind
		RT_TIMEOUT=10 inside_ok 'cat "$1"' "/srv/$name"
		is "$OUT" data "over a $name"
	done
	[[ -p $ROOTFS/srv/fifo && -S $ROOTFS/srv/socket && -L $ROOTFS/srv/link ]]
	[[ $WORLD == rootless || -c $ROOTFS/srv/device ]]
}

@test "a source that is a fifo, a socket, a device, a symlink" {
	command -v python3 >/dev/null || skip 'needs python3 to make a socket'
	own_rootfs
	mkdir "$T/from"
	mkfifo "$T/from/fifo"
	(cd "$T/from" && python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")')
	echo data >"$T/from/file"
	ln -s file "$T/from/link"
	for name in fifo socket file link; do
		mount_add "/srv/$name" bind "$T/from/$name" bind
	done
	mount_add /srv/null bind /dev/null bind
	RT_TIMEOUT=10 inside_ok 'cd /srv && stat -c "%n %F" *'
	is "$OUT" $'fifo fifo\nfile regular file\nlink regular file\nnull character special file\nsocket socket'
}

@test "names with spaces, commas, colons, newlines, backslashes" {
	own_rootfs
	for name in 'a b' 'a,b' 'a]:b' $'a\nb' 'a\b' 'a"b' 'ä'; do
		mkdir -p "$T/from/$name"
		echo "$name" >"$T/from/$name/file"
		mount_add "/srv/$name" bind "$T/from/$name" bind
		inside_ok 'cat "$1"' "/srv/$name/file"
		is "$OUT" "$name"
	done
}

@test "a mount over a directory of an earlier one" {
	own_rootfs
	mount_add /srv tmpfs tmpfs mode=700
	mount_add /srv/in tmpfs tmpfs mode=711
	inside_ok 'stat -c %a /srv /srv/in'
	is "$OUT" $'700\n711'
}

@test "a mount over / is what the container sees, or is refused" {
	own_rootfs
	cp -a "$SHARED/rootfs" "$T/other"
	: >"$T/other/other"
	config '.mounts = [{destination: "/", type: "bind", source: $s, options: ["rbind"]}] + .mounts
		| .process.cwd = "/srv/made"' --arg s "$T/other"
	inside 'ls -d /other /proc/self /dev/null /srv/made; cut -d" " -f5 /proc/self/mountinfo | grep -cx /'
	if ((STATUS == 1)) && [[ $ERR == *"/mounts/0"* ]]; then
		return
	fi
	is "$STATUS:$OUT" $'0:/dev/null\n/other\n/proc/self\n/srv/made\n1'
	[[ -d $T/other/srv/made && ! -e $ROOTFS/srv/made ]]
	nothing_left
}

@test "a read-only /dev and a read-only tmpfs with a mount in it" {
	config '.mounts |= map(if .destination == "/dev" then .options += ["ro"] else . end)'
	mount_add /mnt tmpfs tmpfs ro
	mount_add /mnt/in tmpfs tmpfs
	inside 'echo x >/dev/null; echo x >/dev/pts/../full; touch /dev/x; touch /mnt/x; touch /mnt/in/x && echo in; touch /dev/shm/x && echo shm; grep " /dev \| /mnt " /proc/self/mountinfo'
	has "$OUT" in
	has "$OUT" shm
	like "$(mounted /dev)" '^ro,nosuid'
	like "$(mounted /mnt)" '^ro'
	is "$(grep -c 'Read-only file system' <<<"$ERR")" 2 'refused writes'
}

@test "masked and read-only paths under a read-only root" {
	own_rootfs
	mkdir "$ROOTFS/hidden"
	echo secret >"$ROOTFS/hidden/file"
	echo secret >"$ROOTFS/secret"
	config '.root.readonly = true | .linux.maskedPaths += ["/hidden", "/secret"] | .linux.readonlyPaths += ["/etc"]'
	inside 'ls -A /hidden; cat /secret; for f in /hidden/x /etc/x /x; do touch $f; done; echo up'
	is "$OUT" up
	is "$(grep -c 'Read-only file system' <<<"$ERR")" 3 'refused writes'
}

@test "no /proc mount: limits, user, capabilities, masks and a sysctl all the same" {
	needs_ids 'user 1000'
	own_rootfs
	host=$(</proc/sys/kernel/msgmax)
	config '.mounts |= map(select(.destination != "/proc")) | .linux.sysctl = {"kernel.msgmax": "4242"}
		| .process.user = {uid: 1000, gid: 1000} | .process.oomScoreAdj = 99
		| .linux.maskedPaths = ["/proc/kcore", "/srv"] | .linux.readonlyPaths = ["/proc/sys", "/etc"]'
	args sleep 60
	ok run --detach --bundle "$BUNDLE" "$ID"
	pid=$(init_pid "$ID")
	is "$(<"/proc/$pid/oom_score_adj")" 99
	is "$(nsenter -t "$pid" -i cat /proc/sys/kernel/msgmax)" 4242
	is "$(</proc/sys/kernel/msgmax)" "$host" "the host's msgmax"
	is "$(awk '/^Uid/ { print $2 }' "/proc/$pid/status")" "$(outside 1000)"
}

@test "--no-pivot without a /proc mount, and the host's /proc is out of sight" {
	own_rootfs
	config '.mounts |= map(select(.destination != "/proc")) | .linux.maskedPaths = [] | .linux.readonlyPaths = []'
	args sh -c 'ls -A /proc; ls /; test ! -e /boot && echo up'
	ok run --no-pivot --bundle "$BUNDLE" "$ID"
	has "$OUT" up
	nothing_left
}
