#!/usr/bin/env bats
# checkpoint and restore: what CRIU does only where it is told to: connections, sockets, locks,
# sessions and terminals of others. Without the flag it is refused, and the hint names it.
# shellcheck disable=SC2016 # scripts for the container

load helpers
load criu

# talking: a container with a connection to itself, over which every line of /tmp/in comes to /tmp/out.
talking() {
	own_rootfs
	mkfifo "$BUNDLE/rootfs/tmp/in"
	args sh -c 'nc -l -p 99 -e cat & until netstat -ltn | grep -q :99; do sleep 0.1; done
		exec 8<>/tmp/in; nc 127.0.0.1 99 <&8 >/tmp/out; echo "ended $?" >/tmp/ended; exec sleep 600'
	ok run --detach --bundle "$BUNDLE" "$ID"
	answers one
}

# answers WORD: it goes over the connection and back.
answers() {
	echo "$1" >"$BUNDLE/rootfs/tmp/in"
	wait_for -t 10 grep -qx "$1" "$BUNDLE/rootfs/tmp/out"
}

@test "--tcp-established: connections go on" {
	needs_criu
	talking
	refused 'criu dump: ' checkpoint --image-path "$T/images" "$ID"
	has "$ERR" 'hint: give --tcp-established to checkpoint and to restore'
	answers two
	checkpoint --tcp-established
	refused 'criu restore: ' restore --detach --bundle "$BUNDLE" --image-path "$T/images" "$ID"
	nothing_left
	restore --tcp-established
	answers three
	refute test -e "$BUNDLE/rootfs/tmp/ended"
}

@test "--tcp-close: connections are closed when the processes run again" {
	needs_criu
	talking
	checkpoint --tcp-established
	restore --tcp-close
	wait_for -t 10 test -e "$BUNDLE/rootfs/tmp/ended"
	ok exec "$ID" true
}

@test "--tcp-skip-in-flight: who has connected and is not accepted yet does not come along" {
	needs_criu
	own_rootfs
	# One that listens and does not accept, as it is stopped.
	args sh -c 'nc -l -p 99 >/tmp/out & until netstat -ltn | grep -q :99; do sleep 0.1; done
		kill -STOP $!; until grep -q "State:.T" /proc/$!/status; do sleep 0.1; done
		(echo word; exec sleep 600) | nc 127.0.0.1 99 & until netstat -tn | grep -q ":99 .*ESTAB"; do sleep 0.1; done; touch /tmp/done; exec sleep 600'
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_for -t 20 test -e "$BUNDLE/rootfs/tmp/done"
	refused 'criu dump: ' checkpoint --tcp-established --image-path "$T/images" "$ID"
	has "$ERR" 'hint: give --tcp-skip-in-flight to checkpoint'
	checkpoint --tcp-established --tcp-skip-in-flight
	restore --tcp-established
	ok exec "$ID" netstat -ltn
	has "$OUT" :99
}

@test "--network-lock: by nftables" {
	needs_criu
	criu check --feature network_lock_nftables >/dev/null 2>&1 || skip 'this CRIU was built without nftables'
	talking
	checkpoint --tcp-established --network-lock nftables
	restore --tcp-established --network-lock nftables
	answers two
}

@test "--network-lock skip: a CRIU that does not know it is named" {
	needs_criu
	talking
	local version
	version=$(criu --version | sed -n 's/^Version: //p')
	if [[ $(printf '%s\n' "$version" 3.18 | sort -V | head -n 1) == 3.18 ]]; then
		checkpoint --tcp-established --network-lock skip
		restore --tcp-established --network-lock skip
	else
		refused "--network-lock skip: $(command -v criu) is version $version, and 3.18 the oldest that knows it" \
			checkpoint --tcp-established --network-lock skip --image-path "$T/images" "$ID"
	fi
	answers two
}

# program NAME: a program of the rootfs, in C on standard input.
program() {
	command -v gcc >/dev/null || skip 'needs gcc for a program in the container'
	gcc -static -o "$BUNDLE/rootfs/bin/$1" -x c -
}

@test "--file-locks: locks are held again" {
	needs_criu
	own_rootfs
	program locked <<'C'
#include <stdio.h>
#include <sys/file.h>
#include <fcntl.h>
#include <unistd.h>
int main(int argc, char **argv) { // with an argument it only tries
	int fd = open("/tmp/lock", O_RDWR | O_CREAT, 0600);
	if (flock(fd, LOCK_EX | LOCK_NB)) { perror("flock"); return 7; }
	while (argc < 2) pause();
	return 0;
}
C
	args locked
	ok run --detach --bundle "$BUNDLE" "$ID"
	held() { rt exec "$ID" locked try && false || ((STATUS == 7)); }
	wait_for held
	refused 'criu dump: ' checkpoint --image-path "$T/images" "$ID"
	has "$ERR" 'hint: give --file-locks to checkpoint and to restore'
	checkpoint --file-locks
	restore --file-locks
	held
}

@test "--link-remap: a file whose own name is gone, and another is not" {
	needs_criu
	own_rootfs
	args sh -c 'exec 9<>/tmp/a; ln /tmp/a /tmp/b; rm /tmp/a; touch /tmp/done; exec sleep 600'
	ok run --detach --bundle "$BUNDLE" "$ID"
	wait_for test -e "$BUNDLE/rootfs/tmp/done"
	refused 'criu dump: ' checkpoint --image-path "$T/images" "$ID"
	has "$ERR" 'hint: give --link-remap'
	checkpoint --link-remap
	restore
	echo text >"$BUNDLE/rootfs/tmp/b"
	ok exec "$ID" cat /proc/1/fd/9
	is "$OUT" text
	is "$(ls "$BUNDLE/rootfs/tmp")" $'b\ndone' 'names that CRIU has made'
}

@test "--ext-unix-sk: a socket of somebody outside" {
	needs_criu
	command -v python3 >/dev/null || skip 'needs python3 to receive a datagram'
	own_rootfs
	mkdir "$T/outside"
	program say <<'C'
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <string.h>
int main(int argc, char **argv) {
	struct sockaddr_un to = {AF_UNIX};
	strncpy(to.sun_path, argv[1], sizeof to.sun_path - 1);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) { perror("connect"); return 1; }
	for (long i = 0;; i++) {
		char text[20];
		send(fd, text, sprintf(text, "%ld\n", i), 0);
		usleep(50000);
	}
}
C
	cat >"$T/hear.py" <<'PYTHON'
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1] + "/socket")
os.chdir(sys.argv[1])
while True:
    text = s.recv(20).decode()
    with open("../heard.new", "w") as f:
        f.write(text)
    os.rename("../heard.new", "../heard")
PYTHON
	background python3 "$T/hear.py" "$T/outside"
	wait_for -t 20 test -S "$T/outside/socket"
	# By the name that it was bound to, it is found again.
	mount_add "$T/outside" bind "$T/outside" bind
	args say "$T/outside/socket"
	ok run --detach --bundle "$BUNDLE" "$ID"
	# Where the network namespaces are two, CRIU sees but one end.
	refused 'criu dump: ' checkpoint --ext-unix-sk --image-path "$T/images" "$ID"
	has "$ERR" 'hint: a UNIX socket of the container is connected to one outside, which CRIU keeps only if both are in one network namespace'
	ok delete --force "$ID"
	config '.linux.namespaces |= map(select(.type != "network"))'
	ok run --detach --bundle "$BUNDLE" "$ID"
	heard() { (($(cat "$T/heard" 2>/dev/null || echo 0) > $1)); }
	wait_for heard 2
	refused 'criu dump: ' checkpoint --image-path "$T/images" "$ID"
	has "$ERR" 'hint: give --ext-unix-sk to checkpoint and to restore'
	checkpoint --ext-unix-sk
	local last
	last=$(<"$T/heard")
	restore --ext-unix-sk
	wait_for heard "$((last + 2))"
}

@test "--empty-ns network: the network is empty, as without it" {
	needs_criu
	config '.process.capabilities |= map_values(. + ["CAP_NET_ADMIN"])'
	counting
	ok exec "$ID" ip address add 127.1.2.3/8 dev lo
	checkpoint --empty-ns network
	restore --empty-ns network
	ok exec "$ID" ip address show lo
	lacks "$OUT" 127.1.2.3
	has "$OUT" 127.0.0.1
	like "$OUT" 'LOOPBACK,UP'
	gone_on
}

@test "--work-path: logs are there, and the images have none" {
	needs_criu
	counting
	checkpoint --work-path "$T/logs"
	is "$(ls "$T/logs")" "$(printf '%s\n' dump.log stats-dump)"
	refute test -e "$T/images/dump.log"
	restore --work-path "$T/logs"
	has "$(ls "$T/logs")" restore.log
	refute test -e "$T/images/restore.log"
}

# profile NAME: loads an AppArmor profile that allows all.
profile() {
	echo "profile $1 flags=(attach_disconnected, mediate_deleted) { $(printf '%s, ' file capability network mount umount remount pivot_root signal ptrace unix dbus change_profile) }" |
		apparmor_parser -Kr
}

teardown_file() {
	local name
	[[ -e /sys/kernel/security/apparmor/profiles ]] || return 0
	while read -r name _; do
		[[ $name != oci-mini-test* ]] || printf '%s' "$name" >/sys/kernel/security/apparmor/.remove
	done </sys/kernel/security/apparmor/profiles
}

@test "--lsm-profile: another AppArmor profile; without it, the images' must be the config's" {
	needs_criu
	grep -qw apparmor /sys/kernel/security/lsm || skip 'this kernel runs without AppArmor'
	profile oci-mini-test-one
	profile oci-mini-test-two
	config '.process.apparmorProfile = "oci-mini-test-one"'
	counting
	confined() { is "$(cat "/proc/$(init_pid "$ID")/attr/current")" "$1 (enforce)"; }
	confined oci-mini-test-one
	# One process that is confined otherwise is enough for no checkpoint to be made.
	ok exec --apparmor oci-mini-test-two "$ID" sh -c 'sleep 600 >/dev/null 2>&1 & echo $! >/tmp/other'
	refused '/process/apparmorProfile: it is confined by the AppArmor profile oci-mini-test-two, not by oci-mini-test-one' checkpoint --image-path "$T/images" "$ID"
	ok exec --apparmor unconfined "$ID" sh -c 'kill -9 $(cat /tmp/other)'
	checkpoint
	config '.process.apparmorProfile = "oci-mini-test-two"'
	refused '/process/apparmorProfile: it is confined by the AppArmor profile oci-mini-test-one, not by oci-mini-test-two' \
		restore --detach --bundle "$BUNDLE" --image-path "$T/images" "$ID"
	nothing_left
	restore --lsm-profile apparmor:oci-mini-test-two
	confined oci-mini-test-two
	gone_on
}
