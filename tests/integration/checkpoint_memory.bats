#!/usr/bin/env bats
# checkpoint and restore: the ways that memory goes: before, later, to another machine.
# shellcheck disable=SC2016 # scripts for the container

load helpers
load criu

# remembering: a container that counts, and has a text of 1 MB in a variable, of which it writes
# the length and a sum when it is asked to. Its images are of memory for the most part.
remembering() {
	own_rootfs
	# Streams of its own: what the runtime's callers read grows.
	args sh -c 'exec >/dev/null 2>&1; x=$(head -c 500000 /dev/zero | tr "\0" "x"); x=$x.$x; sum() { echo "${#x} $(echo "$x" | md5sum)"; }; sum >/tmp/first
		i=0; while :; do i=$((i + 1)); echo $i >/tmp/count.new; mv /tmp/count.new /tmp/count
		[ ! -e /tmp/ask ] || { rm /tmp/ask; sum >/tmp/sum.new; mv /tmp/sum.new /tmp/sum; }; sleep 0.05; done'
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_for -t 20 beyond 3
}

# remembers: it still has the text.
remembers() {
	rm -f "$BUNDLE/rootfs/tmp/sum"
	touch "$BUNDLE/rootfs/tmp/ask"
	wait_for -t 20 test -e "$BUNDLE/rootfs/tmp/sum"
	is "$(<"$BUNDLE/rootfs/tmp/sum")" "$(<"$BUNDLE/rootfs/tmp/first")" 'what the container remembers'
}

# pages DIR: bytes of memory in images, without holes.
pages() {
	local sizes
	sizes=$(stat -c '%b*%B' "$1"/pages-*.img | paste -sd +)
	echo $((sizes))
}

@test "--pre-dump writes the memory before, and --parent-path builds on it" {
	needs_criu
	needs_tracking
	remembering
	silent checkpoint --pre-dump --image-path "$T/first" "$ID"
	status_is "$ID" running
	gone_on
	silent checkpoint --pre-dump --parent-path ../first --image-path "$T/second" "$ID"
	gone_on
	checkpoint --parent-path ../second
	is "$(readlink "$T/second/parent") $(readlink "$T/images/parent")" '../first ../second'
	(($(pages "$T/first") > 1000000)) || fail "$(ls -l "$T/first")"
	(($(pages "$T/second") < 600000 && $(pages "$T/images") < 600000)) || fail "$(ls -l "$T/second" "$T/images")"
	restore
	gone_on
	remembers
	# Both can be moved, as the way from one to the other is relative.
	checkpoint --leave-running --image-path "$T/later"
	ok delete --force "$ID"
	mkdir "$T/moved"
	mv "$T/first" "$T/second" "$T/images" "$T/moved"
	ok restore --detach --bundle "$BUNDLE" --image-path "$T/moved/images" "$ID"
	gone_on
	remembers
	ok delete --force "$ID"
	rm -r "$T/moved/first"
	refused "--image-path: $T/moved/second/parent: " restore --detach --bundle "$BUNDLE" --image-path "$T/moved/images" "$ID"
	nothing_left
}

@test "--auto-dedup: pages that are in a later image too are punched out of the earlier one" {
	needs_criu
	needs_tracking
	remembering
	silent checkpoint --pre-dump --image-path "$T/first" "$ID"
	local before
	before=$(pages "$T/first")
	gone_on
	checkpoint --parent-path ../first --auto-dedup
	(($(pages "$T/first") < before)) || fail "$before bytes before, $(pages "$T/first") after"
	before=$(($(pages "$T/first") + $(pages "$T/images")))
	restore --auto-dedup
	(($(pages "$T/first") + $(pages "$T/images") < before / 2)) || fail "$before bytes before, $(pages "$T/first") and $(pages "$T/images") after"
	gone_on
	remembers
}

# lazily [ARG...]: what checkpoint --lazy-pages writes, in the background, until the pages can be asked for.
lazily() {
	[[ -e $T/status ]] || mkfifo "$T/status"
	exec 7<>"$T/status"
	background "$RUNTIME" "${STATE[@]}" "${MANAGER[@]}" checkpoint --lazy-pages --page-server "127.0.0.1:$PORT" --status-fd 7 --image-path "$T/images" "$@" "$ID" \
		>"$T/lazy.out" 2>&1
	CHECKPOINT=$PID
	local byte=none
	IFS= read -rd '' -t $((10 * PATIENCE)) -u 7 byte || fail 'nothing came through --status-fd' "$(<"$T/lazy.out")"
	is "$byte" '' 'what came before the zero byte'
	exec 7>&-
}

ended() {
	! kill -0 "$1" 2>/dev/null
}

@test "--lazy-pages: the memory comes when it is used" {
	needs_criu
	criu check --feature uffd-noncoop >/dev/null 2>&1 || skip 'this kernel lacks what CRIU needs of userfaultfd'
	PORT=27277
	remembering
	mkdir -m 700 "$T/images" "$T/work"
	lazily
	(($(pages "$T/images") < 600000)) || fail "$(ls -l "$T/images")"
	# Where it was asked for alone: CRIU by itself listens at all addresses.
	# shellcheck disable=SC2046 # one number
	is "$(awk -v port=":$(printf %04X "$PORT")" '$4 == "0A" && $2 ~ port { print $2 }' /proc/net/tcp /proc/net/tcp6)" "0100007F:$(printf %04X "$PORT")"
	ended "$CHECKPOINT" && fail 'checkpoint has ended before the memory was fetched'
	status_is "$ID" paused || status_is "$ID" running || fail "$OUT"
	background criu lazy-pages --page-server --address 127.0.0.1 --port "$PORT" -D "$T/images" -W "$T/work" >"$T/daemon" 2>&1
	local daemon=$PID
	wait_for test -S "$T/work/lazy-pages.socket"
	silent restore --lazy-pages --detach --bundle "$BUNDLE" --image-path "$T/images" --work-path "$T/work" "$ID-2"
	gone_on
	remembers
	wait_for -t 30 ended "$daemon"
	wait_for -t 30 ended "$CHECKPOINT"
	wait "$CHECKPOINT" || fail "checkpoint exits $?" "$(<"$T/lazy.out")"
	is "$(<"$T/lazy.out")" ''
	refused 'does not exist' state "$ID"
	status_is "$ID-2" running
	gone_on
}

@test "--lazy-pages: a restore where nobody serves the pages fails, and the container goes on when the checkpoint is given up" {
	needs_criu
	criu check --feature uffd-noncoop >/dev/null 2>&1 || skip 'this kernel lacks what CRIU needs of userfaultfd'
	PORT=27278
	remembering
	mkdir -m 700 "$T/images"
	lazily
	refused 'criu restore: ' restore --lazy-pages --detach --bundle "$BUNDLE" --image-path "$T/images" "$ID-2"
	refused 'does not exist' state "$ID-2"
	kill "$CHECKPOINT"
	wait_for ended "$CHECKPOINT"
	has "$(<"$T/lazy.out")" 'interrupted by signal: terminated'
	gone_on
	status_is "$ID" running
	remembers
}

@test "--page-server: the memory goes there, and the rest to the images" {
	needs_criu
	remembering
	mkdir -m 700 "$T/server" "$T/images"
	background criu page-server --images-dir "$T/server" --address 127.0.0.1 --port 27279 >"$T/server.out" 2>&1
	local server=$PID
	# 27279 in LISTEN
	wait_for grep -q ':6A8F 00000000:0000 0A' /proc/net/tcp
	checkpoint --page-server 127.0.0.1:27279
	wait_for ended "$server"
	refute compgen -G "$T/images/pages-*.img"
	(($(pages "$T/server") > 1000000)) || fail "$(ls -l "$T/server")"
	mv "$T"/server/*.img "$T/images"
	restore
	gone_on
	remembers
}

@test "--page-server: where nobody listens, checkpoint fails and the container goes on" {
	needs_criu
	counting
	refused 'criu dump: Error (' checkpoint --page-server 127.0.0.1:27280 --image-path "$T/images" "$ID"
	gone_on
}

@test "a checkpoint that a signal ends leaves the container as it was" {
	needs_criu
	remembering
	# CRIU waits for the one that reads the image, with the container stopped.
	mkdir -m 700 "$T/images"
	mkfifo "$T/images/inventory.img"
	background "$RUNTIME" "${STATE[@]}" "${MANAGER[@]}" checkpoint --image-path "$T/images" "$ID" >"$T/out.checkpoint" 2>&1
	local checkpoint=$PID
	sleep 3
	kill -INT "$checkpoint"
	timeout 60 cat "$T/images/inventory.img" >/dev/null
	wait_for -t 20 ended "$checkpoint"
	has "$(<"$T/out.checkpoint")" 'interrupted by signal: interrupt'
	status_is "$ID" running
	gone_on
	remembers
}
