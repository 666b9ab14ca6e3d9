#!/bin/sh
# What `make demo` runs in its container: the isolation, seen from inside.
say() { printf '%-12s %s\n' "$1" "$2"; }
say 'hostname' "$(cat /proc/sys/kernel/hostname) (uts namespace: renaming it here renames nothing outside)"
processes=
for p in /proc/[0-9]*; do
	read -r name 2>/dev/null <"$p/comm" && processes="$processes ${p#/proc/}:$name"
done
say 'processes' "${processes# } (pid namespace: the first one is 1, the host's are not there)"
interfaces=
while read -r name _; do
	case $name in *:) interfaces="$interfaces ${name%:}" ;; esac
done </proc/net/dev
say 'network' "${interfaces# } (network namespace: a loopback of its own, nothing else)"
mounts=0
while read -r _; do mounts=$((mounts + 1)); done </proc/self/mountinfo
say 'mounts' "$mounts (mount namespace: none of them is seen outside)"
while IFS=: read -r id names path; do
	case $id:$names in 0: | *memory*) say 'cgroup' "${names:-unified} $path" ;; esac
done </proc/self/cgroup
say 'identity' "$(id)"
while read -r key value; do
	case $key in
	CapEff:) say 'capabilities' "$value (of 000001ffffffffff, which root has outside)" ;;
	NoNewPrivs:) say 'no_new_privs' "$value (no program can gain more)" ;;
	Seccomp:) say 'seccomp' "$value (0 none, 2 a filter)" ;;
	esac
done </proc/self/status
if touch /oci-mini-demo 2>/dev/null; then
	rm -f /oci-mini-demo
	say 'root' 'writable'
else
	say 'root' 'read-only: touch / is refused'
fi
