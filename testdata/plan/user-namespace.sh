#!/bin/sh
# The container as the commands that a person would type, by oci-mini explain.
# Run it as root. It stays until the container ends, and removes its cgroups.
#
# What the runtime does and a shell cannot do in the same way:
# - A shell goes by names. The runtime makes every mount detached and attaches it
#   to an open directory; here a symbolic link in the image may lead outside.
#   Use the script for images that you trust.
# - Commands run between the steps as processes, and are counted and limited as
#   parts of the container. A shell stays as its parent.
# - Changing a mount's attributes with mount(8) resets those that are not named.
# - The runtime's binary needs no protection: it is not in the container. The
#   script's shell and the host's tools are, until the last exec.
# - The caller's terminal is the container's, without a pty in between.
# - Without its program on PATH the container fails at its end, not before.
set -eu
umask 022
PATH=$PATH:/usr/sbin:/sbin
export PATH
trap 'exit 130' INT
trap 'exit 143' TERM

# 1. make the cgroup /sys/fs/cgroup/user.slice/web
clean_up() {
	for dir; do
		tries=50
		while [ -e "$dir" ] && [ $((tries -= 1)) -gt 0 ]; do
			grep -vx 0 "$dir"/cgroup.procs | xargs -r kill -KILL 2>/dev/null || :
			find "$dir" -depth -type d -exec rmdir {} \; 2>/dev/null || :
			[ ! -e "$dir" ] || sleep 0.1
		done
	done
}
trap 'clean_up "$@"' EXIT
mkdir -p /sys/fs/cgroup/user.slice
mkdir /sys/fs/cgroup/user.slice/web
set -- /sys/fs/cgroup/user.slice/web "$@"
{ echo +cpu >/sys/fs/cgroup/cgroup.subtree_control; } 2>/dev/null || :
{ echo +cpuset >/sys/fs/cgroup/cgroup.subtree_control; } 2>/dev/null || :
{ echo +io >/sys/fs/cgroup/cgroup.subtree_control; } 2>/dev/null || :
{ echo +memory >/sys/fs/cgroup/cgroup.subtree_control; } 2>/dev/null || :
{ echo +pids >/sys/fs/cgroup/cgroup.subtree_control; } 2>/dev/null || :
{ echo +cpu >/sys/fs/cgroup/user.slice/cgroup.subtree_control; } 2>/dev/null || :
{ echo +cpuset >/sys/fs/cgroup/user.slice/cgroup.subtree_control; } 2>/dev/null || :
{ echo +io >/sys/fs/cgroup/user.slice/cgroup.subtree_control; } 2>/dev/null || :
{ echo +memory >/sys/fs/cgroup/user.slice/cgroup.subtree_control; } 2>/dev/null || :
{ echo +pids >/sys/fs/cgroup/user.slice/cgroup.subtree_control; } 2>/dev/null || :

# 2. open the root file system /bundle/rootfs (/root/path)
root=/bundle/rootfs
export root
test -d "$root"

# 3. open the host's /dev/null (/linux/maskedPaths)
test -c /dev/null

# 4. open the host's devices (/linux/devices)
# they have their names until the root changes

# 5. make a socket for the pty's master (/process/terminal)
# there is none

# 6. lock the host's mounts as they are
# what is bound inside a user namespace is locked

# 7. clone the first process; new namespaces: pid, network, ipc, uts, mount, user, born in its cgroup (/linux/namespaces)
(
# 0 is the process that writes
echo 0 >/sys/fs/cgroup/user.slice/web/cgroup.procs
unshare --user sleep 10 & users=$!
trap 'kill $users' EXIT
# a process that does not show its namespaces is not ready either
until ns=$(readlink /proc/$users/ns/user) && [ "$ns" != "$(readlink /proc/self/ns/user)" ]; do kill -0 $users && sleep 0.1; done
echo '0 100000 65536' >/proc/$users/uid_map
echo '0 100000 65536' >/proc/$users/gid_map
# the second shell is the first process in the new pid namespace; the first one waits for it
exec nsenter --user=/proc/$users/ns/user unshare --pid --net --ipc --uts --mount --propagation unchanged --cgroup sh -c "kill \$0; exec \"\$@\"" $users sh -c "sh -eu -c 'eval \"\$(cat <&3)\"'; exit \$?"
) 3<<'CONTAINER'
tools='setpriv env umount rmdir hostname ip mount prlimit'
# Programs of the host for the time behind pivot_root. They lie in a memory file
# system that is no longer mounted then: only the current directory holds it.
ld= arch=
host() {
	tool=$1
	shift
	$ld "./$tool" "$@"
}
fetch_tools() {
	for tool; do
		file=$(command -v "$tool")
		cp -L "$file" .
		for library in $(ldd "$file" 2>/dev/null | tr ' \t' '\n\n' | grep '^/' || :); do
			cp -L "$library" .
			case $library in
			*/ld-* | */ld[0-9]* | */ld.so*) ld="./${library##*/} --library-path ." ;;
			esac
		done
	done
}

# 8. set the device filter of 11 rules, while init works (/linux/resources/devices)
# on cgroup v2 this is a BPF program, which no command of a base system loads: no filter

# 9. dissolve the mount of the runtime's own binary, while init works
# no binary of a runtime is in here

# 10. put the runtime's own binary out of the container's reach
# no binary of a runtime is in here

# 11. forget the environment and the arguments of the runtime
# a shell is what it was started as

# 12. forbid being traced
# a shell cannot (prctl PR_SET_DUMPABLE)

# 13. write uid_map (/linux/uidMappings)
# done before nsenter

# 14. write gid_map (/linux/gidMappings)
# done before nsenter

# 15. become root of the user namespace (/linux/namespaces)
# nsenter did it

# 16. unshare the cgroup namespace (/linux/namespaces)
# unshare did it, in the cgroup

# 17. start a new session
# not here: the caller's terminal stays, and Ctrl-C with it

# 18. join a new session keyring
# no command of a base system does it (keyctl session)

# 19. cut the propagation of mounts to the host
mount --make-rslave /

# 20. set the umask to 0 while the container is built
# the modes are given with the commands

# 21. attach the root file system (/root/path)
mount --rbind "$root" "$root"

# 22. mount proc on /proc (/mounts/0)
mkdir -p "$root"/proc
mount -t proc proc "$root"/proc

# 23. mount tmpfs on /dev (/mounts/1)
mkdir -p "$root"/dev
mount -t tmpfs -o nosuid,strictatime,mode=755,size=65536k tmpfs "$root"/dev

# 24. mount devpts on /dev/pts (/mounts/2)
mkdir -p "$root"/dev/pts
mount -t devpts -o nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root"/dev/pts

# 25. mount tmpfs on /dev/shm (/mounts/3)
mkdir -p "$root"/dev/shm
mount -t tmpfs -o nosuid,noexec,nodev,mode=1777,size=65536k shm "$root"/dev/shm

# 26. mount mqueue on /dev/mqueue (/mounts/4)
mkdir -p "$root"/dev/mqueue
mount -t mqueue -o nosuid,noexec,nodev mqueue "$root"/dev/mqueue

# 27. mount sysfs on /sys (/mounts/5)
mkdir -p "$root"/sys
mount -t sysfs -o nosuid,noexec,nodev,ro sysfs "$root"/sys

# 28. mount cgroup on /sys/fs/cgroup (/mounts/6)
mkdir -p "$root"/sys/fs/cgroup
# mount(8) refuses the same file system a second time, where a bind of /sys has brought it
mount -t cgroup2 -o nosuid,noexec,nodev,relatime,ro cgroup "$root"/sys/fs/cgroup 2>/dev/null || {
	mount --bind /sys/fs/cgroup/user.slice/web "$root"/sys/fs/cgroup
	mount -o remount,bind,nosuid,noexec,nodev,relatime,ro "$root"/sys/fs/cgroup
}

# 29. bind the host's /dev/null
mkdir -p "$root"/dev
[ -e "$root"/dev/null ] || : >"$root"/dev/null
mount --bind /dev/null "$root"/dev/null
mount -o remount,bind,ro,nosuid,noexec "$root"/dev/null

# 30. bind the host's /dev/zero
mkdir -p "$root"/dev
[ -e "$root"/dev/zero ] || : >"$root"/dev/zero
mount --bind /dev/zero "$root"/dev/zero
mount -o remount,bind,ro,nosuid,noexec "$root"/dev/zero

# 31. bind the host's /dev/full
mkdir -p "$root"/dev
[ -e "$root"/dev/full ] || : >"$root"/dev/full
mount --bind /dev/full "$root"/dev/full
mount -o remount,bind,ro,nosuid,noexec "$root"/dev/full

# 32. bind the host's /dev/random
mkdir -p "$root"/dev
[ -e "$root"/dev/random ] || : >"$root"/dev/random
mount --bind /dev/random "$root"/dev/random
mount -o remount,bind,ro,nosuid,noexec "$root"/dev/random

# 33. bind the host's /dev/urandom
mkdir -p "$root"/dev
[ -e "$root"/dev/urandom ] || : >"$root"/dev/urandom
mount --bind /dev/urandom "$root"/dev/urandom
mount -o remount,bind,ro,nosuid,noexec "$root"/dev/urandom

# 34. bind the host's /dev/tty
mkdir -p "$root"/dev
[ -e "$root"/dev/tty ] || : >"$root"/dev/tty
mount --bind /dev/tty "$root"/dev/tty
mount -o remount,bind,ro,nosuid,noexec "$root"/dev/tty

# 35. make the links fd, stdin, stdout, stderr, core and ptmx in /dev
[ -e "$root"/dev/fd ] || [ -L "$root"/dev/fd ] || ln -s /proc/self/fd "$root"/dev/fd
[ -e "$root"/dev/stdin ] || [ -L "$root"/dev/stdin ] || ln -s /proc/self/fd/0 "$root"/dev/stdin
[ -e "$root"/dev/stdout ] || [ -L "$root"/dev/stdout ] || ln -s /proc/self/fd/1 "$root"/dev/stdout
[ -e "$root"/dev/stderr ] || [ -L "$root"/dev/stderr ] || ln -s /proc/self/fd/2 "$root"/dev/stderr
[ -e "$root"/dev/core ] || [ -L "$root"/dev/core ] || ln -s /proc/kcore "$root"/dev/core
ln -sf pts/ptmx "$root"/dev/ptmx

# 36. open a pty of the container's devpts and bind it on /dev/console (/process/terminal)
# a shell cannot: the caller's terminal is used

# 37. take the pty's master (/process/terminal)
# there is none

# 38. make the pty the controlling terminal and the standard streams (/process/terminal)
# the caller's streams are kept

# 39. pivot to the root file system and detach the host's (/root/path)
mkdir -p "$root"/.old_root
mount -t tmpfs -o mode=755 tools "$root"/.old_root
cd "$root"/.old_root
fetch_tools $tools
pivot_root "$root" "$root"/.old_root
# first the host's root, then the tools below it
host umount -n -l /.old_root
host umount -n -l /.old_root
host rmdir /.old_root

# 40. set the hostname to oci-mini (/hostname)
host hostname oci-mini

# 41. bring the loopback interface up (/linux/namespaces)
host ip link set lo up

# 42. make /proc/bus read-only (/linux/readonlyPaths/0)
if [ -e /proc/bus ]; then
	host mount -n --rbind /proc/bus /proc/bus
	host mount -n -o remount,bind,ro /proc/bus
fi

# 43. make /proc/fs read-only (/linux/readonlyPaths/1)
if [ -e /proc/fs ]; then
	host mount -n --rbind /proc/fs /proc/fs
	host mount -n -o remount,bind,ro /proc/fs
fi

# 44. make /proc/irq read-only (/linux/readonlyPaths/2)
if [ -e /proc/irq ]; then
	host mount -n --rbind /proc/irq /proc/irq
	host mount -n -o remount,bind,ro /proc/irq
fi

# 45. make /proc/sys read-only (/linux/readonlyPaths/3)
if [ -e /proc/sys ]; then
	host mount -n --rbind /proc/sys /proc/sys
	host mount -n -o remount,bind,ro /proc/sys
fi

# 46. make /proc/sysrq-trigger read-only (/linux/readonlyPaths/4)
if [ -e /proc/sysrq-trigger ]; then
	host mount -n --rbind /proc/sysrq-trigger /proc/sysrq-trigger
	host mount -n -o remount,bind,ro /proc/sysrq-trigger
fi

# 47. make an empty read-only tmpfs (/linux/maskedPaths)
# each gets its own below

# 48. mask /proc/acpi (/linux/maskedPaths/0)
if [ -d /proc/acpi ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/acpi
elif [ -e /proc/acpi ]; then
	host mount -n --bind /dev/null /proc/acpi
fi

# 49. mask /proc/asound (/linux/maskedPaths/1)
if [ -d /proc/asound ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/asound
elif [ -e /proc/asound ]; then
	host mount -n --bind /dev/null /proc/asound
fi

# 50. mask /proc/kcore (/linux/maskedPaths/2)
if [ -d /proc/kcore ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/kcore
elif [ -e /proc/kcore ]; then
	host mount -n --bind /dev/null /proc/kcore
fi

# 51. mask /proc/keys (/linux/maskedPaths/3)
if [ -d /proc/keys ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/keys
elif [ -e /proc/keys ]; then
	host mount -n --bind /dev/null /proc/keys
fi

# 52. mask /proc/latency_stats (/linux/maskedPaths/4)
if [ -d /proc/latency_stats ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/latency_stats
elif [ -e /proc/latency_stats ]; then
	host mount -n --bind /dev/null /proc/latency_stats
fi

# 53. mask /proc/timer_list (/linux/maskedPaths/5)
if [ -d /proc/timer_list ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/timer_list
elif [ -e /proc/timer_list ]; then
	host mount -n --bind /dev/null /proc/timer_list
fi

# 54. mask /proc/timer_stats (/linux/maskedPaths/6)
if [ -d /proc/timer_stats ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/timer_stats
elif [ -e /proc/timer_stats ]; then
	host mount -n --bind /dev/null /proc/timer_stats
fi

# 55. mask /proc/sched_debug (/linux/maskedPaths/7)
if [ -d /proc/sched_debug ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/sched_debug
elif [ -e /proc/sched_debug ]; then
	host mount -n --bind /dev/null /proc/sched_debug
fi

# 56. mask /sys/firmware (/linux/maskedPaths/8)
if [ -d /sys/firmware ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /sys/firmware
elif [ -e /sys/firmware ]; then
	host mount -n --bind /dev/null /sys/firmware
fi

# 57. mask /proc/scsi (/linux/maskedPaths/9)
if [ -d /proc/scsi ]; then
	host mount -n -t tmpfs -o ro,nosuid,nodev,noexec,nr_blocks=1,nr_inodes=1 tmpfs /proc/scsi
elif [ -e /proc/scsi ]; then
	host mount -n --bind /dev/null /proc/scsi
fi

# 58. make the root file system read-only (/root/readonly)
host mount -n -o remount,bind,ro /

# 59. use all CPUs of the cgroup
# the caller's affinity stays (taskset)

# 60. close all descriptors of the runtime, from 3 up
# a shell has none open

# 61. change to the directory / (/process/cwd)
# env does it at the end, as the user: until then the tools are in the current directory

# 62. drop all but 3 capabilities from the bounding set (/process/capabilities/bounding)
set -- "$@" --bounding-set=-all,+kill,+net_bind_service,+audit_write

# 63. become user 0, group 0, with 0 additional groups (/process/user)
set -- "$@" --reuid=0 --regid=0 --clear-groups

# 64. set the effective, permitted, inheritable and ambient capabilities (/process/capabilities)
# the effective and permitted sets come from these and the bounding set at execve
set -- "$@" --inh-caps=-all --ambient-caps=-all

# 65. forbid gaining privileges by execve (/process/noNewPrivileges)
set -- "$@" --no-new-privs

# 66. check that the working directory is inside the container (/process/cwd)
# a name is looked up inside

# 67. find the program sh (/process/args/0)
# env does it at the end

# 68. set the umask to 0022
umask 0022

# 69. close all descriptors from 3 up on execve
exec 3<&-
# others are the caller's own

# 70. reset signal dispositions and unblock all signals
# a shell sets none here

# 71. record the container as running
# a script keeps no record; the cgroup has the pid

# 72. limit RLIMIT_NOFILE to 1024, at most 1024 (/process/rlimits/0)
host prlimit --pid $$ --nofile=1024:1024

# 73. execute sh (/process/args)
exec $ld ./setpriv "$@" $arch $ld ./env -i '--chdir=/' PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=xterm HOME=/root sh
CONTAINER
